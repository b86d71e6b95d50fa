/** Images from a plain HTML form: middleware of the app's own routes. Nothing is stored before the whole form is there. */
import type { Request, RequestHandler, Response } from 'express'
import type { Limiter } from '../../concurrency.js'
import { type HttpResponse, jsonResponse } from '../../http/response.js'
import type { Settings } from '../../options/settings.js'
import type { UploadSource } from '../../sources/uploads.js'
import type { StoredUpload, Uploads } from '../../uploads/uploads.js'
import { checkAllowed, refuseOtherSites } from '../shared/authorize.js'
import { announcedLength, leaveBody } from '../shared/body.js'
import { createCors } from '../shared/cors.js'
import { answerJson, BadBody, textFailure, toArtworkError } from '../shared/json.js'
import { disconnectSignal } from '../shared/send.js'
import { checkForm, type FormFields, readForm } from './form-body.js'
import { serializeUpload } from './serialize.js'
import { largestBody, MOST_PARTS, tooLarge } from './upload-body.js'

export type { FormFields } from './form-body.js'

/** An upload that came with a form. */
export interface FormUpload extends StoredUpload {
  /** Name of the field that it came in. */
  readonly field: string
  /** What its file was called where it comes from; a client may say anything here. */
  readonly fileName: string
}

declare global {
  namespace Express {
    interface Request {
      /** The uploads that `artwork.uploads.form()` stored, in the order of the form. */
      artworkUploads?: readonly FormUpload[]
    }
  }
}

/** How a form is taken. */
export interface UploadFormOptions {
  /** Name of the file input: files in other fields are refused (422). @default any field */
  readonly field?: string
  /** Most pictures of one form, up to 25: `<input type="file" multiple>` sends several. @default 1 */
  readonly maxFiles?: number
  /** Whether a form without a picture is refused (422). @default true */
  readonly required?: boolean
  /**
   * Whether a form may be stored, where its own fields decide that: a CSRF token in a hidden field before the file input.
   * Asked once, when the fields before the first file have come, and before a byte of a file is read. A throw refuses.
   * @param req the request, with whatever the app's middleware put on it; its `body` is not there yet
   * @param fields the text fields that came before the first file
   * @returns true to allow; false for 403; `'unauthenticated'` for 401
   */
  readonly authorize?: (
    req: Request,
    fields: FormFields,
  ) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
  /**
   * Answers 303 with this URL, or with what the function makes of the stored uploads (`req.body` has the fields). Failures are
   * answered as a line of text then. @default the app's own handler goes on
   */
  readonly redirect?: string | ((uploads: readonly FormUpload[], req: Request) => string | Promise<string>)
  /** Answers `{ images }` as JSON, and failures as the JSON API does. @default false */
  readonly json?: boolean
}

/** `artwork.uploads.form`: see there. */
export type UploadForm = (namespace: string, options?: UploadFormOptions) => RequestHandler

/** What forms are taken with. */
export interface UploadFormParts {
  readonly verbs: Pick<Uploads, 'namespace' | 'saveAll' | 'during'>
  readonly source: Pick<UploadSource, 'uploads'>
  readonly bodies: Limiter
}

/** Verbs without a form, which go on to the app. */
const NO_FORM: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE'])

/** @throws TypeError that names the option, the rule and the value */
function checkOptions(
  verbs: UploadFormParts['verbs'],
  namespace: string,
  { maxFiles = 1, redirect, json = false, authorize }: UploadFormOptions,
): void {
  const bad = (rule: string, value: unknown): never => {
    throw new TypeError(`uploads.form: ${rule}, got ${JSON.stringify(value)}`)
  }
  try {
    verbs.namespace(namespace)
  } catch {
    bad('the namespace must be one of uploads({ namespaces })', namespace)
  }
  if (!Number.isInteger(maxFiles) || maxFiles < 1 || maxFiles > MOST_PARTS)
    bad(`maxFiles must be a whole number from 1 to ${MOST_PARTS}`, maxFiles)
  if (redirect !== undefined && typeof redirect !== 'string' && typeof redirect !== 'function')
    bad('redirect must be a URL or a function of the stored uploads', redirect)
  if (redirect !== undefined && json) bad('redirect and json exclude each other', { redirect, json })
  if (authorize !== undefined && typeof authorize !== 'function')
    bad('authorize must be a function of a request and its fields', authorize)
}

/** Makes `artwork.uploads.form`. */
export function createUploadForm(settings: Settings, { verbs, source, bodies }: UploadFormParts): UploadForm {
  const cors = createCors(source.uploads.cors)

  /** Reads and stores a form, and puts on the request what came of it. */
  const take = async (
    req: Request,
    res: Response,
    namespace: string,
    { field, maxFiles = 1, required = true, authorize }: UploadFormOptions,
  ): Promise<readonly FormUpload[]> => {
    refuseOtherSites(req, source.uploads, settings)
    checkForm(req)
    const { name, maxBytes } = verbs.namespace(namespace)
    const bound = largestBody('form', maxBytes * maxFiles)
    const announced = announcedLength(req)
    if ((announced ?? 0) > bound) throw tooLarge()
    const store = async () => {
      const { fields, files } = await readForm(req, {
        ...{ field, maxFiles, maxBytes },
        limits: { maxBytes: bound, timeout: source.uploads.bodyTimeout },
        authorize: async (before) => {
          if (authorize !== undefined)
            await checkAllowed(() => authorize(req, before), 'authorize of uploads.form', settings.logger)
        },
      })
      if (files.length === 0 && required)
        throw new BadBody([{ loc: ['body', field ?? 'file'], msg: 'no picture was chosen', type: 'missing' }])
      const images = files.map(({ bytes }) => bytes)
      const stored = await verbs.saveAll(name, images)
      const uploads = stored.map((one, index) => ({
        ...one,
        field: files[index]?.field ?? '',
        fileName: files[index]?.fileName ?? '',
      }))
      req.body = fields
      req.artworkUploads = uploads
      return uploads
    }
    const call = { weight: announced ?? bound, signal: disconnectSignal(res) }
    return verbs.during(() => bodies.run(store, call))
  }

  return (namespace, options = {}) => {
    checkOptions(verbs, namespace, options)
    const { redirect, json = false } = options
    return (req, res, next) => {
      if (NO_FORM.has(req.method)) return next()
      const taken = () => take(req, res, namespace, options)
      const answer = async (): Promise<HttpResponse | undefined> => {
        const uploads = await taken()
        if (redirect === undefined) return jsonResponse(200, { images: uploads.map(serializeUpload) })
        const url = typeof redirect === 'string' ? redirect : await redirect(uploads, req)
        res.set('Cache-Control', 'no-store').redirect(303, url)
        return undefined
      }
      if (json) void answerJson(req, res, settings, answer, cors).catch(next)
      else if (redirect !== undefined)
        void answerJson(req, res, settings, answer, undefined, textFailure).catch(next)
      else
        taken().then(
          () => next(),
          (error) => {
            leaveBody(req, res)
            next(toArtworkError(error))
          },
        )
    }
  }
}

/** The body of a plain HTML form (RFC 7578): its files and its fields, asked about before the first file is read. */
import { AsyncResource } from 'node:async_hooks'
import { Readable } from 'node:stream'
import type { Request } from 'express'
import { ArtworkError } from '../../model/failure.js'
import { type BodyLimits, streamBody } from '../shared/body.js'
import { BadBody } from '../shared/json.js'
import { formFailure, loadMulter, partLimits } from './upload-body.js'

/** The text fields of a form by their names, as Express's own parser nests them. */
export type FormFields = Readonly<Record<string, unknown>>

/** A file of a form. */
export interface FormFile {
  /** Name of its field. */
  readonly field: string
  /** Its name where it comes from; nothing about it is sure. */
  readonly fileName: string
  readonly bytes: Buffer
}

/** What is taken of a form. */
export interface FormRules {
  /** The one field that may have files; undefined: any. */
  readonly field: string | undefined
  readonly maxFiles: number
  /** Of one file. */
  readonly maxBytes: number
  /** Of the whole body. */
  readonly limits: BodyLimits
  /** Asked once, before the first file is read, with the fields that came before it. */
  readonly authorize: (fields: FormFields) => Promise<void>
}

/** Names of fields: their length, and how deep and far brackets in them lead. */
const NAMES = { fieldNameSize: 200, fieldNestingDepth: 8, fieldArrayIndexLimit: 100 }

const READ_BEFORE =
  'the body was read before: mount artwork.uploads.form() before express.urlencoded(), express.raw() and multer'

/** @throws ArtworkError `unsupported` (415) for what is no form with files, `unknown` (500) for one that was read before */
export function checkForm(req: Request): void {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'multipart/form-data')
    throw new ArtworkError(
      'unsupported',
      'send multipart/form-data: <form method="post" enctype="multipart/form-data">',
    )
  // It is the app that has to be mended, and not what the client sends.
  if (req.readableEnded && !Buffer.isBuffer(req.body)) throw new ArtworkError('unknown', READ_BEFORE)
}

const refusal = (field: string, msg: string, type: string): BadBody =>
  new BadBody([{ loc: ['body', field], msg, type }])

/** What is wrong with a file that comes after so many others. */
function fileProblem(field: string, rules: FormRules, before: number): BadBody | undefined {
  if (rules.field !== undefined && field !== rules.field)
    return refusal(field, `files are taken in the field ${rules.field} only`, 'unexpected')
  if (before < rules.maxFiles) return undefined
  return refusal(
    field,
    rules.maxFiles === 1 ? 'one picture only' : `${rules.maxFiles} pictures at most`,
    'too_many',
  )
}

/** Reads a form whole. What was refused is not read on. @throws BadBody, ArtworkError */
export async function readForm(
  req: Request,
  rules: FormRules,
): Promise<{ readonly fields: FormFields; readonly files: readonly FormFile[] }> {
  const body =
    req.readableEnded && Buffer.isBuffer(req.body) ? Readable.from([req.body]) : streamBody(req, rules.limits)
  // The parser is given what a request has for it to look at.
  const read = Object.assign(body, {
    headers: { ...req.headers, 'transfer-encoding': 'chunked' },
    method: req.method,
  }) as unknown as Request
  const fieldsNow = (): FormFields => structuredClone({ ...read.body })
  // Called by the parser, and still on behalf of the request.
  const ask = AsyncResource.bind(() => rules.authorize(fieldsNow()))
  let answered: Promise<void> | undefined
  const authorized = (): Promise<void> => {
    answered ??= ask()
    return answered
  }
  let count = 0
  try {
    const multer = loadMulter()
    await new Promise<void>((resolve, reject) => {
      const form = multer({
        storage: multer.memoryStorage(),
        limits: { ...partLimits(rules.maxBytes), ...NAMES },
        defParamCharset: 'utf8',
        fileFilter: (_req, { fieldname }, goOn) => {
          authorized()
            .then(() => {
              const problem = fileProblem(fieldname, rules, count)
              if (problem !== undefined) throw problem
              count += 1
              goOn(null, true)
            })
            // The parser would read on to the end before it says so.
            .catch(reject)
        },
      }).any()
      form(read, {} as never, (error?: unknown) => {
        if (error === undefined || error === null) resolve()
        else reject(formFailure(error))
      })
    })
    await authorized()
  } finally {
    body.destroy()
  }
  // An input that was left empty is a file of no bytes.
  const files = (Array.isArray(read.files) ? read.files : [])
    .filter(({ size }) => size > 0)
    .map(({ fieldname, originalname, buffer }) => ({
      field: fieldname,
      fileName: originalname,
      bytes: buffer,
    }))
  return { fields: { ...read.body }, files }
}

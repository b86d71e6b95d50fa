/** The image in the body of an upload: base64 in JSON, the file of a form, or the body itself. */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Request } from 'express'
import { createLimiter, type Limiter } from '../../concurrency.js'
import { ArtworkError, codeOf } from '../../model/failure.js'
import { requirePackage } from '../../package-files.js'
import { readBody } from '../shared/body.js'
import { BadBody, readJson } from '../shared/json.js'
import { decodeBase64, unescapeBytes } from '../shared/large-json.js'
import { uploadBody } from '../shared/schemas.js'

/** What a form adds to its files, bytes. */
const FORM_ALLOWANCE = 64 * 1024
/** Parts of a form: its files, inputs that were left empty, and fields. */
export const MOST_PARTS = 25
/** Bytes of all bodies in memory at once, and how many requests wait for room. */
const BODY_BYTES = 256 * 1024 ** 2
const MAX_WAITING = 2000

/** Makes what bounds the bodies that are in memory at once. */
export const createBodyLimiter = (): Limiter =>
  createLimiter({
    capacity: BODY_BYTES,
    maxWaiting: MAX_WAITING,
    overloaded: 'too many images are being uploaded',
  })

/** The bounds of the parts of a form, as its parser has them. @param maxBytes of one file */
export const partLimits = (maxBytes: number) => ({
  fileSize: maxBytes,
  files: MOST_PARTS,
  fields: MOST_PARTS,
  fieldSize: FORM_ALLOWANCE,
  parts: MOST_PARTS,
})

type BodyKind = 'json' | 'form' | 'raw'

/** How the image comes. @throws ArtworkError `unsupported` (415) */
export function bodyKind(req: IncomingMessage): BodyKind {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json' || type.endsWith('+json')) return 'json'
  if (type === 'multipart/form-data') return 'form'
  if (type === '' || type.startsWith('image/') || type === 'application/octet-stream') return 'raw'
  throw new ArtworkError('unsupported', 'send application/json, multipart/form-data or image/*')
}

export const tooLarge = (): ArtworkError => new ArtworkError('too_large', 'the image has too many bytes')

/** How large a body may be whose image has so many bytes, or whose images have them together. */
export function largestBody(kind: BodyKind, maxBytes: number): number {
  if (kind === 'raw') return maxBytes
  return kind === 'json' ? Math.ceil(maxBytes / 3) * 4 + FORM_ALLOWANCE : maxBytes + FORM_ALLOWANCE
}

/** The image in a body. @throws BadBody, ArtworkError */
export async function imageOf(
  req: IncomingMessage,
  kind: BodyKind,
  limits: { readonly maxBytes: number; readonly timeout: number },
): Promise<Buffer> {
  if (kind === 'json') return decode((await readJson(req, uploadBody, limits)).data)
  const isRead = req.readableEnded && 'body' in req && Buffer.isBuffer(req.body)
  const bytes = isRead ? (req.body as Buffer) : await readBody(req, limits)
  if (bytes.length === 0) throw new ArtworkError('invalid', 'the body is empty')
  return kind === 'raw' ? bytes : fileIn(req, bytes, limits.maxBytes)
}

/** An image from base64 or a data: URL (RFC 2397). @throws BadBody */
async function decode(text: string): Promise<Buffer> {
  const refuse = (msg: string): never => {
    throw new BadBody([{ loc: ['body', 'data'], msg, type: 'value_error' }])
  }
  const isUrl = /^data:/i.test(text)
  const comma = text.indexOf(',')
  if (isUrl && comma < 0) return refuse('the data: URL has no data')
  const data = isUrl ? text.slice(comma + 1) : text
  if (isUrl && !/;\s*base64$/i.test(text.slice(0, comma))) return unescapeBytes(data)
  return (await decodeBase64(data)) ?? refuse('the data is not base64')
}

/** The parser of forms, loaded with the first one. */
export const loadMulter = (): typeof import('multer') => requirePackage('multer')

/** What the parser of forms failed with, as a failure of ours. */
export function formFailure(error: unknown): Error {
  if (error instanceof ArtworkError || error instanceof BadBody) return error
  const isOurs = error instanceof Error && error.name === 'MulterError'
  if (isOurs && codeOf(error) === 'LIMIT_FILE_SIZE') return tooLarge()
  const msg = isOurs ? error.message : 'the form cannot be read'
  return new BadBody([{ loc: ['body'], msg, type: 'form_invalid' }])
}

/** The one file of a form (RFC 7578), whatever its field is called. @throws BadBody, ArtworkError */
async function fileIn(req: IncomingMessage, bytes: Buffer, maxBytes: number): Promise<Buffer> {
  const multer = loadMulter()
  const form = multer({
    storage: multer.memoryStorage(),
    limits: partLimits(maxBytes),
  }).any()
  // The body was read already, within its bounds: multer is given what a request has for it to look at.
  const read = Object.assign(Readable.from([bytes]), {
    headers: { ...req.headers, 'content-length': String(bytes.length) },
    method: req.method,
  }) as unknown as Request
  await new Promise<void>((resolve, reject) => {
    form(read, {} as never, (error?: unknown) => {
      if (error === undefined || error === null) resolve()
      else reject(formFailure(error))
    })
  })
  // An input that was left empty is a file of no bytes.
  const [file, another] = (Array.isArray(read.files) ? read.files : []).filter(({ size }) => size > 0)
  if (file === undefined)
    throw new BadBody([{ loc: ['body', 'file'], msg: 'Field required', type: 'missing' }])
  if (another !== undefined)
    throw new BadBody([{ loc: ['body', another.fieldname], msg: 'One file only', type: 'too_many' }])
  return file.buffer
}

/** The answer to a conditional request, and to one for a range: 200, 206, 304, 412 or 416 (RFC 9110 §13, §14). */
import { volatileHeaders } from './caching.js'
import { httpDate } from './http-date.js'
import { imageHeaders, type Representation, type ResponseRules } from './image-fields.js'
import { type HttpResponse, textResponse } from './response.js'

/** The request as far as an answer may depend on it; header values as Node gives them. */
export interface RequestFields {
  readonly method: string
  readonly ifNoneMatch?: string | undefined
  readonly ifModifiedSince?: string | undefined
  readonly ifMatch?: string | undefined
  readonly ifUnmodifiedSince?: string | undefined
  readonly range?: string | undefined
  readonly ifRange?: string | undefined
  readonly wantReprDigest?: string | undefined
}

/** The answer to a GET or HEAD for a picture that exists: 200, 206, 304, 412 or 416 (RFC 9110 §13.2.2, §14). */
export function respond(picture: Representation, asked: RequestFields, rules: ResponseRules): HttpResponse {
  return respondWithHeaders(picture, asked, rules, {
    ...imageHeaders(picture, rules),
    ...volatileHeaders(rules),
  })
}

/** The same, with the header fields of a 200 made beforehand. */
export function respondWithHeaders(
  picture: Representation,
  asked: RequestFields,
  rules: Pick<ResponseRules, 'cors' | 'now'>,
  fields: Readonly<Record<string, string>>,
): HttpResponse {
  const wantsDigest = /(?:^|[\s,])sha-256\s*=\s*(?!0\s*(?:,|$))\d+/i.test(asked.wantReprDigest ?? '')
  const headers = wantsDigest
    ? { ...fields, 'Repr-Digest': `sha-256=:${Buffer.from(picture.digest, 'hex').toString('base64')}:` }
    : fields
  const failed = preconditionFails(picture, asked)
  if (failed === 412) return textResponse(412, 'precondition failed', rules.cors)
  if (failed === 304) {
    const { 'Content-Length': _length, 'Content-Type': _type, ...kept } = headers
    return { status: 304, headers: kept, body: undefined }
  }
  const size = picture.bytes.length
  const range =
    asked.method === 'GET' && rangeApplies(picture, asked, rules.now)
      ? parseRange(asked.range, size)
      : undefined
  if (range === 'unsatisfiable') {
    const { headers: plain, ...rest } = textResponse(416, 'range not satisfiable', rules.cors)
    return { ...rest, headers: { ...plain, 'Content-Range': `bytes */${size}` } }
  }
  const body = asked.method === 'HEAD' ? undefined : picture.bytes
  if (range === undefined) return { status: 200, headers, body }
  const [first, last] = range
  return {
    status: 206,
    headers: {
      ...headers,
      // A part that was encoded on its way would be no part of the whole any more.
      ...(picture.type === 'image/svg+xml' && {
        'Cache-Control': `${headers['Cache-Control']}, no-transform`,
      }),
      'Content-Length': String(last - first + 1),
      'Content-Range': `bytes ${first}-${last}/${size}`,
    },
    body: picture.bytes.subarray(first, last + 1),
  }
}

const opaque = (tag: string): string => tag.replace(/^W\//, '')

/** The entity tags of a list header; commas inside a quoted tag do not part it (RFC 9110 §8.8.3). */
const tagsOf = (header: string): readonly string[] => header.match(/(?:W\/)?"[^"]*"/g) ?? []

const listed = (header: string, etag: string, strong: boolean): boolean =>
  header.trim() === '*' || tagsOf(header).some((tag) => (strong ? tag === etag : opaque(tag) === etag))

const seconds = (ms: number): number => Math.floor(ms / 1000)

/** An HTTP date in whole seconds, undefined for text that is none. */
const dateSeconds = (text: string): number | undefined => {
  const ms = httpDate(text)
  return ms === undefined ? undefined : seconds(ms)
}

function preconditionFails(picture: Representation, asked: RequestFields): 304 | 412 | undefined {
  const modified = seconds(picture.storedAt)
  if (asked.ifMatch !== undefined) {
    if (!listed(asked.ifMatch, picture.etag, true)) return 412
  } else if (asked.ifUnmodifiedSince !== undefined) {
    const since = dateSeconds(asked.ifUnmodifiedSince)
    if (since !== undefined && modified > since) return 412
  }
  if (asked.ifNoneMatch !== undefined) return listed(asked.ifNoneMatch, picture.etag, false) ? 304 : undefined
  if (asked.ifModifiedSince === undefined) return undefined
  const since = dateSeconds(asked.ifModifiedSince)
  return since !== undefined && modified <= since ? 304 : undefined
}

/**
 * Whether a Range may be used: no If-Range, or one that names exactly these bytes (RFC 9110 §13.1.5). A date does
 * where it is a second old at least, so that it cannot stand for two pictures (§8.8.2.2).
 */
function rangeApplies(picture: Representation, asked: RequestFields, now: number): boolean {
  const { ifRange } = asked
  if (ifRange === undefined) return true
  if (ifRange.includes('"')) return ifRange === picture.etag
  return dateSeconds(ifRange) === seconds(picture.storedAt) && seconds(now) > seconds(picture.storedAt)
}

/** One byte range of a representation, inclusive; undefined to send it whole (RFC 9110 §14.1.2, §14.2). */
export function parseRange(
  header: string | undefined,
  size: number,
): readonly [first: number, last: number] | 'unsatisfiable' | undefined {
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? '')
  if (match === null) return undefined
  const [, from = '', to = ''] = match
  if (from === '' && to === '') return undefined
  if (from === '') return Number(to) === 0 ? 'unsatisfiable' : [Math.max(0, size - Number(to)), size - 1]
  if (to !== '' && Number(to) < Number(from)) return undefined
  if (Number(from) >= size) return 'unsatisfiable'
  return [Number(from), to === '' ? size - 1 : Math.min(Number(to), size - 1)]
}

/**
 * A Reply is an HTTP answer as data: status, headers, and which bytes. Decided here in pure code (RFC 9110,
 * 9111, 5861, 8246), written to the wire by web/send and nowhere else.
 */
import { type ArtworkError, asArtworkError } from '../model/failure.js'
import { httpDate } from './http-date.js'

/** An answer as data. `body` is the whole text or bytes, or a slice of `bytes`, or nothing. */
export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | undefined
}

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

/** How long clients and shared caches may keep an answer. Seconds. */
export type CachePolicy =
  | { readonly kind: 'immutable'; readonly maxAge: number }
  | { readonly kind: 'revisited'; readonly maxAge: number; readonly swr: number; readonly sie: number }
  | { readonly kind: 'brief'; readonly maxAge: number }
  /** By upstream's own rules: times count from when it was asked, as `Age` does. */
  | {
      readonly kind: 'passed-on'
      readonly maxAge: number
      /** For shared caches, where that is something else. */
      readonly sharedMaxAge?: number | undefined
      readonly swr: number
      readonly sie: number
    }
  | { readonly kind: 'none' }

/** One year, the longest that makes sense: the URL names the content (RFC 8246 §2). */
export const FOREVER: CachePolicy = { kind: 'immutable', maxAge: 31_536_000 }

/** A URL whose picture may change: kept an hour, then revalidated in the background. */
export const DEFAULT_POLICY: CachePolicy = { kind: 'revisited', maxAge: 3600, swr: 86_400, sie: 604_800 }

/** A URL with the `?v=` of other bytes: today's, for a minute. */
export const VERSION_MISMATCH_POLICY: CachePolicy = { kind: 'brief', maxAge: 60 }

/** A picture that stands in for a better one, which is being made. */
export const PROVISIONAL_POLICY: CachePolicy = { kind: 'brief', maxAge: 30 }

/** The text of `Cache-Control`. */
export function cacheControl(policy: CachePolicy, isPrivate: boolean): string {
  const scope = isPrivate ? 'private' : 'public'
  switch (policy.kind) {
    case 'immutable':
      return `${scope}, max-age=${policy.maxAge}, immutable`
    case 'revisited':
      return `${scope}, max-age=${policy.maxAge}, stale-while-revalidate=${policy.swr}, stale-if-error=${policy.sie}`
    case 'brief':
      return `${scope}, max-age=${policy.maxAge}`
    case 'passed-on': {
      const { maxAge, sharedMaxAge, swr, sie } = policy
      return [
        `${scope}, max-age=${maxAge}`,
        sharedMaxAge === undefined || isPrivate ? '' : `, s-maxage=${sharedMaxAge}`,
        swr > 0 ? `, stale-while-revalidate=${swr}` : '',
        sie > 0 ? `, stale-if-error=${sie}` : '',
        swr > 0 || sie > 0 ? '' : ', must-revalidate',
      ].join('')
    }
    case 'none':
      return 'no-store'
  }
}

/** The text of `CDN-Cache-Control` (RFC 9213 §3.1), undefined for none. */
export function cdnCacheControl({
  cache,
  isPrivate,
  cdn = false,
}: Pick<ResponseRules, 'cache' | 'isPrivate' | 'cdn'>): string | undefined {
  if (cdn === false || isPrivate || cache.kind === 'none') return undefined
  const isForUs = cache.kind === 'revisited' && typeof cdn === 'number'
  if (cache.kind === 'passed-on')
    return cacheControl(
      { ...cache, maxAge: cache.sharedMaxAge ?? cache.maxAge, sharedMaxAge: undefined },
      false,
    )
  return cacheControl(isForUs ? { ...cache, maxAge: cdn } : cache, false)
}

/** The picture to answer with. */
export interface Representation {
  readonly bytes: Uint8Array
  readonly type: string
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  /** Quoted strong entity tag. */
  readonly etag: string
  /** ms since the epoch. */
  readonly storedAt: number
  /** File name for saving. */
  readonly fileName: string
  /** Drawn by us: also what is no raster image may be looked at by itself then. */
  readonly isOurs?: boolean
}

/** What of the answer the app decides. */
export interface ResponseRules {
  readonly cache: CachePolicy
  readonly isPrivate: boolean
  /** `Access-Control-Allow-Origin`, or '' for none. */
  readonly cors: string
  /** Names of request headers the choice of this picture depended on. */
  readonly vary?: string | undefined
  /** ms since the epoch. */
  readonly now: number
  /** Seconds since upstream was asked about it; undefined where it has just come. */
  readonly age?: number | undefined
  /**
   * Whether CDNs have a field of their own that says how long they may store it (RFC 9213): true, as shared caches are; or so many seconds for
   * what may change.
   */
  readonly cdn?: boolean | number | undefined
  /** `Cache-Status`, undefined for none. */
  readonly cacheStatus?: string | undefined
  /** More fields, `Cache-Tag` and its kin. */
  readonly extra?: Readonly<Record<string, string>> | undefined
}

/**
 * `Age` as it is printed (RFC 9111 §5.1). Where the URL may stand for another picture tomorrow, we are the origin
 * that says how long it may be kept, and a cache in front has at least half of that.
 */
export function ageField(policy: CachePolicy, age: number, cdn: boolean | number = false): number {
  const isWhole = policy.kind === 'immutable' || policy.kind === 'passed-on' || policy.kind === 'none'
  const least = typeof cdn === 'number' && policy.kind === 'revisited' ? cdn : Number.POSITIVE_INFINITY
  return Math.max(0, isWhole ? age : Math.min(age, Math.floor(Math.min(policy.maxAge, least) / 2)))
}

/** A policy that ends by then (a signature's end), seconds from now: nobody may use the answer later. */
export function expireBy(policy: CachePolicy, left: number, age: number): CachePolicy {
  if (policy.kind === 'none') return policy
  // What is left for who gets it is `max-age` less the Age that is printed, which is half of it at most.
  const rest = Math.max(0, left)
  return { kind: 'brief', maxAge: Math.min(policy.maxAge, age <= rest ? rest + age : 2 * rest) }
}

/** What became of a request in our cache (RFC 9211). `ttl` is the freshness that is left, seconds. */
export function cacheStatus(
  forward:
    | {
        readonly why: 'miss' | 'stale'
        readonly status?: number | undefined
        readonly collapsed: boolean
      }
    | undefined,
  isStored: boolean,
  ttl: number | undefined,
): string {
  const left = ttl === undefined ? '' : `; ttl=${ttl}`
  if (forward === undefined) return `express-artwork; hit${left}`
  const { why, status, collapsed } = forward
  if (collapsed) return `express-artwork; fwd=${why}; collapsed`
  const fwdStatus = status === undefined ? '' : `; fwd-status=${status}`
  return `express-artwork; fwd=${why}${fwdStatus}${isStored && status === 200 ? '; stored' : ''}${left}`
}

const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** `Content-Disposition` (RFC 6266, RFC 8187): raster images are for looking at, anything else is for saving. */
function disposition({ type, fileName, isOurs = false }: Representation): string {
  const how = type === 'image/svg+xml' && !isOurs ? 'attachment' : 'inline'
  const ascii = fileName.replace(/[^A-Za-z0-9._-]/g, '_')
  return `${how}; filename="${ascii}"; filename*=UTF-8''${escaped(Buffer.from(fileName).toString())}`
}

const SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
const PLAIN_POLICY = "default-src 'none'; sandbox"

/** Headers that every answer has, errors and 304 included. */
export function commonHeaders(cors: string): Record<string, string> {
  return {
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'cross-origin',
    ...(cors === '' ? {} : { 'Access-Control-Allow-Origin': cors }),
    ...(cors === '' || cors === '*' ? {} : { Vary: 'Origin' }),
  }
}

/** The header fields of a 200 for this picture; what 304 and 206 share with it. */
export function imageHeaders(picture: Representation, rules: ResponseRules): Record<string, string> {
  const common = commonHeaders(rules.cors)
  const vary = [rules.vary, common.Vary].filter(Boolean).join(', ')
  return {
    ...common,
    ...(vary === '' ? {} : { Vary: vary }),
    'Content-Type': picture.type,
    'Content-Length': String(picture.bytes.length),
    'Content-Security-Policy': picture.type === 'image/svg+xml' ? SVG_POLICY : PLAIN_POLICY,
    'Content-Disposition': disposition(picture),
    'Cache-Control': cacheControl(rules.cache, rules.isPrivate),
    'Accept-Ranges': 'bytes',
    ETag: picture.etag,
    'Last-Modified': new Date(Math.min(picture.storedAt, rules.now)).toUTCString(),
    ...rules.extra,
  }
}

/** The header fields that say how an answer came about; they change from second to second. */
export function volatileHeaders(
  rules: Pick<ResponseRules, 'age' | 'cacheStatus' | 'cache' | 'isPrivate' | 'cdn'>,
): Record<string, string> {
  const cdn = cdnCacheControl(rules)
  return {
    'Cache-Control': cacheControl(rules.cache, rules.isPrivate),
    ...(cdn === undefined ? {} : { 'CDN-Cache-Control': cdn }),
    ...(rules.age === undefined ? {} : { Age: String(ageField(rules.cache, rules.age, rules.cdn)) }),
    ...(rules.cacheStatus === undefined ? {} : { 'Cache-Status': rules.cacheStatus }),
  }
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

/** A short plain-text answer that nobody may keep: errors, 405, 412, 416. */
export function textResponse(
  status: number,
  text: string,
  cors: string,
  extra: Record<string, string> = {},
): HttpResponse {
  return {
    status,
    headers: {
      ...commonHeaders(cors),
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(text)),
      'Content-Security-Policy': PLAIN_POLICY,
      'Cache-Control': 'no-store',
      ...extra,
    },
    body: text,
  }
}

/** JSON that nobody may keep: health, and the JSON API. */
export function jsonResponse(status: number, value: unknown): HttpResponse {
  const text = `${JSON.stringify(value)}\n`
  const type = {
    'Content-Type': 'application/json; charset=utf-8',
    'Cross-Origin-Resource-Policy': 'same-origin',
  }
  return textResponse(status, text, '', status === 503 ? { ...type, 'Retry-After': '1' } : type)
}

/** The answer to anything thrown: status and text from the table of errors, nothing internal in it. */
export function errorResponse(thrown: unknown, cors: string): HttpResponse {
  const error: ArtworkError = asArtworkError(thrown)
  const waits = error.status === 503 || (error.status > 500 && error.retryAfter !== undefined)
  return textResponse(
    error.status,
    error.message,
    cors,
    waits ? { 'Retry-After': String(error.retryAfter ?? 1) } : {},
  )
}

/** The answer to OPTIONS (204) and to a verb the route does not have (405). */
export function methodResponse(method: string, cors: string): HttpResponse {
  const allow = { Allow: 'GET, HEAD, OPTIONS' }
  if (method !== 'OPTIONS') return textResponse(405, 'method not allowed', cors, allow)
  const preflight =
    cors === ''
      ? {}
      : { 'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS', 'Access-Control-Max-Age': '86400' }
  return { status: 204, headers: { ...commonHeaders(cors), ...allow, ...preflight }, body: undefined }
}

/** A redirect that nobody may keep. */
export function redirectResponse(location: string, cors: string): HttpResponse {
  return {
    status: 302,
    headers: {
      ...commonHeaders(cors),
      Location: location,
      'Cache-Control': 'no-store',
      'Content-Length': '0',
    },
    body: undefined,
  }
}

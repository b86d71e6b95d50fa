/** An image to answer with, and the header fields of its 200. */
import { type CachingRules, cacheControl } from './caching.js'
import { commonHeaders, PLAIN_POLICY } from './response.js'
import { varyBy } from './vary.js'

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
export interface ResponseRules extends CachingRules {
  /** `Access-Control-Allow-Origin`, or '' for none. */
  readonly cors: string
  /** Names of request headers the choice of this picture depended on. */
  readonly vary?: string | undefined
  /** ms since the epoch. */
  readonly now: number
  /** More fields, `Cache-Tag` and its kin. */
  readonly extra?: Readonly<Record<string, string>> | undefined
}

const SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** `Content-Disposition` (RFC 6266, RFC 8187): raster images are for looking at, anything else is for saving. */
function disposition({ type, fileName, isOurs = false }: Representation): string {
  const how = type === 'image/svg+xml' && !isOurs ? 'attachment' : 'inline'
  const ascii = fileName.replace(/[^A-Za-z0-9._-]/g, '_')
  return `${how}; filename="${ascii}"; filename*=UTF-8''${escaped(Buffer.from(fileName).toString())}`
}

/** The header fields of a 200 for this picture; what 304 and 206 share with it. */
export function imageHeaders(picture: Representation, rules: ResponseRules): Record<string, string> {
  const common = commonHeaders(rules.cors)
  return {
    ...common,
    ...varyBy(rules.vary, common.Vary),
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

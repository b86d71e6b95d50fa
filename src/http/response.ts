/** An HTTP answer as data: status, headers, and which bytes. It is written to the wire by `web/shared/send.ts`, and nowhere else. */
import { type ArtworkError, asArtworkError } from '../model/failure.js'
import { VARY_ORIGIN, varyBy } from './vary.js'

/** An answer as data. `body` is the whole text or bytes, or a slice of `bytes`, or nothing. */
export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | undefined
}

/** The policy of what is no document: nothing runs, nothing is loaded. */
export const PLAIN_POLICY = "default-src 'none'; sandbox"

/** Headers that every answer has, errors and 304 included. */
export function commonHeaders(cors: string): Record<string, string> {
  return {
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'cross-origin',
    ...(cors === '' ? {} : { 'Access-Control-Allow-Origin': cors }),
    ...(cors === '' || cors === '*' ? {} : varyBy(VARY_ORIGIN)),
  }
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

/** CORS of the JSON API (the Fetch standard): closed, but for the exact origins that the app names, credentials included. */
import type { IncomingMessage } from 'node:http'
import type { HttpResponse } from '../../http/response.js'
import { VARY_ORIGIN, varyBy } from '../../http/vary.js'

/** See the top of the file. */
export interface Cors {
  /** Whether a request comes from one of the origins. */
  isAllowed(req: IncomingMessage): boolean
  /** What any answer says of it. */
  fields(req: IncomingMessage): Readonly<Record<string, string>>
  /** The answer to a preflight; undefined for any other request. */
  preflight(req: IncomingMessage, methods: string): HttpResponse | undefined
}

const EXPOSED = 'Location, Retry-After, WWW-Authenticate, X-Request-Id'
/** What a page may send beside what it may in any case. */
const SENT = 'Authorization, Content-Type, X-Request-Id'
const MAX_AGE = '600'

/** Makes it for some origins, as browsers write them: `https://app.example.com`. */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins)
  const isAllowed = ({ headers: { origin } }: IncomingMessage): boolean =>
    origin !== undefined && allowed.has(origin)
  const fields = (req: IncomingMessage): Readonly<Record<string, string>> => {
    if (allowed.size === 0) return {}
    // The answer differs by origin, so a cache must too.
    if (!isAllowed(req)) return varyBy(VARY_ORIGIN)
    return {
      ...varyBy(VARY_ORIGIN),
      'Access-Control-Allow-Origin': req.headers.origin ?? '',
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': EXPOSED,
      'Cross-Origin-Resource-Policy': 'cross-origin',
    }
  }
  return {
    isAllowed,
    fields,
    preflight: (req, methods) => {
      const isPreflight =
        req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined
      if (!isPreflight || !isAllowed(req)) return undefined
      const { 'Access-Control-Expose-Headers': _exposed, ...shared } = fields(req)
      return {
        status: 204,
        headers: {
          ...shared,
          'Access-Control-Allow-Methods': methods,
          'Access-Control-Allow-Headers': SENT,
          'Access-Control-Max-Age': MAX_AGE,
          'Cache-Control': 'no-store',
        },
        body: undefined,
      }
    },
  }
}

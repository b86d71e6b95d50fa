/** What the routers of the JSON API share: request ids, JSON bodies, and failures as `{ "detail": … }`. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import { type HttpResponse, jsonResponse } from '../../http/response.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { requestId } from '../../model/request-id.js'
import { isWebUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import { type Problem, problemsOf } from '../management/schemas.js'
import { readBody, sendAndClose } from './body.js'
import type { Cors } from './cors.js'
import { parseLargeJson } from './large-json.js'
import { send } from './send.js'

/** A body that is not what it should be: answered 422, with what is wrong. */
export class BadBody extends Error {
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super('the body is not valid')
    this.problems = problems
  }
}

/** How one says who one is (RFC 6750 §3). */
const CHALLENGE = 'Bearer realm="express-artwork"'

/** What a guard of the app's says of a request. @throws ArtworkError `unauthenticated` (401), `refused` (403) */
export function judgeGuard(answer: unknown): void {
  if (answer === true) return
  if (answer === 'unauthenticated') throw new ArtworkError('unauthenticated', 'say who you are')
  throw new ArtworkError('refused', 'not authorised')
}

/** The refusal of another site's request, which names both hosts: one of them is not called as the app thinks. */
export function crossSiteError(req: IncomingMessage): ArtworkError {
  const { origin = 'another site', host = 'this host' } = req.headers
  const shown = (text: string): string => text.replace(/[^\x20-\x7e]/g, '').slice(0, 200)
  return new ArtworkError(
    'refused',
    `requests of other sites are not taken: this one is from ${shown(origin)}, and went to ${shown(host)}`,
  )
}

const JSON_ALLOWANCE = 64 * 1024

/** The JSON of a body; what a parser of the app has read already is taken from there. */
async function jsonOf(
  req: IncomingMessage,
  limits: { readonly maxBytes?: number; readonly timeout: number },
): Promise<unknown> {
  if (req.readableEnded && 'body' in req && typeof req.body === 'object') return req.body
  const bytes = await readBody(req, { maxBytes: JSON_ALLOWANCE, ...limits })
  try {
    return await parseLargeJson(bytes)
  } catch {
    throw new BadBody([{ loc: ['body'], msg: 'the body is not JSON', type: 'json_invalid' }])
  }
}

/** Reads and checks a JSON body. @throws BadBody, ArtworkError `too_large` (413), `slow_request` (408) */
export async function readJson<T extends z.ZodType>(
  req: IncomingMessage,
  schema: T,
  limits: { readonly maxBytes?: number; readonly timeout: number },
): Promise<z.output<T>> {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json'))
    throw new ArtworkError('unsupported', 'send application/json')
  const value = await jsonOf(req, limits)
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new BadBody(problemsOf(parsed.error, value))
  return parsed.data
}

/** The answer to a failure, as the JSON API words it. `invalid` in a body is 422, in a path 400. */
export function jsonFailure(thrown: unknown, statusOf?: (error: ArtworkError) => number): HttpResponse {
  if (thrown instanceof BadBody) return jsonResponse(422, { detail: thrown.problems })
  const error = asArtworkError(thrown)
  const status = statusOf?.(error) ?? error.status
  const plain = jsonResponse(status, { detail: error.message })
  const reply =
    status === 401 ? { ...plain, headers: { ...plain.headers, 'WWW-Authenticate': CHALLENGE } } : plain
  const waits = status === 503 || (status > 500 && error.retryAfter !== undefined)
  return waits
    ? { ...reply, headers: { ...reply.headers, 'Retry-After': String(error.retryAfter ?? 1) } }
    : reply
}

/**
 * Whether a browser says that another site sends a request. One that bears a token of its own is not sent by a
 * browser's habit, and may come from anywhere, unless that is not asked.
 * @param base what we are called from outside
 */
export function isCrossSite(req: IncomingMessage, isStrict = false, base = ''): boolean {
  const { origin, host, authorization } = req.headers
  const site = req.headers['sec-fetch-site']
  if (!isStrict && authorization !== undefined && /^Bearer /i.test(authorization)) return false
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  if (origin === undefined) return false
  if (!URL.canParse(origin)) return true
  // A proxy may have changed the host; what the app says that it is called counts too.
  return new URL(origin).host !== host && !(isWebUrl(base) && new URL(base).origin === origin)
}

/** Runs the work of a JSON route and sends what it comes to. Never throws. */
export async function answerJson(
  req: IncomingMessage,
  res: ServerResponse,
  settings: Pick<Settings, 'logger' | 'sendTimeout'>,
  work: () => Promise<HttpResponse | undefined>,
  cors?: Cors,
): Promise<void> {
  // Also for what is answered piece by piece.
  const told = cors?.fields(req) ?? {}
  for (const [name, value] of Object.entries(told)) res.setHeader(name, value)
  const id = requestId(req.headers['x-request-id'])
  let reply: HttpResponse | undefined
  try {
    reply = await work()
  } catch (error) {
    if (!(error instanceof BadBody) && asArtworkError(error).code === 'unknown')
      settings.logger.error({ err: error, requestId: id }, 'artwork: a request failed')
    reply = jsonFailure(error)
  }
  // It has been answered already, piece by piece.
  if (reply === undefined) return
  const named = { ...reply, headers: { ...reply.headers, ...told, 'X-Request-Id': id } }
  // An answer that came before the whole body: what is still coming is not read.
  const isUnread = !req.complete && reply.status >= 400
  if (isUnread) sendAndClose(req, res, named)
  else send(req, res, named, settings)
}

/** What the routers of the JSON API share: request ids, JSON bodies, and failures as `{ "detail": … }`. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import { errorResponse, type HttpResponse, jsonResponse } from '../../http/response.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { requestId } from '../../model/request-id.js'
import type { Settings } from '../../options/settings.js'
import { readBody, sendAndClose } from './body.js'
import type { Cors } from './cors.js'
import { parseLargeJson } from './large-json.js'
import { problemsOf } from './problems.js'
import type { Problem } from './schemas.js'
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

/** Whether a request has a body (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return length !== '0' && (length !== undefined || headers['transfer-encoding'] !== undefined)
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

/** The same as short text, for browsers. */
export function textFailure(thrown: unknown): HttpResponse {
  const error = toArtworkError(thrown)
  const reply = errorResponse(error, '')
  return error.status === 401
    ? { ...reply, headers: { ...reply.headers, 'WWW-Authenticate': CHALLENGE } }
    : reply
}

/** A body's failure as one of the table of errors. */
export function toArtworkError(thrown: unknown): ArtworkError {
  if (!(thrown instanceof BadBody)) return asArtworkError(thrown)
  const messages = thrown.problems.map(({ msg }) => msg)
  return new ArtworkError('bad_form', messages.join('; '), { cause: thrown })
}

/**
 * Runs the work of a JSON route and sends what it comes to. Never throws.
 * @param asAnswer the answer to a failure, where it is not JSON
 */
export async function answerJson(
  req: IncomingMessage,
  res: ServerResponse,
  settings: Pick<Settings, 'logger' | 'sendTimeout'>,
  work: () => Promise<HttpResponse | undefined>,
  cors?: Cors,
  asAnswer: (thrown: unknown) => HttpResponse = jsonFailure,
): Promise<void> {
  // Set here also for answers that are streamed.
  const corsFields = cors?.fields(req) ?? {}
  for (const [name, value] of Object.entries(corsFields)) res.setHeader(name, value)
  const id = requestId(req.headers['x-request-id'])
  let reply: HttpResponse | undefined
  try {
    reply = await work()
  } catch (error) {
    if (!(error instanceof BadBody) && asArtworkError(error).code === 'unknown')
      settings.logger.error({ err: error, requestId: id }, 'artwork: a request failed')
    reply = asAnswer(error)
  }
  // It has been streamed already.
  if (reply === undefined) return
  const named = { ...reply, headers: { ...reply.headers, ...corsFields, 'X-Request-Id': id } }
  // An answer that came before the whole body: what is still coming is not read.
  const isUnread = !req.complete && reply.status >= 400
  if (isUnread) sendAndClose(req, res, named)
  else send(req, res, named, settings)
}

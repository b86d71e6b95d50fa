/**
 * One exchange with an upstream: a single hop, bounded in bytes and time. node-fetch ignores `size` for a streamed
 * body, accepts truncated gzip, fetches `data:` URLs, and can cut a body that is longer than announced. So nothing is
 * decoded there, it follows no redirects, and bytes are counted here.
 */
import type { Agent } from 'node:http'
import fetch, { type Response } from 'node-fetch'
import { ArtworkError, codeOf } from '../model/failure.js'
import { decodeContent, tooLarge } from './content-encoding.js'

/** The bounds of one exchange. Bytes, and ms. */
export interface ExchangeLimits {
  readonly maxBytes: number
  readonly firstByteTimeout: number
  readonly idleTimeout: number
  /** Least mean rate of a body after its first seconds. 0: any. */
  readonly minBytesPerSecond: number
}

/** A response. `bytes` is empty where the body was not wanted. */
export interface Exchanged {
  readonly status: number
  readonly header: (name: string) => string | null
  readonly bytes: Buffer
}

/** A request. */
export interface Exchange {
  readonly url: URL
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly agent: Agent
  readonly signal: AbortSignal
  /** Whether the body of a response with this status is read. */
  readonly wantsBody: (status: number) => boolean
  /** Whether the beginning of an error's body is read; that it cannot be read is no failure. */
  readonly wantsErrorText?: (status: number) => boolean
  /** This many bytes of the body are enough: the rest is not waited for. */
  readonly enough?: number | undefined
}

/** Sends one request. @throws ArtworkError `connection`, `timeout`, `too_large`, `bad_answer`, `cancelled`, `refused` */
export async function exchange(request: Exchange, limits: ExchangeLimits): Promise<Exchanged> {
  const own = new AbortController()
  const stop = () => own.abort(request.signal.reason)
  if (request.signal.aborted) stop()
  request.signal.addEventListener('abort', stop, { once: true })
  const timeout = createTimeout(own)
  try {
    timeout.restart(limits.firstByteTimeout, 'the source did not answer in time')
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      agent: request.agent,
      redirect: 'manual',
      compress: false,
      signal: own.signal,
    })
    const { status, headers } = response
    const header = (name: string) => headers.get(name)
    const isWanted = request.method === 'GET' && request.wantsBody(status)
    if (!isWanted && request.wantsErrorText?.(status)) {
      const text = await readBody(response, { ...limits, maxBytes: MAX_ERROR_TEXT }, timeout).catch(() => {
        own.abort()
        return Buffer.alloc(0)
      })
      return { status, header, bytes: text }
    }
    const body = isWanted ? await readBody(response, limits, timeout, request.enough) : Buffer.alloc(0)
    const bytes = await decodeContent(body, header('content-encoding'), limits.maxBytes)
    if (!isWanted) discard(response, request.method, own, limits.idleTimeout)
    return { status, header, bytes }
  } catch (error) {
    const failure = translate(error, own.signal)
    // Whatever is still coming is not wanted.
    own.abort()
    throw failure
  } finally {
    timeout.stop()
    request.signal.removeEventListener('abort', stop)
  }
}

const SMALL = 16 * 1024
/** Bytes of an error's body that are read. */
const MAX_ERROR_TEXT = 4096
/** Seconds in which a body may be slower than the least rate. */
const SLOW_START = 3

/** Discards a body: an empty or small one is drained, so that the connection can be used again; the rest is cut. */
function discard(response: Response, method: string, own: AbortController, idleTimeout: number): void {
  const { body, status, headers } = response
  if (body === null) return
  body.on('error', () => {})
  const bodiless = method === 'HEAD' || status === 304 || status === 204
  if (!bodiless && !(Number(headers.get('content-length') ?? SMALL + 1) <= SMALL)) {
    own.abort()
    return
  }
  const timer = setTimeout(() => own.abort(), idleTimeout).unref()
  body.once('close', () => clearTimeout(timer))
  if ('resume' in body && typeof body.resume === 'function') body.resume()
}

/**
 * Aborts when nothing has arrived for too long. When the time is over, what has arrived while this process was busy is
 * handled first.
 */
function createTimeout(controller: AbortController) {
  let timer: NodeJS.Timeout | undefined
  let generation = 0
  const stop = (): void => {
    generation += 1
    clearTimeout(timer)
  }
  return {
    restart: (ms: number, why: string): void => {
      stop()
      const own = generation
      const expire = (): void => {
        if (own === generation) controller.abort(new ArtworkError('timeout', why))
      }
      timer = setTimeout(() => setImmediate(() => setImmediate(expire)), ms)
    },
    stop,
  }
}

/** Reads a body to its end, counting. @throws ArtworkError `too_large`, `bad_answer`, `timeout` */
async function readBody(
  response: Response,
  limits: ExchangeLimits,
  timeout: ReturnType<typeof createTimeout>,
  enough = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const announced = announcedLength(response)
  if (announced !== undefined && announced > limits.maxBytes && enough > limits.maxBytes) throw tooLarge()
  const body = gatherBody(enough === Number.POSITIVE_INFINITY ? announced : undefined)
  let received = 0
  const startedAt = performance.now()
  const isTooSlow = (): boolean => {
    const seconds = (performance.now() - startedAt) / 1000
    return seconds > SLOW_START && received / seconds < limits.minBytesPerSecond
  }
  if (response.body !== null) {
    timeout.restart(limits.idleTimeout, 'the source stopped sending')
    for await (const chunk of response.body) {
      const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
      received += piece.length
      if (received > limits.maxBytes) throw tooLarge()
      if (isTooSlow()) throw new ArtworkError('timeout', 'the source sends too slowly')
      body.add(piece)
      // Leaving the loop cuts the body.
      if (received >= enough) return body.whole()
      timeout.restart(limits.idleTimeout, 'the source stopped sending')
    }
  }
  if (announced !== undefined && announced !== received)
    throw new ArtworkError('bad_answer', 'the source sent another length than it announced')
  return body.whole()
}

/** Bytes of a body that room is made for at once. */
const FIRST_ROOM = 1024 ** 2

/**
 * The chunks of a body as one buffer. Where its length is known they are copied as they come, so that each dies young; room for what
 * has not come is made in steps, whatever was announced.
 */
function gatherBody(length: number | undefined) {
  if (length === undefined) {
    const chunks: Buffer[] = []
    return { add: (chunk: Buffer) => void chunks.push(chunk), whole: () => Buffer.concat(chunks) }
  }
  let bytes = Buffer.alloc(0)
  let at = 0
  return {
    add: (chunk: Buffer) => {
      const end = at + chunk.length
      if (end > bytes.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(end, Math.min(length, FIRST_ROOM + 2 * bytes.length)))
        bytes.copy(larger, 0, 0, at)
        bytes = larger
      }
      chunk.copy(bytes, at)
      at = end
    },
    whole: () => bytes.subarray(0, at),
  }
}

function announcedLength(response: Response): number | undefined {
  const text = response.headers.get('content-length')
  if (text === null) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new ArtworkError('bad_answer', 'the source announced no sound length')
  return Number(text)
}

/** Any failure of an exchange as a row of the table of errors. */
function translate(error: unknown, signal: AbortSignal): ArtworkError {
  if (error instanceof ArtworkError) return error
  if (signal.aborted && signal.reason instanceof ArtworkError) return signal.reason
  if (signal.aborted)
    return new ArtworkError('cancelled', 'nobody waits for this image any more', { cause: error })
  const code = codeOf(error)
  if (code === 'EREFUSEDADDRESS')
    return new ArtworkError('undialable', 'this host is not allowed', { cause: error })
  if (code === 'ECONNECTTIMEOUT' || code === 'ETIMEDOUT')
    return new ArtworkError('timeout', 'the source could not be reached in time', { cause: error })
  if (/^(?:ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL)/.test(code) || code === 'ENOTFOUND')
    return new ArtworkError('bad_answer', 'the source could not be reached', { cause: error })
  return new ArtworkError('connection', 'the connection to the source failed', { cause: error })
}

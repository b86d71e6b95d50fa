/**
 * One exchange with an upstream: a single hop, bounded in bytes and time. Knows node-fetch and its traps:
 * `size` is ignored for a streamed body, truncated gzip passes, `data:` URLs are fetched, a body longer than
 * announced can come out short. So: nothing is decoded there, no redirects of its own, bytes counted here.
 */
import type { Agent } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, type ZlibOptions } from 'node:zlib'
import fetch, { type Response } from 'node-fetch'
import { ArtworkError, codeOf } from '../model/failure.js'

/** The bounds of one exchange. Bytes, and ms. */
export interface ExchangeLimits {
  readonly maxBytes: number
  readonly firstByteTimeout: number
  readonly idleTimeout: number
  /** A body that comes slower than this in the mean, after its first seconds, is given up. 0: any. */
  readonly minBytesPerSecond: number
}

/** What an exchange brought. `bytes` is empty where the body was not wanted. */
export interface Exchanged {
  readonly status: number
  readonly header: (name: string) => string | null
  readonly bytes: Buffer
}

/** A question on the wire. */
export interface Exchange {
  readonly url: URL
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly agent: Agent
  readonly signal: AbortSignal
  /** Whether the body of an answer with this status is read. */
  readonly wantsBody: (status: number) => boolean
  /** Whether the first words of an answer with this status are read; what is wrong with them is no failure. */
  readonly wantsWords?: (status: number) => boolean
  /** So many bytes of the body are enough: the rest is not waited for. */
  readonly enough?: number | undefined
}

/** Asks once. @throws ArtworkError `connection`, `timeout`, `too_large`, `bad_answer`, `cancelled`, `refused` */
export async function exchange(asked: Exchange, limits: ExchangeLimits): Promise<Exchanged> {
  const own = new AbortController()
  const stop = () => own.abort(asked.signal.reason)
  if (asked.signal.aborted) stop()
  asked.signal.addEventListener('abort', stop, { once: true })
  const clock = watchdog(own)
  try {
    clock.wind(limits.firstByteTimeout, 'the source did not answer in time')
    const response = await fetch(asked.url, {
      method: asked.method,
      headers: asked.headers,
      agent: asked.agent,
      redirect: 'manual',
      compress: false,
      signal: own.signal,
    })
    const wanted = asked.method === 'GET' && asked.wantsBody(response.status)
    if (!wanted && asked.wantsWords?.(response.status)) {
      const words = await readBody(response, { ...limits, maxBytes: MOST_WORDS }, clock).catch(() => {
        own.abort()
        return Buffer.alloc(0)
      })
      return { status: response.status, header: (name) => response.headers.get(name), bytes: words }
    }
    const body = wanted ? await readBody(response, limits, clock, asked.enough) : Buffer.alloc(0)
    const bytes = await decoded(body, response.headers.get('content-encoding'), limits.maxBytes)
    if (!wanted) discard(response, asked, own, limits.idleTimeout)
    return { status: response.status, header: (name) => response.headers.get(name), bytes }
  } catch (error) {
    const failure = translate(error, own.signal)
    // Whatever is still coming is not wanted.
    own.abort()
    throw failure
  } finally {
    clock.stop()
    asked.signal.removeEventListener('abort', stop)
  }
}

const SMALL = 16 * 1024
/** Bytes of an answer whose words are read. */
const MOST_WORDS = 4096
/** Seconds in which a body may come as slowly as it likes. */
const SLOW_START = 3

/** A body nobody reads: an empty or small one drains, so that the connection is kept; the rest is cut. */
function discard(response: Response, asked: Exchange, own: AbortController, idleTimeout: number): void {
  const { body, status, headers } = response
  if (body === null) return
  body.on('error', () => {})
  const bodiless = asked.method === 'HEAD' || status === 304 || status === 204
  if (!bodiless && !(Number(headers.get('content-length') ?? SMALL + 1) <= SMALL)) {
    own.abort()
    return
  }
  const timer = setTimeout(() => own.abort(), idleTimeout).unref()
  body.once('close', () => clearTimeout(timer))
  if ('resume' in body && typeof body.resume === 'function') body.resume()
}

/** Aborts when nothing has happened for too long. A process that stalled itself looks first at what has come meanwhile. */
function watchdog(controller: AbortController) {
  let timer: NodeJS.Timeout | undefined
  let turn = 0
  const stop = (): void => {
    turn += 1
    clearTimeout(timer)
  }
  return {
    wind: (ms: number, why: string): void => {
      stop()
      const mine = turn
      const bark = (): void => {
        if (mine === turn) controller.abort(new ArtworkError('timeout', why))
      }
      timer = setTimeout(() => setImmediate(() => setImmediate(bark)), ms)
    },
    stop,
  }
}

/** Reads a body to its end, counting. @throws ArtworkError `too_large`, `bad_answer` */
async function readBody(
  response: Response,
  limits: ExchangeLimits,
  clock: ReturnType<typeof watchdog>,
  enough = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const announced = announcedLength(response)
  if (announced !== undefined && announced > limits.maxBytes && enough > limits.maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let received = 0
  const startedAt = performance.now()
  const isTooSlow = (): boolean => {
    const seconds = (performance.now() - startedAt) / 1000
    return seconds > SLOW_START && received / seconds < limits.minBytesPerSecond
  }
  if (response.body !== null) {
    clock.wind(limits.idleTimeout, 'the source stopped sending')
    for await (const chunk of response.body) {
      const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
      received += piece.length
      if (received > limits.maxBytes) throw tooLarge()
      if (isTooSlow()) throw new ArtworkError('timeout', 'the source sends too slowly')
      chunks.push(piece)
      // Leaving the loop cuts the body.
      if (received >= enough) return Buffer.concat(chunks, received)
      clock.wind(limits.idleTimeout, 'the source stopped sending')
    }
  }
  if (announced !== undefined && announced !== received)
    throw new ArtworkError('bad_answer', 'the source sent another length than it announced')
  return Buffer.concat(chunks, received)
}

/** Nobody encodes a picture more often than this. */
const MOST_CODINGS = 3
type Decode = (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>
const inflated = promisify<Buffer, ZlibOptions, Buffer>(inflate)
const rawInflated = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw)
const gunzipped = promisify<Buffer, ZlibOptions, Buffer>(gunzip)
/** Codings that a server may send though nobody asked for them (RFC 9110 §8.4.1). */
const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: gunzipped,
  'x-gzip': gunzipped,
  br: promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress as never),
  // Some send it without its frame.
  deflate: (bytes, options) =>
    inflated(bytes, options).catch((error) => {
      if (isOverBound(error)) throw error
      return rawInflated(bytes, options)
    }),
}
const isOverBound = (error: unknown): boolean => codeOf(error) === 'ERR_BUFFER_TOO_LARGE'

/**
 * A body without its codings. Empty members are none (RFC 9110 §5.6.1), and names that nobody knows say nothing: the
 * magic bytes decide then. @throws ArtworkError `too_large`, `bad_answer`
 */
async function decoded(body: Buffer, coding: string | null, maxBytes: number): Promise<Buffer> {
  const names = (coding ?? '').split(',').map((name) => name.trim().toLowerCase())
  const real = names.filter((name) => Object.hasOwn(DECODERS, name))
  if (real.length > MOST_CODINGS)
    throw new ArtworkError('bad_answer', 'the source sent a body that cannot be decoded')
  let bytes = body
  for (const name of names.reverse()) {
    const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
    if (decode === undefined || bytes.length === 0) continue
    try {
      bytes = await decode(bytes, { maxOutputLength: maxBytes })
    } catch (error) {
      if (isOverBound(error)) throw tooLarge()
      throw new ArtworkError('bad_answer', 'the source sent a body that cannot be decoded', { cause: error })
    }
  }
  return bytes
}

const tooLarge = (): ArtworkError => new ArtworkError('too_large', 'the image has too many bytes')

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
    return new ArtworkError('refused', 'this host is not allowed', { cause: error })
  if (code === 'ECONNECTTIMEOUT' || code === 'ETIMEDOUT')
    return new ArtworkError('timeout', 'the source could not be reached in time', { cause: error })
  if (/^(?:ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL)/.test(code) || code === 'ENOTFOUND')
    return new ArtworkError('bad_answer', 'the source could not be reached', { cause: error })
  return new ArtworkError('connection', 'the connection to the source failed', { cause: error })
}

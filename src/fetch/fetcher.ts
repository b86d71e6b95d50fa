/**
 * The fetcher: an original from where it lives. Redirects by hand with every hop checked, retries with jitter
 * and within one bound of time, a breaker per host, conditional requests, and the type told by the bytes.
 */

import { lookup as systemLookup } from 'node:dns'
import type { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { DelegateBackoff, handleWhen, retry } from 'cockatiel'
import { httpDate } from '../http/http-date.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import type { FetchRequest, Validators } from '../model/location.js'
import { type Kind, mayBeImage, mayBeSvg, sniff } from '../model/media-type.js'
import { createAgents } from './agents.js'
import { createCircuitBreakers } from './circuit-breaker.js'
import { type Exchanged, exchange } from './exchange.js'
import { checkUrl, type GuardOptions, guardedLookup, isExcepted } from './guard.js'
import { createPlaces } from './places.js'
import { createProxyPools, isProxyTrouble, type ProxyOptions, type ProxyStatus } from './proxy-pool.js'
import { type ResponseFreshness, readResponseFreshness } from './response-freshness.js'

/** Everything that bounds a fetch. Bytes, counts, and ms. */
export interface FetcherOptions extends GuardOptions {
  readonly maxBytes: number
  readonly connectTimeout: number
  readonly firstByteTimeout: number
  readonly idleTimeout: number
  readonly minBytesPerSecond: number
  /** All attempts together. */
  readonly totalTimeout: number
  readonly retries: number
  readonly maxRedirects: number
  readonly maxSockets: number
  readonly perHost: number
  readonly userAgent: string
  /** How we sign ourselves in `Via` (RFC 9110 §7.6.3). */
  readonly via: string
  readonly lookup: LookupFunction | undefined
  readonly proxies?: ProxyOptions | undefined
  readonly now: () => number
}

/** An original that came, or the word that the copy held is still right. */
export type Fetched =
  | ({ readonly outcome: 'not-modified' } & ResponseFreshness)
  | ({ readonly outcome: 'image'; readonly bytes: Buffer; readonly kind: Kind } & ResponseFreshness)

/** The port of the fetcher. */
export interface Fetcher {
  /** Fetches an image. @throws ArtworkError any row that has to do with an upstream */
  fetch(request: FetchRequest, validators?: Validators, signal?: AbortSignal): Promise<Fetched>
  /** The text of a small document; undefined where there is none. @throws ArtworkError as `fetch` does */
  document(request: FetchRequest, signal?: AbortSignal): Promise<string | undefined>
  /** Asks whether a URL answers with an image, without keeping it. @throws ArtworkError `refused`, `invalid` */
  probe(request: FetchRequest): Promise<boolean>
  /** Hosts whose breaker is open. */
  resting(): readonly string[]
  /** Names of the proxy pools. */
  pools(): readonly string[]
  /** How the proxies fare; no credentials in it. */
  proxies(): readonly ProxyStatus[]
  close(): void
}

const ACCEPT = 'image/webp,image/png,image/jpeg,image/gif,image/svg+xml;q=0.8,*/*;q=0.1'
const ACCEPT_DOCUMENT = 'application/did+ld+json,application/json'
const LARGEST_DOCUMENT = 64 * 1024
/** A 203 is a 200 that a proxy has been at: the bytes are looked at anyway (RFC 9110 §15.3.4). */
const WHOLE = new Set([200, 203])
const REDIRECTS = new Set([301, 302, 303, 307, 308])
const FIRST_BACKOFF = 150
/** Bytes that tell what a file is: the prolog of an SVG may be long. */
const PROBED_BYTES = 64 * 1024

/** Makes a fetcher; no socket is opened before the first fetch. */
export function createFetcher(options: FetcherOptions): Fetcher {
  const sockets = { perHost: options.perHost, connectTimeout: options.connectTimeout }
  const resolve = options.lookup ?? systemLookup
  const guarded = createAgents({ ...sockets, lookup: guardedLookup(resolve) })
  const excepted = createAgents({ ...sockets, lookup: resolve })
  const places = createPlaces(options)
  const breakers = createCircuitBreakers({ now: options.now })
  const pools = createProxyPools(options.proxies, {
    connectTimeout: options.connectTimeout,
    guarded: guardedLookup(resolve),
    plain: resolve,
    now: options.now,
  })
  const closing = new AbortController()

  type Watch = ReturnType<typeof pools.watch>
  /** One attempt, through one proxy where there are some. */
  const attempt = async (
    request: FetchRequest,
    method: 'GET' | 'HEAD',
    extra: Readonly<Record<string, string>>,
    signal: AbortSignal,
    watch: Watch,
    enough?: number,
  ): Promise<Exchanged> => {
    const turn = pools.next(request.pool, watch.tried)
    let isTunnelled = false
    const agentOf = (url: URL) => {
      const isException = isExcepted(url, options)
      isTunnelled = turn?.isTunnelled(url) ?? false
      return turn?.agentFor(url, isException) ?? (isException ? excepted : guarded).agentFor(url)
    }
    if (turn === undefined) return follow(request, method, extra, signal, agentOf, enough)
    let answer: Exchanged
    try {
      answer = await follow(request, method, extra, signal, agentOf, enough)
    } catch (error) {
      watch.failed(turn, error)
      throw error
    }
    watch.answered(turn, answer.status, isTunnelled)
    return answer
  }
  /** Hop after hop until an answer that is no redirect. */
  const follow = async (
    request: FetchRequest,
    method: 'GET' | 'HEAD',
    extra: Readonly<Record<string, string>>,
    signal: AbortSignal,
    agentOf: (url: URL) => Agent,
    enough?: number,
  ): Promise<Exchanged> => {
    const first = checkUrl(request.url, options, request.admits)
    let url = first
    for (let hop = 0; ; hop += 1) {
      const answer = await exchange(
        {
          url,
          method,
          headers: headersOf(
            fixedHeaders(options),
            url.origin === first.origin ? request.headersFor?.(url, isExcepted(url, options)) : undefined,
            extra,
          ),
          agent: agentOf(url),
          signal,
          wantsBody: (status) => WHOLE.has(status) || status === 206,
          wantsWords: (status) => status === 400 && request.isMissing !== undefined,
          enough,
        },
        { ...options, maxBytes: request.maxBytes ?? options.maxBytes },
      )
      if (!REDIRECTS.has(answer.status)) return answer
      const location = asText(answer.header('location'))
      if (location === null) throw new ArtworkError('bad_answer', 'the source redirected to nowhere')
      if (hop >= options.maxRedirects) throw new ArtworkError('bad_answer', 'the source redirects too often')
      url = nextHop(location, url, request)
    }
  }
  const nextHop = (location: string, from: URL, request: FetchRequest): URL => {
    try {
      return checkUrl(location, options, request.admits, from)
    } catch (error) {
      if (error instanceof ArtworkError && error.code === 'refused') throw error
      throw new ArtworkError('bad_answer', 'the source redirected to nowhere', { cause: error })
    }
  }

  /** Attempts until one succeeds or none can help any more, all within the total time. */
  const retryUntil = async <T>(
    url: URL,
    asker: AbortSignal | undefined,
    once: (signal: AbortSignal, watch: Watch) => Promise<T>,
  ): Promise<T> => {
    const watch = pools.watch()
    try {
      const result = await retryRequest(url, asker, (signal) => once(signal, watch))
      watch.end(true)
      return result
    } catch (error) {
      watch.end(false)
      throw error
    }
  }
  const retryRequest = async <T>(
    url: URL,
    asker: AbortSignal | undefined,
    once: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const late = new AbortController()
    let started = false
    const deadline = options.totalTimeout
    const startedAt = performance.now()
    const timer = setTimeout(
      () =>
        late.abort(started ? new ArtworkError('timeout', 'the source took too long in all') : overloaded()),
      deadline,
    )
    const begin = () => {
      started = true
      return once(signal)
    }
    const signal = AbortSignal.any([late.signal, closing.signal, ...(asker === undefined ? [] : [asker])])
    const left = () => deadline - (performance.now() - startedAt)
    const policy = retry(
      handleWhen((error) => {
        const failure = asArtworkError(error)
        return failure.retried && !signal.aborted && (failure.retryAfter ?? 0) * 1000 < left()
      }),
      {
        maxAttempts: options.retries,
        backoff: new DelegateBackoff(({ attempt: number, result }) => {
          const told = 'error' in result ? asArtworkError(result.error).retryAfter : undefined
          const step = FIRST_BACKOFF * 2 ** (number - 1)
          return told === undefined ? step * (0.5 + Math.random()) : told * 1000 + Math.random() * step
        }),
      },
    )
    const cancelled = (error: unknown) => {
      if (!signal.aborted) return error
      return signal.reason instanceof ArtworkError
        ? signal.reason
        : new ArtworkError('cancelled', 'nobody waits for this image any more')
    }
    try {
      return await breakers.run(
        url.host,
        () => policy.execute(() => places.run(url.host, begin, signal), signal),
        countsForBreaker,
      )
    } catch (error) {
      throw cancelled(error)
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    fetch: async (request, validators = {}, signal) => {
      const url = checkUrl(request.url, options, request.admits)
      const conditions = {
        ...(validators.etag === undefined ? {} : { 'If-None-Match': validators.etag }),
        ...(validators.lastModified === undefined ? {} : { 'If-Modified-Since': validators.lastModified }),
      }
      return retryUntil(url, signal, async (current, watch) => {
        const answer = await attempt(request, 'GET', conditions, current, watch)
        if (request.isMissing?.(answer.status, answer.bytes.toString('utf8').slice(0, 1000)))
          throw new ArtworkError('not_found', 'there is no such image')
        return judge(answer, Object.keys(conditions).length > 0, options.now())
      })
    },
    document: (request, signal) => {
      const url = checkUrl(request.url, options, request.admits)
      const small = { ...request, maxBytes: LARGEST_DOCUMENT }
      return retryUntil(url, signal, async (current, watch) => {
        const answer = await attempt(small, 'GET', { Accept: ACCEPT_DOCUMENT }, current, watch)
        const { status, bytes, header } = answer
        if (WHOLE.has(status)) return bytes.toString('utf8')
        if (status === 404 || status === 410) return undefined
        throw failureOf(status, header('retry-after'), options.now())
      })
    },
    probe: async (request) => {
      const url = checkUrl(request.url, options, request.admits)
      const isThere = ({ status }: Exchanged) => WHOLE.has(status) || status === 206
      const saysImage = (answer: Exchanged) =>
        isThere(answer) && /^image\//i.test(answer.header('content-type') ?? '')
      const ask = (method: 'GET' | 'HEAD', extra: Record<string, string>, enough?: number) =>
        retryUntil(url, undefined, (signal, watch) => attempt(request, method, extra, signal, watch, enough))
      // Storage services answer HEAD in their own ways: what does not affirm is asked for, a byte first.
      const head = await ask('HEAD', {}).catch((error) => {
        // Only an answer that makes no sense is asked again in another way.
        if (asArtworkError(error).code !== 'bad_answer') throw error
        return undefined
      })
      if (head !== undefined && saysImage(head)) return true
      const first = await ask('GET', { Range: 'bytes=0-0' }, PROBED_BYTES)
      if (saysImage(first)) return true
      if (!isThere(first) || !mayBeImage(first.header('content-type'))) return false
      // Nobody says what it is: its own first bytes do.
      const start = await ask('GET', { Range: `bytes=0-${PROBED_BYTES - 1}` }, PROBED_BYTES)
      return isThere(start) && isImage(start)
    },
    resting: () => breakers.open(),
    pools: pools.names,
    proxies: pools.status,
    close: () => {
      closing.abort(new ArtworkError('unavailable', 'shutting down'))
      guarded.close()
      excepted.close()
      pools.close()
    },
  }
}

const fixedHeaders = ({ userAgent, via }: FetcherOptions): Record<string, string> => ({
  Accept: ACCEPT,
  'Accept-Encoding': 'identity',
  'User-Agent': userAgent,
  Via: via,
})

/**
 * A header's value as text. Node reads bytes as Latin-1; what is valid UTF-8 is taken for that, as browsers and curl do.
 */
function asText(value: string | null): string | null {
  if (value === null || !/[\x80-\xff]/.test(value)) return value
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** Headers of one request, by name without regard to case; the later ones count. */
function headersOf(
  ...given: readonly (Readonly<Record<string, string>> | undefined)[]
): Record<string, string> {
  const found = new Map<string, readonly [name: string, value: string]>()
  for (const fields of given)
    for (const [name, value] of Object.entries(fields ?? {})) found.set(name.toLowerCase(), [name, value])
  return Object.fromEntries(found.values())
}

const overloaded = () =>
  new ArtworkError('unavailable', 'too many images are being fetched', { retryAfter: 2 })

const countsForBreaker = (error: unknown): boolean => {
  if (isProxyTrouble(error)) return false
  const { code } = asArtworkError(error)
  return code === 'connection' || code === 'upstream_failed' || code === 'timeout'
}

/** Turns an answer into an image, a "not modified", or the row of the table it stands for. */
function judge(answer: Exchanged, conditional: boolean, now: number): Fetched {
  const { status, header, bytes } = answer
  if (status === 304 && conditional)
    return { outcome: 'not-modified', ...readResponseFreshness(header, Date.now()) }
  if (status === 206 && !isWhole(header('content-range'), bytes.length))
    throw new ArtworkError('bad_answer', 'the source sent a part of the image')
  if (!WHOLE.has(status) && status !== 206) throw failureOf(status, header('retry-after'), now)
  if (!mayBeImage(header('content-type'))) throw new ArtworkError('unsupported', 'the source sent no image')
  if (bytes.length === 0) throw new ArtworkError('bad_answer', 'the source sent nothing')
  const kind = kindOf(answer)
  if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
  return { outcome: 'image', bytes, kind, ...readResponseFreshness(header, Date.now()) }
}

/** What a body is by its bytes; an SVG, which has no magic ones, by what was declared too. */
function kindOf({ header, bytes }: Exchanged): Kind | undefined {
  const kind = sniff(bytes)
  return kind === 'svg' && !mayBeSvg(header('content-type')) ? undefined : kind
}
const isImage = (answer: Exchanged): boolean =>
  mayBeImage(answer.header('content-type')) && kindOf(answer) !== undefined

function isWhole(contentRange: string | null, length: number): boolean {
  return contentRange === `bytes 0-${length - 1}/${length}`
}

function failureOf(status: number, retryAfter: string | null, now: number): ArtworkError {
  const plain = { upstreamStatus: status }
  if (status === 404) return new ArtworkError('not_found', 'there is no such image', plain)
  if (status === 410) return new ArtworkError('gone', 'the image is gone', plain)
  const about = { ...plain, retryAfter: retryAfterSeconds(retryAfter, now) }
  if (status === 429) return new ArtworkError('throttled', 'the source asks for patience', about)
  if (status >= 500)
    return new ArtworkError('upstream_failed', 'the source failed', status === 503 ? about : plain)
  if (status >= 400)
    return new ArtworkError('upstream_denied', 'the source does not give this image out', plain)
  return new ArtworkError('bad_answer', 'the source gave an answer that makes no sense', plain)
}

/** Seconds of a Retry-After, as a number or a date (RFC 9110 §10.2.3), within 1–300; undefined for garbage. */
function retryAfterSeconds(text: string | null, now: number): number | undefined {
  if (text === null) return undefined
  const date = httpDate(text)
  const wait =
    date !== undefined ? (date - now) / 1000 : /^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined
  return wait === undefined ? undefined : Math.min(Math.max(Math.ceil(wait), 1), 300)
}

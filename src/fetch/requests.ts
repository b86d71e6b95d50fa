/** The verbs of the fetcher, each a message that is sent until one attempt succeeds, and what is read from its response. */
import type { Agent } from 'node:http'
import { ArtworkError, asArtworkError, isHostFailure } from '../model/failure.js'
import type { FetchRequest, Validators } from '../model/location.js'
import { mayBeImage } from '../model/media-type.js'
import type { createCircuitBreakers } from './circuit-breaker.js'
import type { createConnectionLimits } from './connection-limits.js'
import type { Exchanged } from './exchange.js'
import type { Fetcher, FetcherOptions } from './ports.js'
import { isProxyTrouble } from './proxy-health.js'
import type { createProxyPools } from './proxy-pool.js'
import { followRedirects, type Message } from './redirects.js'
import { createDeadline, retryPolicy } from './retry.js'
import { checkUrl, isExcepted } from './ssrf-guard.js'
import {
  beginsAsImage,
  declaresImage,
  type Fetched,
  failureOf,
  hasContent,
  isComplete,
  readResponse,
} from './upstream-response.js'

/** What requests go through. */
export interface RequestParts {
  readonly pools: ReturnType<typeof createProxyPools>
  readonly limits: ReturnType<typeof createConnectionLimits>
  readonly breakers: ReturnType<typeof createCircuitBreakers>
  /** The agent of a URL that goes through no proxy. */
  agentFor(url: URL, isExcepted: boolean): Agent
  /** Aborted when the fetcher is closed. */
  readonly closing: AbortSignal
}

const ACCEPT_DOCUMENT = 'application/did+ld+json,application/json'
const MAX_DOCUMENT_BYTES = 64 * 1024
/** Bytes in which the type of a file can be found: the prolog of an SVG may be long. */
const PROBED_BYTES = 64 * 1024

/** Sends a message until one attempt succeeds, and reads its response. */
type Send = <T>(message: Message, read: (response: Exchanged) => T, signal?: AbortSignal) => Promise<T>

/** Makes the verbs. */
export function createRequests(
  options: FetcherOptions,
  { pools, limits, breakers, agentFor, closing }: RequestParts,
): Pick<Fetcher, 'fetch' | 'document' | 'probe'> {
  const { now } = options
  type Watch = ReturnType<typeof pools.watch>
  /** One attempt, through one proxy where there are some. */
  const attempt = async (message: Message, signal: AbortSignal, watch: Watch): Promise<Exchanged> => {
    const route = pools.next(message.request.pool, watch.tried)
    let isTunnelled = false
    const agentOf = (url: URL): Agent => {
      const isException = isExcepted(url, options)
      isTunnelled = route?.isTunnelled(url) ?? false
      return route?.agentFor(url, isException) ?? agentFor(url, isException)
    }
    const send = () => followRedirects(options, message, signal, agentOf)
    return route === undefined ? send() : watch.observe(route.health, send, () => isTunnelled)
  }
  const send: Send = async (message, read, signal) => {
    const { host } = checkUrl(message.request.url, options, message.request.admits)
    const watch = pools.watch()
    const deadline = createDeadline(options.totalTimeout, [closing, ...(signal ? [signal] : [])])
    const attemptOnce = async () => {
      deadline.begin()
      return read(await attempt(message, deadline.signal, watch))
    }
    try {
      const policy = retryPolicy(options.retries, deadline)
      const attempts = () =>
        policy.execute(() => limits.run(host, attemptOnce, deadline.signal), deadline.signal)
      const result = await breakers.run(host, attempts, countsForBreaker)
      watch.end(true)
      return result
    } catch (error) {
      watch.end(false)
      throw deadline.explain(error)
    } finally {
      deadline.clear()
    }
  }

  return {
    fetch: (request, validators = {}, signal) => fetchImage(send, request, validators, now, signal),
    document: (request, signal) => fetchDocument(send, request, now, signal),
    probe: (request) => probe(send, request),
  }
}

const countsForBreaker = (error: unknown): boolean =>
  !isProxyTrouble(error) && isHostFailure(asArtworkError(error))

async function fetchImage(
  send: Send,
  request: FetchRequest,
  { etag, lastModified }: Validators,
  now: () => number,
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const headers = {
    ...(etag !== undefined && { 'If-None-Match': etag }),
    ...(lastModified !== undefined && { 'If-Modified-Since': lastModified }),
  }
  const isConditional = etag !== undefined || lastModified !== undefined
  const read = (response: Exchanged): Fetched => {
    if (request.isMissing?.(response.status, response.bytes.toString('utf8').slice(0, 1000)))
      throw new ArtworkError('not_found', 'there is no such image')
    return readResponse(response, isConditional, now())
  }
  return send({ request, method: 'GET', headers }, read, signal)
}

async function fetchDocument(
  send: Send,
  request: FetchRequest,
  now: () => number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const small = { ...request, maxBytes: MAX_DOCUMENT_BYTES }
  const read = (response: Exchanged): string | undefined => {
    const { status, bytes } = response
    if (isComplete(status)) return bytes.toString('utf8')
    if (status === 404 || status === 410) return undefined
    throw failureOf(response, now())
  }
  return send({ request: small, method: 'GET', headers: { Accept: ACCEPT_DOCUMENT } }, read, signal)
}

/** Asks for the head, then for a byte, then for the beginning: storage services differ in how they answer HEAD. */
async function probe(send: Send, request: FetchRequest): Promise<boolean> {
  const ask = (message: Omit<Message, 'request'>) => send({ request, ...message }, (response) => response)
  const range = (last: number) =>
    ask({ method: 'GET', headers: { Range: `bytes=0-${last}` }, enough: PROBED_BYTES })
  const head = await ask({ method: 'HEAD', headers: {} }).catch((error) => {
    // Only after a response that makes no sense another way is tried.
    if (asArtworkError(error).code !== 'bad_answer') throw error
    return undefined
  })
  if (head !== undefined && declaresImage(head)) return true
  const first = await range(0)
  if (declaresImage(first)) return true
  if (!hasContent(first.status) || !mayBeImage(first.header('content-type'))) return false
  return beginsAsImage(await range(PROBED_BYTES - 1))
}

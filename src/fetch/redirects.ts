/** One attempt: a request and the redirects after it. Each hop is checked, and gets only the headers that are meant for its host. */
import type { Agent } from 'node:http'
import { ArtworkError, isRefusal } from '../model/failure.js'
import type { FetchRequest } from '../model/location.js'
import { type Exchanged, type ExchangeLimits, exchange } from './exchange.js'
import { checkUrl, type GuardOptions, isExcepted } from './ssrf-guard.js'
import { hasContent } from './upstream-response.js'

/** What bounds an attempt, and how we name ourselves in it. */
export interface RedirectOptions extends GuardOptions, ExchangeLimits {
  readonly maxRedirects: number
  readonly userAgent: string
  /** Our own entry in `Via` (RFC 9110 §7.6.3). */
  readonly via: string
}

const ACCEPT = 'image/webp,image/png,image/jpeg,image/gif,image/svg+xml;q=0.8,*/*;q=0.1'
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** A request as it is sent. */
export interface Message {
  readonly request: FetchRequest
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  /** This many bytes of the body are enough. */
  readonly enough?: number
}

/** Sends a message hop after hop until a response that is no redirect. @throws ArtworkError as `exchange` and `checkUrl` do */
export async function followRedirects(
  options: RedirectOptions,
  { request, method, headers, enough }: Message,
  signal: AbortSignal,
  agentFor: (url: URL) => Agent,
): Promise<Exchanged> {
  const first = checkUrl(request.url, options, request.admits)
  const limits = { ...options, maxBytes: request.maxBytes ?? options.maxBytes }
  const fixed = {
    Accept: ACCEPT,
    'Accept-Encoding': 'identity',
    'User-Agent': options.userAgent,
    Via: options.via,
  }
  let url = first
  for (let hop = 0; ; hop += 1) {
    const own = url.origin === first.origin ? request.headersFor?.(url, isExcepted(url, options)) : undefined
    const response = await exchange(
      {
        url,
        method,
        headers: mergeHeaders(fixed, own, headers),
        agent: agentFor(url),
        signal,
        wantsBody: hasContent,
        wantsErrorText: (status) => status === 400 && request.isMissing !== undefined,
        enough,
      },
      limits,
    )
    if (!REDIRECTS.has(response.status)) return response
    const location = asText(response.header('location'))
    if (location === null) throw new ArtworkError('bad_answer', 'the source redirected to nowhere')
    if (hop >= options.maxRedirects) throw new ArtworkError('bad_answer', 'the source redirects too often')
    url = nextHop(location, url, options, request)
  }
}

function nextHop(location: string, from: URL, options: RedirectOptions, { admits }: FetchRequest): URL {
  try {
    return checkUrl(location, options, admits, from)
  } catch (error) {
    if (error instanceof ArtworkError && isRefusal(error)) throw error
    throw new ArtworkError('bad_answer', 'the source redirected to nowhere', { cause: error })
  }
}

/** A header's value as text. Node reads bytes as Latin-1; valid UTF-8 is read as that, as browsers and curl do. */
function asText(value: string | null): string | null {
  if (value === null || !/[\x80-\xff]/.test(value)) return value
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** Headers of one request, by name without regard to case; the later ones count. */
function mergeHeaders(
  ...given: readonly (Readonly<Record<string, string>> | undefined)[]
): Record<string, string> {
  const found = new Map<string, readonly [name: string, value: string]>()
  for (const fields of given)
    for (const [name, value] of Object.entries(fields ?? {})) found.set(name.toLowerCase(), [name, value])
  return Object.fromEntries(found.values())
}

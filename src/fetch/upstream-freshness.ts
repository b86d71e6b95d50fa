/** How long a response is fresh, by upstream's own headers (RFC 9111 §4.2, RFC 5861). */
import { httpDate } from '../http/http-date.js'
import type { Validators } from '../model/location.js'
import { requirePackage } from '../package-files.js'

/** See the top of the file. Seconds. */
export interface ResponseFreshness extends Validators {
  /** Freshness that is left, below 0 where none is; undefined without such headers. */
  readonly freshSeconds: number | undefined
  /** The same for private caches, which ignore `s-maxage` (§5.2.2.10). */
  readonly clientSeconds: number | undefined
  /** Heuristic freshness: a tenth of the picture's age, at most a day (§4.2.2). */
  readonly guessSeconds: number
  /** How old it was when it came (§4.2.3). */
  readonly ageSeconds: number
  /** Whether a shared cache may store it: no `no-store`, `private`, `Vary: *` (§3, §4.1). */
  readonly storable: boolean
  /** How long past its freshness it may be used at once, and when upstream fails; 0 where that is forbidden. */
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
}

/** Of what says nothing of itself, such as bytes that came by no request. */
export const UNSTATED: ResponseFreshness = {
  freshSeconds: undefined,
  clientSeconds: undefined,
  guessSeconds: 0,
  ageSeconds: 0,
  storable: true,
  staleWhileRevalidate: 0,
  staleIfError: 0,
}

type Header = (name: string) => string | null

const NAMES = ['expires', 'date', 'age', 'etag', 'last-modified', 'pragma', 'vary'] as const
/** A date that is past by any clock. */
const LONG_AGO = new Date(0).toUTCString()
const LONGEST_GUESS = 86_400
/** The largest number of seconds (RFC 9111 §1.2.2). */
const LONGEST = 2 ** 31
/** Directives that are evaluated here. */
const OWN_RULES = new Set([
  'stale-while-revalidate',
  'stale-if-error',
  'immutable',
  'must-revalidate',
  'proxy-revalidate',
])
const DELTAS = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']

/** A number of seconds; undefined for other text (RFC 9111 §1.2.2). */
const delta = (text: string): number | undefined =>
  /^\d+$/.test(text) ? Math.min(Number(text), LONGEST) : undefined

/** The members of a list (RFC 9110 §5.6.1). */
const members = (text: string | undefined): readonly string[] =>
  (text ?? '').split(',').map((member) => member.trim())

/** `Cache-Control` by name; the first of two counts, a number that is none is 0: stale (§4.2.1). */
function directives(text: string | null): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name = '', quoted, bare] of (text ?? '').matchAll(
    /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g,
  )) {
    const key = name.toLowerCase()
    const value = quoted ?? bare ?? ''
    if (!found.has(key)) found.set(key, DELTAS.includes(key) ? String(delta(value) ?? 0) : value)
  }
  return found
}

/**
 * Reads a response's headers.
 * @param now when it came, ms since the epoch, by the real clock: upstream's dates go by that
 */
export function readResponseFreshness(header: Header, now: number): ResponseFreshness {
  const said = directives(header('cache-control'))
  const headers: Record<string, string> = {}
  for (const name of NAMES) {
    const value = header(name)
    if (value !== null) headers[name] = value
  }
  // Without what the library would count as lifetime, or as none: stale times, `immutable`, proxies.
  if (said.size > 0)
    headers['cache-control'] = [...said]
      .filter(([name]) => !OWN_RULES.has(name))
      .map(([name, value]) => (DELTAS.includes(name) ? `${name}=${value}` : name))
      .join(', ')
  const sent = httpDate(headers.date ?? '') ?? now
  headers.date = new Date(sent).toUTCString()
  // A date that cannot be read is past (§5.3).
  if (headers.expires !== undefined) {
    const expires = httpDate(headers.expires)
    headers.expires = expires === undefined ? LONG_AGO : new Date(expires).toUTCString()
  }
  const CachePolicy = requirePackage<typeof import('http-cache-semantics')>('http-cache-semantics')
  const lifetime = (isShared: boolean): number =>
    new CachePolicy(
      { url: '/', method: 'GET', headers: {} },
      { status: 200, headers },
      { shared: isShared },
    ).maxAge()
  // Its age when it came (§4.2.3). Of several, the first counts (§5.1).
  const apparent = Math.max(0, Math.floor((now - sent) / 1000))
  const age = Math.max(apparent, delta(members(headers.age).find((member) => member !== '') ?? '') ?? 0)
  const modified = httpDate(headers['last-modified'] ?? '') ?? Number.NaN
  // Each of these forbids to use what is stale (§4.2.4, §5.2.2.10).
  const mustAsk = ['must-revalidate', 'proxy-revalidate', 's-maxage', 'no-cache'].some((name) =>
    said.has(name),
  )
  const grace = (name: string): number => (mustAsk ? 0 : Number(said.get(name) ?? 0))
  const lasting = ['max-age', 'no-cache', 'no-store', 'private']
  const saysToAll = headers.expires !== undefined || lasting.some((name) => said.has(name))
  const left = (isShared: boolean): number => Math.floor(Math.min(lifetime(isShared), LONGEST) - age)
  return {
    freshSeconds: saysToAll || said.has('s-maxage') ? left(true) : undefined,
    clientSeconds: saysToAll ? left(false) : undefined,
    guessSeconds: Number.isNaN(modified)
      ? 0
      : Math.min(Math.max(0, Math.floor((sent - modified) / 10_000)), LONGEST_GUESS),
    ageSeconds: age,
    storable: !said.has('no-store') && !said.has('private') && !members(headers.vary).includes('*'),
    staleWhileRevalidate: grace('stale-while-revalidate'),
    staleIfError: grace('stale-if-error'),
    etag: headers.etag,
    lastModified: headers['last-modified'],
  }
}

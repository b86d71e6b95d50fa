/** What clients and shared caches may do with an answer, and what ours did: `Cache-Control`, `Age`, `Cache-Status` (RFC 9111, 5861, 8246, 9211, 9213). */

/** How long clients and shared caches may keep an answer. Seconds. */
export type CachePolicy =
  | {
      /** The URL names the content: it is never asked about again. */
      readonly kind: 'immutable'
      /** Seconds that it may be kept. */
      readonly maxAge: number
    }
  | {
      /** What the URL stands for may change: it is asked about again behind the answer. */
      readonly kind: 'revisited'
      /** Seconds that it may be kept. */
      readonly maxAge: number
      /** Seconds of `stale-while-revalidate` (RFC 5861). */
      readonly swr: number
      /** Seconds of `stale-if-error` (RFC 5861). */
      readonly sie: number
    }
  | {
      /** Kept for a while, and not a moment longer. */
      readonly kind: 'brief'
      /** Seconds that it may be kept. */
      readonly maxAge: number
    }
  /** By upstream's own rules: times count from when it was asked, as `Age` does. */
  | {
      /** As upstream says. */
      readonly kind: 'passed-on'
      /** Seconds that it may be kept. */
      readonly maxAge: number
      /** For shared caches, where that is something else. */
      readonly sharedMaxAge?: number | undefined
      /** Seconds of `stale-while-revalidate` (RFC 5861). */
      readonly swr: number
      /** Seconds of `stale-if-error` (RFC 5861). */
      readonly sie: number
    }
  | {
      /** Kept by nobody. */
      readonly kind: 'none'
    }

/** One year, the longest that makes sense: the URL names the content (RFC 8246 §2). */
export const FOREVER: CachePolicy = { kind: 'immutable', maxAge: 31_536_000 }

/** A URL whose picture may change: kept an hour, then revalidated in the background. */
export const DEFAULT_POLICY: CachePolicy = { kind: 'revisited', maxAge: 3600, swr: 86_400, sie: 604_800 }

/** A URL with the `?v=` of other bytes: today's, for a minute. */
export const VERSION_MISMATCH_POLICY: CachePolicy = { kind: 'brief', maxAge: 60 }

/** A picture that stands in for a better one, which is being made. */
export const PROVISIONAL_POLICY: CachePolicy = { kind: 'brief', maxAge: 30 }

/** The text of `Cache-Control`. */
export function cacheControl(policy: CachePolicy, isPrivate: boolean): string {
  const scope = isPrivate ? 'private' : 'public'
  switch (policy.kind) {
    case 'immutable':
      return `${scope}, max-age=${policy.maxAge}, immutable`
    case 'revisited':
      return `${scope}, max-age=${policy.maxAge}, stale-while-revalidate=${policy.swr}, stale-if-error=${policy.sie}`
    case 'brief':
      return `${scope}, max-age=${policy.maxAge}`
    case 'passed-on': {
      const { maxAge, sharedMaxAge, swr, sie } = policy
      return [
        `${scope}, max-age=${maxAge}`,
        sharedMaxAge === undefined || isPrivate ? '' : `, s-maxage=${sharedMaxAge}`,
        swr > 0 ? `, stale-while-revalidate=${swr}` : '',
        sie > 0 ? `, stale-if-error=${sie}` : '',
        swr > 0 || sie > 0 ? '' : ', must-revalidate',
      ].join('')
    }
    case 'none':
      return 'no-store'
  }
}

/** What an answer says of caches. */
export interface CachingRules {
  readonly cache: CachePolicy
  readonly isPrivate: boolean
  /** Seconds since upstream was asked about it; undefined where it has just come. */
  readonly age?: number | undefined
  /**
   * Whether CDNs have a field of their own that says how long they may store it (RFC 9213): true, as shared caches are; or
   * so many seconds for what may change.
   */
  readonly cdn?: boolean | number | undefined
  /** `Cache-Status`, undefined for none. */
  readonly cacheStatus?: string | undefined
}

/** The text of `CDN-Cache-Control` (RFC 9213 §3.1), undefined for none. */
function cdnCacheControl({ cache, isPrivate, cdn = false }: CachingRules): string | undefined {
  if (cdn === false || isPrivate || cache.kind === 'none') return undefined
  const isForUs = cache.kind === 'revisited' && typeof cdn === 'number'
  if (cache.kind === 'passed-on')
    return cacheControl(
      { ...cache, maxAge: cache.sharedMaxAge ?? cache.maxAge, sharedMaxAge: undefined },
      false,
    )
  return cacheControl(isForUs ? { ...cache, maxAge: cdn } : cache, false)
}

/**
 * `Age` as it is printed (RFC 9111 §5.1). Where the URL may stand for another picture tomorrow, we are the origin
 * that says how long it may be kept, and a cache in front has at least half of that.
 */
function ageField(policy: CachePolicy, age: number, cdn: boolean | number = false): number {
  const isWhole = policy.kind === 'immutable' || policy.kind === 'passed-on' || policy.kind === 'none'
  const least = typeof cdn === 'number' && policy.kind === 'revisited' ? cdn : Number.POSITIVE_INFINITY
  return Math.max(0, isWhole ? age : Math.min(age, Math.floor(Math.min(policy.maxAge, least) / 2)))
}

/** A policy that ends by then (a signature's end), seconds from now: nobody may use the answer later. */
export function expireBy(policy: CachePolicy, left: number, age: number): CachePolicy {
  if (policy.kind === 'none') return policy
  // What is left for who gets it is `max-age` less the Age that is printed, which is half of it at most.
  const rest = Math.max(0, left)
  return { kind: 'brief', maxAge: Math.min(policy.maxAge, age <= rest ? rest + age : 2 * rest) }
}

/** What became of a request in our cache (RFC 9211). `ttl` is the freshness that is left, seconds. */
export function cacheStatus(
  forward:
    | {
        readonly why: 'miss' | 'stale'
        readonly status?: number | undefined
        readonly collapsed: boolean
      }
    | undefined,
  isStored: boolean,
  ttl: number | undefined,
): string {
  const left = ttl === undefined ? '' : `; ttl=${ttl}`
  if (forward === undefined) return `express-artwork; hit${left}`
  const { why, status, collapsed } = forward
  if (collapsed) return `express-artwork; fwd=${why}; collapsed`
  const fwdStatus = status === undefined ? '' : `; fwd-status=${status}`
  return `express-artwork; fwd=${why}${fwdStatus}${isStored && status === 200 ? '; stored' : ''}${left}`
}

/** The header fields that say how an answer came about; they change from second to second. */
export function volatileHeaders(rules: CachingRules): Record<string, string> {
  const cdn = cdnCacheControl(rules)
  return {
    'Cache-Control': cacheControl(rules.cache, rules.isPrivate),
    ...(cdn === undefined ? {} : { 'CDN-Cache-Control': cdn }),
    ...(rules.age === undefined ? {} : { Age: String(ageField(rules.cache, rules.age, rules.cdn)) }),
    ...(rules.cacheStatus === undefined ? {} : { 'Cache-Status': rules.cacheStatus }),
  }
}

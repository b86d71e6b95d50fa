/** Freshness (RFC 9111 §4.2, RFC 5861): how an original may be used now, and how long after a validation. Pure. */
import type { Entry } from './entry.js'

/** How long originals are good for, ms. */
export interface FreshnessPolicy {
  /** Longest time an original is fresh. */
  readonly maxAge: number
  /** After that: how long it is served at once while it is refreshed in the background (RFC 5861 §3). */
  readonly staleWhileRevalidate: number
  /** After that: how long it still stands in when upstream fails (RFC 5861 §4). */
  readonly staleIfError: number
}

/**
 * How an original may be used now.
 * - `fresh`: serve
 * - `stale`: serve, and refresh in the background
 * - `overdue`: refresh first; serve the old one if that fails
 * - `dead`: refresh first; never serve the old one
 */
export type Freshness = 'fresh' | 'stale' | 'overdue' | 'dead'

/** A clock that was set back this far is taken at its word; further, and the entry is checked again. */
const CLOCK_SLACK = 60_000

/** What of an entry its freshness follows from. */
export type FreshnessFacts = Pick<
  Entry,
  'validatedAt' | 'freshnessLifetime' | 'staleWhileRevalidate' | 'staleIfError'
>

/** `freshnessLifetime` of what never changes under its key: an upload, or an image that is named by its digest. */
export const NEVER_STALE = 8_640_000_000_000

/** Whether an original may ever be another image. */
export const canExpire = (entry: Pick<Entry, 'freshnessLifetime'>): boolean =>
  entry.freshnessLifetime < NEVER_STALE

/** When an original stops being fresh, ms since the epoch. Upstream's own rules (`strict`) have no other bound. */
export const freshUntil = (entry: FreshnessFacts, policy: FreshnessPolicy): number =>
  entry.validatedAt +
  (entry.staleIfError === undefined
    ? Math.min(entry.freshnessLifetime, policy.maxAge)
    : entry.freshnessLifetime)

/** Decides the freshness of an original (RFC 9111 §4.2, RFC 5861). */
export function freshnessOf(entry: FreshnessFacts, policy: FreshnessPolicy, now: number): Freshness {
  if (!canExpire(entry)) return 'fresh'
  if (entry.validatedAt > now + CLOCK_SLACK) return 'stale'
  const past = now - freshUntil(entry, policy)
  if (past < 0) return 'fresh'
  const within = (grace: number): boolean => grace > 0 && past <= grace
  if (within(entry.staleWhileRevalidate ?? policy.staleWhileRevalidate)) return 'stale'
  return within(entry.staleIfError ?? policy.staleIfError) ? 'overdue' : 'dead'
}

const ONE_HOUR = 3_600_000

/**
 * How long an original is fresh, ms: what upstream says, between one hour and `maxAge`; `maxAge` where it says nothing.
 * @param freshSeconds seconds of freshness by upstream's own fields
 */
export function boundedFreshness(freshSeconds: number | undefined, maxAge: number): number {
  if (freshSeconds === undefined) return maxAge
  return Math.min(Math.max(freshSeconds * 1000, Math.min(ONE_HOUR, maxAge)), maxAge)
}

/** What upstream's response says of its freshness; see `fetch/upstream-freshness.ts`. Seconds. */
export interface ReportedFreshness {
  readonly outcome: 'image' | 'not-modified'
  /** What is left of its lifetime when it came; below 0 where it was stale. */
  readonly freshSeconds: number | undefined
  readonly clientSeconds: number | undefined
  readonly guessSeconds: number
  readonly ageSeconds: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
}

/** Which rules an original's freshness follows. */
export type FreshnessRules = 'immutable' | 'bounded' | 'strict'

/** Facts of an entry that a validation sets. */
export type FreshnessUpdate = Required<FreshnessFacts> & Pick<Entry, 'clientFreshnessLifetime'>

/**
 * How long an original may be used after upstream's response.
 * - `immutable`: for good
 * - `bounded`: between one hour and `maxAge`; `maxAge` where upstream says nothing
 * - `strict`: as upstream says, its age included (RFC 9111 §4.2); a 304 that says nothing changes nothing (§3.2)
 */
export function freshnessAfter(
  reported: ReportedFreshness,
  rules: FreshnessRules,
  stored: Entry | undefined,
  { now, maxAge }: { readonly now: number; readonly maxAge: number },
): FreshnessUpdate {
  const none = {
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
    clientFreshnessLifetime: undefined,
  }
  if (rules === 'immutable') return { ...none, validatedAt: now, freshnessLifetime: NEVER_STALE }
  const { freshSeconds, ageSeconds } = reported
  if (rules === 'bounded')
    return { ...none, validatedAt: now, freshnessLifetime: boundedFreshness(freshSeconds, maxAge) }
  const isSilent = reported.outcome === 'not-modified' && freshSeconds === undefined
  if (isSilent && stored?.staleIfError !== undefined) {
    const { freshnessLifetime, staleWhileRevalidate, staleIfError, clientFreshnessLifetime } = stored
    return {
      validatedAt: now,
      freshnessLifetime,
      staleWhileRevalidate,
      staleIfError,
      clientFreshnessLifetime,
    }
  }
  // The heuristic lifetime counts from when it was made, too (§4.2.2).
  const lifetime = (left: number | undefined): number =>
    (left === undefined ? reported.guessSeconds : left + ageSeconds) * 1000
  const [freshnessLifetime, clientLifetime] = [lifetime(freshSeconds), lifetime(reported.clientSeconds)]
  return {
    validatedAt: now - ageSeconds * 1000,
    freshnessLifetime,
    staleWhileRevalidate: reported.staleWhileRevalidate * 1000,
    staleIfError: reported.staleIfError * 1000,
    clientFreshnessLifetime: clientLifetime === freshnessLifetime ? undefined : clientLifetime,
  }
}

/** An Entry is what is known of a stored image. Only originals age; freshness is a value, decided here. */

/** What a stored name is: fetched as it is, made from an original, or an entity's second name for made bytes. */
export type Role = 'original' | 'rendition' | 'artwork'

/** What the bytes of an original tell beside its sides, and every choice of a format asks. */
export interface Traits {
  /** Pictures that follow each other in time; 1 for a still picture. */
  readonly frames: number
  /** Whether some of it may be transparent. */
  readonly alpha: boolean
  /** Whether its encoding loses nothing: a palette, a PNG, a lossless WebP. */
  readonly lossless: boolean
  /** Whether the first version of the pipeline made another picture of it, so that what that made is made anew. */
  readonly isRevised: boolean
}

/** The facts of a stored image. Times in ms since the epoch, sizes in bytes, sides in pixels (upright). */
export interface Entry {
  /** Key in the store: `images/{address}` or `local/{artwork path}`. */
  readonly key: string
  readonly role: Role
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly size: number
  /** Media type, told by the bytes. */
  readonly type: string
  /** 0 where unknown (SVG). */
  readonly width: number
  readonly height: number
  /** When these bytes were stored. */
  readonly storedAt: number
  /** Originals: when upstream was last asked about them. */
  readonly validatedAt: number
  /** Originals: how long they are fresh after that, ms. */
  readonly freshnessLifetime: number
  /**
   * Originals kept by upstream's own rules (`freshness.upstream: 'strict'`): how long they may be used after that,
   * ms, at once and when upstream fails.
   */
  readonly staleWhileRevalidate?: number | undefined
  readonly staleIfError?: number | undefined
  /** Where upstream told private caches something else than shared ones: how long those may keep it, ms. */
  readonly clientFreshnessLifetime?: number | undefined
  /** Whether the bytes are held; a row may outlive them. */
  readonly isStored: boolean
  /** Originals: upstream's validators. */
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
  /** Originals and artwork: where the picture came from. */
  readonly sourceUrl?: string | undefined
  /** Renditions and artwork: the name of the original, its digest when this was made, and the recipe. */
  readonly original?: string | undefined
  readonly madeFrom?: string | undefined
  readonly recipe?: string | undefined
  /** Artwork: the entity it belongs to. */
  readonly ownerKind?: string | undefined
  readonly ownerId?: string | undefined
  /** Originals: unknown where an earlier version stored it. */
  readonly traits?: Traits | undefined
  /** Renditions: the recipe of the AVIF of the same picture that came out no smaller than this. */
  readonly smallerThan?: string | undefined
}

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
export type Ageing = Pick<
  Entry,
  'validatedAt' | 'freshnessLifetime' | 'staleWhileRevalidate' | 'staleIfError'
>

/** `freshFor` of what its name stands for forever: an upload, or a picture that is named by its digest. */
export const NEVER_STALE = 8_640_000_000_000

/** Whether an original can ever be another picture. */
export const canExpire = (entry: Pick<Entry, 'freshnessLifetime'>): boolean =>
  entry.freshnessLifetime < NEVER_STALE

/** When an original stops being fresh, ms since the epoch. What is kept by upstream's own rules has no other bound. */
export const freshUntil = (entry: Ageing, policy: FreshnessPolicy): number =>
  entry.validatedAt +
  (entry.staleIfError === undefined
    ? Math.min(entry.freshnessLifetime, policy.maxAge)
    : entry.freshnessLifetime)

/** Decides the freshness of an original (RFC 9111 §4.2, RFC 5861). */
export function freshnessOf(entry: Ageing, policy: FreshnessPolicy, now: number): Freshness {
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
 * How long an original is fresh, ms, from what upstream said and the bounded rule: kept between one hour and
 * `maxAge`, and `maxAge` where upstream said nothing.
 * @param told seconds of freshness by upstream's own headers, undefined for none
 */
export function boundedFreshness(told: number | undefined, maxAge: number): number {
  if (told === undefined) return maxAge
  return Math.min(Math.max(told * 1000, Math.min(ONE_HOUR, maxAge)), maxAge)
}

/** The store name of an image address. */
export const imageKey = (addressText: string): string => `images/${addressText}`

/** The store name of an artwork path. */
export const entityImageKey = (path: string): string => `local/${path}`

/** An Entry is what is known of a stored image, under its key. How long it may be used: `freshness.ts`. */

import type { FocalPoint } from './focal-point.js'

/** What a stored name is: fetched as it is, made from an original, or an entity's second name for made bytes. */
export type Role = 'original' | 'rendition' | 'artwork'

/** What is seen of an image before it has come. */
export interface Preview {
  /** Dominant colour, `#rrggbb`. */
  readonly color: string
  /** ThumbHash, base64. */
  readonly thumbhash: string
}

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
  /** Unknown where an earlier version stored it, and of an SVG. */
  readonly preview?: Preview | undefined
}

/** The facts of a stored image. Times in ms since the epoch, sizes in bytes, sides in pixels (upright). */
export interface Entry {
  /** Key in the store: `images/{address}` or `local/{artwork path}`. */
  readonly key: string
  readonly role: Role
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly size: number
  /** Media type, by the bytes. */
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
  /** Where upstream gives private caches another lifetime than shared ones: how long those may keep it, ms. */
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
  /** Originals: what of it stays in sight where it is cut, as somebody has said. */
  readonly focalPoint?: FocalPoint | undefined
  /** Renditions: the recipe of the AVIF of the same picture that came out no smaller than this. */
  readonly smallerThan?: string | undefined
}

/** Where keys of images and of entities' images begin. On disk, and so for good. */
const IMAGES = 'images/'
const ENTITY_IMAGES = 'local/'

/** The key of an image address. */
export const imageKey = (addressText: string): string => IMAGES + addressText

/** The key of an artwork path. */
export const entityImageKey = (path: string): string => ENTITY_IMAGES + path

/** The address text of a key; undefined for the key of an entity's image. */
export const addressOfKey = (key: string): string | undefined =>
  key.startsWith(IMAGES) ? key.slice(IMAGES.length) : undefined

/** The artwork path of a key; undefined for the key of any other image. */
export const pathOfKey = (key: string): string | undefined =>
  key.startsWith(ENTITY_IMAGES) ? key.slice(ENTITY_IMAGES.length) : undefined

/** What a page may want to know of an image beside its sides; each is left out where it is not known. */
export interface Looks {
  /** Whether some of it may be transparent. */
  readonly alpha?: boolean
  /** Whether it moves. */
  readonly animated?: boolean
  /** Dominant colour, `#rrggbb`. */
  readonly color?: string
  /** ThumbHash, base64. */
  readonly thumbhash?: string
}

/** The looks of an original. */
export const looksOf = (traits: Traits | undefined): Looks =>
  traits === undefined ? {} : { alpha: traits.alpha, animated: traits.frames > 1, ...(traits.preview ?? {}) }

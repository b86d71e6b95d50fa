/** The shapes of an image on its way through the pipeline: what is known of an original, and an image in hand. */
import type { Negotiation } from '../http/accept.js'
import type { Entry } from '../model/entry.js'
import type { ArtworkError } from '../model/failure.js'
import type { FullRecipe, Recipe } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Made } from '../transform/transformer.js'

/** How upstream was asked, for `Age` and `Cache-Status` (RFC 9111 §5.1, RFC 9211). */
export interface Forward {
  /** Nothing was stored, or what was stored was stale. */
  readonly why: 'miss' | 'stale'
  /** What upstream answered, where it answered this request. */
  readonly status: number | undefined
  /** Whether this request waited for another one's (RFC 9211 §2.6). */
  readonly collapsed: boolean
}

/** An original whose facts are known; its bytes come along when they were just fetched. */
export interface KnownOriginal {
  readonly entry: Entry
  readonly bytes?: Buffer
  /** Upstream forbids to store it. */
  readonly isTransient?: boolean
  /** It was purged while it was fetched: neither it nor what is made of it is stored. */
  readonly isPurged?: boolean
  /** The purge generation when it was asked for, where that was just now: what is made of it falls with it. */
  readonly generation?: number
  readonly forward?: Forward
  /** What was made of it in the same job that looked at it. */
  readonly made?: FirstMade
}

/** A rendition from the first look at an original, or why it cannot be made. */
export interface FirstMade {
  readonly recipe: FullRecipe
  readonly result: Made | ArtworkError
}

/** An image in hand. */
export interface ImageResult {
  readonly entry: Entry
  readonly bytes: Buffer
  readonly from: 'memory' | 'disk' | 'upstream'
  /** What it was made from, where that is known; an original is its own. */
  readonly original?: Entry
  readonly forward?: Forward
  /** Nobody may store it, nor what is made of it. */
  readonly isTransient?: boolean
  readonly isPurged?: boolean
  /** Of an `auto` variant: what its format was chosen by. */
  readonly negotiation?: Negotiation
  /** It stands in for a better format that is being made. */
  readonly isInterim?: boolean
}

/** What the caller of the pipeline says. */
export interface RequestOptions {
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
  /** Answers from what is stored, or not at all (`Cache-Control: only-if-cached`). */
  readonly onlyIfCached?: boolean | undefined
  /** The request has no signature, at a source where that makes a difference. */
  readonly isUnsigned?: boolean | undefined
  /** Which client it is, so that clients take turns. */
  readonly client?: string | undefined
  /** Whether an SVG is given as it is where another form of it is asked for. */
  readonly passesSvg?: boolean | undefined
  /** Nobody waits for it: it is made after all that somebody waits for. */
  readonly isBackground?: boolean | undefined
  /** What will be made of the original: where it has to be fetched, both are done in one job. */
  readonly recipe?: Recipe | undefined
  /** The recipe is only likely: the original itself may be the answer. */
  readonly isLikely?: boolean | undefined
  /** It is an answer, which does not wait for a disk that is slow. */
  readonly isBehind?: boolean | undefined
}

/**
 * What was handed over to be stored, once it is: where it could not be, its entry says so.
 * @param isBehind it is an answer, and waits for `disk.writeTimeout` at most
 */
export async function onceStored<T extends Pick<KnownOriginal, 'entry'>>(
  {
    store,
    settings,
  }: { readonly store: Pick<Store, 'settled' | 'find'>; readonly settings: Pick<Settings, 'disk'> },
  image: T,
  isBehind = false,
): Promise<T> {
  const { entry } = image
  if (!entry.isStored) return image
  await store.settled(entry.key, isBehind ? settings.disk.writeTimeout : undefined)
  // One that failed before may have been forgotten: what is there counts.
  const isStored = store.find(entry.key)?.digest === entry.digest
  return isStored ? image : { ...image, entry: { ...entry, isStored } }
}

/** `forward` as a field, or none. */
export const withForward = (forward: Forward | undefined): { readonly forward?: Forward } =>
  forward === undefined ? {} : { forward }

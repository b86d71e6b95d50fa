/** Originals: looked up, judged by their freshness, revalidated, or served stale while upstream cannot be asked. */
import type { Events } from '../events.js'
import { type Entry, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError, isUnreachable } from '../model/failure.js'
import { freshnessOf } from '../model/freshness.js'
import type { Kind } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'
import { type FetchOriginal, isStrict, kindOf } from './fetch-original.js'
import type { FileOriginals } from './file-originals.js'
import type { Forward, ImageResult, KnownOriginal, RequestOptions } from './image.js'
import { withForward } from './image.js'
import type { Original } from './resolve-address.js'

/** What originals work with. */
export interface OriginalParts {
  readonly settings: Pick<Settings, 'now' | 'freshness'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'read' | 'update' | 'touch'>
  readonly transformer: Pick<Transformer, 'inspect'>
  readonly events: Pick<Events, 'emit'>
  readonly fetchOriginal: FetchOriginal
  readonly files: FileOriginals
  /** Whether it can be known which uploads there are. */
  readonly areUploadsOpen: () => boolean
}

/** Formats whose traits nobody needs to look for: a JPEG never moves and has no alpha, an SVG is given as it is. */
const WITHOUT_TRAITS: ReadonlySet<Kind> = new Set(['jpeg', 'svg'])

/** How upstream was asked in vain for what a stored image stands in for; undefined where it was not asked. */
export function forwardOf(why: Forward['why'], thrown: unknown, collapsed = false): Forward | undefined {
  const { isRecalled, code, upstreamStatus } = asArtworkError(thrown)
  if (isRecalled || code === 'unavailable' || code === 'not_held') return undefined
  return { why, status: collapsed ? undefined : upstreamStatus, collapsed }
}

/** Whether all is known of an original that the choice of a format asks. */
export const hasTraits = (entry: Entry): boolean =>
  entry.traits !== undefined || WITHOUT_TRAITS.has(kindOf(entry))

/** Originals whose previews were looked for, so many. */
const MAX_ASKED = 10_000

const notStored = (): never => {
  throw new ArtworkError('not_held', 'the image is not held')
}

/** Makes the part of the pipeline that has to do with originals. */
export function createOriginals(parts: OriginalParts) {
  const asked = createRecent<true>(MAX_ASKED)
  return {
    /** The facts of an original, fetched where there are none. @throws ArtworkError */
    obtain: (original: Original, options: RequestOptions = {}) => obtain(parts, original, options),
    /** An original whose facts are known with its bytes, fetched again where they are gone. @throws ArtworkError */
    bytes: (original: Original, known: KnownOriginal, options: RequestOptions = {}) =>
      readBytes(parts, original, known, options),
    /** An original with its traits: they are looked for where an earlier version, or an upload, left them out. */
    withTraits: async (
      original: Original,
      known: KnownOriginal,
      options: RequestOptions = {},
    ): Promise<KnownOriginal> => {
      if (hasTraits(known.entry)) {
        addPreview(parts, asked, original, known)
        return known
      }
      const found = await readBytes(parts, original, known, options)
      const { traits } = await parts.transformer.inspect(found.bytes, kindOf(found.entry), options)
      return { ...found, entry: parts.store.update(found.entry, { traits }) }
    },
    /**
     * Asks upstream about an original now, whatever its age.
     * @param isWhole fetch it whole, even when it is stored
     */
    refresh: async (
      original: Original,
      isWhole = false,
    ): Promise<{ readonly entry: Entry; readonly changed: boolean }> => {
      const before = await find(parts, original)
      if (original.source.isLocal) {
        const { entry } = await parts.files.obtain(original, before, {})
        return { entry, changed: before !== undefined && before.digest !== entry.digest }
      }
      const { isLasting, isHosted } = original.source
      // What never changes under its key need not be asked about.
      if (before !== undefined && isLasting && (before.isStored || isHosted))
        return { entry: before, changed: false }
      const stored = isWhole ? undefined : before
      const { entry } = await parts.fetchOriginal.revalidate(original, stored, true)
      return { entry, changed: before !== undefined && before.digest !== entry.digest }
    },
    /** Whether what was made from an original may stand in for it, though it cannot be asked for any more. */
    mayStandIn: (original: Original, error: unknown): boolean =>
      parts.store.find(imageKey(original.text)) === undefined &&
      !isStrict(parts.settings, original) &&
      isUnreachable(asArtworkError(error)),
  }
}

/**
 * Looks for the preview of what an earlier version stored without, behind everything that somebody waits for. What has none
 * is not looked at again in this process.
 */
function addPreview(
  parts: OriginalParts,
  asked: ReturnType<typeof createRecent<true>>,
  original: Original,
  { entry }: KnownOriginal,
): void {
  const kind = kindOf(entry)
  if (entry.traits?.preview !== undefined || kind === 'svg' || !entry.isStored) return
  if (asked.get(entry.digest) === true) return
  asked.set(entry.digest, true)
  const later = { onlyIfCached: true, isBackground: true }
  readBytes(parts, original, { entry }, later)
    .then(({ bytes }) => parts.transformer.inspect(bytes, kind, later))
    .then(({ traits }) => {
      const now = parts.store.find(entry.key)
      if (now?.digest === entry.digest && traits.preview !== undefined) parts.store.update(now, { traits })
    })
    .catch(() => {})
}

/** See the top of the file. */
export type Originals = ReturnType<typeof createOriginals>

async function find({ store }: OriginalParts, original: Original): Promise<Entry | undefined> {
  const key = imageKey(original.text)
  return store.lookup(key, key)
}

/** By the rule of freshness (RFC 9111 §4.2, RFC 5861). */
async function obtain(
  parts: OriginalParts,
  original: Original,
  options: RequestOptions,
): Promise<KnownOriginal> {
  const { settings, events, fetchOriginal } = parts
  const entry = await find(parts, original)
  if (original.source.isLocal) return parts.files.obtain(original, entry, options)
  if (entry === undefined) {
    if (original.source.isHosted) throw missingUpload(parts)
    return options.onlyIfCached ? notStored() : fetchOriginal.revalidate(original, undefined, false, options)
  }
  const freshness = freshnessOf(entry, settings.freshness, settings.now())
  if (freshness === 'fresh') return { entry }
  if (freshness === 'stale') {
    events.emit('original-stale', { address: original.text })
    return { entry }
  }
  const collapsed = fetchOriginal.isRunning(entry.key, entry)
  try {
    if (options.onlyIfCached) return notStored()
    return await fetchOriginal.revalidate(original, entry, false, options)
  } catch (error) {
    if (freshness === 'overdue' && mayServeStale(entry, error))
      return { entry, ...withForward(forwardOf('stale', error, collapsed)) }
    // Stored, and not to be used without validation: nobody could be asked (RFC 9111 §5.2.2.2).
    if (entry.staleIfError !== undefined && entry.isStored && isUnreachable(asArtworkError(error)))
      throw new ArtworkError('timeout', 'the source could not be asked', { cause: error })
    throw error
  }
}

function missingUpload({ areUploadsOpen }: OriginalParts): ArtworkError {
  if (areUploadsOpen()) return new ArtworkError('unknown_image', 'there is no such image')
  return new ArtworkError('unavailable', 'uploads cannot be read', { retryAfter: 5 })
}

/** RFC 5861 §4 knows errors of the server and of the way to it only; our own rule serves stale on any error. */
function mayServeStale(entry: Entry, error: unknown): boolean {
  const failure = asArtworkError(error)
  return entry.staleIfError === undefined ? failure.code !== 'cancelled' : isUnreachable(failure)
}

async function readBytes(
  { store, fetchOriginal, files }: OriginalParts,
  original: Original,
  known: KnownOriginal,
  options: RequestOptions,
): Promise<ImageResult> {
  if (known.bytes !== undefined) return { ...known, bytes: known.bytes, from: 'upstream' }
  if (original.source.isLocal) return { ...(await files.read(original, known.entry, options)), from: 'disk' }
  const stored = await store.read(known.entry)
  if (stored !== undefined) {
    // An original is used where its bytes are; its row stays for as long as something made from it does.
    store.touch(known.entry.key)
    return { ...known, ...stored }
  }
  if (original.source.isHosted)
    throw new ArtworkError('unavailable', 'the image cannot be read', { retryAfter: 60 })
  if (options.onlyIfCached) return notStored()
  const again = await fetchOriginal.revalidate(original, undefined, false, options, known.entry)
  if (again.bytes !== undefined) return { ...again, bytes: again.bytes, from: 'upstream' }
  const fetched = await store.read(again.entry)
  if (fetched === undefined) throw new ArtworkError('bad_answer', 'the source sent nothing')
  return { ...again, ...fetched }
}

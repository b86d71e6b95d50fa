/**
 * Originals that are files of this machine: looked at before each use, read when they have changed, and never stored. What is
 * known of them is recorded, and what is made of them is stored as of any other original.
 */
import type { SingleFlight } from '../concurrency.js'
import type { Events } from '../events.js'
import type { Fetcher } from '../fetch/fetcher.js'
import { digestOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import { NEVER_STALE } from '../model/freshness.js'
import { type FileLocation, isFile } from '../model/location.js'
import { typeOf } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'
import { createFirstLook } from './first-look.js'
import type { KnownOriginal, RequestOptions } from './image.js'
import type { Original } from './resolve-address.js'

/** What they work with. */
export interface FileParts {
  readonly settings: Pick<Settings, 'now' | 'transform' | 'memory'>
  readonly store: Pick<Store, 'find' | 'record'>
  readonly fetcher: Pick<Fetcher, 'readFile' | 'fileValidator'>
  readonly transformer: Pick<Transformer, 'inspect' | 'look'>
  readonly singleFlight: SingleFlight
  readonly events: Pick<Events, 'emit'>
  readonly means: Means
}

/** A file in hand. */
export type FileInHand = KnownOriginal & { readonly bytes: Buffer }

/** Share of the memory for pictures that files may take beside it, and the largest that is kept, bytes. */
const HOT_SHARE = 0.25
const LARGEST_HOT = 1024 * 1024
/** How often a printed picture is looked at, ms, and of how many that is remembered. */
const NOTICED_EVERY = 1000
const MAX_NOTICED = 10_000

/** See the top of the file. */
export type FileOriginals = ReturnType<typeof createFileOriginals>

/** Makes the part of the pipeline that has to do with files. */
export function createFileOriginals(parts: FileParts) {
  const { fetcher, store, settings, singleFlight, events } = parts
  const look = createFirstLook(parts)
  const noticed = createRecent<number>(MAX_NOTICED)
  /** Bytes that were read lately, by their digest. */
  const hot = createRecent<Buffer>(settings.memory.maxBytes * HOT_SHARE, ({ length }) => length)
  const locationOf = async ({ source, address }: Original): Promise<FileLocation> => {
    const location = await source.locate(address, parts.means)
    if (!isFile(location)) throw new TypeError(`${source.name} says isLocal, and has no files`)
    return location
  }
  /** Facts of what was read, found out where it is another picture than before. */
  const readNow = async (
    original: Original,
    location: FileLocation,
    signal: AbortSignal,
    options: RequestOptions,
  ): Promise<FileInHand> => {
    const { bytes, kind, validator: etag } = await fetcher.readFile(location)
    const key = imageKey(original.text)
    const digest = digestOf(bytes)
    if (bytes.length <= LARGEST_HOT) hot.set(digest, bytes)
    const before = store.find(key)
    if (before?.digest === digest)
      return { entry: before.etag === etag ? before : store.record({ ...before, etag }), bytes }
    const { client, recipe, isLikely, isBackground } = options
    const wanted = isBackground ? undefined : recipe
    const asked = { url: undefined, signal, client, recipe: wanted, isLikely, isForced: false }
    const { inspected, made } = await look(digest, bytes, kind, asked)
    const at = settings.now()
    const entry = store.record({
      ...{ key, role: 'original', digest, size: bytes.length, type: typeOf(kind), etag },
      ...inspected,
      ...{ storedAt: at, validatedAt: at, freshnessLifetime: NEVER_STALE },
      // It may have been said while the file was looked at.
      focalPoint: store.find(key)?.focalPoint,
    })
    return { entry, bytes, ...(made && { made }) }
  }
  const read = async (
    original: Original,
    options: RequestOptions,
    validator?: string,
  ): Promise<FileInHand> => {
    const location = await locationOf(original)
    const state = validator ?? (await fetcher.fileValidator(location))
    try {
      // Whoever comes after it has changed does not wait for what was begun before.
      return await singleFlight.run(
        `${imageKey(original.text)} ${state}`,
        (signal) => readNow(original, location, signal, options),
        options.signal,
      )
    } catch (error) {
      events.emit('operation-failed', {})
      throw error
    }
  }
  const obtain = async (
    original: Original,
    entry: Entry | undefined,
    options: RequestOptions,
  ): Promise<KnownOriginal> => {
    const validator = await fetcher.fileValidator(await locationOf(original))
    return entry?.etag === validator ? { entry } : read(original, options, validator)
  }
  return {
    /** The facts of a file as it is now. @param entry what is recorded of it @throws ArtworkError */
    obtain,
    /** A file with its bytes. @param entry what was found out about it just now @throws ArtworkError */
    read: async (original: Original, entry: Entry, options: RequestOptions): Promise<FileInHand> => {
      const bytes = hot.use(entry.digest)
      return bytes === undefined ? read(original, options) : { entry, bytes }
    },
    /** A page prints it: whether it has changed is found out behind that, for the next page. Never throws. */
    notice: (original: Original): void => {
      const now = settings.now()
      if (now - (noticed.get(original.text) ?? 0) < NOTICED_EVERY) return
      noticed.set(original.text, now)
      obtain(original, store.find(imageKey(original.text)), { isBackground: true }).catch(() => {})
    },
  }
}

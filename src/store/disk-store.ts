/** The durable store: bytes in cacache, names and facts in the catalogue, both in one directory. */
import { existsSync, mkdirSync } from 'node:fs'
import { access, constants, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import { ArtworkError } from '../model/errors.js'
import type { Logger } from '../model/logger.js'
import { createBytes } from './cacache-store.js'
import { type Named, openCatalogue } from './catalogue.js'
import { type Bounds, EVICT_TO, LARGEST_SHARE, type NewEntry, type Store } from './store.js'

/** How to open a {@link createDiskStore}. */
export interface DiskStoreOptions extends Bounds {
  readonly directory: string
  readonly now: () => number
  readonly logger: Logger
  /** Told the names that changed without being asked to: evicted, damaged, or changed by another process. */
  readonly onChange?: (changed: readonly string[] | 'all') => void
}

/** Moves when the layout on disk changes shape. */
const LAYOUT = 'v1'
const FLUSH_EVERY = 30_000
const POLL_EVERY = 1000
const EVICT_BATCH = 64
const NAMING_TRIES = 5

/** Whether a failed read means that the content itself is bad, and not only that it could not be read now. */
const isLost = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ENOENT', 'EINTEGRITY', 'EBADSIZE'].includes(String(error.code))

/**
 * Opens the store in `directory`, which is made where it is missing.
 * @throws what the file system throws when the directory cannot be used
 */
export async function createDiskStore(options: DiskStoreOptions): Promise<Store> {
  const { directory, now, logger, onChange } = options
  const contents = join(directory, `store-${LAYOUT}`)
  await mkdir(contents, { recursive: true })
  await access(directory, constants.W_OK)
  const bytes = createBytes(contents)
  const catalogue = openCatalogue(join(directory, `catalogue-${LAYOUT}.sqlite`), bytes.unlink)
  const counts = { evictions: 0, badCopies: 0, writeFailures: 0 }
  const uses = new Map<string, number>()
  let reserved = 0

  /** Runs a question to the catalogue; a failing database is a miss, never a crash. */
  const safely = <T>(what: string, ask: () => T, fallback: T): T => {
    try {
      return ask()
    } catch (error) {
      logger.error({ err: error }, `artwork catalogue: ${what} failed`)
      return fallback
    }
  }
  const flush = (): void => {
    if (uses.size === 0) return
    const batch = new Map(uses)
    uses.clear()
    safely('noting last use', () => catalogue.use(batch), undefined)
  }
  const forget = (name: string, generation: number): Promise<unknown> =>
    bytes
      .forget(name, generation)
      .catch((error) => logger.warn({ err: error }, 'artwork store: index entry stays behind'))

  /**
   * Makes room for the bytes that are reserved and one more name, least recently used first, down to 90 %. Bytes go
   * before names: artwork keeps its row, so that it can heal, and so does an original that something kept was
   * made from. When there are too many names, rows go too.
   */
  const makeRoom = async (): Promise<void> => {
    const overBytes = (share: number) => catalogue.bytes() + reserved > options.maxBytes * share
    const overNames = (share: number) => catalogue.names() + 1 > options.maxNames * share
    if (!overBytes(1) && !overNames(1)) return
    flush()
    if (overBytes(1)) await evictWhile(() => overBytes(EVICT_TO), catalogue.oldestHeld, giveUpBytes)
    if (overNames(1))
      await evictWhile(
        () => overNames(EVICT_TO),
        catalogue.oldestFree,
        ({ name }) => catalogue.remove(name),
      )
  }
  const giveUpBytes = (entry: Entry): Named | undefined => {
    const known = entry.role === 'artwork' || catalogue.select({ original: entry.name, limit: 1 }).length > 0
    return known ? catalogue.letGo(entry.name, entry.digest) : catalogue.remove(entry.name)
  }
  const evictWhile = async (
    over: () => boolean,
    oldest: (limit: number) => readonly Named[],
    evict: (entry: Entry) => Named | undefined,
  ): Promise<void> => {
    while (over()) {
      const batch = oldest(EVICT_BATCH)
      if (batch.length === 0) return
      for (const { entry } of batch) {
        if (!over()) return
        const gone = evict(entry)
        if (gone === undefined) continue
        counts.evictions += 1
        onChange?.([entry.name])
        await forget(entry.name, gone.generation)
      }
    }
  }

  /** Stores bytes and gives them their name; made again where another process took the content away meanwhile. */
  const keep = async (entry: Entry, content: Buffer): Promise<void> => {
    for (let attempt = 0; attempt < NAMING_TRIES; attempt += 1) {
      const generation = catalogue.nextGeneration()
      await bytes.put(entry, generation, content)
      const replaced = catalogue.name(entry, generation, now(), () =>
        existsSync(bytes.contentPath(entry.digest)),
      )
      if (replaced !== 'no-content') {
        if (replaced !== undefined) await forget(entry.name, replaced)
        return
      }
      await forget(entry.name, generation)
    }
    throw new Error('content vanished while it was named')
  }

  const rebuild = async (): Promise<void> => {
    for await (const { entry, generation } of bytes.list()) {
      if (closed) return
      if (existsSync(bytes.contentPath(entry.digest))) catalogue.restore(entry, generation, entry.storedAt)
      else await forget(entry.name, generation)
    }
    catalogue.setComplete()
  }
  let closed = false
  let rebuilding = !catalogue.complete()
  const rebuilt = rebuilding
    ? rebuild()
        .catch((error) => logger.error({ err: error }, 'artwork catalogue: rebuilding failed'))
        .finally(() => {
          rebuilding = false
        })
    : Promise.resolve()

  const flushTimer = setInterval(flush, FLUSH_EVERY).unref()
  const poll = (): void => {
    const changed = safely('polling', catalogue.changes, [])
    if (changed === 'all' || changed.length > 0) onChange?.(changed)
  }
  const pollTimer = setInterval(poll, POLL_EVERY).unref()

  return {
    find: (name) => safely('look-up', () => catalogue.get(name)?.entry, undefined),
    use: (name) => void uses.set(name, now()),
    read: async (entry) => {
      if (!entry.held) return undefined
      try {
        return { bytes: await bytes.read(entry.digest), from: 'disk' }
      } catch (error) {
        logger.warn({ err: error, image: entry.name }, 'artwork store: a copy could not be read')
        if (isLost(error)) {
          // No name has it any more when it was replaced or removed meanwhile: then nothing is wrong.
          const names = safely('discarding', () => catalogue.discard(entry.digest), [])
          if (names.length > 0) counts.badCopies += 1
          onChange?.([entry.name, ...names])
        }
        return undefined
      }
    },
    write: async (fresh: NewEntry, content) => {
      const entry: Entry = Object.freeze({
        ...fresh,
        digest: digestOf(content),
        size: content.length,
        held: true,
      })
      if (content.length > options.maxBytes * LARGEST_SHARE)
        throw new ArtworkError('disk_write', 'the image is too large to be kept')
      try {
        mkdirSync(contents, { recursive: true })
        reserved += content.length
        await makeRoom()
          .then(() => keep(entry, content))
          .finally(() => {
            reserved -= content.length
          })
        return entry
      } catch (error) {
        counts.writeFailures += 1
        logger.error({ err: error, image: entry.name }, 'artwork store: an image could not be kept')
        throw new ArtworkError('disk_write', 'the image could not be kept', { cause: error })
      }
    },
    amend: (entry, changes) => {
      safely('amending', () => catalogue.amend(entry, changes), undefined)
      return Object.freeze({ ...entry, ...changes })
    },
    remove: async (name) => {
      const before = safely('look-up', () => catalogue.get(name), undefined)
      if (before === undefined) return false
      // The durable name goes first: a crash in between then leaves a row that works, never a name that comes back.
      await forget(name, before.generation)
      return safely('removing', () => catalogue.remove(name), undefined) !== undefined
    },
    select: (selection) => safely('listing', () => catalogue.select(selection), []),
    lastUsed: (name) => {
      flush()
      return safely('look-up', () => catalogue.get(name)?.usedAt, undefined)
    },
    failures: {
      get: (name) => safely('look-up', () => catalogue.failures.get(name), undefined),
      set: (name, failure) =>
        safely('noting a failure', () => catalogue.failures.set(name, failure), undefined),
      clear: (name) => safely('clearing a failure', () => catalogue.failures.clear(name), undefined),
    },
    clear: async () => {
      await rebuilt
      for (let names = catalogue.any(EVICT_BATCH); names.length > 0; names = catalogue.any(EVICT_BATCH)) {
        for (const name of names) {
          const gone = catalogue.remove(name)
          if (gone !== undefined) await forget(name, gone.generation)
        }
      }
      catalogue.failures.clearAll()
    },
    stats: () => {
      const none = { original: 0, rendition: 0, artwork: 0 }
      const roles = safely('counting', catalogue.roles, [])
      return {
        names: safely('counting', catalogue.names, 0),
        bytes: safely('counting', catalogue.bytes, 0),
        byRole: { ...none, ...Object.fromEntries(roles.map(({ role, count }) => [role, count])) },
        memory: { entries: 0, bytes: 0 },
        ...counts,
        catalogueBytes: catalogue.fileSize(),
        durable: true,
        rebuilding,
      }
    },
    settled: () => rebuilt,
    close: async () => {
      if (closed) return
      closed = true
      clearInterval(flushTimer)
      clearInterval(pollTimer)
      await rebuilt
      flush()
      catalogue.close()
    },
  }
}

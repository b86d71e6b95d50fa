/** The durable store: bytes in cacache, names and facts in the catalogue, both in one directory. */
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, makeOwnFolder } from '../../database/files.js'
import { registerProcess } from '../../database/process-registry.js'
import { inodeOf, isCorrupt } from '../../database/sqlite.js'
import { digestOf } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import { ArtworkError } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import { type Bounds, LARGEST_SHARE, type NewEntry, type Store } from '../ports.js'
import { type Catalogue, openCatalogue } from './catalogue.js'
import { BadContent, createContents } from './contents.js'
import { createKeyLocks, type DiskParts } from './key-locks.js'
import { createLeases } from './leases.js'
import { createMaintenance } from './maintenance.js'
import { createWriteSuspension, removeReserve } from './write-suspension.js'

/** How to open a {@link createDiskStore}. */
export interface DiskStoreOptions extends Bounds {
  readonly directory: string
  readonly now: () => number
  readonly logger: Logger
  /** Told the names that changed without being asked to: evicted, damaged, or changed by another process. */
  readonly onChange?: (changed: readonly string[] | 'all') => void
}

/** Moves when the layout on disk changes shape. */
const LAYOUT = 'v2'
const FLUSH_EVERY = 30_000
const FLUSH_AT = 2000
/** Other processes' changes are seen within a second. */
const POLL_EVERY = 500
/** Every so many polls, a look for processes that died. */
const RECOVER_EVERY = 10
const NAMING_TRIES = 5
/** A catalogue that cannot be opened is not tried more often, ms. */
const REOPEN_EVERY = 1000

/**
 * Opens the store in `directory`, which is made where it is missing. What an earlier process left undone is
 * tidied up in the background.
 * @throws what the file system throws when the directory cannot be used
 */
export async function createDiskStore(options: DiskStoreOptions): Promise<Store> {
  const { directory, now, logger, onChange } = options
  const contents = join(directory, `store-${LAYOUT}`)
  const file = join(directory, `catalogue-${LAYOUT}.sqlite`)
  makeFolder(directory)
  await access(directory, constants.W_OK)
  // SQLite needs a little space to open at all: what was set aside is for that.
  removeReserve(directory)
  makeOwnFolder(contents)
  const presence = registerProcess(join(directory, `processes-${LAYOUT}`))
  const bytes = createContents(contents, presence.id)
  const tell = (message: string): void => logger.warn({}, `artwork catalogue: ${message}`)
  const parts = { unlink: bytes.unlink, now, tell }
  const open = (damaged?: number) => {
    makeOwnFolder(contents)
    let opened: Catalogue
    try {
      opened = openCatalogue(file, parts, damaged)
    } catch (error) {
      if (!isCorrupt(error)) throw error
      opened = openCatalogue(file, parts, inodeOf(file))
    }
    if (!opened.isComplete() && bytes.isEmpty()) opened.setComplete()
    return opened
  }
  let current = open()
  let closed = false
  const catalogue = () => current
  const uses = new Map<string, number>()
  let reopenAfter = 0
  /** Whether nobody may have left anything behind but who died. */
  let isAsLeft = true
  let isTidying = false
  let tidied: Promise<void> = Promise.resolve()
  let recovering: Promise<unknown> | undefined
  /** The last write failed: that is shown until one succeeds. */
  let isWriteFailing = false

  /** Opens the catalogue anew: its file was lost, or is damaged. */
  const reopen = (isDamaged: boolean): void => {
    if (performance.now() < reopenAfter) return
    reopenAfter = performance.now() + REOPEN_EVERY
    logger.error({}, `artwork catalogue: ${isDamaged ? 'damaged' : 'lost'}; it is rebuilt`)
    try {
      // Where another process has put a new file in its place already, that one is ours too.
      const next = open(isDamaged ? current.inode : undefined)
      const before = current
      current = next
      before.close()
      isAsLeft = false
      onChange?.('all')
      tidyAgain()
    } catch (error) {
      logger.error({ err: error }, 'artwork catalogue: it cannot be opened anew')
    }
  }
  const trouble = (what: string, error: unknown): void => {
    if (closed) return
    logger.error({ err: error }, `artwork store: ${what} failed`)
    if (isCorrupt(error)) reopen(true)
  }
  /** Runs a question to the catalogue; a failing database is a miss, never a crash. */
  const safely = <T>(what: string, ask: () => T, fallback: T): T => {
    try {
      return ask()
    } catch (error) {
      trouble(what, error)
      return fallback
    }
  }
  const isRebuilding = (): boolean => safely('look-up', () => !catalogue().isComplete(), false)
  const flush = (): void => {
    if (uses.size === 0) return
    const batch = [...uses]
    uses.clear()
    safely('noting last use', () => catalogue().use(batch), undefined)
  }
  const shelf: DiskParts = {
    bytes,
    presence,
    catalogue,
    bounds: options,
    logger,
    changed: (names) => onChange?.(names),
    flush,
    isClosed: () => closed,
    stands: (one) => one === current && inodeOf(file) === one.inode,
    trouble,
    counts: { evictions: 0, badCopies: 0, writeFailures: 0, leftovers: 0 },
  }
  const changes = createKeyLocks(shelf)
  const leases = createLeases(shelf)
  const upkeep = createMaintenance(shelf, changes, leases)
  const pause = createWriteSuspension(directory, shelf, changes)

  /** Stores bytes and gives them their name; made again where another process took the content away meanwhile. */
  const keep = async (entry: Entry, content: Buffer): Promise<void> => {
    for (let attempt = 0; attempt < NAMING_TRIES; attempt += 1) {
      const outcome = await changes.change(entry.key, entry, async (ticket) => {
        await changes.makeRoom(ticket)
        // cacache leaves a content alone that is there already: a damaged one has to go first.
        if (bytes.has(entry.digest) && (await isBad(entry))) await upkeep.discard(entry.digest)
        const slot = 1 - (catalogue().get(entry.key)?.slot ?? 1)
        await bytes.put(entry, ticket.ticket, slot, content)
        const change = { ...ticket, slot, usedAt: now() }
        return catalogue().commit(entry, change, () => bytes.cost({ entry, slot }))
      })
      if (outcome === 'named') return
    }
    throw new Error('content vanished while it was named')
  }
  const isBad = (entry: Entry): Promise<boolean> =>
    bytes.read(entry.digest, entry.size).then(
      () => false,
      (error) => error instanceof BadContent,
    )

  /** What has to be done in the background: after a crash, a lost catalogue, or bounds that were lowered. */
  const tidy = async (): Promise<void> => {
    isTidying = true
    try {
      const crashed = presence.bury()
      const undone = await changes.recover()
      if (!catalogue().isComplete()) await upkeep.rebuild()
      else if (crashed + undone > 0 || !isAsLeft) await upkeep.sweep()
      isAsLeft = true
      if (!closed) await changes.trim()
    } catch (error) {
      trouble('tidying up', error)
    } finally {
      isTidying = false
    }
  }
  const tidyAgain = (): void => {
    tidied = tidied.then(() => (closed ? undefined : tidy()))
  }
  tidyAgain()

  let polls = 0
  const poll = (): void => {
    polls += 1
    presence.return()
    if (inodeOf(file) !== current.inode) reopen(false)
    const changed = catalogue().changes()
    if (changed === 'all' || changed.length > 0) onChange?.(changed)
    leases.retry()
    if (polls % RECOVER_EVERY !== 0 || isTidying) return
    // A rebuild that failed is tried again.
    if (isRebuilding()) tidyAgain()
    else {
      recovering ??= changes
        .recover()
        .catch((error) => trouble('recovering', error))
        .finally(() => {
          recovering = undefined
        })
    }
  }
  const flushTimer = setInterval(flush, FLUSH_EVERY).unref()
  const pollTimer = setInterval(() => safely('polling', poll, undefined), POLL_EVERY).unref()

  return {
    find: (name) => safely('look-up', () => catalogue().get(name)?.entry, undefined),
    lookup: async (name) => {
      const find = () => safely('look-up', () => catalogue().get(name)?.entry, undefined)
      const known = find()
      if (known !== undefined || !isRebuilding()) return known
      await upkeep
        .recall(name)
        .catch((error) => logger.warn({ err: error, image: name }, 'artwork store: a look-up failed'))
      return find()
    },
    lease: leases.lease,
    touch: (name) => {
      uses.set(name, now())
      if (uses.size >= FLUSH_AT) flush()
    },
    read: async (entry) => {
      if (!entry.isStored) return undefined
      try {
        return { bytes: await bytes.read(entry.digest, entry.size), from: 'disk' }
      } catch (error) {
        // No name has it any more when it was replaced or removed meanwhile: then nothing is wrong.
        const isLost = error instanceof BadContent
        const names = isLost ? await upkeep.discard(entry.digest).catch(() => []) : []
        if (!isLost || names.length > 0)
          logger.warn({ err: error, image: entry.key }, 'artwork store: a copy could not be read')
        if (isLost) onChange?.([entry.key])
        return undefined
      }
    },
    check: async (entry, { isDryRun = false } = {}) => {
      if (!entry.isStored) return 'absent'
      try {
        await bytes.read(entry.digest, entry.size)
        return 'whole'
      } catch (error) {
        const now = safely('look-up', () => catalogue().get(entry.key)?.entry, undefined)
        if (now?.digest !== entry.digest || !now.isStored) return 'absent'
        if (!(error instanceof BadContent)) return 'unreadable'
        if (isDryRun) return 'damaged'
        const names = await upkeep.discard(entry.digest).catch(() => [])
        if (names.length > 0) onChange?.(names)
        return names.length > 0 ? 'damaged' : 'absent'
      }
    },
    inMemory: () => false,
    fileOf: ({ digest, isStored: held }) => (held ? bytes.contentPath(digest) : undefined),
    write: async (fresh: NewEntry, content) => {
      const entry: Entry = Object.freeze({
        ...fresh,
        digest: digestOf(content),
        size: content.length,
        isStored: true,
      })
      if (content.length > options.maxBytes * LARGEST_SHARE)
        throw new ArtworkError('disk_write', 'the image is too large to be kept')
      if (pause.reason() !== undefined) throw new ArtworkError('disk_write', 'nothing is kept at the moment')
      try {
        await keep(entry, content)
        isWriteFailing = false
        return entry
      } catch (error) {
        isWriteFailing = true
        pause.notice(error)
        shelf.counts.writeFailures += 1
        logger.error({ err: error, image: entry.key }, 'artwork store: an image could not be kept')
        if (isCorrupt(error) && !closed) reopen(true)
        throw new ArtworkError('disk_write', 'the image could not be kept', { cause: error })
      }
    },
    update: (entry, changed) => {
      const amended = Object.freeze({ ...entry, ...changed })
      safely('amending', () => catalogue().amend(amended), undefined)
      return amended
    },
    delete: async (name) => {
      try {
        return await changes.change(name, undefined, async (ticket) => {
          uses.delete(name)
          return catalogue().drop(ticket)
        })
      } catch (error) {
        logger.error({ err: error, image: name }, 'artwork store: an image could not be removed')
        if (isCorrupt(error) && !closed) reopen(true)
        return false
      }
    },
    select: (selection) => safely('listing', () => catalogue().select(selection), []),
    lastUsed: (name) => uses.get(name) ?? safely('look-up', () => catalogue().get(name)?.usedAt, undefined),
    negativeCache: {
      get: (name) => safely('look-up', () => catalogue().failures.get(name), undefined),
      set: (name, failure) =>
        safely('noting a failure', () => catalogue().failures.set(name, failure), undefined),
      clear: (name) => safely('clearing a failure', () => catalogue().failures.clear(name), undefined),
      list: (after, limit) => safely('listing', () => catalogue().failures.list(after, limit), []),
    },
    clear: async () => {
      await tidied
      uses.clear()
      try {
        await changes.clear()
        catalogue().failures.clearAll()
      } catch (error) {
        trouble('clearing', error)
        throw new ArtworkError('disk_write', 'the cache could not be cleared', { cause: error })
      }
    },
    stats: () => {
      const none = { bytes: 0, names: 0, indexBytes: 0, byRole: { original: 0, rendition: 0, artwork: 0 } }
      const totals = safely('counting', catalogue().totals, none)
      const catalogueBytes = safely('counting', catalogue().fileSize, 0)
      const cost = catalogueBytes + totals.indexBytes
      return {
        ...totals,
        memory: { entries: 0, bytes: 0 },
        ...shelf.counts,
        catalogueBytes,
        bytesPerName: totals.names === 0 ? 0 : Math.round(cost / totals.names),
        durable: true,
        rebuilding: isRebuilding(),
        paused: pause.reason(),
      }
    },
    search: async (query) => {
      const none = { entries: [], total: 0, next: undefined }
      const asked = catalogue()
      try {
        // What waits to be noted belongs into the order of last use.
        if (query.sort === 'used') flush()
        return await asked.search(query, () => !closed && asked === current)
      } catch (error) {
        trouble('searching', error)
        return none
      }
    },
    history: (name) => safely('look-up', () => catalogue().history(name), []),
    countByKind: () => safely('counting', () => catalogue().owned(), []),
    keyValue: {
      get: (key) => safely('look-up', () => catalogue().notes.get(key), undefined),
      set: (key, value) => safely('noting', () => catalogue().notes.set(key, value, now()), undefined),
    },
    generation: () => safely('look-up', () => catalogue().purges(), 0),
    advanceGeneration: () => safely('purging', () => catalogue().notePurge(), undefined),
    verify: upkeep.verify,
    isWritable: async () => {
      try {
        await bytes.probe()
        catalogue().probe()
        return pause.reason() === undefined && !isWriteFailing
      } catch {
        return false
      }
    },
    ready: () => tidied,
    close: async () => {
      if (closed) return
      closed = true
      clearInterval(flushTimer)
      clearInterval(pollTimer)
      await tidied
      await recovering
      await pause.settled()
      flush()
      for (const letGo of [
        () => catalogue().unleaseAll(presence.id()),
        () => catalogue().close(),
        () => presence.leave(),
      ])
        try {
          letGo()
        } catch (error) {
          logger.warn({ err: error }, 'artwork store: closing')
        }
    },
  }
}

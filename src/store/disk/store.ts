/** The store on disk: bytes in cacache, keys and facts in the catalogue, both in one directory. */
import { access, constants } from 'node:fs/promises'
import { makeFolder, makeOwnFolder } from '../../database/files.js'
import { type ProcessRegistry, registerProcess } from '../../database/process-registry.js'
import { ArtworkError } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import type { Bounds, EntryQueries, KeyValue, Maintenance, NegativeCache, Store } from '../ports.js'
import { type Amendments, createAmendments } from './amendments.js'
import { type Connection, createConnection } from './connection.js'
import { createContents } from './contents.js'
import { createEntryStore } from './entry-store.js'
import { createEviction, type Eviction } from './eviction.js'
import { createKeyLocks } from './key-locks.js'
import { createLastUse, type LastUse } from './last-use.js'
import { layoutOf } from './layout.js'
import { createLeases } from './leases.js'
import type { Counts, DiskParts } from './parts.js'
import { createRebuild } from './rebuild.js'
import { createRecovery } from './recovery.js'
import { createSweep } from './sweep.js'
import { createVerify } from './verify.js'
import { createWriteSuspension, removeReserve } from './write-suspension.js'

/** How to open a {@link createDiskStore}. */
export interface DiskStoreOptions extends Bounds {
  readonly directory: string
  readonly now: () => number
  readonly logger: Logger
  /** Called with keys that changed without a call: evicted, damaged, or changed by another process. */
  readonly onChange?: (changed: readonly string[] | 'all') => void
}

/**
 * Opens the store in `directory`, which is made where it is missing. What an earlier process left undone is finished in
 * the background.
 * @throws what the file system throws when the directory cannot be used
 */
export async function createDiskStore(options: DiskStoreOptions): Promise<Store> {
  const { directory, now, logger, onChange } = options
  const {
    contents: contentsFolder,
    processes: processesFolder,
    catalogue: catalogueFile,
  } = layoutOf(directory)
  makeFolder(directory)
  await access(directory, constants.W_OK)
  // SQLite needs a little space to open at all: what was reserved is for that.
  removeReserve(directory)
  makeOwnFolder(contentsFolder)
  const processes = registerProcess(processesFolder)
  const contents = createContents(contentsFolder, processes.id)
  const connection = createConnection({
    ...{ file: catalogueFile, contentsFolder, contents, now, logger },
    onReopen: () => {
      onChange?.('all')
      recovery.restart()
    },
  })
  const { catalogue, isCurrent, isClosed, onError } = connection
  const lastUse = createLastUse(connection, now)
  const amendments = createAmendments(connection, processes.isAlone)
  const parts: DiskParts = {
    ...{ contents, processes, catalogue, isCurrent, isClosed, onError, logger },
    bounds: options,
    changed: (names) => onChange?.(names),
    flush: () => {
      lastUse.flush()
      amendments.flush()
    },
    counts: { evictions: 0, badCopies: 0, writeFailures: 0, leftovers: 0 },
  }
  const locks = createKeyLocks(parts)
  const leases = createLeases(parts)
  const eviction = createEviction(parts, locks)
  const sweep = createSweep(parts, locks)
  const { restoreEntry, rebuild } = createRebuild({ ...parts, locks, leases, sweep, trim: eviction.trim })
  const suspension = createWriteSuspension(directory, parts, eviction.shrink)
  const recovery = createRecovery({ ...parts, connection, locks, leases, sweep, eviction, rebuild })
  const { isRebuilding, ready } = recovery
  const { isWriteFailing, ...entryStore } = createEntryStore({
    ...{
      ...parts,
      connection,
      locks,
      eviction,
      sweep,
      suspension,
      lastUse,
      amendments,
      now,
      isRebuilding,
      restoreEntry,
    },
  })

  return {
    ...entryStore,
    ...createQueries({
      connection,
      lastUse,
      amendments,
      countProcesses: () => {
        try {
          return processes.count()
        } catch {
          return 1
        }
      },
      counts: parts.counts,
      isRebuilding,
      suspendedFor: suspension.reason,
    }),
    lease: leases.lease,
    generation: () => connection.orDefault('look-up', (current) => current.generation(), 0),
    advanceGeneration: () =>
      connection.orDefault('purging', (current) => current.advanceGeneration(), undefined),
    negativeCache: createNegativeCache(connection),
    keyValue: createKeyValue(connection, now),
    verify: createVerify({ ...parts, locks, leases, sweep }),
    clear: createClear({ connection, lastUse, amendments, eviction, ready }),
    isWritable: async () => {
      try {
        await contents.probe()
        catalogue().probe()
        return suspension.reason() === undefined && !isWriteFailing()
      } catch {
        return false
      }
    },
    ready,
    close: async () => {
      if (isClosed()) return
      connection.markClosed()
      await recovery.stop()
      await suspension.settled()
      parts.flush()
      release(connection, processes, logger)
    },
  }
}

/** What can be asked of all entries. */
function createQueries({
  connection,
  lastUse,
  amendments,
  counts,
  isRebuilding,
  suspendedFor,
  countProcesses,
}: {
  readonly connection: Connection
  readonly countProcesses: () => number
  readonly lastUse: LastUse
  readonly amendments: Amendments
  readonly counts: Readonly<Counts>
  readonly isRebuilding: () => boolean
  readonly suspendedFor: () => string | undefined
}): EntryQueries {
  const { catalogue, orDefault, isClosed, onError } = connection
  return {
    select: (selection) =>
      orDefault('listing', (current) => current.select(selection), []).map(amendments.over),
    search: async (query) => {
      const searched = catalogue()
      try {
        // What has not been written down yet belongs into the order of last use.
        if (query.sort === 'used') lastUse.flush()
        amendments.flush()
        return await searched.search(query, () => !isClosed() && searched === catalogue())
      } catch (error) {
        onError('searching', error)
        return { entries: [], total: 0, next: undefined }
      }
    },
    history: (name) => orDefault('look-up', (current) => current.history(name), []),
    lastUsed: lastUse.of,
    countByKind: () => orDefault('counting', (current) => current.countByKind(), []),
    stats: () => {
      const none = { bytes: 0, names: 0, indexBytes: 0, byRole: { original: 0, rendition: 0, artwork: 0 } }
      const totals = orDefault('counting', (current) => current.totals(), none)
      const catalogueBytes = orDefault('counting', (current) => current.fileSize(), 0)
      const cost = orDefault('counting', (current) => current.growth(), 0) + totals.indexBytes
      return {
        ...totals,
        memory: { entries: 0, bytes: 0 },
        ...counts,
        catalogueBytes,
        bytesPerName: totals.names === 0 ? 0 : Math.round(cost / totals.names),
        durable: true,
        processes: countProcesses(),
        rebuilding: isRebuilding(),
        paused: suspendedFor(),
        waitingBytes: 0,
      }
    },
  }
}

const createNegativeCache = ({ orDefault }: Pick<Connection, 'orDefault'>): NegativeCache => ({
  get: (name) => orDefault('look-up', ({ failures }) => failures.get(name), undefined),
  set: (name, failure) =>
    orDefault('noting a failure', ({ failures }) => failures.set(name, failure), undefined),
  clear: (name) => orDefault('clearing a failure', ({ failures }) => failures.clear(name), undefined),
  list: (after, limit) => orDefault('listing', ({ failures }) => failures.list(after, limit), []),
})

const createKeyValue = ({ orDefault }: Pick<Connection, 'orDefault'>, now: () => number): KeyValue => ({
  get: (key) => orDefault('look-up', ({ keyValues }) => keyValues.get(key), undefined),
  set: (key, value) => orDefault('noting', ({ keyValues }) => keyValues.set(key, value, now()), undefined),
})

const createClear =
  ({
    connection,
    lastUse,
    amendments,
    eviction,
    ready,
  }: {
    readonly connection: Pick<Connection, 'catalogue' | 'onError'>
    readonly lastUse: Pick<LastUse, 'clear'>
    readonly amendments: Pick<Amendments, 'clear'>
    readonly eviction: Pick<Eviction, 'clear'>
    readonly ready: () => Promise<void>
  }): Maintenance['clear'] =>
  async () => {
    await ready()
    lastUse.clear()
    amendments.clear()
    try {
      await eviction.clear()
      connection.catalogue().failures.clearAll()
    } catch (error) {
      connection.onError('clearing', error)
      throw new ArtworkError('disk_write', 'the cache could not be cleared', { cause: error })
    }
  }

/** Releases what other processes would wait for; one that fails does not keep the others. */
function release(
  { catalogue }: Pick<Connection, 'catalogue'>,
  processes: Pick<ProcessRegistry, 'id' | 'leave'>,
  logger: Logger,
): void {
  for (const step of [
    () => catalogue().unleaseAll(processes.id()),
    () => catalogue().close(),
    () => processes.leave(),
  ])
    try {
      step()
    } catch (error) {
      logger.warn({ err: error }, 'artwork store: closing')
    }
}

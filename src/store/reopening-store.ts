/**
 * A store that is in memory for as long as its directory cannot be used: it is tried again by and by, so that a disk that was
 * full at the start, or not there yet, is used once it is right, without a restart.
 */
import type { Logger } from '../model/logger.js'
import type { Store } from './ports.js'

/** How it is done. */
export interface ReopeningOptions {
  /** What is used meanwhile. */
  readonly meanwhile: Store
  /** Opens the directory. @throws what the file system throws */
  open(): Promise<Store>
  readonly logger: Logger
  /** Called once the directory is in use: what memory knows is not true any more. */
  onOpen(): void
  /** Ms between two tries. @default 10 s */
  readonly every?: number
}

/** Makes the store. */
export function createReopeningStore({
  meanwhile,
  open,
  logger,
  onOpen,
  every = 10_000,
}: ReopeningOptions): Store {
  let current = meanwhile
  let closed = false
  let trying: Promise<void> | undefined
  const tryAgain = async (): Promise<void> => {
    try {
      const opened = await open()
      if (closed) return await opened.close()
      current = opened
      clearInterval(timer)
      logger.warn({}, 'artwork: the directory can be used again')
      onOpen()
      await meanwhile.close()
    } catch {
      // It was logged at the start, and is on /ready.
    }
  }
  const timer = setInterval(() => {
    trying ??= tryAgain().finally(() => {
      trying = undefined
    })
  }, every).unref()

  return {
    find: (name, trust) => current.find(name, trust),
    lookup: (name, original) => current.lookup(name, original),
    lease: (key, signal) => current.lease(key, signal),
    touch: (name) => current.touch(name),
    read: (entry) => current.read(entry),
    check: (entry, options) => current.check(entry, options),
    inMemory: (digest) => current.inMemory(digest),
    fileOf: (entry) => current.fileOf(entry),
    write: (entry, bytes, options) => current.write(entry, bytes, options),
    record: (entry) => current.record(entry),
    settled: (key, within) => current.settled(key, within),
    update: (entry, changes) => current.update(entry, changes),
    delete: (name, scope) => current.delete(name, scope),
    select: (selection) => current.select(selection),
    search: (query) => current.search(query),
    history: (name) => current.history(name),
    countByKind: () => current.countByKind(),
    lastUsed: (name) => current.lastUsed(name),
    negativeCache: {
      get: (name) => current.negativeCache.get(name),
      set: (name, failure) => current.negativeCache.set(name, failure),
      clear: (name) => current.negativeCache.clear(name),
      list: (after, limit) => current.negativeCache.list(after, limit),
    },
    keyValue: {
      get: (key) => current.keyValue.get(key),
      set: (key, value) => current.keyValue.set(key, value),
    },
    generation: () => current.generation(),
    advanceGeneration: () => current.advanceGeneration(),
    clear: () => current.clear(),
    stats: () => current.stats(),
    verify: (options) => current.verify(options),
    isWritable: () => current.isWritable(),
    ready: () => current.ready(),
    close: async () => {
      closed = true
      clearInterval(timer)
      await trying
      await current.close()
    },
  }
}

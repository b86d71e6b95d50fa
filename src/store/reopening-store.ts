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
  /** Told once the directory is in use: what memory knows is not true any more. */
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
      // It was told at the start, and is on /ready.
    }
  }
  const timer = setInterval(() => {
    trying ??= tryAgain().finally(() => {
      trying = undefined
    })
  }, every).unref()

  return {
    find: (name, trust) => current.find(name, trust),
    recall: (name) => current.recall(name),
    turn: (key, signal) => current.turn(key, signal),
    use: (name) => current.use(name),
    read: (entry) => current.read(entry),
    check: (entry, options) => current.check(entry, options),
    inMemory: (digest) => current.inMemory(digest),
    fileOf: (entry) => current.fileOf(entry),
    write: (entry, bytes) => current.write(entry, bytes),
    amend: (entry, changes) => current.amend(entry, changes),
    remove: (name) => current.remove(name),
    select: (selection) => current.select(selection),
    search: (query) => current.search(query),
    history: (name) => current.history(name),
    owned: () => current.owned(),
    lastUsed: (name) => current.lastUsed(name),
    failures: {
      get: (name) => current.failures.get(name),
      set: (name, failure) => current.failures.set(name, failure),
      clear: (name) => current.failures.clear(name),
      list: (after, limit) => current.failures.list(after, limit),
    },
    notes: { get: (key) => current.notes.get(key), set: (key, value) => current.notes.set(key, value) },
    purges: () => current.purges(),
    notePurge: () => current.notePurge(),
    clear: () => current.clear(),
    stats: () => current.stats(),
    verify: (options) => current.verify(options),
    canWrite: () => current.canWrite(),
    settled: () => current.settled(),
    close: async () => {
      closed = true
      clearInterval(timer)
      await trying
      await current.close()
    },
  }
}

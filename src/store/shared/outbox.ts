/**
 * What this node writes into the shared store, behind its own: nobody waits for it, but uploads and removals. A store that fails is
 * left alone for a while; what could not be done meanwhile is in the journal, and is done afterwards.
 */
import { createLimiter, createSerial } from '../../concurrency.js'
import type { Entry } from '../../model/entry.js'
import type { Logger } from '../../model/logger.js'
import type { Breaker } from './breaker.js'
import type { Journal, Task } from './journal.js'
import type { SharedNames } from './names.js'
import { retryRegularly } from './retries.js'

/** What the outbox works with. */
export interface OutboxParts {
  readonly names: SharedNames
  readonly journal: Journal
  readonly breaker: Breaker
  readonly logger: Logger
  /** What this node has under a key now; undefined where it has nothing, or no bytes any more. */
  load(key: string): Promise<Loaded | undefined>
  /** What was written before that is written anew, ms since the epoch. @default nothing */
  renewBefore?(): number
  /** Ms between two looks into the journal. @default 5 s */
  readonly every?: number
}

/** What is to be written. */
export interface Loaded {
  readonly entry: Entry
  readonly bytes: Buffer
  /** What it was made from. */
  readonly original: Entry | undefined
}

/** Requests that run at once. */
const AT_ONCE = 8
/** Tasks in memory: beyond that they are in the journal only. */
const MAX_WAITING = 2000
const RETRIED_AT_ONCE = 100

const isRemoval = ({ what }: Task): boolean => what === 'remove' || what === 'clear'

/** What is being done, by the key and by what it is made from. */
function createRunning() {
  const last = new Map<string, Promise<boolean>>()
  const roots = new Map<string, Set<Promise<boolean>>>()
  return {
    add: ({ key, original }: Task, work: Promise<boolean>): Promise<boolean> => {
      const root = original ?? key
      const same = roots.get(root) ?? new Set()
      roots.set(root, same)
      const ended = work.finally(() => {
        same.delete(ended)
        if (same.size === 0 && roots.get(root) === same) roots.delete(root)
        if (last.get(key) === ended) last.delete(key)
      })
      same.add(ended)
      last.set(key, ended)
      return ended
    },
    settled: async (key: string): Promise<void> => {
      for (let one = last.get(key); one !== undefined; one = last.get(key)) await one
    },
    isBusy: (root: string): boolean => roots.has(root),
    idle: async (): Promise<void> => {
      await Promise.all(last.values())
    },
    rootSettled: async (root: string): Promise<void> => {
      await Promise.all(roots.get(root) ?? [])
    },
    size: (): number => last.size,
  }
}

/** See the top of the file. */
export type Outbox = ReturnType<typeof createOutbox>

/** Makes the outbox, and begins with what an earlier process left. */
export function createOutbox(parts: OutboxParts) {
  const { names, journal, breaker, logger } = parts
  const limiter = createLimiter({ capacity: AT_ONCE })
  const serial = createSerial()
  const waiting = new Map<string, Task>()
  const running = createRunning()
  let isClosed = false
  let onRemoved = (_key: string): void => {}

  /** The request that a task comes to; none where this node has not got it any more. */
  const requestOf = async ({ key, what, original }: Task): Promise<(() => Promise<void>) | undefined> => {
    if (what === 'clear') return () => names.clear()
    if (what === 'remove') return () => names.remove(key, original)
    const found = await parts.load(key)
    if (found === undefined) return undefined
    const { entry, bytes, original: madeFrom } = found
    if (what === 'renew') return () => names.renew(entry, bytes, madeFrom, parts.renewBefore?.() ?? 0)
    return what === 'write' ? () => names.write(entry, bytes, madeFrom) : () => names.update(entry)
  }
  const remember = (task: Task): void => {
    try {
      // A removal counts more than what would be written; what has failed comes after the others.
      if (isRemoval(task) || !journal.isRemoving(task.key)) journal.add(task)
    } catch (error) {
      logger.error({ err: error, image: task.key }, 'artwork shared store: the journal cannot be written')
    }
  }
  /** Answers whether it is done; else it is in the journal. */
  const inTurn = (task: Task): Promise<boolean> =>
    serial.run(task.key, () =>
      limiter.run(async () => {
        // From here on, what changes of the key is another task.
        if (waiting.get(task.key) === task) waiting.delete(task.key)
        // Nothing is read for a store that is left alone.
        if (breaker.isOpen()) {
          remember(task)
          return false
        }
        try {
          const send = await requestOf(task)
          if (send !== undefined) await breaker.run(send)
          journal.done(task)
          return true
        } catch (error) {
          logger.debug(
            { err: error, image: task.key },
            `artwork shared store: ${task.what} is tried again later`,
          )
          remember(task)
          return false
        }
      }),
    )
  /** Performs a task after the earlier ones of its key. */
  const run = (task: Task): Promise<boolean> => running.add(task, inTurn(task))
  const enqueue = (task: Task): void => {
    const before = waiting.get(task.key)
    // Bytes and facts are read when it is their turn: one write stands for all that came before it.
    if (before !== undefined && (before.what === task.what || task.what !== 'write')) return
    if (waiting.size >= MAX_WAITING || isClosed || breaker.isOpen()) {
      remember(task)
      return
    }
    waiting.set(task.key, task)
    void run(task)
  }
  const removeNow = async (task: Task): Promise<void> => {
    remember(task)
    // What is being written now would come back.
    if (task.what === 'clear') await running.idle()
    if (!breaker.isOpen()) await run(task)
  }
  const retry = async (): Promise<void> => {
    for (const task of journal.list(RETRIED_AT_ONCE)) {
      if (isClosed || breaker.isOpen()) return
      // Other nodes may have read it meanwhile.
      if ((await run(task)) && isRemoval(task)) onRemoved(task.key)
    }
  }
  const retries = retryRegularly(parts, retry)

  return {
    /** Writes what this node has under a key, soon. */
    write: (key: string, original?: string): void => enqueue({ key, what: 'write', original }),
    /** Writes what this node has under a key anew where it was not written for long, soon. */
    renew: (key: string, original?: string): void => enqueue({ key, what: 'renew', original }),
    /** Writes facts that changed, soon. */
    update: (key: string, original?: string): void => enqueue({ key, what: 'update', original }),
    /** Removes a name; that of an original with what was made from it. Resolves when that is done, or noted for later. */
    remove: (key: string, original?: string): Promise<void> => removeNow({ key, what: 'remove', original }),
    /** Removes everything of the cache. */
    clear: (): Promise<void> => removeNow({ key: '', what: 'clear', original: undefined }),
    /** Tasks that run, wait, or are in the journal. */
    size: (): number => running.size() + journal.size(),
    /** Whether something is still to be removed under a key: what the shared store has of it does not count. */
    isRemoving: (key: string): boolean => journal.isRemoving(key),
    /** Resolves when what was to be done for a key has been done, or is in the journal. */
    settled: running.settled,
    /** Removes a key once more when what is being done for it, and for what was made from it, has been done. */
    removeAfterwards: async (key: string): Promise<void> => {
      if (!running.isBusy(key)) return
      await running.rootSettled(key)
      await run({ key, what: 'remove', original: undefined })
    },
    /** Called with the key of a removal that was done later; '' for all. */
    watch: (listener: (key: string) => void): void => {
      onRemoved = listener
    },
    close: async (): Promise<void> => {
      isClosed = true
      retries.stop()
      for (const task of waiting.values()) remember(task)
      waiting.clear()
      await limiter.idle()
      await retries.idle()
      journal.close()
    },
  }
}

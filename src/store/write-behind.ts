/**
 * Writes behind the answer: a Store over a Store. What is written with `isBehind` is there at once for this process, out of
 * memory, and is stored soon after, so that no answer waits for a slow disk. What waits is bounded in bytes: beyond that, writers
 * wait again. A purge in between wins, a write that fails is a miss, and whoever needs it stored waits with `settled`.
 */
import { createLimiter, within } from '../concurrency.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import type { EntryUpdate, NewEntry, Store, WriteOptions } from './ports.js'
import { selectFrom } from './selection.js'

/** How much may wait. */
export interface WriteBehindOptions {
  /** Bytes that wait at most. @default 32 MiB */
  readonly maxBytes?: number
  /** Hears of names that are not what they were: there before they are stored, or not stored after all. */
  changed(names: readonly string[]): void
}

interface Pending {
  readonly fresh: NewEntry
  readonly bytes: Buffer
  readonly options: WriteOptions
  /** What it is shown as. */
  entry: Entry
  /** What was changed of it meanwhile. */
  changes: EntryUpdate | undefined
  state: 'waiting' | 'running' | 'cancelled'
  /** Resolves when it has been stored, or could not be. */
  done: Promise<void>
}

/** Writes that run at once. */
const AT_ONCE = 4
const MAX_BYTES = 32 * 1024 ** 2
/** How long closing waits for what is to be stored, ms. */
const CLOSED_WITHIN = 10_000

/** What waits, by key, and its way into the store. */
function createQueue(inner: Store, changed: WriteBehindOptions['changed']) {
  const pending = new Map<string, Pending>()
  /** Of those that wait, one for each content. */
  const contents = new Map<string, Pending>()
  const limiter = createLimiter({ capacity: AT_ONCE })
  let held = 0

  const take = (one: Pending): void => {
    pending.set(one.entry.key, one)
    contents.set(one.entry.digest, one)
    held += one.bytes.length
  }
  const leave = (one: Pending): void => {
    const { key, digest } = one.entry
    held -= one.bytes.length
    if (pending.get(key) === one) pending.delete(key)
    if (contents.get(digest) !== one) return
    const same = [...pending.values()].find((other) => other.entry.digest === digest)
    if (same === undefined) contents.delete(digest)
    else contents.set(digest, same)
  }
  const store = async (one: Pending): Promise<void> => {
    // What it was made from is named first.
    if (one.fresh.original !== undefined) await pending.get(one.fresh.original)?.done
    await limiter.run(async () => {
      if (one.state === 'cancelled') return
      one.state = 'running'
      try {
        const written = await inner.write(one.fresh, one.bytes, one.options)
        if (one.changes !== undefined) inner.update(written, one.changes)
        leave(one)
      } catch {
        // The store has logged it.
        leave(one)
        tell(one.entry.key)
      }
    })
  }
  /** Whoever cannot hear it does not end a write. */
  const tell = (key: string): void => {
    try {
      changed([key])
    } catch {
      // It is judged by what is stored.
    }
  }
  const settled = async (key: string): Promise<void> => {
    for (let one = pending.get(key); one !== undefined; one = pending.get(key)) await one.done
  }
  const flush = async (): Promise<void> => {
    await Promise.all([...pending.values()].map(({ done }) => done))
  }
  /** Drops what has not begun. */
  const cancel = (key: string): void => {
    const one = pending.get(key)
    if (one?.state !== 'waiting') return
    one.state = 'cancelled'
    leave(one)
    tell(key)
  }
  return {
    of: (key: string): Pending | undefined => pending.get(key),
    ofContent: (digest: string): Pending | undefined => contents.get(digest),
    entries: (): readonly Entry[] => [...pending.values()].map(({ entry }) => entry),
    /** Bytes that wait. */
    held: (): number => held,
    add: (given: Pick<Pending, 'fresh' | 'bytes' | 'options' | 'entry'>): void => {
      const one: Pending = { ...given, changes: undefined, state: 'waiting', done: Promise.resolve() }
      take(one)
      // Told before the write begins: during it, the memory layer would take this for a change by somebody else.
      tell(one.entry.key)
      one.done = store(one)
    },
    settled,
    flush,
    cancel,
    cancelAll: (): void => {
      for (const key of [...pending.keys()]) cancel(key)
    },
  }
}

/** Wraps `inner`. */
export function createWriteBehind(
  inner: Store,
  { maxBytes = MAX_BYTES, changed }: WriteBehindOptions,
): Store {
  const queue = createQueue(inner, changed)
  return {
    ...inner,
    find: (name, trust) => queue.of(name)?.entry ?? inner.find(name, trust),
    lookup: async (name, original) => queue.of(name)?.entry ?? inner.lookup(name, original),
    read: async (entry) => {
      const one = queue.ofContent(entry.digest)
      return one === undefined ? inner.read(entry) : { bytes: one.bytes, from: 'memory' }
    },
    check: async (entry, options) => {
      await queue.settled(entry.key)
      return inner.check(entry, options)
    },
    inMemory: (digest) => queue.ofContent(digest) !== undefined || inner.inMemory(digest),
    settled: async (key, ms) => {
      if (ms !== undefined) return within(ms, queue.settled(key))
      await queue.settled(key)
      await inner.settled(key)
    },
    write: async (fresh, bytes, options = {}) => {
      while (queue.of(fresh.key) !== undefined) await queue.settled(fresh.key)
      if (options.isBehind !== true || queue.held() + bytes.length > maxBytes)
        return inner.write(fresh, bytes, options)
      const digest = fresh.digest ?? digestOf(bytes)
      const entry: Entry = Object.freeze({ ...fresh, digest, size: bytes.length, isStored: true })
      queue.add({ fresh: { ...fresh, digest }, bytes, options, entry })
      return entry
    },
    update: (entry, changes) => {
      const one = queue.of(entry.key)
      if (one === undefined || one.entry.digest !== entry.digest) return inner.update(entry, changes)
      one.changes = { ...one.changes, ...changes }
      one.entry = Object.freeze({ ...entry, ...changes })
      changed([entry.key])
      return one.entry
    },
    touch: (name) => {
      if (queue.of(name) === undefined) inner.touch(name)
    },
    delete: async (name, scope) => {
      const wasThere = queue.of(name) !== undefined
      queue.cancel(name)
      await queue.settled(name)
      return (await inner.delete(name, scope)) || wasThere
    },
    select: (selection) => {
      const waiting = queue.entries()
      if (waiting.length === 0) return inner.select(selection)
      const mine = selectFrom(waiting, selection)
      const others = inner.select(selection).filter(({ key }) => queue.of(key) === undefined)
      return selectFrom([...others, ...mine], selection)
    },
    search: async (query) => {
      await queue.flush()
      return inner.search(query)
    },
    verify: async (options) => {
      await queue.flush()
      return inner.verify(options)
    },
    clear: async () => {
      queue.cancelAll()
      await queue.flush()
      await inner.clear()
    },
    stats: () => ({ ...withPending(inner, queue.entries()), waitingBytes: queue.held() }),
    close: async () => {
      // A disk that hangs does not hold the process: what it has not taken by then is a miss.
      await within(CLOSED_WITHIN, queue.flush())
      queue.cancelAll()
      await inner.close()
    },
  }
}

/** What a store holds, and what is about to be. */
function withPending(inner: Store, waiting: readonly Entry[]): ReturnType<Store['stats']> {
  const stats = inner.stats()
  const added = waiting.filter(({ key }) => inner.find(key, 'memory') === undefined)
  const byRole = { ...stats.byRole }
  for (const { role } of added) byRole[role] += 1
  const bytes = added.reduce((sum, { size }) => sum + size, stats.bytes)
  return { ...stats, byRole, names: stats.names + added.length, bytes }
}

/**
 * Writes behind the answer: a Store over a Store. What is written with `isBehind` is there at once for this process, out of
 * memory, and is stored soon after; an answer waits for no disk. What waits is bounded in bytes: beyond that, writers wait
 * again. A purge in between wins, a write that fails is a miss, and whoever needs it stored waits with `settled`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createLimiter } from '../concurrency.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import type { Content, EntryUpdate, NewEntry, Store, WriteOptions } from './ports.js'
import { selectFrom } from './selection.js'

/** How much may wait. */
export interface WriteBehindOptions {
  /** Bytes that wait at most. @default 32 MiB */
  readonly maxBytes?: number
  /** Hears of names that were there, and are not stored after all. */
  lost(names: readonly string[]): void
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
  /** Resolves when it has been stored, or has failed. */
  done: Promise<void>
}

/** Writes that run at once. */
const AT_ONCE = 4
const MAX_BYTES = 32 * 1024 ** 2
/** How long whoever asks again waits for what is being stored, ms. */
const STORED_WITHIN = 250

/** Wraps `inner`. */
export function createWriteBehind(inner: Store, { maxBytes = MAX_BYTES, lost }: WriteBehindOptions): Store {
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
    if (pending.get(key) !== one) return
    pending.delete(key)
    held -= one.bytes.length
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
        lost([one.entry.key])
      }
    })
  }
  const settled = async (key: string): Promise<void> => {
    for (let one = pending.get(key); one !== undefined; one = pending.get(key)) await one.done
  }
  const flush = async (): Promise<void> => {
    await Promise.all([...pending.values()].map(({ done }) => done))
  }
  /** Drops what has not begun. */
  const cancel = (keys: Iterable<string>): void => {
    for (const key of [...keys]) {
      const one = pending.get(key)
      if (one?.state !== 'waiting') continue
      one.state = 'cancelled'
      leave(one)
      lost([key])
    }
  }
  const entries = (): readonly Entry[] => [...pending.values()].map(({ entry }) => entry)

  return {
    ...inner,
    find: (name, trust) => pending.get(name)?.entry ?? inner.find(name, trust),
    lookup: async (name) => pending.get(name)?.entry ?? inner.lookup(name),
    read: async (entry) => {
      const one = contents.get(entry.digest)
      if (one === undefined) return inner.read(entry)
      const given: Content = { bytes: one.bytes, from: 'memory' }
      if (one.options.isInput === true) return given
      // What is stored may be answered from in front of Express: usually that is a matter of a moment.
      const pause = new AbortController()
      await Promise.race([
        one.done,
        sleep(STORED_WITHIN, undefined, { signal: pause.signal }).catch(() => {}),
      ])
      pause.abort()
      return pending.get(entry.key) === undefined ? ((await inner.read(entry)) ?? given) : given
    },
    check: async (entry, options) => {
      await settled(entry.key)
      return inner.check(entry, options)
    },
    inMemory: (digest) => contents.has(digest) || inner.inMemory(digest),
    settled,
    write: async (fresh, bytes, options = {}) => {
      await settled(fresh.key)
      if (options.isBehind !== true || held + bytes.length > maxBytes)
        return inner.write(fresh, bytes, options)
      const digest = fresh.digest ?? digestOf(bytes)
      const entry: Entry = Object.freeze({ ...fresh, digest, size: bytes.length, isStored: true })
      const about = { fresh: { ...fresh, digest }, bytes, options, entry, changes: undefined }
      const one: Pending = { ...about, state: 'waiting', done: Promise.resolve() }
      take(one)
      one.done = store(one)
      return entry
    },
    update: (entry, changes) => {
      const one = pending.get(entry.key)
      if (one === undefined || one.entry.digest !== entry.digest) return inner.update(entry, changes)
      one.changes = { ...one.changes, ...changes }
      one.entry = Object.freeze({ ...entry, ...changes })
      lost([entry.key])
      return one.entry
    },
    touch: (name) => {
      if (!pending.has(name)) inner.touch(name)
    },
    delete: async (name) => {
      const wasThere = pending.has(name)
      cancel([name])
      await settled(name)
      return (await inner.delete(name)) || wasThere
    },
    select: (selection) => {
      const mine = selectFrom(entries(), selection)
      if (mine.length === 0) return inner.select(selection)
      const others = inner.select(selection).filter(({ key }) => !pending.has(key))
      return selectFrom([...others, ...mine], selection)
    },
    search: async (query) => {
      await flush()
      return inner.search(query)
    },
    verify: async (options) => {
      await flush()
      return inner.verify(options)
    },
    clear: async () => {
      cancel(pending.keys())
      await flush()
      await inner.clear()
    },
    stats: () => ({ ...withPending(inner, entries()), waitingBytes: held }),
    close: async () => {
      await flush()
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

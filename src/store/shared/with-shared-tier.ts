/**
 * A store over a store: what is not here is looked for in the shared store, and kept here; what is written here is written there,
 * behind the answer. The store of this node works as it does alone; a shared store that fails is a miss.
 */
import { LRUCache } from 'lru-cache'
import { createSingleFlight } from '../../concurrency.js'
import { type Entry, pathOfKey } from '../../model/entry.js'
import type { Logger } from '../../model/logger.js'
import type { Store } from '../ports.js'
import type { Breaker } from './breaker.js'
import type { SharedName, SharedNames } from './names.js'
import type { Outbox } from './outbox.js'

/** The store of this node and the shared one, as one. */
export interface SharedTierStore extends Store {
  /** What was absent from the shared store may be there now: another node has done some work. */
  forgetAbsent(): void
  /** Another node has dropped keys: what is just being read of them is not kept. */
  noteDropped(keys: readonly string[] | 'all'): void
}

/** When something is written anew that is in use. */
export interface Renewal {
  readonly age: number
  now(): number
}

/** What the tier works with. */
export interface SharedTierParts {
  readonly names: SharedNames
  readonly outbox: Outbox
  readonly breaker: Breaker
  readonly logger: Logger
  /** What is in use is written anew at this age, ms, by this clock; undefined where nothing expires. */
  readonly renewal?: Renewal | undefined
}

const MAX_ABSENT = 20_000
const ABSENT_FOR_MS = 2000
/** Keys whose age is remembered, and how often it is looked at until they are due. */
const MAX_LOOKED = 100_000
const LOOKED_AT = 5

/** When the age of something that is used is looked at: a hit costs no more than that. */
function createRenewal(renewal: Renewal | undefined) {
  const looked = new LRUCache<string, number>({ max: MAX_LOOKED })
  const now = (): number => renewal?.now() ?? 0
  return {
    isDue: (key: string): boolean => {
      if (renewal === undefined) return false
      const last = looked.get(key)
      if (last !== undefined && now() - last < renewal.age / LOOKED_AT) return false
      looked.set(key, now())
      return true
    },
    isOld: ({ storedAt }: Entry): boolean => renewal !== undefined && now() - storedAt > renewal.age,
  }
}

/** As it was when the shared store was asked. */
interface Asked {
  readonly generation: number
  readonly since: number
}

/** What was dropped, in the order in which that was heard. */
function createDrops() {
  const dropped = new LRUCache<string, number>({ max: MAX_ABSENT })
  let order = 0
  let all = 0
  return {
    now: (): number => order,
    add: (keys: readonly string[]): void => {
      order += 1
      for (const key of keys) dropped.set(key, order)
    },
    addAll: (): void => {
      order += 1
      all = order
    },
    isDropped: (since: number, ...keys: readonly (string | undefined)[]): boolean =>
      all > since || keys.some((key) => key !== undefined && (dropped.get(key) ?? 0) > since),
  }
}

const originalOf = ({ role, original }: Entry): string | undefined =>
  role === 'rendition' ? original : undefined

/** What reads the shared store, and keeps here what it finds. */
function createReader(
  inner: Store,
  { names, outbox, breaker, logger }: SharedTierParts,
  drops: ReturnType<typeof createDrops>,
) {
  const flights = createSingleFlight()
  /** Keys that the shared store did not have a moment ago: a cold picture is looked up several times. */
  const absent = new LRUCache<string, true>({ max: MAX_ABSENT, ttl: ABSENT_FOR_MS })
  /** A request to the shared store; undefined where that fails. */
  const attempt = async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    if (breaker.isOpen()) return undefined
    try {
      return await breaker.run(call)
    } catch (error) {
      logger.debug({ err: error }, `artwork shared store: ${what} failed`)
      return undefined
    }
  }
  const isRemoving = (key: string, original: string | undefined): boolean =>
    outbox.isRemoving(key) || (original !== undefined && outbox.isRemoving(original))
  /** Keeps a name that came from the shared store, and what it was made from, unless this node knows better. */
  const keep = async (
    { entry, bytes, original }: SharedName,
    { generation, since }: Asked,
  ): Promise<Entry | undefined> => {
    const content = bytes ?? (await attempt('reading', () => names.content(entry)))
    const isGone = (): boolean => drops.isDropped(since, entry.key, entry.original)
    if (content === undefined || isGone()) return undefined
    // What was purged meanwhile is not stored. A disk that takes nothing is no reason to fetch it from its source.
    const kept = await inner.write(entry, content, { generation, isInput: false }).catch(() => undefined)
    if (kept !== undefined && isGone()) {
      await inner.delete(entry.key)
      return undefined
    }
    if (kept !== undefined && original !== undefined && inner.find(original.key) === undefined)
      inner.record(original)
    return kept
  }
  const fetch = (key: string, original: string | undefined): Promise<Entry | undefined> =>
    flights.run(key, async () => {
      const asked = { generation: inner.generation(), since: drops.now() }
      if (absent.has(key) || isRemoving(key, original)) return undefined
      const found = await attempt('looking up', () => names.find(key, original))
      if (found === undefined) {
        absent.set(key, true)
        return undefined
      }
      // Of an entity's image it is known only now.
      if (isRemoving(key, found.entry.original)) return undefined
      const known = inner.find(key)
      return known?.isStored ? known : keep(found, asked)
    })
  const read: Store['read'] = async (entry) => {
    const here = await inner.read(entry)
    if (here !== undefined) return here
    const asked = { generation: inner.generation(), since: drops.now() }
    if (isRemoving(entry.key, entry.original)) return undefined
    const found = await attempt('reading', async () => {
      const content = await names.content(entry)
      if (content !== undefined) return content
      const name = await names.find(entry.key, originalOf(entry))
      return name?.entry.digest === entry.digest ? name.bytes : undefined
    })
    if (found === undefined) return undefined
    // It may have been replaced, or purged, meanwhile.
    const isCurrent = inner.find(entry.key)?.digest === entry.digest
    if (isCurrent && !drops.isDropped(asked.since, entry.key, entry.original)) {
      const { size, isStored, ...facts } = entry
      await inner.write(facts, found, { generation: asked.generation }).catch(() => {})
    }
    return { bytes: found, from: 'disk' }
  }
  return { absent, fetch, read }
}

/** Wraps the store of this node. */
export function withSharedTier(inner: Store, parts: SharedTierParts): SharedTierStore {
  const { outbox, renewal } = parts
  const drops = createDrops()
  const { absent, fetch, read } = createReader(inner, parts, drops)
  const { isDue, isOld } = createRenewal(renewal)

  return {
    ...inner,
    touch: (key) => {
      inner.touch(key)
      if (!isDue(key)) return
      const entry = inner.find(key)
      if (entry?.isStored && isOld(entry)) outbox.renew(key, originalOf(entry))
    },
    forgetAbsent: () => absent.clear(),
    noteDropped: (keys) => {
      if (keys === 'all') drops.addAll()
      else drops.add(keys)
    },
    settled: async (key, ms) => {
      await inner.settled(key, ms)
      // Who waits for a time waits for this node only.
      if (ms === undefined) await outbox.settled(key)
    },
    lookup: async (key, original) => {
      const known = await inner.lookup(key)
      // Where a name lies follows from what it is made from.
      if (known?.isStored || (original === undefined && pathOfKey(key) === undefined)) return known
      return (await fetch(key, original)) ?? known
    },
    read,
    write: async (entry, bytes, options) => {
      const before = inner.find(entry.key)
      const written = await inner.write(entry, bytes, options)
      // Of other bytes nothing that was made before is right.
      if (before !== undefined && before.digest !== written.digest && entry.role !== 'rendition')
        await outbox.remove(entry.key)
      absent.delete(entry.key)
      outbox.write(entry.key, originalOf(written))
      return written
    },
    update: (entry, changes) => {
      const updated = inner.update(entry, changes)
      if (changes.validatedAt !== undefined || changes.focalPoint !== undefined)
        outbox.update(entry.key, originalOf(entry))
      return updated
    },
    delete: async (key, scope) => {
      if (scope === 'node') return inner.delete(key)
      const entry = inner.find(key)
      drops.add([key])
      // What is to go is noted before anything is gone.
      const removing = outbox.remove(key, entry && originalOf(entry))
      const wasThere = await inner.delete(key)
      await removing
      return wasThere
    },
    clear: async () => {
      drops.addAll()
      const clearing = outbox.clear()
      await inner.clear()
      await clearing
      // What was read from there meanwhile.
      await inner.clear()
    },
    close: async () => {
      await outbox.close()
      await inner.close()
    },
  }
}

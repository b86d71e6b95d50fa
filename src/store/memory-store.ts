/** The store of a process whose directory cannot be used: the same port, least recently used in memory only. */
import { LRUCache } from 'lru-cache'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import type { Failure } from '../model/failure.js'
import { ArtworkError, purgedMeanwhile } from '../model/failure.js'
import { withFactsOf } from './entry-update.js'
import {
  type Bounds,
  type KindTotals,
  LARGEST_SHARE,
  type SearchPage,
  type SearchQuery,
  type Store,
  type StoreStats,
} from './ports.js'
import { selectFrom } from './selection.js'

interface Item {
  readonly entry: Entry
  readonly bytes: Buffer
  usedAt: number
}

const MAX_FAILURES = 10_000

/** Makes an empty store within `bounds`; it is gone with the process. */
export function createMemoryStore(options: Bounds & { readonly now: () => number }): Store {
  const { maxBytes, maxNames, now } = options
  let evictions = 0
  let purges = 0
  // The number of names is bounded by `put`: as an option, it has room for all of them made at once.
  const items = new LRUCache<string, Item>({
    maxSize: maxBytes,
    sizeCalculation: (item) => Math.max(1, item.bytes.length),
    dispose: (_item, _name, reason) => {
      if (reason === 'evict') evictions += 1
    },
  })
  const put = (name: string, item: Item): void => {
    items.set(name, item)
    while (items.size > maxNames) items.pop()
  }
  const failures = new LRUCache<string, Failure>({ max: MAX_FAILURES })
  const notes = new LRUCache<string, { value: string; at: number }>({ max: 10_000 })
  return {
    find: (name) => items.peek(name)?.entry,
    lookup: async (name) => items.peek(name)?.entry,
    lease: async () => ({ waited: false, release: () => {} }),
    touch: (name) => {
      const item = items.get(name)
      if (item !== undefined) item.usedAt = now()
    },
    read: async (entry) => {
      const item = items.peek(entry.key)
      return item?.entry.isStored && item.entry.digest === entry.digest
        ? { bytes: item.bytes, from: 'memory' }
        : undefined
    },
    check: async ({ key, digest }) => {
      const entry = items.peek(key)?.entry
      return entry?.isStored && entry.digest === digest ? 'whole' : 'absent'
    },
    inMemory: (digest) => [...items.values()].some(({ entry }) => entry.isStored && entry.digest === digest),
    fileOf: () => undefined,
    settled: async () => {},
    write: async (fresh, bytes, { generation = purges } = {}) => {
      if (generation !== purges) throw purgedMeanwhile()
      if (bytes.length > maxBytes * LARGEST_SHARE)
        throw new ArtworkError('disk_write', 'the image is too large to be kept')
      const entry = Object.freeze({
        ...fresh,
        digest: fresh.digest ?? digestOf(bytes),
        size: bytes.length,
        isStored: true,
      })
      put(entry.key, { entry, bytes, usedAt: now() })
      failures.delete(entry.key)
      return entry
    },
    record: (facts) => {
      const entry = Object.freeze({ ...facts, isStored: false })
      if (items.peek(entry.key)?.entry.isStored !== true)
        put(entry.key, { entry, bytes: Buffer.alloc(0), usedAt: now() })
      return entry
    },
    update: (entry, changes) => {
      const item = items.peek(entry.key)
      const amended = Object.freeze({ ...entry, ...changes })
      if (item?.entry.digest === entry.digest)
        put(entry.key, { ...item, entry: withFactsOf(item.entry, amended) })
      return amended
    },
    delete: async (name) => items.delete(name),
    select: (selection) =>
      selectFrom(
        [...items.values()].map((item) => item.entry),
        selection,
      ),
    lastUsed: (name) => items.peek(name)?.usedAt,
    negativeCache: {
      get: (name) => failures.get(name),
      set: (name, failure) => void failures.set(name, failure),
      clear: (name) => void failures.delete(name),
      list: (after, limit) =>
        [...failures.entries()]
          .map(([name, failure]) => ({ name, ...failure }))
          .filter(({ name }) => name > after)
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .slice(0, limit),
    },
    search: async (query) => searchItems([...items.values()], query),
    history: () => [],
    clear: async () => {
      items.clear()
      failures.clear()
    },
    countByKind: () => countByKind(items.values()),
    keyValue: {
      get: (key) => notes.get(key),
      set: (key, value) => void notes.set(key, { value, at: now() }),
    },
    generation: () => purges,
    advanceGeneration: () => {
      purges += 1
    },
    stats: () => ({
      ...sizesOf(items.values()),
      memory: { entries: items.size, bytes: items.calculatedSize },
      evictions,
    }),
    verify: async () => ({
      state: 'done',
      checked: 0,
      bytes: 0,
      damaged: 0,
      unreadable: 0,
      relisted: 0,
      leftovers: 0,
      names: [],
    }),
    isWritable: () => Promise.resolve(true),
    ready: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

/** Entities' images by kind. */
function countByKind(all: Iterable<Item>): readonly KindTotals[] {
  const found = new Map<string, KindTotals>()
  for (const { entry } of all) {
    const kind = entry.ownerKind
    if (kind === undefined || entry.role !== 'artwork') continue
    const one = found.get(kind) ?? { kind, count: 0, bytes: 0 }
    found.set(kind, { kind, count: one.count + 1, bytes: one.bytes + entry.size })
  }
  return [...found.values()]
}

/** How much there is; what only a disk has is nothing. */
function sizesOf(all: Iterable<Item>): Omit<StoreStats, 'memory' | 'evictions'> {
  const byRole = { original: 0, rendition: 0, artwork: 0 }
  const sizes = new Map<string, number>()
  let names = 0
  for (const { entry } of all) {
    names += 1
    byRole[entry.role] += 1
    if (entry.isStored) sizes.set(entry.digest, entry.size)
  }
  return {
    names,
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    byRole,
    badCopies: 0,
    writeFailures: 0,
    leftovers: 0,
    catalogueBytes: 0,
    indexBytes: 0,
    bytesPerName: 0,
    durable: false,
    processes: 1,
    rebuilding: false,
    paused: undefined,
    waitingBytes: 0,
  }
}

/** As the catalogue's search, over what is in memory; a page begins after so many. */
function searchItems(all: readonly Item[], query: SearchQuery): SearchPage {
  const { text = '', role, kind, held, sort, after, limit } = query
  const wanted = text.toLowerCase()
  const key = ({ entry, usedAt }: Item) =>
    sort === 'name'
      ? entry.key
      : sort === 'used'
        ? -usedAt
        : sort === 'stored'
          ? -entry.storedAt
          : -entry.size
  const found = all
    .filter(({ entry }) => role === undefined || entry.role === role)
    .filter(({ entry }) => held === undefined || entry.isStored === held)
    .filter(
      ({ entry }) =>
        kind === undefined || entry.ownerKind === kind || entry.key.startsWith(`images/${kind}/`),
    )
    .filter(({ entry: { key: name, sourceUrl, ownerId } }) =>
      [name, sourceUrl, ownerId].some((one) => one?.toLowerCase().includes(wanted)),
    )
    .sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
  const from = Number(after ?? 0) || 0
  return {
    entries: found.slice(from, from + limit).map(({ entry, usedAt }) => ({ ...entry, lastUsed: usedAt })),
    total: found.length,
    next: from + limit < found.length ? String(from + limit) : undefined,
  }
}

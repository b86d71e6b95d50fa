/**
 * The memory layer: a Store over a Store. Facts of hot names and bytes of hot contents, each bounded, so that
 * a hit touches no disk and no database, and templates ask without any I/O.
 */
import { LRUCache } from 'lru-cache'
import type { Entry } from '../model/entry.js'
import type { Failure } from '../model/failure.js'
import { withFactsOf } from './entry-update.js'
import type { NegativeCache, Store } from './ports.js'

/** How much is remembered. */
export interface MemoryOptions {
  /** Bytes of content, each with {@link CONTENT_OVERHEAD}. */
  readonly maxBytes: number
  /** Contents over this size are left to the disk. @default 1 MiB */
  readonly maxEntryBytes?: number
  /** Names whose facts are remembered, present or absent. @default 20,000 */
  readonly maxNames?: number
}

/** Hears what is no longer in memory as it was. */
export interface Watcher {
  /** Names whose facts, bytes or failures changed. */
  changed(names: readonly string[] | 'all'): void
  /** A content whose bytes left memory. */
  evicted?(digest: string): void
  /** Something is being purged, whether there is anything of it or not. */
  purged?(): void
}

/** A memory layer, and the way to tell it that another process changed names. */
export interface MemoryCache {
  readonly store: Store
  forget(changed: readonly string[] | 'all'): void
  /** The bytes of a content that are in memory; they count as used now. */
  bytesOf(digest: string): Buffer | undefined
  watch(watcher: Watcher): void
}

const ABSENT = Symbol('absent')
/** Bytes of the memory behind a picture for each of its own, over which it is copied: small buffers share Node's pool. */
const MOST_SHARE = 1.2

/** Bytes that hold no more memory than they are counted at. */
const owned = (bytes: Buffer): Buffer => {
  if (bytes.buffer.byteLength <= bytes.length * MOST_SHARE) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

/** Bytes that the facts of a name take in the mean; long names take the place of several. */
const FACTS_SIZE = 600

/** What is known of failures: those of this process as they are, those of others as they were when they were looked up. */
function createFailureMemory(max: number, tell: (names: readonly string[]) => void) {
  const known = new LRUCache<string, Failure | typeof ABSENT>({ max })
  return {
    delete: (name: string): void => void known.delete(name),
    clear: (): void => known.clear(),
    /** A negative cache over another. */
    over: (inner: NegativeCache): NegativeCache => ({
      ...inner,
      get: (name, trust) => {
        const remembered = known.get(name)
        if (trust === 'memory' && remembered !== undefined)
          return remembered === ABSENT ? undefined : remembered
        const failure = inner.get(name)
        // The same one: below, its code may be one that earlier versions know.
        if (failure !== undefined && remembered !== ABSENT && remembered?.at === failure.at) return remembered
        known.set(name, failure ?? ABSENT)
        return failure
      },
      set: (name, failure) => {
        inner.set(name, failure)
        known.set(name, failure)
        tell([name])
      },
      clear: (name) => {
        inner.clear(name)
        known.set(name, ABSENT)
        tell([name])
      },
    }),
  }
}

/**
 * Bytes of memory that a content takes beside its own: its key, its buffer, what the allocator keeps with both. Without them
 * small pictures would take twice the bound (`npm run bench held`).
 */
const CONTENT_OVERHEAD = 1600

/** Bytes by their digest, least recently used. */
const createHotContents = (maxSize: number, maxEntrySize: number, watchers: readonly Watcher[]) =>
  new LRUCache<string, Buffer>({
    maxSize,
    maxEntrySize: Math.min(maxEntrySize + CONTENT_OVERHEAD, maxSize),
    sizeCalculation: (bytes) => bytes.length + CONTENT_OVERHEAD,
    dispose: (_bytes, digest, reason) => {
      if (reason !== 'set') for (const { evicted } of watchers) evicted?.(digest)
    },
  })

/** What is known of names: what is remembered of one never overtakes what has happened to it since. */
function createKnownEntries(maxNames: number) {
  const facts = new LRUCache<string, Entry | typeof ABSENT>({
    max: maxNames,
    maxSize: maxNames * FACTS_SIZE,
    sizeCalculation: (value, name) => name.length + (value === ABSENT ? 100 : FACTS_SIZE / 2),
  })
  /** The one write under way of a name, by what marks it, while nothing else has happened to the name since. */
  const writing = new Map<string, symbol>()
  let drops = 0
  const drop = (name: string): void => {
    drops += 1
    facts.delete(name)
    writing.delete(name)
  }
  return {
    get: (name: string): Entry | typeof ABSENT | undefined => facts.get(name),
    set: (name: string, entry: Entry | undefined): void => void facts.set(name, entry ?? ABSENT),
    drop,
    dropAll: (): void => {
      drops += 1
      facts.clear()
      writing.clear()
    },
    /** Facts changed of an entry: they are known of what the name stands for now, and not of an earlier state. */
    amend: (entry: Entry): void => {
      const known = facts.get(entry.key)
      drop(entry.key)
      // Of one without bytes, they may have come since.
      if (known === undefined || known === ABSENT || !known.isStored) return
      if (known.digest === entry.digest) facts.set(entry.key, withFactsOf(known, entry))
    },
    /** Writes. What was written is remembered, unless something else has happened to the name since. */
    write: async (name: string, work: () => Promise<Entry>): Promise<Entry> => {
      const mine = Symbol(name)
      facts.delete(name)
      writing.set(name, mine)
      try {
        const entry = await work()
        // Another process may have changed it, and have been heard of already: then it is looked up again.
        if (writing.get(name) === mine) facts.set(name, entry)
        else facts.delete(name)
        return entry
      } finally {
        // Another one that is under way does not know which of them came last.
        writing.delete(name)
      }
    },
    /** Looks up. What it brings is remembered, unless something has been heard or written meanwhile. */
    lookUp: async (name: string, work: () => Promise<Entry | undefined>): Promise<Entry | undefined> => {
      const [before, known] = [drops, facts.peek(name)]
      const entry = await work()
      if (drops !== before || facts.peek(name) !== known) facts.delete(name)
      else if (entry !== undefined) facts.set(name, entry)
      return entry
    },
  }
}

/** Wraps `inner`. Every write and removal through it is seen at once. */
export function createMemoryCache(inner: Store, options: MemoryOptions): MemoryCache {
  const { maxBytes, maxEntryBytes = 1024 * 1024, maxNames = 20_000 } = options
  const facts = createKnownEntries(maxNames)
  const watchers: Watcher[] = []
  const tell = (names: readonly string[] | 'all'): void => {
    for (const { changed } of watchers) changed(names)
  }
  const failures = createFailureMemory(maxNames, tell)
  const contents = maxBytes > 0 ? createHotContents(maxBytes, maxEntryBytes, watchers) : undefined

  const store: Store = {
    ...inner,
    find: (name, trust) => {
      const known = facts.get(name)
      const isTrusted = known !== ABSENT || trust === 'memory'
      if (known !== undefined && isTrusted) return known === ABSENT ? undefined : known
      const entry = inner.find(name)
      facts.set(name, entry)
      return entry
    },
    lookup: async (name, original) => {
      // One without bytes is an answer too: nobody is to fetch them for a look-up.
      const known = store.find(name)
      return known ?? facts.lookUp(name, () => inner.lookup(name, original))
    },
    negativeCache: failures.over(inner.negativeCache),
    inMemory: (digest) => contents?.has(digest) === true || inner.inMemory(digest),
    lease: async (key, signal) => {
      const turn = await inner.lease(key, signal)
      // What another process did for us is not in this memory yet.
      if (turn.waited) facts.drop(key)
      return turn
    },
    read: async (entry) => {
      const hot = contents?.get(entry.digest)
      if (hot !== undefined) return { bytes: hot, from: 'memory' }
      const held = await inner.read(entry)
      // Bytes of one that had none may have been stored by that.
      if (held === undefined || !entry.isStored) facts.drop(entry.key)
      if (held !== undefined) contents?.set(entry.digest, owned(held.bytes))
      return held
    },
    check: async (entry, options) => {
      const state = await inner.check(entry, options)
      // What is not there any more is not to be answered from memory either.
      if (state !== 'whole' && options?.isDryRun !== true) {
        facts.drop(entry.key)
        contents?.delete(entry.digest)
        tell([entry.key])
      }
      return state
    },
    write: async (entry, bytes, options = {}) => {
      const { key } = entry
      const written = await facts.write(key, () => inner.write(entry, bytes, options))
      failures.delete(key)
      tell([key])
      if (options.isInput !== true) contents?.set(written.digest, owned(bytes))
      return written
    },
    advanceGeneration: () => {
      inner.advanceGeneration()
      for (const { purged } of watchers) purged?.()
    },
    record: (entry) => {
      const recorded = inner.record(entry)
      facts.drop(entry.key)
      tell([entry.key])
      return recorded
    },
    update: (entry, changes) => {
      const amended = inner.update(entry, changes)
      facts.amend(amended)
      tell([entry.key])
      return amended
    },
    delete: async (name, scope) => {
      facts.drop(name)
      const removed = await inner.delete(name, scope)
      facts.drop(name)
      tell([name])
      return removed
    },
    clear: async () => {
      facts.dropAll()
      contents?.clear()
      await inner.clear()
      facts.dropAll()
      failures.clear()
      tell('all')
    },
    stats: () => ({
      ...inner.stats(),
      memory: { entries: contents?.size ?? 0, bytes: contents?.calculatedSize ?? 0 },
    }),
  }
  return {
    store,
    forget: (changed) => {
      if (changed === 'all') {
        facts.dropAll()
        failures.clear()
      } else
        for (const name of changed) {
          facts.drop(name)
          failures.delete(name)
        }
      tell(changed)
    },
    bytesOf: (digest) => contents?.get(digest),
    watch: (watcher) => void watchers.push(watcher),
  }
}

/**
 * The ports of the store, one for each group of callers: entries by key, queries, maintenance, coordination between
 * processes, failures and small texts. One contract test runs over every implementation (disk, memory, and the cache
 * above them).
 */
import type { Entry, Role } from '../model/entry.js'
import type { Failure } from '../model/failure.js'

/** Bytes that were read, and where they came from. */
export interface Content {
  readonly bytes: Buffer
  readonly from: 'memory' | 'disk'
}

/** A new entry, without what the store works out itself. */
export type NewEntry = Omit<Entry, 'digest' | 'size' | 'isStored'> & {
  /** SHA-256 of the bytes, where the caller has read it already. */
  readonly digest?: string | undefined
}

/** How to write. */
export interface WriteOptions {
  /** They are an original that something is made of, and answered to nobody: memory need not hold them. */
  readonly isInput?: boolean
  /** The purge generation when the bytes were asked for: after a later purge they are not stored. */
  readonly generation?: number
  /** Nobody waits for it to be stored: see `write-behind.ts`. Other stores take no notice. */
  readonly isBehind?: boolean
}

/** What may change of an entry whose bytes stay the same: by a 304, or since more is known of it. */
export const UPDATABLE = [
  'validatedAt',
  'freshnessLifetime',
  'staleWhileRevalidate',
  'staleIfError',
  'etag',
  'lastModified',
  'traits',
  'smallerThan',
  'clientFreshnessLifetime',
  'focalPoint',
] as const satisfies readonly (keyof Entry)[]

/** Values of some of {@link UPDATABLE}. */
export type EntryUpdate = Partial<Pick<Entry, (typeof UPDATABLE)[number]>>

/** Which entries to list, in the order of their keys. */
export interface Selection {
  readonly role?: Role
  /** Only what was made from this original. */
  readonly original?: string
  /** Only what was not made from this state of its original, a digest. */
  readonly notMadeFrom?: string
  readonly ownerKind?: string
  /** Only names after this one. */
  readonly after?: string
  readonly limit: number
}

/** What names can be sorted by; all but `name` begin with the largest, or latest. */
export const SORTS = ['name', 'used', 'stored', 'size'] as const

/** What entries may be. */
export const ROLES = ['original', 'rendition', 'artwork'] as const satisfies readonly Role[]

/** Which entries to search for. */
export interface SearchQuery {
  /** Part of a name, a source URL or an entity's id; case does not count. */
  readonly text?: string | undefined
  readonly role?: Role | undefined
  /** The kind of an address, or of the entity whose image it is. */
  readonly kind?: string | undefined
  /** Whether the bytes are stored. */
  readonly held?: boolean | undefined
  readonly sort: (typeof SORTS)[number]
  /** `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/** An entry that was found. */
export interface FoundEntry extends Entry {
  /** Ms since the epoch. */
  readonly lastUsed: number
}

/** A page of what was found. */
export interface SearchPage {
  readonly entries: readonly FoundEntry[]
  /** How many there are on all pages. */
  readonly total: number
  readonly next: string | undefined
}

/** Something that happened to an entry. */
export interface HistoryItem {
  /** Ms since the epoch. */
  readonly at: number
  /** `stored`: new bytes; `failed`: the image could not be obtained; `evicted`, `removed`: its bytes, or it, went. */
  readonly what: 'stored' | 'failed' | 'evicted' | 'removed'
  /** The digest of new bytes, or why it failed. */
  readonly note: string
}

/** What the store holds. Bytes count each content once, however many names it has. */
export interface StoreStats {
  /** Names of images. */
  readonly names: number
  /** Bytes of their contents. */
  readonly bytes: number
  /** Names by what they are. */
  readonly byRole: Readonly<Record<Role, number>>
  /** What is in memory. */
  readonly memory: {
    /** Contents in memory. */
    readonly entries: number
    /** Their bytes. */
    readonly bytes: number
  }
  /** What cacache's index entries take on disk, whole blocks, bytes. */
  readonly indexBytes: number
  /**
   * What a name costs on disk beside its bytes: catalogue and index by the name, bytes; 0 where there is no name. Of the
   * catalogue, without what it takes while it is empty, and without its log, whose place is used again.
   */
  readonly bytesPerName: number
  /** Images that were evicted to stay within bounds, since start. */
  readonly evictions: number
  /** Changes and files that a dead process left and were cleaned up, or that a sweep found, since start. */
  readonly leftovers: number
  /** Copies that failed their digest or had vanished, since start. */
  readonly badCopies: number
  /** Images that could not be written, since start. */
  readonly writeFailures: number
  /** The catalogue's file and its log, bytes. */
  readonly catalogueBytes: number
  /** Whether anything survives the process. */
  readonly durable: boolean
  /** Processes that have the directory open, this one among them. */
  readonly processes: number
  /** Whether a lost catalogue is being read back. */
  readonly rebuilding: boolean
  /** Why nothing new is stored at the moment, undefined where it is. */
  readonly paused: string | undefined
  /** Bytes that are written behind answers, and are not stored yet. */
  readonly waitingBytes: number
}

/** Images of the entities of a kind. */
export interface KindTotals {
  readonly kind: string
  readonly count: number
  /** Bytes; a content that two entities share is counted twice. */
  readonly bytes: number
}

/** The right to do a piece of work that is done once for all processes. */
export interface Lease {
  /** Whether another process had it before: its result may be there now. */
  readonly waited: boolean
  release(): void
}

/** How to verify what is stored. */
export interface VerifyOptions {
  /** How much is read a second, bytes. @default 32 MiB */
  readonly bytesPerSecond?: number
  /** Start again instead of where the last run was interrupted. @default false */
  readonly restart?: boolean
  /** Stops it when it is aborted. */
  readonly signal?: AbortSignal
  /** Called every 64 contents. */
  readonly onProgress?: (soFar: Omit<VerifyReport, 'names' | 'state'>) => void
}

/** What a verification found, and repaired. */
export interface VerifyReport {
  /** `done`; `stopped` by the signal or by closing, to be resumed; `elsewhere`: another process is doing it. */
  readonly state: 'done' | 'stopped' | 'elsewhere'
  /** Contents that were read, and their bytes. */
  readonly checked: number
  /** Bytes of the contents that were read. */
  readonly bytes: number
  /** Contents that were damaged or gone: their entries are misses now, and are fetched again. */
  readonly damaged: number
  /** Contents that could not be read for another reason; they are left alone. */
  readonly unreadable: number
  /** Index entries that were missing or wrong, and were written anew. */
  readonly relisted: number
  /** Files that belong to no entry, removed. */
  readonly leftovers: number
  /** The names of what was damaged, the first 1,000. */
  readonly names: readonly string[]
}

/** Recent failures, so that a request that failed is not repeated at once (RFC 2308 in spirit). */
export interface NegativeCache {
  /** @param trust `memory`: what another process recorded since this one looked need not be known (templates) */
  get(name: string, trust?: 'memory'): Failure | undefined
  set(name: string, failure: Failure): void
  clear(name: string): void
  /** In the order of their names. @param after only names after this one */
  list(after: string, limit: number): readonly (Failure & { readonly name: string })[]
}

/** Small texts by key, with when each was set, ms since the epoch. */
export interface KeyValue {
  get(key: string): { readonly value: string; readonly at: number } | undefined
  set(key: string, value: string): void
}

/** Entries by key, with their bytes: what the pipeline needs. Only `write` throws; what cannot be read is a miss. */
export interface EntryStore {
  /** @param trust `memory`: a key that the memory cache knows to be absent is not looked up again (templates) */
  find(key: string, trust?: 'memory'): Entry | undefined
  /**
   * As `find`, also while a lost catalogue is being read back, and in the store that nodes share.
   * @param original the key of what it is made from, or its own where it is an original; without it, only entities' images are
   * looked for there
   */
  lookup(key: string, original?: string): Promise<Entry | undefined>
  /** The bytes of an entry, verified against its digest; undefined where they are gone or damaged. */
  read(entry: Entry): Promise<Content | undefined>
  /**
   * Reads the bytes of an entry from disk, whatever memory has. `damaged`: the copy is discarded, unless it is a dry
   * run. `absent`: the key has other bytes by now, or none. `unreadable`: the bytes could not be read now.
   */
  check(
    entry: Entry,
    options?: { readonly isDryRun?: boolean },
  ): Promise<'whole' | 'damaged' | 'absent' | 'unreadable'>
  /** Whether the bytes of a content are in memory. */
  inMemory(digest: string): boolean
  /** The file with the bytes of an entry, which nobody may change; undefined where there is none. */
  fileOf(entry: Entry): string | undefined
  /**
   * Stores bytes under a key, replacing what the key had.
   * @throws ArtworkError `disk_write` when they could not be stored; nothing is changed then
   */
  write(entry: NewEntry, bytes: Buffer, options?: WriteOptions): Promise<Entry>
  /**
   * Records facts under a key whose bytes lie elsewhere: a file of the app's own. The entry is not stored. Nothing is recorded
   * while the key is being changed, or has bytes, or while there are as many names as may be. Never throws.
   */
  record(entry: Omit<Entry, 'isStored'>): Entry
  /**
   * Resolves when nothing of a key waits to be stored any more.
   * @param within how long is waited, ms; without end where it is left out
   */
  settled(key: string, within?: number): Promise<void>
  /** Changes facts of an entry, if its key still has this digest. */
  update(entry: Entry, changes: EntryUpdate): Entry
  /**
   * Deletes an entry; bytes that no key has any more are gone when this resolves.
   * @param scope `node`: what other nodes have stays
   */
  delete(key: string, scope?: 'node'): Promise<boolean>
  /** Records a use, for least-recently-used. Costs no I/O. */
  touch(key: string): void
}

/** What can be asked of all entries: management, cleanup, export. */
export interface EntryQueries {
  select(selection: Selection): readonly Entry[]
  /** Searches all entries. Takes a while, and yields to the event loop meanwhile. */
  search(query: SearchQuery): Promise<SearchPage>
  /** What happened to a key, latest first, as far back as is recorded. */
  history(key: string): readonly HistoryItem[]
  /** Last use of a key, ms since the epoch; undefined for a key that is not there. */
  lastUsed(key: string): number | undefined
  /** Stored images of entities, by their kind. */
  countByKind(): readonly KindTotals[]
  stats(): StoreStats
}

/** Looking after the store as a whole. */
export interface Maintenance {
  /** Reads everything and checks it against its digest, slowly, beside readers and writers. Repairs what it finds. */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /** Deletes every entry. @throws ArtworkError `disk_write` when it could not */
  clear(): Promise<void>
  /** Whether something could be stored now: a file is written to find out. Never throws. */
  isWritable(): Promise<boolean>
  /** Resolves when what an earlier process left undone is finished, and lost entries have been read back. */
  ready(): Promise<void>
  close(): Promise<void>
}

/** What several processes agree on. */
export interface Coordination {
  /**
   * Takes the lease of work that one process does for all, after whoever has it now. Never throws.
   * @param signal stops waiting
   */
  lease(key: string, signal?: AbortSignal): Promise<Lease>
  /** How many purges there were: what was begun before one and ends after it is not to be stored. */
  generation(): number
  advanceGeneration(): void
}

/** Everything a store offers; consumers take the part they need. */
export interface Store extends EntryStore, EntryQueries, Maintenance, Coordination {
  readonly negativeCache: NegativeCache
  /** Bounded; forgotten when the catalogue is lost. */
  readonly keyValue: KeyValue
}

/** The bounds of a store. */
export interface Bounds {
  /** Bytes of content, all names together. */
  readonly maxBytes: number
  readonly maxNames: number
}

/** Least-recently-used entries are evicted until the store is down to this share of its bound. */
export const EVICT_TO = 0.9

/** A single object over this share of the bound is served but not stored. */
export const LARGEST_SHARE = 0.1

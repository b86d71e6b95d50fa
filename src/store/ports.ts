/**
 * The port of the store: names, facts and verified bytes. Everything kept goes through it, and one contract
 * test runs over every implementation (disk, memory, and the layer above them).
 */
import type { Entry, Role } from '../model/entry.js'
import type { Failure } from '../model/failure.js'
import type { HistoryItem } from './disk/history.js'
import type { SearchPage, SearchQuery } from './disk/search.js'

/** Bytes that were read, and where they came from. */
export interface Content {
  readonly bytes: Buffer
  readonly from: 'memory' | 'disk'
}

/** What is to be kept of new bytes: an entry without what the store finds out itself. */
export type NewEntry = Omit<Entry, 'digest' | 'size' | 'isStored'>

/** What may change about an image whose bytes stay the same: by a 304, or since more is known of it. */
export type EntryUpdate = Partial<
  Pick<
    Entry,
    | 'validatedAt'
    | 'freshnessLifetime'
    | 'staleWhileRevalidate'
    | 'staleIfError'
    | 'etag'
    | 'lastModified'
    | 'traits'
    | 'smallerThan'
    | 'clientFreshnessLifetime'
  >
>

/** Which entries to list; in the order of their names. */
export interface Selection {
  readonly role?: Role
  /** Only what was made from this original. */
  readonly original?: string
  readonly ownerKind?: string
  /** Only names after this one. */
  readonly after?: string
  readonly limit: number
}

/** What the store holds. Bytes count each content once, however many names it has. */
export interface StoreStats {
  readonly names: number
  readonly bytes: number
  readonly byRole: Readonly<Record<Role, number>>
  readonly memory: { readonly entries: number; readonly bytes: number }
  /** What cacache's index entries take on disk, whole blocks, bytes. */
  readonly indexBytes: number
  /** Catalogue and index by the name, bytes; 0 where there is no name. */
  readonly bytesPerName: number
  readonly evictions: number
  /** Changes and files that were tidied up after a process that died, or found by a sweep, since start. */
  readonly leftovers: number
  /** Copies that failed their digest or had vanished, since start. */
  readonly badCopies: number
  readonly writeFailures: number
  /** The catalogue's file and its log, bytes. */
  readonly catalogueBytes: number
  /** Whether anything survives the process. */
  readonly durable: boolean
  readonly rebuilding: boolean
  /** Why nothing new is kept at the moment, undefined where it is. */
  readonly paused: string | undefined
}

/** Pictures of the entities of a kind. */
export interface KindTotals {
  readonly kind: string
  readonly count: number
  /** Bytes; a content that two entities share is counted twice. */
  readonly bytes: number
}

/** A turn at a piece of work that is done once for all processes. */
export interface Lease {
  /** Whether another process had it before: what it was to bring may be there now. */
  readonly waited: boolean
  release(): void
}

/** How to check what is kept. */
export interface VerifyOptions {
  /** How much is read a second, bytes. @default 32 MiB */
  readonly bytesPerSecond?: number
  /** Begin anew instead of where the last run was interrupted. @default false */
  readonly restart?: boolean
  readonly signal?: AbortSignal
  /** Told every 64 contents. */
  readonly onProgress?: (soFar: Omit<VerifyReport, 'names' | 'state'>) => void
}

/** What a check found, and mended. */
export interface VerifyReport {
  /** `done`; `stopped` by the signal or by closing, to be gone on with; `elsewhere`: another process is at it. */
  readonly state: 'done' | 'stopped' | 'elsewhere'
  /** Contents that were read, and their bytes. */
  readonly checked: number
  readonly bytes: number
  /** Contents that were damaged or gone: their names are a miss now, and are fetched again. */
  readonly damaged: number
  /** Contents that could not be read for another reason; they are left alone. */
  readonly unreadable: number
  /** Index entries that were missing or wrong, and were written anew. */
  readonly relisted: number
  /** Files that no name has, taken away. */
  readonly leftovers: number
  /** The names of what was damaged, the first 1,000. */
  readonly names: readonly string[]
}

/** A remembered failure's place in the store. */
export interface NegativeCache {
  get(name: string): Failure | undefined
  set(name: string, failure: Failure): void
  clear(name: string): void
  /** In the order of their names. @param after only names after this one */
  list(after: string, limit: number): readonly (Failure & { readonly name: string })[]
}

/** Small texts by key, with when each was noted, ms since the epoch. */
export interface KeyValue {
  get(key: string): { readonly value: string; readonly at: number } | undefined
  set(key: string, value: string): void
}

/** Names, facts and bytes. No verb but `write` and `clear` throws: what cannot be read is not there. */
export interface Store {
  /**
   * The entry of a name.
   * @param trust `memory`: a name that memory knows to be absent is not asked for again (templates)
   */
  find(name: string, trust?: 'memory'): Entry | undefined
  /** The entry of a name, looked for in what a lost catalogue left behind too. */
  lookup(name: string): Promise<Entry | undefined>
  /**
   * Takes the turn at work that one process does for all, after whoever has it now. Never throws.
   * @param signal stops waiting
   */
  lease(key: string, signal?: AbortSignal): Promise<Lease>
  /** Notes that a name was used, for least-recently-used. Costs no I/O. */
  touch(name: string): void
  /** The bytes of an entry, verified against its digest; undefined where they are gone or damaged. */
  read(entry: Entry): Promise<Content | undefined>
  /**
   * Reads the bytes of an entry where they are kept for good, whatever memory has: `whole`; `damaged`, then the copy is
   * given up, unless it is a dry run; `absent` where the name stands for other bytes by now, or has none; `unreadable`
   * where it cannot be told now.
   */
  check(
    entry: Entry,
    options?: { readonly isDryRun?: boolean },
  ): Promise<'whole' | 'damaged' | 'absent' | 'unreadable'>
  /** Whether the bytes of a content are in memory. */
  inMemory(digest: string): boolean
  /** The file that holds the bytes of an entry, which nobody may change; undefined where there is none. */
  fileOf(entry: Entry): string | undefined
  /**
   * Keeps bytes under a name, replacing what the name had.
   * @throws ArtworkError `disk_write` when they could not be kept; nothing is changed then
   */
  write(entry: NewEntry, bytes: Buffer): Promise<Entry>
  /** Changes facts of a name, if it still has this digest. */
  update(entry: Entry, changes: EntryUpdate): Entry
  /** Forgets a name; bytes that no name has any more are gone when this resolves. */
  delete(name: string): Promise<boolean>
  select(selection: Selection): readonly Entry[]
  /** Looks through all names. Takes a while, and lets others go on meanwhile. */
  search(query: SearchQuery): Promise<SearchPage>
  /** What happened to a name, latest first; what is remembered of it. */
  history(name: string): readonly HistoryItem[]
  /** What is kept of entities' pictures, by their kind. */
  countByKind(): readonly KindTotals[]
  /** Last use of a name, ms since the epoch; undefined for a name that is not there. */
  lastUsed(name: string): number | undefined
  readonly negativeCache: NegativeCache
  /** What others want to remember, bounded: forgotten when the catalogue is lost. */
  readonly keyValue: KeyValue
  /** How many purges there were: what was begun before one and ends after it is not to be kept. */
  generation(): number
  /** Counts one. */
  advanceGeneration(): void
  /** Forgets every name. @throws ArtworkError `disk_write` when it could not */
  clear(): Promise<void>
  stats(): StoreStats
  /** Reads everything and checks it against its digest, slowly, beside readers and writers. Mends what it finds. */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /** Whether something could be kept now: a file is written to find out. Never throws. */
  isWritable(): Promise<boolean>
  /** Resolves when what an earlier process left undone has been tidied up, and lost names have been read back. */
  ready(): Promise<void>
  close(): Promise<void>
}

/** The bounds of a store. */
export interface Bounds {
  /** Bytes of content, all names together. */
  readonly maxBytes: number
  readonly maxNames: number
}

/** Least-recently-used entries go until the store is down to this share of its bound. */
export const EVICT_TO = 0.9

/** A single object over this share of the bound is served but not kept. */
export const LARGEST_SHARE = 0.1

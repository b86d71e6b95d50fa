/**
 * The port of the store: names, facts and verified bytes. Everything kept goes through it, and one contract
 * test runs over every implementation (disk, memory, and the layer above them).
 */
import type { Entry, Role } from '../model/entry.js'
import type { Failure } from '../model/errors.js'

/** Bytes that were read, and where they came from. */
export interface Held {
  readonly bytes: Buffer
  readonly from: 'memory' | 'disk'
}

/** What is to be kept of new bytes: an entry without what the store finds out itself. */
export type NewEntry = Omit<Entry, 'digest' | 'size' | 'held'>

/** What may change about an original whose bytes stay the same (a 304). */
export type Amendment = Partial<Pick<Entry, 'checkedAt' | 'freshFor' | 'etag' | 'lastModified'>>

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
  readonly evictions: number
  /** Copies that failed their digest or had vanished, since start. */
  readonly badCopies: number
  readonly writeFailures: number
  /** What the names themselves cost on disk (catalogue and its log), bytes. */
  readonly catalogueBytes: number
  /** Whether anything survives the process. */
  readonly durable: boolean
  readonly rebuilding: boolean
}

/** A remembered failure's place in the store. */
export interface Failures {
  get(name: string): Failure | undefined
  set(name: string, failure: Failure): void
  clear(name: string): void
}

/** Names, facts and bytes. No verb but `write` throws: what cannot be read is not there. */
export interface Store {
  /**
   * The entry of a name.
   * @param trust `memory`: a name that memory knows to be absent is not asked for again (templates)
   */
  find(name: string, trust?: 'memory'): Entry | undefined
  /** Notes that a name was used, for least-recently-used. Costs no I/O. */
  use(name: string): void
  /** The bytes of an entry, verified against its digest; undefined where they are gone or damaged. */
  read(entry: Entry): Promise<Held | undefined>
  /**
   * Keeps bytes under a name, replacing what the name had.
   * @throws ArtworkError `disk_write` when they could not be kept; nothing is changed then
   */
  write(entry: NewEntry, bytes: Buffer): Promise<Entry>
  /** Changes facts of a name, if it still has this digest. */
  amend(entry: Entry, changes: Amendment): Entry
  /** Forgets a name; bytes that no name has any more are gone when this resolves. */
  remove(name: string): Promise<boolean>
  select(selection: Selection): readonly Entry[]
  /** Last use of a name, ms since the epoch; undefined for a name that is not there. */
  lastUsed(name: string): number | undefined
  readonly failures: Failures
  /** Forgets every name. */
  clear(): Promise<void>
  stats(): StoreStats
  /** Resolves when names that were lost have been read back; at once where none were. */
  settled(): Promise<void>
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

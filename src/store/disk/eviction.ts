/** Eviction: the SQL that chooses the least recently used, its bounds, and the loop that makes room. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessRegistry } from '../../database/process-registry.js'
import { type Database, immediate, keep } from '../../database/sqlite.js'
import { type Bounds, EVICT_TO } from '../ports.js'
import type { ContentOf, Rows } from './entries.js'
import type { KeyLock, LockTable, OverBounds } from './lock-table.js'
import { retryBusy } from './retry-busy.js'
import type { Row } from './rows.js'
import type { Totals } from './totals.js'

/** Entries that are evicted in one transaction. */
const EVICTION_BATCH = 64
const LONGEST_PAUSE = 50
/** After so many tries, each with a longer pause, there is no room. */
const MAX_PAUSE = 200

/** What {@link createEvictionTable} works with. */
export interface EvictionParts {
  readonly totals: Pick<Totals, 'of'>
  readonly rows: Pick<Rows, 'get' | 'remove' | 'evict'>
  readonly locks: LockTable['rows']
}

/** Makes the eviction of an open catalogue. Keys that are being changed are passed over. */
export function createEvictionTable(db: Database, { totals, rows, locks }: EvictionParts) {
  const transaction = immediate(db)
  const sql = keep({
    oldestStored: db.prepare<[number], Row>(`SELECT * FROM names AS n WHERE held = 1
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    oldestFree: db.prepare<[number], Row>(`SELECT * FROM names AS n WHERE dependents = 0
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    any: db.prepare<[number], Row>(`SELECT * FROM names AS n
      WHERE NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) LIMIT ?`),
  })
  return {
    /** Evicts a batch, down to 90 % of a bound that is exceeded. Answers the keys. */
    evict: transaction(
      (owner: string, bounds: Bounds, over: OverBounds, batch: number): readonly string[] => {
        const evicted: string[] = []
        const reserved = locks.reserved()
        const evictWhile = (
          isOver: () => boolean,
          candidates: readonly Row[],
          how: (row: Row) => ContentOf | undefined,
        ): void => {
          for (const { name } of candidates) {
            if (evicted.length >= batch || !isOver()) return
            // What went before it in this batch may have changed the row.
            const row = rows.get(name)
            if (row === undefined || locks.get(name) !== undefined) continue
            if (how === rows.remove && row.dependents > 0) continue
            locks.deferDelete(name, owner, how(row))
            evicted.push(name)
          }
        }
        const isOverBytes = () =>
          totals.of('bytes') + totals.of('unread') + reserved.size > bounds.maxBytes * EVICT_TO
        const isOverNames = () => totals.of('names') + reserved.adds > bounds.maxNames * EVICT_TO
        if (over.bytes) evictWhile(isOverBytes, sql.oldestStored.all(batch), rows.evict)
        if (over.names) evictWhile(isOverNames, sql.oldestFree.all(batch), rows.remove)
        return evicted
      },
    ),
    /** Deletes a batch of anything. Answers the keys. */
    evictAny: transaction((owner: string, batch: number): readonly string[] => {
      const candidates = sql.any.all(batch)
      for (const row of candidates) locks.deferDelete(row.name, owner, rows.remove(row))
      return candidates.map((row) => row.name)
    }),
  }
}

/** What {@link createEviction} works with. */
export interface EvictionLoopParts {
  readonly processes: Pick<ProcessRegistry, 'id'>
  catalogue(): ReturnType<typeof createEvictionTable> &
    Pick<LockTable, 'overBounds' | 'isQuiet'> &
    Pick<Totals, 'isComplete' | 'isMeasured'> & { totals(): { readonly bytes: number } }
  readonly contents: { prune(): Promise<void> }
  readonly bounds: Bounds
  readonly counts: { evictions: number }
  /** Writes last uses down, before anything is chosen by them. */
  flush(): void
  changed(names: readonly string[]): void
  isClosed(): boolean
}

/** Locks as far as eviction needs them. */
interface Locks {
  releaseAll(names: readonly string[]): Promise<void>
  releaseStuck(): Promise<boolean>
}

/** See {@link createEviction}. */
export type Eviction = ReturnType<typeof createEviction>

/** Makes the loop that keeps a store within its bounds. */
export function createEviction(parts: EvictionLoopParts, locks: Locks) {
  const { processes, catalogue, contents, bounds, counts } = parts

  const evictBatches = async (choose: () => readonly string[]): Promise<number> => {
    let count = 0
    for (let evicted = choose(); evicted.length > 0 && !parts.isClosed(); evicted = choose()) {
      count += evicted.length
      parts.changed(evicted)
      await locks.releaseAll(evicted)
    }
    return count
  }
  const evictTo = async (target: Bounds, over: OverBounds): Promise<void> => {
    parts.flush()
    counts.evictions += await evictBatches(() =>
      catalogue().evict(processes.id(), target, over, EVICTION_BATCH),
    )
  }
  /** Evicts down to 90 % what is over a bound. Answers whether the ticket's reservation fits now. */
  const trimFor = async (ticket: number): Promise<boolean> => {
    const over = catalogue().overBounds(ticket, bounds)
    if (!over.bytes && !over.names) return true
    // A change that ended badly, on a full disk say, is no reason to evict: it is ended first.
    if (!(await locks.releaseStuck())) return false
    await evictTo(bounds, over)
    const still = catalogue().overBounds(ticket, bounds)
    return !still.bytes && !still.names
  }
  return {
    /**
     * Waits until the space that a change reserved is there, evicting what was used least recently. What was reserved
     * before it counts, so that the bound holds however many write at once.
     * @throws Error when there is none; while a lost catalogue is read back, nothing can be evicted
     */
    makeRoom: async ({ ticket }: KeyLock): Promise<void> => {
      await retryBusy('measuring', () => catalogue().isMeasured() || undefined)
      const isOver = ({ bytes, names }: OverBounds): boolean => bytes || names
      if (!catalogue().isComplete() && isOver(catalogue().overBounds(ticket, bounds)))
        throw new Error('there is no room until the catalogue has been read back')
      for (let pause = 2; !(await trimFor(ticket)); pause += 2) {
        if (pause > MAX_PAUSE) throw new Error('there is no room')
        await sleep(Math.min(pause, LONGEST_PAUSE))
      }
    },
    /** Brings a store that is over its bounds back within them. */
    trim: async (): Promise<void> => {
      if (catalogue().isComplete()) await trimFor(0)
    },
    /** Evicts a tenth of the bytes, and removes empty folders. */
    shrink: async (): Promise<void> => {
      const target = { maxBytes: catalogue().totals().bytes, maxNames: Number.MAX_SAFE_INTEGER }
      await evictTo(target, { bytes: true, names: false })
      await contents.prune()
    },
    /** Deletes every entry. */
    clear: async (): Promise<void> => {
      await retryBusy('clearing', () => catalogue().isQuiet() || undefined).catch(() => {})
      await evictBatches(() => catalogue().evictAny(processes.id(), EVICTION_BATCH))
    },
  }
}

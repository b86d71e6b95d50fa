/**
 * The transactions that span the tables of the catalogue: an entry gets its bytes, is deleted, loses damaged bytes, or is
 * read back. Each is immediate, so that no process deletes content that another is about to name.
 */
import { type Database, immediate } from '../../database/sqlite.js'
import type { Entry } from '../../model/entry.js'
import type { RowParts, Rows } from './entries.js'
import type { KeyLock, LockTable } from './lock-table.js'
import type { IndexEntry } from './recovery-index.js'
import { toBlob } from './rows.js'
import type { Failures } from './small-tables.js'

/** What became of a commit. `lost`: the lock is not ours any more. `purged`: there was a purge since it was begun. */
export type Outcome = 'named' | 'no-content' | 'lost' | 'purged'

/** What discarding a damaged content came to. */
export interface Discarded {
  readonly names: readonly string[]
  /** Those of them that the caller has locked now, and must release. */
  readonly locked: readonly string[]
}

/** A change of a key that is to be committed. */
export interface Change extends Omit<KeyLock, 'slot'> {
  readonly slot: number
  readonly usedAt: number
  /** There was no entry when the change began. */
  readonly isNew: boolean
  /** Of purges, when the bytes were asked for; undefined where purges do not matter. */
  readonly generation?: number | undefined
}

/** What {@link createTransactions} works with. */
export interface TransactionParts extends RowParts {
  readonly rows: Rows
  readonly locks: LockTable['rows']
  readonly failures: Pick<Failures, 'clear'>
  readonly unlink: (digest: string) => boolean
}

/** Makes the transactions of an open catalogue. */
export function createTransactions(db: Database, parts: TransactionParts) {
  const transaction = immediate(db)
  const { totals, rows, locks, failures, history, noteChange, unlink } = parts
  return {
    /**
     * Names bytes that have been written.
     * @param inspect looks at the change's files, synchronously: bytes of its index entry on disk, undefined where a
     * file is missing
     */
    commit: transaction((entry: Entry, change: Change, inspect: () => number | undefined): Outcome => {
      const mine = locks.get(entry.key)
      if (mine?.owner !== change.owner || mine.ticket !== change.ticket) return 'lost'
      if (change.generation !== undefined && change.generation !== totals.generation()) return 'purged'
      const indexBytes = inspect()
      if (indexBytes === undefined) return 'no-content'
      const { ticket, slot, usedAt } = change
      const before = rows.put(entry, { generation: ticket, slot, indexBytes, usedAt })
      const replaced = before === undefined || before.digest.equals(toBlob(entry.digest)) ? undefined : before
      // Where there was no entry, there is no file of one to be deleted: the change has ended.
      if (change.isNew && totals.isComplete()) locks.end(entry.key, change.owner)
      else locks.leave(entry.key, replaced && rows.unreferenced(replaced))
      failures.clear(entry.key)
      noteChange(entry.key)
      if (history.covers(entry.role) && (before === undefined || replaced !== undefined))
        history.add(entry.key, 'stored', entry.digest)
      return 'named'
    }),
    /** Writes the row of an entry whose bytes lie elsewhere, unless its key is being changed or has bytes, or there is no room. */
    record: transaction((entry: Entry, usedAt: number, maxNames: number): void => {
      const before = rows.get(entry.key)
      if (locks.get(entry.key) !== undefined || before?.held === 1) return
      if (before === undefined && totals.of('names') >= maxNames) return
      rows.put(entry, { generation: 0, slot: 0, indexBytes: 0, usedAt })
      noteChange(entry.key)
    }),
    /** Deletes an entry whose change has begun. Answers whether it was there. */
    drop: transaction((change: KeyLock): boolean => {
      const mine = locks.get(change.name)
      const row = rows.get(change.name)
      if (mine?.owner !== change.owner || row === undefined) return false
      locks.leave(change.name, rows.remove(row))
      return true
    }),
    /**
     * Discards content that is damaged or has vanished, for every entry that has it.
     * @param isBad looks once more, inside the transaction: another process may have repaired it
     */
    discard: transaction((digest: string, owner: string, isBad: () => boolean): Discarded => {
      if (!isBad()) return { names: [], locked: [] }
      const sharing = rows.sharing(digest)
      const locked: string[] = []
      for (const { name } of sharing) {
        const row = rows.get(name)
        if (row !== undefined) rows.evict(row)
        if (locks.get(name) !== undefined) continue
        locks.deferDelete(name, owner, undefined)
        locked.push(name)
      }
      unlink(digest)
      return { names: sharing.map((row) => row.name), locked }
    }),
    /**
     * Puts back entries that were found in the recovery index, unless they are known or being changed.
     * @param inspect as in `commit`
     * @param mine the lock, where the caller has it
     * @returns those that must be looked at one by one
     */
    restore: transaction(
      (
        found: readonly IndexEntry[],
        inspect: (one: IndexEntry) => number | undefined,
        mine?: KeyLock,
      ): readonly IndexEntry[] => {
        const unsure: IndexEntry[] = []
        for (const one of found) {
          const { entry, generation, slot } = one
          const before = rows.get(entry.key)
          const isChanging = mine === undefined && locks.get(entry.key) !== undefined
          const isKnown = before !== undefined && (mine === undefined || before.generation >= generation)
          if (before?.generation === generation && before.slot === slot && before.held === 1) continue
          const indexBytes = isChanging || isKnown ? undefined : inspect(one)
          if (indexBytes === undefined) {
            unsure.push(one)
            continue
          }
          if (generation > totals.of('generation')) totals.set('generation', generation)
          const isNew = !rows.isNamed(toBlob(entry.digest))
          const replaced = rows.put(entry, { generation, slot, indexBytes, usedAt: entry.storedAt })
          if (isNew && totals.isMeasured()) totals.setUnread(Math.max(0, totals.of('unread') - entry.size))
          if (replaced !== undefined && !replaced.digest.equals(toBlob(entry.digest)))
            rows.unreferenced(replaced)
          noteChange(entry.key)
        }
        return unsure
      },
    ),
    /**
     * Deletes those of the contents that no entry has and nobody is writing. Answers how many.
     * @param isReadBack the caller has just read every entry back
     */
    sweep: transaction((digests: readonly string[], isReadBack: boolean): number => {
      if (!isReadBack && !totals.isComplete()) return 0
      let count = 0
      for (const digest of digests) {
        const blob = toBlob(digest)
        if (rows.isNamed(blob) || locks.isUsedByOthers(blob, '')) continue
        if (unlink(digest)) count += 1
      }
      return count
    }),
    /** Whether an index entry is the one that its key has. */
    isListed: ({ entry, generation, slot }: IndexEntry): boolean => {
      const row = rows.get(entry.key)
      return row?.held === 1 && row.generation === generation && row.slot === slot
    },
  }
}

/**
 * The catalogue: keys and facts in SQLite. It answers synchronously in microseconds, is shared by several processes
 * (WAL), and can be rebuilt from cacache's index.
 *
 * Facts change first, files follow: a row is committed before the files that it replaces are deleted, and the table
 * `changing` says which those are until they are gone. So a process may die anywhere, and what a key stands for is there.
 */
import { statSync } from 'node:fs'
import { createGroup, type Database, keep, openDatabase } from '../../database/sqlite.js'
import { createChangeFeed } from './change-feed.js'
import { createEntries, createRows } from './entries.js'
import { createEvictionTable } from './eviction.js'
import { createLeaseTable } from './leases.js'
import { createLockTable } from './lock-table.js'
import { CATALOGUE } from './schema.js'
import { createSearch } from './search.js'
import { createCursors, createFailures, createHistory, createKeyValues } from './small-tables.js'
import { createTotals } from './totals.js'
import { createTransactions } from './transactions.js'

/** What a catalogue works with. */
export interface CatalogueParts {
  /**
   * Deletes the content of a digest, synchronously; called inside a transaction in which no entry has it. Answers
   * whether it was there.
   */
  readonly unlink: (digest: string) => boolean
  readonly now: () => number
  /** Called with a message when a file was put aside. */
  readonly tell?: (message: string) => void
}

/** Bytes of the pages in use beyond those of an empty catalogue: of each table and index the first, and that of the schema. */
function createGrowth(db: Database): () => number {
  const sql = keep(
    db.prepare<[], { bytes: number }>(
      `SELECT (page_count - freelist_count - 1 - (SELECT count(*) FROM sqlite_schema WHERE rootpage > 0)) * page_size AS bytes
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
    ),
  )
  return () => Math.max(0, sql.get()?.bytes ?? 0)
}

/** See the top of the file. Every verb is synchronous and throws what SQLite throws. */
export type Catalogue = ReturnType<typeof openCatalogue>

/**
 * Opens (or makes) a catalogue.
 * @param damaged the inode of a file that was found damaged, and is to be replaced
 */
export function openCatalogue(file: string, { unlink, now, tell }: CatalogueParts, damaged?: number) {
  const { db, inode } = openDatabase(file, damaged, CATALOGUE, tell)
  const totals = createTotals(db)
  const feed = createChangeFeed(db)
  const history = createHistory(db, now)
  const basis = { totals, history, noteChange: feed.note }
  const failures = createFailures(db, basis)
  const rows = createRows(db, basis)
  const { rows: locks, ...lockTable } = createLockTable(db, { totals, rows, unlink })
  const { isComplete, setComplete, isMeasured, setUnread, generation, advanceGeneration, probe } = totals
  return {
    /** Which file this is. */
    inode,
    /** Runs a change with others that come at the same time, in one transaction. */
    together: createGroup(db),
    ...createEntries(db, rows, basis),
    ...lockTable,
    ...createTransactions(db, { ...basis, rows, locks, failures, unlink }),
    ...createEvictionTable(db, { totals, rows, locks }),
    ...createLeaseTable(db),
    changes: feed.changes,
    search: createSearch(db, (role) => totals.of(role ?? 'names')),
    history: history.of,
    failures,
    keyValues: createKeyValues(db),
    cursors: createCursors(db),
    totals: totals.all,
    ...{ isComplete, setComplete, isMeasured, setUnread, generation, advanceGeneration, probe },
    fileSize: (): number =>
      ['', '-wal'].reduce(
        (sum, suffix) => sum + (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
    /** Bytes that its entries take, without the log. */
    growth: createGrowth(db),
    close: (): void => void db.close(),
  }
}

/** The small tables of the catalogue, each bounded: history, negative cache, key-value, cursors. */
import { type Database, immediate, keep } from '../../database/sqlite.js'
import type { Role } from '../../model/entry.js'
import { type ErrorCode, type Failure, isErrorCode } from '../../model/failure.js'
import type { HistoryItem } from '../ports.js'

/** Items of all keys together, and of one in an answer. */
const MAX_HISTORY = 50_000
const MAX_ITEMS = 50
const TRIM_HISTORY_EVERY = 1000
const MAX_FAILURES = 10_000
const TRIM_FAILURES_EVERY = 100
const MAX_TEXTS = 10_000

/** See {@link createHistory}. */
export type History = ReturnType<typeof createHistory>

/** What happened to originals and entities' images; `add` belongs into a transaction. */
export function createHistory(db: Database, now: () => number) {
  const sql = keep({
    add: db.prepare<[string, number, string, string]>(
      'INSERT INTO history (name, at, what, note) VALUES (?, ?, ?, ?)',
    ),
    trim: db.prepare<[number]>('DELETE FROM history WHERE id <= ?'),
    of: db.prepare<[string], HistoryItem>(
      `SELECT at, what, note FROM history WHERE name = ? ORDER BY id DESC LIMIT ${MAX_ITEMS}`,
    ),
  })
  return {
    add: (name: string, what: HistoryItem['what'], note = ''): void => {
      const id = Number(sql.add.run(name, Math.trunc(now()), what, note).lastInsertRowid)
      if (id % TRIM_HISTORY_EVERY === 0) sql.trim.run(id - MAX_HISTORY)
    },
    /** Whether entries of this role have a history. */
    covers: (role: Role): boolean => role !== 'rendition',
    /** Latest first. */
    of: (name: string): readonly HistoryItem[] => sql.of.all(name),
  }
}

interface FailureRow extends Omit<Failure, 'about'> {
  readonly name: string
  readonly about: string | null
}
/** A failure belongs to its subject for as long as it is the same failure: an earlier version knows of no subjects. */
const FAILURES = `SELECT f.name, code, message, f.at, until, count, about FROM failures AS f
  LEFT JOIN failure_subjects AS s ON s.name = f.name AND s.at = f.at`
/** A failure as this version knows it; one of a later version is none. */
function toFailure({ about, name: _name, ...failure }: FailureRow): Failure | undefined {
  if (!isErrorCode(failure.code)) return undefined
  return { ...failure, ...(about !== null && { about }) }
}
/** Codes that came later, as the one that earlier versions beside this one know them by. */
const CODES_ON_DISK: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  no_image: 'unsupported',
  undialable: 'refused',
}

/** See {@link createFailures}. */
export type Failures = ReturnType<typeof createFailures>

/** The negative cache's table. */
export function createFailures(
  db: Database,
  { history, noteChange }: { history: Pick<History, 'add'>; noteChange: (key: string) => void },
) {
  const sql = keep({
    get: db.prepare<[string], FailureRow>(`${FAILURES} WHERE f.name = ?`),
    set: db.prepare('INSERT OR REPLACE INTO failures VALUES (@name, @code, @message, @at, @until, @count)'),
    trim: db.prepare(`DELETE FROM failures WHERE name IN
      (SELECT name FROM failures ORDER BY until LIMIT max(0, (SELECT count(*) FROM failures) - ${MAX_FAILURES}))`),
    list: db.prepare<[string, number], FailureRow>(`${FAILURES} WHERE f.name > ? ORDER BY f.name LIMIT ?`),
    setSubject: db.prepare<[string, string, number]>(
      'INSERT OR REPLACE INTO failure_subjects VALUES (?, ?, ?)',
    ),
    trimSubjects: db.prepare('DELETE FROM failure_subjects WHERE name NOT IN (SELECT name FROM failures)'),
    clear: db.prepare<[string]>('DELETE FROM failures WHERE name = ?'),
  })
  let failuresSet = 0
  return {
    get: (key: string): Failure | undefined => {
      const row = sql.get.get(key)
      return row && toFailure(row)
    },
    set: immediate(db)((key: string, failure: Failure): void => {
      const { about, ...row } = failure
      sql.set.run({ name: key, ...row, code: CODES_ON_DISK[row.code] ?? row.code })
      if (about !== undefined) sql.setSubject.run(key, about, failure.at)
      history.add(key, 'failed', `${failure.code}: ${failure.message}`)
      failuresSet += 1
      if (failuresSet % TRIM_FAILURES_EVERY === 1) {
        sql.trim.run()
        sql.trimSubjects.run()
      }
    }),
    clear: (key: string): void => {
      // Other processes remember it, too.
      if (sql.clear.run(key).changes > 0) noteChange(key)
    },
    /** In the order of their keys. @param after only keys after this one */
    list: (after: string, limit: number): readonly (Failure & { readonly name: string })[] =>
      sql.list.all(after, limit).flatMap((row) => {
        const failure = toFailure(row)
        return failure === undefined ? [] : [{ ...failure, name: row.name }]
      }),
    clearAll: (): void => void db.exec('DELETE FROM failures'),
  }
}

/** The key-value table: what sources remember. */
export function createKeyValues(db: Database) {
  const sql = keep({
    get: db.prepare<[string], { value: string; at: number }>('SELECT value, at FROM notes WHERE key = ?'),
    set: db.prepare<[string, string, number]>('INSERT OR REPLACE INTO notes VALUES (?, ?, ?)'),
    trim: db.prepare(`DELETE FROM notes WHERE key IN
      (SELECT key FROM notes ORDER BY at LIMIT max(0, (SELECT count(*) FROM notes) - ${MAX_TEXTS}))`),
  })
  return {
    get: (key: string) => sql.get.get(key),
    set: immediate(db)((key: string, value: string, at: number): void => {
      sql.set.run(key, value, at)
      sql.trim.run()
    }),
  }
}

/** Where a long piece of work is to be resumed. */
export function createCursors(db: Database) {
  const sql = keep({
    get: db.prepare<[string], { value: string }>('SELECT value FROM places WHERE key = ?'),
    set: db.prepare<[string, string]>('INSERT OR REPLACE INTO places VALUES (?, ?)'),
  })
  return {
    get: (key: string): string | undefined => sql.get.get(key)?.value,
    set: (key: string, value: string): void => void sql.set.run(key, value),
  }
}

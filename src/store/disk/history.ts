/** What happened to pictures, for who manages them: the latest of it, of originals and entities' pictures. */
import type { Database } from '../../database/sqlite.js'
import type { Entry } from '../../model/entry.js'

/** Something that happened to a name. */
export interface HistoryItem {
  /** Ms since the epoch. */
  readonly at: number
  /** `stored`: new bytes; `failed`: it could not be had; `evicted`, `removed`: its bytes, or it, went. */
  readonly what: 'stored' | 'failed' | 'evicted' | 'removed'
  /** The digest of new bytes, or why it failed. */
  readonly note: string
}

/** So many are remembered, of all names together, and so many are told of one. */
const KEPT = 50_000
const TOLD = 50
const TRIM_EVERY = 1000

/** The table, as part of the catalogue's schema. */
export const HISTORY_SCHEMA = `
  CREATE TABLE history (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, note TEXT NOT NULL
  ) STRICT;
  CREATE INDEX history_by_name ON history (name, id);
`

/** Makes the part of the catalogue that remembers; its verbs belong into a transaction. */
export function createHistory(db: Database, keep: <T>(held: T) => T, now: () => number) {
  const sql = keep({
    add: db.prepare<[string, number, string, string]>(
      'INSERT INTO history (name, at, what, note) VALUES (?, ?, ?, ?)',
    ),
    trim: db.prepare<[number]>('DELETE FROM history WHERE id <= ?'),
    of: db.prepare<[string], HistoryItem>(
      `SELECT at, what, note FROM history WHERE name = ? ORDER BY id DESC LIMIT ${TOLD}`,
    ),
  })
  return {
    note: (name: string, what: HistoryItem['what'], note = ''): void => {
      const id = Number(sql.add.run(name, Math.trunc(now()), what, note).lastInsertRowid)
      if (id % TRIM_EVERY === 0) sql.trim.run(id - KEPT)
    },
    /** Whether what happens to a picture of this role is remembered. */
    isOf: (role: Entry['role']): boolean => role !== 'rendition',
    /** Latest first. */
    of: (name: string): readonly HistoryItem[] => sql.of.all(name),
  }
}

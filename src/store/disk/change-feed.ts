/** What processes on one directory hear of each other: a feed of the keys that each of them changed, purges too. */
import { type Database, keep } from '../../database/sqlite.js'

/** How many changed keys other processes may lag behind before they drop all they have in memory. */
const MAX_CHANGES = 20_000
const TRIM_EVERY = 1000

/** What another process has done: the keys it changed, or `all` when the log does not reach back. */
export type ChangeFeed = readonly string[] | 'all'

/** The log of changed keys; `note` belongs into the transaction of the change. */
export function createChangeFeed(db: Database) {
  const sql = keep({
    add: db.prepare<[string]>('INSERT INTO changes (name) VALUES (?)'),
    trim: db.prepare<[number]>('DELETE FROM changes WHERE seq <= ?'),
    last: db.prepare<[], { seq: number | null }>('SELECT max(seq) AS seq FROM changes'),
    first: db.prepare<[], { seq: number | null }>('SELECT min(seq) AS seq FROM changes'),
    since: db.prepare<[number], { name: string }>('SELECT DISTINCT name FROM changes WHERE seq > ?'),
    version: db.prepare<[], { data_version: number }>('PRAGMA data_version'),
  })
  let seen = sql.last.get()?.seq ?? 0
  let version = sql.version.get()?.data_version
  return {
    note: (name: string): void => {
      const seq = Number(sql.add.run(name).lastInsertRowid)
      if (seq % TRIM_EVERY === 0) sql.trim.run(seq - MAX_CHANGES)
    },
    /** What other processes changed since the last call; nothing is read when nobody wrote. */
    changes: (): ChangeFeed => {
      const current = sql.version.get()?.data_version
      if (current === version) return []
      version = current
      const from = seen
      seen = sql.last.get()?.seq ?? from
      const first = sql.first.get()?.seq ?? 0
      return first > from + 1 ? 'all' : sql.since.all(from).map((row) => row.name)
    },
  }
}

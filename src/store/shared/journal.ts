/**
 * What is still to be done in the shared store, by key, in a database of its own: it survives the process. A removal is written
 * down before anything else, so that no purge is lost; a write only once it has failed, and without its bytes, which the store of
 * this node has. Bounded: beyond that, writes are forgotten, which costs other nodes a fetch.
 */
import { keep, openDatabase, openInMemory, type Shape } from '../../database/sqlite.js'

/** What is to be done for a key. */
export interface Task {
  readonly key: string
  readonly what: 'write' | 'renew' | 'update' | 'remove' | 'clear'
  /** The key of what it was made from. */
  readonly original: string | undefined
}

/** See the top of the file. */
export interface Journal {
  add(task: Task): void
  /** Done, unless another task has taken its place meanwhile. */
  done(task: Task): void
  /** The oldest first. */
  list(limit: number): readonly Task[]
  /** Whether a key is still to be removed, or everything is. */
  isRemoving(key: string): boolean
  size(): number
  close(): void
}

/** Tasks at most. */
const MAX_TASKS = 100_000
/** So many writes are forgotten at once. */
const FORGOTTEN = 1000

const SHAPE: Shape = {
  version: 1,
  synchronous: 'FULL',
  schema: `CREATE TABLE tasks (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, what TEXT NOT NULL, original TEXT) STRICT;
    PRAGMA user_version = 1`,
  checks: ['SELECT seq, key, what, original FROM tasks LIMIT 1'],
}

interface Row {
  readonly key: string
  readonly what: Task['what']
  readonly original: string | null
}

const toTask = ({ key, what, original }: Row): Task => ({ key, what, original: original ?? undefined })

/** Opens the journal. @param file undefined for one in memory @throws what SQLite throws when the file cannot be used */
export function openJournal(file: string | undefined, tell: (message: string) => void): Journal {
  const db = file === undefined ? openInMemory(SHAPE) : openDatabase(file, undefined, SHAPE, tell).db
  const sql = keep({
    // A later task of a key takes the place of an earlier one.
    add: db.prepare<[string, string, string | null]>(
      'INSERT OR REPLACE INTO tasks (key, what, original) VALUES (?, ?, ?)',
    ),
    done: db.prepare<[string, string]>('DELETE FROM tasks WHERE key = ? AND what = ?'),
    list: db.prepare<[number], Row>('SELECT key, what, original FROM tasks ORDER BY seq LIMIT ?'),
    removing: db.prepare<[string], { one: 1 }>(
      "SELECT 1 AS one FROM tasks WHERE key IN (?, '') AND what IN ('remove', 'clear') LIMIT 1",
    ),
    count: db.prepare<[], { count: number }>('SELECT count(*) AS count FROM tasks'),
    forget: db.prepare<[number]>(
      "DELETE FROM tasks WHERE seq IN (SELECT seq FROM tasks WHERE what IN ('write', 'renew', 'update') ORDER BY seq LIMIT ?)",
    ),
  })
  // Other processes of the directory have it open, too.
  const size = (): number => sql.count.get()?.count ?? 0
  return {
    add: ({ key, what, original }) => {
      if (size() >= MAX_TASKS) sql.forget.run(FORGOTTEN)
      sql.add.run(key, what, original ?? null)
    },
    done: ({ key, what }) => void sql.done.run(key, what),
    list: (limit) => sql.list.all(limit).map(toTask),
    isRemoving: (key) => sql.removing.get(key) !== undefined,
    size,
    close: () => void db.close(),
  }
}

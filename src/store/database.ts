/** The database file of the catalogue: its schema, and how it is opened, replaced when damaged, and kept. */
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'

/** Moves when the tables change shape; an older catalogue is rebuilt. It is part of the file's name too. */
export const SCHEMA_VERSION = 3

const SCHEMA = `
  -- One row a name. Digests are blobs, and secondary indexes hold row ids: a name costs half as much then.
  CREATE TABLE names (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, digest BLOB NOT NULL,
    size INTEGER NOT NULL, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    storedAt INTEGER NOT NULL, checkedAt INTEGER NOT NULL, freshFor INTEGER NOT NULL,
    staleWhileRevalidate INTEGER, staleIfError INTEGER, held INTEGER NOT NULL,
    etag TEXT, lastModified TEXT, sourceUrl TEXT, original TEXT, madeFrom BLOB, recipe TEXT,
    ownerKind TEXT, ownerId TEXT,
    generation INTEGER NOT NULL, slot INTEGER NOT NULL, indexBytes INTEGER NOT NULL, usedAt INTEGER NOT NULL,
    -- How many rows were made from this one.
    dependents INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX names_by_digest ON names (digest) WHERE held = 1;
  CREATE INDEX names_held ON names (usedAt) WHERE held = 1;
  CREATE INDEX names_free ON names (usedAt) WHERE dependents = 0;
  CREATE INDEX names_by_original ON names (original) WHERE original IS NOT NULL;
  CREATE INDEX names_by_owner ON names (ownerKind, name) WHERE ownerKind IS NOT NULL;
  CREATE TABLE totals (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- Every change under way, one a name: a lock, a reservation of space, and what to tidy if its process dies.
  CREATE TABLE changing (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, ticket INTEGER NOT NULL, digest BLOB, size INTEGER NOT NULL,
    adds INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- Work that one process does for all: a fetch, an encode, a rebuild.
  CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE failures (
    name TEXT PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL,
    until INTEGER NOT NULL, count INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failures_by_end ON failures (until);
  CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
  CREATE TABLE places (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/**
 * Databases and statements of this process, never let go. On Node 24.19 and later, better-sqlite3 12 aborts
 * the process when V8 collects one of its objects outside a context (`RemoveEnvironmentCleanupHook`, env is
 * null); 13 is mended but segfaults on Node 20. What is never collected cannot abort. A closed database costs
 * some hundred bytes. The only state of a module here; for the same reason `db.pragma()` is not used, which
 * makes a statement each time.
 */
const kept: unknown[] = []

/** Holds a database or its statements for as long as the process lives. */
export const keep = <T>(held: T): T => {
  kept.push(held)
  return held
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** Whether the database file itself is bad. */
export const isDamage = (error: unknown): boolean =>
  ['SQLITE_CORRUPT', 'SQLITE_NOTADB'].some((start) => codeOf(error).startsWith(start))

/** Takes a database file away, with its log. */
export function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

/** Opens the database file, replacing one that is damaged or of another schema. */
export function openDatabase(file: string): Database.Database {
  const open = () => {
    const db = keep(new Database(file, { timeout: 5000 }))
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    return db
  }
  const prepare = (db: Database.Database) => {
    const version = keep(db.prepare<[], { user_version: number }>('PRAGMA user_version'))
    const create = db.transaction(() => {
      if (version.get()?.user_version === 0) db.exec(SCHEMA)
    })
    create.immediate()
    if (version.get()?.user_version !== SCHEMA_VERSION) throw new Error('catalogue of another schema')
    return db
  }
  let db: Database.Database | undefined
  try {
    db = open()
    return prepare(db)
  } catch (error) {
    db?.close()
    const passing = ['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_BUSY', 'SQLITE_FULL', 'SQLITE_IOERR']
    if (passing.some((start) => codeOf(error).startsWith(start))) throw error
    removeDatabase(file)
    return prepare(open())
  }
}

/** The database file of the catalogue: its schema, and how it is opened, replaced when damaged, and kept. */
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'

/** Moves when the tables change shape; an older catalogue is rebuilt. It is part of the file's name too. */
export const SCHEMA_VERSION = 1

const SCHEMA = `
  CREATE TABLE names (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, generation INTEGER NOT NULL, digest TEXT NOT NULL,
    size INTEGER NOT NULL, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    storedAt INTEGER NOT NULL, checkedAt INTEGER NOT NULL, freshFor INTEGER NOT NULL, held INTEGER NOT NULL,
    etag TEXT, lastModified TEXT, sourceUrl TEXT, original TEXT, madeFrom TEXT, recipe TEXT,
    ownerKind TEXT, ownerId TEXT, usedAt INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX names_by_digest ON names (digest) WHERE held = 1;
  CREATE INDEX names_by_use ON names (usedAt);
  CREATE INDEX names_by_original ON names (original) WHERE original IS NOT NULL;
  CREATE TABLE totals (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO totals VALUES ('bytes', 0), ('names', 0), ('generation', 0), ('complete', 0);
  CREATE TABLE failures (
    name TEXT PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL,
    until INTEGER NOT NULL, count INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failures_by_end ON failures (until);
  CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
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
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (
      ['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_BUSY', 'SQLITE_FULL'].some((start) =>
        code.startsWith(start),
      )
    )
      throw error
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
    return prepare(open())
  }
}

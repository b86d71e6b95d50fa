/** Database files: the schema of the catalogue, and how any of ours is opened, replaced when damaged, and kept. */
import { rmSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { HISTORY_SCHEMA } from './history.js'

/** Moves when the tables change shape; an older catalogue is rebuilt. It is part of the file's name too. */
export const SCHEMA_VERSION = 6

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
  CREATE INDEX names_lost ON names (usedAt) WHERE held = 0;
  CREATE INDEX names_by_size ON names (size);
  CREATE INDEX names_by_age ON names (storedAt);
  CREATE INDEX names_by_owner ON names (ownerKind, name, held, size) WHERE ownerKind IS NOT NULL;
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
  -- What sources remember: the PDS of an account.
  CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX notes_by_age ON notes (at);
  ${HISTORY_SCHEMA}
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
function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

/** What a database file of ours must be. */
export interface Shape {
  readonly schema: string
  readonly version: number
  /** Questions that a sound file answers. */
  readonly checks: readonly string[]
  /** Whether a commit waits for the disk. */
  readonly synchronous: 'NORMAL' | 'FULL'
  /** How long a lock is waited for, ms: nothing else happens meanwhile. @default 5 s */
  readonly timeout?: number
}

const TABLES = ['names', 'totals', 'changing', 'leases', 'failures', 'changes', 'notes', 'places', 'history']
/** The catalogue: it can be rebuilt, so that a commit need not wait for the disk. */
const CATALOGUE: Shape = {
  schema: SCHEMA,
  version: SCHEMA_VERSION,
  checks: [
    ...TABLES.map((table) => `SELECT * FROM ${table} LIMIT 1`),
    'SELECT sum(value) FROM totals; SELECT min(seq), max(seq) FROM changes',
  ],
  synchronous: 'NORMAL',
}
/** Another process may be making or replacing the file at the same moment. */
const PASSING = ['SQLITE_BUSY', 'SQLITE_IOERR_DELETE_NOENT', 'SQLITE_PROTOCOL', 'SQLITE_LOCKED']
const TRIES = 5

class OtherSchema extends Error {}

/** The inode of a file, undefined where there is none. */
export const inodeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.ino

/** One process at a time makes, checks or replaces the file. The lock is a database of its own, waited for. */
function alone<T>(file: string, work: () => T): T {
  const lock = keep(new Database(`${file}.lock`, { timeout: 10_000 }))
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return work()
  } finally {
    lock.close()
  }
}

function openOnce(file: string, shape: Shape): Database.Database {
  const db = keep(new Database(file, { timeout: shape.timeout ?? 5000 }))
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${shape.synchronous}`)
    const version = keep(db.prepare<[], { user_version: number }>('PRAGMA user_version'))
    const create = db.transaction(() => {
      if (version.get()?.user_version === 0) db.exec(shape.schema)
    })
    create.immediate()
    if (version.get()?.user_version !== shape.version) throw new OtherSchema('a database of another schema')
    for (const check of shape.checks) db.exec(check)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Opens the database file, replacing one that is damaged or of another schema.
 * @param damaged the inode of a file that was found damaged: it is replaced, if it is still there
 * @throws what SQLite throws when the file cannot be used, though it may be sound
 */
export function openDatabase(
  file: string,
  damaged?: number,
  shape: Shape = CATALOGUE,
): { db: Database.Database; inode: number | undefined } {
  const opened = () => ({ db: openOnce(file, shape), inode: inodeOf(file) })
  return alone(file, () => {
    if (damaged !== undefined && inodeOf(file) === damaged) removeDatabase(file)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return opened()
      } catch (error) {
        const isPassing = PASSING.some((start) => codeOf(error).startsWith(start))
        if (attempt >= TRIES || !(isPassing || isDamage(error) || error instanceof OtherSchema)) throw error
        if (!isPassing) removeDatabase(file)
      }
    }
  })
}

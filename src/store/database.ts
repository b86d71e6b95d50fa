/** Database files: the schema of the catalogue, and how any of ours is opened, replaced when damaged, and kept. */
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { codeOf } from '../model/errors.js'
import { FACTS } from './disk-names.js'
import { clearOdd, PRIVATE_FILE, setMode } from './folders.js'
import { HISTORY_SCHEMA } from './history.js'

/**
 * The number in `user_version`: it moves when a process that knows an earlier one could not go on with the file. What is
 * only added (a column that may be null, a table) is in `ADDITIONS`, and the number stays.
 */
const SCHEMA_VERSION = 6

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
  /** A process that knows another number leaves the file alone. */
  readonly version: number
  /** How a file of an earlier number becomes one of the next: what is run, in one transaction with all steps after it. */
  readonly migrations?: Readonly<Record<number, string>>
  /** What came later, and a process that does not know it can go on without: added where it is missing. */
  readonly additions?: {
    readonly columns: readonly { readonly table: string; readonly column: string; readonly type: string }[]
    /** Statements that do nothing where it is there. */
    readonly tables: string
  }
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
  additions: {
    columns: [{ table: 'names', column: FACTS, type: 'TEXT' }],
    // What a remembered failure is about, where its name does not say so.
    tables: `CREATE TABLE IF NOT EXISTS failure_subjects (
      name TEXT PRIMARY KEY, about TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
  checks: [
    ...TABLES.map((table) => `SELECT * FROM ${table} LIMIT 1`),
    'SELECT sum(value) FROM totals; SELECT min(seq), max(seq) FROM changes',
  ],
  synchronous: 'NORMAL',
}
/** How long another process is waited for before that is told, and after it, ms. */
const TOLD_AFTER = 2000
const WAITED_FOR = 8000

/** Sees to it that a database file is one, and ours alone: a link or a pipe in its place is not opened. */
function secure(file: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    clearOdd(file + suffix)
    setMode(file + suffix, PRIVATE_FILE)
  }
}

/** Another process may be making or replacing the file at the same moment. */
const PASSING = ['SQLITE_BUSY', 'SQLITE_IOERR_DELETE_NOENT', 'SQLITE_PROTOCOL', 'SQLITE_LOCKED']
const TRIES = 5

/** A database file that a later version of the toolkit has written. It is left alone. */
export class NewerSchema extends Error {
  constructor(file: string, found: number, known: number) {
    super(
      `${file} has schema ${found}, and this version knows ${known}: it is left as it is; use a version that knows it, or another directory`,
    )
  }
}
/** A database file of a schema that there is no way on from. */
class UnknownSchema extends Error {
  constructor(readonly found: number) {
    super(`a database of schema ${found}`)
  }
}

/** The inode of a file, undefined where there is none. */
export const inodeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.ino

/** One process at a time makes, checks or replaces the file. The lock is a database of its own, waited for. */
function alone<T>(file: string, work: () => T, tell: (message: string) => void): T {
  const path = `${file}.lock`
  secure(path)
  const lock = keep(new Database(path, { timeout: TOLD_AFTER }))
  setMode(path, PRIVATE_FILE)
  try {
    try {
      lock.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      if (!codeOf(error).startsWith('SQLITE_BUSY')) throw error
      tell(`${file} is being opened by another process, which is waited for`)
      lock.exec(`PRAGMA busy_timeout = ${WAITED_FOR}; BEGIN EXCLUSIVE`)
    }
    return work()
  } finally {
    lock.close()
  }
}

/** Brings the schema of an open file to what it must be: all of it or nothing. */
function migrate(db: Database.Database, file: string, shape: Shape): void {
  const version = keep(db.prepare<[], { user_version: number }>('PRAGMA user_version'))
  const bring = db.transaction(() => {
    let found = version.get()?.user_version ?? 0
    if (found > shape.version) throw new NewerSchema(file, found, shape.version)
    if (found === 0) db.exec(shape.schema)
    for (; found > 0 && found < shape.version; found += 1) {
      const step = shape.migrations?.[found]
      if (step === undefined) throw new UnknownSchema(found)
      db.exec(`${step}; PRAGMA user_version = ${found + 1}`)
    }
    for (const { table, column, type } of shape.additions?.columns ?? []) {
      const columns = keep(db.prepare<[string], { name: string }>('SELECT name FROM pragma_table_info(?)'))
      if (!columns.all(table).some(({ name }) => name === column))
        db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
    }
    db.exec(shape.additions?.tables ?? '')
  })
  bring.immediate()
}

function openOnce(file: string, shape: Shape): Database.Database {
  secure(file)
  // Made here, so that it is ours alone from its first byte on; its log takes its rights over.
  closeSync(openSync(file, 'a', PRIVATE_FILE))
  setMode(file, PRIVATE_FILE)
  const db = keep(new Database(file, { timeout: shape.timeout ?? 5000 }))
  try {
    // Nothing is changed in a file of a later version, its journal mode included.
    const found = keep(db.prepare<[], { user_version: number }>('PRAGMA user_version')).get()?.user_version
    if (found !== undefined && found > shape.version) throw new NewerSchema(file, found, shape.version)
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${shape.synchronous}`)
    migrate(db, file, shape)
    for (const check of shape.checks) db.exec(check)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Puts a file of an unknown schema aside, under a name that says so: it may hold what somebody wants back. */
function putAside(file: string, found: number): string {
  const free = ['', ...Array.from({ length: 99 }, (_, index) => `.${index + 1}`)]
  const name = free.map((more) => `${file}.schema-${found}${more}`).find((one) => !existsSync(one))
  if (name === undefined) throw new Error(`${file} has been put aside a hundred times`)
  // The log first: without its file it is none, and the file without it is a database.
  for (const suffix of ['-wal', '-shm', ''])
    if (existsSync(file + suffix)) renameSync(file + suffix, name + suffix)
  return name
}

/**
 * Opens the database file. One of an earlier schema is brought on; one that is damaged is replaced; one of an unknown
 * earlier schema is put aside.
 * @param damaged the inode of a file that was found damaged: it is replaced, if it is still there
 * @param tell told of what was put aside
 * @throws NewerSchema for a file of a later version, which is left alone; else what SQLite throws when the file cannot
 * be used, though it may be sound
 */
export function openDatabase(
  file: string,
  damaged?: number,
  shape: Shape = CATALOGUE,
  tell: (message: string) => void = () => {},
): { db: Database.Database; inode: number | undefined } {
  const opened = () => ({ db: openOnce(file, shape), inode: inodeOf(file) })
  return alone(
    file,
    () => {
      if (damaged !== undefined && inodeOf(file) === damaged) removeDatabase(file)
      for (let attempt = 1; ; attempt += 1) {
        try {
          return opened()
        } catch (error) {
          const isPassing = PASSING.some((start) => codeOf(error).startsWith(start))
          const isUnknown = error instanceof UnknownSchema
          if (attempt >= TRIES || !(isPassing || isUnknown || isDamage(error))) throw error
          if (isUnknown)
            tell(
              `${file} has the unknown schema ${error.found}: it was put aside as ${putAside(file, error.found)}`,
            )
          else if (!isPassing) removeDatabase(file)
        }
      }
    },
    tell,
  )
}

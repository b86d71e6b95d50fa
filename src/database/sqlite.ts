/** SQLite: how a database file of ours is opened, migrated, replaced when damaged, and kept. The one user of the driver. */
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { codeOf } from '../model/failure.js'
import { clearOdd, PRIVATE_FILE, setMode } from './files.js'

/**
 * Databases and statements of this process, never let go. On Node 24.19 and later, better-sqlite3 12 aborts
 * the process when V8 collects one of its objects outside a context (`RemoveEnvironmentCleanupHook`, env is
 * null); 13 is mended but segfaults on Node 20. What is never collected cannot abort. A closed database costs
 * some hundred bytes. The only state of a module here; for the same reason `db.pragma()` is not used, which
 * makes a statement each time.
 */
const kept: unknown[] = []

/** A connection. */
export type Database = Sqlite.Database
/** A prepared statement. */
export type Statement<Parameters extends unknown[] = unknown[], Row = unknown> = Sqlite.Statement<
  Parameters,
  Row
>

/** Holds a database or its statements for as long as the process lives. */
export const keep = <T>(held: T): T => {
  kept.push(held)
  return held
}

/** Makes functions that run in an immediate transaction: it has the write lock from its beginning. */
export const immediate =
  (db: Database) =>
  <A extends unknown[], T>(work: (...args: A) => T): ((...args: A) => T) =>
    db.transaction(work).immediate

/** Runs a change in one transaction with the others of the same turn of the event loop, and resolves once that is committed. */
export type Group = <T>(change: () => T) => Promise<T>

interface GroupedChange {
  run(): unknown
  resolve(value: never): void
  reject(error: unknown): void
}

/**
 * Makes a group: changes of several callers that come together cost one commit. Each has a savepoint of its own, so that one that
 * throws takes back its own changes only. Where the whole cannot be committed, none is, and all callers hear why.
 */
export function createGroup(db: Database): Group {
  let waiting: GroupedChange[] = []
  const savepoint = db.transaction((change: GroupedChange) => change.run())
  const runAll = immediate(db)((changes: readonly GroupedChange[]): readonly (() => void)[] =>
    changes.map((change) => {
      try {
        const value = savepoint(change) as never
        return () => change.resolve(value)
      } catch (error) {
        // A full disk takes the whole transaction back: nothing after it is to be written by itself.
        if (!db.inTransaction) throw error
        return () => change.reject(error)
      }
    }),
  )
  const flush = (): void => {
    const changes = waiting
    waiting = []
    try {
      for (const answer of runAll(changes)) answer()
    } catch (error) {
      for (const change of changes) change.reject(error)
    }
  }
  return (change) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push({ run: change, resolve, reject })
    })
}

/** Whether the database file itself is bad. */
export const isCorrupt = (error: unknown): boolean =>
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

/** How long another process is waited for before that is logged, and after it, ms. */
const LOGGED_AFTER_MS = 2000
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
class NewerSchema extends Error {
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
  const lock = keep(new Sqlite(path, { timeout: LOGGED_AFTER_MS }))
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
function migrate(db: Database, file: string, shape: Shape): void {
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

function openOnce(file: string, shape: Shape): Database {
  secure(file)
  // Made here, so that it is ours alone from its first byte on; its log takes its rights over.
  closeSync(openSync(file, 'a', PRIVATE_FILE))
  setMode(file, PRIVATE_FILE)
  const db = keep(new Sqlite(file, { timeout: shape.timeout ?? 5000 }))
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
 * @param tell is called with what was put aside
 * @throws NewerSchema for a file of a later version, which is left alone; else what SQLite throws when the file cannot
 * be used, though it may be sound
 */
export function openDatabase(
  file: string,
  damaged: number | undefined,
  shape: Shape,
  tell: (message: string) => void = () => {},
): { db: Database; inode: number | undefined } {
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
          if (attempt >= TRIES || !(isPassing || isUnknown || isCorrupt(error))) throw error
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

/** A database in memory, gone with the process. */
export function openInMemory({ schema }: Shape): Database {
  const db = keep(new Sqlite(':memory:'))
  db.exec(schema)
  return db
}

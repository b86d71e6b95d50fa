/**
 * Looks at a database file without touching it: opening one makes files beside it, so that a copy is opened, of the file and
 * its log. Others may write meanwhile. A copy is whole when the log did not begin anew while it was taken: what was written
 * into the file since is in the log, too, whose last lines count only when they are complete.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { codeOf } from '../model/failure.js'
import { type Database, keep, type Shape } from './sqlite.js'

/**
 * How a file was found: `earlier` can be brought on and `unknown` cannot, `odd` is no regular file, `unread` cannot be
 * read, and `skipped` was not copied, which says nothing of the file.
 */
export type DatabaseState =
  | 'missing'
  | 'empty'
  | 'sound'
  | 'earlier'
  | 'unknown'
  | 'newer'
  | 'damaged'
  | 'odd'
  | 'unread'
  | 'skipped'

/** What was found of a file. */
export interface Examined<T> {
  readonly state: DatabaseState
  /** Its schema. */
  readonly version?: number
  /** What is wrong. */
  readonly detail?: string
  /** What was read of a sound one. */
  readonly answers?: T
}

/** A table or a column that is missing is damage too. */
const DAMAGE = ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR']
const COPY_TRIES = 5
/** The head of a log names it: it is another one as soon as the log begins anew. */
const HEAD_BYTES = 32
/** Problems of a damaged file that are listed. */
const LISTED = 3

/** The head of a log; empty where there is none, or something else. */
function headOf(log: string): string {
  // A pipe in its place would be waited for.
  if (lstatSync(log, { throwIfNoEntry: false })?.isFile() !== true) return ''
  const file = openSync(log, 'r')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0)).toString('hex')
  } finally {
    closeSync(file)
  }
}

/** What stays the same while a copy is taken that is whole. */
function markOf(file: string): string {
  const { ino, size, mtimeNs } = statSync(file, { bigint: true })
  const head = headOf(`${file}-wal`)
  return head === '' ? `${ino} ${size} ${mtimeNs}` : `${ino} ${head}`
}

/** Copies a file and its log. Answers the copy, or undefined where it was never whole. @throws what the file system throws */
function copyWhole(file: string, folder: string): string | undefined {
  const copy = join(folder, 'copy.sqlite')
  for (let attempt = 1; attempt <= COPY_TRIES; attempt += 1) {
    removeCopy(folder)
    const before = markOf(file)
    copyFileSync(file, copy, constants.COPYFILE_FICLONE)
    if (headOf(`${file}-wal`) !== '') copyFileSync(`${file}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE)
    if (markOf(file) === before) return copy
  }
  return undefined
}
function removeCopy(folder: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal'])
    rmSync(join(folder, `copy.sqlite${suffix}`), { force: true })
}

/** Whether a folder has room for a copy. */
function hasRoom(file: string, folder: string): boolean {
  const needed = ['', '-wal'].reduce(
    (sum, suffix) => sum + (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize > needed * 2
}

const problemsOf = (db: Database): readonly string[] =>
  keep(db.prepare<[], { quick_check: string }>(`PRAGMA quick_check(${LISTED})`))
    .all()
    .map(({ quick_check }) => quick_check)
    .filter((line) => line !== 'ok')

/** Whether there is a way from a schema to that of this version. */
const canMigrate = (found: number, { version, migrations }: Shape): boolean =>
  found > 0 &&
  Array.from({ length: version - found }, (_, index) => found + index).every(
    (step) => migrations?.[step] !== undefined,
  )

function read<T>(db: Database, shape: Shape, ask: (db: Database) => T): Examined<T> {
  const version =
    keep(db.prepare<[], { user_version: number }>('PRAGMA user_version')).get()?.user_version ?? 0
  const problems = problemsOf(db)
  if (problems.length > 0) return { state: 'damaged', version, detail: problems.join('; ') }
  if (version > shape.version) return { state: 'newer', version }
  if (version === 0) return { state: 'empty' }
  if (version < shape.version) return { state: canMigrate(version, shape) ? 'earlier' : 'unknown', version }
  for (const check of shape.checks) db.exec(check)
  return { state: 'sound', version, answers: ask(db) }
}

/**
 * Looks at a database file. Never throws.
 * @param folder an empty one of the caller's, for the copy
 * @param ask what is to be read of a sound one
 */
export function examineDatabase<T>(
  file: string,
  shape: Shape,
  folder: string,
  ask: (db: Database) => T,
): Examined<T> {
  try {
    const stats = lstatSync(file, { throwIfNoEntry: false })
    if (stats === undefined) return { state: 'missing' }
    if (!stats.isFile()) return { state: 'odd' }
    if (!hasRoom(file, folder))
      return { state: 'skipped', detail: `there is no room for a copy in ${folder}` }
    const copy = copyWhole(file, folder)
    if (copy === undefined) return { state: 'skipped', detail: 'it was written all the time' }
    return openCopy(copy, (db) => read(db, shape, ask))
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return { state: DAMAGE.some((start) => codeOf(error).startsWith(start)) ? 'damaged' : 'unread', detail }
  } finally {
    removeCopy(folder)
  }
}

function openCopy<T>(copy: string, work: (db: Database) => T): T {
  const db = keep(new Sqlite(copy, { fileMustExist: true }))
  try {
    return work(db)
  } finally {
    db.close()
  }
}

/** Whether a process holds the lock of a file, one of the process registry say. @throws what SQLite throws */
export function isLocked(path: string): boolean {
  const db = keep(new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 0 }))
  try {
    keep(db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1')).get()
    return false
  } catch (error) {
    if (codeOf(error).startsWith('SQLITE_BUSY')) return true
    throw error
  } finally {
    db.close()
  }
}

/** The version of SQLite. @throws Error where the driver does not load */
export function sqliteVersion(): string {
  const db = keep(new Sqlite(':memory:'))
  try {
    return (
      keep(db.prepare<[], { version: string }>('SELECT sqlite_version() AS version')).get()?.version ?? ''
    )
  } finally {
    db.close()
  }
}

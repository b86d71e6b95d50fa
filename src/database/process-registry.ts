/**
 * Which processes are alive: each that has a store open holds a lock on a file of its own. The operating system releases
 * the lock however the process ends, so that what a dead process left undone is never taken for work under way, and no
 * clock is needed. The lock is SQLite's, the one portable lock that Node can take.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { codeOf } from '../model/failure.js'
import { makeOwnFolder } from './files.js'
import { type Database, keep } from './sqlite.js'

/** See the top of the file. */
export type ProcessRegistry = ReturnType<typeof registerProcess>

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

/** A process that was alive is taken to be alive for so long, ms. */
const ALIVE_FOR = 500
/** What changes a folder again within this time may leave its time of change as it was, ms: clocks of file systems tick coarsely. */
const COARSEST_TICK = 2000
/** A folder that seems not to have changed is read again after this time, ms: not every file system tells. */
const READ_AGAIN_AFTER = 5000

const connect = (path: string, fileMustExist: boolean): Database =>
  keep(new Sqlite(path, { timeout: 0, fileMustExist }))

/** Locks a file for as long as the connection is open. Answers whether it could. */
function tryLock(db: Database): boolean {
  try {
    db.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code.startsWith('SQLITE_BUSY')) return false
    throw error
  }
}

/** Registers in a folder of locks, which is made where it is missing. @throws what the file system throws */
export function registerProcess(folder: string) {
  const pathOf = (id: string): string => join(folder, id)
  /** Whether we have the lock of a file, and the file is still there: who looks for the dead may have taken it away. */
  const holds = (db: Database, path: string): boolean => {
    try {
      return tryLock(db) && existsSync(path)
    } catch (error) {
      if (existsSync(path)) throw error
      return false
    }
  }
  const register = (): { id: string; db: Database } => {
    for (;;) {
      makeOwnFolder(folder)
      const id = randomUUID()
      const db = connect(pathOf(id), false)
      if (holds(db, pathOf(id))) return { id, db }
      db.close()
    }
  }
  let self = register()
  /** What the folder had when it was read last, unless it had just changed. */
  let lastRead: { readonly changedAt: number; readonly others: boolean; readonly until: number } | undefined
  const hasOthers = (): boolean => {
    const { mtimeMs: changedAt } = statSync(folder)
    const at = performance.now()
    if (lastRead?.changedAt === changedAt && at < lastRead.until) return lastRead.others
    const others = readdirSync(folder).some((id) => id !== self.id && isId(id))
    const isSettled = Date.now() - changedAt > COARSEST_TICK
    lastRead = isSettled ? { changedAt, others, until: at + READ_AGAIN_AFTER } : undefined
    return others
  }
  /** A connection to each of the others that was met: a lock is tried on it again and again. */
  const others = new Map<string, Database>()
  const seenAlive = new Map<string, number>()
  const forget = (id: string): false => {
    others.get(id)?.close()
    others.delete(id)
    seenAlive.delete(id)
    return false
  }
  const isAlive = (id: string, isRemoved = true): boolean => {
    if (id === self.id) return true
    if (!isId(id) || !existsSync(pathOf(id))) return forget(id)
    if (performance.now() < (seenAlive.get(id) ?? 0)) return true
    try {
      const db = others.get(id) ?? connect(pathOf(id), true)
      others.set(id, db)
      if (!tryLock(db)) {
        seenAlive.set(id, performance.now() + ALIVE_FOR)
        return true
      }
      if (isRemoved) rmSync(pathOf(id), { force: true })
      return forget(id)
    } catch {
      forget(id)
      return existsSync(pathOf(id))
    }
  }
  return {
    /** Who we are. Changes only when our file was taken away. */
    id: (): string => self.id,
    /** Whether a process is alive. The file of a dead one is removed. */
    isAlive: (id: string): boolean => isAlive(id),
    /** Removes the files of dead processes. Answers how many there were. */
    reap: (): number => readdirSync(folder).filter((id) => isId(id) && id !== self.id && !isAlive(id)).length,
    /** Whether no other process has registered here and not been removed: one look at the folder, or at whether it has changed. False where it cannot be seen. */
    isAlone: (): boolean => {
      try {
        return !hasOthers()
      } catch {
        return false
      }
    },
    /** How many processes are alive, this one among them. Removes nothing: the next start is to see who died. */
    count: (): number => readdirSync(folder).filter((id) => isId(id) && isAlive(id, false)).length,
    /** Registers again when our file is gone. Answers whether it was. */
    return: (): boolean => {
      if (existsSync(pathOf(self.id))) return false
      self.db.close()
      self = register()
      lastRead = undefined
      return true
    },
    leave: (): void => {
      for (const id of [...others.keys()]) forget(id)
      rmSync(pathOf(self.id), { force: true })
      self.db.close()
    },
  }
}

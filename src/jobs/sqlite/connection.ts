/** The open job database. One that is damaged or gone is opened anew; one that cannot be used is replaced by memory. */
import { join } from 'node:path'
import { makeFolder } from '../../database/files.js'
import { type ProcessRegistry, registerProcess } from '../../database/process-registry.js'
import { inodeOf, isCorrupt, openDatabase, openInMemory } from '../../database/sqlite.js'
import { codeOf } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import { prepareStatements, type Statements } from './statements.js'
import { SHAPE } from './tables.js'

/** A database that could not be used is tried again after this. */
const REOPEN_AFTER_MS = 30_000

/** A query, and what it gives where the database fails. */
type Query = <T>(query: (sql: Statements) => T, otherwise: T) => T

/** The database, and the registry of the processes that share it. */
export interface Connection {
  readonly query: Query
  /** A query in one immediate transaction. */
  readonly transaction: Query
  /** This process, as the owner of what it runs. */
  owner(): string
  registry(): ProcessRegistry | undefined
  /** Ends with a last transaction. */
  close(last: (sql: Statements) => void): void
}

const hasOpenJobs = (sql: Statements): boolean =>
  sql.counts.all().some(({ state, count }) => count > 0 && (state === 'queued' || state === 'running'))

/** Opens the database of a directory, or one in memory. */
export function openConnection(directory: string | undefined, logger: Logger): Connection {
  const file = directory === undefined ? undefined : join(directory, 'jobs.db')
  let registry: ProcessRegistry | undefined
  /** Undefined in memory. */
  let inode: number | undefined
  let triedAt = performance.now()
  let closed = false

  const open = (damaged?: number): Statements => {
    if (directory === undefined || file === undefined) return prepareStatements(openInMemory(SHAPE))
    try {
      makeFolder(directory)
      registry ??= registerProcess(join(directory, 'workers'))
      const opened = openDatabase(file, damaged, SHAPE, (message) =>
        logger.warn({}, `artwork jobs: ${message}`),
      )
      inode = opened.inode
      return prepareStatements(opened.db)
    } catch (error) {
      logger.warn({ err: error }, 'artwork jobs: the database cannot be used, work is queued in memory')
      inode = undefined
      return prepareStatements(openInMemory(SHAPE))
    }
  }
  let sql = open()
  const reopen = (damaged?: number): void => {
    try {
      sql.db.close()
    } catch {
      // It is not used any more.
    }
    sql = open(damaged)
  }
  /** Leaves memory for the file, once nothing is open in memory. */
  const tryFile = (): void => {
    if (file === undefined || inode !== undefined || performance.now() - triedAt < REOPEN_AFTER_MS) return
    triedAt = performance.now()
    if (!hasOpenJobs(sql)) reopen()
  }
  const query: Query = (work, otherwise) => {
    if (closed) return otherwise
    try {
      if (file !== undefined && inode !== undefined && inodeOf(file) !== inode) reopen()
      tryFile()
      return work(sql)
    } catch (error) {
      // Another process is writing: the next poll tries again.
      const level = codeOf(error).startsWith('SQLITE_BUSY') ? 'debug' : 'error'
      logger[level]({ err: error }, 'artwork jobs: the database failed')
      if (isCorrupt(error)) reopen(inode)
      return otherwise
    }
  }
  const transaction: Query = (work, otherwise) =>
    query((found) => found.db.transaction(() => work(found)).immediate(), otherwise)

  return {
    query,
    transaction,
    owner: () => registry?.id() ?? 'memory',
    registry: () => registry,
    close: (last) => {
      if (closed) return
      transaction(last, undefined)
      closed = true
      try {
        sql.db.close()
        registry?.leave()
      } catch (error) {
        logger.warn({ err: error }, 'artwork jobs: closing')
      }
    },
  }
}

/**
 * The queue in a database of its own: it survives `kill -9`, is shared by every process of the directory, and each job is
 * done by one of them. Without a directory it lives in memory, by the same rules.
 */

import type {
  Added,
  AtOnce,
  JobBackend,
  JobQueries,
  JobQueue,
  MergePayload,
  ScheduleTable,
  Unsupported,
} from '../../model/job-queue.js'
import type { Logger } from '../../model/logger.js'
import { createBackOffs } from './back-offs.js'
import { type Connection, openConnection } from './connection.js'
import { type AddJob, cancelChildren, createAddJob, createTrim } from './job-rows.js'
import { createJobProcessor } from './processor.js'
import { createQueries } from './queries.js'
import { createRuns, type Runs } from './runs.js'
import { createScheduleTable } from './schedule-table.js'
import type { Statements } from './statements.js'

/** How the queue is set up. */
export interface JobQueueOptions {
  /** Undefined: in memory. */
  readonly directory: string | undefined
  /** Most jobs that may wait, those with a parent not counted. @default 10,000 */
  readonly capacity?: number
  /** @default an open job keeps its payload */
  readonly merge?: MergePayload
  readonly now: () => number
  readonly logger: Logger
}

interface QueueParts {
  readonly addJob: AddJob
  readonly now: () => number
  /** Called in the transaction that ends a job. */
  onEnded(sql: Statements): void
}

/** Fails a job that has just been queued. */
function fail(sql: Statements, id: number, why: Unsupported, { now, onEnded }: QueueParts): void {
  if (sql.fail.run({ ...why, at: now(), id }).changes > 0) onEnded(sql)
}

function cancel(sql: Statements, id: number, now: number): boolean {
  const queued = sql.cancelQueued.run(now, id).changes
  const parent = queued > 0 ? sql.get.get(id)?.parent : undefined
  if (parent !== null && parent !== undefined) sql.countEnded.cancelled.run(parent)
  const running = sql.requestCancel.run(id).changes
  return queued + running + cancelChildren(sql, id, now) > 0
}

function retry(
  sql: Statements,
  id: number,
  unsupported: (kind: string) => Unsupported | undefined,
  parts: QueueParts,
): boolean {
  const row = sql.get.get(id)
  if (row === undefined || sql.openByKey.get(row.key) !== undefined) return false
  const { key, kind, lane, parent, state } = row
  sql.clearBackOff.run(key)
  if (sql.retry.run(id).changes === 0) return false
  if (lane === 'job') sql.detachChildren.run(id)
  if (parent !== null && (state === 'failed' || state === 'cancelled')) sql.uncountEnded[state].run(parent)
  const why = unsupported(kind)
  if (why !== undefined) fail(sql, id, why, parts)
  return true
}

function createQueue({ query, transaction }: Connection, parts: QueueParts): AtOnce<JobQueue> {
  const { addJob, now } = parts
  return {
    add: (job, unsupported) =>
      transaction<Added>(
        (sql) => {
          const added = addJob(sql, job, true)
          if (added.accepted && unsupported !== undefined) fail(sql, added.id, unsupported, parts)
          return added
        },
        { accepted: false, reason: 'full' },
      ),
    addAll: (jobs, isWanted = () => true) =>
      transaction<number | undefined>((sql) => {
        const parent = jobs[0]?.parent
        const owner = parent === undefined ? undefined : sql.get.get(parent)
        if (owner?.wish === 'cancel' || owner?.state === 'cancelled') return 0
        return jobs.filter(
          (job) =>
            (sql.openByKey.get(job.key) !== undefined || isWanted(job)) && addJob(sql, job, false).accepted,
        ).length
      }, undefined),
    cancel: (id) => transaction((sql) => cancel(sql, id, now()), false),
    retry: (id, unsupported = () => undefined) =>
      transaction((sql) => retry(sql, id, unsupported, parts), false),
    setPaused: (isPaused) => query((sql) => void sql.setFlag.run('paused', Number(isPaused)), undefined),
  }
}

/** The queue over SQLite, with the runs below it. */
export interface SqliteJobQueue
  extends AtOnce<JobQueue>,
    AtOnce<JobQueries>,
    Runs,
    Pick<JobBackend, 'backOffs' | 'createProcessor'> {
  readonly schedules: AtOnce<ScheduleTable>
}

/** Opens the queue of a directory. Where its database cannot be used, it is in memory, with a warning. */
export function createJobQueue(options: JobQueueOptions): SqliteJobQueue {
  const { directory, capacity = 10_000, logger } = options
  /** Whole ms, as the tables have them. */
  const now = (): number => Math.trunc(options.now())
  const connection = openConnection(directory, logger)
  const onEnded = createTrim(now)
  const addJob = createAddJob(capacity, now, options.merge ?? (() => undefined))
  const queries = createQueries(connection)
  const runs = createRuns({ connection, now, onEnded })
  return {
    ...createQueue(connection, { addJob, now, onEnded }),
    ...queries,
    ...runs,
    backOffs: createBackOffs(connection),
    schedules: createScheduleTable(connection, addJob, now),
    createProcessor: (handlers, how) =>
      createJobProcessor({ ...runs, isPaused: queries.isPaused }, handlers, how),
  }
}

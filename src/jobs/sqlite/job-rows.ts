/** Writes to rows of `jobs` that several transactions share. Each runs inside one. */
import type { Added, MergePayload, NewJob } from '../../model/job-queue.js'
import type { Statements } from './statements.js'

/** How many ended jobs are remembered: failed ones for longer, so that they can be looked at and tried again. */
const RETENTION = {
  task: { done: 2000, cancelled: 1000, failed: 5000 },
  job: { done: 500, cancelled: 100, failed: 500 },
} as const
const BACK_OFF_RETENTION_MS = 864e5
const TRIM_EVERY = 200

/** A full queue is not counted again for so long, ms. */
const FULL_FOR_MS = 1000
const COUNT_EVERY = 500

/** Inserts a job. Returns its id. */
export function insertJob(sql: Statements, job: NewJob, now: number): number {
  const { key, kind, priority, payload, lane, host = '', parent = null } = job
  const text = JSON.stringify(payload)
  return Number(sql.insert.run(key, kind, priority, text, lane, host, parent, now).lastInsertRowid)
}

/** Cancels the queued children of a job. Returns how many there were. */
export function cancelChildren(sql: Statements, id: number, now: number): number {
  const count = sql.cancelChildren.run(now, id).changes
  if (count > 0) sql.countCancelled.run(count, id)
  return count
}

/** Makes what trims ended jobs, once in a while as jobs end. */
export function createTrim(now: () => number): (sql: Statements) => void {
  let ended = 0
  return (sql) => {
    ended += 1
    if (ended % TRIM_EVERY !== 0) return
    for (const lane of ['task', 'job'] as const)
      for (const state of ['done', 'cancelled', 'failed'] as const)
        sql.trim.run(lane, state, RETENTION[lane][state])
    sql.trimBackOffs.run(now() - BACK_OFF_RETENTION_MS)
  }
}

type OpenJob = NonNullable<ReturnType<Statements['openByKey']['get']>>

/** Applies a job to the open one of its key: its priority, and its payload, now or after what runs. */
function mergeInto(sql: Statements, open: OpenJob, job: NewJob, merge: MergePayload): void {
  if (open.priority < job.priority) sql.raise.run(job.priority, open.id)
  const payload = merge(job, JSON.parse(open.payload))
  if (open.state !== 'queued') {
    // Where what runs is what was requested last, nothing that was requested in between follows it.
    const next = payload === undefined ? null : JSON.stringify({ ...job, payload })
    sql.setNext.run(next, open.id)
  } else if (payload !== undefined) sql.replacePayload.run(JSON.stringify(payload), job.host ?? '', open.id)
}

/** Adds a job, within the queue's capacity or not. */
export type AddJob = (sql: Statements, job: NewJob, isBounded: boolean) => Added

/** Makes `AddJob`. Counting costs as much as there is to count: it is done now and then, and at the bound. */
export function createAddJob(capacity: number, now: () => number, merge: MergePayload): AddJob {
  let added = 0
  let counted = Number.NaN
  let fullUntil = 0
  const isFull = (sql: Statements): boolean => {
    if (performance.now() < fullUntil) return true
    if (!(counted + added < capacity) || added > COUNT_EVERY) {
      counted = sql.waiting.get()?.count ?? 0
      added = 0
    }
    if (counted + added < capacity) return false
    fullUntil = performance.now() + FULL_FOR_MS
    return true
  }
  return (sql, job, isBounded) => {
    const open = sql.openByKey.get(job.key)
    if (open !== undefined) {
      mergeInto(sql, open, job, merge)
      return { accepted: false, reason: 'duplicate', id: open.id }
    }
    if (isBounded && isFull(sql)) return { accepted: false, reason: 'full' }
    added += 1
    return { accepted: true, id: insertJob(sql, job, now()) }
  }
}

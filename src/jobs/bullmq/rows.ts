/** Jobs as BullMQ keeps them, and as the port has them. */
import type { Job as BullJob, JobsOptions } from 'bullmq'
import { isReason, type Reason } from '../../model/failure.js'
import type { Job, JobState, Lane, NewJob, Result } from '../../model/job-queue.js'

/** What a job is about, as BullMQ keeps it: plain data. */
export interface JobData extends Omit<NewJob, 'parent' | 'host'> {
  readonly host?: string
  readonly parent?: number
  /** It is to be cancelled. */
  readonly wish?: 'cancel'
  /** The job that queued it was cancelled: it is not begun any more. */
  readonly isUnwanted?: boolean
  /** While it ran, its key was requested with another payload, which follows it. */
  readonly isFollowed?: boolean
  /** Why it is tried again. */
  readonly reason?: Reason
  /** Times that a node which cannot do it gave it back. */
  readonly givenBack?: number
}

/** Reported progress; first and last report of this run, for its rate. Times in ms since the epoch. */
export interface Progress {
  readonly done: number
  readonly total: number
  readonly firstAt: number
  readonly firstDone: number
  readonly at: number
}

/** A job of BullMQ, as it is used here. */
export type Kept = BullJob<JobData, unknown, string, Progress | number>

/** How many ended jobs are kept: failed ones for longer, so that they can be looked at and tried again. */
const KEPT: Readonly<Record<Lane, Readonly<Record<'done' | 'failed', number>>>> = {
  task: { done: 2000, failed: 5000 },
  job: { done: 500, failed: 500 },
}
/** Of BullMQ: lower comes first. */
const LOWEST_PRIORITY = 1000

/** Its id in BullMQ, which takes no plain numbers. */
export const keptId = (id: number): string => `j${id}`
export const idOf = (kept: Pick<Kept, 'id'> | string): number =>
  Number((typeof kept === 'string' ? kept : (kept.id ?? '')).slice(1))

export const priorityOf = (priority: number): number => Math.max(1, LOWEST_PRIORITY - priority)

/** A job as it is added. The same key is queued once. */
export function toBull(
  { key, kind, lane, priority, payload, host, parent }: NewJob,
  id: number,
  createdAt: number,
): { readonly name: string; readonly data: JobData; readonly opts: JobsOptions } {
  return {
    name: kind,
    data: {
      ...{ key, kind, lane, priority, payload },
      ...(host !== undefined && { host }),
      ...(parent !== undefined && { parent }),
    },
    opts: {
      jobId: keptId(id),
      priority: priorityOf(priority),
      deduplication: { id: key },
      timestamp: createdAt,
      removeOnComplete: { count: KEPT[lane].done },
      removeOnFail: { count: KEPT[lane].failed },
      stackTraceLimit: 0,
    },
  }
}

/** How a run that failed says why, in the text that BullMQ keeps. */
export const failureText = ({ reason, error, result }: Omit<Result, 'state'>): string =>
  JSON.stringify({ reason, error, result })

/** Whether it is such a text. */
export const isFailureText = (text: string): boolean => text.startsWith('{')

/** What such a text says; another one is BullMQ's own, of a job whose processes died. */
function readFailure(text: string): Omit<Result, 'state'> {
  try {
    const { reason, error, result } = JSON.parse(text) as Readonly<Record<string, unknown>>
    return {
      ...(isReason(reason) && { reason }),
      ...(typeof error === 'string' && { error }),
      result,
    }
  } catch {
    return { reason: 'processing', error: 'the process ended each time it was at this' }
  }
}

function rateOf(progress: Progress | number): number | undefined {
  if (typeof progress !== 'object') return undefined
  const ms = progress.at - progress.firstAt
  const steps = progress.done - progress.firstDone
  return ms > 0 && steps > 0 ? (steps * 1000) / ms : undefined
}

/** How many of the jobs that one queued ended how. */
export type Ended = Readonly<Record<'done' | 'failed' | 'cancelled', number>>
export const NO_CHILDREN: Ended = { done: 0, failed: 0, cancelled: 0 }

/** Where a job of BullMQ stands. @param isActive whether it is among those that run */
export const stateOf = (kept: Pick<Kept, 'finishedOn' | 'failedReason'>, isActive: boolean): JobState => {
  if (kept.finishedOn !== undefined) return kept.failedReason ? 'failed' : 'done'
  return isActive ? 'running' : 'queued'
}

/** A longer payload is left out where jobs are listed and followed, characters. */
const MAX_LISTED_PAYLOAD = 4096

/** A job of BullMQ as the port has it. */
export function toJob(kept: Kept, state: JobState, ended: Ended, isListed = true): Job {
  const { key, kind, lane, payload, host, parent, reason, givenBack = 0 } = kept.data
  const progress = typeof kept.progress === 'object' ? kept.progress : undefined
  const rate = rateOf(kept.progress)
  const isLong = isListed && JSON.stringify(payload).length > MAX_LISTED_PAYLOAD
  const left = Math.max(0, (progress?.total ?? 0) - (progress?.done ?? 0))
  const failure: Omit<Result, 'state'> = state === 'failed' ? readFailure(kept.failedReason) : { reason }
  return {
    ...{ id: idOf(kept), key, kind, lane, state, host, parent, rate },
    // It may have been raised.
    priority: kept.priority > 0 ? LOWEST_PRIORITY - kept.priority : kept.data.priority,
    payload: isLong ? null : payload,
    attempts: Math.max(0, kept.attemptsStarted - givenBack),
    notBefore: kept.delay > 0 && state === 'queued' ? (kept.processedOn ?? kept.timestamp) + kept.delay : 0,
    done: progress?.done ?? 0,
    total: progress?.total ?? 0,
    eta: rate === undefined || state !== 'running' ? undefined : Math.round((left * 1000) / rate),
    error: failure.error,
    reason: failure.reason,
    ticket: kept.token ?? '',
    ok: ended.done,
    failed: ended.failed,
    cancelled: ended.cancelled,
    result: state === 'done' ? (kept.returnvalue ?? undefined) : failure.result,
    createdAt: kept.timestamp,
    startedAt: kept.processedOn,
    endedAt: kept.finishedOn,
  }
}

/** Following one job, or the whole queue. */
import { setTimeout as sleep } from 'node:timers/promises'
import { asArtworkError } from '../model/failure.js'
import type { Awaitable, Job, JobProcessor, JobQueries } from '../model/job-queue.js'
import type { ScheduleStatus } from './schedules.js'

/** Numbers of the queue: what waits and runs in all processes, and what this one has done since start. */
export interface RefresherStatus {
  /** Whether the background work was begun in this process. */
  readonly started: boolean
  /** Whether nothing new is begun at the moment, by any process of the directory. */
  readonly paused: boolean
  /** Whether this process takes nothing new. */
  readonly draining: boolean
  /** Jobs that wait, in all processes. */
  readonly queued: number
  /** Jobs that run, in all processes. */
  readonly running: number
  /** Jobs that this process has done since start. */
  readonly done: number
  /** Jobs that failed in this process since start. */
  readonly failed: number
  /** Jobs that begin by themselves, and when. */
  readonly schedules: readonly ScheduleStatus[]
}

/** What happens in the queue: a long job has changed, in whichever process, or the numbers have. */
export type RefresherEvent =
  | {
      /** A long job has changed. */
      readonly type: 'job'
      /** What it is now. */
      readonly job: Job
    }
  | {
      /** The numbers have changed. */
      readonly type: 'status'
      /** What they are now. */
      readonly status: RefresherStatus
    }

/** Only the newest long jobs are followed. */
const MAX_FOLLOWED = 50
/** Each round queries the database. */
const EVENT_INTERVAL_MS = 500

/** A job has changed where this has. */
const versionOf = ({ state, done, total, attempts }: Job): string => `${state} ${done} ${total} ${attempts}`

/** What a queue that nodes share answers; `later` where it cannot be reached now. @throws what else it throws */
async function asked<T>(work: () => Awaitable<T>): Promise<T | 'later'> {
  try {
    return await work()
  } catch (error) {
    if (asArtworkError(error).code === 'unavailable') return 'later'
    throw error
  }
}

/** A job, each time it has changed, until it has ended. */
export async function* watchJob(
  jobs: Pick<JobQueries, 'get'>,
  processor: Pick<JobProcessor, 'changed'>,
  id: number,
  signal?: AbortSignal,
): AsyncGenerator<Job> {
  let before = ''
  for (;;) {
    if (signal?.aborted) return
    const job = await asked(() => jobs.get(id))
    if (job === undefined) return
    if (job === 'later') {
      await processor.changed(signal)
      continue
    }
    const version = versionOf(job)
    if (version !== before) yield job
    before = version
    if (job.endedAt !== undefined) return
    await processor.changed(signal)
  }
}

/** Where events come from. */
interface EventParts {
  readonly jobs: Pick<JobQueries, 'list'>
  readonly processor: Pick<JobProcessor, 'changed'>
  status(): RefresherStatus
  isClosed(): boolean
}

/** What happens from now on; first how it stands. Ends with the signal, or when the queue closes. */
export async function* queueEvents(
  { jobs, processor, status, isClosed }: EventParts,
  signal?: AbortSignal,
): AsyncGenerator<RefresherEvent> {
  const versions = new Map<number, string>()
  let before = ''
  while (!isClosed() && signal?.aborted !== true) {
    const current = status()
    const text = JSON.stringify(current)
    if (text !== before) yield { type: 'status', status: current }
    before = text
    for (const job of [...(await jobs.list({ lane: 'job', limit: MAX_FOLLOWED }))].reverse()) {
      const version = versionOf(job)
      if (versions.get(job.id) !== version) yield { type: 'job', job }
      versions.set(job.id, version)
    }
    await sleep(EVENT_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {})
    await processor.changed(signal)
  }
}

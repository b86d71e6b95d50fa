/** Works off the queue that nodes share, by BullMQ's workers: a job whose node has died is begun anew by another. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'bullmq'
import { createKeyedLimiter, within } from '../../concurrency.js'
import type { Handler, Job, JobProcessorOptions, Lane, Outcome } from '../../model/job-queue.js'
import { createProgress, MAX_LONG_JOBS, MAX_PER_HOST, POLL_INTERVAL_MS, runHandler } from '../running.js'
import type { SharedChanges } from './changes.js'
import { CANCELLED, createConclusions } from './conclusions.js'
import { LANES, type SharedConnection } from './keys.js'
import {
  idOf,
  isFailureText,
  type JobData,
  type Kept,
  keptId,
  NO_CHILDREN,
  type Progress,
  toJob,
} from './rows.js'

/** A job fails after so many processes have died at it. */
const MAX_CRASHES = 3
/** Tasks of a busy host that are held back at a time, and for how long, ms. */
const MAX_HELD_BACK = 16
const HELD_BACK_FOR = 500
/** How long an end waits for Redis, ms. */
const CLOSE_TIME = 5000
const CLOSE_POLL = 20

/** What the workers work with. */
export interface WorkersParts {
  /** Its commands wait until Redis can be reached: what a job did is not done again because that was not so for a moment. */
  readonly connection: SharedConnection
  readonly changes: Pick<SharedChanges, 'ended' | 'keepCancelled' | 'cancelChildren'>
  /** A node that says nothing for so long is dead, ms. */
  readonly leaseTime: number
  /** The id of what a job has become a part of; its own else. */
  idNow(id: number): number
  /** A job has changed here. @param ended its key, where it has ended */
  changed(ended?: string): void
}

interface Running {
  readonly job: Job
  readonly controller: AbortController
  /** Another node has it. */
  isLost: boolean
}

/** What a worker of one lane hears and does. */
interface WorkerParts extends Pick<WorkersParts, 'connection' | 'leaseTime' | 'changed'> {
  readonly lane: Lane
  readonly concurrency: number
  work(kept: Kept, token: string): Promise<unknown>
  /** BullMQ itself gave up a job at which processes died. */
  abandoned(kept: Kept): void
  /** Another node has these now. */
  lost(ids: readonly string[]): void
}

function openWorker({ lane, concurrency, work, abandoned, lost, ...parts }: WorkerParts): Worker {
  const { bull, queues, redis, keys } = parts.connection
  const process = (kept: unknown, token = '') => work(kept as Kept, token)
  const worker = new bull.Worker<JobData, unknown>(queues[lane].name, process, {
    connection: redis,
    prefix: keys.bull,
    concurrency: lane === 'job' ? MAX_LONG_JOBS : concurrency,
    lockDuration: parts.leaseTime,
    stalledInterval: parts.leaseTime / 2,
    maxStalledCount: MAX_CRASHES - 1,
    runRetryDelay: 1000,
    skipVersionCheck: true,
    drainDelay: 1,
  })
  // Why Redis cannot be called is known from the calls that are awaited.
  worker.on('error', () => {})
  worker.on('failed', (kept, { message }) => {
    if (kept !== undefined && !isFailureText(message) && message !== CANCELLED) abandoned(kept as Kept)
  })
  for (const end of ['completed', 'failed'] as const)
    worker.on(end, (kept: { readonly data: JobData } | undefined) => parts.changed(kept?.data.key))
  worker.on('lockRenewalFailed', lost)
  return worker
}

/** Makes the workers; they begin with `start`. */
export function createWorkers(
  handlers: Readonly<Record<string, Handler>>,
  options: JobProcessorOptions,
  { connection, changes, leaseTime, idNow, changed }: WorkersParts,
) {
  const { queues, keys, redis } = connection
  const hosts = createKeyedLimiter({ capacity: MAX_PER_HOST })
  const { isVerdict, delay, ...say } = createConclusions(connection, changes, options)
  const running = new Map<string, Running>()
  let workers: readonly Worker[] = []
  let onlyJob: number | undefined
  let heldBack = 0
  let closed = false

  /** Whether a task waits outside for its host, so that those of other hosts go on: so many at a time, the others wait here. */
  const mustWait = (host: string | undefined): boolean => {
    const isBusy = [...running.values()].filter(({ job }) => job.host === host).length >= MAX_PER_HOST
    if (host === undefined || !isBusy || heldBack >= MAX_HELD_BACK) return false
    heldBack += 1
    setTimeout(() => {
      heldBack -= 1
    }, HELD_BACK_FOR).unref()
    return true
  }
  const report = (kept: Kept) => {
    let first: Pick<Progress, 'firstAt' | 'firstDone'> | undefined
    return createProgress((done, total) => {
      const at = Math.trunc(options.now())
      first ??= { firstAt: at, firstDone: Math.trunc(done) }
      const progress = { ...first, at, done: Math.trunc(done), total: Math.trunc(total) }
      kept
        .updateProgress(progress)
        .then(() => changed())
        .catch(() => {})
    })
  }
  /** What is thrown that is no verdict on the job is a failure of the queue: the job is begun once more. */
  const work = async (kept: Kept, token: string): Promise<unknown> => {
    try {
      return await attempt(kept, token)
    } catch (error) {
      if (isVerdict(error)) throw error
      options.logger.warn({ err: error, job: kept.data.key }, 'artwork jobs: the shared queue failed')
      return delay(kept, token)
    }
  }
  const attempt = async (kept: Kept, token: string): Promise<unknown> => {
    const { kind, lane, host, wish } = kept.data
    const id = idOf(kept)
    const handler = handlers[kind]
    if (handler === undefined || (lane === 'job' && onlyJob !== undefined && idNow(onlyJob) !== id))
      return delay(kept, token)
    if (mustWait(host)) return delay(kept, token, HELD_BACK_FOR)
    await redis.srem(keys.waiting, keptId(id))
    const job: Job = { ...toJob(kept, 'running', NO_CHILDREN, false), ticket: token }
    if (wish === 'cancel') return say.endCancelled(kept, job)
    const controller = new AbortController()
    const run: Running = { job, controller, isLost: false }
    running.set(keptId(id), run)
    const { signal } = controller
    const context = { signal, progress: report(kept) }
    const environment = { logger: options.logger, isClosed: () => closed || run.isLost }
    const begin = async (): Promise<Outcome | undefined> => {
      if (job.parent !== undefined && (await say.dataOf(kept)).isUnwanted) return { state: 'cancelled' }
      return runHandler(job, handler, context, environment)
    }
    const limited = () => (host === undefined ? begin() : hosts.run(host, begin, { signal }))
    const outcome = await (lane === 'job' ? begin() : limited())
      // It was aborted before it began.
      .catch((): Outcome | undefined => (closed || run.isLost ? undefined : { state: 'cancelled' }))
      .finally(() => running.delete(keptId(id)))
    return say.conclude(kept, job, outcome, token)
  }
  /** Stops what was to be cancelled. */
  const poll = async (): Promise<void> => {
    for (const { job, controller } of [...running.values()]) {
      const data = await queues[job.lane].getJob(keptId(job.id))
      if (data?.data.wish === 'cancel') controller.abort()
    }
  }
  const timer = setInterval(() => void (running.size > 0 && poll().catch(() => {})), POLL_INTERVAL_MS).unref()

  return {
    start: (only: number | undefined): void => {
      onlyJob = only
      if (closed || workers.length > 0) return
      workers = LANES.map((lane) =>
        openWorker({
          ...{ lane, work, connection, leaseTime, changed, concurrency: options.concurrency },
          abandoned: (kept) => {
            options.onEnd('failed')
            void changes.ended(toJob(kept, 'failed', NO_CHILDREN), 'failed').catch(() => {})
          },
          lost: (ids) => {
            for (const run of ids.map((id) => running.get(id))) {
              if (run === undefined) continue
              run.isLost = true
              run.controller.abort()
            }
          },
        }),
      )
    },
    running: (): number => running.size,
    /** Waits for tasks; long jobs stop where they are, and another node goes on with them. */
    close: async (): Promise<void> => {
      closed = true
      clearInterval(timer)
      for (const { job, controller } of running.values()) if (job.lane === 'job') controller.abort()
      // A worker that waits for Redis ends without it.
      const isAway = redis.status !== 'ready'
      while (running.size > 0) await sleep(CLOSE_POLL)
      await within(
        CLOSE_TIME,
        Promise.all(workers.map((worker) => worker.close(isAway))).catch(() => {}),
      )
    },
  }
}

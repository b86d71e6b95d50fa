/** Works off the queue that nodes share, by BullMQ's workers: a job whose node has died is begun anew by another. */
import { DelayedError, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import { createKeyedLimiter, within } from '../../concurrency.js'
import type { Handler, Job, JobProcessorOptions, Lane, Outcome } from '../../model/job-queue.js'
import { createProgress, MAX_LONG_JOBS, MAX_PER_HOST, POLL_INTERVAL_MS, runHandler } from '../running.js'
import type { SharedChanges } from './changes.js'
import { LANES, type SharedConnection } from './keys.js'
import {
  failureText,
  idOf,
  isFailureText,
  type JobData,
  type Kept,
  keptId,
  type Progress,
  toJob,
} from './rows.js'

/** A job fails after so many processes have died at it. */
const MAX_CRASHES = 3
/** What this process cannot do is left to others for so long, ms. */
const LEFT_FOR = 2000
/** How long an end waits for Redis, ms. */
const CLOSE_TIME = 5000
/** What a worker of BullMQ is told by. */
const VERDICTS = [DelayedError, WaitingError, UnrecoverableError]
const CANCELLED = 'cancelled'
const NO_CHILDREN = { done: 0, failed: 0, cancelled: 0 }

/** What the workers work with. */
export interface WorkersParts {
  /** Its commands wait until Redis can be reached: what a job did is not done again because that was not so for a moment. */
  readonly connection: SharedConnection
  readonly changes: Pick<SharedChanges, 'ended' | 'keepCancelled' | 'cancelChildren'>
  /** A node that says nothing for so long is dead, ms. */
  readonly leaseTime: number
  /** A job has changed here. @param ended its key, where it has ended */
  changed(ended?: string): void
}

interface Running {
  readonly job: Job
  readonly controller: AbortController
  /** Another node has it. */
  isLost: boolean
}

/** See the top of the file. */
export type Workers = ReturnType<typeof createWorkers>

/** Makes the workers; they begin with `start`. */
export function createWorkers(
  handlers: Readonly<Record<string, Handler>>,
  options: JobProcessorOptions,
  { connection, changes, leaseTime, changed }: WorkersParts,
) {
  const { queues, keys, redis } = connection
  const hosts = createKeyedLimiter({ capacity: MAX_PER_HOST })
  const tasks = createKeyedLimiter({ capacity: options.concurrency })
  const running = new Map<string, Running>()
  let workers: readonly Worker[] = []
  let onlyJob: number | undefined
  let closed = false

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
  /** What its data are now: others may have changed them meanwhile. */
  const dataOf = async (kept: Kept): Promise<JobData> => {
    const found: Kept | undefined = await queues[kept.data.lane].getJob(kept.id ?? '')
    return found?.data ?? kept.data
  }
  const leave = async (kept: Kept, token: string): Promise<never> => {
    await kept.updateData({ ...(await dataOf(kept)), givenBack: (kept.data.givenBack ?? 0) + 1 })
    await kept.moveToDelayed(Date.now() + LEFT_FOR, token)
    throw new DelayedError()
  }
  const endCancelled = async (kept: Kept, job: Job): Promise<never> => {
    await changes.keepCancelled(job)
    if (job.lane === 'job') await changes.cancelChildren(job.id)
    options.onEnd('cancelled')
    kept.opts = { ...kept.opts, removeOnFail: true }
    throw new UnrecoverableError(CANCELLED)
  }
  /** Writes how a run came out, the way a worker of BullMQ is told. */
  const conclude = async (
    kept: Kept,
    job: Job,
    outcome: Outcome | undefined,
    token: string,
  ): Promise<unknown> => {
    if (outcome === undefined) {
      // The end of this process cut it short.
      await kept.moveToWait(token)
      throw new WaitingError()
    }
    const { lane } = job
    const data = await dataOf(kept)
    const isCancelled = data.wish === 'cancel' && (lane === 'job' || outcome.state === 'again')
    if (outcome.state === 'cancelled' || (isCancelled && outcome.state !== 'failed'))
      return endCancelled(kept, job)
    if (outcome.state === 'again') {
      await kept.updateData({ ...data, ...(outcome.reason !== undefined && { reason: outcome.reason }) })
      await kept.moveToDelayed(Date.now() + Math.ceil(outcome.after), token)
      throw new DelayedError()
    }
    await changes.ended(job, outcome.state)
    options.onEnd(outcome.state)
    if (outcome.state === 'failed') throw new UnrecoverableError(failureText(outcome))
    return outcome.result ?? null
  }
  /** What is thrown that is no verdict on the job is a failure of the queue: the job is begun once more. */
  const work = async (kept: Kept, token: string): Promise<unknown> => {
    try {
      return await attempt(kept, token)
    } catch (error) {
      if (VERDICTS.some((verdict) => error instanceof verdict)) throw error
      options.logger.warn({ err: error, job: kept.data.key }, 'artwork jobs: the shared queue failed')
      // Where this fails too, it is begun anew once its lock has run out.
      await kept.moveToDelayed(Date.now() + LEFT_FOR, token).catch(() => {})
      throw new DelayedError()
    }
  }
  const attempt = async (kept: Kept, token: string): Promise<unknown> => {
    const { kind, lane, host, wish } = kept.data
    const id = idOf(kept)
    const handler = handlers[kind]
    if (handler === undefined || (lane === 'job' && onlyJob !== undefined && onlyJob !== id))
      return leave(kept, token)
    await redis.srem(keys.waiting, keptId(id))
    const job: Job = { ...toJob(kept, 'running', NO_CHILDREN, false), ticket: token }
    if (wish === 'cancel') return endCancelled(kept, job)
    const controller = new AbortController()
    const run: Running = { job, controller, isLost: false }
    running.set(keptId(id), run)
    const { signal } = controller
    const context = { signal, progress: report(kept) }
    const environment = { logger: options.logger, isClosed: () => closed || run.isLost }
    const begin = async (): Promise<Outcome | undefined> => {
      if (job.parent !== undefined && (await dataOf(kept)).isUnwanted) return { state: 'cancelled' }
      return runHandler(job, handler, context, environment)
    }
    const limited = () => (host === undefined ? begin() : hosts.run(host, begin, { signal }))
    const outcome = await (lane === 'job' ? begin() : tasks.run('', limited, { signal }))
      // It was aborted before it began.
      .catch((): Outcome | undefined => (closed || run.isLost ? undefined : { state: 'cancelled' }))
      .finally(() => running.delete(keptId(id)))
    return conclude(kept, job, outcome, token)
  }
  const open = (lane: Lane): Worker => {
    const worker = new Worker<JobData, unknown>(
      queues[lane].name,
      (kept, token = '') => work(kept as Kept, token),
      {
        connection: redis,
        prefix: keys.bull,
        // As many wait here for their host as run.
        concurrency: lane === 'job' ? MAX_LONG_JOBS : 2 * options.concurrency,
        lockDuration: leaseTime,
        stalledInterval: leaseTime / 2,
        maxStalledCount: MAX_CRASHES - 1,
        runRetryDelay: 1000,
        drainDelay: 1,
      },
    )
    // Why Redis cannot be called is known from the calls that are awaited.
    worker.on('error', () => {})
    // BullMQ itself gives up what its processes died at.
    worker.on('failed', (kept, { message }) => {
      if (kept === undefined || isFailureText(message) || message === CANCELLED) return
      options.onEnd('failed')
      void changes.ended(toJob(kept as Kept, 'failed', NO_CHILDREN), 'failed').catch(() => {})
    })
    for (const end of ['completed', 'failed'] as const)
      worker.on(end, (kept: { readonly data: JobData } | undefined) => changed(kept?.data.key))
    worker.on('lockRenewalFailed', (ids) => {
      for (const one of ids) {
        const run = running.get(one)
        if (run === undefined) continue
        run.isLost = true
        run.controller.abort()
      }
    })
    return worker
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
      workers = LANES.map(open)
    },
    running: (): number => running.size,
    /** Waits for tasks; long jobs stop where they are, and another node goes on with them. */
    close: async (): Promise<void> => {
      closed = true
      clearInterval(timer)
      for (const { job, controller } of running.values()) if (job.lane === 'job') controller.abort()
      const closing = Promise.all(workers.map((worker) => worker.close()))
      while (running.size > 0)
        await within(
          POLL_INTERVAL_MS,
          closing.catch(() => {}),
        )
      await within(
        CLOSE_TIME,
        closing.catch(() => {}),
      )
      for (const worker of workers)
        await within(
          CLOSE_TIME,
          worker.close(true).catch(() => {}),
        )
    },
  }
}

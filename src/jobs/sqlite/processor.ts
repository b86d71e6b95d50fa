/** Workers: they take what is to be done from the job store, do it, and say how it ended. */
import { asArtworkError, type Reason } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import type { Job, Lane, Result } from '../ports.js'
import type { JobQueue } from './queue.js'

/** What a piece of work is done with. */
export interface JobContext {
  /** Aborted when it is cancelled, or the process ends. */
  readonly signal: AbortSignal
  /** Says how far it is. */
  progress(done: number, total: number): void
}

/** How a piece of work came out: ended, or to be tried again after so many ms. */
export type Outcome =
  | Result
  | { readonly state: 'again'; readonly after: number; readonly reason?: Reason | undefined }

/** Does a piece of work of one kind. */
export type Handler = (job: Job, tools: JobContext) => Promise<Outcome>

/** How the workers behave. */
export interface JobProcessorOptions {
  /** Tasks at once. */
  readonly concurrency: number
  readonly now: () => number
  readonly logger: Logger
  onEnd(state: Result['state']): void
  /** Every 250 ms while work is begun. */
  onLook?(): void
}

/** Long jobs at once, and tasks at once that ask one host. */
const JOBS_AT_ONCE = 2
const PER_HOST = 2
const LOOK_EVERY = 250
/** Every so many looks: what dead processes were at is taken over. */
const RECOVER_EVERY = 8

/** See the top of the file. */
export type JobProcessor = ReturnType<typeof createJobProcessor>

/** Makes the workers; they begin with `start`. */
export function createJobProcessor(
  jobs: JobQueue,
  kinds: Readonly<Record<string, Handler>>,
  options: JobProcessorOptions,
) {
  const { now, logger, onEnd } = options
  /** What this process can do: an app without a repository leaves to others what needs one. */
  const able = Object.keys(kinds)
  const running = new Map<
    string,
    { readonly job: Job; readonly controller: AbortController; readonly end: Promise<void> }
  >()
  const waiting = new Set<() => void>()
  const limits: Readonly<Record<Lane, number>> = { task: options.concurrency, job: JOBS_AT_ONCE }
  let started = false
  let only: number | undefined
  let closed = false
  let looks = 0
  let isAwake = false

  /** Tells whoever waits for a change. */
  const notify = (): void => {
    for (const resolve of [...waiting]) resolve()
    waiting.clear()
  }
  /** Endings that could not be written down: they are, as soon as that is possible. */
  const unwritten = new Map<string, () => boolean>()
  const settle = (job: Job, write: () => boolean): void => {
    if (!write()) unwritten.set(job.ticket, write)
  }
  const finish = (job: Job, outcome: Outcome): void =>
    settle(job, () => {
      if (outcome.state === 'again')
        return jobs.retryAt(job, now() + outcome.after, { reason: outcome.reason }) !== undefined
      const ended = jobs.end(job, outcome)
      if (ended) onEnd(ended)
      return ended !== undefined
    })
  const putBack = (job: Job): void => settle(job, () => jobs.retryAt(job, 0, {}) !== undefined)
  const run = async (job: Job, signal: AbortSignal): Promise<void> => {
    let told = 0
    const progress = (done: number, total: number): void => {
      // A thousand steps a second need not be written down one by one.
      if (done < total && performance.now() - told < 200) return
      told = performance.now()
      jobs.progress(job, done, total)
      notify()
    }
    try {
      const work = kinds[job.kind]
      if (work === undefined) throw new Error(`there is no work of the kind ${job.kind}`)
      const outcome = await work(job, { signal, progress })
      if (closed && outcome.state === 'cancelled') putBack(job)
      else finish(job, outcome)
    } catch (error) {
      if (signal.aborted) {
        // What the end of the process cut short is there at the next start.
        if (closed) putBack(job)
        else finish(job, { state: 'cancelled' })
        return
      }
      const failure = asArtworkError(error)
      if (failure.code === 'unknown') logger.error({ err: error, job: job.key }, 'artwork: a job failed')
      finish(job, { state: 'failed', reason: failure.reason, error: failure.message })
    }
  }
  const begin = (job: Job): void => {
    const controller = new AbortController()
    const end = run(job, controller.signal).finally(() => {
      running.delete(job.ticket)
      notify()
      wake()
    })
    running.set(job.ticket, { job, controller, end })
  }
  const look = (): void => {
    isAwake = false
    if (!started || closed || jobs.isPaused()) return
    for (const lane of ['job', 'task'] as const) {
      const busy = [...running.values()].filter(({ job }) => job.lane === lane)
      const free = limits[lane] - busy.length
      for (let place = 0; place < free; place += 1) {
        const hosts = [...running.values()].flatMap(({ job }) => (job.host === undefined ? [] : [job.host]))
        const spared = hosts.filter((host) => hosts.filter((other) => other === host).length >= PER_HOST)
        const [job] = jobs.take(lane, 1, [...new Set(spared)], {
          able,
          ...(lane === 'job' && { only }),
        })
        if (job === undefined) break
        begin(job)
      }
    }
  }
  const wake = (): void => {
    if (isAwake || closed) return
    isAwake = true
    setImmediate(look)
  }
  const timer = setInterval(() => {
    if (!started || closed) return
    looks += 1
    const wished = new Set(jobs.cancelRequested())
    for (const { job, controller } of running.values()) if (wished.has(job.id)) controller.abort()
    for (const [ticket, write] of unwritten) if (write()) unwritten.delete(ticket)
    if (looks % RECOVER_EVERY === 1) jobs.recover()
    if (!jobs.isPaused()) options.onLook?.()
    notify()
    look()
  }, LOOK_EVERY).unref()

  return {
    /** @param job the only long job to work on; left out: any */
    start: (job?: number): void => {
      only = job
      started = true
      wake()
    },
    isStarted: (): boolean => started,
    isPaused: jobs.isPaused,
    can: (kind: string): boolean => Object.hasOwn(kinds, kind),
    /** Whether something runs, or waits of the kinds that are known here: due now, or at all. */
    isDue: (): boolean => jobs.isDue(able),
    isWithin: (): boolean => jobs.isDue(able, Number.MAX_SAFE_INTEGER),
    /** Something was queued: who is free looks at once. */
    wake,
    running: (): number => running.size,
    /** Resolves when something has changed, or soon. */
    change: (signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        const late = setTimeout(done, LOOK_EVERY)
        function done(): void {
          clearTimeout(late)
          waiting.delete(done)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        waiting.add(done)
        signal?.addEventListener('abort', done, { once: true })
      }),
    /** Lets tasks finish; long jobs stop where they are, and go on at the next start. */
    close: async (): Promise<void> => {
      closed = true
      clearInterval(timer)
      for (const { job, controller } of running.values()) if (job.lane === 'job') controller.abort()
      await Promise.all([...running.values()].map(({ end }) => end))
      for (const write of unwritten.values()) write()
      notify()
    },
  }
}

/** The processor: it takes jobs from the database as there is capacity, runs their handlers, and writes how they ended. */
import type {
  Handler,
  Job,
  JobProcessor,
  JobProcessorOptions,
  JobQueries,
  Lane,
  Outcome,
} from '../../model/job-queue.js'
import {
  createChangeSignal,
  createPendingWrites,
  createProgress,
  MAX_LONG_JOBS,
  MAX_PER_HOST,
  POLL_INTERVAL_MS,
  runHandler,
} from '../running.js'
import type { Runs } from './runs.js'

/** Every so many polls, what dead processes were running is queued again. */
const RECOVER_EVERY = 8

type Handlers = Readonly<Record<string, Handler>>
type ProcessorJobs = Runs & Pick<JobQueries, 'isPaused'>
interface Running {
  readonly job: Job
  readonly controller: AbortController
  readonly end: Promise<void>
}

/** Hosts that have as many tasks running as they may. */
function busyHosts(running: readonly Running[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { host } of running.map(({ job }) => job))
    if (host !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1)
  return [...counts].flatMap(([host, count]) => (count >= MAX_PER_HOST ? [host] : []))
}

/** Writes how a run came out. Returns whether that could be written. */
function writeOutcome(
  jobs: Pick<Runs, 'end' | 'retryAt'>,
  job: Job,
  outcome: Outcome | undefined,
  { now, onEnd }: Pick<JobProcessorOptions, 'now' | 'onEnd'>,
): boolean {
  if (outcome === undefined) return jobs.retryAt(job, 0, {}) !== undefined
  if (outcome.state === 'again') return jobs.retryAt(job, now() + outcome.after, outcome) !== undefined
  const ended = jobs.end(job, outcome)
  if (ended) onEnd(ended)
  return ended !== undefined
}

/** Makes the processor; it begins with `start`. */
export function createJobProcessor(
  jobs: ProcessorJobs,
  handlers: Handlers,
  options: JobProcessorOptions,
): JobProcessor {
  /** Other kinds are left to other processes. */
  const kinds = Object.keys(handlers)
  const limits: Readonly<Record<Lane, number>> = { task: options.concurrency, job: MAX_LONG_JOBS }
  const running = new Map<string, Running>()
  const writes = createPendingWrites()
  const changes = createChangeSignal()
  let started = false
  let onlyJob: number | undefined
  let closed = false
  let polls = 0
  let isNotified = false

  const begin = (job: Job): void => {
    const controller = new AbortController()
    const { signal } = controller
    const progress = createProgress((done, total) => {
      jobs.progress(job, done, total)
      changes.emit()
    })
    const environment = { logger: options.logger, isClosed: () => closed }
    const end = runHandler(job, handlers[job.kind], { signal, progress }, environment)
      .then((outcome) => writes.write(job.ticket, () => writeOutcome(jobs, job, outcome, options)))
      .finally(() => {
        running.delete(job.ticket)
        changes.emit()
        notify()
      })
    running.set(job.ticket, { job, controller, end })
  }
  /** Begins what there is capacity for. */
  const fill = (): void => {
    isNotified = false
    // A process at rest reads, and takes no lock.
    if (!started || closed || (running.size === 0 && !jobs.isDue(kinds)) || jobs.isPaused()) return
    if (options.mayBegin?.() === false) return
    for (const lane of ['job', 'task'] as const) {
      const busy = [...running.values()].filter(({ job }) => job.lane === lane).length
      for (let free = limits[lane] - busy; free > 0; free -= 1) {
        const excludedHosts = busyHosts([...running.values()])
        const only = lane === 'job' ? onlyJob : undefined
        const [job] = jobs.take(lane, 1, excludedHosts, { kinds, only })
        if (job === undefined) break
        begin(job)
      }
    }
  }
  const notify = (): void => {
    if (isNotified || closed) return
    isNotified = true
    setImmediate(fill)
  }
  const poll = (): void => {
    if (!started || closed) return
    polls += 1
    if (running.size > 0) {
      const cancelled = new Set(jobs.cancelRequested())
      for (const { job, controller } of running.values()) if (cancelled.has(job.id)) controller.abort()
    }
    writes.flush()
    if (polls % RECOVER_EVERY === 1) jobs.recover()
    if (!jobs.isPaused()) options.onPoll?.()
    changes.emit()
    fill()
  }
  const timer = setInterval(poll, POLL_INTERVAL_MS).unref()

  return {
    start: (only) => {
      onlyJob = only
      started = true
      notify()
    },
    isStarted: () => started,
    isSupported: (kind) => Object.hasOwn(handlers, kind),
    isDue: () => jobs.isDue(kinds),
    isPending: () => jobs.isDue(kinds, Number.MAX_SAFE_INTEGER),
    running: () => running.size,
    notify,
    changed: changes.wait,
    close: async () => {
      closed = true
      clearInterval(timer)
      for (const { job, controller } of running.values()) if (job.lane === 'job') controller.abort()
      await Promise.all([...running.values()].map(({ end }) => end))
      writes.flush()
      changes.emit()
    },
  }
}

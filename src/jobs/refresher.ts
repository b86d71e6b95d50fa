/**
 * Work that no request waits for: revalidating, repairing, downloads of entities' pictures, and long jobs. Jobs survive
 * the process, are done once by one of the processes that share the directory, and are retried as `retry.ts` says.
 */

import type {
  Awaitable,
  ClusterNode,
  Handler,
  Job,
  JobBackend,
  JobProcessorOptions,
  Result,
} from '../model/job-queue.js'
import { createBackground } from './background.js'
import { createDownloads, type DownloadParts, type Downloads } from './downloads.js'
import { after, createIntake } from './intake.js'
import { queueEvents, type RefresherEvent, type RefresherStatus, watchJob } from './job-events.js'
import { createSchedules, type ScheduleRules } from './schedules.js'

export type { Priority } from './downloads.js'
export type { Enqueued } from './intake.js'
export type { RefresherEvent, RefresherStatus } from './job-events.js'

/** Verbs of the pipeline that jobs call. */
export interface RefresherWork extends Pick<DownloadParts, 'download'> {
  refresh(address: string): Promise<unknown>
  heal(path: string): Promise<void>
}

/** How the refresher behaves. Times in ms. */
export interface RefresherOptions
  extends Pick<JobProcessorOptions, 'concurrency' | 'now' | 'logger'>,
    Pick<DownloadParts, 'paramsOf' | 'retryDelays'> {
  readonly jobs: JobBackend
  /** The nodes that share the queue. @default it is not shared */
  nodes?(): Promise<readonly ClusterNode[]>
  /** Whether two URLs are of one picture. @default where they are the same */
  isSame?(url: string, other: string): boolean
  /** Handlers of long jobs, by their kind. */
  handlers?(downloads: Downloads): Readonly<Record<string, Handler>>
  /** @default none */
  readonly schedules?: ScheduleRules
}

/** See the top of the file. */
export type Refresher = ReturnType<typeof createRefresher>

/** Makes a refresher. Revalidating and repairing run at once; jobs wait for `start`. */
export function createRefresher(work: RefresherWork, options: RefresherOptions) {
  const { now, logger, jobs, concurrency, isSame = (url, other) => url === other } = options
  const { paramsOf, retryDelays, handlers, schedules: rules = {} } = options
  const { backOffs } = jobs
  const counts = { done: 0, failed: 0, cancelled: 0 }
  const count = (state: Result['state']): void => {
    counts[state] += 1
  }
  const downloads = createDownloads({ ...work, backOffs, paramsOf, retryDelays, isSame, now })
  const schedules = createSchedules({ rules, table: jobs.schedules, now })
  const processor = jobs.createProcessor(
    { download: downloads.handler, ...handlers?.(downloads) },
    {
      concurrency,
      now,
      logger,
      onPoll: () => void (intake.state() === 'open' && schedules.tick()),
      onEnd: count,
    },
  )
  const intake = createIntake({ jobs, processor, downloads, onFailed: () => count('failed') })
  const background = createBackground({
    ...work,
    request: (wanted) => intake.request(wanted, 'low'),
    concurrency,
    isSame,
    now,
    logger,
  })

  const isWorking = (): boolean => processor.isStarted() && !jobs.isPaused()
  const status = (): RefresherStatus => {
    const { queued, running } = jobs.counts()
    const other = background.status()
    return {
      started: processor.isStarted(),
      paused: jobs.isPaused(),
      draining: intake.state() === 'draining',
      queued: queued + other.queued,
      running: running + other.running,
      done: counts.done + other.done,
      failed: counts.failed + other.failed,
      schedules: schedules.status(),
    }
  }
  const isBusy = (): boolean => {
    const { queued, running } = background.status()
    if (queued + running > 0) return true
    return isWorking() && (processor.isDue() || processor.running() > 0)
  }

  return {
    originalStale: background.originalStale,
    imageMissing: background.imageMissing,
    entityRequested: background.entityRequested,
    request: intake.request,
    run: intake.run,
    retry: intake.retry,
    cancel: (id: number): Awaitable<boolean> => after(jobs.cancel(id), processor.notify),
    /** Forgets what failed, so that it may be requested again at once. */
    forgetFailures: (): void => {
      backOffs.clearAll()
      background.forgetRequested()
    },
    /** Begins jobs. @param only the one long job that this process works on; left out: any */
    start: (only?: number): void => {
      if (intake.state() === 'closed') return
      processor.start(only)
      schedules.tick()
    },
    isStarted: processor.isStarted,
    /** How many jobs run here. */
    running: processor.running,
    /** Begins nothing new, in no process of the directory, until `resume`. Survives a restart. */
    pause: (): Awaitable<void> => jobs.setPaused(true),
    /** Takes and begins new work again. */
    resume: (): Awaitable<void> => {
      intake.setState('open')
      return after(jobs.setPaused(false), processor.notify)
    },
    /**
     * Takes nothing new in this process, until `resume`, and waits for what is queued and may run here.
     * @returns how much is left
     */
    drain: async (): Promise<number> => {
      intake.setState('draining')
      while (intake.state() === 'draining' && isWorking() && processor.isPending()) await processor.changed()
      await background.idle()
      const { queued, running } = jobs.counts()
      return queued + running
    },
    get: jobs.get,
    list: jobs.list,
    children: jobs.children,
    /** The nodes that share the queue; none where it is not shared. */
    nodes: (): Awaitable<readonly ClusterNode[]> => options.nodes?.() ?? [],
    status,
    /** Follows a job until it has ended. */
    watch: (id: number, signal?: AbortSignal): AsyncGenerator<Job> => watchJob(jobs, processor, id, signal),
    /** What happens in the queue. */
    events: (signal?: AbortSignal): AsyncGenerator<RefresherEvent> =>
      queueEvents({ jobs, processor, status, isClosed: () => intake.state() === 'closed' }, signal),
    /** Resolves when nothing that may run now is queued or running. */
    idle: async (): Promise<void> => {
      while (isBusy()) {
        await background.idle()
        if (isBusy()) await processor.changed()
      }
    },
    /** Waits for what runs; what is queued is there at the next start. */
    close: async (): Promise<void> => {
      intake.setState('closed')
      background.close()
      await processor.close()
      await background.idle()
      await jobs.close()
    },
  }
}

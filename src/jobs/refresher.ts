/**
 * Work that no request waits for: revalidating, repairing, downloads of entities' pictures, and long jobs. Jobs survive
 * the process, are done once by one of the processes that share the directory, and are retried as `retry.ts` says.
 */
import type { DownloadRequest, SaveImageResult } from '../images/download.js'
import { JOB_KINDS } from '../model/job-kinds.js'
import { createBackground } from './background.js'
import { createDownloads, type DownloadParts, type Downloads, type Priority } from './downloads.js'
import { queueEvents, type RefresherEvent, type RefresherStatus, watchJob } from './job-events.js'
import { isJobKind, newJob } from './kinds.js'
import type {
  Added,
  Handler,
  Job,
  JobBackend,
  JobProcessorOptions,
  JobQueries,
  Unsupported,
} from './ports.js'
import { createSchedules, type ScheduleRules } from './schedules.js'

export type { Priority } from './downloads.js'
export type { RefresherEvent, RefresherStatus } from './job-events.js'

/** What became of a request for a job. */
export type Enqueued =
  | { readonly accepted: true; readonly id: string }
  | {
      readonly accepted: false
      readonly reason: 'duplicate' | 'full' | 'recently failed' | 'no_url' | 'draining' | 'closed'
      /** The job that is queued already, of a duplicate. */
      readonly id?: string
    }

/** Verbs of the pipeline that jobs call. */
export interface RefresherWork {
  refresh(address: string): Promise<unknown>
  heal(path: string): Promise<void>
  download(request: DownloadRequest, signal?: AbortSignal): Promise<SaveImageResult>
}

/** How the refresher behaves. Times in ms. */
export interface RefresherOptions
  extends Pick<JobProcessorOptions, 'concurrency' | 'now' | 'logger'>,
    Pick<DownloadParts, 'paramsOf' | 'retryDelays'> {
  readonly jobs: JobBackend
  /** Whether two URLs are of one picture. @default where they are the same */
  isSame?(url: string, other: string): boolean
  /** Handlers of long jobs, by their kind. */
  handlers?(downloads: Downloads): Readonly<Record<string, Handler>>
  /** @default none */
  readonly schedules?: ScheduleRules
}

/** Why a job that goes through the app's entities fails where these cannot be listed. */
const UNSUPPORTED: Unsupported = { reason: 'unavailable', error: 'the repository cannot list entities' }

const toEnqueued = (added: Added): Enqueued =>
  'id' in added ? { ...added, id: String(added.id) } : { accepted: false, reason: added.reason }

const openJobs = (jobs: Pick<JobQueries, 'counts'>): number => {
  const { queued, running } = jobs.counts()
  return queued + running
}

/** See the top of the file. */
export type Refresher = ReturnType<typeof createRefresher>

/** Makes a refresher. Revalidating and repairing run at once; jobs wait for `start`. */
export function createRefresher(work: RefresherWork, options: RefresherOptions) {
  const { now, logger, jobs, concurrency, isSame = (url, other) => url === other } = options
  const counts = { done: 0, failed: 0 }
  let closed = false
  let draining = false

  const downloads = createDownloads({
    download: work.download,
    backOffs: jobs.backOffs,
    paramsOf: options.paramsOf,
    retryDelays: options.retryDelays,
    isSame,
    now,
  })
  const schedules = createSchedules({ rules: options.schedules ?? {}, table: jobs.schedules, now })
  const processor = jobs.createProcessor(
    { download: downloads.handler, ...options.handlers?.(downloads) },
    {
      concurrency,
      now,
      logger,
      onPoll: () => void (draining || schedules.tick()),
      onEnd: (state) => {
        if (state !== 'cancelled') counts[state] += 1
      },
    },
  )
  const refusal = (): Enqueued | undefined =>
    closed || draining ? { accepted: false, reason: closed ? 'closed' : 'draining' } : undefined
  const request = (wanted: DownloadRequest, priority: Priority = 'normal'): Enqueued => {
    const url = wanted.sourceUrl ?? ''
    const refused = refusal()
    if (refused !== undefined) return refused
    if (url === '') return { accepted: false, reason: 'no_url' }
    const job = downloads.prepare(wanted, priority)
    if (!wanted.force && downloads.isResting(job.key, url))
      return { accepted: false, reason: 'recently failed' }
    const added = jobs.add(job)
    processor.notify()
    return toEnqueued(added)
  }
  const background = createBackground({
    ...work,
    request: (wanted) => request(wanted, 'low'),
    concurrency,
    isSame,
    now,
    logger,
  })
  /** A job that is added here and has no handler here fails at once: there may be no other process. */
  const unsupported = (kind: string): Unsupported | undefined =>
    processor.isSupported(kind) ? undefined : UNSUPPORTED

  const status = (): RefresherStatus => {
    const { queued, running } = jobs.counts()
    const other = background.status()
    return {
      started: processor.isStarted(),
      paused: jobs.isPaused(),
      draining,
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
    return processor.isStarted() && !jobs.isPaused() && (processor.isDue() || processor.running() > 0)
  }

  return {
    originalStale: background.originalStale,
    imageMissing: background.imageMissing,
    entityRequested: background.entityRequested,
    /** Queues the download of an entity's picture. The same entity is queued once; a higher priority moves it up. */
    request,
    /** Queues a long job. The same options of a kind are queued once. @throws TypeError for no kind of job */
    run: (kind: string, payload: object): Enqueued => {
      const refused = refusal()
      if (refused !== undefined) return refused
      if (!isJobKind(kind))
        throw new TypeError(`kind must be one of ${JOB_KINDS.join(', ')}, got ${JSON.stringify(kind)}`)
      const why = unsupported(kind)
      const added = jobs.add(newJob(kind, payload), why)
      if (added.accepted && why !== undefined) counts.failed += 1
      processor.notify()
      return toEnqueued(added)
    },
    /** Forgets what failed, so that it may be requested again at once. */
    forgetFailures: (): void => {
      jobs.backOffs.clearAll()
      background.forgetRequested()
    },
    /** Begins jobs. @param only the one long job that this process works on; left out: any */
    start: (only?: number): void => {
      if (closed) return
      processor.start(only)
      schedules.tick()
    },
    isStarted: processor.isStarted,
    /** Begins nothing new, in no process of the directory, until `resume`. Survives a restart. */
    pause: (): void => jobs.setPaused(true),
    /** Takes and begins new work again. */
    resume: (): void => {
      draining = false
      jobs.setPaused(false)
      processor.notify()
    },
    /** Takes nothing new in this process, until `resume`, and waits for what is queued and may run here. Returns how much is left. */
    drain: async (): Promise<number> => {
      draining = true
      while (!closed && draining && processor.isStarted() && !jobs.isPaused() && processor.isPending())
        await processor.changed()
      await background.idle()
      return openJobs(jobs)
    },
    cancel: (id: number): boolean => {
      const isCancelled = jobs.cancel(id)
      processor.notify()
      return isCancelled
    },
    retry: (id: number): boolean => {
      let why: Unsupported | undefined
      const isQueued = jobs.retry(id, (kind) => {
        why = unsupported(kind)
        return why
      })
      if (isQueued && why !== undefined) counts.failed += 1
      processor.notify()
      return isQueued
    },
    get: jobs.get,
    list: jobs.list,
    children: jobs.children,
    status,
    /** Follows a job until it has ended. */
    watch: (id: number, signal?: AbortSignal): AsyncGenerator<Job> => watchJob(jobs, processor, id, signal),
    /** What happens in the queue. */
    events: (signal?: AbortSignal): AsyncGenerator<RefresherEvent> =>
      queueEvents({ jobs, processor, status, isClosed: () => closed }, signal),
    /** Resolves when nothing that may run now is queued or running. */
    idle: async (): Promise<void> => {
      while (isBusy()) {
        await background.idle()
        if (isBusy()) await processor.changed()
      }
    },
    /** Waits for what runs; what is queued is there at the next start. */
    close: async (): Promise<void> => {
      closed = true
      background.close()
      await processor.close()
      await background.idle()
      jobs.close()
    },
  }
}

/**
 * Work that nobody waits for: stale originals and lost artwork that requests came upon, pictures of entities, and long
 * jobs. What is asked for is kept in the job store: it survives the process, is done once, by one of the processes that
 * share the directory, and is tried again as its failure allows.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import PQueue from 'p-queue'
import type { DownloadRequest, SaveImageResult } from '../images/download.js'
import { type EntityId, entityIdText } from '../model/artwork-path.js'
import { asArtworkError, isBySettings, type Reason } from '../model/failure.js'
import { JOB_KINDS, jobKey } from '../model/job-kinds.js'
import type { Logger } from '../model/logger.js'
import { hostOf } from '../model/web-url.js'
import type { Added, Job, Unsupported } from './ports.js'
import { createSchedules, type ScheduleRules, type ScheduleStatus } from './schedules.js'
import { createJobProcessor, type Handler } from './sqlite/processor.js'
import type { JobQueue } from './sqlite/queue.js'

/** How urgent a piece of work is. Inside a priority: first in, first out. */
export type Priority = 'high' | 'normal' | 'low'

/** What became of asking for one. */
export type Enqueued =
  | { readonly accepted: true; readonly id: string }
  | {
      readonly accepted: false
      readonly reason: 'duplicate' | 'full' | 'recently failed' | 'no_url' | 'draining' | 'closed'
      /** The piece of work that is queued already, of a duplicate. */
      readonly id?: string
    }

/** Numbers of the queue: what waits and runs in all processes, and what this one has done since start. */
export interface RefresherStatus {
  readonly started: boolean
  /** Whether nothing new is begun at the moment, by any process of the directory. */
  readonly paused: boolean
  /** Whether this process takes nothing new. */
  readonly draining: boolean
  readonly queued: number
  readonly running: number
  readonly done: number
  readonly failed: number
  /** Jobs that are begun by themselves. */
  readonly schedules: readonly ScheduleStatus[]
}

/** What happens in the queue: a long job has come on, in whichever process, or the numbers have changed. */
export type RefresherEvent =
  | { readonly type: 'job'; readonly job: Job }
  | { readonly type: 'status'; readonly status: RefresherStatus }

/** What the refresher can do, handed in by the composition root. */
export interface RefresherWork {
  refresh(address: string): Promise<unknown>
  heal(path: string): Promise<void>
  download(request: DownloadRequest, signal?: AbortSignal): Promise<SaveImageResult>
}

/** How the refresher behaves. Times in ms. */
export interface RefresherOptions {
  readonly concurrency: number
  /** Before each further attempt at what may pass. @default 2 s, 10 s */
  readonly retryDelays?: readonly number[]
  readonly jobs: JobQueue
  /** Of an entity's fields, those that the path of its picture needs, as text: nothing else of a record is kept. */
  paramsOf(kind: string, params: Readonly<Record<string, EntityId>>): Readonly<Record<string, string>>
  /** Whether two URLs are of one picture. @default where they are the same */
  isSame?(one: string, other: string): boolean
  /** Long jobs, by their kind. */
  readonly kinds?: Readonly<Record<string, Handler>>
  /** When long jobs are begun by themselves. @default none */
  readonly schedules?: ScheduleRules
  readonly now: () => number
  readonly logger: Logger
}

const PRIORITIES: Readonly<Record<Priority, number>> = { high: 2, normal: 1, low: 0 }
const CAPACITY = 10_000
/** When a URL that failed for good is tried again; one whose trouble may pass climbs up to that, doubling. */
const RETRY_FAILED_AFTER = 24 * 3_600_000
const RETRY_PASSING_AFTER = 5 * 60_000
const RETRY_DELAYS: readonly number[] = [2000, 10_000]
/** Reasons that time may mend within minutes. */
const PASSING: ReadonlySet<string> = new Set(['timeout', 'connection', 'http_5xx', 'unavailable'])
/** What templates asked for lately is not looked up again for so long, ms, and so many of them are remembered. */
const ASKED_FOR = 30_000
const MAX_ASKED = 20_000
/** Long jobs whose coming on is told of: the newest. */
const EVENTS_OF = 50
/** Nobody reads faster, and asking costs, ms. */
const EVENTS_EVERY = 500

/** Why a job fails that goes through the app's entities, where there is no way to list them. */
const UNABLE: Unsupported = { reason: 'unavailable', error: 'the repository cannot list entities' }

/** What of a job is told of when it changes. */
const standOf = ({ state, done, total, attempts }: Job): string => `${state} ${done} ${total} ${attempts}`

/** A download as it is queued: plain data. */
interface DownloadPayload {
  readonly sourceUrl: string
  readonly entityType: string
  readonly entityId: string
  readonly params: Readonly<Record<string, string>>
  readonly force?: boolean
}

/** The key of an entity's picture in the queue. */
export const downloadKey = (kind: string, id: EntityId): string => `${kind}:${entityIdText(id)}`

const told = (added: Added): Enqueued => {
  if (added.accepted) return { accepted: true, id: String(added.id) }
  return added.reason === 'duplicate'
    ? { accepted: false, reason: 'duplicate', id: String(added.id) }
    : { accepted: false, reason: 'full' }
}

/** See the top of the file. */
export type Refresher = ReturnType<typeof createRefresher>

/** Makes a refresher. Requests' own work (stale, lost) runs at once; what is queued waits for `start`. */
export function createRefresher(work: RefresherWork, options: RefresherOptions) {
  const { now, logger, jobs, retryDelays = RETRY_DELAYS, isSame = (one, other) => one === other } = options
  const requested = new PQueue({ concurrency: options.concurrency })
  const known = new Set<string>()
  const asked = new Map<string, { readonly url: string; readonly at: number }>()
  const counts = { done: 0, failed: 0 }
  let closed = false
  let draining = false

  /** Runs a piece of the requests' own work, once at a time for each key. */
  const onRequest = (key: string, job: () => Promise<unknown>): void => {
    if (closed || known.has(key) || requested.size >= CAPACITY) return
    known.add(key)
    void requested.add(async () => {
      try {
        await job()
        counts.done += 1
      } catch (error) {
        counts.failed += 1
        const { code, reason } = asArtworkError(error)
        logger[code === 'unknown' ? 'error' : 'info'](
          { err: error, image: key, reason },
          'artwork: refreshing failed',
        )
      } finally {
        known.delete(key)
      }
    })
  }
  /** What was refused by the settings of this run, and where: another run judges it anew. */
  const refusedHere = new Map<string, string>()
  /** Leaves a URL alone that failed: for a day, or where its trouble may pass, from minutes up to that. */
  const rest = (key: string, url: string, reason: Reason): void => {
    const before = jobs.rests.get(key)
    const times = before !== undefined && isSame(before.url, url) ? before.times + 1 : 1
    const wait = PASSING.has(reason)
      ? Math.min(RETRY_PASSING_AFTER * 2 ** Math.min(times - 1, 16), RETRY_FAILED_AFTER)
      : RETRY_FAILED_AFTER
    jobs.rests.set(key, { url, until: now() + wait, times, reason })
    if (!isBySettings(reason)) return
    if (refusedHere.size >= MAX_ASKED) refusedHere.clear()
    refusedHere.set(key, url)
  }
  const download: Handler = async (job, { signal }) => {
    const payload = job.payload as DownloadPayload
    const result = await work.download({ ...payload, again: job.attempts > 1 }, signal)
    if (result.status !== 'failed') {
      jobs.rests.clear(job.key)
      const { status, localPath, url, width, height, bytes, digest, repository } = result
      return { state: 'done', result: { status, localPath, url, width, height, bytes, digest, repository } }
    }
    const reason = result.reason ?? 'unknown'
    if (signal.aborted) return { state: 'cancelled' }
    const delay = PASSING.has(reason) ? retryDelays[job.attempts - 1] : undefined
    if (delay !== undefined) return { state: 'again', after: delay * (0.75 + Math.random() / 2), reason }
    rest(job.key, payload.sourceUrl, reason)
    return { state: 'failed', reason, error: `the picture could not be had: ${reason}` }
  }
  const asJob = (kind: string, payload: unknown, key: string) => {
    const lane = 'job' as const
    return { key: `job:${key}`, kind, lane, priority: PRIORITIES.normal, payload }
  }
  const schedules = createSchedules({
    rules: options.schedules ?? {},
    jobs,
    prepare: (kind, payload) => asJob(kind, payload, jobKey(kind, payload)),
    now,
  })
  const workers = createJobProcessor(
    jobs,
    { download, ...options.kinds },
    {
      concurrency: options.concurrency,
      now,
      logger,
      onLook: () => void (draining || schedules.tick()),
      onEnd: (state) => {
        if (state === 'done') counts.done += 1
        if (state === 'failed') counts.failed += 1
      },
    },
  )

  /** A download as it is queued, or why it is not. */
  const prepare = (request: DownloadRequest, priority: Priority, parent?: number) => {
    const url = request.sourceUrl ?? ''
    const key = downloadKey(request.entityType, request.entityId)
    const payload: DownloadPayload = {
      sourceUrl: url,
      entityType: request.entityType,
      entityId: entityIdText(request.entityId),
      params: options.paramsOf(request.entityType, request.params ?? {}),
      ...(request.force && { force: true }),
    }
    const host = hostOf(url)
    /** Another URL, or to fetch it in any case, counts more than what is queued already. */
    const instead = (before: unknown): DownloadPayload | undefined => {
      const queued = before as DownloadPayload
      if (queued.sourceUrl === url && (queued.force === true || !payload.force)) return undefined
      return queued.force === true ? { ...payload, force: true } : payload
    }
    const lane = 'task' as const
    return { key, kind: 'download', lane, priority: PRIORITIES[priority], payload, host, parent, instead }
  }
  /** Whether a URL failed and is left alone still. */
  const isResting = (key: string, url: string): boolean => {
    const resting = jobs.rests.get(key)
    const left = resting === undefined ? 0 : resting.until - now()
    // Longer than that, and the clock was ahead when it failed.
    if (resting === undefined || left <= 0 || left > RETRY_FAILED_AFTER) return false
    if (!isSame(resting.url, url)) return false
    // A signature that has expired says nothing of the next one.
    const isJust = left > RETRY_FAILED_AFTER - RETRY_PASSING_AFTER || PASSING.has(resting.reason)
    if (resting.url !== url && !isJust) return false
    return !isBySettings(resting.reason as Reason) || isSame(refusedHere.get(key) ?? '', url)
  }
  const request = (wanted: DownloadRequest, priority: Priority = 'normal'): Enqueued => {
    const url = wanted.sourceUrl ?? ''
    if (closed) return { accepted: false, reason: 'closed' }
    if (draining) return { accepted: false, reason: 'draining' }
    if (url === '') return { accepted: false, reason: 'no_url' }
    const job = prepare(wanted, priority)
    if (!wanted.force && isResting(job.key, url)) return { accepted: false, reason: 'recently failed' }
    const added = jobs.add(job)
    workers.wake()
    return told(added)
  }

  /** What is asked for here and cannot be done here fails, and is not left to wait: another process might never come. */
  const unableTo = (kind: string): Unsupported | undefined => (workers.can(kind) ? undefined : UNABLE)

  const status = (): RefresherStatus => {
    const { queued, running } = jobs.counts()
    return {
      started: workers.isStarted(),
      paused: workers.isPaused(),
      draining,
      queued: queued + requested.size,
      running: running + requested.pending,
      ...counts,
      schedules: schedules.status(),
    }
  }

  return {
    /** An original was found stale: it is asked about in the background. */
    stale: (address: string): void => onRequest(`stale:${address}`, () => work.refresh(address)),
    /** An artwork's bytes are gone: it is made again in the background. */
    lost: (path: string): void => onRequest(`lost:${path}`, () => work.heal(path)),
    /**
     * Asks for an entity's picture. The same entity is queued once; a higher priority moves it up. A URL that
     * failed for good is not tried again for 24 h, one whose trouble may pass after 5 min and ever later, another
     * URL at once.
     */
    request,
    /** As `request`, for what templates show: what was asked for lately costs no look-up. */
    want: (wanted: DownloadRequest): void => {
      const key = downloadKey(wanted.entityType, wanted.entityId)
      const before = asked.get(key)
      const url = wanted.sourceUrl ?? ''
      if (before !== undefined && isSame(before.url, url) && Math.abs(now() - before.at) < ASKED_FOR) return
      if (asked.size >= MAX_ASKED) asked.clear()
      asked.set(key, { url, at: now() })
      request(wanted, 'low')
    },
    prepare,
    isResting,
    /** Asks for a long job. One of the same kind and key is queued once. @throws TypeError for no kind of job */
    run: (kind: string, payload: object): Enqueued => {
      if (closed) return { accepted: false, reason: 'closed' }
      if (draining) return { accepted: false, reason: 'draining' }
      if (!(JOB_KINDS as readonly string[]).includes(kind))
        throw new TypeError(`kind must be one of ${JOB_KINDS.join(', ')}, got ${JSON.stringify(kind)}`)
      const added = jobs.add(asJob(kind, payload, jobKey(kind, payload)), unableTo(kind))
      if (added.accepted && !workers.can(kind)) counts.failed += 1
      workers.wake()
      return told(added)
    },
    /** Forgets what failed, so that everything may be asked for again at once. */
    forgetFailures: (): void => {
      jobs.rests.clearAll()
      asked.clear()
    },
    /** Lets what is queued run. @param job the only long job that this process works on; left out: any */
    start: (job?: number): void => {
      if (closed) return
      workers.start(job)
      schedules.tick()
    },
    isStarted: workers.isStarted,
    /** Begins nothing new, in no process of the directory, until `resume`. Survives a restart. */
    pause: (): void => jobs.setPaused(true),
    /** Takes and begins new work again. */
    resume: (): void => {
      draining = false
      jobs.setPaused(false)
      workers.wake()
    },
    /** Takes nothing new in this process, until `resume`, and waits for what is queued. Answers how much is left: none, where it may run, and here. */
    drain: async (): Promise<number> => {
      draining = true
      while (!closed && draining && workers.isStarted() && !workers.isPaused() && workers.isWithin())
        await workers.change()
      await requested.onIdle()
      const { queued, running } = jobs.counts()
      return queued + running
    },
    cancel: (id: number): boolean => {
      const isCancelled = jobs.cancel(id)
      workers.wake()
      return isCancelled
    },
    retry: (id: number): boolean => {
      let isUnable = false
      const isQueued = jobs.retry(id, (kind) => {
        const why = unableTo(kind)
        isUnable = why !== undefined
        return why
      })
      if (isQueued && isUnable) counts.failed += 1
      workers.wake()
      return isQueued
    },
    get: jobs.get,
    list: jobs.list,
    children: jobs.children,
    status,
    /** Follows a piece of work until it has ended. */
    watch: async function* (id: number, signal?: AbortSignal): AsyncGenerator<Job> {
      let before = ''
      for (;;) {
        const job = jobs.get(id)
        if (job === undefined || signal?.aborted) return
        const text = standOf(job)
        if (text !== before) yield job
        before = text
        if (job.endedAt !== undefined) return
        await workers.change(signal)
      }
    },
    /** What happens in the queue, from now on; first how it stands. Ends with the signal, or with `close`. */
    events: async function* (signal?: AbortSignal): AsyncGenerator<RefresherEvent> {
      const known = new Map<number, string>()
      let before = ''
      while (!closed && signal?.aborted !== true) {
        const current = status()
        const text = JSON.stringify(current)
        if (text !== before) yield { type: 'status', status: current }
        before = text
        for (const job of [...jobs.list({ lane: 'job', limit: EVENTS_OF })].reverse()) {
          const stand = standOf(job)
          if (known.get(job.id) !== stand) yield { type: 'job', job }
          known.set(job.id, stand)
        }
        await sleep(EVENTS_EVERY, undefined, { signal, ref: false }).catch(() => {})
        await workers.change(signal)
      }
    },
    /** Resolves when nothing that may run now is queued or running. */
    idle: async (): Promise<void> => {
      const busy = () =>
        requested.size + requested.pending > 0 ||
        (workers.isStarted() && !workers.isPaused() && (workers.isDue() || workers.running() > 0))
      while (busy()) {
        await requested.onIdle()
        if (busy()) await workers.change()
      }
    },
    /** Lets what runs finish; what waits is there at the next start. */
    close: async (): Promise<void> => {
      closed = true
      requested.clear()
      await workers.close()
      await requested.onIdle()
      jobs.close()
    },
  }
}

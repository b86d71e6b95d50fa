/**
 * Work that nobody waits for: stale originals, lost artwork, and pictures of entities that were added. A
 * queue in memory with priorities; what is asked for twice is done once.
 */
import PQueue from 'p-queue'
import type { DownloadRequest, SaveImageResult } from '../images/artworks.js'
import { asArtworkError } from '../model/errors.js'
import type { Logger } from '../model/logger.js'

/** How urgent a job is. Inside a priority: first in, first out. */
export type Priority = 'high' | 'normal' | 'low'

/** What became of asking for a job. */
export type Enqueued =
  | { readonly accepted: true; readonly id: string }
  | {
      readonly accepted: false
      readonly reason: 'duplicate' | 'full' | 'recently failed' | 'no_url' | 'closed'
    }

/** Numbers of the queue since start. */
export interface RefresherStatus {
  readonly started: boolean
  readonly queued: number
  readonly running: number
  readonly done: number
  readonly failed: number
}

/** What the refresher can do, handed in by the composition root. */
export interface RefresherWork {
  refresh(address: string): Promise<unknown>
  heal(path: string): Promise<void>
  download(request: DownloadRequest): Promise<SaveImageResult>
}

/** How the refresher behaves. Times in ms. */
export interface RefresherOptions {
  readonly concurrency: number
  /** Before each further attempt at what may pass. @default 2 s, 10 s */
  readonly retryDelays?: readonly number[]
  readonly now: () => number
  readonly logger: Logger
}

const PRIORITIES: Readonly<Record<Priority, number>> = { high: 2, normal: 1, low: 0 }
const CAPACITY = 10_000
const MAX_REMEMBERED = 20_000
/** When a URL that failed for good is tried again; one whose trouble may pass climbs up to that, doubling. */
const RETRY_FAILED_AFTER = 24 * 3_600_000
const RETRY_PASSING_AFTER = 5 * 60_000
const RETRY_DELAYS: readonly number[] = [2000, 10_000]
/** Reasons that time may mend within minutes. */
const PASSING = new Set(['timeout', 'connection', 'http_5xx', 'unavailable'])

interface Failed {
  readonly url: string
  readonly until: number
  readonly times: number
}

/** See the top of the file. */
export type Refresher = ReturnType<typeof createRefresher>

/** Makes a refresher. Requests' own work (stale, lost) runs at once; entities wait for `start`. */
export function createRefresher(work: RefresherWork, options: RefresherOptions) {
  const { now, logger, retryDelays = RETRY_DELAYS } = options
  const requested = new PQueue({ concurrency: options.concurrency })
  const entities = new PQueue({ concurrency: options.concurrency, autoStart: false })
  const known = new Map<string, Priority>()
  const failed = new Map<string, Failed>()
  const retries = new Set<NodeJS.Timeout>()
  const counts = { done: 0, failed: 0 }
  let closed = false

  /** Runs a job of the requests' own queue, once at a time for each key. */
  const onRequest = (key: string, job: () => Promise<unknown>): void => {
    if (closed || known.has(key) || requested.size >= CAPACITY) return
    known.set(key, 'high')
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
  const noteFailure = (key: string, url: string, passes: boolean): void => {
    const before = failed.get(key)
    const times = before?.url === url ? before.times + 1 : 1
    const wait = passes
      ? Math.min(RETRY_PASSING_AFTER * 2 ** Math.min(times - 1, 16), RETRY_FAILED_AFTER)
      : RETRY_FAILED_AFTER
    if (failed.size >= MAX_REMEMBERED)
      for (const oldest of [...failed.keys()].slice(0, 1000)) failed.delete(oldest)
    failed.set(key, { url, until: now() + wait, times })
  }
  /** Runs a download. The key stays known while a retry is to come. */
  const download = async (key: string, request: DownloadRequest, attempt: number): Promise<void> => {
    const result = await work.download(request)
    if (result.status !== 'failed') {
      counts.done += 1
      known.delete(key)
      failed.delete(key)
      return
    }
    const delay = PASSING.has(result.reason ?? '') ? retryDelays[attempt] : undefined
    if (delay === undefined || closed) {
      counts.failed += 1
      known.delete(key)
      noteFailure(key, request.sourceUrl ?? '', PASSING.has(result.reason ?? ''))
      return
    }
    const timer = setTimeout(
      () => {
        retries.delete(timer)
        void add(key, request, known.get(key) ?? 'normal', attempt + 1)
      },
      delay * (0.75 + Math.random() / 2),
    )
    retries.add(timer)
  }
  const add = (key: string, request: DownloadRequest, priority: Priority, attempt: number): Promise<void> =>
    entities
      .add(() => download(key, request, attempt), { priority: PRIORITIES[priority], id: key })
      .catch((error) => {
        known.delete(key)
        logger.error({ err: error }, 'artwork: a job failed')
      })

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
    request: (request: DownloadRequest, priority: Priority = 'normal'): Enqueued => {
      const url = request.sourceUrl ?? ''
      const key = `${request.entityType}:${request.entityId}`
      if (closed) return { accepted: false, reason: 'closed' }
      if (url === '') return { accepted: false, reason: 'no_url' }
      const before = known.get(key)
      if (before !== undefined) {
        if (PRIORITIES[priority] > PRIORITIES[before]) {
          known.set(key, priority)
          entities.setPriority(key, PRIORITIES[priority])
        }
        return { accepted: false, reason: 'duplicate' }
      }
      const failure = failed.get(key)
      if (!request.force && failure?.url === url && now() < failure.until)
        return { accepted: false, reason: 'recently failed' }
      if (entities.size >= CAPACITY) return { accepted: false, reason: 'full' }
      known.set(key, priority)
      void add(key, request, priority, 0)
      return { accepted: true, id: key }
    },
    /** Forgets what failed, so that everything may be asked for again at once. */
    forgetFailures: (): void => failed.clear(),
    /** Lets the entities' queue run. */
    start: (): void => {
      if (!closed) entities.start()
    },
    status: (): RefresherStatus => ({
      started: !entities.isPaused,
      queued: entities.size + requested.size + retries.size,
      running: entities.pending + requested.pending,
      ...counts,
    }),
    /** Resolves when nothing that may run is queued or running, retries included. */
    idle: async (): Promise<void> => {
      const busy = () =>
        requested.size + requested.pending > 0 ||
        (!entities.isPaused && entities.size + entities.pending + retries.size > 0)
      while (busy()) {
        await requested.onIdle()
        if (!entities.isPaused) await entities.onIdle()
        if (retries.size > 0) await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    /** Drops what waits and lets what runs finish. */
    close: async (): Promise<void> => {
      closed = true
      for (const timer of retries) clearTimeout(timer)
      retries.clear()
      entities.clear()
      requested.clear()
      if (!entities.isPaused) await entities.onIdle()
      await requested.onIdle()
    },
  }
}

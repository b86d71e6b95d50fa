/** Hears what requests and templates come upon: a stale original, a missing image, an entity without one. */
import { createLimiter } from '../concurrency.js'
import type { Events } from '../events.js'
import type { DownloadRequest } from '../images/download.js'
import { notStarted } from '../model/diagnostic.js'
import { asArtworkError } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import { downloadKey } from './downloads.js'

const MAX_WAITING = 10_000
/** An entity that was requested is not looked up again for so long, ms; so many are remembered. */
const REQUESTED_FOR_MS = 30_000
const MAX_REQUESTED = 20_000
/** An app that shows images starts jobs within so long, ms. */
const START_WITHIN_MS = 10_000

/** What is done in the background, and how much of it at once. */
interface BackgroundParts {
  readonly concurrency: number
  refresh(address: string): Promise<unknown>
  heal(path: string): Promise<unknown>
  /** Queues a download, as a job. */
  request(request: DownloadRequest): unknown
  isSame(url: string, other: string): boolean
  readonly now: () => number
  readonly logger: Logger
}

/** Refreshing and repairing run at once, whether or not jobs have been started. */
export function createBackground(parts: BackgroundParts) {
  const { refresh, heal, request, isSame, now, logger } = parts
  const limiter = createLimiter({ capacity: parts.concurrency })
  const open = new Set<string>()
  const requested = new Map<string, { readonly url: string; readonly at: number }>()
  const counts = { done: 0, failed: 0 }
  let isClosed = false

  const run = async (key: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
      counts.done += 1
    } catch (error) {
      counts.failed += 1
      const { code, reason } = asArtworkError(error)
      logger[code === 'unknown' ? 'error' : 'info'](
        { err: error, image: key, reason },
        'artwork: refreshing failed',
      )
    } finally {
      open.delete(key)
    }
  }
  /** Once at a time for each key. */
  const add = (key: string, work: () => Promise<unknown>): void => {
    if (isClosed || open.has(key) || limiter.load().waiting >= MAX_WAITING) return
    open.add(key)
    void limiter.run(() => run(key, work))
  }

  return {
    /** An original was served stale: it is revalidated. */
    originalStale: (address: string): void => add(`stale:${address}`, () => refresh(address)),
    /** The bytes of an entity's image are missing: it is made again. */
    imageMissing: (path: string): void => add(`lost:${path}`, () => heal(path)),
    /** A template printed an entity whose image is not stored. */
    entityRequested: (wanted: DownloadRequest): void => {
      const key = downloadKey(wanted.entityType, wanted.entityId)
      const before = requested.get(key)
      const url = wanted.sourceUrl ?? ''
      if (before !== undefined && isSame(before.url, url) && Math.abs(now() - before.at) < REQUESTED_FOR_MS)
        return
      if (requested.size >= MAX_REQUESTED) requested.clear()
      requested.set(key, { url, at: now() })
      request(wanted)
    },
    forgetRequested: (): void => requested.clear(),
    status: () => ({ queued: limiter.load().waiting, running: limiter.load().running, ...counts }),
    idle: (): Promise<void> => limiter.idle(),
    /** Drops what waits. What runs is waited for with `idle`. */
    close: (): void => {
      isClosed = true
      limiter.clear()
    },
  }
}

/** Hears what the pipeline and templates come upon. Entities are downloaded once jobs have been started. */
export function listen(
  events: Events,
  refresher: Pick<
    ReturnType<typeof createBackground>,
    'originalStale' | 'imageMissing' | 'entityRequested'
  > & {
    isStarted(): boolean
  },
  now: () => number,
): void {
  let waitingSince: number | undefined
  events.on('original-stale', ({ address }) => refresher.originalStale(address))
  events.on('image-missing', ({ path }) => refresher.imageMissing(path))
  events.on('entity-requested', ({ kind, id, sourceUrl, params }) => {
    if (refresher.isStarted())
      return refresher.entityRequested({
        sourceUrl,
        entityType: kind,
        entityId: id,
        ...(params && { params }),
      })
    waitingSince ??= now()
    if (now() - waitingSince >= START_WITHIN_MS) events.emit('diagnosed', notStarted())
  })
}

/** What an operator can read and do; the JSON API and the dashboard are two ways to it. */
import * as z from 'zod'
import type { Images } from '../images/images.js'
import type { Purged, PurgeTarget } from '../images/purge.js'
import type { HttpJobKind } from '../jobs/kinds.js'
import type { Refresher, RefresherStatus } from '../jobs/refresher.js'
import type { ImagesStats } from '../metrics/stats.js'
import type { TimeSeries } from '../metrics/time-series.js'
import { addressOfKey, type Entry, looksOf } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { FocalPoint } from '../model/focal-point.js'
import type { Awaitable, BackOffs, Job, JobSelection } from '../model/job-queue.js'
import { remoteUrlOf } from '../model/remote-url.js'
import { parseUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import { ROLES, SORTS, type Store } from '../store/ports.js'
import type { Diagnostics } from './diagnostics.js'
import { createEntities, missing } from './entities.js'
import { createFailureList } from './failures.js'
import type { createImageDetails, ImageDetails, StoredImage } from './image-details.js'

/** What is managed. */
export interface ManagementParts {
  readonly images: Images
  readonly details: ReturnType<typeof createImageDetails>
  readonly stats: () => ImagesStats
  readonly refresher: Refresher
  readonly jobs: { readonly backOffs: Pick<BackOffs, 'byKind' | 'list'> }
  readonly store: Pick<Store, 'countByKind' | 'negativeCache'>
  readonly meters: TimeSeries
  readonly diagnostics: Pick<Diagnostics, 'list'>
}

/** Which pictures to list. */
export const searchQuery = z.object({
  q: z.string().max(1000).optional().describe('Part of a name, a source URL or an entity’s id.'),
  role: z.enum(ROLES).optional(),
  kind: z.string().max(64).optional().describe('Kind of an address, or of an entity.'),
  state: z.enum(['held', 'lost']).optional().describe('Whether the bytes are held.'),
  sort: z.enum(SORTS).default('used'),
  after: z.string().max(4000).optional().describe('`next` of the page before.'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})
/** See `searchQuery`. */
export type ImageSearch = z.output<typeof searchQuery>

/** Numbers of a kind of entity. */
export interface KindStats {
  readonly kind: string
  readonly cached: number
  readonly failed: number
  readonly bytes: number
}

/** See the top of the file. */
export type Management = ReturnType<typeof createManagement>

/** Puts the verbs together. Each throws ArtworkError for what it cannot do. */
export function createManagement(settings: Settings, managed: ManagementParts) {
  const { images, details, stats, refresher, jobs, store, meters } = managed
  const { kinds } = settings

  const accepted = async (queued: ReturnType<Refresher['run']>): Promise<Job> => {
    const id = queued.id
    const job = id === undefined ? undefined : await refresher.get(Number(id))
    if (job !== undefined) return job
    const why = queued.accepted ? 'the queue cannot be read' : queued.reason
    throw new ArtworkError('unavailable', `nothing can be queued: ${why}`, { retryAfter: 5 })
  }
  const jobOf = async (id: string): Promise<Job> =>
    (await refresher.get(/^\d{1,15}$/.test(id) ? Number(id) : -1)) ?? missing('job')

  const entities = createEntities(settings, images, (entity) => accepted(refresher.request(entity, 'high')))

  return {
    missing,
    ...entities,
    byKind: (): readonly KindStats[] => {
      const owned = new Map(store.countByKind().map((one) => [one.kind, one]))
      const failed = jobs.backOffs.byKind()
      return [...kinds.keys()].map((kind) => ({
        kind,
        cached: owned.get(kind)?.count ?? 0,
        failed: failed.get(kind) ?? 0,
        bytes: owned.get(kind)?.bytes ?? 0,
      }))
    },
    stats: (): ImagesStats => stats(),
    status: (): RefresherStatus => refresher.status(),
    /** The nodes that share the queue. */
    nodes: refresher.nodes,
    meters,
    /** Mistakes in how the toolkit is used. */
    diagnostics: managed.diagnostics.list,
    jobs: (selection: JobSelection): Awaitable<readonly Job[]> => refresher.list(selection),
    job: async (
      id: string,
    ): Promise<{ readonly job: Job; readonly children: Awaited<ReturnType<Refresher['children']>> }> => {
      const job = await jobOf(id)
      return { job, children: await refresher.children(job.id) }
    },
    /** Cancels, or queues once more. Answers the job, and whether there was something to do. */
    change: async (
      id: string,
      verb: 'cancel' | 'retry',
    ): Promise<{ readonly job: Job; readonly isDone: boolean }> => {
      const before = await jobOf(id)
      const isDone = await refresher[verb](before.id)
      return { job: isDone ? await jobOf(id) : before, isDone }
    },
    watch: async (id: string, signal: AbortSignal): Promise<AsyncGenerator<Job>> =>
      refresher.watch((await jobOf(id)).id, signal),
    events: refresher.events,
    /** Queues a long job. One of the same options that has not ended is not queued again. */
    start: (kind: HttpJobKind, payload: object): Promise<Job> => accepted(refresher.run(kind, payload)),
    setPaused: (isPaused: boolean): Awaitable<void> => (isPaused ? refresher.pause() : refresher.resume()),
    purge: (target: PurgeTarget): Promise<Purged> => images.purge(target),
    explain: details.explain,
    search: (query: ImageSearch): ReturnType<ManagementParts['details']['search']> =>
      details.search({
        text: query.q,
        role: query.role,
        kind: query.kind === '' ? undefined : query.kind,
        held: query.state === undefined ? undefined : query.state === 'held',
        sort: query.sort,
        after: query.after,
        limit: query.limit,
      }),
    /** Asks upstream about a kept picture's original now, whatever failed before. @throws ArtworkError */
    revalidateNow: async (name: string): Promise<void> => {
      const kept = details.details(name)
      const root = kept?.original?.key ?? name
      if (!root.startsWith('images/')) return missing('image')
      store.negativeCache.clear(root)
      await images.refresh(root.slice('images/'.length))
    },
    /** Says what of a kept picture stays in sight: of its original, by its name or that of what was made of it. @throws ArtworkError */
    focus: async (name: string, point: FocalPoint | undefined): Promise<void> => {
      const root = details.details(name)?.original?.key ?? name
      const address = addressOfKey(root)
      if (address === undefined) return missing('image')
      await images.setFocalPoint(address, point)
    },
    image: (name: string): ImageDetails => details.details(name) ?? missing('image'),
    /** The bytes of a kept picture: the smallest of those made from it that is at least so wide, itself else. */
    bytes: (name: string, atLeast: number) => details.storedBytes(name, atLeast),
    /** The path of what a stored image came from: of its source URL, where that is known, else its own. */
    sourcePathOf: ({ key, original = key, sourceUrl, role }: Entry): string => {
      const url = sourceUrl ?? remoteUrlOf(original)
      if (role === 'artwork' || url === undefined) return key
      return parseUrl(url)?.pathname ?? key
    },
    failures: createFailureList({ images, backOffs: jobs.backOffs, store, kindNamed: entities.kindNamed }),
  }
}

/** A stored image as the API shows it. Times in ISO 8601. */
export function serializeImage(image: StoredImage): Record<string, unknown> {
  const time = (at: number | undefined) =>
    at === undefined || at > 8.64e15 ? undefined : new Date(at).toISOString()
  return {
    name: image.key,
    role: image.role,
    url: image.url,
    state: image.state,
    held: image.isStored,
    type: image.type,
    width: image.width,
    height: image.height,
    ...looksOf(image.traits),
    ...(image.focalPoint !== undefined && { focal_point: image.focalPoint }),
    bytes: image.size,
    digest: image.digest,
    ...(image.ownerKind !== undefined && { entity: { kind: image.ownerKind, id: image.ownerId } }),
    ...(image.sourceUrl !== undefined && { source_url: image.sourceUrl }),
    ...(image.original !== undefined && { original: image.original }),
    stored_at: time(image.storedAt),
    last_used: time(image.lastUsed),
    ...(image.role === 'original' && {
      checked_at: time(image.validatedAt),
      fresh_until: time(image.freshUntil),
    }),
  }
}

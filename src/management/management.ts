/** What who manages the pictures can ask and do; the JSON API and the dashboard are two ways to say it. */
import { z } from 'zod'
import type { Images } from '../images/images.js'
import type { Purged, PurgeTarget } from '../images/purge.js'
import type { HttpJobKind } from '../jobs/kinds.js'
import type { BackOffs, Job, JobSelection } from '../jobs/ports.js'
import type { Refresher, RefresherStatus } from '../jobs/refresher.js'
import type { ImagesStats } from '../metrics/stats.js'
import type { TimeSeries } from '../metrics/time-series.js'
import type { EntityKind } from '../model/entity.js'
import { ArtworkError } from '../model/failure.js'
import type { EntityLike } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import { entityImageUrl } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import { ROLES, SORTS, type Store } from '../store/ports.js'
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

/** An entity's picture as it stands. */
export interface EntityPicture {
  readonly kind: EntityKind
  readonly id: string
  readonly name: string | null
  /** The local URL, else the source's, else null (PARITY 41). */
  readonly url: string | null
  readonly sourceUrl: string | null
  readonly isCached: boolean
}

/** See the top of the file. */
export type Management = ReturnType<typeof createManagement>

/** Puts the verbs together. Each throws ArtworkError for what it cannot do. */
export function createManagement(settings: Settings, managed: ManagementParts) {
  const { images, details, stats, refresher, jobs, store, meters } = managed
  const { kinds, repository, logger } = settings

  const missing = (what: string): never => {
    throw new ArtworkError('unknown_image', `there is no such ${what}`)
  }
  const kindNamed = (name: string): EntityKind => {
    const found = [...kinds.values()].find(({ kind, alias }) => kind === name || alias === name)
    return found ?? missing('kind of entity')
  }
  /** The app's record of an entity, and what is held of its picture. */
  const look = async (kind: EntityKind, id: string) => {
    let record: EntityLike | undefined
    let subject = readSubject({ id }, kind.kind, kinds)
    try {
      // What an app answers for "there is none" may be anything that is no record.
      const found: unknown = await repository?.find?.(kind.kind, id)
      if (isRecord(found)) {
        record = found
        subject = readSubject(found, kind.kind, kinds)
      }
    } catch (error) {
      logger.warn({ err: error }, 'artwork: the repository could not be asked')
    }
    const { sourceUrl, params } = subject
    const local = images.entityImages.findEntity(kind, id, params)
    if (record === undefined && local === undefined) return missing(kind.alias ?? kind.kind)
    return { record, sourceUrl, params, local }
  }
  const accepted = (queued: ReturnType<Refresher['run']>): Job => {
    const id = queued.accepted ? queued.id : queued.id
    const job = id === undefined ? undefined : refresher.get(Number(id))
    if (job !== undefined) return job
    const why = queued.accepted ? 'the queue cannot be read' : queued.reason
    throw new ArtworkError('unavailable', `nothing can be queued: ${why}`, { retryAfter: 5 })
  }
  const jobOf = (id: string): Job => refresher.get(/^\d{1,15}$/.test(id) ? Number(id) : -1) ?? missing('job')

  return {
    missing,
    kindNamed,
    entity: async (kind: EntityKind, id: string): Promise<EntityPicture> => {
      const { record, sourceUrl, local } = await look(kind, id)
      return {
        kind,
        id,
        name: nameIn(record),
        url:
          local === undefined
            ? (sourceUrl ?? null)
            : entityImageUrl(settings.urls, local.path, local.entry.digest),
        sourceUrl: sourceUrl ?? local?.entry.sourceUrl ?? null,
        isCached: local !== undefined,
      }
    },
    /** Fetches an entity's picture anew, before everything else. */
    download: async (kind: EntityKind, id: string): Promise<Job> => {
      const { sourceUrl, params, local } = await look(kind, id)
      const url = sourceUrl ?? local?.entry.sourceUrl
      if (url === undefined)
        throw new ArtworkError('invalid', `the ${kind.alias ?? kind.kind} has no image URL`)
      const wanted = { sourceUrl: url, entityType: kind.kind, entityId: id, params, force: true }
      return accepted(refresher.request(wanted, 'high'))
    },
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
    meters,
    jobs: (selection: JobSelection): readonly Job[] => refresher.list(selection),
    job: (id: string): { readonly job: Job; readonly children: ReturnType<Refresher['children']> } => {
      const job = jobOf(id)
      return { job, children: refresher.children(job.id) }
    },
    /** Cancels, or queues once more. Answers the job, and whether there was something to do. */
    change: (id: string, verb: 'cancel' | 'retry'): { readonly job: Job; readonly isDone: boolean } => {
      const before = jobOf(id)
      const isDone = refresher[verb](before.id)
      return { job: isDone ? jobOf(id) : before, isDone }
    },
    watch: (id: string, signal: AbortSignal): AsyncGenerator<Job> => refresher.watch(jobOf(id).id, signal),
    events: refresher.events,
    /** Queues a long job. One of the same options that has not ended is not queued again. */
    start: (kind: HttpJobKind, payload: object): Job => accepted(refresher.run(kind, payload)),
    setPaused: (isPaused: boolean): void => (isPaused ? refresher.pause() : refresher.resume()),
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
    image: (name: string): ImageDetails => details.details(name) ?? missing('image'),
    /** The bytes of a kept picture: the smallest of those made from it that is at least so wide, itself else. */
    bytes: (name: string, atLeast: number) => details.storedBytes(name, atLeast),
    failures: createFailureList({ images, backOffs: jobs.backOffs, store, kindNamed }),
  }
}

const isRecord = (value: unknown): value is EntityLike =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function nameIn(record: EntityLike | undefined): string | null {
  for (const field of ['username', 'name', 'title', 'display_name']) {
    const value = record?.[field]
    if (typeof value === 'string') return value
  }
  return null
}

/** What is told of a kept picture. Times in ISO 8601. */
export function serializeImage(kept: StoredImage): Record<string, unknown> {
  const time = (at: number | undefined) =>
    at === undefined || at > 8.64e15 ? undefined : new Date(at).toISOString()
  return {
    name: kept.key,
    role: kept.role,
    url: kept.url,
    state: kept.state,
    held: kept.isStored,
    type: kept.type,
    width: kept.width,
    height: kept.height,
    bytes: kept.size,
    digest: kept.digest,
    ...(kept.ownerKind !== undefined && { entity: { kind: kept.ownerKind, id: kept.ownerId } }),
    ...(kept.sourceUrl !== undefined && { source_url: kept.sourceUrl }),
    ...(kept.original !== undefined && { original: kept.original }),
    stored_at: time(kept.storedAt),
    last_used: time(kept.lastUsed),
    ...(kept.role === 'original' && {
      checked_at: time(kept.validatedAt),
      fresh_until: time(kept.freshUntil),
    }),
  }
}

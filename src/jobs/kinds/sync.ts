/** Queues the pictures of entities that are missing, changed, or failed and due, and waits for them. */
import * as z from 'zod'
import type { EntityId } from '../../model/artwork-path.js'
import type { EntityKind } from '../../model/entity.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import type { Job, JobContext, JobQueries, NewJob } from '../../model/job-queue.js'
import { readSubject, type Subject } from '../../model/subject.js'
import { downloadKey } from '../downloads.js'
import { fieldsOf, type JobDefinition, type JobParts, pause } from './definition.js'
import { entityBatches, entityKinds, kindsIn } from './entities.js'

const POLL_INTERVAL_MS = 200
const MAX_ERRORS = 100

type SyncParts = Pick<JobParts, 'settings' | 'store' | 'images' | 'jobs' | 'downloads'>

const options = z.strictObject({
  kinds: entityKinds,
  force: z.boolean().optional().describe('Also what is held and unchanged.'),
})

/** An entity with a source URL. */
interface Wanted extends Pick<Subject, 'params' | 'lacksPath'> {
  readonly entityType: string
  readonly entityKind: EntityKind
  readonly id: EntityId
  readonly sourceUrl: string
}
interface Planned {
  readonly job: NewJob
  /** Whether it has to be downloaded still. */
  isNeeded(): boolean
}

/** The download that an entity needs, if any. */
async function planDownload(
  { store, images, downloads }: SyncParts,
  { entityType, entityKind, id, sourceUrl, params, lacksPath }: Wanted,
  force: boolean,
  parent: Job,
): Promise<Planned | undefined> {
  const { entityImages, display, downloads: stored } = images
  const local = entityImages.findEntity(entityKind, id, params)
  if (display.isOwn(sourceUrl)) return undefined
  const isCurrent = local !== undefined && stored.isOf(local.entry, sourceUrl)
  // The record could not be written when the picture was stored.
  if (!force && isCurrent && lacksPath) await stored.tellRecord(local)
  if (!force && (isCurrent || downloads.isResting(downloadKey(entityType, id), sourceUrl))) return undefined
  const original = local?.entry.original
  // Revalidated by an earlier run of this very job, whose process died.
  const isRevalidated =
    parent.attempts > 1 &&
    original !== undefined &&
    (store.find(original)?.validatedAt ?? 0) >= parent.createdAt
  if (force && isCurrent && isRevalidated) return undefined
  return {
    job: downloads.prepare({ sourceUrl, entityType, entityId: id, params, force }, 'low', parent.id),
    isNeeded: () => {
      const now = entityImages.findEntity(entityKind, id, params)
      return force || now === undefined || !stored.isOf(now.entry, sourceUrl)
    },
  }
}

/** Queues what a batch of entities needs. One record that cannot be read does not stop the others. */
async function queueBatch(
  parts: SyncParts,
  entityType: string,
  entities: readonly unknown[],
  force: boolean,
  parent: Job,
) {
  const { settings, jobs } = parts
  const planned = new Map<NewJob, Planned>()
  const count = { seen: 0, unreadable: 0 }
  for (const entity of entities)
    try {
      const { id, sourceUrl, params, kind, lacksPath } = readSubject(entity, entityType, settings.kinds)
      if (id === undefined || sourceUrl === undefined || kind === undefined) continue
      count.seen += 1
      const wanted = { entityType, entityKind: kind, id, sourceUrl, params, lacksPath }
      const plan = await planDownload(parts, wanted, force, parent)
      if (plan !== undefined) planned.set(plan.job, plan)
    } catch (error) {
      count.unreadable += 1
      settings.logger.debug({ err: error, kind: entityType }, 'artwork: an entity could not be read')
    }
  const queued = await jobs.addAll([...planned.keys()], (job) => planned.get(job)?.isNeeded() !== false)
  if (queued === undefined) throw new ArtworkError('unavailable', 'the queue could not be written')
  return { ...count, queued }
}

/** As many as cannot be known. */
const WAITING = Number.POSITIVE_INFINITY
/** What became of the downloads; where the queue cannot be reached now, they are waited for. @throws what else it throws */
async function childrenOf(
  jobs: JobQueries,
  id: number,
): Promise<Awaited<ReturnType<JobQueries['children']>>> {
  try {
    return await jobs.children(id)
  } catch (error) {
    if (asArtworkError(error).code !== 'unavailable') throw error
    return { queued: WAITING, running: 0, done: 0, failed: 0, cancelled: 0 }
  }
}

/** Waits until the downloads have ended, whichever process does them. */
async function childrenEnded(jobs: JobQueries, id: number, total: number, { signal, progress }: JobContext) {
  for (;;) {
    const { done, failed, cancelled, queued, running } = await childrenOf(jobs, id)
    if (queued !== WAITING) progress(done + failed + cancelled, total)
    if (queued + running === 0 || signal.aborted) return { done, failed, cancelled }
    await pause(POLL_INTERVAL_MS, signal)
  }
}

export const sync = {
  summary: 'Fetch what is missing, changed, or failed and due',
  needsRepository: true,
  options,
  body: options,
  async run(parts: SyncParts, job, context) {
    const { settings, jobs } = parts
    const isForced = fieldsOf(job.payload).force === true
    // A process that died at this job has queued some already.
    const before = Object.values(await jobs.children(job.id)).reduce((sum, count) => sum + count, 0)
    const sum = { seen: 0, unreadable: 0, queued: before }
    for (const kind of kindsIn(job.payload, settings))
      for await (const batch of entityBatches(kind, settings)) {
        if (context.signal.aborted) return { state: 'cancelled' }
        const found = await queueBatch(parts, kind, batch, isForced, job)
        sum.seen += found.seen
        sum.unreadable += found.unreadable
        sum.queued += found.queued
      }
    const outcome = await childrenEnded(jobs, job.id, sum.queued, context)
    if (context.signal.aborted) return { state: 'cancelled' }
    const { unreadable, ...counts } = sum
    const failed = await jobs.list({ parent: job.id, state: 'failed', limit: MAX_ERRORS })
    const errors = Object.fromEntries(failed.map(({ key, reason }) => [key, reason ?? 'unknown']))
    const problems = { ...(unreadable > 0 && { unreadable }), ...(outcome.failed > 0 && { errors }) }
    return { state: 'done', result: { ...counts, ...outcome, ...problems } }
  },
} satisfies JobDefinition

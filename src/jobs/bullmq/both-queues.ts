/** Reading this node's own queue and the shared one as one. */
import type { Job, JobQueries, JobSelection, JobState, LocalQueue } from '../../model/job-queue.js'
import type { createHandOver } from './hand-over.js'
import type { createIds } from './ids.js'
import { NO_JOBS } from './known.js'
import { type Counts, isOlder, newestFirst, type SharedQueries } from './queries.js'

const STATES = Object.keys(NO_JOBS) as readonly JobState[]
/** Adds up. */
export const plus = (a: Readonly<Counts>, b: Readonly<Counts>): Counts =>
  Object.fromEntries(STATES.map((state) => [state, a[state] + b[state]])) as Counts

/** Both, and the way to the shared one. */
interface BothParts {
  readonly local: Pick<LocalQueue, 'get' | 'list' | 'children'>
  readonly queries: Pick<SharedQueries, 'get' | 'list' | 'children'>
  readonly handOver: Pick<ReturnType<typeof createHandOver>, 'isUnderWay' | 'idNow'>
  readonly ids: ReturnType<typeof createIds>
  /** Of the shared queue, or what is said where it cannot be reached. */
  shared<T>(work: () => Promise<T>, otherwise: T): Promise<T>
  /** Of the shared queue. @throws ArtworkError `unavailable` (503) where it cannot be reached */
  reached<T>(work: () => Promise<T>): Promise<T>
}

/** See the port. */
export function readBoth({
  local,
  queries,
  handOver,
  ids,
  shared,
  reached,
}: BothParts): Pick<JobQueries, 'get' | 'list' | 'children'> {
  const shown = (job: Job): Job => ({
    ...job,
    id: ids.shared(job.id),
    parent: job.parent === undefined ? undefined : ids.shared(job.parent),
    ...(handOver.isUnderWay(job.id) && { state: 'queued' as const, startedAt: undefined }),
  })
  const get = async (id: number): Promise<Job | undefined> => {
    const here = ids.local(id)
    const own = here === undefined ? undefined : local.get(here)
    if (own !== undefined) return shown(own)
    return reached(() => queries.get(handOver.idNow(id)))
  }
  /** Those of this node that a selection means, older than a job, newest first. */
  const ownOf = (selection: JobSelection, before: Job | undefined): readonly Job[] => {
    const found: Job[] = []
    for (let last: number | undefined; found.length < selection.limit; ) {
      const some = local.list({ ...selection, ...(last !== undefined && { before: last }) })
      found.push(...some.map(shown).filter((job) => before === undefined || isOlder(job, before)))
      last = some.at(-1)?.id
      if (last === undefined || some.length < selection.limit) break
    }
    return found
  }
  return {
    get,
    list: async ({ before: last, ...selection }) => {
      const before = last === undefined ? undefined : await get(last)
      if (last !== undefined && before === undefined) return []
      const { parent } = selection
      const here = parent === undefined ? undefined : ids.local(parent)
      const parents = new Set([parent, here ?? parent])
      const own = [...parents].flatMap((one) => ownOf({ ...selection, parent: one }, before))
      const family = parent === undefined ? undefined : ids.shared(parent)
      const found = await shared(() => queries.list({ ...selection, parent: family }, before), [])
      const known = new Set(found.map(({ id }) => id))
      return [...own.filter(({ id }) => !known.has(id)), ...found].sort(newestFirst).slice(0, selection.limit)
    },
    children: async (id) => {
      const here = ids.local(id)
      const own = local.children(id)
      const all = here === undefined || here === id ? own : plus(local.children(here), own)
      return plus(all, await reached(() => queries.children(ids.shared(id))))
    },
  }
}

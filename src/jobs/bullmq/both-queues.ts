/** Reading this node's own queue and the shared one as one. */
import type { Job, JobQueries, JobState, LocalQueue } from '../../model/job-queue.js'
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
}

/** See the port. */
export function readBoth({
  local,
  queries,
  handOver,
  ids,
  shared,
}: BothParts): Pick<JobQueries, 'get' | 'list' | 'children'> {
  const shown = (job: Job): Job => ({
    ...job,
    id: ids.shared(job.id),
    ...(handOver.isUnderWay(job.id) && { state: 'queued' as const, startedAt: undefined }),
  })
  const get = async (id: number): Promise<Job | undefined> => {
    const here = ids.local(id)
    const own = here === undefined ? undefined : local.get(here)
    if (own !== undefined) return shown(own)
    return shared(() => queries.get(handOver.idNow(id)), undefined)
  }
  return {
    get,
    list: async ({ before: last, ...selection }) => {
      const before = last === undefined ? undefined : await get(last)
      const own = local
        .list(selection)
        .map(shown)
        .filter((job) => before === undefined || isOlder(job, before))
      const found = await shared(() => queries.list(selection, before), [])
      return [...own, ...found].sort(newestFirst).slice(0, selection.limit)
    },
    children: async (id) => {
      const here = ids.local(id)
      const own = local.children(id)
      const all = here === undefined || here === id ? own : plus(local.children(here), own)
      return plus(all, await shared(() => queries.children(ids.shared(id)), NO_JOBS))
    },
  }
}

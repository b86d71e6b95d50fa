/** Reading the queue that nodes share. */
import type { Job, JobSelection, JobState, Lane } from '../../model/job-queue.js'
import { LANES, type SharedConnection } from './keys.js'
import { type Ended, idOf, type Kept, keptId, NO_CHILDREN, stateOf, toJob } from './rows.js'

/** So many are read at once, newest first, until a page is full. */
const CHUNK = 200

/** How many there are, by where they stand, as it was read last. */
export type Counts = Record<JobState, number>

/** What reads. */
export type SharedQueries = ReturnType<typeof createSharedQueries>

/** See the top of the file. */
export function createSharedQueries({ redis, queues, keys, run }: SharedConnection) {
  const ended = async (parent: number): Promise<Ended> => {
    const [done, failed, cancelled] = await Promise.all(
      (['done', 'failed', 'cancelled'] as const).map((state) => redis.scard(keys.children(parent, state))),
    )
    return { done: done ?? 0, failed: failed ?? 0, cancelled: cancelled ?? 0 }
  }
  const cancelledJob = async (id: string): Promise<Job | undefined> => {
    const text = await redis.hget(keys.cancelled, id)
    return text === null ? undefined : (JSON.parse(text) as Job)
  }
  /** A job and its lane, as BullMQ has it. */
  const kept = async (id: number): Promise<{ readonly lane: Lane; readonly kept: Kept } | undefined> => {
    for (const lane of LANES) {
      const found = await queues[lane].getJob(keptId(id))
      if (found !== undefined) return { lane, kept: found }
    }
    return undefined
  }
  const activeIds = async (lane: Lane): Promise<ReadonlySet<string>> =>
    new Set(await queues[lane].getRanges(['active'], 0, -1))

  const jobOf = async (id: string, lane: Lane, active: ReadonlySet<string>): Promise<Job | undefined> => {
    const found: Kept | undefined = await queues[lane].getJob(id)
    if (found === undefined) return cancelledJob(id)
    return toJob(found, stateOf(found, active.has(id)), lane === 'job' ? await ended(idOf(id)) : NO_CHILDREN)
  }
  /** The newest of a lane that a selection means, from a time on. */
  const ofLane = async (
    lane: Lane,
    { state, kind, parent, limit }: JobSelection,
    before: Pick<Job, 'createdAt' | 'id'> | undefined,
  ): Promise<readonly Job[]> => {
    const active = await activeIds(lane)
    const found: Job[] = []
    const chunk =
      state === undefined && kind === undefined && parent === undefined ? Math.min(CHUNK, limit) : CHUNK
    for (let offset = 0; found.length < limit; offset += chunk) {
      const most = before === undefined ? '+inf' : String(before.createdAt)
      const ids = await redis.zrevrangebyscore(keys.index(lane), most, '-inf', 'LIMIT', offset, chunk)
      const jobs = await Promise.all(ids.map((id) => jobOf(id, lane, active)))
      for (const job of jobs) {
        if (job === undefined || (before !== undefined && !isOlder(job, before))) continue
        const isMeant =
          (state ?? job.state) === job.state &&
          (kind ?? job.kind) === job.kind &&
          (parent ?? job.parent) === job.parent
        if (isMeant && found.length < limit) found.push(job)
      }
      if (ids.length < chunk) break
    }
    return found
  }

  return {
    kept,
    get: (id: number): Promise<Job | undefined> =>
      run(async () => {
        const found = await kept(id)
        if (found === undefined) return cancelledJob(keptId(id))
        const state = stateOf(found.kept, await found.kept.isActive())
        return toJob(found.kept, state, found.lane === 'job' ? await ended(id) : NO_CHILDREN)
      }),
    /** Newest first. @param before only those that are older than this one */
    list: (selection: JobSelection, before: Job | undefined): Promise<readonly Job[]> =>
      run(async () => {
        const lanes = selection.lane === undefined ? LANES : [selection.lane]
        const found = await Promise.all(lanes.map((lane) => ofLane(lane, selection, before)))
        return found.flat().sort(newestFirst).slice(0, selection.limit)
      }),
    children: (parent: number): Promise<Readonly<Counts>> =>
      run(async () => {
        const [all, counted, active] = await Promise.all([
          redis.scard(keys.children(parent, 'all')),
          ended(parent),
          queues.task.getJobs(['active']),
        ])
        const running = active.filter((one: Kept | undefined) => one?.data.parent === parent).length
        const queued = all - counted.done - counted.failed - counted.cancelled - running
        if (queued <= 0) return { ...counted, running, queued: 0 }
        // Ids whose job nobody added, since the node that was to died, are waited for by nobody.
        const tasks = await queues.task.getJobCounts('waiting', 'prioritized', 'delayed', 'active')
        const isEmpty = Object.values(tasks).every((count) => count === 0)
        return { ...counted, running, queued: isEmpty ? 0 : queued }
      }),
    /** How many there are, how many count against the bound, and whether the queue is paused. */
    counts: (): Promise<{ readonly counts: Counts; readonly waiting: number; readonly isPaused: boolean }> =>
      run(async () => {
        const [task, job, cancelled, waiting, isPaused] = await Promise.all([
          queues.task.getJobCounts(),
          queues.job.getJobCounts(),
          redis.zcard(keys.cancelledAt),
          redis.scard(keys.waiting),
          queues.task.isPaused(),
        ])
        const sum = (...states: readonly string[]): number =>
          states.reduce((total, state) => total + (task[state] ?? 0) + (job[state] ?? 0), 0)
        return {
          counts: {
            queued: sum('waiting', 'prioritized', 'delayed'),
            running: sum('active'),
            done: sum('completed'),
            failed: sum('failed'),
            cancelled,
          },
          waiting,
          isPaused,
        }
      }),
  }
}

/** Of two jobs the one that was queued later comes first. */
export const newestFirst = (a: Pick<Job, 'createdAt' | 'id'>, b: Pick<Job, 'createdAt' | 'id'>): number =>
  b.createdAt - a.createdAt || b.id - a.id
export const isOlder = (job: Job, before: Pick<Job, 'createdAt' | 'id'>): boolean =>
  newestFirst(before, job) < 0

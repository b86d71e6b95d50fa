/** Adding to the queue that nodes share, and changing what is there. */
import type { BackOffs, Job, MergePayload, NewJob } from '../../model/job-queue.js'
import { LANES, type SharedConnection } from './keys.js'
import type { SharedQueries } from './queries.js'
import { idOf, type Kept, keptId, priorityOf, toBull, toJob } from './rows.js'

/** Cancelled jobs are kept so long that they can be looked at and tried again: so many. */
const KEPT_CANCELLED = 1000
/** Ids in the index of a lane: as many as may wait and be kept. */
const INDEXED = 50_000
/** What became of the jobs of a parent is known for so long after the last of it, s. */
const CHILDREN_TIME = 7 * 86_400
const CHUNK = 100
const NO_CHILDREN = { done: 0, failed: 0, cancelled: 0 }

/** A job to hand over, with the id that it has. */
export interface Handed {
  readonly job: NewJob
  readonly id: number
  readonly createdAt: number
}

/** What the changes work with. */
interface ChangeParts {
  readonly connection: SharedConnection
  readonly queries: Pick<SharedQueries, 'kept'>
  readonly merge: MergePayload
  readonly backOffs: Pick<BackOffs, 'clear'>
  readonly now: () => number
}

/** What changes. */
export type SharedChanges = ReturnType<typeof createSharedChanges>

/** See the top of the file. */
export function createSharedChanges({ connection, queries, merge, backOffs, now }: ChangeParts) {
  const { redis, queues, keys, run } = connection

  const note = async (jobs: readonly Handed[]): Promise<void> => {
    const writes = redis.multi()
    for (const { job, id, createdAt } of jobs) {
      writes.zadd(keys.index(job.lane), createdAt, keptId(id))
      if (job.parent === undefined) writes.sadd(keys.waiting, keptId(id))
      else
        writes
          .sadd(keys.children(job.parent, 'all'), keptId(id))
          .expire(keys.children(job.parent, 'all'), CHILDREN_TIME)
    }
    for (const lane of LANES) writes.zremrangebyrank(keys.index(lane), 0, -INDEXED - 1)
    await writes.exec()
  }
  const forget = async (jobs: readonly Handed[]): Promise<void> => {
    if (jobs.length === 0) return
    const writes = redis.multi()
    for (const { job, id } of jobs) {
      writes.zrem(keys.index(job.lane), keptId(id)).srem(keys.waiting, keptId(id))
      if (job.parent !== undefined) writes.srem(keys.children(job.parent, 'all'), keptId(id))
    }
    await writes.exec()
  }
  /** Applies a job to the open one of its key: its priority, and its payload, now or after what runs. */
  const mergeInto = async (handed: Handed, openId: string): Promise<number | 'follows' | undefined> => {
    const { job } = handed
    const queue = queues[job.lane]
    const open: Kept | undefined = await queue.getJob(openId)
    if (open === undefined || open.finishedOn !== undefined) return undefined
    const priority = priorityOf(job.priority)
    if (priority < open.priority) await open.changePriority({ priority }).catch(() => {})
    const payload = merge(job, open.data.payload)
    if (payload !== undefined && !(await open.isActive())) {
      await open.updateData({ ...open.data, payload, ...(job.host !== undefined && { host: job.host }) })
      // It may have been begun with the payload of before.
      if (!(await open.isActive())) return idOf(open)
    }
    // Where what runs is what was requested last, what was requested in between does not follow it.
    if (payload === undefined && open.data.isFollowed !== true) return idOf(open)
    await open.updateData({ ...open.data, isFollowed: true })
    const { name, data, opts } = toBull(
      { ...job, payload: payload ?? job.payload },
      handed.id,
      handed.createdAt,
    )
    await queue.add(name, data, { ...opts, deduplication: { id: job.key, keepLastIfActive: true } })
    return 'follows'
  }
  /** Adds jobs. Answers, for each, the id of the open one of its key that it became a part of; its own else. */
  const add = async (jobs: readonly Handed[], isAgain = false): Promise<ReadonlyMap<Handed, number>> => {
    await note(jobs)
    const answers = new Map<Handed, number>()
    const lost: Handed[] = []
    const merged: Handed[] = []
    for (const lane of LANES) {
      const some = jobs.filter(({ job }) => job.lane === lane)
      const kept = await queues[lane].addBulk(
        some.map(({ job, id, createdAt }) => toBull(job, id, createdAt)),
      )
      for (const [index, handed] of some.entries()) {
        const openId = kept[index]?.id ?? ''
        const open = openId === keptId(handed.id) ? undefined : await mergeInto(handed, openId)
        answers.set(handed, typeof open === 'number' ? open : handed.id)
        if (typeof open === 'number') merged.push(handed)
        // The open one has ended just now.
        if (openId !== keptId(handed.id) && open === undefined) lost.push(handed)
      }
    }
    await forget(merged)
    if (lost.length > 0 && !isAgain) for (const [handed, id] of await add(lost, true)) answers.set(handed, id)
    return answers
  }
  /** Keeps a job as a cancelled one. */
  const keepCancelled = async (job: Job): Promise<void> => {
    const id = keptId(job.id)
    const endedAt = now()
    const cancelled: Job = {
      ...job,
      state: 'cancelled',
      endedAt,
      ticket: '',
      rate: undefined,
      eta: undefined,
    }
    const writes = redis
      .multi()
      .hset(keys.cancelled, id, JSON.stringify(cancelled))
      .zadd(keys.cancelledAt, endedAt, id)
      .srem(keys.waiting, id)
    if (job.parent !== undefined)
      writes
        .sadd(keys.children(job.parent, 'cancelled'), id)
        .expire(keys.children(job.parent, 'cancelled'), CHILDREN_TIME)
    await writes.exec()
    const old = await redis.zrange(keys.cancelledAt, 0, String(-KEPT_CANCELLED - 1))
    if (old.length > 0)
      await redis
        .multi()
        .hdel(keys.cancelled, ...old)
        .zrem(keys.cancelledAt, ...old)
        .exec()
  }
  /** Cancels one that waits. Answers whether it did. */
  const cancelWaiting = async (kept: Kept): Promise<boolean> => {
    try {
      await kept.remove()
    } catch {
      // Somebody runs it.
      return false
    }
    await keepCancelled(toJob(kept, 'queued', NO_CHILDREN, false))
    return true
  }
  const cancelChildren = async (parent: number): Promise<number> => {
    const all = keys.children(parent, 'all')
    const ended = (['done', 'failed', 'cancelled'] as const).map((state) => keys.children(parent, state))
    const open = await redis.sdiff(all, ...ended)
    let count = 0
    for (let from = 0; from < open.length; from += CHUNK) {
      const some = await Promise.all(open.slice(from, from + CHUNK).map((id) => queues.task.getJob(id)))
      for (const kept of some as readonly (Kept | undefined)[])
        if (kept !== undefined && kept.finishedOn === undefined) {
          if (await cancelWaiting(kept)) count += 1
          // Taken, and it may not have begun.
          else await kept.updateData({ ...kept.data, isUnwanted: true }).catch(() => {})
        }
    }
    return count
  }

  return {
    add: (jobs: readonly Handed[]) => run(() => add(jobs)),
    keepCancelled,
    cancelChildren,
    /** What a job that ended says of itself to its parent. */
    ended: async ({ id, parent }: Pick<Job, 'id' | 'parent'>, state: 'done' | 'failed'): Promise<void> => {
      if (parent === undefined) return
      const other = state === 'done' ? 'failed' : 'done'
      await redis
        .multi()
        .sadd(keys.children(parent, state), keptId(id))
        .expire(keys.children(parent, state), CHILDREN_TIME)
        .srem(keys.children(parent, other), keptId(id))
        .exec()
    },
    /** Whether its cancelling was requested, or it is cancelled. */
    isCancelled: (id: number): Promise<boolean> =>
      run(async () => {
        const found = await queries.kept(id)
        return found === undefined
          ? (await redis.hexists(keys.cancelled, keptId(id))) === 1
          : found.kept.data.wish === 'cancel'
      }),
    cancel: (id: number): Promise<boolean> =>
      run(async () => {
        const found = await queries.kept(id)
        if (found === undefined || found.kept.finishedOn !== undefined) return false
        if (!(await cancelWaiting(found.kept)))
          await found.kept.updateData({ ...found.kept.data, wish: 'cancel' })
        if (found.lane === 'job') await cancelChildren(id)
        return true
      }),
    retry: (id: number): Promise<boolean> =>
      run(async () => {
        const found = await queries.kept(id)
        const text = found === undefined ? await redis.hget(keys.cancelled, keptId(id)) : null
        const ended =
          found === undefined
            ? text === null
              ? undefined
              : (JSON.parse(text) as Job)
            : toJob(found.kept, found.kept.failedReason ? 'failed' : 'done', NO_CHILDREN, false)
        if (ended === undefined || ended.endedAt === undefined || ended.state === 'done') return false
        const { key, kind, lane, priority, payload, host, parent, createdAt } = ended
        if ((await queues[lane].getDeduplicationJobId(key)) !== null) return false
        await found?.kept.remove()
        const writes = redis.multi().hdel(keys.cancelled, keptId(id)).zrem(keys.cancelledAt, keptId(id))
        for (const state of ['failed', 'cancelled'] as const) {
          if (parent !== undefined) writes.srem(keys.children(parent, state), keptId(id))
          // The jobs of an earlier run are none of the next one's.
          if (lane === 'job') writes.del(keys.children(id, state))
        }
        if (lane === 'job') writes.del(keys.children(id, 'all'), keys.children(id, 'done'))
        await writes.exec()
        backOffs.clear(key)
        await add([{ job: { key, kind, lane, priority, payload, host, parent }, id, createdAt }])
        return true
      }),
    setPaused: (isPaused: boolean): Promise<void> =>
      run(async () => {
        for (const lane of LANES) await (isPaused ? queues[lane].pause() : queues[lane].resume())
      }),
  }
}

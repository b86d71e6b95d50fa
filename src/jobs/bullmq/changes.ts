/** Changing what is in the queue that nodes share. */
import type { BackOffs, Job, MergePayload } from '../../model/job-queue.js'
import { createAdding, type Handed } from './adding.js'
import { createCancelling } from './cancelling.js'
import { CHILDREN_TIME, LANES, type SharedConnection } from './keys.js'
import type { SharedQueries } from './queries.js'
import { idOf, keptId, NO_CHILDREN, priorityOf, toJob } from './rows.js'

/** Ids that are looked at again at a time. */
const PRUNED = 20

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
  const add = createAdding(connection, merge)
  const { keepCancelled, cancelWaiting, cancelChildren } = createCancelling(connection, now)

  return {
    add: (jobs: readonly Handed[], sending: () => void) => run(() => add(jobs, sending)),
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
    /** Forgets ids that count against the bound and have no job any more, some at a time. */
    prune: (): Promise<void> =>
      run(async () => {
        const ids = await redis.srandmember(keys.waiting, PRUNED)
        for (const id of ids)
          if ((await queries.kept(idOf(id))) === undefined) await redis.srem(keys.waiting, id)
      }),
    raise: (id: number, priority: number): Promise<void> =>
      run(async () => {
        await (await queries.kept(id))?.kept.changePriority({ priority: priorityOf(priority) })
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
        await add([{ job: { key, kind, lane, priority, payload, host, parent }, id, createdAt }], () => {})
        return true
      }),
    setPaused: (isPaused: boolean): Promise<void> =>
      run(async () => {
        for (const lane of LANES) await (isPaused ? queues[lane].pause() : queues[lane].resume())
      }),
  }
}

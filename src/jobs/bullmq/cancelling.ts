/** Cancelling what waits in the queue that nodes share. BullMQ has no such state: cancelled jobs are kept beside it. */
import type { Job } from '../../model/job-queue.js'
import { CHILDREN_TIME, type SharedConnection } from './keys.js'
import { type Kept, keptId, NO_CHILDREN, toJob } from './rows.js'

/** Cancelled jobs are kept so long that they can be looked at and tried again: so many. */
const KEPT_CANCELLED = 1000
const CHUNK = 100

/** See the top of the file. */
export function createCancelling(
  { redis, queues, keys }: Pick<SharedConnection, 'redis' | 'queues' | 'keys'>,
  now: () => number,
) {
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
    } catch (error) {
      // Somebody runs it.
      if (/locked/.test(String(error))) return false
      throw error
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

  return { keepCancelled, cancelWaiting, cancelChildren }
}

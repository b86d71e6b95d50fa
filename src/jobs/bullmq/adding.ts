/** Adding to the queue that nodes share: the same key is queued once, and what is requested of it last counts. */
import type { MergePayload, NewJob } from '../../model/job-queue.js'
import { CHILDREN_TIME, LANES, type SharedConnection } from './keys.js'
import { idOf, type Kept, keptId, priorityOf, toBull } from './rows.js'

/** Ids in the index of a lane: as many as may wait and be kept. */
const INDEXED = 25_000

/** A job to hand over, with the id that it has. */
export interface Handed {
  readonly job: NewJob
  readonly id: number
  readonly createdAt: number
}

/**
 * Adds jobs. Where that fails, they may have been added all the same once they were sent: they are added again then.
 * @param sending called before they are
 * @returns for each, the id of the open one of its key that it became a part of; its own else
 */
export type AddShared = (jobs: readonly Handed[], sending: () => void) => Promise<ReadonlyMap<Handed, number>>

/** See the top of the file. */
export function createAdding(
  { redis, queues, keys }: Pick<SharedConnection, 'redis' | 'queues' | 'keys'>,
  merge: MergePayload,
): AddShared {
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
  /** Forgets what was to follow the open job of a key: BullMQ keeps that apart, and what comes later takes its place. */
  const dropFollower = async (job: NewJob): Promise<void> => {
    const key = `${queues[job.lane].toKey('dn')}:${job.key}`
    const id = await redis.hget(key, 'jid')
    if (id === null) return
    await redis.del(key)
    await forget([{ job, id: idOf(id), createdAt: 0 }])
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
      if (!(await open.isActive())) {
        await dropFollower(job)
        return idOf(open)
      }
    }
    // Where what runs is what was requested last, what was requested in between does not follow it.
    if (payload === undefined && open.data.isFollowed !== true) return idOf(open)
    await dropFollower(job)
    await open.updateData({ ...open.data, isFollowed: true })
    const { name, data, opts } = toBull(
      { ...job, payload: payload ?? job.payload },
      handed.id,
      handed.createdAt,
    )
    await queue.add(name, data, { ...opts, deduplication: { id: job.key, keepLastIfActive: true } })
    return 'follows'
  }
  const add = async (
    jobs: readonly Handed[],
    sending: () => void,
    isAgain = false,
  ): Promise<ReadonlyMap<Handed, number>> => {
    await note(jobs)
    sending()
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
    if (lost.length > 0 && !isAgain)
      for (const [handed, id] of await add(lost, sending, true)) answers.set(handed, id)
    return answers
  }
  return (jobs, sending) => add(jobs, sending)
}

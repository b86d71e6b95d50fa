/** Schedules that nodes share: which runs there were, and when each is due. */
import type { Added, NewJob, Schedule, ScheduleTable } from '../../model/job-queue.js'
import type { SharedConnection } from './keys.js'

/** A schedule that no node has used for so long is deleted, s. */
const RETENTION = 30 * 86_400

/**
 * Takes a run that is due, and says when the next one is. Answers whether it was taken. A time that is later than is plausible was
 * written by a clock that was ahead.
 */
const TAKE = `local due = tonumber(redis.call('HGET', KEYS[1], 'next') or '')
if due and due > tonumber(ARGV[1]) and due <= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'next', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('SADD', KEYS[2], KEYS[1])
if due and due <= tonumber(ARGV[1]) then return 1 end
return 0`

/** @param add queues a job for all nodes */
export function createSharedScheduleTable(
  { redis, keys, run }: Pick<SharedConnection, 'redis' | 'keys' | 'run'>,
  add: (job: NewJob) => Promise<Added>,
  now: () => number,
): ScheduleTable & { refresh(): Promise<void> } {
  let known: readonly Schedule[] = []
  const refresh = async (): Promise<void> => {
    const names = await run(() => redis.smembers(keys.schedules))
    const rows = await Promise.all(names.map((name) => run(() => redis.hgetall(name))))
    const count = (text: string | undefined): number | undefined =>
      text === undefined ? undefined : Number(text)
    const found: Schedule[] = []
    for (const [index, row] of rows.entries()) {
      const { kind, plan, next, last, lastJob, refused } = row
      if (kind !== undefined && plan !== undefined)
        found.push({
          ...{ kind, plan, next: Number(next), last: count(last), lastJob: count(lastJob) },
          refused: count(refused) ?? 0,
        })
      else if (next === undefined) await run(() => redis.srem(keys.schedules, names[index] ?? ''))
    }
    known = found
  }
  return {
    refresh,
    run: async (plan, job, next, latest) => {
      const key = keys.schedule(job.kind, plan)
      const at = Math.trunc(now())
      const isTaken = await run(() =>
        redis.eval(TAKE, 2, key, keys.schedules, at, Math.trunc(next()), Math.trunc(latest()), RETENTION),
      )
      await run(() => redis.hset(key, 'kind', job.kind, 'plan', plan))
      if (isTaken !== 1) {
        await refresh()
        return undefined
      }
      const added = await add(job)
      if (added.accepted) await run(() => redis.hset(key, 'last', at, 'lastJob', added.id))
      else await run(() => redis.hincrby(key, 'refused', 1))
      await refresh()
      return added
    },
    // They expire.
    forget: () => {},
    list: () => known,
  }
}

/** From a node's own queue to the one that nodes share. */
import { once } from 'node:events'
import { within } from '../../concurrency.js'
import type { Job, LocalQueue } from '../../model/job-queue.js'
import type { Logger } from '../../model/logger.js'
import { createPendingWrites } from '../running.js'
import type { Handed } from './adding.js'
import type { SharedChanges } from './changes.js'
import type { createIds } from './ids.js'
import type { SharedConnection } from './keys.js'

/** So many are handed over at once. */
const BATCH = 200
/** Jobs whose id, and keys whose open job, are remembered. */
const MAX_REMEMBERED = 20_000
const JOIN_TIME = 2000
/** Open keys that are looked at again at a time, once in so many times. */
const LOOK_EVERY = 4
const LOOKED_AT = 200

interface HandOverParts {
  readonly connection: SharedConnection
  readonly local: LocalQueue
  readonly changes: Pick<SharedChanges, 'add' | 'cancel' | 'raise'>
  readonly ids: ReturnType<typeof createIds>
  added(count: number, alone: number): void
  readonly logger: Logger
}

/** A map that forgets the oldest. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.size > MAX_REMEMBERED ? map.keys() : []
  if (oldest !== undefined) map.delete(oldest)
}

/** See the top of the file. */
export function createHandOver({ connection, local, changes, ids, added, logger }: HandOverParts) {
  const { redis, keys, run, queues } = connection
  const underWay = new Set<number>()
  /** Jobs that became a part of another one, by their id. */
  const merged = new Map<number, number>()
  /** Jobs that this node handed over and does not know to have ended, by their key. */
  const open = new Map<string, { readonly id: number; readonly lane: Job['lane'] }>()
  /** They may be in the shared queue: they are added once more, and by nobody done here meanwhile. */
  let uncertain: readonly Job[] = []
  const writes = createPendingWrites()
  let looks = 0
  let current: Promise<void> | undefined
  let isWanted = false

  /** Takes a number among the nodes. */
  const join = async (): Promise<void> => {
    if (redis.status !== 'ready')
      await within(
        JOIN_TIME,
        once(redis, 'ready').catch(() => {}),
      )
    if (local.nodeNumber() === undefined)
      await run(() => redis.incr(keys.nodes))
        .then(local.setNodeNumber)
        .catch(() => {})
  }
  /** @param wasSent they may be in the shared queue already */
  const hand = async (jobs: readonly Job[], wasSent = false): Promise<void> => {
    const handed = new Map<Handed, Job>(
      jobs.map((job) => {
        const parent = job.parent === undefined ? undefined : ids.shared(job.parent)
        return [{ job: { ...job, parent }, id: ids.shared(job.id), createdAt: job.createdAt }, job]
      }),
    )
    for (const { id } of jobs) underWay.add(id)
    const settled = (): void => {
      for (const { id } of jobs) underWay.delete(id)
    }
    let isSent = wasSent
    try {
      const answers = await changes.add([...handed.keys()], () => {
        isSent = true
      })
      for (const [one, job] of handed) {
        const { id } = one
        const now = answers.get(one) ?? id
        if (now !== id) remember(merged, id, now)
        remember(open, job.key, { id: now, lane: job.lane })
        const meanwhile = local.handedOver(job)
        if (meanwhile === undefined) writes.write(job.ticket, () => local.handedOver(job) !== undefined)
        else if (meanwhile.isCancelled) await changes.cancel(now).catch(() => false)
        else if (meanwhile.priority > job.priority)
          await changes.raise(now, meanwhile.priority).catch(() => {})
      }
      added(jobs.length, jobs.filter(({ parent }) => parent === undefined).length)
      settled()
    } catch (error) {
      logger.debug({ err: error }, 'artwork jobs: handing over')
      if (isSent) uncertain = [...uncertain, ...jobs]
      else {
        for (const job of jobs) writes.write(job.ticket, () => local.giveBack(job))
        settled()
      }
      throw error
    }
  }
  /** Forgets keys whose job has ended. */
  const look = async (): Promise<void> => {
    const some = [...open].slice(0, LOOKED_AT)
    await Promise.all(
      some.map(async ([key, { id, lane }]) => {
        const state = await run(() => queues[lane].getDeduplicationJobId(key))
        open.delete(key)
        if (state !== null) remember(open, key, { id, lane })
      }),
    )
  }
  const all = async (): Promise<void> => {
    try {
      if (local.nodeNumber() === undefined) await join()
      if (local.nodeNumber() === undefined) return
      const again = uncertain
      uncertain = []
      if (again.length > 0) await hand(again, true)
      do {
        isWanted = false
        for (let jobs = local.claim(BATCH); jobs.length > 0; jobs = local.claim(BATCH)) await hand(jobs)
      } while (isWanted)
      looks += 1
      if (looks % LOOK_EVERY === 0) await look()
    } catch {
      // The next time: what is queued here is done here meanwhile.
    }
  }
  const begin = (): void => {
    isWanted = true
    writes.flush()
    if (current !== undefined || connection.trouble() !== undefined) return
    current = all().finally(() => {
      current = undefined
    })
  }
  return {
    join,
    /** Begins to hand over what there is. */
    begin,
    /** Resolves once what there was has been handed over, or cannot be. */
    finished: async (): Promise<void> => {
      while (current !== undefined) await current
    },
    /** Whether a job of this node's queue is being handed over. */
    isUnderWay: (local: number): boolean => underWay.has(local),
    /** The id of what a job has become a part of; its own else. */
    idNow: (id: number): number => merged.get(id) ?? id,
    /** The job of a key has ended. */
    ended: (key: string): void => void open.delete(key),
    /** The open job of a key, of those that this node handed over. */
    openIdOf: (key: string): number | undefined => open.get(key)?.id,
  }
}

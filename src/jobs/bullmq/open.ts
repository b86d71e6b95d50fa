/**
 * A queue that nodes share: BullMQ has the jobs, and each is done by one of the nodes. What is queued at a node is in its own queue
 * first, which survives its end, and is handed over from there, at once or when Redis can be reached; while it cannot, the node
 * does what is queued there itself.
 */
import { Queue } from 'bullmq'
import { within } from '../../concurrency.js'
import type {
  Added,
  Awaitable,
  Job,
  JobProcessor,
  JobState,
  NewJob,
  SharedQueue,
  SharedQueueParts,
} from '../../model/job-queue.js'
import { createBreaker } from '../../store/shared/breaker.js'
import {
  type Connect,
  PREFIX,
  type RedisConnectionOptions,
  TIMEOUT,
} from '../../store/shared/redis-client.js'
import { createChangeSignal, POLL_INTERVAL_MS } from '../running.js'
import { createSharedChanges } from './changes.js'
import { createHandOver } from './hand-over.js'
import { createIds } from './ids.js'
import { type BullmqOptions, keysOf, type LaneQueue, type SharedConnection } from './keys.js'
import { createWorkers, type Workers } from './processor.js'
import { type Counts, createSharedQueries, isOlder, newestFirst } from './queries.js'
import { createSharedScheduleTable } from './schedule-table.js'

/** Most jobs that may wait, those with a parent not counted. */
const CAPACITY = 10_000
/** A node that says nothing for so long is dead, ms. */
const LEASE_TIME = 10_000
/** How long an end waits for Redis, ms. */
const CLOSE_TIME = 2000
const NONE: Counts = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }
const STATES = Object.keys(NONE) as readonly JobState[]
const plus = (a: Readonly<Counts>, b: Readonly<Counts>): Counts =>
  Object.fromEntries(STATES.map((state) => [state, a[state] + b[state]])) as Counts

function openConnection(
  { prefix = PREFIX, url }: RedisConnectionOptions,
  redis: SharedConnection['redis'],
): SharedConnection {
  const keys = keysOf(prefix)
  const queueOf = (name: string): LaneQueue => {
    const queue: LaneQueue = new Queue(name, { connection: redis, prefix: keys.bull })
    queue.on('error', () => {})
    return queue
  }
  const breaker = createBreaker('the job queue', { threshold: 2, openFor: 1000 })
  const { host } = new URL(url)
  return {
    ...{ redis, keys, run: breaker.run },
    queues: { task: queueOf('tasks'), job: queueOf('long') },
    trouble: () =>
      redis.status === 'ready' ? breaker.reason() : `the job queue at ${host} cannot be reached`,
  }
}

/** What is known of the shared queue at the moment. */
function createKnown(read: ReturnType<typeof createSharedQueries>['counts']) {
  let known = { counts: NONE, waiting: 0, isPaused: false }
  let changes = 0
  return {
    get: () => known,
    /** Jobs were handed over: that is known before it is read. */
    added: (count: number): void => {
      changes += 1
      known = { ...known, counts: { ...known.counts, queued: known.counts.queued + count } }
    },
    paused: (isPaused: boolean): void => {
      changes += 1
      known = { ...known, isPaused }
    },
    read: async (): Promise<void> => {
      const before = changes
      const found = await read()
      if (before === changes) known = found
    },
  }
}

/** Opens it. See `JobQueueSource`. */
export async function openSharedQueue(
  options: BullmqOptions,
  connect: Connect,
  { local, merge, now, logger }: SharedQueueParts,
): Promise<SharedQueue> {
  const { timeout = TIMEOUT } = options
  const connection = openConnection(options, connect({ commandTimeout: timeout, enableAutoPipelining: true }))
  let patient: SharedConnection | undefined
  const ids = createIds(local.nodeNumber)
  const queries = createSharedQueries(connection)
  const parts = { merge, backOffs: local.backOffs, now }
  const changes = createSharedChanges({ ...parts, connection, queries })
  const known = createKnown(queries.counts)
  const signal = createChangeSignal()
  const handOver = createHandOver({ connection, local, changes, ids, added: known.added, logger })
  const isAway = (): boolean => connection.trouble() !== undefined
  let workers: Workers | undefined
  let processor: JobProcessor | undefined

  const shown = (job: Job): Job => ({
    ...job,
    id: ids.shared(job.id),
    ...(handOver.isUnderWay(job.id) && { state: 'queued' as const, startedAt: undefined }),
  })
  /** Of the shared queue, or what is said where it cannot be reached. */
  const shared = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    if (isAway()) return otherwise
    try {
      return await work()
    } catch (error) {
      logger.debug({ err: error }, 'artwork jobs: the shared queue')
      return otherwise
    }
  }
  const get = async (id: number): Promise<Job | undefined> => {
    const here = ids.local(id)
    const own = here === undefined ? undefined : local.get(here)
    if (own !== undefined) return shown(own)
    return shared(() => queries.get(handOver.idNow(id)), undefined)
  }
  const add = (job: NewJob, unsupported?: Parameters<SharedQueue['add']>[1]): Added => {
    const open = handOver.openIdOf(job.key)
    if (open === undefined && known.get().waiting >= CAPACITY) return { accepted: false, reason: 'full' }
    const added = local.add(job, unsupported)
    if (!('id' in added)) return added
    handOver.begin()
    const id = ids.shared(added.id)
    // What is open there gets its payload and priority as this one is handed over: then this id is that one's.
    return open === undefined ? { ...added, id } : { accepted: false, reason: 'duplicate', id }
  }
  const addNow = async (job: NewJob): Promise<Added> => {
    const added = add(job)
    if (!('id' in added)) return added
    await handOver.finished()
    const id = handOver.idNow(added.id)
    return id === added.id ? { accepted: true, id } : { accepted: false, reason: 'duplicate', id }
  }
  const schedules = createSharedScheduleTable(connection, addNow, now)
  /** At the local job, or the shared one. */
  const change = async (
    id: number,
    there: (id: number) => Promise<boolean>,
    here: (id: number) => boolean,
  ): Promise<boolean> => {
    await handOver.finished()
    const own = ids.local(id)
    if (own !== undefined && local.get(own) !== undefined) return here(own)
    const isChanged = await shared(() => there(handOver.idNow(id)), false)
    await shared(known.read, undefined)
    signal.emit()
    return isChanged
  }
  const poll = async (): Promise<void> => {
    if (connection.redis.status !== 'ready') return
    handOver.begin()
    await shared(known.read, undefined)
    signal.emit()
  }
  const timer = setInterval(() => void poll(), POLL_INTERVAL_MS).unref()
  await handOver.join()
  await poll()
  await shared(schedules.refresh, undefined)

  return {
    add,
    addAll: async (jobs, isWanted) => {
      const parent = jobs[0]?.parent
      if (parent !== undefined && (await shared(() => changes.isCancelled(parent), false))) return 0
      const count = local.addAll(jobs, isWanted)
      handOver.begin()
      await handOver.finished()
      return count
    },
    cancel: (id) => change(id, changes.cancel, local.cancel),
    retry: (id, unsupported) => change(id, changes.retry, (own) => local.retry(own, unsupported)),
    setPaused: async (isPaused) => {
      local.setPaused(isPaused)
      known.paused(isPaused)
      await shared(() => changes.setPaused(isPaused), undefined)
    },
    get,
    list: async (selection) => {
      const before = selection.before === undefined ? undefined : await get(selection.before)
      const { before: _before, ...rest } = selection
      const own = local
        .list({ ...rest, limit: selection.limit })
        .map(shown)
        .filter((job) => before === undefined || isOlder(job, before))
      const found = await shared(() => queries.list(rest, before), [])
      return [...own, ...found].sort(newestFirst).slice(0, selection.limit)
    },
    children: async (id) => {
      const here = ids.local(id)
      const own =
        here === undefined || here === id
          ? local.children(id)
          : plus(local.children(here), local.children(id))
      return plus(own, await shared(() => queries.children(ids.shared(id)), NONE))
    },
    counts: () => plus(local.counts(), known.get().counts),
    isPaused: () => local.isPaused() || known.get().isPaused,
    backOffs: local.backOffs,
    schedules,
    createProcessor: (handlers, how) => {
      const own = local.createProcessor(handlers, { ...how, mayBegin: isAway })
      patient = openConnection(options, connect({ maxRetriesPerRequest: null, enableOfflineQueue: true }))
      const patientQueries = createSharedQueries(patient)
      workers = createWorkers(handlers, how, {
        leaseTime: options.leaseTime ?? LEASE_TIME,
        connection: patient,
        changes: createSharedChanges({ ...parts, connection: patient, queries: patientQueries }),
        changed: (key) => {
          if (key !== undefined) handOver.ended(key)
          void shared(known.read, undefined).then(signal.emit)
        },
      })
      const shareIsBusy = (...states: readonly JobState[]): boolean =>
        states.some((state) => known.get().counts[state] > 0)
      processor = {
        ...own,
        start: (only) => {
          own.start(only)
          workers?.start(only)
        },
        isDue: () => own.isDue() || shareIsBusy('queued', 'running'),
        isPending: () => own.isPending() || shareIsBusy('queued', 'running'),
        running: () => own.running() + (workers?.running() ?? 0),
        notify: () => {
          handOver.begin()
          own.notify()
        },
        changed: signal.wait,
        close: async () => {
          await Promise.all([own.close(), workers?.close()])
        },
      }
      return processor
    },
    trouble: connection.trouble,
    close: async (): Promise<void> => {
      clearInterval(timer)
      await handOver.finished()
      for (const { queues, redis } of patient === undefined ? [connection] : [connection, patient]) {
        for (const queue of Object.values(queues))
          await within(
            CLOSE_TIME,
            queue.close().catch(() => {}),
          )
        redis.disconnect()
      }
      await (local.close() as Awaitable<void>)
    },
  }
}

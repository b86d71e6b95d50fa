/**
 * A queue that nodes share: BullMQ has the jobs, and each is done by one of the nodes. What is queued at a node is in its own queue
 * first, which survives its end, and is handed over from there, at once or when Redis can be reached; while it cannot, the node
 * does what is queued there itself.
 */
import { within } from '../../concurrency.js'
import type { SharedQueue, SharedQueueParts } from '../../model/job-queue.js'
import { type Connect, TIMEOUT } from '../../store/shared/redis-client.js'
import { createChangeSignal, POLL_INTERVAL_MS } from '../running.js'
import { plus, readBoth } from './both-queues.js'
import { createSharedChanges } from './changes.js'
import { openConnection } from './connection.js'
import { createHandOver } from './hand-over.js'
import { createIds } from './ids.js'
import type { Bull, BullmqOptions, SharedConnection } from './keys.js'
import { createKnown } from './known.js'
import { createNodes } from './nodes.js'
import { createPlacing } from './placing.js'
import { createSharedQueries } from './queries.js'
import { createReach } from './reach.js'
import { createSharedScheduleTable } from './schedule-table.js'
import { createSharedProcessor } from './shared-processor.js'

/** A node that says nothing for so long is dead, ms. */
const LEASE_TIME = 10_000
/** Of the workers: what they say to Redis is said in the end, whatever happens to the connection. */
const PATIENT = {
  ...{ maxRetriesPerRequest: null, enableOfflineQueue: true },
  ...{ autoResendUnfulfilledCommands: true, lazyConnect: false },
}
/** How long an end waits for Redis, ms. */
const CLOSE_TIME = 2000
/** Every so many polls, it is read when schedules ran elsewhere, and what dead processes had taken is queued again. */
const SELDOM = 20

/** Opens it. See `JobQueueSource`. */
export async function openSharedQueue(
  options: BullmqOptions,
  dial: Connect,
  bull: Bull,
  { local, merge, now, logger }: SharedQueueParts,
): Promise<SharedQueue> {
  const connect = (more: Parameters<Connect>[0]) => openConnection(options, dial(more), bull)
  const connection = connect({ commandTimeout: options.timeout ?? TIMEOUT, enableAutoPipelining: true })
  let patient: SharedConnection | undefined
  const ids = createIds(local.nodeNumber)
  const queries = createSharedQueries(connection)
  const parts = { merge, backOffs: local.backOffs, now }
  const changes = createSharedChanges({ ...parts, connection, queries })
  const known = createKnown({ read: queries.counts, local, setPaused: changes.setPaused })
  const signal = createChangeSignal()
  const handOver = createHandOver({ connection, local, changes, ids, added: known.added, logger })
  const { isAway, shared, reached } = createReach(connection, logger)
  let polls = 0
  let isPolling = false

  const both = readBoth({ local, queries, handOver, ids, shared, reached })
  const { add, addNow } = createPlacing({ local, handOver, ids, known })
  const nodes = createNodes(connection, now)
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
    await shared(known.refresh, undefined)
    signal.emit()
    return isChanged
  }
  const poll = async (): Promise<void> => {
    if (isPolling || connection.redis.status !== 'ready') return
    isPolling = true
    handOver.begin()
    await shared(known.refresh, undefined)
    polls += 1
    if (polls % SELDOM === 0) {
      local.recover()
      await shared(schedules.refresh, undefined)
      await shared(changes.prune, undefined)
    }
    signal.emit()
    isPolling = false
  }
  const timer = setInterval(() => void poll(), POLL_INTERVAL_MS).unref()
  local.recover()
  await handOver.join().then(poll)
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
      known.pause(isPaused)
      await shared(known.refresh, undefined)
    },
    ...both,
    counts: () => plus(local.counts(), known.get().counts),
    isPaused: local.isPaused,
    backOffs: local.backOffs,
    schedules,
    createProcessor: (handlers, how) => {
      patient = connect(PATIENT)
      return createSharedProcessor(handlers, how, {
        ...{ local, known, handOver, ids, connection: patient, wait: signal.wait },
        leaseTime: options.leaseTime ?? LEASE_TIME,
        ...{ mayBegin: isAway, started: nodes.begin },
        changes: createSharedChanges({
          ...parts,
          connection: patient,
          queries: createSharedQueries(patient),
        }),
        changed: () => void shared(known.refresh, undefined).then(signal.emit),
      })
    },
    ...{ trouble: connection.trouble, announce: nodes.announce },
    nodes: () => shared(nodes.list, []),
    close: async (): Promise<void> => {
      clearInterval(timer)
      await Promise.all([handOver.finished(), nodes.leave()])
      await closeConnections(patient === undefined ? [connection] : [connection, patient])
      await local.close()
    },
  }
}

async function closeConnections(connections: readonly SharedConnection[]): Promise<void> {
  for (const { queues, redis } of connections) {
    const closing = Object.values(queues).map((queue) => queue.close().catch(() => {}))
    await within(CLOSE_TIME, Promise.all(closing))
    redis.disconnect()
  }
}

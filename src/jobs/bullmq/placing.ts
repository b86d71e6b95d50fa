/** Queueing at a node: in its own queue first, from where it is handed over. */
import type { Added, LocalQueue, NewJob, Unsupported } from '../../model/job-queue.js'
import type { createHandOver } from './hand-over.js'
import type { createIds } from './ids.js'
import type { createKnown } from './known.js'

/** Most jobs that may wait, those with a parent not counted. */
const CAPACITY = 10_000

interface PlacingParts {
  readonly local: Pick<LocalQueue, 'add'>
  readonly handOver: Pick<ReturnType<typeof createHandOver>, 'begin' | 'finished' | 'idNow' | 'openIdOf'>
  readonly ids: Pick<ReturnType<typeof createIds>, 'shared'>
  readonly known: Pick<ReturnType<typeof createKnown>, 'get'>
}

/** See the top of the file. */
export function createPlacing({ local, handOver, ids, known }: PlacingParts) {
  /** Into this node's own queue. */
  const place = (job: NewJob, unsupported?: Unsupported): Added => {
    const added = local.add(job, unsupported)
    handOver.begin()
    return 'id' in added ? { ...added, id: ids.shared(added.id) } : added
  }
  const add = (job: NewJob, unsupported?: Unsupported): Added => {
    const open = handOver.openIdOf(job.key)
    if (open === undefined && known.get().waiting >= CAPACITY) return { accepted: false, reason: 'full' }
    const added = place(job, unsupported)
    // What is open there gets its payload and priority as this one is handed over: then this id is that one's.
    return open !== undefined && 'id' in added
      ? { accepted: false, reason: 'duplicate', id: added.id }
      : added
  }
  const addNow = async (job: NewJob): Promise<Added> => {
    const added = place(job)
    if (!('id' in added)) return added
    await handOver.finished()
    const id = handOver.idNow(added.id)
    return added.accepted && id === added.id ? added : { accepted: false, reason: 'duplicate', id }
  }
  return {
    /** See the port. */
    add,
    /** Queues for all nodes. Answers once it is known whether there was one. */
    addNow,
  }
}

/** What is known of the shared queue at the moment: it is read again and again, and answered at once. */
import type { AtOnce, JobQueries, JobQueue } from '../../model/job-queue.js'
import type { Counts, SharedQueries } from './queries.js'

export const NO_JOBS: Counts = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }

/** Reads and writes what is known. Whether the queue is paused is kept in this node's own, too, for while Redis is away. */
interface KnownParts {
  readonly read: SharedQueries['counts']
  readonly local: AtOnce<Pick<JobQueue, 'setPaused'> & Pick<JobQueries, 'isPaused'>>
  setPaused(isPaused: boolean): Promise<void>
}

/** See the top of the file. */
export function createKnown({ read, local, setPaused }: KnownParts) {
  let known = { counts: NO_JOBS, waiting: 0 }
  /** Where the others have still to hear of it. */
  let wanted: boolean | undefined
  let changes = 0
  return {
    get: () => known,
    /** Jobs were handed over, some of them without a parent: that is known before it is read. */
    added: (count: number, alone: number): void => {
      changes += 1
      const counts = { ...known.counts, queued: known.counts.queued + count }
      known = { counts, waiting: known.waiting + alone }
    },
    /** Pauses or resumes all nodes, or all once they can be reached. */
    pause: (isPaused: boolean): void => {
      changes += 1
      wanted = isPaused
      local.setPaused(isPaused)
    },
    /** @throws what Redis throws */
    refresh: async (): Promise<void> => {
      const before = changes
      if (wanted !== undefined) {
        await setPaused(wanted)
        if (before === changes) wanted = undefined
      }
      const { isPaused, ...found } = await read()
      if (before !== changes) return
      known = found
      if (isPaused !== local.isPaused()) local.setPaused(isPaused)
    },
  }
}

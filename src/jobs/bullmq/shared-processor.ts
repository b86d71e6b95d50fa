/** Works off the queue that nodes share, and that of this node while Redis is away. */
import type {
  Handler,
  JobProcessor,
  JobProcessorOptions,
  JobState,
  LocalQueue,
} from '../../model/job-queue.js'
import type { createHandOver } from './hand-over.js'
import type { createIds } from './ids.js'
import type { createKnown } from './known.js'
import { createWorkers, type WorkersParts } from './processor.js'

/** The id of no job. */
const NO_JOB = -1

/** What it works with. */
interface SharedProcessorParts extends Omit<WorkersParts, 'changed' | 'idNow'> {
  readonly local: Pick<LocalQueue, 'createProcessor'>
  readonly known: Pick<ReturnType<typeof createKnown>, 'get'>
  readonly handOver: Pick<ReturnType<typeof createHandOver>, 'begin' | 'ended' | 'idNow'>
  readonly ids: Pick<ReturnType<typeof createIds>, 'local'>
  /** Whether this node does its own jobs by itself. */
  mayBegin(): boolean
  changed(): void
  /** It was started. */
  started(): void
  wait(signal?: AbortSignal): Promise<void>
}

/** See the port. */
export function createSharedProcessor(
  handlers: Readonly<Record<string, Handler>>,
  options: JobProcessorOptions,
  { local, known, handOver, ids, mayBegin, changed, started, wait, ...parts }: SharedProcessorParts,
): JobProcessor {
  const own = local.createProcessor(handlers, { ...options, mayBegin })
  const workers = createWorkers(handlers, options, {
    ...parts,
    idNow: handOver.idNow,
    changed: (key) => {
      if (key !== undefined) handOver.ended(key)
      changed()
    },
  })
  const isShareBusy = (): boolean =>
    (['queued', 'running'] satisfies JobState[]).some((state) => known.get().counts[state] > 0)
  return {
    ...own,
    start: (only) => {
      // One of another node is none of this node's own.
      own.start(only === undefined ? undefined : (ids.local(only) ?? NO_JOB))
      workers.start(only)
      started()
    },
    isDue: () => own.isDue() || isShareBusy(),
    isPending: () => own.isPending() || isShareBusy(),
    running: () => own.running() + workers.running(),
    notify: () => {
      handOver.begin()
      own.notify()
    },
    changed: wait,
    close: async () => {
      await Promise.all([own.close(), workers.close()])
    },
  }
}

/**
 * The transformer that decodes in child processes, the default: a hostile file, a leak or a crash of libvips
 * costs its own request and nothing else, and encodes never hold the thread pool that files and DNS need.
 *
 * A child that ends is replaced; new ones may start only so often, so that files that crash decoders cost their own
 * requests and not the machine. Originals go over by a pipe of their own, as they are; results as structured clones.
 */
import { ArtworkError, errorFromCode } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import type { Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'
import type { ChildScript } from '../package-files.js'
import { type ChildOptions, findScript } from './child-command.js'
import { cancelled, createFairQueue, makeRoom, type QueuePosition, watchWait } from './fair-queue.js'
import type { Answer, JobMessage, LookedAnswer } from './messages.js'
import { SHARED_FORMATS } from './shared-pixels.js'
import {
  type DecodeLimits,
  type Inspected,
  type JobOptions,
  type Made,
  SVG_INSPECTED,
  type Transformer,
} from './transformer.js'
import { isHeavyJob } from './weight.js'
import {
  createWorkerProcess,
  processingFailed,
  type WorkerEvents,
  type WorkerJob,
  type WorkerProcess,
  type WorkerTask,
} from './worker-process.js'
import { createWorkerStarter } from './worker-starter.js'

/** How the pool works. */
export interface PoolOptions extends DecodeLimits, ChildOptions {
  /** Child processes at most. */
  readonly concurrency: number
  /** Jobs that may wait. */
  readonly queue: number
  /** Ms one job may take. */
  readonly timeout: number
  /** Ms that a foreground job may wait. */
  readonly waitTimeout: number
  readonly logger: Logger
  /** Ms after which a child without a job ends. @default a minute */
  readonly idleTimeout?: number
  /** What children are started with. @default the script beside this file, where it is */
  readonly script?: ChildScript | undefined
}

const MISSING = 'the script of the decoder is missing'
const shuttingDown = (): ArtworkError => new ArtworkError('unavailable', 'shutting down')

/** A picture as it comes over: bytes arrive as an array of them. */
const received = (made: Made): Made => ({
  ...made,
  bytes: Buffer.from(made.bytes.buffer, made.bytes.byteOffset, made.bytes.byteLength),
})

/** What the pixels follow from that a recipe encodes: all of it but how they are encoded. */
function pixelsOf(digest: string | undefined, recipe: FullRecipe | undefined): string | undefined {
  if (digest === undefined || recipe === undefined || !SHARED_FORMATS.has(recipe.format)) return undefined
  const { format, quality, effort, ...geometry } = recipe
  return `${digest} ${JSON.stringify(geometry)}`
}

/** Makes a pool; its first child starts with its first job, and none keeps the process alive when it has nothing to do. */
export function createWorkerPool(options: PoolOptions): Transformer {
  const { maxPixels, maxAvifPixels, maxFrames, formats, logger } = options
  const script = 'script' in options ? options.script : findScript()
  if (script === undefined)
    logger.error(
      {},
      `artwork: ${MISSING}, so that no picture can be decoded: leave express-artwork out of the bundle (esbuild: --external:express-artwork), or set transform.isolate to false`,
    )
  const scheduler = script && createScheduler(script, options)
  const limits: DecodeLimits = { maxPixels, maxAvifPixels, maxFrames, formats }
  let isClosed = false
  let ids = 0

  const run = async <T>(
    job: JobMessage['job'],
    args: readonly [bytes: Uint8Array, kind: Kind, recipe?: FullRecipe],
    about: JobOptions = {},
  ): Promise<T> => {
    if (isClosed) throw shuttingDown()
    if (scheduler === undefined) throw processingFailed()
    if (about.signal?.aborted) throw cancelled()
    ids += 1
    const { isBackground = false, isAlone = false, client = '', host = '', digest } = about
    const isHeavy = isHeavyJob(args[0], args[1], args[2])
    const [bytes, ...rest] = args
    const pixels = pixelsOf(digest, args[2])
    const message: JobMessage = { id: ids, job, size: bytes.length, args: [...rest, limits], pixels }
    const answer = await scheduler.run(
      { message, bytes, isBackground, isHeavy, isAlone, client, host },
      about,
    )
    if (!answer.ok) throw errorFromCode(answer.code, answer.message)
    return answer.value as T
  }

  return {
    inspect: (bytes, kind, about) =>
      kind === 'svg' ? Promise.resolve(SVG_INSPECTED) : run<Inspected>('inspect', [bytes, kind], about),
    transform: async (bytes, kind, recipe, about) => {
      return received(await run<Made>('transform', [bytes, kind, recipe], about))
    },
    look: async (bytes, kind, recipe, about) => {
      const { inspected, made } = await run<LookedAnswer>('look', [bytes, kind, recipe], about)
      if (made === undefined) return { inspected, made }
      return { inspected, made: made.ok ? received(made.value) : errorFromCode(made.code, made.message) }
    },
    load: () => scheduler?.load() ?? { running: 0, waiting: 0 },
    trouble: () => (scheduler === undefined ? MISSING : scheduler.trouble()),
    close: async () => {
      isClosed = true
      await scheduler?.close()
    },
  }
}

/** Hands jobs to children, which it starts and replaces. */
function createScheduler(script: ChildScript, options: PoolOptions) {
  const { concurrency } = options
  const workers = new Set<WorkerProcess>()
  const queue = createFairQueue<WorkerJob>()
  const starter = createWorkerStarter(script, options, options.logger)
  /** Jobs whose first child did not start. */
  const secondTries = new WeakSet<WorkerJob>()
  let isClosed = false
  let later: NodeJS.Timeout | undefined
  const running = (): readonly WorkerJob[] => [...workers].flatMap((worker) => worker.job() ?? [])

  const onFailedStart = async (job: WorkerJob, error: ArtworkError): Promise<void> => {
    const mayTryAgain = !starter.hasWorked() && (await starter.diagnose()) && !secondTries.has(job)
    if (mayTryAgain) {
      secondTries.add(job)
      queue.add(job, true)
    } else job.reject(error)
    dispatch()
  }
  const start = (task: WorkerTask): void => {
    const child = starter.start()
    if (child instanceof ArtworkError) task.job.reject(child)
    else workers.add(createWorkerProcess(child, task, options, events))
  }
  /** First what a free child has the pixels of, last what a busy one will have. */
  const costOf = ({ message: { pixels } }: WorkerJob): number => {
    const holder =
      pixels === undefined ? undefined : [...workers].find((worker) => worker.pixels() === pixels)
    return holder === undefined ? 1 : holder.job() === undefined ? 0 : 2
  }
  /** Hands out what waits, as far as there are children. */
  const dispatch = (): void => {
    while (queue.size() > 0 && !isClosed) {
      const free = [...workers].filter((worker) => worker.job() === undefined)
      if (free.length === 0 && workers.size >= concurrency) return
      const job = queue.next((next) => mayBegin(next, running(), concurrency), costOf)
      if (job === undefined) return
      const { pixels } = job.message
      const idle = free.find((worker) => worker.pixels() === pixels) ?? free[0]
      const wait = idle === undefined ? starter.takeStart() : 0
      if (wait > 0) {
        queue.add(job, true)
        later ??= setTimeout(() => {
          later = undefined
          dispatch()
        }, wait)
        return
      }
      // Who asks for a new picture is seldom alone: the others are queued once its facts are known.
      const isAwaited = job.message.job === 'look' || queue.some(({ message }) => message.pixels === pixels)
      const isKept = pixels !== undefined && isAwaited
      if (idle === undefined) start({ job, isKept })
      else idle.run({ job, isKept })
    }
  }

  const events: WorkerEvents = {
    onReady: starter.worked,
    onEnd: (worker) => void workers.delete(worker),
    onFree: dispatch,
    onFailedStart,
  }

  return {
    /** A job that waits ends when it is cancelled; one that runs is finished, since the next request may ask for it. */
    run: async (job: Omit<WorkerJob, 'resolve' | 'reject'>, about: JobOptions): Promise<Answer<unknown>> => {
      const free = Math.max(0, concurrency - running().length)
      if (queue.size() - free >= options.queue) makeRoom(queue, job.client)
      let stopWatching = (): void => {}
      return new Promise<Answer<unknown>>((resolve, reject) => {
        const waiting = { ...job, resolve, reject }
        stopWatching = watchWait(about, options.waitTimeout, (error) => {
          if (queue.remove(waiting)) reject(error)
        })
        queue.add(waiting)
        dispatch()
      }).finally(() => stopWatching())
    },
    load: () => ({ running: running().length, waiting: queue.size() }),
    trouble: starter.trouble,
    close: async (): Promise<void> => {
      isClosed = true
      starter.close()
      clearTimeout(later)
      for (const job of queue.drain()) job.reject(shuttingDown())
      await Promise.all([...workers].map((worker) => worker.close(shuttingDown())))
    },
  }
}

/** Whether a job can do without the last child, which is for what is quick and waited for. */
const givesWay = ({ isHeavy, isBackground }: QueuePosition): boolean => isHeavy || isBackground

/** Jobs that are heavy, or that nobody waits for, leave one child to the others; of those that run alone there is one at a time. */
function mayBegin(job: QueuePosition, running: readonly QueuePosition[], concurrency: number): boolean {
  const hasRoom = running.filter(givesWay).length < Math.max(1, concurrency - 1)
  return (!givesWay(job) || hasRoom) && !(job.isAlone && running.some(({ isAlone }) => isAlone))
}

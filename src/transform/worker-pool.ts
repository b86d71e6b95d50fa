/**
 * The transformer that decodes in child processes, the default: a hostile file, a leak or a crash of libvips
 * costs its own request and nothing else, and encodes never hold the thread pool that files and DNS need.
 *
 * A child has one job at a time. It is killed when the job takes too long, ends itself when it grows too large, and
 * is replaced; a new one may start only so often, so that files that crash decoders cost their own answers and not
 * the machine. Bytes go over as structured clones, one copy each way.
 */
import type { ChildProcess } from 'node:child_process'
import { ArtworkError, errorFromCode } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import type { Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'
import {
  type ChildOptions,
  confinement,
  findScript,
  IS_BROAD,
  killChild,
  type Script,
  startChild,
  tryStart,
} from './child-command.js'
import { cancelled, createJobQueue, overloaded, type QueuePosition, watchWait } from './job-queue.js'
import { type Answer, GROWN, type JobMessage } from './messages.js'
import {
  type DecodeLimits,
  type Inspected,
  type JobOptions,
  type Made,
  SVG_INSPECTED,
  type Transformer,
} from './transformer.js'
import { isHeavyJob } from './weight.js'

/** How the pool works. */
export interface PoolOptions extends DecodeLimits, ChildOptions {
  /** Child processes at most. */
  readonly concurrency: number
  /** Jobs that may wait. */
  readonly queue: number
  /** Ms one job may take. */
  readonly timeout: number
  /** Ms that a job may wait which somebody waits for. */
  readonly waitTimeout: number
  readonly logger: Logger
  /** What children are started with. @default the script beside this file, where it is */
  readonly script?: Script | undefined
}

interface Job {
  readonly order: JobMessage
  /** The child that had it first never was there. */
  isSecondTry?: boolean
  readonly resolve: (answer: Answer<unknown>) => void
  readonly reject: (error: ArtworkError) => void
}
interface Child {
  readonly process: ChildProcess
  job: (Job & QueuePosition) | undefined
  isReady: boolean
  timer: NodeJS.Timeout | undefined
  /** Told that it has gone, or cannot be spoken to. */
  lost: (error: ArtworkError) => void
}

/** A child that has not said that it is there by then is not going to, ms. */
const START_TIMEOUT = 15_000
/** Starts that may follow each other at once, and how many more a second. */
const BURST = 24
const STARTS_PER_SECOND = 4
/** Why children do not start is not looked for more often, ms. */
const FIND_EVERY = 30_000
const UNCONFINED =
  'artwork: decoders run without the permission model of Node, which does not know this layout of packages'
/** A child makes way for a new one after so many jobs: what leaks, leaks no further. */
const JOBS_PER_CHILD = 5000

/** How many may start: a few at once, then so many a second. */
function createAllowance() {
  let left = BURST
  let at = performance.now()
  return {
    /** Takes one. @returns ms until there is one, 0 where it was taken */
    take: (): number => {
      const now = performance.now()
      left = Math.min(BURST, left + ((now - at) / 1000) * STARTS_PER_SECOND)
      at = now
      if (left < 1) return Math.ceil(((1 - left) / STARTS_PER_SECOND) * 1000)
      left -= 1
      return 0
    },
  }
}

/** Makes a pool; its first child starts with its first job, and none keeps the process alive when it has nothing to do. */
export function createWorkerPool(options: PoolOptions): Transformer {
  const { maxPixels, maxAvifPixels, maxFrames, formats, logger } = options
  const script = 'script' in options ? options.script : findScript()
  const limits: DecodeLimits = { maxPixels, maxAvifPixels, maxFrames, formats }
  const children = new Set<Child>()
  const queue = createJobQueue<Job>()
  const allowance = createAllowance()
  let closed = false
  let ids = 0
  let later: NodeJS.Timeout | undefined
  let flags: readonly string[] = []
  /** Whether a child was ever there. */
  let isProven = false
  let trouble: string | undefined
  let finding: Promise<void> | undefined
  let findAfter = 0
  try {
    if (script?.isConfinable) flags = confinement(script, IS_BROAD)
  } catch (error) {
    logger.warn({ err: error }, UNCONFINED)
  }
  if (script === undefined) {
    trouble = 'the script of the decoder is missing'
    logger.error(
      {},
      'artwork: the script of the decoder is missing, so that no picture can be decoded: leave express-artwork out of the bundle (esbuild: --external:express-artwork), or set transform.isolate to false',
    )
  }

  /** Finds out why children do not come to be, and mends what can be mended. Says so in the log, once. */
  const findOut = async (known: Script): Promise<void> => {
    if (performance.now() < findAfter) return
    findAfter = performance.now() + FIND_EVERY
    const outcome = await tryStart(known, options, flags)
    if (outcome === 'ready' || closed) return
    const withSandbox = options.sandbox.length > 0
    if (flags.length > 0)
      for (const other of withSandbox ? [confinement(known, true)] : [confinement(known, true), []]) {
        if ((await tryStart(known, options, other)) !== 'ready') continue
        if (other.length === 0) logger.warn(outcome, UNCONFINED)
        flags = other
        return
      }
    const words = withSandbox ? 'transform.sandbox does not work' : 'decoders do not start'
    if (trouble === undefined) logger.error(outcome, `artwork: ${words}: ${outcome.ended}: ${outcome.said}`)
    trouble = words
  }

  const rest = ({ process }: Child): void => {
    process.unref()
    process.channel?.unref()
  }
  const wake = ({ process }: Child): void => {
    process.ref()
    process.channel?.ref()
  }
  /** Takes the job from a child, which has none then. */
  const release = (child: Child): (Job & QueuePosition) | undefined => {
    const { job } = child
    clearTimeout(child.timer)
    child.job = undefined
    return job
  }
  /** Ends a child, and its job with it. */
  const end = (child: Child, error?: ArtworkError): void => {
    children.delete(child)
    const job = release(child)
    killChild(child.process, options)
    rest(child)
    if (job !== undefined && error !== undefined) job.reject(error)
  }
  const tooSlow = () => new ArtworkError('decode_timeout', 'the image took too long to decode')
  const arm = (child: Child, ms: number): void => {
    clearTimeout(child.timer)
    child.timer = setTimeout(() => {
      end(child, tooSlow())
      dispatch()
    }, ms)
  }
  const give = (child: Child, job: Job & QueuePosition, ms: number): void => {
    child.job = job
    wake(child)
    arm(child, ms)
    child.process.send(job.order, (error) => {
      if (error !== null && child.job === job)
        child.lost(new ArtworkError('processing', 'the image could not be processed', { cause: error }))
    })
  }
  const start = (first: Job & QueuePosition, known: Script): void => {
    let started: ChildProcess
    try {
      started = startChild(known, options, flags)
    } catch (error) {
      if (trouble === undefined) logger.error({ err: error }, 'artwork: decoders do not start')
      trouble = 'decoders do not start'
      first.reject(new ArtworkError('processing', 'the image could not be processed', { cause: error }))
      return
    }
    const child: Child = {
      process: started,
      job: undefined,
      isReady: false,
      timer: undefined,
      lost: (error) => lost(error),
    }
    children.add(child)
    let done = 0
    const lost = (error: ArtworkError): void => {
      if (!children.has(child)) return
      // One that never was there tells nothing of the job: why is found out first.
      const isStillborn = !child.isReady && !isProven
      const job = isStillborn ? release(child) : undefined
      end(child, error)
      if (job === undefined) {
        dispatch()
        return
      }
      finding ??= findOut(known).finally(() => {
        finding = undefined
      })
      void finding.then(() => {
        if (trouble !== undefined || closed || job.isSecondTry) job.reject(error)
        else {
          job.isSecondTry = true
          queue.add(job, true)
        }
        dispatch()
      })
    }
    child.process.on('error', (error) =>
      lost(new ArtworkError('processing', 'the image could not be processed', { cause: error })),
    )
    child.process.on('exit', (code, signal) => {
      const cause = new Error(`the decoder ended: ${code ?? signal}`)
      lost(
        code === GROWN
          ? new ArtworkError('too_large', 'the image needs too much memory', { cause })
          : new ArtworkError('processing', 'the image could not be processed', { cause }),
      )
    })
    child.process.on('message', (message: 'ready' | (Answer<unknown> & { id: number; isFull: boolean })) => {
      if (message === 'ready') {
        child.isReady = true
        isProven = true
        trouble = undefined
        if (child.job !== undefined) arm(child, options.timeout)
        return
      }
      if (child.job?.order.id !== message.id) return
      done += 1
      release(child)?.resolve(message)
      rest(child)
      if (message.isFull || done >= JOBS_PER_CHILD) end(child)
      dispatch()
    })
    give(child, first, START_TIMEOUT)
  }
  /** What takes long leaves one child to the others, and of what anybody may ask for that is dearest there is one. */
  const mayBegin = (turn: QueuePosition): boolean => {
    const running = [...children].flatMap(({ job }) => job ?? [])
    const heavy = running.filter(({ isHeavy }) => isHeavy).length
    const isRoom = heavy < Math.max(1, options.concurrency - 1)
    return (!turn.isHeavy || isRoom) && !(turn.isAlone && running.some(({ isAlone }) => isAlone))
  }
  /** Hands out what waits, as far as there are children. */
  const dispatch = (): void => {
    while (queue.size() > 0 && !closed && script !== undefined) {
      const idle = [...children].find((child) => child.job === undefined)
      if (idle === undefined && children.size >= options.concurrency) return
      const job = queue.next(mayBegin)
      if (job === undefined) return
      const wait = idle === undefined ? allowance.take() : 0
      if (wait > 0) {
        queue.add(job, true)
        later ??= setTimeout(() => {
          later = undefined
          dispatch()
        }, wait)
        return
      }
      if (idle === undefined) start(job, script)
      else give(idle, job, options.timeout)
    }
  }
  const isFull = (): boolean => {
    const free = options.concurrency - [...children].filter((child) => child.job !== undefined).length
    return queue.size() - Math.max(0, free) >= options.queue
  }

  const run = async <T>(
    job: JobMessage['job'],
    args: readonly unknown[],
    about: JobOptions = {},
  ): Promise<T> => {
    const { signal, isBackground = false, isAlone = false, client = '', host = '' } = about
    if (closed) throw new ArtworkError('unavailable', 'shutting down')
    if (script === undefined) throw new ArtworkError('processing', 'the image could not be processed')
    if (signal?.aborted) throw cancelled()
    if (isFull()) {
      const other = queue.crowdOut(client)
      if (other === undefined) throw overloaded()
      other.reject(overloaded())
    }
    ids += 1
    const order: JobMessage = { id: ids, job, args: [...args, limits] }
    const [bytes, kind, recipe] = args as [Uint8Array, Kind, FullRecipe | undefined]
    const isHeavy = isHeavyJob(bytes, kind, recipe?.format)
    // What waits and is not wanted any more is not begun; what runs is finished, for the next one who asks.
    let stopWaiting = (): void => {}
    const answer = await new Promise<Answer<unknown>>((resolve, reject) => {
      const one = { order, isBackground, isHeavy, isAlone, client, host, resolve, reject }
      stopWaiting = watchWait(about, options.waitTimeout, (error) => {
        if (queue.remove(one)) reject(error)
      })
      queue.add(one)
      dispatch()
    }).finally(() => stopWaiting())
    if (!answer.ok) throw errorFromCode(answer.code, answer.message)
    return answer.value as T
  }

  return {
    inspect: (bytes, kind, about) =>
      kind === 'svg' ? Promise.resolve(SVG_INSPECTED) : run<Inspected>('inspect', [bytes, kind], about),
    transform: async (bytes, kind, recipe, about) => {
      const made = await run<Made>('transform', [bytes, kind, recipe], about)
      return { ...made, bytes: Buffer.from(made.bytes.buffer, made.bytes.byteOffset, made.bytes.byteLength) }
    },
    load: () => ({
      running: [...children].filter(({ job }) => job !== undefined).length,
      waiting: queue.size(),
    }),
    trouble: () => trouble,
    close: async () => {
      closed = true
      clearTimeout(later)
      const over = () => new ArtworkError('unavailable', 'shutting down')
      for (const job of queue.drain()) job.reject(over())
      const all = [...children].map(
        (child) =>
          new Promise<void>((resolve) => {
            child.process.once('exit', () => resolve())
            if (child.process.exitCode !== null || child.process.signalCode !== null) resolve()
            end(child, over())
            // Who waits for the end of a child does not end before it.
            child.process.ref()
          }),
      )
      await Promise.all(all)
    },
  }
}

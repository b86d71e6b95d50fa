/**
 * The transformer that decodes in child processes, the default: a hostile file, a leak or a crash of libvips
 * costs its own request and nothing else, and encodes never hold the thread pool that files and DNS need.
 *
 * A child has one job at a time. It is killed when the job takes too long, ends itself when it grows too large, and
 * is replaced; a new one may start only so often, so that files that crash decoders cost their own answers and not
 * the machine. Bytes go over as structured clones, one copy each way.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ArtworkError, errorFromCode } from '../model/errors.js'
import { type Answer, GROWN, type Order } from './orders.js'
import {
  type DecodeLimits,
  type Inspected,
  type JobOptions,
  type Made,
  SVG_INSPECTED,
  type Transformer,
} from './transformer.js'

/** How the pool works. */
export interface PoolOptions extends DecodeLimits {
  /** Child processes at most. */
  readonly concurrency: number
  /** Jobs that may wait. */
  readonly queue: number
  /** Ms one job may take. */
  readonly timeout: number
  /** Bytes of memory a child may have. */
  readonly maxMemory: number
}

interface Job {
  readonly order: Order
  readonly isBackground: boolean
  readonly resolve: (answer: Answer<unknown>) => void
  readonly reject: (error: ArtworkError) => void
}
interface Child {
  readonly process: ChildProcess
  job: Job | undefined
  timer: NodeJS.Timeout | undefined
}

/** A child that has not said that it is there by then is not going to, ms. */
const START_TIMEOUT = 15_000
/** Starts that may follow each other at once, and how many more a second. */
const BURST = 24
const STARTS_PER_SECOND = 4
/** A child makes way for a new one after so many jobs: what leaks, leaks no further. */
const JOBS_PER_CHILD = 5000

/**
 * All that a child knows of its surroundings: nothing of the app's environment, in which there are tokens, keys and
 * passwords. Systems need a few names to start a process at all.
 */
const ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  ['SystemRoot', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'FONTCONFIG_PATH', 'TZ']
    .map((name) => [name, process.env[name]] as const)
    .filter(([, value]) => value !== undefined),
)

/** From sources (tests, the example) the worker is TypeScript and needs the loader; built, it is JavaScript. */
function workerScript(): { path: string; execArgv: string[] } {
  const built = import.meta.url.endsWith('.js')
  const path = fileURLToPath(new URL(built ? './worker.js' : './worker.ts', import.meta.url))
  const loader = () => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return { path, execArgv: built ? [] : ['--import', loader()] }
}

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
  const { maxPixels, maxAvifPixels, maxFrames, formats, maxMemory } = options
  const limits: DecodeLimits = { maxPixels, maxAvifPixels, maxFrames, formats }
  const children = new Set<Child>()
  const queue: Job[] = []
  const allowance = createAllowance()
  let closed = false
  let ids = 0
  let later: NodeJS.Timeout | undefined

  const rest = ({ process }: Child): void => {
    process.unref()
    process.channel?.unref()
  }
  const wake = ({ process }: Child): void => {
    process.ref()
    process.channel?.ref()
  }
  /** Takes the job from a child, which has none then. */
  const release = (child: Child): Job | undefined => {
    const { job } = child
    clearTimeout(child.timer)
    child.job = undefined
    return job
  }
  /** Ends a child, and its job with it. */
  const end = (child: Child, error?: ArtworkError): void => {
    children.delete(child)
    const job = release(child)
    child.process.kill('SIGKILL')
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
  const give = (child: Child, job: Job, ms: number): void => {
    child.job = job
    wake(child)
    arm(child, ms)
    child.process.send(job.order, (error) => {
      if (error === null || child.job !== job) return
      end(child, new ArtworkError('processing', 'the image could not be processed', { cause: error }))
      dispatch()
    })
  }
  const start = (first: Job): void => {
    const { path, execArgv } = workerScript()
    const child: Child = {
      process: fork(path, [String(maxMemory)], {
        execArgv,
        env: ENVIRONMENT,
        // Relative paths lead to nothing of the app's.
        cwd: tmpdir(),
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      }),
      job: undefined,
      timer: undefined,
    }
    children.add(child)
    let done = 0
    const lost = (error: ArtworkError): void => {
      if (!children.has(child)) return
      end(child, error)
      dispatch()
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
  /** Hands out what waits, as far as there are children. */
  const dispatch = (): void => {
    while (queue.length > 0 && !closed) {
      const idle = [...children].find((child) => child.job === undefined)
      if (idle === undefined && children.size >= options.concurrency) return
      if (idle === undefined) {
        const wait = allowance.take()
        if (wait > 0) {
          later ??= setTimeout(() => {
            later = undefined
            dispatch()
          }, wait)
          return
        }
      }
      const job = queue.shift()
      if (job === undefined) return
      if (idle === undefined) start(job)
      else give(idle, job, options.timeout)
    }
  }
  const isFull = (): boolean => {
    const free = options.concurrency - [...children].filter((child) => child.job !== undefined).length
    return queue.length - Math.max(0, free) >= options.queue
  }

  const run = async <T>(job: Order['job'], args: readonly unknown[], about: JobOptions = {}): Promise<T> => {
    const { signal, isBackground = false } = about
    if (closed) throw new ArtworkError('unavailable', 'shutting down')
    const gone = () => new ArtworkError('cancelled', 'nobody waits for this image any more')
    if (signal?.aborted) throw gone()
    if (isFull()) throw new ArtworkError('unavailable', 'too many images are being made', { retryAfter: 2 })
    ids += 1
    const order: Order = { id: ids, job, args: [...args, limits] }
    const answer = await new Promise<Answer<unknown>>((resolve, reject) => {
      const one: Job = { order, isBackground, resolve, reject }
      // What waits and is not wanted any more is not begun; what runs is finished, for the next one who asks.
      const leave = (): void => {
        const place = queue.indexOf(one)
        if (place < 0) return
        queue.splice(place, 1)
        reject(gone())
      }
      signal?.addEventListener('abort', leave, { once: true })
      const place = isBackground ? -1 : queue.findIndex((other) => other.isBackground)
      queue.splice(place < 0 ? queue.length : place, 0, one)
      dispatch()
    })
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
      waiting: queue.length,
    }),
    close: async () => {
      closed = true
      clearTimeout(later)
      const over = () => new ArtworkError('unavailable', 'shutting down')
      for (const job of queue.splice(0)) job.reject(over())
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

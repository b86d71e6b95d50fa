/**
 * The transformer that decodes in child processes, the default: a hostile file, a leak or a crash of libvips
 * costs its own request and nothing else, and encodes never hold the thread pool that files and DNS need.
 */
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import workerpool, { type Pool } from 'workerpool'
import { ArtworkError, errorFromCode } from '../model/errors.js'
import type { DecodeLimits, Inspected, Made, Transformer } from './transformer.js'
import type { Answer } from './worker.js'

/** How the pool works. */
export interface PoolOptions extends DecodeLimits {
  /** Child processes at most. */
  readonly concurrency: number
  /** Jobs that may wait. */
  readonly queue: number
  /** Ms one job may take. */
  readonly timeout: number
}

/** From sources (tests, the example) the worker is TypeScript and needs the loader; built, it is JavaScript. */
function workerScript(): { path: string; execArgv: string[] } {
  const built = import.meta.url.endsWith('.js')
  const path = fileURLToPath(new URL(built ? './worker.js' : './worker.ts', import.meta.url))
  const loader = () => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return { path, execArgv: built ? [] : ['--import', loader()] }
}

/** Makes a pool; its first child starts with its first job. */
export function createWorkerPool(options: PoolOptions): Transformer {
  const limits: DecodeLimits = {
    maxPixels: options.maxPixels,
    maxFrames: options.maxFrames,
    formats: options.formats,
  }
  let pool: Pool | undefined
  let closed = false
  const start = (): Pool => {
    const { path, execArgv } = workerScript()
    return workerpool.pool(path, {
      workerType: 'process',
      maxWorkers: options.concurrency,
      maxQueueSize: options.queue,
      forkOpts: { serialization: 'advanced', execArgv, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
      workerTerminateTimeout: 500,
    })
  }

  const run = async <T>(job: string, args: readonly unknown[]): Promise<T> => {
    if (closed) throw new ArtworkError('unavailable', 'shutting down')
    pool ??= start()
    let answer: Answer<T>
    try {
      answer = await pool.exec(job, [...args, limits]).timeout(options.timeout)
    } catch (error) {
      throw explain(error)
    }
    if (!answer.ok) throw errorFromCode(answer.code, answer.message)
    return answer.value
  }

  return {
    inspect: (bytes, kind) =>
      kind === 'svg'
        ? Promise.resolve({ width: 0, height: 0, frames: 1 })
        : run<Inspected>('inspect', [bytes, kind]),
    transform: async (bytes, kind, recipe) => {
      const made = await run<Made>('transform', [bytes, kind, recipe])
      return { ...made, bytes: Buffer.from(made.bytes.buffer, made.bytes.byteOffset, made.bytes.byteLength) }
    },
    close: async () => {
      closed = true
      await pool?.terminate(true)
    },
  }
}

/** What became of a job that got no answer. */
function explain(error: unknown): ArtworkError {
  const text = error instanceof Error ? error.message : ''
  if (error instanceof workerpool.Promise.TimeoutError)
    return new ArtworkError('decode_timeout', 'the image took too long to decode', { cause: error })
  if (/max queue size/i.test(text))
    return new ArtworkError('unavailable', 'too many images are being made', { cause: error, retryAfter: 2 })
  return new ArtworkError('processing', 'the image could not be processed', { cause: error })
}

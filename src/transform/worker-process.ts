/**
 * One child as the pool sees it, from its start to its end. It has one job at a time, is killed when that takes too long,
 * and ends when it has grown too large, or has had nothing to do for a while: at rest an app has no decoders.
 */
import type { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { ArtworkError } from '../model/failure.js'
import type { QueuePosition } from './fair-queue.js'
import { createTimeLimit, killWorker } from './kill-worker.js'
import { type Answer, GROWN, INPUT_PIPE, type JobMessage } from './messages.js'

/** A job with the promise that waits for it. */
export interface WorkerJob extends QueuePosition {
  readonly message: JobMessage
  /** The image; written to the child, and not changed meanwhile. */
  readonly bytes: Uint8Array
  readonly resolve: (answer: Answer<unknown>) => void
  readonly reject: (error: ArtworkError) => void
}

/** A job for a child that has not had it. */
export interface WorkerTask {
  readonly job: WorkerJob
  /** Whether its pixels are kept for another job. */
  readonly isKept: boolean
}

/** What the pool hears of a child. */
export interface WorkerEvents {
  /** It has started. */
  onReady(): void
  /** It has ended. */
  onEnd(worker: WorkerProcess): void
  /** It, or its place, is free. */
  onFree(): void
  /** It ended before it was ready, with a job that says nothing of why. */
  onFailedStart(job: WorkerJob, error: ArtworkError): void
}

/** See the top of the file. */
export interface WorkerProcess {
  job(): WorkerJob | undefined
  /** What the pixels follow from that it has, or is about to have. */
  pixels(): string | undefined
  run(task: WorkerTask): void
  /** Ends the child and its job, and waits until the process is gone. */
  close(error: ArtworkError): Promise<void>
}

/** How a child is treated. */
export interface WorkerOptions {
  /** Ms one job may take. */
  readonly timeout: number
  readonly sandbox: readonly string[]
  /** Ms after which a child without a job ends. @default a minute */
  readonly idleTimeout?: number
}

/** Ms in which a child must be ready. */
const START_TIMEOUT = 15_000
/** Ms that a child waits for its next job. */
const IDLE_TIMEOUT = 60_000
/** A child is replaced after so many jobs, which bounds leaks. */
const JOBS_PER_CHILD = 5000

/** The failure of a job whose child ended. */
export const processingFailed = (cause?: unknown): ArtworkError =>
  new ArtworkError('processing', 'the image could not be processed', { cause })

/** Takes charge of a child that was started for a job. */
export function createWorkerProcess(
  child: ChildProcess,
  first: WorkerTask,
  options: WorkerOptions,
  events: WorkerEvents,
): WorkerProcess {
  let job: WorkerJob | undefined
  let pixels: string | undefined
  let isReady = false
  let isEnded = false
  let done = 0
  const input = child.stdio[INPUT_PIPE]
  if (!(input instanceof Socket)) throw new TypeError('the child was started without its pipe')
  // That it cannot be written to is heard of when the child ends.
  input.on('error', () => {})
  /** An idle child does not keep this process alive. */
  const setBusy = (isBusy: boolean): void => {
    for (const handle of [child, child.channel, input])
      if (isBusy) handle?.ref()
      else handle?.unref()
  }
  let idle: NodeJS.Timeout | undefined
  const release = (): WorkerJob | undefined => {
    const released = job
    timeLimit.clear()
    clearTimeout(idle)
    job = undefined
    return released
  }
  const end = (error?: ArtworkError): void => {
    isEnded = true
    const released = release()
    events.onEnd(worker)
    killWorker(child, options)
    setBusy(false)
    if (error !== undefined) released?.reject(error)
  }
  const timeLimit = createTimeLimit(() => {
    end(new ArtworkError('decode_timeout', 'the image took too long to decode'))
    events.onFree()
  })
  const lost = (error: ArtworkError): void => {
    if (isEnded) return
    const unstarted = isReady ? undefined : release()
    end(error)
    if (unstarted !== undefined) events.onFailedStart(unstarted, error)
    else events.onFree()
  }
  const run = ({ job: next, isKept }: WorkerTask): void => {
    job = next
    pixels = isKept ? next.message.pixels : undefined
    clearTimeout(idle)
    setBusy(true)
    timeLimit.set(isReady ? options.timeout : START_TIMEOUT)
    child.send({ ...next.message, isKept } satisfies JobMessage, (error) => {
      if (error !== null && job === next) lost(processingFailed(error))
    })
    input.write(next.bytes)
  }
  const answered = (answer: Answer<unknown> & { id: number; isFull: boolean }): void => {
    if (job?.message.id !== answer.id) return
    done += 1
    release()?.resolve(answer)
    setBusy(false)
    if (answer.isFull || done >= JOBS_PER_CHILD) end()
    else idle = setTimeout(end, options.idleTimeout ?? IDLE_TIMEOUT).unref()
    events.onFree()
  }
  const worker: WorkerProcess = {
    job: () => job,
    pixels: () => pixels,
    run,
    close: (error) =>
      new Promise<void>((resolve) => {
        child.once('exit', () => resolve())
        if (child.exitCode !== null || child.signalCode !== null) resolve()
        end(error)
        // This process stays until the child is gone.
        child.ref()
      }),
  }
  child.on('error', (error) => lost(processingFailed(error)))
  child.on('exit', (code, signal) => {
    const cause = new Error(`the decoder ended: ${code ?? signal}`)
    lost(
      code === GROWN
        ? new ArtworkError('too_large', 'the image needs too much memory', { cause })
        : processingFailed(cause),
    )
  })
  child.on('message', (message: 'ready' | (Answer<unknown> & { id: number; isFull: boolean })) => {
    if (message !== 'ready') return answered(message)
    isReady = true
    events.onReady()
    if (job !== undefined) timeLimit.set(options.timeout)
  })
  run(first)
  return worker
}

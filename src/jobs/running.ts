/** What the processors of every queue have in common: their limits, how a handler is run, and waiting for what changes. */
import { asArtworkError } from '../model/failure.js'
import type { Handler, Job, JobContext, JobProcessorOptions, Outcome } from '../model/job-queue.js'

/** Long jobs at once, and tasks at once that request one host. */
export const MAX_LONG_JOBS = 2
export const MAX_PER_HOST = 2
export const POLL_INTERVAL_MS = 250
const PROGRESS_INTERVAL_MS = 200

/** Progress of a job, written a few times a second at most. */
export function createProgress(write: (done: number, total: number) => void) {
  let writtenAt = 0
  return (done: number, total: number): void => {
    if (done < total && performance.now() - writtenAt < PROGRESS_INTERVAL_MS) return
    writtenAt = performance.now()
    write(done, total)
  }
}

/** Writes that the database refused are tried again at each poll. */
export function createPendingWrites() {
  const pending = new Map<string, () => boolean>()
  return {
    /** @param write returns whether it could be written */
    write: (ticket: string, write: () => boolean): void => {
      if (!write()) pending.set(ticket, write)
    },
    flush: (): void => {
      for (const [ticket, write] of pending) if (write()) pending.delete(ticket)
    },
  }
}

/** Waiting for a change, with a timeout. */
export function createChangeSignal() {
  const waiting = new Set<() => void>()
  return {
    emit: (): void => {
      for (const resolve of [...waiting]) resolve()
    },
    wait: (signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(done, POLL_INTERVAL_MS)
        function done(): void {
          clearTimeout(timer)
          waiting.delete(done)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        waiting.add(done)
        signal?.addEventListener('abort', done, { once: true })
      }),
  }
}

/** Runs the handler of a job. Returns undefined where the end of the process cut it short: then it is queued again. */
export async function runHandler(
  job: Job,
  handler: Handler | undefined,
  context: JobContext,
  { isClosed, logger }: Pick<JobProcessorOptions, 'logger'> & { isClosed(): boolean },
): Promise<Outcome | undefined> {
  try {
    if (handler === undefined) throw new Error(`there is no work of the kind ${job.kind}`)
    const outcome = await handler(job, context)
    return isClosed() && outcome.state === 'cancelled' ? undefined : outcome
  } catch (error) {
    if (context.signal.aborted) return isClosed() ? undefined : { state: 'cancelled' }
    const failure = asArtworkError(error)
    if (failure.code === 'unknown') logger.error({ err: error, job: job.key }, 'artwork: a job failed')
    return { state: 'failed', reason: failure.reason, error: failure.message }
  }
}

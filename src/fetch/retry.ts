/** When a request is tried again: attempts, back-off with jitter, and one deadline for all of them. */
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { requirePackage } from '../package-files.js'

const FIRST_BACKOFF = 150

/** See {@link createDeadline}. */
export interface Deadline {
  readonly signal: AbortSignal
  /** The first attempt has begun: until then, time passes in a queue. */
  begin(): void
  /** Ms that are left. */
  left(): number
  /** The error to throw for one that was caught: why the signal was aborted, if it was. */
  explain(error: unknown): unknown
  clear(): void
}

/** What ends with a signal. One listener of each hears for all: Node warns of a signal with more than ten. */
const followers = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `end` when a signal is aborted. `AbortSignal.any` is not used: in Node 20 a signal that outlives the request keeps a
 * reference for each that followed from it, for good. @returns stops that
 */
function follow(signal: AbortSignal, end: () => void): () => void {
  if (signal.aborted) end()
  const known = followers.get(signal)
  const all = known ?? new Set()
  if (known === undefined) {
    followers.set(signal, all)
    signal.addEventListener(
      'abort',
      () => {
        for (const one of [...all]) one()
      },
      { once: true },
    )
  }
  all.add(end)
  return () => void all.delete(end)
}

/** The end of all attempts of a request: by time, ms, or by one of the signals. */
export function createDeadline(totalTimeout: number, signals: readonly AbortSignal[]): Deadline {
  const controller = new AbortController()
  const { signal } = controller
  const startedAt = performance.now()
  let hasBegun = false
  const expire = (): void =>
    controller.abort(
      hasBegun
        ? new ArtworkError('timeout', 'the source took too long in all')
        : new ArtworkError('unavailable', 'too many images are being fetched', { retryAfter: 2 }),
    )
  const timer = setTimeout(expire, totalTimeout)
  const stops = signals.map((other) => follow(other, () => controller.abort(other.reason)))
  return {
    signal,
    begin: () => {
      hasBegun = true
    },
    left: () => totalTimeout - (performance.now() - startedAt),
    explain: (error) => {
      if (!signal.aborted) return error
      return signal.reason instanceof ArtworkError
        ? signal.reason
        : new ArtworkError('cancelled', 'nobody waits for this image any more')
    },
    clear: () => {
      clearTimeout(timer)
      for (const stop of stops) stop()
    },
  }
}

/** Which failures are tried again, how often, and after how long. */
export const retryPolicy = (retries: number, deadline: Pick<Deadline, 'signal' | 'left'>) => {
  const { DelegateBackoff, handleWhen, retry } = requirePackage<typeof import('cockatiel')>('cockatiel')
  return retry(
    handleWhen((error) => {
      const { retried, retryAfter = 0 } = asArtworkError(error)
      return retried && !deadline.signal.aborted && retryAfter * 1000 < deadline.left()
    }),
    {
      maxAttempts: retries,
      backoff: new DelegateBackoff(({ attempt, result }) => {
        const retryAfter = 'error' in result ? asArtworkError(result.error).retryAfter : undefined
        const step = FIRST_BACKOFF * 2 ** (attempt - 1)
        return retryAfter === undefined
          ? step * (0.5 + Math.random())
          : retryAfter * 1000 + Math.random() * step
      }),
    },
  )
}

/**
 * A circuit breaker per host: after so many failures in a row no request is sent to it for a while. A library's does
 * not let the clock be passed in.
 */
import { ArtworkError } from '../model/failure.js'

interface State {
  failures: number
  openedAt: number | undefined
  probing: boolean
}

/** How a breaker behaves. Times in ms. */
export interface BreakerOptions {
  /** @default 10 */
  readonly threshold?: number
  /** @default 60,000 */
  readonly openFor?: number
  readonly now: () => number
}

const MAX_HOSTS = 5000

/** Makes the breakers of all hosts. */
export function createCircuitBreakers({ threshold = 10, openFor = 60_000, now }: BreakerOptions) {
  const hosts = new Map<string, State>()
  let onChange = (_host: string, _isResting: boolean): void => {}
  const stateOf = (host: string): State => {
    const known = hosts.get(host)
    if (known !== undefined) return known
    if (hosts.size >= MAX_HOSTS)
      for (const oldest of [...hosts.keys()].slice(0, MAX_HOSTS / 10)) hosts.delete(oldest)
    const made: State = { failures: 0, openedAt: undefined, probing: false }
    hosts.set(host, made)
    return made
  }
  /** Ms until an open breaker lets one call through; 0 when it does. A clock that was set back opens it too. */
  const waits = (state: State): number => {
    if (state.openedAt === undefined) return 0
    const past = now() - state.openedAt
    return past < 0 ? 0 : Math.max(0, openFor - past)
  }
  return {
    /**
     * Runs a call to the host. A failure for which `counts` is true, after all its retries, counts once.
     * @throws ArtworkError `unavailable` (503) at once while the breaker is open
     */
    run: async <T>(host: string, call: () => Promise<T>, counts: (error: unknown) => boolean): Promise<T> => {
      const state = stateOf(host)
      const wait = waits(state)
      if (wait > 0 || (state.openedAt !== undefined && state.probing)) {
        const retryAfter = Math.max(1, Math.ceil(wait / 1000))
        throw new ArtworkError('unavailable', 'the source of this image is resting after failures', {
          retryAfter,
        })
      }
      state.probing = state.openedAt !== undefined
      try {
        const result = await call()
        hosts.delete(host)
        if (state.openedAt !== undefined) onChange(host, false)
        return result
      } catch (error) {
        if (counts(error)) {
          // The one of now: what was under way when the host recovered begins to count anew.
          const counted = stateOf(host)
          counted.failures += 1
          if (counted.failures >= threshold) {
            counted.openedAt = now()
            onChange(host, true)
          }
        } else if (!isCancelled(error)) hosts.delete(host)
        throw error
      } finally {
        state.probing = false
      }
    },
    /** Called as a host begins to rest, or to rest once more, and as it has recovered. */
    watch: (listener: (host: string, isResting: boolean) => void): void => {
      onChange = listener
    },
    /** What another node has found of a host: it rests here too, or does not. */
    heard: (host: string, isResting: boolean): void => {
      if (!isResting) hosts.delete(host)
      else Object.assign(stateOf(host), { failures: threshold, openedAt: now() })
    },
    /** Hosts that are resting now. */
    open: (): readonly string[] => [...hosts].filter(([, state]) => waits(state) > 0).map(([host]) => host),
  }
}

const isCancelled = (error: unknown): boolean => error instanceof ArtworkError && error.code === 'cancelled'

/** A circuit breaker around an engine that all nodes share: after failures in a row it is left alone for a while. */
import { ArtworkError } from '../../model/failure.js'

/** See the top of the file. */
export interface Breaker {
  /** @throws ArtworkError `unavailable` (503) at once while it is open, else what the call throws */
  run<T>(call: () => Promise<T>): Promise<T>
  isOpen(): boolean
  /** Why calls fail, undefined while they succeed. */
  reason(): string | undefined
}

/** How a breaker behaves. */
export interface BreakerOptions {
  /** Failures in a row after which it opens. @default 3 */
  readonly threshold?: number
  /** Ms after which one call is let through. @default 5 s */
  readonly openFor?: number
  /** A clock that does not jump, ms. @default `performance.now` */
  readonly clock?: () => number
  /** Called when it opens, with why, and when it closes again. */
  onChange?(reason: string | undefined): void
}

const THRESHOLD = 3
const OPEN_FOR = 5000

/** Makes a breaker of an engine. @param name in messages */
export function createBreaker(name: string, options: BreakerOptions = {}): Breaker {
  const { threshold = THRESHOLD, openFor = OPEN_FOR, clock = () => performance.now(), onChange } = options
  let failures = 0
  let openUntil: number | undefined
  let isProbing = false
  let reason: string | undefined
  const isOpen = (): boolean => openUntil !== undefined && (clock() < openUntil || isProbing)
  return {
    run: async (call) => {
      if (isOpen())
        throw new ArtworkError('unavailable', `${name} is left alone after failures`, { retryAfter: 5 })
      isProbing = openUntil !== undefined
      try {
        const result = await call()
        failures = 0
        openUntil = undefined
        if (reason !== undefined) onChange?.(undefined)
        reason = undefined
        return result
      } catch (error) {
        failures += 1
        const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
        if (failures >= threshold) {
          openUntil = clock() + openFor
          if (reason === undefined) onChange?.(why)
          reason = why
        }
        throw error
      } finally {
        isProbing = false
      }
    },
    isOpen,
    reason: () => reason,
  }
}

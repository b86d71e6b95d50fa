/** Bounded concurrency: a limiter, single flight, work that is done one after another by key, and waiting for a time. */
import { ArtworkError } from './model/failure.js'

/** How a limiter is set up. */
export interface LimiterOptions {
  /** Weight of the work that runs at once, in all: a number, or what it is now. */
  readonly capacity: number | (() => number)
  /** Most calls that wait. @default no bound */
  readonly maxWaiting?: number
  /** The message of a refusal (503, `Retry-After: 2`). */
  readonly overloaded?: string
}

/** What one call may say. */
export interface LimitedCall {
  /** Its share of the capacity; more than there is counts as all of it. @default 1 */
  readonly weight?: number
  /** Stops waiting; work that has begun is not touched. */
  readonly signal?: AbortSignal | undefined
}

/** A semaphore with a queue: calls begin in their order. */
export interface Limiter {
  /**
   * Runs `work` when there is room for it.
   * @throws ArtworkError `unavailable` (503) when too many wait; what its signal was aborted with, else `cancelled`;
   *   and what the work throws
   */
  run<T>(work: () => Promise<T>, call?: LimitedCall): Promise<T>
  /** Calls that run, and calls that wait. */
  load(): { readonly running: number; readonly waiting: number }
  /** Drops what waits: those calls never begin, and their promises stay pending. */
  clear(): void
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>
}

interface Waiter {
  readonly weight: number
  readonly begin: () => void
}

const abortError = ({ reason }: AbortSignal): ArtworkError =>
  reason instanceof ArtworkError
    ? reason
    : new ArtworkError('cancelled', 'nobody waits for this image any more')

/** Makes a limiter. */
export function createLimiter(options: LimiterOptions): Limiter {
  const {
    capacity,
    maxWaiting = Number.POSITIVE_INFINITY,
    overloaded = 'too many images are being handled',
  } = options
  let waiting: Waiter[] = []
  let onIdle: (() => void)[] = []
  const limit = typeof capacity === 'function' ? capacity : () => capacity
  let used = 0
  let running = 0

  /** What weighs more than there is capacity for begins once nothing else runs. */
  const hasRoom = (weight: number): boolean => used === 0 || used + weight <= limit()
  const start = (weight: number): void => {
    used += weight
    running += 1
  }
  const beginNext = (): void => {
    for (let next = waiting[0]; next !== undefined && hasRoom(next.weight); next = waiting[0]) {
      waiting.shift()
      start(next.weight)
      next.begin()
    }
    if (running > 0 || waiting.length > 0) return
    for (const resolve of onIdle) resolve()
    onIdle = []
  }
  const wait = (weight: number, signal: AbortSignal | undefined): Promise<void> => {
    if (waiting.length >= maxWaiting) throw new ArtworkError('unavailable', overloaded, { retryAfter: 2 })
    let leave = (): void => {}
    return new Promise<void>((begin, reject) => {
      const waiter = { weight, begin }
      waiting.push(waiter)
      leave = () => {
        waiting = waiting.filter((one) => one !== waiter)
        if (signal !== undefined) reject(abortError(signal))
        beginNext()
      }
      signal?.addEventListener('abort', leave, { once: true })
    }).finally(() => signal?.removeEventListener('abort', leave))
  }
  return {
    run: async (work, { weight: asked = 1, signal } = {}) => {
      if (signal?.aborted) throw abortError(signal)
      const weight = Math.min(asked, limit())
      // Room is handed to the first that waits, so that nobody slips in between.
      if (waiting.length === 0 && hasRoom(weight)) start(weight)
      else await wait(weight, signal)
      try {
        return await work()
      } finally {
        used -= weight
        running -= 1
        beginNext()
      }
    },
    load: () => ({ running, waiting: waiting.length }),
    clear: () => {
      waiting = []
    },
    idle: async () => {
      if (running > 0 || waiting.length > 0) await new Promise<void>((resolve) => onIdle.push(resolve))
    },
  }
}

/** A limiter for each key, which is there while it is used. */
export function createKeyedLimiter(options: LimiterOptions): {
  /** As `Limiter.run`, among the calls of a key. */
  run<T>(key: string, work: () => Promise<T>, call?: LimitedCall): Promise<T>
} {
  const limiters = new Map<string, Limiter>()
  return {
    run: async (key, work, call) => {
      const limiter = limiters.get(key) ?? createLimiter(options)
      limiters.set(key, limiter)
      try {
        return await limiter.run(work, call)
      } finally {
        const { running, waiting } = limiter.load()
        if (running + waiting === 0) limiters.delete(key)
      }
    },
  }
}

interface Flight {
  readonly promise: Promise<unknown>
  readonly controller: AbortController
  waiting: number
}

/** Single flight: callers with the same key share one piece of work, which is aborted when the last of them has left. */
export interface SingleFlight {
  /** Runs `work` for the key, or joins what runs for it. All callers must mean the same type by a key. */
  run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Whether work for the key runs. */
  has(key: string): boolean
  /** Resolves when nothing runs. */
  idle(): Promise<void>
}

/** Makes a single flight. */
export function createSingleFlight(): SingleFlight {
  const flights = new Map<string, Flight>()

  const start = (key: string, work: (signal: AbortSignal) => Promise<unknown>): Flight => {
    const controller = new AbortController()
    const promise = work(controller.signal).finally(() => {
      if (flights.get(key)?.controller === controller) flights.delete(key)
    })
    promise.catch(() => {})
    const flight = { promise, controller, waiting: 0 }
    flights.set(key, flight)
    return flight
  }
  const join = async <T>(key: string, flight: Flight, signal: AbortSignal | undefined): Promise<T> => {
    flight.waiting += 1
    let leave = () => {}
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => reject(new ArtworkError('cancelled', 'nobody waits for this image any more'))
      if (signal?.aborted) leave()
      signal?.addEventListener('abort', leave, { once: true })
    })
    try {
      return (await Promise.race([flight.promise, left])) as T
    } finally {
      signal?.removeEventListener('abort', leave)
      flight.waiting -= 1
      if (flight.waiting === 0 && signal?.aborted) {
        if (flights.get(key) === flight) flights.delete(key)
        flight.controller.abort()
      }
    }
  }
  return {
    run: (key, work, signal) => join(key, flights.get(key) ?? start(key, work), signal),
    has: (key) => flights.has(key),
    idle: async () => {
      while (flights.size > 0) await Promise.allSettled([...flights.values()].map(({ promise }) => promise))
    },
  }
}

/** Serial work: what is run for a key begins when what was run for it before has ended, well or not. */
export interface Serial {
  run<T>(key: string, work: () => Promise<T>): Promise<T>
}

/** Makes one. */
export function createSerial(): Serial {
  const limiter = createKeyedLimiter({ capacity: 1 })
  return { run: (key, work) => limiter.run(key, work) }
}

/** Work that is done once, when it is first asked for; one that failed is tried anew by the next call. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    if (result === undefined) {
      const begun = work()
      result = begun
      begun.catch(() => {
        if (result === begun) result = undefined
      })
    }
    return result
  }
}

/** Waits for the work, but not for longer than this, ms. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

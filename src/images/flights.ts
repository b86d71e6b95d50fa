/** Single flight: many askers of one thing share one piece of work, which stops when the last of them has gone. */
import { ArtworkError } from '../model/failure.js'

interface Flight {
  readonly promise: Promise<unknown>
  readonly controller: AbortController
  waiting: number
}

/** Work under way, by key. */
export function createFlights() {
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
  /** Waits for the flight until it lands, or until this asker goes. */
  const join = async <T>(key: string, flight: Flight, asker: AbortSignal | undefined): Promise<T> => {
    flight.waiting += 1
    let leave = () => {}
    const gone = new Promise<never>((_resolve, reject) => {
      leave = () => reject(new ArtworkError('cancelled', 'nobody waits for this image any more'))
      if (asker?.aborted) leave()
      asker?.addEventListener('abort', leave, { once: true })
    })
    try {
      return (await Promise.race([flight.promise, gone])) as T
    } finally {
      asker?.removeEventListener('abort', leave)
      flight.waiting -= 1
      if (flight.waiting === 0 && asker?.aborted) {
        if (flights.get(key) === flight) flights.delete(key)
        flight.controller.abort()
      }
    }
  }
  return {
    /** Runs `work` for the key, or joins the one that is under way. All askers must mean the same type by a key. */
    run: <T>(key: string, work: (signal: AbortSignal) => Promise<T>, asker?: AbortSignal): Promise<T> =>
      join<T>(key, flights.get(key) ?? start(key, work), asker),
    /** Whether work for the key is under way. */
    has: (key: string): boolean => flights.has(key),
    /** Resolves when everything that is under way has landed, well or not. */
    idle: async (): Promise<void> => {
      while (flights.size > 0) await Promise.allSettled([...flights.values()].map((flight) => flight.promise))
    },
  }
}

/** See the top of the file. */
export type Flights = ReturnType<typeof createFlights>

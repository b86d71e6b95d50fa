/** How many exchanges run at once, in all and per host; more wait, up to a bound. */
import { createKeyedLimiter, createLimiter } from '../concurrency.js'

/** Exchanges that wait, in all and per host. */
const MAX_WAITING = 1000

/** Makes the limits of a fetcher. */
export function createConnectionLimits(limits: { readonly maxSockets: number; readonly perHost: number }) {
  const bounds = { maxWaiting: MAX_WAITING, overloaded: 'too many images are being fetched' }
  const all = createLimiter({ ...bounds, capacity: limits.maxSockets })
  const hosts = createKeyedLimiter({ ...bounds, capacity: limits.perHost })
  return {
    /** Runs `work` when there is room. @throws ArtworkError `unavailable` when too many wait */
    run: <T>(host: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> =>
      hosts.run(host, () => all.run(work, { signal }), { signal }),
  }
}

/** How many exchanges run at once, in all and per host; more wait, up to a bound. */
import { createKeyedLimiter, createLimiter } from '../concurrency.js'

/** Exchanges that wait, in all and per host. */
const MAX_WAITING = 1000

/** Makes the limits of a fetcher. */
export function createConnectionLimits(limits: { readonly maxSockets: number; readonly perHost: number }) {
  let nodes = (): number => 1
  const bounds = { maxWaiting: MAX_WAITING, overloaded: 'too many images are being fetched' }
  const all = createLimiter({ ...bounds, capacity: limits.maxSockets })
  const hosts = createKeyedLimiter({
    ...bounds,
    capacity: () => Math.max(1, Math.floor(limits.perHost / nodes())),
  })
  return {
    /** Takes the number of nodes that share the limit of a host. */
    divideBy: (count: () => number): void => {
      nodes = count
    },
    /** Runs `work` when there is room. @throws ArtworkError `unavailable` when too many wait */
    run: <T>(host: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> =>
      hosts.run(host, () => all.run(work, { signal }), { signal }),
  }
}

/** Places: how many exchanges run at once, in all and per host. Who finds none waits in a bounded line. */
import { BulkheadPolicy, BulkheadRejectedError } from 'cockatiel'
import { ArtworkError } from '../model/failure.js'

/** Waiting exchanges, in all and per host. */
const LINE = 1000

/** Makes the places of a fetcher. */
export function createPlaces(limits: { readonly maxSockets: number; readonly perHost: number }) {
  const all = new BulkheadPolicy(limits.maxSockets, LINE)
  const hosts = new Map<string, BulkheadPolicy>()
  return {
    /** Runs `work` when there is a place. @throws ArtworkError `unavailable` when the line is full */
    run: async <T>(host: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> => {
      const own = hosts.get(host) ?? new BulkheadPolicy(limits.perHost, LINE)
      hosts.set(host, own)
      try {
        return await own.execute(() => all.execute(work, signal), signal)
      } catch (error) {
        if (error instanceof BulkheadRejectedError)
          throw new ArtworkError('unavailable', 'too many images are being fetched', { retryAfter: 2 })
        throw error
      } finally {
        if (own.executionSlots === limits.perHost && own.queueSlots === LINE) hosts.delete(host)
      }
    },
  }
}

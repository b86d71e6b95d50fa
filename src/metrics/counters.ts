/** What has happened since start, counted by listening to events. */
import type { Events } from '../events.js'

/** Counts since start. */
export interface Counts {
  /** Images that were served from memory. */
  memoryHits: number
  /** Images that were served from disk. */
  diskHits: number
  /** Images that had to be fetched. */
  misses: number
  /** Requests that went upstream. */
  upstreamRequests: number
  /** Images that were made. */
  encodes: number
  /** Images that could not be had. */
  failures: number
}

const COUNTED = { memory: 'memoryHits', disk: 'diskHits', upstream: 'misses' } as const

/** Counts from now on; the object that is returned changes. */
export function createCounters(events: Pick<Events, 'on'>): Counts {
  const counts: Counts = {
    memoryHits: 0,
    diskHits: 0,
    misses: 0,
    upstreamRequests: 0,
    encodes: 0,
    failures: 0,
  }
  events.on('image-served', ({ from }) => {
    counts[COUNTED[from]] += 1
  })
  events.on('upstream-request', () => {
    counts.upstreamRequests += 1
  })
  events.on('image-encode', () => {
    counts.encodes += 1
  })
  events.on('operation-failed', () => {
    counts.failures += 1
  })
  return counts
}

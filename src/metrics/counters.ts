/** What has happened since start, counted by listening to events. */
import type { Events } from '../events.js'

/** Counts since start. */
export interface Counts {
  memoryHits: number
  diskHits: number
  misses: number
  upstreamRequests: number
  encodes: number
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

/**
 * What the dashboard draws: how answers, bytes and the queue came on over time, how long work took, and how hosts fare.
 * Of this process, since it began; what is older than a day is let go.
 */
import { hostOf } from '../model/web-url.js'
import type { Counts } from './counters.js'
import type { WorkObserver } from './observe-work.js'

/** What is looked at: counters since the start of the process, and how things stand. */
export interface Snapshot {
  readonly requests: Readonly<Counts>
  readonly bytes: number
  readonly memoryBytes: number
  readonly queued: number
  readonly running: number
}

/** A span of time: what happened in it, and how things stood at its end. `at` in ms since the epoch. */
export interface Sample {
  readonly at: number
  /** Answers by the layer that had them. */
  readonly memory: number
  readonly disk: number
  readonly upstream: number
  readonly failures: number
  readonly encodes: number
  readonly bytes: number
  readonly memoryBytes: number
  readonly queued: number
  readonly running: number
}

/** How a host fares. Times in ms. */
export interface HostStats {
  readonly host: string
  readonly requests: number
  readonly failures: number
  readonly bytes: number
  readonly mean: number
  readonly longest: number
  readonly lastReason: string | undefined
}

/** How long something took: counts of those at most this long, ms, and the rest. */
export interface Latencies {
  readonly upTo: readonly number[]
  /** One more than bounds: the last counts what took longer than any. */
  readonly counts: readonly number[]
}

const SAMPLE_EVERY = 10_000
/** An hour of samples, and a day of those that are coarser. */
const FINE = 360
const COARSE = 288
const COARSE_OF = 30
const MAX_HOSTS = 500
const BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

/** Sums how hosts fare; of those asked longest ago no more than so many are known. */
function createHosts() {
  const hosts = new Map<string, Omit<HostStats, 'host' | 'mean'> & { readonly ms: number }>()
  return {
    record: ({ url, ms, bytes, outcome }: Parameters<WorkObserver['fetched']>[0]): void => {
      const host = hostOf(url)
      if (host === undefined || host === '') return
      const known = hosts.get(host)
      hosts.delete(host)
      const [oldest] = hosts.size >= MAX_HOSTS ? hosts.keys() : []
      if (oldest !== undefined) hosts.delete(oldest)
      const isFailure = outcome !== 'ok'
      hosts.set(host, {
        requests: (known?.requests ?? 0) + 1,
        failures: (known?.failures ?? 0) + Number(isFailure),
        bytes: (known?.bytes ?? 0) + bytes,
        ms: (known?.ms ?? 0) + ms,
        longest: Math.max(known?.longest ?? 0, ms),
        lastReason: isFailure ? outcome : known?.lastReason,
      })
    },
    /** The busiest first. */
    list: (): readonly HostStats[] =>
      [...hosts]
        .map(([host, { ms, ...one }]) => ({ host, ...one, mean: ms / one.requests }))
        .sort((a, b) => b.requests - a.requests),
  }
}

/** Counts of how long something took. */
function createLatencies() {
  const counts = new Array<number>(BOUNDS.length + 1).fill(0)
  return {
    record: (ms: number): void => {
      const place = BOUNDS.findIndex((bound) => ms <= bound)
      const index = place < 0 ? BOUNDS.length : place
      counts[index] = (counts[index] ?? 0) + 1
    },
    read: (): Latencies => ({ upTo: BOUNDS, counts: [...counts] }),
  }
}

/** Samples of a longer span as one: what happened is summed, what stands is that of the last. */
const sumOf = (samples: readonly Sample[]): Sample | undefined =>
  samples.reduce<Sample | undefined>(
    (sum, one) =>
      sum === undefined
        ? one
        : {
            ...one,
            memory: sum.memory + one.memory,
            disk: sum.disk + one.disk,
            upstream: sum.upstream + one.upstream,
            failures: sum.failures + one.failures,
            encodes: sum.encodes + one.encodes,
          },
    undefined,
  )

/** What happened between two snapshots, and how things stand at the second. */
function sampleOf({ requests, ...standing }: Snapshot, { requests: then }: Snapshot, at: number): Sample {
  return {
    at,
    ...standing,
    memory: requests.memoryHits - then.memoryHits,
    disk: requests.diskHits - then.diskHits,
    upstream: requests.misses - then.misses,
    failures: requests.failures - then.failures,
    encodes: requests.encodes - then.encodes,
  }
}

/** See the top of the file. */
export interface TimeSeries extends WorkObserver {
  /** Begins to take samples. */
  watch(look: () => Snapshot): void
  close(): void
  /** Samples, oldest first; the last one is of now. */
  series(span: 'hour' | 'day'): readonly Sample[]
  /** The busiest first. */
  hosts(): readonly HostStats[]
  latencies(): { readonly fetch: Latencies; readonly encode: Latencies }
}

/** Makes the series; they begin with `watch`. */
export function createTimeSeries(now: () => number): TimeSeries {
  let read: (() => Snapshot) | undefined
  let before: Snapshot | undefined
  let timer: NodeJS.Timeout | undefined
  const fine: Sample[] = []
  const coarse: Sample[] = []
  let pending: Sample[] = []
  const hosts = createHosts()
  const fetching = createLatencies()
  const encoding = createLatencies()
  const take = (): void => {
    const snapshot = read?.()
    if (snapshot === undefined) return
    const sample = sampleOf(snapshot, before ?? snapshot, now())
    before = snapshot
    fine.push(sample)
    if (fine.length > FINE) fine.shift()
    pending.push(sample)
    if (pending.length < COARSE_OF) return
    const sum = sumOf(pending)
    pending = []
    if (sum !== undefined) coarse.push(sum)
    if (coarse.length > COARSE) coarse.shift()
  }

  return {
    watch: (look) => {
      read = look
      before = look()
      timer = setInterval(take, SAMPLE_EVERY).unref()
    },
    close: () => clearInterval(timer),
    fetched: (work) => {
      fetching.record(work.ms)
      hosts.record(work)
    },
    transformed: ({ ms }) => encoding.record(ms),
    series: (span) => {
      const snapshot = read?.()
      const current = snapshot === undefined ? [] : [sampleOf(snapshot, before ?? snapshot, now())]
      if (span === 'hour') return [...fine, ...current]
      const last = sumOf([...pending, ...current])
      return [...coarse, ...(last === undefined ? [] : [last])]
    },
    hosts: hosts.list,
    latencies: () => ({ fetch: fetching.read(), encode: encoding.read() }),
  }
}

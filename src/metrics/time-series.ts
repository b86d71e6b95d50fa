/**
 * What the dashboard draws: how answers, bytes and the queue came on over time, how long work took, and how hosts fare.
 * Of this process, since it began; what is older than a day is let go.
 */
import type { Fetcher } from '../fetch/fetcher.js'
import { asArtworkError } from '../model/failure.js'
import { hostOf } from '../model/web-url.js'
import type { Transformer } from '../transform/transformer.js'
import type { Counts } from './counters.js'

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
const MOST_HOSTS = 500
const BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

/** See the top of the file. */
export type TimeSeries = ReturnType<typeof createTimeSeries>

/** Makes the meters; they begin with `watch`. */
export function createTimeSeries(now: () => number) {
  let read: (() => Snapshot) | undefined
  let before: Snapshot | undefined
  let timer: NodeJS.Timeout | undefined
  const fine: Sample[] = []
  const coarse: Sample[] = []
  let pending: Sample[] = []
  const hosts = new Map<
    string,
    {
      requests: number
      failures: number
      bytes: number
      ms: number
      longest: number
      lastReason: string | undefined
    }
  >()
  const empty = () => new Array<number>(BOUNDS.length + 1).fill(0)
  const took = { fetch: empty(), encode: empty() }

  const note = (counts: number[], ms: number): void => {
    const place = BOUNDS.findIndex((bound) => ms <= bound)
    const index = place < 0 ? BOUNDS.length : place
    counts[index] = (counts[index] ?? 0) + 1
  }
  const noteHost = (url: string, ms: number, bytes: number, reason: string | undefined): void => {
    const host = hostOf(url)
    if (host === undefined || host === '') return
    const known = hosts.get(host) ?? {
      requests: 0,
      failures: 0,
      bytes: 0,
      ms: 0,
      longest: 0,
      lastReason: undefined,
    }
    hosts.delete(host)
    const [oldest] = hosts.size >= MOST_HOSTS ? hosts.keys() : []
    if (oldest !== undefined) hosts.delete(oldest)
    hosts.set(host, {
      requests: known.requests + 1,
      failures: known.failures + (reason === undefined ? 0 : 1),
      bytes: known.bytes + bytes,
      ms: known.ms + ms,
      longest: Math.max(known.longest, ms),
      lastReason: reason ?? known.lastReason,
    })
  }
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
  /** What has happened since the last sample, and how things stand. */
  const look = (): { readonly reading: Snapshot; readonly sample: Sample } | undefined => {
    const reading = read?.()
    if (reading === undefined) return undefined
    const then = before?.requests ?? reading.requests
    const { requests, ...standing } = reading
    const sample: Sample = {
      at: now(),
      ...standing,
      memory: requests.memoryHits - then.memoryHits,
      disk: requests.diskHits - then.diskHits,
      upstream: requests.misses - then.misses,
      failures: requests.failures - then.failures,
      encodes: requests.encodes - then.encodes,
    }
    return { reading, sample }
  }
  const take = (): void => {
    const looked = look()
    if (looked === undefined) return
    const { reading, sample } = looked
    before = reading
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
    /** Begins to look. */
    watch: (look: () => Snapshot): void => {
      read = look
      before = look()
      timer = setInterval(take, SAMPLE_EVERY).unref()
    },
    close: (): void => clearInterval(timer),
    /** The same fetcher, watched. */
    watchedFetcher: (fetcher: Fetcher): Fetcher => ({
      ...fetcher,
      fetch: async (request, ...rest) => {
        const start = performance.now()
        const done = (bytes: number, reason?: string): void => {
          const ms = performance.now() - start
          note(took.fetch, ms)
          noteHost(request.url, ms, bytes, reason)
        }
        try {
          const fetched = await fetcher.fetch(request, ...rest)
          done('bytes' in fetched ? fetched.bytes.length : 0)
          return fetched
        } catch (error) {
          done(0, asArtworkError(error).reason)
          throw error
        }
      },
    }),
    /** The same transformer, watched. */
    watchedTransformer: (transformer: Transformer): Transformer => ({
      ...transformer,
      transform: async (...args) => {
        const start = performance.now()
        try {
          return await transformer.transform(...args)
        } finally {
          note(took.encode, performance.now() - start)
        }
      },
    }),
    /** Samples, oldest first; the last one is of now. */
    series: (span: 'hour' | 'day'): readonly Sample[] => {
      const current = look()?.sample
      const upToNow = current === undefined ? [] : [current]
      if (span === 'hour') return [...fine, ...upToNow]
      const last = sumOf([...pending, ...upToNow])
      return [...coarse, ...(last === undefined ? [] : [last])]
    },
    /** The busiest first. */
    hosts: (): readonly HostStats[] =>
      [...hosts]
        .map(([host, { ms, ...one }]) => ({ host, ...one, mean: ms / one.requests }))
        .sort((a, b) => b.requests - a.requests),
    latencies: (): { readonly fetch: Latencies; readonly encode: Latencies } => ({
      fetch: { upTo: BOUNDS, counts: [...took.fetch] },
      encode: { upTo: BOUNDS, counts: [...took.encode] },
    }),
  }
}

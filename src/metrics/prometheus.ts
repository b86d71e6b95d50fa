/** Numbers for Prometheus, in a registry of their own: nothing is counted for the process as a whole. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Fetcher } from '../fetch/fetcher.js'
import type { RefresherStatus } from '../jobs/refresher.js'
import { asArtworkError } from '../model/failure.js'
import type { Load, Transformer } from '../transform/transformer.js'
import type { ImagesStats } from './stats.js'

/** What is looked at when the numbers are asked for. */
export interface Gauges {
  stats(): ImagesStats
  refresher(): RefresherStatus
  decoding(): Load
}

/** See the top of the file. */
export type Metrics = ReturnType<typeof createMetrics>

const FETCH_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const ENCODE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Makes the metrics of a toolkit. What costs something to know is looked up when it is asked for. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const fetches = new Histogram({
    name: 'artwork_fetch_seconds',
    help: 'Time that fetching an original took, retries and all, by what became of it.',
    labelNames: ['outcome'],
    buckets: FETCH_SECONDS,
    registers,
  })
  const encodes = new Histogram({
    name: 'artwork_encode_seconds',
    help: 'Time that making a picture took, waiting and all, by what became of it.',
    labelNames: ['outcome'],
    buckets: ENCODE_SECONDS,
    registers,
  })
  const timed = async <T>(histogram: Histogram<'outcome'>, work: () => Promise<T>): Promise<T> => {
    const end = histogram.startTimer()
    try {
      const result = await work()
      end({ outcome: 'ok' })
      return result
    } catch (error) {
      end({ outcome: asArtworkError(error).reason })
      throw error
    }
  }

  /** What was looked up for the page that is being printed. */
  let snapshot: ImagesStats | undefined
  /** Registers the numbers that are looked up. */
  const watch = (looks: Gauges): void => {
    const gauge = (name: string, help: string, look: () => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(look())
        },
      })
    }
    const counted = (name: string, help: string, look: () => number): void => {
      let before = 0
      new Counter({
        name,
        help,
        registers,
        collect() {
          const now = look()
          if (now > before) this.inc(now - before)
          before = Math.max(before, now)
        },
      })
    }
    const labelled = (
      name: string,
      help: string,
      label: string,
      look: () => readonly (readonly [string, number])[],
    ): void => {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset()
          for (const [value, number] of look()) this.set({ [label]: value }, number)
        },
      })
    }
    const stats = (): ImagesStats => {
      snapshot ??= looks.stats()
      return snapshot
    }
    let layers: Record<string, number> = {}
    new Counter({
      name: 'artwork_answers_total',
      help: 'Pictures that were handed out, by where they came from.',
      labelNames: ['from'],
      registers,
      collect() {
        const { memoryHits, diskHits, misses } = stats().requests
        for (const [from, now] of Object.entries({ memory: memoryHits, disk: diskHits, upstream: misses })) {
          this.inc({ from }, Math.max(0, now - (layers[from] ?? 0)))
          layers = { ...layers, [from]: now }
        }
      },
    })
    counted(
      'artwork_upstream_requests_total',
      'Questions to upstreams.',
      () => stats().requests.upstreamRequests,
    )
    counted('artwork_encodes_total', 'Pictures that were made.', () => stats().requests.encodes)
    counted(
      'artwork_failures_total',
      'Pictures that could not be fetched or made.',
      () => stats().requests.failures,
    )
    counted('artwork_evictions_total', 'Names given up to stay within the bounds.', () => stats().evictions)
    counted('artwork_write_failures_total', 'Pictures that could not be kept.', () => stats().writeFailures)
    counted('artwork_bad_copies_total', 'Copies that were damaged or gone.', () => stats().badCopies)
    labelled('artwork_names', 'Names that are kept, by what they are.', 'role', () =>
      Object.entries(stats().byRole),
    )
    labelled('artwork_bytes', 'Bytes that are kept, by where.', 'where', () => {
      const { bytes, memory, catalogueBytes, indexBytes, uploads } = stats()
      return [
        ['disk', bytes],
        ['memory', memory.bytes],
        ['catalogue', catalogueBytes],
        ['index', indexBytes],
        ...(uploads === undefined ? [] : [['uploads', uploads.bytes] as const]),
      ]
    })
    gauge('artwork_uploads', 'Uploads that are kept.', () => stats().uploads?.images ?? 0)
    labelled('artwork_queue_depth', 'Work that waits, by for what.', 'queue', () => [
      ['decode', looks.decoding().waiting],
      ['refresh', looks.refresher().queued],
    ])
    gauge('artwork_decoding', 'Pictures that are being decoded or made now.', () => looks.decoding().running)
    labelled(
      'artwork_breaker_open',
      'Hosts that are not asked for a while, because they failed ten times in a row.',
      'host',
      () => stats().restingHosts.map((host) => [host, 1] as const),
    )
    gauge('artwork_catalogue_rebuilding', 'Whether a lost catalogue is being read back.', () =>
      Number(stats().rebuilding),
    )
    gauge('artwork_writing_paused', 'Whether nothing new is kept at the moment.', () =>
      Number(stats().paused !== undefined),
    )
    labelled('artwork_proxy_up', 'Proxies, 0 while one rests.', 'proxy', () =>
      stats().proxies.map(({ proxy, restingUntil }) => [proxy, Number(restingUntil === undefined)] as const),
    )
    new Gauge({
      name: 'artwork_proxy_requests',
      help: 'What went through a proxy since start, by how it went.',
      labelNames: ['proxy', 'outcome'],
      registers,
      collect() {
        this.reset()
        for (const { proxy, succeeded, failed } of stats().proxies) {
          this.set({ proxy, outcome: 'ok' }, succeeded)
          this.set({ proxy, outcome: 'failed' }, failed)
        }
      },
    })
  }
  let isProcessWatched = false
  return {
    watch,
    /** The same fetcher, timed. */
    timedFetcher: (fetcher: Fetcher): Fetcher => ({
      ...fetcher,
      fetch: (...args) => timed(fetches, () => fetcher.fetch(...args)),
    }),
    /** The same transformer, timed. */
    timedTransformer: (transformer: Transformer): Transformer => ({
      ...transformer,
      transform: (...args) => timed(encodes, () => transformer.transform(...args)),
    }),
    contentType: registry.contentType,
    /** The numbers as Prometheus reads them. Those of the process are added when somebody first asks. */
    print: (): Promise<string> => {
      if (!isProcessWatched) collectDefaultMetrics({ register: registry })
      isProcessWatched = true
      snapshot = undefined
      return registry.metrics()
    },
  }
}

/** Numbers for Prometheus, in a registry of their own: nothing is counted for the process as a whole. */
import {
  type Aggregator,
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client'
import type { RefresherStatus } from '../jobs/refresher.js'
import type { Load } from '../transform/transformer.js'
import { gathered, joinCluster, workerName } from './cluster.js'
import type { WorkObserver } from './observe-work.js'
import type { ImagesStats } from './stats.js'
import { withLabel } from './sum-of-processes.js'

/** What is looked at when the numbers are asked for. */
export interface Gauges {
  stats(): ImagesStats
  refresher(): RefresherStatus
  decoding(): Load
}

/** See the top of the file. */
export interface Metrics extends WorkObserver {
  /** Registers the numbers that are looked up. */
  watch(gauges: Gauges): void
  readonly contentType: string
  /**
   * The numbers as Prometheus reads them. Those of the process are added when somebody first asks. In a worker of a
   * cluster they are those of all workers, where the primary gathers them (`clusterMetrics`); else its own, labelled.
   */
  print(): Promise<string>
  close(): void
}

const FETCH_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const ENCODE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Numbers that are looked up when they are asked for. */
function createCollectors(registers: [Registry]) {
  return {
    /** @param aggregator how those of several processes become one */
    gauge: (name: string, help: string, look: () => number, aggregator: Aggregator = 'sum'): void =>
      void new Gauge({
        name,
        help,
        aggregator,
        registers,
        collect() {
          this.set(look())
        },
      }),
    counter: (name: string, help: string, look: () => number): void => {
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
    },
    labelled: (
      name: string,
      help: string,
      label: string,
      look: () => readonly (readonly [string, number])[],
      aggregator: Aggregator = 'sum',
    ): void =>
      void new Gauge({
        name,
        help,
        aggregator,
        labelNames: [label],
        registers,
        collect() {
          this.reset()
          for (const [value, number] of look()) this.set({ [label]: value }, number)
        },
      }),
  }
}
type Collectors = ReturnType<typeof createCollectors>

function collectAnswers(registers: [Registry], { counter }: Collectors, stats: () => ImagesStats): void {
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
  const requests: readonly [string, string, keyof ImagesStats['requests']][] = [
    ['artwork_upstream_requests_total', 'Questions to upstreams.', 'upstreamRequests'],
    ['artwork_encodes_total', 'Pictures that were made.', 'encodes'],
    ['artwork_failures_total', 'Pictures that could not be fetched or made.', 'failures'],
  ]
  for (const [name, help, field] of requests) counter(name, help, () => stats().requests[field])
}

function collectStore({ gauge, counter, labelled }: Collectors, stats: () => ImagesStats): void {
  counter('artwork_evictions_total', 'Names given up to stay within the bounds.', () => stats().evictions)
  counter('artwork_write_failures_total', 'Pictures that could not be kept.', () => stats().writeFailures)
  counter('artwork_bad_copies_total', 'Copies that were damaged or gone.', () => stats().badCopies)
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
  gauge(
    'artwork_catalogue_rebuilding',
    'Whether a lost catalogue is being read back.',
    () => Number(stats().rebuilding),
    'max',
  )
  gauge(
    'artwork_writing_paused',
    'Whether nothing new is kept at the moment.',
    () => Number(stats().paused !== undefined),
    'max',
  )
  gauge('artwork_processes', 'Processes that have the directory open.', () => stats().processes)
}

function collectUpstreams(registers: [Registry], { labelled }: Collectors, stats: () => ImagesStats): void {
  labelled(
    'artwork_breaker_open',
    'Hosts that are not asked for a while, because they failed ten times in a row.',
    'host',
    () => stats().restingHosts.map((host) => [host, 1] as const),
    'max',
  )
  labelled(
    'artwork_proxy_up',
    'Proxies, 0 while one rests.',
    'proxy',
    () =>
      stats().proxies.map(({ proxy, restingUntil }) => [proxy, Number(restingUntil === undefined)] as const),
    'min',
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

/** Whose numbers they are. */
function nameProcess(registers: [Registry]): void {
  const info = new Gauge({
    name: 'artwork_process_info',
    help: 'Whose figures these are: a process, and which worker of a cluster it is.',
    labelNames: ['pid', 'worker'],
    registers,
  })
  info.set({ pid: process.pid, worker: workerName() }, 1)
}

/** Makes the metrics of a toolkit. What costs something to know is looked up when it is asked for. */
export function createMetrics(directory: string): Metrics {
  const registry = new Registry()
  const registers: [Registry] = [registry]
  nameProcess(registers)
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, labelNames: ['outcome'], buckets, registers })
  const fetches = histogram(
    'artwork_fetch_seconds',
    'Time that fetching an original took, retries and all, by what became of it.',
    FETCH_SECONDS,
  )
  const encodes = histogram(
    'artwork_encode_seconds',
    'Time that making a picture took, waiting and all, by what became of it.',
    ENCODE_SECONDS,
  )
  /** What was looked up for the page that is being printed. */
  let snapshot: ImagesStats | undefined
  let isProcessWatched = false
  const read = () => {
    if (!isProcessWatched) collectDefaultMetrics({ register: registry })
    isProcessWatched = true
    snapshot = undefined
    return registry.getMetricsAsJSON()
  }
  /** Of this process. Of one of several workers each says so. */
  const printOwn = async (): Promise<string> => {
    const figures = await read()
    const worker = workerName()
    if (worker === '') return registry.metrics()
    const ofAll = figures.map((figure) => ({ ...figure, aggregator: 'first' }))
    return AggregatorRegistry.aggregate([withLabel(ofAll, 'worker', worker)]).metrics()
  }
  let leave = (): void => {}
  return {
    watch: (gauges: Gauges): void => {
      leave = joinCluster({
        directory,
        read: async () => ({ isDurable: gauges.stats().durable, figures: await read() }),
      })
      const collectors = createCollectors(registers)
      const stats = (): ImagesStats => {
        snapshot ??= gauges.stats()
        return snapshot
      }
      collectAnswers(registers, collectors, stats)
      collectStore(collectors, stats)
      collectUpstreams(registers, collectors, stats)
      collectors.labelled('artwork_queue_depth', 'Work that waits, by for what.', 'queue', () => [
        ['decode', gauges.decoding().waiting],
        ['refresh', gauges.refresher().queued],
      ])
      collectors.gauge(
        'artwork_decoding',
        'Pictures that are being decoded or made now.',
        () => gauges.decoding().running,
      )
    },
    fetched: ({ ms, outcome }) => fetches.observe({ outcome }, ms / 1000),
    transformed: ({ ms, outcome }) => encodes.observe({ outcome }, ms / 1000),
    contentType: registry.contentType,
    print: async (): Promise<string> => (await gathered(directory)) ?? printOwn(),
    close: () => leave(),
  }
}

/** Numbers for Prometheus: nothing is counted for the process as a whole, and what costs something to know is looked up when it is asked for. */
import type { RefresherStatus } from '../jobs/refresher.js'
import type { Load } from '../transform/transformer.js'
import { gathered, joinCluster, workerName } from './cluster.js'
import { METRICS_TYPE, missingPackage, printFigures, readProcessFigures } from './exposition.js'
import { by, counter, createHistogram, type Figure, gauge, withLabel } from './figures.js'
import type { WorkObserver } from './observe-work.js'
import type { ImagesStats } from './stats.js'

/** What is looked at when the numbers are asked for. */
export interface Gauges {
  stats(): ImagesStats
  refresher(): RefresherStatus
  decoding(): Load
  /** What nodes share: whether each of it works, by its name, and the changes that wait for the shared store. */
  readonly engines: { up(): ReadonlyMap<string, boolean>; waiting(): number }
}

/** See the top of the file. */
export interface Metrics extends WorkObserver {
  /** Registers the numbers that are looked up. */
  watch(gauges: Gauges): void
  readonly contentType: string
  /**
   * The numbers as Prometheus reads them. Those of the process are added when somebody first asks. In a worker of a
   * cluster they are those of all workers, where the primary gathers them (`clusterMetrics`); else its own, labelled.
   * @throws ArtworkError `unavailable` (503) where prom-client is not installed
   */
  print(): Promise<string>
  /** What mends it where the package that prints them is not installed. */
  missingPackage(): string | undefined
  close(): void
}

const FETCH_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const ENCODE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const answerFigures = ({ requests }: ImagesStats): readonly Figure[] => [
  counter(
    'artwork_answers_total',
    'Pictures that were handed out, by where they came from.',
    by('from', [
      ['memory', requests.memoryHits],
      ['disk', requests.diskHits],
      ['upstream', requests.misses],
    ]),
  ),
  counter('artwork_upstream_requests_total', 'Questions to upstreams.', requests.upstreamRequests),
  counter('artwork_encodes_total', 'Pictures that were made.', requests.encodes),
  counter('artwork_failures_total', 'Pictures that could not be fetched or made.', requests.failures),
]

function storeFigures(stats: ImagesStats): readonly Figure[] {
  const { bytes, memory, catalogueBytes, indexBytes, uploads } = stats
  return [
    counter('artwork_evictions_total', 'Names given up to stay within the bounds.', stats.evictions),
    counter('artwork_write_failures_total', 'Pictures that could not be kept.', stats.writeFailures),
    counter('artwork_bad_copies_total', 'Copies that were damaged or gone.', stats.badCopies),
    gauge(
      'artwork_names',
      'Names that are kept, by what they are.',
      by('role', Object.entries(stats.byRole)),
    ),
    gauge(
      'artwork_bytes',
      'Bytes that are kept, by where.',
      by('where', [
        ['disk', bytes],
        ['memory', memory.bytes],
        ['catalogue', catalogueBytes],
        ['index', indexBytes],
        ['waiting', stats.waitingBytes],
        ...(uploads === undefined ? [] : [['uploads', uploads.bytes] as const]),
      ]),
    ),
    gauge('artwork_uploads', 'Uploads that are kept.', uploads?.images ?? 0),
    gauge(
      'artwork_catalogue_rebuilding',
      'Whether a lost catalogue is being read back.',
      Number(stats.rebuilding),
      'max',
    ),
    gauge(
      'artwork_writing_paused',
      'Whether nothing new is kept at the moment.',
      Number(stats.paused !== undefined),
      'max',
    ),
    gauge('artwork_processes', 'Processes that have the directory open.', stats.processes),
  ]
}

const upstreamFigures = ({ restingHosts, proxies }: ImagesStats): readonly Figure[] => [
  gauge(
    'artwork_breaker_open',
    'Hosts that are not asked for a while, because they failed ten times in a row.',
    by(
      'host',
      restingHosts.map((host) => [host, 1]),
    ),
    'max',
  ),
  gauge(
    'artwork_proxy_up',
    'Proxies, 0 while one rests.',
    by(
      'proxy',
      proxies.map(({ proxy, restingUntil }) => [proxy, Number(restingUntil === undefined)]),
    ),
    'min',
  ),
  gauge(
    'artwork_proxy_requests',
    'What went through a proxy since start, by how it went.',
    proxies.flatMap(({ proxy, succeeded, failed }) => [
      { value: succeeded, labels: { proxy, outcome: 'ok' } },
      { value: failed, labels: { proxy, outcome: 'failed' } },
    ]),
  ),
]

/** Of nodes that share something; none for one alone. */
const clusterFigures = ({ engines }: Gauges): readonly Figure[] => {
  const up = [...engines.up()]
  if (up.length === 0) return []
  return [
    gauge(
      'artwork_engine_up',
      'What nodes share, 0 while this one works without it.',
      by(
        'engine',
        up.map(([name, isUp]) => [name, Number(isUp)]),
      ),
      'min',
    ),
    gauge(
      'artwork_shared_waiting',
      'Changes that the shared store does not have yet.',
      engines.waiting(),
      'max',
    ),
  ]
}

const workFigures = ({ refresher, decoding }: Gauges): readonly Figure[] => [
  gauge(
    'artwork_queue_depth',
    'Work that waits, by for what.',
    by('queue', [
      ['decode', decoding().waiting],
      ['refresh', refresher().queued],
    ]),
  ),
  gauge('artwork_decoding', 'Pictures that are being decoded or made now.', decoding().running),
]

/** Whose numbers they are. */
const processInfo = (): Figure =>
  gauge('artwork_process_info', 'Whose figures these are: a process, and which worker of a cluster it is.', [
    { value: 1, labels: { pid: process.pid, worker: workerName() } },
  ])

/** Makes the metrics of a toolkit. */
export function createMetrics(directory: string): Metrics {
  const fetches = createHistogram(
    'artwork_fetch_seconds',
    'Time that fetching an original took, retries and all, by what became of it.',
    FETCH_SECONDS,
  )
  const encodes = createHistogram(
    'artwork_encode_seconds',
    'Time that making a picture took, waiting and all, by what became of it.',
    ENCODE_SECONDS,
  )
  let gauges: Gauges | undefined
  const ownFigures = (): readonly Figure[] => {
    const stats = gauges?.stats()
    const lookedUp =
      gauges === undefined || stats === undefined
        ? []
        : [
            ...answerFigures(stats),
            ...storeFigures(stats),
            ...upstreamFigures(stats),
            ...workFigures(gauges),
            ...clusterFigures(gauges),
          ]
    return [processInfo(), fetches.read(), encodes.read(), ...lookedUp]
  }
  const read = async () => [...ownFigures(), ...(await readProcessFigures())]
  /** Of this process. Of one of several workers each says so. */
  const printOwn = async (): Promise<string> => {
    const figures = await read()
    const worker = workerName()
    // Of one process, also what cannot be summed.
    const ofAll = figures.map((figure) => ({ ...figure, aggregator: 'first' as const }))
    return printFigures([worker === '' ? ofAll : withLabel(ofAll, 'worker', worker)])
  }
  let leave = (): void => {}
  return {
    watch: (given) => {
      gauges = given
      leave = joinCluster({
        directory,
        read: async () => ({ isDurable: given.stats().durable, figures: await read() }),
      })
    },
    fetched: ({ ms, outcome }) => fetches.observe(outcome, ms / 1000),
    transformed: ({ ms, outcome }) => encodes.observe(outcome, ms / 1000),
    contentType: METRICS_TYPE,
    print: async () => (await gathered(directory)) ?? printOwn(),
    missingPackage,
    close: () => leave(),
  }
}

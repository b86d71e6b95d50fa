/**
 * Figures of a `node:cluster` as one. A scrape reaches one worker, which asks the primary for those of all; the primary
 * answers where the app has called `clusterMetrics()` in it. Messages have names of their own: the registries that the
 * app itself may aggregate with prom-client stay its own.
 */
import cluster, { type Worker } from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { METRICS_TYPE, printFigures } from './exposition.js'
import { by, gauge } from './figures.js'
import { type ProcessFigures, sumOf } from './sum-of-processes.js'

/** Figures of one toolkit of this process, to be read when somebody asks. */
export interface FigureSource {
  readonly directory: string
  read(): Promise<Omit<ProcessFigures, 'directory'>>
}

/** Figures of all processes of a cluster. */
export interface ClusterMetrics {
  readonly contentType: string
  /** As Prometheus reads them. A worker that says nothing for two seconds is left out, and counted as silent. */
  print(): Promise<string>
}

/** What the primary and its workers send each other. */
type Message = { readonly id: string } & (
  | { readonly artworkMetrics: 'wanted'; readonly directory: string }
  | { readonly artworkMetrics: 'heard' }
  | { readonly artworkMetrics: 'text'; readonly text: string }
  | { readonly artworkMetrics: 'read'; readonly directory: string | undefined }
  | { readonly artworkMetrics: 'figures'; readonly figures: readonly ProcessFigures[] }
)

const HEARD_WITHIN_MS = 500
const TEXT_WITHIN_MS = 4000
const FIGURES_WITHIN_MS = 2000
/** A primary that did not hear is not asked again for so long, ms. */
const DEAF_FOR_MS = 60_000

const isMessage = (message: unknown): message is Message =>
  typeof message === 'object' && message !== null && 'artworkMetrics' in message && 'id' in message

/** Of this process, which has one channel to its primary, however many toolkits there are. */
const here = {
  sources: new Set<FigureSource>(),
  waiting: new Map<string, (message: Message) => void>(),
  gather: undefined as ((directory?: string) => Promise<string>) | undefined,
  isDeafUntil: 0,
}

/** Which worker of a cluster this is; '' where it is none. */
export const workerName = (): string => String(cluster.worker?.id ?? '')

const readHere = (directory: string | undefined): Promise<readonly ProcessFigures[]> =>
  Promise.all(
    [...here.sources]
      .filter((source) => directory === undefined || source.directory === directory)
      .map(async (source) => ({ directory: source.directory, ...(await source.read()) })),
  )

/** To the primary. One that is gone is none. */
const sendUp = (message: Message): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
const onMessage = (message: unknown): void => {
  if (!isMessage(message)) return
  if (message.artworkMetrics !== 'read') {
    here.waiting.get(message.id)?.(message)
    return
  }
  readHere(message.directory).then(
    (figures) => sendUp({ artworkMetrics: 'figures', id: message.id, figures }),
    () => {},
  )
}

/** Has the figures of a toolkit among those of the cluster, until the function that is returned is called. */
export function joinCluster(source: FigureSource): () => void {
  if (cluster.isWorker && here.sources.size === 0) process.on('message', onMessage)
  here.sources.add(source)
  return () => {
    here.sources.delete(source)
    if (here.sources.size === 0) process.off('message', onMessage)
  }
}

/** Figures of all processes of the cluster with this directory; undefined where nobody gathers them. */
export async function gathered(directory: string): Promise<string | undefined> {
  if (here.gather !== undefined) return here.gather(directory)
  if (!cluster.isWorker || !process.connected || performance.now() < here.isDeafUntil) return undefined
  const id = randomUUID()
  let timer: NodeJS.Timeout | undefined
  return new Promise<string | undefined>((resolve) => {
    here.waiting.set(id, (message) => {
      clearTimeout(timer)
      if (message.artworkMetrics === 'text') resolve(message.text)
      else timer = setTimeout(resolve, TEXT_WITHIN_MS, undefined)
    })
    timer = setTimeout(() => {
      here.isDeafUntil = performance.now() + DEAF_FOR_MS
      resolve(undefined)
    }, HEARD_WITHIN_MS)
    sendUp({ artworkMetrics: 'wanted', id, directory })
  }).finally(() => {
    clearTimeout(timer)
    here.waiting.delete(id)
  })
}

const connected = (): readonly Worker[] =>
  Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true) as Worker[]
const sendDown = (worker: Worker, message: Message): void =>
  void (worker.isConnected() && worker.send(message, () => {}))

/** What every worker answers in time. */
function askWorkers(directory: string | undefined) {
  const id = randomUUID()
  const workers = connected()
  const answers = new Map<number, readonly ProcessFigures[]>()
  return new Promise<{ answers: typeof answers; silent: number }>((resolve) => {
    const finish = (): void => {
      clearTimeout(timer)
      cluster.off('message', take)
      resolve({ answers, silent: workers.length - answers.size })
    }
    const take = (worker: Worker, message: unknown): void => {
      if (!isMessage(message) || message.id !== id || message.artworkMetrics !== 'figures') return
      answers.set(worker.id, message.figures)
      if (answers.size === workers.length) finish()
    }
    const timer = setTimeout(finish, FIGURES_WITHIN_MS)
    cluster.on('message', take)
    for (const worker of workers) sendDown(worker, { artworkMetrics: 'read', id, directory })
    if (workers.length === 0) finish()
  })
}

async function gather(directory?: string): Promise<string> {
  const [own, { answers, silent }] = await Promise.all([readHere(directory), askWorkers(directory)])
  const states = { answered: answers.size, silent }
  const workers = gauge(
    'artwork_cluster_workers',
    'Workers of the cluster whose figures these are: silent ones are missing in them.',
    by('state', Object.entries(states)),
  )
  return printFigures([...sumOf([...own, ...[...answers.values()].flat()]), [workers]])
}

/**
 * Gathers the figures of a `node:cluster`. Called once in the primary, before or after it forks: from then on
 * `/metrics` of any worker answers for all of them, and so does `print()` in the primary. Counters, histograms and
 * what each process has (memory, CPU) are summed; what is of a directory (names, bytes on disk, uploads, the queue)
 * is counted once, however many workers share it; a pause, a rebuild or a host that is not asked shows when it is so in
 * any worker. `artwork_process_info` lists the processes, `artwork_cluster_workers` says how many answered.
 *
 * Without it a worker prints its own figures, each with the label `worker`. Processes that are no cluster have a
 * `/metrics` each, to be scraped one by one: `artwork_process_info` says whose figures they are, and `artwork_processes`
 * how many processes have the directory open.
 * @throws TypeError in a worker
 */
export function clusterMetrics(): ClusterMetrics {
  if (cluster.isWorker)
    throw new TypeError('clusterMetrics() is for the primary of a cluster, and this is a worker')
  if (here.gather === undefined) {
    here.gather = gather
    cluster.on('message', (worker: Worker, message: unknown) => {
      if (!isMessage(message) || message.artworkMetrics !== 'wanted') return
      const { id, directory } = message
      sendDown(worker, { artworkMetrics: 'heard', id })
      gather(directory).then(
        (text) => sendDown(worker, { artworkMetrics: 'text', id, text }),
        () => {},
      )
    })
  }
  return { contentType: METRICS_TYPE, print: () => gather() }
}

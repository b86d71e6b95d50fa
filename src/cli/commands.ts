/** The commands that work on a directory, beside a running server or without one: each ends with what came of it. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import cliProgress from 'cli-progress'
import {
  type Artwork,
  type ArtworkOptions,
  createArtwork,
  type Job,
  type JobKind,
  needsRepository,
  optionsFromEnv,
} from '../index.js'
import { SCHEDULED_KINDS } from '../model/job-kinds.js'
import { isWebUrl } from '../model/web-url.js'
import { environment } from './serve.js'

/** What every command takes. */
export interface Common {
  /** A module whose default export is the app's options, or a function that gives them. */
  readonly config?: string | undefined
  readonly envFile?: string | undefined
  readonly json?: boolean | undefined
}

const quiet = {
  debug() {},
  info() {},
  warn() {},
  error: (fields: object, message?: string) =>
    tell(`${message ?? ''} ${'err' in fields ? String(fields.err) : ''}`),
}
const tell = (line: string): void => void process.stderr.write(`${line.trim()}\n`)
const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** The options of the app that the command is about. @throws Error that names what cannot be read */
async function optionsOf({ config, envFile }: Common): Promise<ArtworkOptions> {
  if (config === undefined) return optionsFromEnv(environment(envFile))
  const loaded: unknown = await import(pathToFileURL(resolve(config)).href).catch((error: unknown) => {
    throw new Error(
      `--config must be a module that can be loaded, got ${JSON.stringify(config)}: ${String(error)}`,
    )
  })
  const given =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined
  const options: unknown = typeof given === 'function' ? await given() : given
  if (typeof options !== 'object' || options === null)
    throw new Error(`--config must have a default export: the options, or a function that gives them`)
  return options as ArtworkOptions
}

async function withArtwork<T>(
  common: Common,
  work: (artwork: Artwork, options: ArtworkOptions) => Promise<T>,
): Promise<T> {
  // What begins by itself, and what follows the store, is the servers' business.
  const schedules = Object.fromEntries(SCHEDULED_KINDS.map((kind) => [kind, false]))
  const options = await optionsOf(common)
  const artwork = await createArtwork({
    logger: quiet,
    ...options,
    schedules,
    export: {},
  })
  try {
    return await work(artwork, options)
  } finally {
    await artwork.close()
  }
}

/** Values as lines of `name: value`, however deep. */
function lines(value: unknown, prefix = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [`${prefix}: ${String(value)}`]
  if (Array.isArray(value))
    return [
      `${prefix}: ${value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one))).join(', ')}`,
    ]
  return Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : lines(inner, prefix === '' ? key : `${prefix}.${key}`),
  )
}
const show = (value: unknown, { json }: Common): void => {
  if (json) print(JSON.stringify(value))
  else for (const line of lines(value)) print(line)
}

/** Shows a job's progress: a bar on a terminal, a line at each step elsewhere, JSON a line where that is wanted. */
function progressOf({ json }: Common) {
  const bar =
    !json && process.stderr.isTTY
      ? new cliProgress.SingleBar(
          { format: '{kind} {bar} {value}/{total} {eta_formatted}', hideCursor: true },
          cliProgress.Presets.shades_classic,
        )
      : undefined
  let isShown = false
  let last = ''
  return {
    update: (job: Job): void => {
      if (bar !== undefined && job.total > 0) {
        if (!isShown) bar.start(job.total, job.done, { kind: job.kind })
        isShown = true
        bar.setTotal(job.total)
        bar.update(job.done)
        return
      }
      const line = `${job.kind} ${job.state} ${job.done}/${job.total}`
      if (line === last) return
      last = line
      if (json)
        print(
          JSON.stringify({
            id: String(job.id),
            kind: job.kind,
            state: job.state,
            done: job.done,
            total: job.total,
            ...(job.rate !== undefined && { ratePerSecond: Number(job.rate.toFixed(2)) }),
            ...(job.eta !== undefined && { etaSeconds: Math.ceil(job.eta / 1000) }),
          }),
        )
      else tell(line)
    },
    stop: (): void => bar?.stop(),
  }
}

/** Queues a long job, works on it with whoever else is there, and waits for its end. Answers the exit code. */
export function runJob(
  kind: JobKind,
  payload: Readonly<Record<string, unknown>>,
  common: Common,
): Promise<number> {
  return withArtwork(common, async (artwork, { repository }) => {
    const queued = artwork.refresher.run(kind, payload)
    if (!queued.accepted && queued.id === undefined)
      throw new Error(`the job cannot be queued: ${queued.reason}`)
    const id = queued.id ?? ''
    const isAble = !needsRepository(kind) || repository?.list !== undefined
    if (!isAble && artwork.refresher.job(id)?.state === 'queued')
      throw new Error(
        `job ${id} is queued already, and waits for a process whose repository can list entities: there is none in the options of --config`,
      )
    if (artwork.refresher.status().paused && artwork.refresher.job(id)?.state === 'queued')
      throw new Error(
        `the queue is paused: job ${id} is queued, and begins with the next process that works after express-artwork resume`,
      )
    // Other long jobs are the servers' business; of single pictures, each takes its share.
    artwork.start({ job: id })
    const shown = progressOf(common)
    let job: Job | undefined
    // Who is told to stop cancels the job, and lets what runs of it finish.
    const cancel = (): void => void artwork.refresher.cancel(id)
    process.once('SIGINT', cancel)
    process.once('SIGTERM', cancel)
    // A timer keeps the process here: the toolkit's own do not.
    const stay = setInterval(() => {}, 1000)
    try {
      for await (const now of artwork.refresher.watch(id)) {
        job = now
        shown.update(now)
      }
    } finally {
      clearInterval(stay)
      shown.stop()
      process.off('SIGINT', cancel)
      process.off('SIGTERM', cancel)
    }
    if (job === undefined) throw new Error('the job is gone')
    const { state, error, reason, result } = job
    show(
      {
        state,
        ...(error !== undefined && { error }),
        ...(reason !== undefined && { reason }),
        ...(result !== undefined && { result }),
      },
      common,
    )
    return state === 'done' ? 0 : 1
  })
}

/** Prints the numbers of a directory. */
export const stats = (common: Common): Promise<number> =>
  withArtwork(common, async (artwork) => {
    show({ ...artwork.images.stats(), queue: artwork.refresher.status() }, common)
    return 0
  })

/** Begins nothing new, in no process of the directory, or begins it again. */
export const setPaused = (isPaused: boolean, common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    if (isPaused) refresher.pause()
    else refresher.resume()
    show({ paused: refresher.status().paused }, common)
    return 0
  })

/** Prints what could not be had, why, and when it is tried again. */
export const failures = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    for (let after: string | undefined; ; ) {
      const { failures: some, next } = refresher.failures({
        limit: 200,
        ...(after !== undefined && { after }),
      })
      for (const { of, name, reason, times, nextTry, url } of some) {
        const told = {
          of,
          name,
          reason,
          times,
          nextTry: new Date(nextTry).toISOString(),
          ...(url !== undefined && { url }),
        }
        print(
          common.json ? JSON.stringify(told) : `${name}: ${reason}, ${times} times, next try ${told.nextTry}`,
        )
      }
      if (next === undefined) return 0
      after = next
    }
  })

/** Prints long jobs, the newest first. */
export const jobs = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    for (const { id, kind, state, done, total, error } of refresher.jobs({ lane: 'job', limit: 50 })) {
      const told = { id: String(id), kind, state, done, total, ...(error !== undefined && { error }) }
      print(
        common.json
          ? JSON.stringify(told)
          : `${id} ${kind} ${state} ${done}/${total}${error === undefined ? '' : `: ${error}`}`,
      )
    }
    return 0
  })

/** Prints why a picture is answered as it is. */
export const explain = (target: string, common: Common): Promise<number> =>
  withArtwork(common, async (artwork) => {
    show(artwork.images.explain(isWebUrl(target) ? { url: target } : { address: target }), common)
    return 0
  })

/** Takes pictures away: by URL, address, tag, or entity (`kind:id`). */
export const purge = (
  target: string,
  {
    tag,
    entity,
    ...common
  }: Common & { readonly tag?: boolean | undefined; readonly entity?: boolean | undefined },
): Promise<number> =>
  withArtwork(common, async (artwork) => {
    const [kind = '', id = ''] = target.split(/:(.*)/s)
    const purged = await artwork.images.purge(
      tag
        ? { tag: target }
        : entity
          ? { entity: { kind, id } }
          : isWebUrl(target)
            ? { url: target }
            : { address: target },
    )
    show(purged, common)
    return 0
  })

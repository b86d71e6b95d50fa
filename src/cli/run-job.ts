/** A long job at the command line: queued, worked on, and shown to its end. */
import { type Artwork, type Job, type JobKind, needsRepository } from '../index.js'
import type { Common } from './options-of.js'
import { print, printError, show } from './output.js'
import { withArtwork } from './with-artwork.js'

/** Shows a job's progress: one line that changes on a terminal, a line at each step elsewhere, or lines of JSON. */
function progressOf({ json }: Common) {
  const isTerminal = !json && process.stderr.isTTY
  let isShown = false
  let last = ''
  return {
    update: (job: Job): void => {
      if (isTerminal && job.total > 0) {
        isShown = true
        process.stderr.write(`\r${progressLine(job)}\u001b[K`)
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
      else printError(line)
    },
    stop: (): void => {
      if (isShown) process.stderr.write('\n')
    },
  }
}

/** `verify 120/4000 3 %, 2 min left` */
function progressLine({ kind, done, total, eta }: Job): string {
  const share = Math.floor((100 * done) / total)
  const left =
    eta === undefined
      ? ''
      : `, ${eta < 60_000 ? `${Math.ceil(eta / 1000)} s` : `${Math.ceil(eta / 60_000)} min`} left`
  return `${kind} ${done}/${total} ${share} %${left}`
}

/** Shows a job until its end. A signal cancels it, and lets what runs of it finish. */
async function follow({ refresher }: Pick<Artwork, 'refresher'>, id: string, common: Common): Promise<Job> {
  const progress = progressOf(common)
  let job: Job | undefined
  const cancel = (): void => void refresher.cancel(id)
  process.once('SIGINT', cancel)
  process.once('SIGTERM', cancel)
  // The toolkit's own timers do not keep the process alive.
  const stay = setInterval(() => {}, 1000)
  try {
    for await (const now of refresher.watch(id)) {
      job = now
      progress.update(now)
    }
  } finally {
    clearInterval(stay)
    progress.stop()
    process.off('SIGINT', cancel)
    process.off('SIGTERM', cancel)
  }
  if (job === undefined) throw new Error('the job is gone')
  return job
}

/** Queues a long job, works on it beside the servers, and waits for its end. Answers the exit code. */
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
    if (!isAble && (await artwork.refresher.job(id))?.state === 'queued')
      throw new Error(
        `job ${id} is queued already, and waits for a process whose repository can list entities: there is none in the options of --config`,
      )
    if (artwork.refresher.status().paused && (await artwork.refresher.job(id))?.state === 'queued')
      throw new Error(
        `the queue is paused: job ${id} is queued, and begins with the next process that works after express-artwork resume`,
      )
    // Other long jobs are left to the servers; jobs of single pictures are shared.
    artwork.start({ job: id })
    const { state, error, reason, result } = await follow(artwork, id, common)
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

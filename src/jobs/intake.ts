/** What takes requests for jobs, unless this process is closed or draining. */
import type { DownloadRequest } from '../images/download.js'
import { JOB_KINDS } from '../model/job-kinds.js'
import type { Added, Awaitable, JobProcessor, JobQueue, NewJob, Unsupported } from '../model/job-queue.js'
import type { Downloads, Priority } from './downloads.js'
import { isJobKind, jobTypeProblem, newJob } from './kinds.js'

/** What became of a request for a job. */
export type Enqueued =
  | {
      /** It is queued. */
      readonly accepted: true
      /** Id of the job. */
      readonly id: string
    }
  | {
      /** It is not queued. */
      readonly accepted: false
      /** Why not. */
      readonly reason: 'duplicate' | 'full' | 'recently failed' | 'no_url' | 'draining' | 'closed'
      /** The job that is queued already, of a duplicate. */
      readonly id?: string
    }

/** Why a job that goes through the app's entities fails where these cannot be listed. */
const UNSUPPORTED: Unsupported = { reason: 'unavailable', error: 'the repository cannot list entities' }

/** Does something once a value is known: now, where it is. Answers the value. */
export function after<Value>(value: Awaitable<Value>, work: (value: Value) => void): Awaitable<Value> {
  const answer = (known: Value): Value => {
    work(known)
    return known
  }
  return value instanceof Promise ? value.then(answer) : answer(value)
}

const toEnqueued = (added: Added): Enqueued =>
  'id' in added ? { ...added, id: String(added.id) } : { accepted: false, reason: added.reason }

/** What the intake works with. */
interface IntakeParts {
  readonly jobs: Pick<JobQueue, 'add' | 'retry'>
  readonly processor: Pick<JobProcessor, 'isSupported' | 'notify'>
  readonly downloads: Pick<Downloads, 'prepare' | 'isResting'>
  /** Called for a job that failed as it was added. */
  onFailed(): void
}

/** See the top of the file. */
export function createIntake({ jobs, processor, downloads, onFailed }: IntakeParts) {
  let state: 'open' | 'draining' | 'closed' = 'open'
  /** A job that is added here and has no handler here fails at once: there may be no other process. */
  const unsupported = (kind: string): Unsupported | undefined =>
    processor.isSupported(kind) ? undefined : UNSUPPORTED
  const add = (job: NewJob, why?: Unsupported): Enqueued => {
    const added = jobs.add(job, why)
    if (added.accepted && why !== undefined) onFailed()
    processor.notify()
    return toEnqueued(added)
  }
  return {
    state: () => state,
    setState: (next: 'open' | 'draining' | 'closed'): void => {
      if (state !== 'closed') state = next
    },
    /** Queues the download of an entity's picture. The same entity is queued once; a higher priority moves it up. */
    request: (wanted: DownloadRequest, priority: Priority = 'normal'): Enqueued => {
      const url = wanted.sourceUrl ?? ''
      if (state !== 'open') return { accepted: false, reason: state }
      if (url === '') return { accepted: false, reason: 'no_url' }
      const job = downloads.prepare(wanted, priority)
      const isResting = !wanted.force && downloads.isResting(job.key, url)
      return isResting ? { accepted: false, reason: 'recently failed' } : add(job)
    },
    /** Queues a long job. The same options of a kind are queued once. @throws TypeError for no kind of job, or a wrong option */
    run: (kind: string, payload: object): Enqueued => {
      if (state !== 'open') return { accepted: false, reason: state }
      if (!isJobKind(kind))
        throw new TypeError(`kind must be one of ${JOB_KINDS.join(', ')}, got ${JSON.stringify(kind)}`)
      const problem = jobTypeProblem(kind, { ...payload })
      if (problem !== undefined) throw new TypeError(`${kind}: ${problem.name} ${problem.rule}`)
      return add(newJob(kind, payload), unsupported(kind))
    },
    /** Queues a failed or cancelled job again. Returns whether it was one. */
    retry: (id: number): Awaitable<boolean> => {
      let isFailed = false
      const queued = jobs.retry(id, (kind) => {
        const why = unsupported(kind)
        isFailed = why !== undefined
        return why
      })
      return after(queued, (isQueued) => {
        if (isQueued && isFailed) onFailed()
        processor.notify()
      })
    },
  }
}

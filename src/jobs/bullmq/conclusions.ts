/** How a run comes out, said the way a worker of BullMQ is told: by what is returned, and by what is thrown. */
import type { Job, JobProcessorOptions, Outcome } from '../../model/job-queue.js'
import type { SharedChanges } from './changes.js'
import type { SharedConnection } from './keys.js'
import { failureText, type JobData, type Kept } from './rows.js'

/** What this process cannot do is left to others for so long, ms. */
const LEFT_FOR = 2000
export const CANCELLED = 'cancelled'
/** See the top of the file. */
export function createConclusions(
  { bull, queues }: Pick<SharedConnection, 'bull' | 'queues'>,
  changes: Pick<SharedChanges, 'ended' | 'keepCancelled' | 'cancelChildren'>,
  options: Pick<JobProcessorOptions, 'onEnd'>,
) {
  const { DelayedError, UnrecoverableError, WaitingError } = bull
  const verdicts = [DelayedError, WaitingError, UnrecoverableError]
  /** What its data are now: others may have changed them meanwhile. */
  const dataOf = async (kept: Kept): Promise<JobData> => {
    const found: Kept | undefined = await queues[kept.data.lane].getJob(kept.id ?? '')
    return found?.data ?? kept.data
  }
  /** Leaves a job alone for a while. @throws DelayedError, which says so, also where Redis fails: then it is begun anew in time */
  const delay = async (kept: Kept, token: string, ms = LEFT_FOR): Promise<never> => {
    try {
      const data = await dataOf(kept)
      await kept.updateData({ ...data, givenBack: (data.givenBack ?? 0) + 1 })
      await kept.moveToDelayed(Date.now() + ms, token)
    } catch {
      // It is begun anew once its lock has run out.
    }
    throw new DelayedError()
  }
  const endCancelled = async (kept: Kept, job: Job): Promise<never> => {
    await changes.keepCancelled(job)
    if (job.lane === 'job') await changes.cancelChildren(job.id)
    options.onEnd('cancelled')
    kept.opts = { ...kept.opts, removeOnFail: true }
    throw new UnrecoverableError(CANCELLED)
  }
  /** Writes how a run came out, the way a worker of BullMQ is told. */
  const conclude = async (
    kept: Kept,
    job: Job,
    outcome: Outcome | undefined,
    token: string,
  ): Promise<unknown> => {
    if (outcome === undefined) {
      // The end of this process cut it short.
      await kept.moveToWait(token)
      throw new WaitingError()
    }
    const { lane } = job
    const data = await dataOf(kept)
    const isCancelled = data.wish === 'cancel' && (lane === 'job' || outcome.state === 'again')
    if (outcome.state === 'cancelled' || (isCancelled && outcome.state !== 'failed'))
      return endCancelled(kept, job)
    if (outcome.state === 'again') {
      await kept.updateData({ ...data, ...(outcome.reason !== undefined && { reason: outcome.reason }) })
      await kept.moveToDelayed(Date.now() + Math.ceil(outcome.after), token)
      throw new DelayedError()
    }
    await changes.ended(job, outcome.state)
    options.onEnd(outcome.state)
    if (outcome.state === 'failed') throw new UnrecoverableError(failureText(outcome))
    return outcome.result ?? null
  }
  return {
    /** Whether what was thrown says how a run came out. */
    isVerdict: (thrown: unknown): boolean => verdicts.some((verdict) => thrown instanceof verdict),
    ...{ dataOf, delay, endCancelled, conclude },
  }
}

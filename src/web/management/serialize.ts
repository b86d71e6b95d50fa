/** Jobs and the queue as the management API and the dashboard send them. Times in ISO 8601. */

import type { RefresherStatus } from '../../jobs/refresher.js'
import type { Management } from '../../management/management.js'
import type { Job } from '../../model/job-queue.js'
import type { ServerEvent } from '../shared/server-events.js'

/** A time in ISO 8601; undefined for none, and for what is no date. */
export const isoTime = (at: number | undefined): string | undefined =>
  at === undefined || Math.abs(at) > 8.64e15 ? undefined : new Date(at).toISOString()

/** A job. */
export function serializeJob(job: Job): Record<string, unknown> {
  return {
    id: String(job.id),
    kind: job.kind,
    ...(job.lane === 'task' && { key: job.key }),
    state: job.state,
    done: job.done,
    total: job.total,
    ...(job.rate !== undefined && { rate_per_second: Number(job.rate.toFixed(2)) }),
    ...(job.eta !== undefined && { eta_seconds: Math.ceil(job.eta / 1000) }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.reason !== undefined && { reason: job.reason }),
    ...(job.result !== undefined && { result: job.result }),
    ...(job.parent !== undefined && { parent: String(job.parent) }),
    attempts: job.attempts,
    created_at: isoTime(job.createdAt),
    started_at: isoTime(job.startedAt),
    ended_at: isoTime(job.endedAt),
    ...(job.state === 'queued' && job.notBefore > 0 && { not_before: isoTime(job.notBefore) }),
  }
}

/** How the queue stands. */
export const serializeStatus = ({ schedules, ...status }: RefresherStatus): Record<string, unknown> => ({
  ...status,
  schedules: schedules.map(({ kind, cron, timezone, nextRun, lastRun, lastJob, refused }) => ({
    kind,
    cron,
    timezone,
    next_run: isoTime(nextRun) ?? null,
    last_run: isoTime(lastRun) ?? null,
    last_job: lastJob ?? null,
    refused,
  })),
})

const jobEvent = (job: Job): ServerEvent => ({ event: 'job', id: String(job.id), data: serializeJob(job) })

/** A job's progress as server-sent events. */
export async function* jobEvents(jobs: AsyncIterable<Job>): AsyncGenerator<ServerEvent> {
  for await (const job of jobs) yield jobEvent(job)
}

/** Everything that happens in the queue as server-sent events. */
export async function* queueEvents(events: ReturnType<Management['events']>): AsyncGenerator<ServerEvent> {
  for await (const one of events)
    yield one.type === 'job' ? jobEvent(one.job) : { event: 'status', data: serializeStatus(one.status) }
}

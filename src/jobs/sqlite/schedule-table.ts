/** Schedules: which runs there were, and when each is due. */
import type { AtOnce, ScheduleTable } from '../../model/job-queue.js'
import type { Connection } from './connection.js'
import type { AddJob } from './job-rows.js'

/** A schedule that no process has used for so long is deleted. */
const RETENTION_MS = 30 * 864e5

/** See the port. */
export function createScheduleTable(
  { query, transaction }: Connection,
  addJob: AddJob,
  now: () => number,
): AtOnce<ScheduleTable> {
  return {
    run: (plan, job, next, latest) =>
      transaction((sql) => {
        const at = now()
        const due = sql.schedule.get(job.kind, plan)?.next
        if (due !== undefined && due > at && due <= latest()) return undefined
        sql.setSchedule.run(job.kind, plan, Math.trunc(next()))
        if (due === undefined || due > at) return undefined
        const added = addJob(sql, job, false)
        if (added.accepted) sql.setLastRun.run(at, added.id, job.kind, plan)
        else sql.countRefused.run(job.kind, plan)
        return added
      }, undefined),
    forget: () => query((sql) => void sql.trimSchedules.run(now() - RETENTION_MS), undefined),
    list: () =>
      query(
        (sql) =>
          sql.schedules
            .all()
            .map((row) => ({ ...row, last: row.last ?? undefined, lastJob: row.lastJob ?? undefined })),
        [],
      ),
  }
}

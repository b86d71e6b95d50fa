/** Reading the job database. */
import type { Statement } from '../../database/sqlite.js'
import type { AtOnce, Job, JobQueries, JobSelection, JobState } from '../../model/job-queue.js'
import type { Connection } from './connection.js'
import type { Statements } from './statements.js'
import { type Row, SUMMARY_COLUMNS, toJob } from './tables.js'

type StateCount = { readonly state: JobState; readonly count: number }
const byState = (rows: readonly StateCount[]): Partial<Record<JobState, number>> =>
  Object.fromEntries(rows.map(({ state, count }) => [state, count]))

/** The statement that lists by these conditions, newest first; prepared once. */
function listStatement(
  { db, lists }: Statements,
  { state, kind, lane, parent, before }: JobSelection,
): Statement<[object], Row> {
  // Every kind but downloads is a long job: there are few of those, and they have an index.
  const isLong = lane === 'job' || (kind !== undefined && kind !== 'download')
  const conditions = [
    isLong ? "lane = 'job'" : lane === undefined ? undefined : 'lane = @lane',
    state === undefined ? undefined : 'state = @state',
    kind === undefined ? undefined : 'kind = @kind',
    parent === undefined ? undefined : 'parent = @parent',
    before === undefined ? undefined : 'id < @before',
  ].filter((condition) => condition !== undefined)
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const statement =
    lists.get(where) ??
    db.prepare<[object], Row>(`SELECT ${SUMMARY_COLUMNS} FROM jobs ${where} ORDER BY id DESC LIMIT @limit`)
  lists.set(where, statement)
  return statement
}

/** See the port. */
export function createQueries({ query }: Connection): AtOnce<JobQueries> {
  const find = (id: number): Row | undefined => query((sql) => sql.summary.get(id), undefined)
  return {
    get: (id): Job | undefined => {
      const row = find(id)
      return row && toJob(row)
    },
    list: (selection) => query((sql) => listStatement(sql, selection).all(selection).map(toJob), []),
    counts: () => {
      const counted = byState(query((sql) => sql.counts.all(), []))
      return { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0, ...counted }
    },
    children: (id) => {
      const { ok: done = 0, failed = 0, cancelled = 0 } = find(id) ?? {}
      const open = byState(query((sql) => sql.children.all(id), []))
      return { queued: 0, running: 0, done, failed, cancelled, ...open }
    },
    isPaused: () => query((sql) => sql.flag.get('paused')?.value === 1, false),
  }
}

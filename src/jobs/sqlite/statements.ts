/** The prepared statements of the job database, by who runs them. */
import { type Database, keep, type Statement } from '../../database/sqlite.js'
import type { Reason } from '../../model/failure.js'
import type { BackOff, JobState, Lane, Schedule } from '../../model/job-queue.js'
import { COLUMNS, type Row, SUMMARY_COLUMNS } from './tables.js'

/** A job fails after so many processes have died at it. */
const MAX_CRASHES = 3
/** A job that is put off for longer was put off by a clock that was ahead, ms. */
const MAX_WAIT_MS = 864e5
const MAX_BACK_OFFS = 200_000

/** See the top of the file. */
export type Statements = ReturnType<typeof prepareStatements>

/**
 * Prepares every statement: none is prepared twice.
 * @internal
 */
export const prepareStatements = (db: Database) =>
  keep({
    db,
    ...queueStatements(db),
    ...runStatements(db),
    ...recoveryStatements(db),
    ...queryStatements(db),
    ...backOffStatements(db),
    ...scheduleStatements(db),
  })

/** Adding, cancelling, trying again. */
const queueStatements = (db: Database) => ({
  insert: db.prepare<[string, string, number, string, Lane, string, number | null, number]>(
    `INSERT INTO jobs (key, kind, state, priority, payload, lane, host, parent, createdAt, place)
     VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(place), 0) + 1 FROM jobs))`,
  ),
  openByKey: db.prepare<[string], { id: number; priority: number; state: string; payload: string }>(
    "SELECT id, priority, state, payload FROM jobs WHERE key = ? AND state IN ('queued', 'running')",
  ),
  replacePayload: db.prepare<[string, string, number]>(
    "UPDATE jobs SET payload = ?, host = ?, next = NULL, notBefore = 0, attempts = 0 WHERE id = ? AND state = 'queued'",
  ),
  setNext: db.prepare<[string | null, number]>("UPDATE jobs SET next = ? WHERE id = ? AND state = 'running'"),
  raise: db.prepare<[number, number]>(
    'UPDATE jobs SET priority = ?, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ?',
  ),
  waiting: db.prepare<[], { count: number }>(
    "SELECT count(*) AS count FROM jobs WHERE state = 'queued' AND parent IS NULL",
  ),
  fail: db.prepare<[{ error: string; reason: Reason; at: number; id: number }]>(
    "UPDATE jobs SET state = 'failed', error = @error, reason = @reason, endedAt = @at WHERE id = @id AND state = 'queued'",
  ),
  cancelQueued: db.prepare<[number, number]>(
    "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE id = ? AND state = 'queued'",
  ),
  cancelChildren: db.prepare<[number, number]>(
    "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE parent = ? AND state = 'queued'",
  ),
  requestCancel: db.prepare<[number]>("UPDATE jobs SET wish = 'cancel' WHERE id = ? AND state = 'running'"),
  retry: db.prepare<[number]>(
    `UPDATE jobs SET state = 'queued', notBefore = 0, attempts = 0, endedAt = NULL, error = NULL, reason = NULL,
     result = NULL, done = 0, total = 0, ok = 0, failed = 0, cancelled = 0,
     crashes = 0, wish = NULL, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ? AND state IN ('failed', 'cancelled')`,
  ),
  /** The jobs of an earlier run are none of the next one's. */
  detachChildren: db.prepare<[number]>(
    'UPDATE jobs SET parent = NULL WHERE parent = ? AND endedAt IS NOT NULL',
  ),
  countEnded: {
    done: db.prepare<[number]>('UPDATE jobs SET ok = ok + 1 WHERE id = ?'),
    failed: db.prepare<[number]>('UPDATE jobs SET failed = failed + 1 WHERE id = ?'),
    cancelled: db.prepare<[number]>('UPDATE jobs SET cancelled = cancelled + 1 WHERE id = ?'),
  },
  uncountEnded: {
    failed: db.prepare<[number]>('UPDATE jobs SET failed = max(0, failed - 1) WHERE id = ?'),
    cancelled: db.prepare<[number]>('UPDATE jobs SET cancelled = max(0, cancelled - 1) WHERE id = ?'),
  },
  countCancelled: db.prepare<[number, number]>('UPDATE jobs SET cancelled = cancelled + ? WHERE id = ?'),
})

/** Taking jobs, and ending them. */
const runStatements = (db: Database) => ({
  // The first job of each host that is not excluded: hosts are few, and many jobs may wait for one.
  next: db.prepare<
    [{ lane: Lane; at: number; excluded: string; kinds: string | null; only: number | null }],
    Row
  >(
    `WITH RECURSIVE hosts (host) AS (
       SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane
       UNION ALL
       SELECT (SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane AND host > hosts.host)
       FROM hosts WHERE hosts.host IS NOT NULL)
     SELECT ${COLUMNS} FROM jobs WHERE id IN (
       SELECT (SELECT id FROM jobs WHERE state = 'queued' AND lane = @lane AND jobs.host = hosts.host
               AND (@only IS NULL OR id = @only) AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds)))
               AND (notBefore <= @at OR notBefore > @at + ${MAX_WAIT_MS}) ORDER BY priority DESC, place LIMIT 1)
       FROM hosts WHERE host IS NOT NULL AND (host = '' OR host NOT IN (SELECT value FROM json_each(@excluded))))
     ORDER BY priority DESC, place LIMIT 1`,
  ),
  claim: db.prepare<[string, string, number, number]>(
    `UPDATE jobs SET state = 'running', owner = ?, ticket = ?, startedAt = ?, attempts = attempts + 1,
     paceAt = NULL, paceDone = NULL, toldAt = NULL WHERE id = ? AND state = 'queued'`,
  ),
  end: db.prepare<[string, string | null, string | null, string | null, number, number, string]>(
    `UPDATE jobs SET state = ?, error = ?, reason = ?, result = ?, endedAt = ?, owner = NULL, wish = NULL, ticket = NULL,
     next = NULL WHERE id = ? AND state = 'running' AND ticket = ?`,
  ),
  requeue: db.prepare<[number, string | null, number, string]>(
    `UPDATE jobs SET state = 'queued', notBefore = ?, error = NULL, reason = ?, owner = NULL,
     ticket = NULL WHERE id = ? AND state = 'running' AND ticket = ?`,
  ),
  /** Another queue has it. */
  handOver: db.prepare<[number, string]>(
    "DELETE FROM jobs WHERE id = ? AND state = 'running' AND ticket = ?",
  ),
  giveBack: db.prepare<[number, string]>(
    `UPDATE jobs SET state = 'queued', attempts = attempts - 1, startedAt = NULL, owner = NULL, ticket = NULL
     WHERE id = ? AND state = 'running' AND ticket = ?`,
  ),
  progress: db.prepare<[{ done: number; total: number; at: number; id: number; ticket: string }]>(
    `UPDATE jobs SET done = @done, total = @total, toldAt = @at, paceAt = coalesce(paceAt, @at),
     paceDone = coalesce(paceDone, @done) WHERE id = @id AND ticket = @ticket`,
  ),
  isDue: db.prepare<[{ at: number; kinds: string | null }], { due: 0 | 1 }>(
    `SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') OR EXISTS (SELECT 1 FROM jobs WHERE state = 'queued'
     AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds))) AND (notBefore <= @at OR notBefore > @at + ${MAX_WAIT_MS})) AS due`,
  ),
  cancelRequested: db.prepare<[string], { id: number }>(
    "SELECT id FROM jobs WHERE state = 'running' AND wish = 'cancel' AND owner = ?",
  ),
  trim: db.prepare<[Lane, JobState, number]>(
    `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE lane = ? AND state = ? AND endedAt IS NOT NULL
     ORDER BY endedAt DESC, id DESC LIMIT -1 OFFSET ?)`,
  ),
})

/** What dead processes were running. */
const recoveryStatements = (db: Database) => ({
  owners: db.prepare<[], { owner: string }>("SELECT DISTINCT owner FROM jobs WHERE state = 'running'"),
  /** Those that will not be queued again. */
  abandoned: db.prepare<
    [{ owner: string; crashed: 0 | 1 }],
    { id: number; parent: number | null; wish: string | null; next: string | null }
  >(`SELECT id, parent, wish, next FROM jobs WHERE state = 'running' AND owner = @owner
     AND (wish = 'cancel' OR crashes + @crashed >= ${MAX_CRASHES})`),
  release: db.prepare<[{ owner: string; at: number; crashed: 0 | 1 }]>(
    `UPDATE jobs SET crashes = crashes + @crashed,
     state = CASE WHEN wish = 'cancel' THEN 'cancelled' WHEN crashes + @crashed >= ${MAX_CRASHES} THEN 'failed'
       ELSE 'queued' END,
     endedAt = CASE WHEN wish = 'cancel' OR crashes + @crashed >= ${MAX_CRASHES} THEN @at END,
     reason = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MAX_CRASHES} THEN 'processing' END,
     error = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MAX_CRASHES}
       THEN 'the process ended each time it was at this' END,
     owner = NULL, ticket = NULL, next = CASE WHEN wish IS NULL AND crashes + @crashed < ${MAX_CRASHES} THEN next END,
     wish = NULL WHERE state = 'running' AND owner = @owner`,
  ),
  changeOwner: db.prepare<[string, string]>(
    "UPDATE jobs SET owner = ? WHERE state = 'running' AND owner = ?",
  ),
})

/** Reading the queue; its flags. */
const queryStatements = (db: Database) => ({
  get: db.prepare<[number], Row & { wish: string | null; next: string | null }>(
    `SELECT ${COLUMNS}, wish, next FROM jobs WHERE id = ?`,
  ),
  summary: db.prepare<[number], Row>(`SELECT ${SUMMARY_COLUMNS} FROM jobs WHERE id = ?`),
  /** By their conditions: each combination is a statement of its own, so that its index is used. */
  lists: new Map<string, Statement<[object], Row>>(),
  counts: db.prepare<[], { state: JobState; count: number }>(
    'SELECT state, count(*) AS count FROM jobs GROUP BY state',
  ),
  children: db.prepare<[number], { state: JobState; count: number }>(
    "SELECT state, count(*) AS count FROM jobs WHERE parent = ? AND state IN ('queued', 'running') GROUP BY state",
  ),
  flag: db.prepare<[string], { value: number }>('SELECT value FROM flags WHERE key = ?'),
  setFlag: db.prepare<[string, number]>('INSERT OR REPLACE INTO flags VALUES (?, ?)'),
})

const backOffStatements = (db: Database) => ({
  backOff: db.prepare<[string], BackOff>('SELECT url, until, times, reason FROM rests WHERE key = ?'),
  setBackOff: db.prepare('INSERT OR REPLACE INTO rests VALUES (@key, @url, @until, @times, @reason)'),
  clearBackOff: db.prepare<[string]>('DELETE FROM rests WHERE key = ?'),
  clearBackOffs: db.prepare('DELETE FROM rests'),
  backOffsByKind: db.prepare<[], { kind: string; count: number }>(
    "SELECT substr(key, 1, instr(key, ':') - 1) AS kind, count(*) AS count FROM rests GROUP BY kind",
  ),
  backOffsAfter: db.prepare<[{ kind: string; after: string; limit: number }], BackOff & { key: string }>(
    `SELECT key, url, until, times, reason FROM rests WHERE key > @after
     AND (@kind = '' OR substr(key, 1, length(@kind) + 1) = @kind || ':') ORDER BY key LIMIT @limit`,
  ),
  trimBackOffs: db.prepare<[number]>(`DELETE FROM rests WHERE until < ? OR key IN
    (SELECT key FROM rests ORDER BY until LIMIT max(0, (SELECT count(*) FROM rests) - ${MAX_BACK_OFFS}))`),
})

const scheduleStatements = (db: Database) => ({
  schedule: db.prepare<[string, string], { next: number }>(
    'SELECT next FROM schedules WHERE kind = ? AND plan = ?',
  ),
  setSchedule: db.prepare<[string, string, number]>(
    `INSERT INTO schedules (kind, plan, next) VALUES (?, ?, ?)
     ON CONFLICT (kind, plan) DO UPDATE SET next = excluded.next`,
  ),
  setLastRun: db.prepare<[number, number, string, string]>(
    'UPDATE schedules SET last = ?, lastJob = ? WHERE kind = ? AND plan = ?',
  ),
  countRefused: db.prepare<[string, string]>(
    'UPDATE schedules SET refused = refused + 1 WHERE kind = ? AND plan = ?',
  ),
  schedules: db.prepare<
    [],
    Omit<Schedule, 'last' | 'lastJob'> & { last: number | null; lastJob: number | null }
  >('SELECT * FROM schedules ORDER BY kind, plan'),
  trimSchedules: db.prepare<[number]>('DELETE FROM schedules WHERE next < ?'),
})

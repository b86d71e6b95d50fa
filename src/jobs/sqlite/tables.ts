/** The database of work: its tables, and every question that is asked of them. */
import type { Database, Statement } from '../../database/sqlite.js'
import { keep, type Shape } from '../../database/sqlite.js'
import type { Reason } from '../../model/failure.js'
import type { BackOff, Job, JobSelection, JobState, Lane, Schedule } from '../ports.js'

/** The database of work. */
export const SHAPE: Shape = {
  version: 2,
  synchronous: 'NORMAL',
  timeout: 1000,
  schema: `
    CREATE TABLE jobs (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
      priority INTEGER NOT NULL,
      -- Where it stands among those of its priority.
      place INTEGER NOT NULL DEFAULT 0,
      payload TEXT NOT NULL, lane TEXT NOT NULL, host TEXT NOT NULL DEFAULT '', parent INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
      notBefore INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
      error TEXT, reason TEXT, result TEXT, owner TEXT, wish TEXT,
      -- Of this one run: who has another one may not end it.
      ticket TEXT,
      -- What is to be queued when this has ended: it was asked for anew while it ran.
      next TEXT,
      -- How often a process died at it.
      crashes INTEGER NOT NULL DEFAULT 0,
      -- What became of the pieces of work that this one asked for.
      ok INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
      createdAt INTEGER NOT NULL, startedAt INTEGER, endedAt INTEGER,
      -- The first step of this run that was told of, and the last: what its rate follows from.
      paceAt INTEGER, paceDone INTEGER, toldAt INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX jobs_open ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_next ON jobs (lane, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_by_place ON jobs (place);
    CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
    CREATE INDEX jobs_by_host ON jobs (lane, host, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_own ON jobs (id) WHERE state = 'queued' AND parent IS NULL;
    CREATE INDEX jobs_long ON jobs (id) WHERE lane = 'job';
    CREATE INDEX jobs_ended ON jobs (lane, state, endedAt) WHERE endedAt IS NOT NULL;
    CREATE INDEX jobs_by_parent ON jobs (parent, state) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_family ON jobs (parent, id) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_by_state ON jobs (state, id);
    -- Ids go on where a lost database ended, or later.
    INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', CAST(strftime('%s', 'now') AS INTEGER));
    -- What failed and is left alone for a while.
    CREATE TABLE rests (
      key TEXT PRIMARY KEY, url TEXT NOT NULL, until INTEGER NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rests_by_end ON rests (until);
    -- Jobs that are begun by themselves, each once for all processes.
    CREATE TABLE schedules (
      kind TEXT NOT NULL, plan TEXT NOT NULL, next INTEGER NOT NULL, last INTEGER, lastJob INTEGER,
      refused INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, plan)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE flags (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 2;
  `,
  checks: [
    'SELECT * FROM jobs LIMIT 1; SELECT * FROM rests LIMIT 1; SELECT * FROM schedules LIMIT 1; SELECT * FROM flags LIMIT 1; SELECT max(id) FROM jobs',
  ],
}

/** After so many processes died at a piece of work, it is given up. */
const MOST_CRASHES = 3
/** Nothing waits for longer than this, ms: what seems to was put off by a clock that was ahead. */
const LONGEST_WAIT = 864e5
const RESTS_KEPT = 200_000

interface Row
  extends Omit<
    Job,
    | 'payload'
    | 'result'
    | 'host'
    | 'ticket'
    | 'parent'
    | 'error'
    | 'reason'
    | 'startedAt'
    | 'endedAt'
    | 'rate'
    | 'eta'
  > {
  readonly paceAt: number | null
  readonly paceDone: number | null
  readonly toldAt: number | null
  readonly payload: string
  readonly result: string | null
  readonly host: string
  readonly ticket: string | null
  readonly parent: number | null
  readonly error: string | null
  readonly reason: Reason | null
  readonly startedAt: number | null
  readonly endedAt: number | null
}

/** A payload that is longer is left out of what is listed and followed, characters. */
const LONG = 4096
const COLUMNS =
  'ticket, ok, failed, cancelled, id, key, kind, state, priority, payload, lane, host, parent, attempts, notBefore, done, total, error, reason, result, createdAt, startedAt, endedAt, paceAt, paceDone, toldAt'

/** Steps a second, by what was told of this run; undefined before there were two moments. */
const rateOf = ({ done, paceAt, paceDone, toldAt }: Row): number | undefined => {
  const ms = (toldAt ?? 0) - (paceAt ?? 0)
  const steps = done - (paceDone ?? done)
  return ms > 0 && steps > 0 ? (steps * 1000) / ms : undefined
}

/** The same, without a payload that is long. */
const GLANCED = COLUMNS.replace(
  ' payload,',
  ` CASE WHEN length(payload) > ${LONG} THEN 'null' ELSE payload END AS payload,`,
)

/** A row as it is used. */
export const toJob = (row: Row): Job => {
  const { paceAt: _first, paceDone: _done, toldAt: _last, ...told } = row
  const rate = rateOf(row)
  return {
    ...told,
    payload: JSON.parse(row.payload),
    result: row.result === null ? undefined : JSON.parse(row.result),
    host: row.host === '' ? undefined : row.host,
    ticket: row.ticket ?? '',
    parent: row.parent ?? undefined,
    error: row.error ?? undefined,
    reason: row.reason ?? undefined,
    startedAt: row.startedAt ?? undefined,
    endedAt: row.endedAt ?? undefined,
    rate,
    eta:
      rate === undefined || row.state !== 'running'
        ? undefined
        : Math.round((Math.max(0, row.total - row.done) * 1000) / rate),
  }
}

/**
 * Every question that is asked of the database.
 * @internal
 */
export function statements(db: Database) {
  return keep({
    db,
    insert: db.prepare<[string, string, number, string, Lane, string, number | null, number]>(
      `INSERT INTO jobs (key, kind, state, priority, payload, lane, host, parent, createdAt, place)
       VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(place), 0) + 1 FROM jobs))`,
    ),
    open: db.prepare<[string], { id: number; priority: number; state: string; payload: string }>(
      "SELECT id, priority, state, payload FROM jobs WHERE key = ? AND state IN ('queued', 'running')",
    ),
    change: db.prepare<[string, string, number]>(
      "UPDATE jobs SET payload = ?, host = ?, next = NULL, notBefore = 0, attempts = 0 WHERE id = ? AND state = 'queued'",
    ),
    setNext: db.prepare<[string | null, number]>(
      "UPDATE jobs SET next = ? WHERE id = ? AND state = 'running'",
    ),
    raise: db.prepare<[number, number]>(
      'UPDATE jobs SET priority = ?, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ?',
    ),
    waiting: db.prepare<[], { count: number }>(
      "SELECT count(*) AS count FROM jobs WHERE state = 'queued' AND parent IS NULL",
    ),
    // The first of each host that is not spared: hosts are few, and what waits for one may be a lot.
    next: db.prepare<
      [{ lane: Lane; at: number; spared: string; able: string | null; only: number | null }],
      Row
    >(
      `WITH RECURSIVE hosts (host) AS (
         SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane
         UNION ALL
         SELECT (SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane AND host > hosts.host)
         FROM hosts WHERE hosts.host IS NOT NULL)
       SELECT ${COLUMNS} FROM jobs WHERE id IN (
         SELECT (SELECT id FROM jobs WHERE state = 'queued' AND lane = @lane AND jobs.host = hosts.host
                 AND (@only IS NULL OR id = @only) AND (@able IS NULL OR kind IN (SELECT value FROM json_each(@able)))
                 AND (notBefore <= @at OR notBefore > @at + ${LONGEST_WAIT}) ORDER BY priority DESC, place LIMIT 1)
         FROM hosts WHERE host IS NOT NULL AND (host = '' OR host NOT IN (SELECT value FROM json_each(@spared))))
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
    fail: db.prepare<[{ error: string; reason: Reason; at: number; id: number }]>(
      "UPDATE jobs SET state = 'failed', error = @error, reason = @reason, endedAt = @at WHERE id = @id AND state = 'queued'",
    ),
    again: db.prepare<[number, string | null, string | null, number, string]>(
      `UPDATE jobs SET state = 'queued', notBefore = ?, error = ?, reason = ?, owner = NULL,
       ticket = NULL WHERE id = ? AND state = 'running' AND ticket = ?`,
    ),
    progress: db.prepare<[{ done: number; total: number; at: number; id: number; ticket: string }]>(
      `UPDATE jobs SET done = @done, total = @total, toldAt = @at, paceAt = coalesce(paceAt, @at),
       paceDone = coalesce(paceDone, @done) WHERE id = @id AND ticket = @ticket`,
    ),
    advance: {
      done: db.prepare<[number]>('UPDATE jobs SET ok = ok + 1 WHERE id = ?'),
      failed: db.prepare<[number]>('UPDATE jobs SET failed = failed + 1 WHERE id = ?'),
      cancelled: db.prepare<[number]>('UPDATE jobs SET cancelled = cancelled + 1 WHERE id = ?'),
    },
    /** What failed, or was cancelled, is tried once more: it counts as neither. */
    recall: {
      failed: db.prepare<[number]>('UPDATE jobs SET failed = max(0, failed - 1) WHERE id = ?'),
      cancelled: db.prepare<[number]>('UPDATE jobs SET cancelled = max(0, cancelled - 1) WHERE id = ?'),
    },
    cancelledMany: db.prepare<[number, number]>('UPDATE jobs SET cancelled = cancelled + ? WHERE id = ?'),
    get: db.prepare<[number], Row & { wish: string | null; next: string | null }>(
      `SELECT ${COLUMNS}, wish, next FROM jobs WHERE id = ?`,
    ),
    glance: db.prepare<[number], Row>(`SELECT ${GLANCED} FROM jobs WHERE id = ?`),
    /** By what they ask for: each combination of rules is a statement of its own, so that its index is used. */
    lists: new Map<string, Statement<[object], Row>>(),
    counts: db.prepare<[], { state: JobState; count: number }>(
      'SELECT state, count(*) AS count FROM jobs GROUP BY state',
    ),
    children: db.prepare<[number], { state: JobState; count: number }>(
      "SELECT state, count(*) AS count FROM jobs WHERE parent = ? AND state IN ('queued', 'running') GROUP BY state",
    ),
    due: db.prepare<[{ at: number; able: string | null }], { due: 0 | 1 }>(
      `SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') OR EXISTS (SELECT 1 FROM jobs WHERE state = 'queued'
       AND (@able IS NULL OR kind IN (SELECT value FROM json_each(@able))) AND (notBefore <= @at OR notBefore > @at + ${LONGEST_WAIT})) AS due`,
    ),
    cancelQueued: db.prepare<[number, number]>(
      "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE id = ? AND state = 'queued'",
    ),
    cancelChildren: db.prepare<[number, number]>(
      "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE parent = ? AND state = 'queued'",
    ),
    wish: db.prepare<[number]>("UPDATE jobs SET wish = 'cancel' WHERE id = ? AND state = 'running'"),
    wished: db.prepare<[string], { id: number }>(
      "SELECT id FROM jobs WHERE state = 'running' AND wish = 'cancel' AND owner = ?",
    ),
    retry: db.prepare<[number]>(
      `UPDATE jobs SET state = 'queued', notBefore = 0, attempts = 0, endedAt = NULL, error = NULL, reason = NULL,
       result = NULL, done = 0, total = 0, ok = 0, failed = 0, cancelled = 0,
       crashes = 0, wish = NULL, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ? AND state IN ('failed', 'cancelled')`,
    ),
    /** What an earlier run asked for is none of the next one's. */
    orphan: db.prepare<[number]>('UPDATE jobs SET parent = NULL WHERE parent = ? AND endedAt IS NOT NULL'),
    owners: db.prepare<[], { owner: string }>("SELECT DISTINCT owner FROM jobs WHERE state = 'running'"),
    /** What of a dead process will not be begun again. */
    doomed: db.prepare<
      [{ owner: string; crashed: 0 | 1 }],
      { id: number; parent: number | null; wish: string | null; next: string | null }
    >(`SELECT id, parent, wish, next FROM jobs WHERE state = 'running' AND owner = @owner
       AND (wish = 'cancel' OR crashes + @crashed >= ${MOST_CRASHES})`),
    // What was to be cancelled is, whoever was at it.
    release: db.prepare<[{ owner: string; at: number; crashed: 0 | 1 }]>(
      `UPDATE jobs SET crashes = crashes + @crashed,
       state = CASE WHEN wish = 'cancel' THEN 'cancelled' WHEN crashes + @crashed >= ${MOST_CRASHES} THEN 'failed'
         ELSE 'queued' END,
       endedAt = CASE WHEN wish = 'cancel' OR crashes + @crashed >= ${MOST_CRASHES} THEN @at END,
       reason = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MOST_CRASHES} THEN 'processing' END,
       error = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MOST_CRASHES}
         THEN 'the process ended each time it was at this' END,
       owner = NULL, ticket = NULL, next = CASE WHEN wish IS NULL AND crashes + @crashed < ${MOST_CRASHES} THEN next END,
       wish = NULL WHERE state = 'running' AND owner = @owner`,
    ),
    rename: db.prepare<[string, string]>("UPDATE jobs SET owner = ? WHERE state = 'running' AND owner = ?"),
    trim: db.prepare<[Lane, JobState, number]>(
      `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE lane = ? AND state = ? AND endedAt IS NOT NULL
       ORDER BY endedAt DESC, id DESC LIMIT -1 OFFSET ?)`,
    ),
    rest: db.prepare<[string], BackOff>('SELECT url, until, times, reason FROM rests WHERE key = ?'),
    setRest: db.prepare('INSERT OR REPLACE INTO rests VALUES (@key, @url, @until, @times, @reason)'),
    unrest: db.prepare<[string]>('DELETE FROM rests WHERE key = ?'),
    unrestAll: db.prepare('DELETE FROM rests'),
    restsByKind: db.prepare<[], { kind: string; count: number }>(
      "SELECT substr(key, 1, instr(key, ':') - 1) AS kind, count(*) AS count FROM rests GROUP BY kind",
    ),
    restsAfter: db.prepare<[{ kind: string; after: string; limit: number }], BackOff & { key: string }>(
      `SELECT key, url, until, times, reason FROM rests WHERE key > @after
       AND (@kind = '' OR substr(key, 1, length(@kind) + 1) = @kind || ':') ORDER BY key LIMIT @limit`,
    ),
    schedule: db.prepare<[string, string], { next: number }>(
      'SELECT next FROM schedules WHERE kind = ? AND plan = ?',
    ),
    setSchedule: db.prepare<[string, string, number]>(
      `INSERT INTO schedules (kind, plan, next) VALUES (?, ?, ?)
       ON CONFLICT (kind, plan) DO UPDATE SET next = excluded.next`,
    ),
    ran: db.prepare<[number, number, string, string]>(
      'UPDATE schedules SET last = ?, lastJob = ? WHERE kind = ? AND plan = ?',
    ),
    refuse: db.prepare<[string, string]>(
      'UPDATE schedules SET refused = refused + 1 WHERE kind = ? AND plan = ?',
    ),
    schedules: db.prepare<
      [],
      Omit<Schedule, 'last' | 'lastJob'> & { last: number | null; lastJob: number | null }
    >('SELECT * FROM schedules ORDER BY kind, plan'),
    dropSchedules: db.prepare<[number]>('DELETE FROM schedules WHERE next < ?'),
    flag: db.prepare<[string], { value: number }>('SELECT value FROM flags WHERE key = ?'),
    setFlag: db.prepare<[string, number]>('INSERT OR REPLACE INTO flags VALUES (?, ?)'),
    trimRests: db.prepare<[number]>(`DELETE FROM rests WHERE until < ? OR key IN
      (SELECT key FROM rests ORDER BY until LIMIT max(0, (SELECT count(*) FROM rests) - ${RESTS_KEPT}))`),
  })
}

/**
 * The statement that lists by these rules, newest first; made when it is first asked for.
 * @internal
 */
export function listing(
  sql: ReturnType<typeof statements>,
  { state, kind, lane, parent, before }: JobSelection,
): Statement<[object], Row> {
  // Everything but downloads of pictures is a long job: there are few of those, and they have an index.
  const isLong = lane === 'job' || (kind !== undefined && kind !== 'download')
  const rules = [
    isLong ? "lane = 'job'" : lane === undefined ? undefined : 'lane = @lane',
    state === undefined ? undefined : 'state = @state',
    kind === undefined ? undefined : 'kind = @kind',
    parent === undefined ? undefined : 'parent = @parent',
    before === undefined ? undefined : 'id < @before',
  ].filter((rule) => rule !== undefined)
  const where = rules.length === 0 ? '' : `WHERE ${rules.join(' AND ')}`
  const known =
    sql.lists.get(where) ??
    sql.db.prepare<[object], Row>(`SELECT ${GLANCED} FROM jobs ${where} ORDER BY id DESC LIMIT @limit`)
  sql.lists.set(where, known)
  return known
}

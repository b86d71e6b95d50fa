/** The tables of the job database, and its rows as jobs. */
import type { Shape } from '../../database/sqlite.js'
import type { Job } from '../../model/job-queue.js'

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
      -- First and last reported progress of this run, for its rate.
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

/** Columns that are null where a job has no value. */
type Nullable = 'parent' | 'error' | 'reason' | 'ticket' | 'startedAt' | 'endedAt'
type Stored<Value> = Exclude<Value, undefined> | null

/** A row of `jobs`. */
export interface Row
  extends Omit<Job, Nullable | 'payload' | 'result' | 'host' | 'rate' | 'eta'>,
    Readonly<{ [Column in Nullable]: Stored<Job[Column]> }> {
  readonly payload: string
  readonly result: string | null
  readonly host: string
  readonly paceAt: number | null
  readonly paceDone: number | null
  readonly toldAt: number | null
}

/** A longer payload is left out where jobs are listed and followed, characters. */
const MAX_LISTED_PAYLOAD = 4096
/** The columns of a `Row`. */
export const COLUMNS =
  'ticket, ok, failed, cancelled, id, key, kind, state, priority, payload, lane, host, parent, attempts, notBefore, done, total, error, reason, result, createdAt, startedAt, endedAt, paceAt, paceDone, toldAt'
/** The same, with null for a long payload. */
export const SUMMARY_COLUMNS = COLUMNS.replace(
  ' payload,',
  ` CASE WHEN length(payload) > ${MAX_LISTED_PAYLOAD} THEN 'null' ELSE payload END AS payload,`,
)

/** Steps a second in this run; undefined before there were two reports of progress. */
function rateOf({ done, paceAt, paceDone, toldAt }: Row): number | undefined {
  const ms = (toldAt ?? 0) - (paceAt ?? 0)
  const steps = done - (paceDone ?? done)
  return ms > 0 && steps > 0 ? (steps * 1000) / ms : undefined
}

/** A row as a job. */
export function toJob(row: Row): Job {
  const { paceAt: _at, paceDone: _done, toldAt: _last, ...columns } = row
  const rate = rateOf(row)
  const left = Math.max(0, row.total - row.done)
  return {
    ...columns,
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
    eta: rate === undefined || row.state !== 'running' ? undefined : Math.round((left * 1000) / rate),
  }
}

/**
 * Work that nobody waits for, in a database of its own beside the catalogue: it survives `kill -9`, is shared by
 * every process of the directory, and each piece is done by one of them. A piece that a dead process was at is
 * taken over. Without a directory it lives in memory, by the same rules.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Reason } from '../model/errors.js'
import type { Logger } from '../model/logger.js'
import { inodeOf, isDamage, keep, openDatabase, type Shape } from './database.js'
import { enter, type Presence } from './presence.js'

/** What kind of place a piece of work takes. */
export type Lane = 'task' | 'job'

/** Where a piece of work stands. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled'

/** A piece of work. Times in ms since the epoch. */
export interface Job {
  readonly id: number
  /** What it is about: the same key is queued once. */
  readonly key: string
  readonly kind: string
  readonly state: JobState
  /** Higher first; inside, first in, first out. */
  readonly priority: number
  /** What is to be done, as its kind reads it. */
  readonly payload: unknown
  /** `task`: one picture; `job`: a long piece of work, which asks for tasks or goes through everything. */
  readonly lane: Lane
  /** The host it asks, where there is one: hosts are spared. */
  readonly host: string | undefined
  /** The piece of work that asked for it. */
  readonly parent: number | undefined
  readonly attempts: number
  /** Not begun before this. */
  readonly notBefore: number
  readonly done: number
  readonly total: number
  readonly error: string | undefined
  readonly reason: Reason | undefined
  /** Of this run of it, for who runs it. */
  readonly ticket: string
  /** What became of the pieces of work that it asked for. */
  readonly ok: number
  readonly failed: number
  readonly cancelled: number
  /** What came of it, as its kind tells. */
  readonly result: unknown
  readonly createdAt: number
  readonly startedAt: number | undefined
  readonly endedAt: number | undefined
}

/** What is to be queued. */
export interface NewJob {
  readonly key: string
  readonly kind: string
  readonly priority: number
  readonly payload: unknown
  readonly lane: Lane
  readonly host?: string | undefined
  readonly parent?: number | undefined
  /**
   * Where the same key is open already: what is to be done instead of what it says, undefined to leave it as it is.
   * What waits is changed, and begins anew; what runs is done once more after it has ended.
   */
  readonly instead?: ((before: unknown) => unknown) | undefined
}

/** What became of queueing. */
export type Added =
  | { readonly accepted: true; readonly id: number }
  | { readonly accepted: false; readonly reason: 'duplicate'; readonly id: number }
  | { readonly accepted: false; readonly reason: 'full' }

/** A failure that is to be left alone for a while. */
export interface Rest {
  readonly url: string
  readonly until: number
  readonly times: number
  readonly reason: string
}

/** How a piece of work ended. */
export interface Ending {
  readonly state: 'done' | 'failed' | 'cancelled'
  readonly error?: string | undefined
  readonly reason?: Reason | undefined
  readonly result?: unknown
}

/** Which pieces of work to list, newest first. */
export interface JobSelection {
  readonly state?: JobState
  readonly kind?: string
  readonly parent?: number
  /** Only older ones than this. */
  readonly before?: number
  readonly limit: number
}

const SHAPE: Shape = {
  version: 1,
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
      createdAt INTEGER NOT NULL, startedAt INTEGER, endedAt INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX jobs_open ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_next ON jobs (lane, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_by_place ON jobs (place);
    CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
    CREATE INDEX jobs_by_host ON jobs (lane, host, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_own ON jobs (id) WHERE state = 'queued' AND parent IS NULL;
    CREATE INDEX jobs_ended ON jobs (lane, endedAt) WHERE endedAt IS NOT NULL;
    CREATE INDEX jobs_by_parent ON jobs (parent, state) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_by_state ON jobs (state, id);
    -- Ids go on where a lost database ended, or later.
    INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', CAST(strftime('%s', 'now') AS INTEGER));
    -- What failed and is left alone for a while.
    CREATE TABLE rests (
      key TEXT PRIMARY KEY, url TEXT NOT NULL, until INTEGER NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rests_by_end ON rests (until);
    PRAGMA user_version = 1;
  `,
  checks: ['SELECT * FROM jobs LIMIT 1; SELECT * FROM rests LIMIT 1; SELECT max(id) FROM jobs'],
}

/** Ended pieces of work that are remembered, and failures that are left alone. */
const ENDED_KEPT = { task: 2000, job: 500 }
/** After so many processes died at a piece of work, it is given up. */
const MOST_CRASHES = 3
/** Nothing waits for longer than this, ms: what seems to was put off by a clock that was ahead. */
const LONGEST_WAIT = 864e5
/** A queue that was found full is taken to be for so long, ms. */
const FULL_FOR = 1000
const RESTS_KEPT = 200_000
const TRIM_EVERY = 200

interface Row
  extends Omit<
    Job,
    'payload' | 'result' | 'host' | 'ticket' | 'parent' | 'error' | 'reason' | 'startedAt' | 'endedAt'
  > {
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

const COLUMNS =
  'ticket, ok, failed, cancelled, id, key, kind, state, priority, payload, lane, host, parent, attempts, notBefore, done, total, error, reason, result, createdAt, startedAt, endedAt'

const toJob = (row: Row): Job => ({
  ...row,
  payload: JSON.parse(row.payload),
  result: row.result === null ? undefined : JSON.parse(row.result),
  host: row.host === '' ? undefined : row.host,
  ticket: row.ticket ?? '',
  parent: row.parent ?? undefined,
  error: row.error ?? undefined,
  reason: row.reason ?? undefined,
  startedAt: row.startedAt ?? undefined,
  endedAt: row.endedAt ?? undefined,
})

function statements(db: Database.Database) {
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
      "UPDATE jobs SET payload = ?, host = ?, notBefore = 0, attempts = 0 WHERE id = ? AND state = 'queued'",
    ),
    setNext: db.prepare<[string, number]>("UPDATE jobs SET next = ? WHERE id = ? AND state = 'running'"),
    raise: db.prepare<[number, number]>(
      'UPDATE jobs SET priority = ?, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ?',
    ),
    waiting: db.prepare<[], { count: number }>(
      "SELECT count(*) AS count FROM jobs WHERE state = 'queued' AND parent IS NULL",
    ),
    // The first of each host that is not spared: hosts are few, and what waits for one may be a lot.
    next: db.prepare<[{ lane: Lane; at: number; spared: string }], Row>(
      `WITH RECURSIVE hosts (host) AS (
         SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane
         UNION ALL
         SELECT (SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane AND host > hosts.host)
         FROM hosts WHERE hosts.host IS NOT NULL)
       SELECT ${COLUMNS} FROM jobs WHERE id IN (
         SELECT (SELECT id FROM jobs WHERE state = 'queued' AND lane = @lane AND jobs.host = hosts.host
                 AND (notBefore <= @at OR notBefore > @at + ${LONGEST_WAIT}) ORDER BY priority DESC, place LIMIT 1)
         FROM hosts WHERE host IS NOT NULL AND (host = '' OR host NOT IN (SELECT value FROM json_each(@spared))))
       ORDER BY priority DESC, place LIMIT 1`,
    ),
    claim: db.prepare<[string, string, number, number]>(
      `UPDATE jobs SET state = 'running', owner = ?, ticket = ?, startedAt = ?, attempts = attempts + 1
       WHERE id = ? AND state = 'queued'`,
    ),
    end: db.prepare<[string, string | null, string | null, string | null, number, number, string]>(
      `UPDATE jobs SET state = ?, error = ?, reason = ?, result = ?, endedAt = ?, owner = NULL, wish = NULL, ticket = NULL,
       next = NULL WHERE id = ? AND state = 'running' AND ticket = ?`,
    ),
    again: db.prepare<[number, string | null, string | null, number, string]>(
      `UPDATE jobs SET state = 'queued', notBefore = ?, error = ?, reason = ?, owner = NULL,
       ticket = NULL WHERE id = ? AND state = 'running' AND ticket = ?`,
    ),
    progress: db.prepare<[number, number, number, string]>(
      'UPDATE jobs SET done = ?, total = ? WHERE id = ? AND ticket = ?',
    ),
    advance: {
      done: db.prepare<[number]>('UPDATE jobs SET ok = ok + 1 WHERE id = ?'),
      failed: db.prepare<[number]>('UPDATE jobs SET failed = failed + 1 WHERE id = ?'),
      cancelled: db.prepare<[number]>('UPDATE jobs SET cancelled = cancelled + 1 WHERE id = ?'),
    },
    cancelledMany: db.prepare<[number, number]>('UPDATE jobs SET cancelled = cancelled + ? WHERE id = ?'),
    get: db.prepare<[number], Row & { wish: string | null; next: string | null }>(
      `SELECT ${COLUMNS}, wish, next FROM jobs WHERE id = ?`,
    ),
    list: db.prepare<[object], Row>(
      `SELECT ${COLUMNS} FROM jobs WHERE id < @before AND (@state IS NULL OR state = @state)
       AND (@kind IS NULL OR kind = @kind) AND (@parent IS NULL OR parent = @parent)
       ORDER BY id DESC LIMIT @limit`,
    ),
    counts: db.prepare<[], { state: JobState; count: number }>(
      'SELECT state, count(*) AS count FROM jobs GROUP BY state',
    ),
    children: db.prepare<[number], { state: JobState; count: number }>(
      "SELECT state, count(*) AS count FROM jobs WHERE parent = ? AND state IN ('queued', 'running') GROUP BY state",
    ),
    due: db.prepare<[{ at: number }], { due: 0 | 1 }>(
      `SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') OR EXISTS (SELECT 1 FROM jobs WHERE state = 'queued'
       AND (notBefore <= @at OR notBefore > @at + ${LONGEST_WAIT})) AS due`,
    ),
    cancelQueued: db.prepare<[number, number]>(
      "UPDATE jobs SET state = 'cancelled', endedAt = ? WHERE id = ? AND state = 'queued'",
    ),
    cancelChildren: db.prepare<[number, number]>(
      "UPDATE jobs SET state = 'cancelled', endedAt = ? WHERE parent = ? AND state = 'queued'",
    ),
    wish: db.prepare<[number]>("UPDATE jobs SET wish = 'cancel' WHERE id = ? AND state = 'running'"),
    wished: db.prepare<[string], { id: number }>(
      "SELECT id FROM jobs WHERE state = 'running' AND wish = 'cancel' AND owner = ?",
    ),
    retry: db.prepare<[number]>(
      `UPDATE jobs SET state = 'queued', notBefore = 0, attempts = 0, endedAt = NULL, error = NULL, reason = NULL,
       result = NULL, done = 0, total = 0, ok = 0, failed = 0, cancelled = 0,
       crashes = 0, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ? AND state IN ('failed', 'cancelled')`,
    ),
    owners: db.prepare<[], { owner: string }>("SELECT DISTINCT owner FROM jobs WHERE state = 'running'"),
    // What was to be cancelled is, whoever was at it.
    release: db.prepare<[{ owner: string; at: number; crashed: 0 | 1 }]>(
      `UPDATE jobs SET crashes = crashes + @crashed,
       state = CASE WHEN wish = 'cancel' THEN 'cancelled' WHEN crashes + @crashed >= ${MOST_CRASHES} THEN 'failed'
         ELSE 'queued' END,
       endedAt = CASE WHEN wish = 'cancel' OR crashes + @crashed >= ${MOST_CRASHES} THEN @at END,
       reason = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MOST_CRASHES} THEN 'processing' END,
       error = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MOST_CRASHES}
         THEN 'the process ended each time it was at this' END,
       owner = NULL, ticket = NULL, wish = NULL WHERE state = 'running' AND owner = @owner`,
    ),
    rename: db.prepare<[string, string]>("UPDATE jobs SET owner = ? WHERE state = 'running' AND owner = ?"),
    trim: db.prepare<[Lane, number]>(
      `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE lane = ? AND endedAt IS NOT NULL
       ORDER BY endedAt DESC, id DESC LIMIT -1 OFFSET ?)`,
    ),
    rest: db.prepare<[string], Rest>('SELECT url, until, times, reason FROM rests WHERE key = ?'),
    setRest: db.prepare('INSERT OR REPLACE INTO rests VALUES (@key, @url, @until, @times, @reason)'),
    unrest: db.prepare<[string]>('DELETE FROM rests WHERE key = ?'),
    unrestAll: db.prepare('DELETE FROM rests'),
    restsByKind: db.prepare<[], { kind: string; count: number }>(
      "SELECT substr(key, 1, instr(key, ':') - 1) AS kind, count(*) AS count FROM rests GROUP BY kind",
    ),
    trimRests: db.prepare<[number]>(`DELETE FROM rests WHERE until < ? OR key IN
      (SELECT key FROM rests ORDER BY until LIMIT max(0, (SELECT count(*) FROM rests) - ${RESTS_KEPT}))`),
  })
}

/** How a job store is set up. */
export interface JobStoreOptions {
  /** Undefined: in memory. */
  readonly directory: string | undefined
  /** Most pieces of work that may wait, those that others asked for not counted. @default 10,000 */
  readonly capacity?: number
  readonly now: () => number
  readonly logger: Logger
}

/** See the top of the file. */
export type JobStore = ReturnType<typeof createJobStore>

/** Opens the work of a directory. One whose database cannot be used works in memory, with a warning. */
export function createJobStore({ directory, capacity = 10_000, logger, ...options }: JobStoreOptions) {
  /** Whole ms: what the tables hold. */
  const now = (): number => Math.trunc(options.now())
  const file = directory === undefined ? undefined : join(directory, 'jobs.db')
  let presence: Presence | undefined
  let inode: number | undefined
  let sql: ReturnType<typeof statements>
  let changes = 0
  let closed = false

  const inMemory = (): ReturnType<typeof statements> => {
    const db = keep(new Database(':memory:'))
    db.exec(SHAPE.schema)
    inode = undefined
    return statements(db)
  }
  const open = (damaged?: number): ReturnType<typeof statements> => {
    if (directory === undefined || file === undefined) return inMemory()
    try {
      mkdirSync(directory, { recursive: true })
      presence ??= enter(join(directory, 'workers'))
      const opened = openDatabase(file, damaged, SHAPE)
      inode = opened.inode
      return statements(opened.db)
    } catch (error) {
      logger.warn({ err: error }, 'artwork jobs: the database cannot be used, work is queued in memory')
      return inMemory()
    }
  }
  sql = open()
  const owner = (): string => presence?.id() ?? 'memory'

  /** Asks the database; one that is damaged or gone is opened anew, and what waited in it is lost. */
  const ask = <T>(question: () => T, otherwise: T): T => {
    if (closed) return otherwise
    try {
      if (file !== undefined && inode !== undefined && inodeOf(file) !== inode) reopen()
      return question()
    } catch (error) {
      logger.error({ err: error }, 'artwork jobs: the database failed')
      if (isDamage(error)) reopen(inode)
      return otherwise
    }
  }
  const reopen = (damaged?: number): void => {
    try {
      sql.db.close()
    } catch {
      // It is of no use any more.
    }
    sql = open(damaged)
  }
  const immediately = <T>(work: () => T): T => sql.db.transaction(work).immediate()

  const insert = (job: NewJob): number =>
    Number(
      sql.insert.run(
        job.key,
        job.kind,
        job.priority,
        JSON.stringify(job.payload),
        job.lane,
        job.host ?? '',
        job.parent ?? null,
        now(),
      ).lastInsertRowid,
    )
  /** Counting costs as much as is counted: once in a while, and at the bound. */
  let added = 0
  let counted = Number.NaN
  let fullUntil = 0
  const isFull = (): boolean => {
    if (performance.now() < fullUntil) return true
    if (!(counted + added < capacity) || added > 500) {
      counted = sql.waiting.get()?.count ?? 0
      added = 0
    }
    if (counted + added < capacity) return false
    fullUntil = performance.now() + FULL_FOR
    return true
  }
  const addOne = (job: NewJob, isBounded: boolean): Added => {
    const before = sql.open.get(job.key)
    if (before !== undefined) {
      if (before.priority < job.priority) sql.raise.run(job.priority, before.id)
      const instead = job.instead?.(JSON.parse(before.payload))
      if (instead !== undefined && before.state === 'queued')
        sql.change.run(JSON.stringify(instead), job.host ?? '', before.id)
      else if (instead !== undefined)
        sql.setNext.run(JSON.stringify({ ...job, payload: instead, instead: undefined }), before.id)
      return { accepted: false, reason: 'duplicate', id: before.id }
    }
    if (isBounded && isFull()) return { accepted: false, reason: 'full' }
    added += 1
    return { accepted: true, id: insert(job) }
  }

  /** Cancels what waits of what a piece of work asked for. Answers how much there was. */
  const cancelChildren = (id: number): number => {
    const count = sql.cancelChildren.run(now(), id).changes
    if (count > 0) sql.cancelledMany.run(count, id)
    return count
  }

  return {
    /** Queues a piece of work. One that is queued already is raised to a higher priority. */
    add: (job: NewJob): Added =>
      ask<Added>(() => immediately(() => addOne(job, true)), { accepted: false, reason: 'full' }),
    /** Queues many that one piece of work asks for: its own bound is their number. Answers how many were new. */
    addMany: (jobs: readonly NewJob[]): number =>
      ask(
        () =>
          immediately(() => {
            const parent = jobs[0]?.parent
            // Who asks was told to stop.
            if (parent !== undefined && sql.get.get(parent)?.wish === 'cancel') return 0
            return jobs.filter((job) => addOne(job, false).accepted).length
          }),
        0,
      ),
    /** Takes what is to be done next, for this process alone. @param spared hosts that have enough to do */
    take: (lane: Lane, limit: number, spared: readonly string[]): readonly Job[] =>
      ask(
        () =>
          immediately(() => {
            const at = now()
            const taken: Job[] = []
            while (taken.length < limit) {
              const row = sql.next.get({ lane, at, spared: JSON.stringify(spared) })
              if (row === undefined) break
              const ticket = randomUUID()
              sql.claim.run(owner(), ticket, at, row.id)
              taken.push(
                toJob({ ...row, ticket, state: 'running', startedAt: at, attempts: row.attempts + 1 }),
              )
            }
            return taken
          }),
        [],
      ),
    /**
     * Ends a run of a piece of work.
     * @returns how it ended; false where it was not this run's to end; undefined where that could not be written down
     */
    end: (
      { id, ticket }: Pick<Job, 'id' | 'ticket'>,
      { state, error, reason, result }: Ending,
    ): Ending['state'] | false | undefined =>
      ask<Ending['state'] | false | undefined>(
        () =>
          immediately(() => {
            const text = result === undefined ? null : JSON.stringify(result)
            // A long job that was to stop has not been done, whatever it came to before it heard of that.
            const row = sql.get.get(id)
            const isStopped = row?.wish === 'cancel' && row.lane === 'job' && state === 'done'
            const ending = isStopped ? 'cancelled' : state
            const { changes: ended } = sql.end.run(
              ending,
              error ?? null,
              reason ?? null,
              text,
              now(),
              id,
              ticket,
            )
            if (ended === 0 || row === undefined) return false
            if (row.parent !== null) sql.advance[ending].run(row.parent)
            if (ending === 'cancelled') cancelChildren(id)
            if (row.next !== null) insert(JSON.parse(row.next))
            changes += 1
            if (changes % TRIM_EVERY === 0) {
              for (const lane of ['task', 'job'] as const) sql.trim.run(lane, ENDED_KEPT[lane])
              sql.trimRests.run(now() - 864e5)
            }
            return ending
          }),
        undefined,
      ),
    /** Puts a run of a piece of work back, to be tried again later. Answers as `end` does. */
    again: (
      { id, ticket }: Pick<Job, 'id' | 'ticket'>,
      notBefore: number,
      why: { error?: string; reason?: Reason | undefined },
    ): boolean | undefined =>
      ask<boolean | undefined>(
        () =>
          sql.again.run(Math.ceil(notBefore), why.error ?? null, why.reason ?? null, id, ticket).changes > 0,
        undefined,
      ),
    progress: ({ id, ticket }: Pick<Job, 'id' | 'ticket'>, done: number, total: number): void =>
      ask(() => void sql.progress.run(Math.trunc(done), Math.trunc(total), id, ticket), undefined),
    get: (id: number): Job | undefined => {
      const row = ask(() => sql.get.get(id), undefined)
      return row && toJob(row)
    },
    list: ({ state, kind, parent, before = Number.MAX_SAFE_INTEGER, limit }: JobSelection): readonly Job[] =>
      ask(
        () =>
          sql.list
            .all({ state: state ?? null, kind: kind ?? null, parent: parent ?? null, before, limit })
            .map(toJob),
        [],
      ),
    counts: (): Readonly<Record<JobState, number>> => {
      const none = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }
      const found = ask(() => sql.counts.all(), [])
      return Object.assign(none, Object.fromEntries(found.map(({ state, count }) => [state, count])))
    },
    /** What became of the pieces of work that one asked for. */
    children: (id: number): Readonly<Record<JobState, number>> => {
      const row = ask(() => sql.get.get(id), undefined)
      const { ok: done = 0, failed = 0, cancelled = 0 } = row ?? {}
      const open = ask(() => sql.children.all(id), [])
      return Object.assign(
        { queued: 0, running: 0, done, failed, cancelled },
        Object.fromEntries(open.map(({ state, count }) => [state, count])),
      )
    },
    /** Whether something runs, or could be begun now. */
    isDue: (): boolean => ask(() => sql.due.get({ at: now() })?.due === 1, false),
    /** Cancels what waits; what runs is asked to stop, whoever runs it. Answers whether there was something. */
    cancel: (id: number): boolean =>
      ask(
        () =>
          immediately(() => {
            const waiting = sql.cancelQueued.run(now(), id).changes
            const parent = waiting > 0 ? sql.get.get(id)?.parent : undefined
            if (parent !== null && parent !== undefined) sql.advance.cancelled.run(parent)
            const running = sql.wish.run(id).changes
            return waiting + running + cancelChildren(id) > 0
          }),
        false,
      ),
    /** Pieces of work of this process that somebody wants to stop. */
    wished: (): readonly number[] => ask(() => sql.wished.all(owner()).map(({ id }) => id), []),
    /** Queues once more what failed or was cancelled. Answers whether it was that, and is not queued anew already. */
    retry: (id: number): boolean =>
      ask(
        () =>
          immediately(() => {
            const row = sql.get.get(id)
            if (row === undefined || sql.open.get(row.key) !== undefined) return false
            sql.unrest.run(row.key)
            return sql.retry.run(id).changes > 0
          }),
        false,
      ),
    /** Puts back what dead processes were at. Answers how many processes there were. */
    recover: (): number =>
      ask(
        () =>
          immediately(() => {
            const before = owner()
            // Our own file was taken away: what we are at is still ours.
            if (presence?.return()) sql.rename.run(owner(), before)
            const gone = sql.owners
              .all()
              .filter(({ owner: other }) => other !== owner() && presence?.isAlive(other) !== true)
            for (const { owner: other } of gone) sql.release.run({ owner: other, at: now(), crashed: 1 })
            return gone.length
          }),
        0,
      ),
    /** What failed and is left alone for a while. */
    rests: {
      get: (key: string): Rest | undefined => ask(() => sql.rest.get(key), undefined),
      set: (key: string, rest: Rest): void => ask(() => void sql.setRest.run({ key, ...rest }), undefined),
      clear: (key: string): void => ask(() => void sql.unrest.run(key), undefined),
      clearAll: (): void => ask(() => void sql.unrestAll.run(), undefined),
      /** How many there are, by the kind of entity. */
      byKind: (): ReadonlyMap<string, number> =>
        new Map(ask(() => sql.restsByKind.all().map(({ kind, count }) => [kind, count] as const), [])),
    },
    /** Puts back what this process was at, and lets go. */
    close: (): void => {
      if (closed) return
      ask(() => void sql.release.run({ owner: owner(), at: now(), crashed: 0 }), undefined)
      closed = true
      try {
        sql.db.close()
        presence?.leave()
      } catch (error) {
        logger.warn({ err: error }, 'artwork jobs: closing')
      }
    },
  }
}

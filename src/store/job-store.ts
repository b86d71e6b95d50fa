/**
 * Work that nobody waits for, in a database of its own beside the catalogue: it survives `kill -9`, is shared by
 * every process of the directory, and each piece is done by one of them. A piece that a dead process was at is
 * taken over. Without a directory it lives in memory, by the same rules.
 */
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
  schema: `
    CREATE TABLE jobs (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
      priority INTEGER NOT NULL,
      -- Where it stands among those of its priority.
      place INTEGER NOT NULL DEFAULT 0,
      payload TEXT NOT NULL, lane TEXT NOT NULL, host TEXT, parent INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
      notBefore INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
      error TEXT, reason TEXT, result TEXT, owner TEXT, wish TEXT,
      createdAt INTEGER NOT NULL, startedAt INTEGER, endedAt INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX jobs_open ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_next ON jobs (lane, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_by_place ON jobs (place);
    CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
    CREATE INDEX jobs_ended ON jobs (id) WHERE endedAt IS NOT NULL;
    CREATE INDEX jobs_by_parent ON jobs (parent, state) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_by_state ON jobs (state, id);
    -- What failed and is left alone for a while.
    CREATE TABLE rests (
      key TEXT PRIMARY KEY, url TEXT NOT NULL, until INTEGER NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rests_by_end ON rests (until);
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
  `,
  checks: [
    'SELECT * FROM jobs LIMIT 1; SELECT * FROM rests LIMIT 1; SELECT * FROM facts LIMIT 1; SELECT max(id) FROM jobs',
  ],
}

/** Ended pieces of work that are remembered, and failures that are left alone. */
const ENDED_KEPT = 2000
const RESTS_KEPT = 200_000
const TRIM_EVERY = 200

interface Row
  extends Omit<Job, 'payload' | 'result' | 'host' | 'parent' | 'error' | 'reason' | 'startedAt' | 'endedAt'> {
  readonly payload: string
  readonly result: string | null
  readonly host: string | null
  readonly parent: number | null
  readonly error: string | null
  readonly reason: Reason | null
  readonly startedAt: number | null
  readonly endedAt: number | null
}

const COLUMNS =
  'id, key, kind, state, priority, payload, lane, host, parent, attempts, notBefore, done, total, error, reason, result, createdAt, startedAt, endedAt'

const toJob = (row: Row): Job => ({
  ...row,
  payload: JSON.parse(row.payload),
  result: row.result === null ? undefined : JSON.parse(row.result),
  host: row.host ?? undefined,
  parent: row.parent ?? undefined,
  error: row.error ?? undefined,
  reason: row.reason ?? undefined,
  startedAt: row.startedAt ?? undefined,
  endedAt: row.endedAt ?? undefined,
})

function statements(db: Database.Database) {
  return keep({
    db,
    insert: db.prepare<[string, string, number, string, Lane, string | null, number | null, number]>(
      `INSERT INTO jobs (key, kind, state, priority, payload, lane, host, parent, createdAt, place)
       VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(place), 0) + 1 FROM jobs))`,
    ),
    open: db.prepare<[string], { id: number; priority: number; state: string }>(
      "SELECT id, priority, state FROM jobs WHERE key = ? AND state IN ('queued', 'running')",
    ),
    raise: db.prepare<[number, number]>(
      'UPDATE jobs SET priority = ?, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ?',
    ),
    waiting: db.prepare<[], { count: number }>(
      "SELECT count(*) AS count FROM jobs WHERE state = 'queued' AND parent IS NULL",
    ),
    next: db.prepare<[Lane, number, string, number], Row>(
      `SELECT ${COLUMNS} FROM jobs WHERE state = 'queued' AND lane = ? AND notBefore <= ?
       AND (host IS NULL OR host NOT IN (SELECT value FROM json_each(?))) ORDER BY priority DESC, place LIMIT ?`,
    ),
    claim: db.prepare<[string, number, number]>(
      `UPDATE jobs SET state = 'running', owner = ?, startedAt = ?, attempts = attempts + 1
       WHERE id = ? AND state = 'queued'`,
    ),
    end: db.prepare<[string, string | null, string | null, string | null, number, number, string]>(
      `UPDATE jobs SET state = ?, error = ?, reason = ?, result = ?, endedAt = ?, owner = NULL, wish = NULL
       WHERE id = ? AND state = 'running' AND owner = ?`,
    ),
    again: db.prepare<[number, string | null, string | null, number, string]>(
      `UPDATE jobs SET state = 'queued', notBefore = ?, error = ?, reason = ?, owner = NULL
       WHERE id = ? AND state = 'running' AND owner = ?`,
    ),
    progress: db.prepare<[number, number, number]>('UPDATE jobs SET done = ?, total = ? WHERE id = ?'),
    advance: db.prepare<[number]>('UPDATE jobs SET done = done + 1 WHERE id = ?'),
    get: db.prepare<[number], Row & { wish: string | null }>(
      `SELECT ${COLUMNS}, wish FROM jobs WHERE id = ?`,
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
      'SELECT state, count(*) AS count FROM jobs WHERE parent = ? GROUP BY state',
    ),
    due: db.prepare<[number], { count: number }>(
      "SELECT count(*) AS count FROM jobs WHERE state = 'running' OR (state = 'queued' AND notBefore <= ?)",
    ),
    soonest: db.prepare<[], { at: number | null }>(
      "SELECT min(notBefore) AS at FROM jobs WHERE state = 'queued'",
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
       result = NULL, done = 0, total = 0 WHERE id = ? AND state IN ('failed', 'cancelled')`,
    ),
    owners: db.prepare<[], { owner: string }>("SELECT DISTINCT owner FROM jobs WHERE state = 'running'"),
    release: db.prepare<[string]>(
      "UPDATE jobs SET state = 'queued', owner = NULL, wish = NULL WHERE state = 'running' AND owner = ?",
    ),
    trim: db.prepare(
      `DELETE FROM jobs WHERE endedAt IS NOT NULL AND id <= (SELECT id FROM jobs WHERE endedAt IS NOT NULL
       ORDER BY id DESC LIMIT 1 OFFSET ${ENDED_KEPT})`,
    ),
    dropQueued: db.prepare("DELETE FROM jobs WHERE state = 'queued'"),
    rest: db.prepare<[string], Rest>('SELECT url, until, times, reason FROM rests WHERE key = ?'),
    setRest: db.prepare('INSERT OR REPLACE INTO rests VALUES (@key, @url, @until, @times, @reason)'),
    unrest: db.prepare<[string]>('DELETE FROM rests WHERE key = ?'),
    unrestAll: db.prepare('DELETE FROM rests'),
    rests: db.prepare<[], { count: number }>('SELECT count(*) AS count FROM rests'),
    restsByKind: db.prepare<[], { kind: string; count: number }>(
      "SELECT substr(key, 1, instr(key, ':') - 1) AS kind, count(*) AS count FROM rests GROUP BY kind",
    ),
    trimRests: db.prepare<[number]>(`DELETE FROM rests WHERE until < ? OR key IN
      (SELECT key FROM rests ORDER BY until LIMIT max(0, (SELECT count(*) FROM rests) - ${RESTS_KEPT}))`),
    fact: db.prepare<[string], { value: string }>('SELECT value FROM facts WHERE key = ?'),
    setFact: db.prepare<[string, string]>('INSERT OR REPLACE INTO facts VALUES (?, ?)'),
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
export function createJobStore({ directory, capacity = 10_000, now, logger }: JobStoreOptions) {
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
        job.host ?? null,
        job.parent ?? null,
        now(),
      ).lastInsertRowid,
    )
  /** Counting costs as much as is counted: once in a while, and at the bound. */
  let added = 0
  let counted = Number.NaN
  const isFull = (): boolean => {
    if (!(counted + added < capacity) || added > 500) {
      counted = sql.waiting.get()?.count ?? 0
      added = 0
    }
    return counted + added >= capacity
  }
  const addOne = (job: NewJob, isBounded: boolean): Added => {
    const before = sql.open.get(job.key)
    if (before !== undefined) {
      if (before.priority < job.priority) sql.raise.run(job.priority, before.id)
      return { accepted: false, reason: 'duplicate', id: before.id }
    }
    if (isBounded && isFull()) return { accepted: false, reason: 'full' }
    added += 1
    return { accepted: true, id: insert(job) }
  }

  return {
    /** Queues a piece of work. One that is queued already is raised to a higher priority. */
    add: (job: NewJob): Added =>
      ask<Added>(() => immediately(() => addOne(job, true)), { accepted: false, reason: 'full' }),
    /** Queues many that one piece of work asks for: its own bound is their number. Answers how many were new. */
    addMany: (jobs: readonly NewJob[]): number =>
      ask(() => immediately(() => jobs.filter((job) => addOne(job, false).accepted).length), 0),
    /** Takes what is to be done next, for this process alone. @param spared hosts that have enough to do */
    take: (lane: Lane, limit: number, spared: readonly string[]): readonly Job[] =>
      ask(
        () =>
          immediately(() => {
            const at = now()
            const taken = sql.next.all(lane, at, JSON.stringify(spared), limit)
            for (const { id } of taken) sql.claim.run(owner(), at, id)
            return taken.map((row) =>
              toJob({ ...row, state: 'running', startedAt: at, attempts: row.attempts + 1 }),
            )
          }),
        [],
      ),
    /** Ends a piece of work of ours. Answers whether it was ours to end. */
    end: (id: number, { state, error, reason, result }: Ending): boolean =>
      ask(
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
              owner(),
            )
            const parent = ended > 0 ? row?.parent : undefined
            if (parent !== null && parent !== undefined) sql.advance.run(parent)
            changes += 1
            if (changes % TRIM_EVERY === 0) {
              sql.trim.run()
              sql.trimRests.run(now() - 864e5)
            }
            return ended > 0
          }),
        false,
      ),
    /** Puts a piece of work of ours back, to be tried again later. */
    again: (id: number, notBefore: number, why: { error?: string; reason?: Reason | undefined }): void =>
      ask(() => void sql.again.run(notBefore, why.error ?? null, why.reason ?? null, id, owner()), undefined),
    progress: (id: number, done: number, total: number): void =>
      ask(() => void sql.progress.run(done, total, id), undefined),
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
      const none = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }
      const found = ask(() => sql.children.all(id), [])
      return Object.assign(none, Object.fromEntries(found.map(({ state, count }) => [state, count])))
    },
    /** How much runs, or could be begun now. */
    due: (): number => ask(() => sql.due.get(now())?.count ?? 0, 0),
    /** When the next piece of work may be begun; undefined where none waits. */
    soonest: (): number | undefined => ask(() => sql.soonest.get()?.at ?? undefined, undefined),
    /** Cancels what waits; what runs is asked to stop, whoever runs it. Answers whether there was something. */
    cancel: (id: number): boolean =>
      ask(
        () =>
          immediately(() => {
            const waiting = sql.cancelQueued.run(now(), id).changes
            const running = sql.wish.run(id).changes
            const children = sql.cancelChildren.run(now(), id).changes
            return waiting + running + children > 0
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
      ask(() => {
        presence?.return()
        const gone = sql.owners
          .all()
          .filter(({ owner: other }) => other !== owner() && presence?.isAlive(other) !== true)
        for (const { owner: other } of gone) sql.release.run(other)
        return gone.length
      }, 0),
    /** Forgets what waits. */
    dropQueued: (): void => ask(() => void sql.dropQueued.run(), undefined),
    /** What failed and is left alone for a while. */
    rests: {
      get: (key: string): Rest | undefined => ask(() => sql.rest.get(key), undefined),
      set: (key: string, rest: Rest): void => ask(() => void sql.setRest.run({ key, ...rest }), undefined),
      clear: (key: string): void => ask(() => void sql.unrest.run(key), undefined),
      clearAll: (): void => ask(() => void sql.unrestAll.run(), undefined),
      /** How many there are, by the kind of entity. */
      byKind: (): ReadonlyMap<string, number> =>
        new Map(ask(() => sql.restsByKind.all().map(({ kind, count }) => [kind, count] as const), [])),
      count: (): number => ask(() => sql.rests.get()?.count ?? 0, 0),
    },
    /** Small texts: when a schedule ran last. */
    facts: {
      get: (key: string): string | undefined => ask(() => sql.fact.get(key)?.value, undefined),
      set: (key: string, value: string): void => ask(() => void sql.setFact.run(key, value), undefined),
    },
    /** Whether work survives the process. */
    isDurable: (): boolean => inode !== undefined,
    /** Puts back what this process was at, and lets go. */
    close: (): void => {
      if (closed) return
      ask(() => void sql.release.run(owner()), undefined)
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

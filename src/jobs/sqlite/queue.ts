/**
 * Work that nobody waits for, in a database of its own beside the catalogue: it survives `kill -9`, is shared by
 * every process of the directory, and each piece is done by one of them. A piece that a dead process was at is
 * taken over. Without a directory it lives in memory, by the same rules.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { makeFolder } from '../../database/files.js'
import { type ProcessRegistry, registerProcess } from '../../database/process-registry.js'
import { inodeOf, isCorrupt, openDatabase, openInMemory } from '../../database/sqlite.js'
import type { Reason } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import type {
  Added,
  BackOff,
  Job,
  JobSelection,
  JobState,
  Lane,
  NewJob,
  Result,
  Schedule,
  Unsupported,
} from '../ports.js'
import { listing, SHAPE, statements, toJob } from './tables.js'

/** Ended pieces of work that are remembered: what failed for longer, so that it can be looked at and tried again. */
const ENDED_KEPT = {
  task: { done: 2000, cancelled: 1000, failed: 5000 },
  job: { done: 500, cancelled: 100, failed: 500 },
} as const
/** A plan that nobody has followed for so long, ms, is forgotten. */
const PLAN_KEPT = 30 * 864e5
/** A queue that was found full is taken to be for so long, ms. */
const FULL_FOR = 1000
const TRIM_EVERY = 200

/** Kinds of work as a statement takes them: none named, any is meant. */
const textOf = (able: readonly string[] | undefined): string | null =>
  able === undefined ? null : JSON.stringify(able)

/** How a job store is set up. */
export interface JobQueueOptions {
  /** Undefined: in memory. */
  readonly directory: string | undefined
  /** Most pieces of work that may wait, those that others asked for not counted. @default 10,000 */
  readonly capacity?: number
  readonly now: () => number
  readonly logger: Logger
}

/** See the top of the file. */
export type JobQueue = ReturnType<typeof createJobQueue>

/** A database that could not be used is tried again after this, ms. */
const TRIED_AGAIN_AFTER = 30_000

/** Opens the work of a directory. One whose database cannot be used works in memory, with a warning. */
export function createJobQueue({ directory, capacity = 10_000, logger, ...options }: JobQueueOptions) {
  /** Whole ms: what the tables hold. */
  const now = (): number => Math.trunc(options.now())
  const file = directory === undefined ? undefined : join(directory, 'jobs.db')
  let presence: ProcessRegistry | undefined
  let inode: number | undefined
  let sql: ReturnType<typeof statements>
  let changes = 0
  let closed = false

  const inMemory = (): ReturnType<typeof statements> => {
    inode = undefined
    return statements(openInMemory(SHAPE))
  }
  const open = (damaged?: number): ReturnType<typeof statements> => {
    if (directory === undefined || file === undefined) return inMemory()
    try {
      makeFolder(directory)
      presence ??= registerProcess(join(directory, 'workers'))
      const opened = openDatabase(file, damaged, SHAPE, (message) =>
        logger.warn({}, `artwork jobs: ${message}`),
      )
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
      tryAgain()
      return question()
    } catch (error) {
      logger.error({ err: error }, 'artwork jobs: the database failed')
      if (isCorrupt(error)) reopen(inode)
      return otherwise
    }
  }
  /** Opens a database that could not be used, once nothing waits in memory. */
  let triedAt = performance.now()
  const tryAgain = (): void => {
    if (file === undefined || inode !== undefined || performance.now() - triedAt < TRIED_AGAIN_AFTER) return
    triedAt = performance.now()
    const isBusy = sql.counts
      .all()
      .some(({ state, count }) => count > 0 && (state === 'queued' || state === 'running'))
    if (!isBusy) reopen()
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
      // What runs is just what is asked for last: what was asked for in between is not.
      else if (job.instead !== undefined && instead === undefined) sql.setNext.run(null, before.id)
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

  /** Puts back what a process was at; what is to be cancelled, or has ended too many, ends, and who asked for it is told. */
  const release = (of: string, crashed: 0 | 1): void => {
    const doomed = sql.doomed.all({ owner: of, crashed })
    sql.release.run({ owner: of, at: now(), crashed })
    for (const { id, parent, wish, next } of doomed) {
      const ending = wish === 'cancel' ? 'cancelled' : 'failed'
      if (parent !== null) sql.advance[ending].run(parent)
      if (ending === 'cancelled') cancelChildren(id)
      if (next !== null) insert(JSON.parse(next))
    }
  }
  /** Something has ended: once in a while, what ended long ago is let go. */
  const noteEnd = (): void => {
    changes += 1
    if (changes % TRIM_EVERY !== 0) return
    for (const lane of ['task', 'job'] as const)
      for (const kept of ['done', 'cancelled', 'failed'] as const)
        sql.trim.run(lane, kept, ENDED_KEPT[lane][kept])
    sql.trimRests.run(now() - 864e5)
  }
  /** Ends what has just been queued, and cannot be done where it was asked for. */
  const failOne = (id: number, unable: Unsupported): void => {
    if (sql.fail.run({ ...unable, at: now(), id }).changes > 0) noteEnd()
  }
  const endOne = (
    { id, ticket }: Pick<Job, 'id' | 'ticket'>,
    { state, error, reason, result }: Result,
  ): Result['state'] | false => {
    const text = result === undefined ? null : JSON.stringify(result)
    // A long job that was to stop has not been done, whatever it came to before it heard of that.
    const row = sql.get.get(id)
    const isStopped = row?.wish === 'cancel' && row.lane === 'job' && state === 'done'
    const ending = isStopped ? 'cancelled' : state
    const { changes: ended } = sql.end.run(ending, error ?? null, reason ?? null, text, now(), id, ticket)
    if (ended === 0 || row === undefined) return false
    if (row.parent !== null) sql.advance[ending].run(row.parent)
    if (ending === 'cancelled') cancelChildren(id)
    if (row.next !== null) insert(JSON.parse(row.next))
    noteEnd()
    return ending
  }

  return {
    /**
     * Queues a piece of work. One that is queued already is raised to a higher priority.
     * @param unable why it cannot be done: then it has failed as it comes in
     */
    add: (job: NewJob, unable?: Unsupported): Added =>
      ask<Added>(
        () =>
          immediately(() => {
            const result = addOne(job, true)
            if (result.accepted && unable !== undefined) failOne(result.id, unable)
            return result
          }),
        { accepted: false, reason: 'full' },
      ),
    /**
     * Queues many that one piece of work asks for: its own bound is their number. Answers how many were new,
     * undefined where that could not be written down.
     * @param isWanted asked of what is not open, while nobody can end anything: another may have done it by now
     */
    addMany: (jobs: readonly NewJob[], isWanted: (job: NewJob) => boolean = () => true): number | undefined =>
      ask<number | undefined>(
        () =>
          immediately(() => {
            const parent = jobs[0]?.parent
            // Who asks was told to stop.
            if (parent !== undefined && sql.get.get(parent)?.wish === 'cancel') return 0
            const isOpenOrWanted = (job: NewJob) => sql.open.get(job.key) !== undefined || isWanted(job)
            return jobs.filter((job) => isOpenOrWanted(job) && addOne(job, false).accepted).length
          }),
        undefined,
      ),
    /**
     * Takes what is to be done next, for this process alone.
     * @param spared hosts that have enough to do
     * @param options.able the kinds of work that it knows: others are left to who does @param options.only no other
     */
    take: (
      lane: Lane,
      limit: number,
      spared: readonly string[],
      { able, only }: { readonly able?: readonly string[]; readonly only?: number | undefined } = {},
    ): readonly Job[] =>
      ask(
        () =>
          immediately(() => {
            const at = now()
            const taken: Job[] = []
            const asked = {
              lane,
              spared: JSON.stringify(spared),
              able: textOf(able),
              only: only ?? null,
            }
            while (taken.length < limit) {
              const row = sql.next.get({ ...asked, at })
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
    end: (run: Pick<Job, 'id' | 'ticket'>, ending: Result): Result['state'] | false | undefined =>
      ask<Result['state'] | false | undefined>(() => immediately(() => endOne(run, ending)), undefined),
    /** Puts a run of a piece of work back, to be tried again later; one that was to stop ends. Answers as `end` does. */
    retryAt: (
      run: Pick<Job, 'id' | 'ticket'>,
      notBefore: number,
      why: { error?: string; reason?: Reason | undefined },
    ): boolean | undefined =>
      ask<boolean | undefined>(
        () =>
          immediately(() => {
            const { id, ticket } = run
            if (sql.get.get(id)?.wish === 'cancel') return endOne(run, { state: 'cancelled' }) !== false
            return (
              sql.again.run(Math.ceil(notBefore), why.error ?? null, why.reason ?? null, id, ticket).changes >
              0
            )
          }),
        undefined,
      ),
    progress: ({ id, ticket }: Pick<Job, 'id' | 'ticket'>, done: number, total: number): void =>
      ask(
        () =>
          void sql.progress.run({
            done: Math.trunc(done),
            total: Math.trunc(total),
            at: now(),
            id,
            ticket,
          }),
        undefined,
      ),
    get: (id: number): Job | undefined => {
      const row = ask(() => sql.glance.get(id), undefined)
      return row && toJob(row)
    },
    list: (selection: JobSelection): readonly Job[] =>
      ask(() => listing(sql, selection).all(selection).map(toJob), []),
    counts: (): Readonly<Record<JobState, number>> => {
      const none = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }
      const found = ask(() => sql.counts.all(), [])
      return Object.assign(none, Object.fromEntries(found.map(({ state, count }) => [state, count])))
    },
    /** What became of the pieces of work that one asked for. */
    children: (id: number): Readonly<Record<JobState, number>> => {
      const row = ask(() => sql.glance.get(id), undefined)
      const { ok: done = 0, failed = 0, cancelled = 0 } = row ?? {}
      const open = ask(() => sql.children.all(id), [])
      return Object.assign(
        { queued: 0, running: 0, done, failed, cancelled },
        Object.fromEntries(open.map(({ state, count }) => [state, count])),
      )
    },
    /** Whether something runs, or could be begun at this time by who knows these kinds of work. */
    isDue: (able?: readonly string[], at = now()): boolean =>
      ask(() => sql.due.get({ at, able: textOf(able) })?.due === 1, false),
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
    cancelRequested: (): readonly number[] => ask(() => sql.wished.all(owner()).map(({ id }) => id), []),
    /**
     * Queues once more what failed or was cancelled. Answers whether it was that, and is not queued anew already.
     * @param unableTo why work of this kind cannot be done: then it fails again at once
     */
    retry: (id: number, unableTo: (kind: string) => Unsupported | undefined = () => undefined): boolean =>
      ask(
        () =>
          immediately(() => {
            const row = sql.get.get(id)
            if (row === undefined || sql.open.get(row.key) !== undefined) return false
            sql.unrest.run(row.key)
            const isQueued = sql.retry.run(id).changes > 0
            if (isQueued && row.lane === 'job') sql.orphan.run(id)
            const { parent, state } = row
            if (isQueued && parent !== null && (state === 'failed' || state === 'cancelled'))
              sql.recall[state].run(parent)
            const unable = unableTo(row.kind)
            if (isQueued && unable !== undefined) failOne(id, unable)
            return isQueued
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
            for (const { owner: other } of gone) release(other, 1)
            return gone.length
          }),
        0,
      ),
    /** What failed and is left alone for a while. */
    rests: {
      get: (key: string): BackOff | undefined => ask(() => sql.rest.get(key), undefined),
      set: (key: string, rest: BackOff): void => ask(() => void sql.setRest.run({ key, ...rest }), undefined),
      clear: (key: string): void => ask(() => void sql.unrest.run(key), undefined),
      clearAll: (): void => ask(() => void sql.unrestAll.run(), undefined),
      /** How many there are, by the kind of entity. */
      byKind: (): ReadonlyMap<string, number> =>
        new Map(ask(() => sql.restsByKind.all().map(({ kind, count }) => [kind, count] as const), [])),
      /** In the order of their keys. @param kind of entity, '' for all @param after only keys after this one */
      list: (kind: string, after: string, limit: number): readonly (BackOff & { readonly key: string })[] =>
        ask(() => sql.restsAfter.all({ kind, after, limit }), []),
    },
    /** Jobs that are begun by themselves. */
    schedules: {
      /**
       * Queues a job whose time has come, once for all processes. One that has not ended is not begun again.
       * @param next when it is due after now, ms since the epoch @param latest no later than this is sound
       */
      run: (plan: string, job: NewJob, next: () => number, latest: () => number): Added | undefined =>
        ask(
          () =>
            immediately(() => {
              const at = now()
              const due = sql.schedule.get(job.kind, plan)?.next
              if (due !== undefined && due > at && due <= latest()) return undefined
              sql.setSchedule.run(job.kind, plan, Math.trunc(next()))
              if (due === undefined || due > at) return undefined
              const added = addOne(job, false)
              if (added.accepted) sql.ran.run(at, added.id, job.kind, plan)
              else sql.refuse.run(job.kind, plan)
              return added
            }),
          undefined,
        ),
      /** Forgets plans that nobody has followed for long. */
      forget: (): void => ask(() => void sql.dropSchedules.run(now() - PLAN_KEPT), undefined),
      list: (): readonly Schedule[] =>
        ask(
          () =>
            sql.schedules
              .all()
              .map((row) => ({ ...row, last: row.last ?? undefined, lastJob: row.lastJob ?? undefined })),
          [],
        ),
    },
    /** Whether nothing new is to be begun, by any process. */
    isPaused: (): boolean => ask(() => sql.flag.get('paused')?.value === 1, false),
    setPaused: (isPaused: boolean): void =>
      ask(() => void sql.setFlag.run('paused', Number(isPaused)), undefined),
    /** Puts back what this process was at, and lets go. */
    close: (): void => {
      if (closed) return
      ask(() => immediately(() => release(owner(), 0)), undefined)
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

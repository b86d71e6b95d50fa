/** Runs of jobs, below the port: taken, ended, queued again, and recovered from processes that died. */
import { randomUUID } from 'node:crypto'
import type { Reason } from '../../model/failure.js'
import type { Job, Lane, Meanwhile, Result } from '../../model/job-queue.js'
import type { Connection } from './connection.js'
import { cancelChildren, insertJob } from './job-rows.js'
import type { Statements } from './statements.js'
import { toJob } from './tables.js'

/** One run of a job: who has another ticket may not end it. */
type Run = Pick<Job, 'id' | 'ticket'>

/** Which jobs a process takes. */
interface TakeOptions {
  /** Other kinds are left to other processes; left out: any. */
  readonly kinds?: readonly string[]
  /** This job and no other. */
  readonly only?: number | undefined
}

/** What runs are written with. */
interface RunParts {
  readonly connection: Connection
  readonly now: () => number
  /** Called in the transaction that ends a job. */
  onEnded(sql: Statements): void
}

const kindsText = (kinds: readonly string[] | undefined): string | null =>
  kinds === undefined ? null : JSON.stringify(kinds)

/** Takes jobs for a process, and begins their runs. */
function takeJobs(
  sql: Statements,
  limit: number,
  owner: string,
  chosen: Parameters<Statements['next']['get']>[0],
): readonly Job[] {
  const taken: Job[] = []
  while (taken.length < limit) {
    const row = sql.next.get(chosen)
    if (row === undefined) break
    const ticket = randomUUID()
    const startedAt = chosen.at
    sql.claim.run(owner, ticket, startedAt, row.id)
    taken.push(toJob({ ...row, ticket, state: 'running', startedAt, attempts: row.attempts + 1 }))
  }
  return taken
}

/** What follows the end of a job: its parent counts it, its children are cancelled with it, the next of its key is queued. */
function afterEnd(
  sql: Statements,
  { id, parent, next }: Readonly<{ id: number; parent: number | null; next: string | null }>,
  ended: Result['state'],
  now: number,
): void {
  if (parent !== null) sql.countEnded[ended].run(parent)
  if (ended === 'cancelled') cancelChildren(sql, id, now)
  if (next !== null) insertJob(sql, JSON.parse(next), now)
}

/** Ends a run. Returns how it ended, which may be as cancelled; false where another run has taken its place. */
function endRun(
  sql: Statements,
  { id, ticket }: Run,
  { state, error, reason, result }: Result,
  { now, onEnded }: Pick<RunParts, 'now' | 'onEnded'>,
): Result['state'] | false {
  const row = sql.get.get(id)
  // A long job whose cancelling was requested is not done, even where its handler ended before it was aborted.
  const isCancelled = row?.wish === 'cancel' && row.lane === 'job' && state === 'done'
  const ended = isCancelled ? 'cancelled' : state
  const text = result === undefined ? null : JSON.stringify(result)
  const { changes } = sql.end.run(ended, error ?? null, reason ?? null, text, now(), id, ticket)
  if (changes === 0 || row === undefined) return false
  afterEnd(sql, row, ended, now())
  onEnded(sql)
  return ended
}

/** Queues again what a process was running, except for what was to be cancelled, or has killed too many processes. */
function release(sql: Statements, owner: string, crashed: 0 | 1, now: number): void {
  const abandoned = sql.abandoned.all({ owner, crashed })
  sql.release.run({ owner, at: now, crashed })
  for (const row of abandoned) afterEnd(sql, row, row.wish === 'cancel' ? 'cancelled' : 'failed', now)
}

/** Releases what dead processes were running. Returns how many processes there were. */
function recover(sql: Statements, { owner, registry }: Connection, now: number): number {
  const before = owner()
  // Our own lock file was deleted: what we run is still ours.
  if (registry()?.return()) sql.changeOwner.run(owner(), before)
  const dead = sql.owners
    .all()
    .filter(({ owner: other }) => other !== owner() && registry()?.isAlive(other) !== true)
  for (const { owner: other } of dead) release(sql, other, 1, now)
  return dead.length
}

/** See the top of the file. */
export type Runs = ReturnType<typeof createRuns>

/** Makes what the processor works with. */
export function createRuns(parts: RunParts) {
  const { connection, now } = parts
  const { query, transaction, owner } = connection
  return {
    /** Takes the next jobs, for this process alone. */
    take: (
      lane: Lane,
      limit: number,
      excludedHosts: readonly string[],
      { kinds, only }: TakeOptions = {},
    ): readonly Job[] =>
      transaction((sql) => {
        const excluded = JSON.stringify(excludedHosts)
        return takeJobs(sql, limit, owner(), {
          lane,
          excluded,
          kinds: kindsText(kinds),
          only: only ?? null,
          at: now(),
        })
      }, []),
    /** Takes jobs of either lane for another queue. See the port. */
    claim: (limit: number): readonly Job[] =>
      transaction((sql) => {
        const chosen = { excluded: '[]', kinds: null, only: null, at: now() }
        const long = takeJobs(sql, limit, owner(), { ...chosen, lane: 'job' })
        return [...long, ...takeJobs(sql, limit - long.length, owner(), { ...chosen, lane: 'task' })]
      }, []),
    handedOver: ({ id, ticket, priority }: Run & Pick<Job, 'priority'>): Meanwhile | undefined =>
      transaction<Meanwhile | undefined>((sql) => {
        const row = sql.get.get(id)
        if (sql.handOver.run(id, ticket).changes > 0 && row?.next) insertJob(sql, JSON.parse(row.next), now())
        return { isCancelled: row?.wish === 'cancel', priority: row?.priority ?? priority }
      }, undefined),
    giveBack: ({ id, ticket }: Run): boolean =>
      transaction((sql) => {
        const row = sql.get.get(id)
        if (row?.wish === 'cancel') endRun(sql, { id, ticket }, { state: 'cancelled' }, parts)
        else sql.giveBack.run(id, ticket)
        return true
      }, false),
    nodeNumber: (): number | undefined => query((sql) => sql.flag.get('node')?.value, undefined),
    setNodeNumber: (number: number): void => query((sql) => void sql.setFlag.run('node', number), undefined),
    /** Ends a run. See `endRun`; undefined where it could not be written. */
    end: (run: Run, result: Result): Result['state'] | false | undefined =>
      transaction<Result['state'] | false | undefined>((sql) => endRun(sql, run, result, parts), undefined),
    /** Queues a run again, for later; one that was to be cancelled ends. Returns as `end` does. */
    retryAt: (
      run: Run,
      notBefore: number,
      { reason }: { readonly reason?: Reason | undefined },
    ): boolean | undefined =>
      transaction<boolean | undefined>((sql) => {
        if (sql.get.get(run.id)?.wish === 'cancel')
          return endRun(sql, run, { state: 'cancelled' }, parts) !== false
        return sql.requeue.run(Math.ceil(notBefore), reason ?? null, run.id, run.ticket).changes > 0
      }, undefined),
    progress: ({ id, ticket }: Run, done: number, total: number): void => {
      const steps = { done: Math.trunc(done), total: Math.trunc(total) }
      query((sql) => void sql.progress.run({ ...steps, at: now(), id, ticket }), undefined)
    },
    /** Whether something runs, or could be begun at this time by a process that has handlers for these kinds. */
    isDue: (kinds?: readonly string[], at = now()): boolean =>
      query((sql) => sql.isDue.get({ at, kinds: kindsText(kinds) })?.due === 1, false),
    /** Jobs that this process runs, and is to cancel. */
    cancelRequested: (): readonly number[] =>
      query((sql) => sql.cancelRequested.all(owner()).map(({ id }) => id), []),
    /** Queues again what dead processes were running. Returns how many processes there were. */
    recover: (): number => transaction((sql) => recover(sql, connection, now()), 0),
    /** Queues again what this process was running, and closes the database. */
    close: (): void => connection.close((sql) => release(sql, owner(), 0, now())),
  }
}

/**
 * The queue of background work, cut as BullMQ cuts it: what adds to it, what reads it, what works it off. What this process has
 * answers at once; what nodes share answers a promise.
 */
import type { Reason } from './failure.js'
import type { Logger } from './logger.js'

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>

/** The verbs of a port whose implementation answers at once. */
export type AtOnce<Port> = {
  readonly [Verb in keyof Port]: Port[Verb] extends (...given: infer Given) => infer Answer
    ? (...given: Given) => Awaited<Answer>
    : Port[Verb]
}

/** Limits of concurrency are per lane. `task`: one picture; `job`: a long one, which queues tasks or reads everything. */
export type Lane = 'task' | 'job'

/** Where a job stands. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled'

/** A job. Times in ms since the epoch. */
export interface Job {
  /** Its number; as text, what the verbs of jobs take. */
  readonly id: number
  /** What it is about: the same key is queued once. */
  readonly key: string
  /** `download`, or a kind of long job. */
  readonly kind: string
  /** Where it stands. */
  readonly state: JobState
  /** Higher first; first in, first out within a priority. */
  readonly priority: number
  /** Null where it is long, except for its handler. */
  readonly payload: unknown
  /** Whether it is one image, or long. */
  readonly lane: Lane
  /** The host that it requests, for the limit per host. */
  readonly host: string | undefined
  /** The job that queued it. */
  readonly parent: number | undefined
  /** How many times it was begun. */
  readonly attempts: number
  /** Not begun before this. */
  readonly notBefore: number
  /** Steps that are behind it. */
  readonly done: number
  /** Steps in all, as far as that is known. */
  readonly total: number
  /** Steps a second in this run; undefined where unknown. */
  readonly rate: number | undefined
  /** Ms to its end at that rate; undefined where unknown. */
  readonly eta: number | undefined
  /** Why it failed, in words. */
  readonly error: string | undefined
  /** Why it failed, from the table of reasons. */
  readonly reason: Reason | undefined
  /** Of this run: only its holder may end it. */
  readonly ticket: string
  /** How many of the jobs that it queued were done. */
  readonly ok: number
  /** How many of the jobs that it queued have failed. */
  readonly failed: number
  /** How many of the jobs that it queued were cancelled. */
  readonly cancelled: number
  /** The result, by its kind. */
  readonly result: unknown
  /** When it was queued. */
  readonly createdAt: number
  /** When it was begun. */
  readonly startedAt: number | undefined
  /** When it ended. */
  readonly endedAt: number | undefined
}

/** A job to add. */
export interface NewJob extends Pick<Job, 'key' | 'kind' | 'priority' | 'payload' | 'lane'> {
  /** The host that it requests, for the limit per host. */
  readonly host?: string | undefined
  /** The job that queues it. */
  readonly parent?: number | undefined
}

/**
 * The payload that replaces that of an open job of the same key; undefined leaves it as it is. A queued job is changed and begins
 * anew; a running one is queued once more after its end.
 */
export type MergePayload = (job: Pick<NewJob, 'kind' | 'payload'>, before: unknown) => unknown

/** The answer to adding a job. */
export type Added =
  | {
      /** It is queued. */
      readonly accepted: true
      /** Its id. */
      readonly id: number
    }
  | {
      /** It is not queued. */
      readonly accepted: false
      /** One of its key is open. */
      readonly reason: 'duplicate'
      /** The id of that. */
      readonly id: number
    }
  | {
      /** It is not queued. */
      readonly accepted: false
      /** As many wait as may. */
      readonly reason: 'full'
    }

/** How a job ended. */
export interface Result {
  /** How it ended. */
  readonly state: 'done' | 'failed' | 'cancelled'
  /** Why it failed, in words. */
  readonly error?: string | undefined
  /** Why it failed, from the table of reasons. */
  readonly reason?: Reason | undefined
  /** The result, by its kind. */
  readonly result?: unknown
}

/** Why a job cannot be done by this process. */
export interface Unsupported {
  /** From the table of reasons. */
  readonly reason: Reason
  /** In words. */
  readonly error: string
}

/** Which jobs to list, newest first. */
export interface JobSelection {
  /** Only those that stand so. @default any */
  readonly state?: JobState | undefined
  /** Only those of this kind. @default any */
  readonly kind?: string | undefined
  /** Only single images, or only long jobs. @default any */
  readonly lane?: Lane | undefined
  /** Only those that this job queued. @default any */
  readonly parent?: number | undefined
  /** Only older ones than this. */
  readonly before?: number | undefined
  /** Most of a page. */
  readonly limit: number
}

/** Adds jobs, and changes those that are there. */
export interface JobQueue {
  /**
   * Queues a job. An open one of the same key is raised to a higher priority instead.
   * @param unsupported fails the job at once, with this
   */
  add(job: NewJob, unsupported?: Unsupported): Added
  /**
   * Queues the jobs of a parent: its own bound is their number.
   * @param isWanted judges a job that is not open, in the same transaction: another process may have done it by now
   * @returns how many were new; undefined where they could not be written
   */
  addAll(jobs: readonly NewJob[], isWanted?: (job: NewJob) => boolean): Awaitable<number | undefined>
  /** Cancels a queued job; a running one is stopped by its process. Returns whether there was one. */
  cancel(id: number): Awaitable<boolean>
  /**
   * Queues a failed or cancelled job again. Returns whether it was one, and is not open again already.
   * @param unsupported why this process cannot do jobs of a kind: it fails again at once
   */
  retry(id: number, unsupported?: (kind: string) => Unsupported | undefined): Awaitable<boolean>
  /** Begins nothing new, in no process, while paused. */
  setPaused(isPaused: boolean): Awaitable<void>
}

/** Reads the queue. */
export interface JobQueries {
  /** The job of an id, undefined where there is none (any more). */
  get(id: number): Awaitable<Job | undefined>
  /** Jobs, newest first. */
  list(selection: JobSelection): Awaitable<readonly Job[]>
  /** As they were known last, where nodes share the queue. */
  counts(): Readonly<Record<JobState, number>>
  /** How many of the jobs that one queued stand where. */
  children(id: number): Awaitable<Readonly<Record<JobState, number>>>
  /** As it was known last, where nodes share the queue. */
  isPaused(): boolean
}

/** What a handler works with, beside the job. */
export interface JobContext {
  /** Aborted when the job is cancelled, or the process ends. */
  readonly signal: AbortSignal
  /** Says how far it is: steps that are behind it, and steps in all. */
  progress(done: number, total: number): void
}

/** How a run came out: ended, or to be tried again after so many ms. */
export type Outcome =
  | Result
  | {
      /** It is tried again. */
      readonly state: 'again'
      /** After so many ms. */
      readonly after: number
      /** Why, from the table of reasons. */
      readonly reason?: Reason | undefined
    }

/** Does the jobs of one kind. */
export type Handler = (job: Job, context: JobContext) => Promise<Outcome>

/** How jobs are processed. */
export interface JobProcessorOptions {
  /** Tasks at once. */
  readonly concurrency: number
  /** What time it is, ms since the epoch. */
  readonly now: () => number
  /** Hears of failures of the queue itself. */
  readonly logger: Logger
  /** Called for each job that ended here. */
  onEnd(state: Result['state']): void
  /** Called several times a second while new jobs may begin. */
  onPoll?(): void
  /** Whether jobs may be begun here now. @default always */
  mayBegin?(): boolean
}

/** Works the queue off, with the handlers of this process. */
export interface JobProcessor {
  /** Begins. @param only the one long job to work on; left out: any */
  start(only?: number): void
  /** Whether it was started. */
  isStarted(): boolean
  /** Whether there is a handler of this kind here. */
  isSupported(kind: string): boolean
  /** Whether something runs, here or elsewhere, or is queued that this process could begin now. */
  isDue(): boolean
  /** The same, at any time to come. */
  isPending(): boolean
  /** How many run here. */
  running(): number
  /** Something was queued: free capacity takes it at once. */
  notify(): void
  /** Resolves when a job has changed here, or soon. */
  changed(signal?: AbortSignal): Promise<void>
  /** Waits for tasks; long jobs stop where they are, and go on at the next start. */
  close(): Promise<void>
}

/** A failed URL, and until when it is not tried again, ms since the epoch. */
export interface BackOff {
  /** The URL that failed. */
  readonly url: string
  /** It is not tried again before this, ms since the epoch. */
  readonly until: number
  /** Failures in a row. */
  readonly times: number
  /** Why, from the table of reasons. */
  readonly reason: string
}

/** Back-offs by the key of an entity, `kind:id`. */
export interface BackOffs {
  /** That of an entity, undefined where it has none. */
  get(key: string): BackOff | undefined
  /** Keeps one. */
  set(key: string, backOff: BackOff): void
  /** Forgets one. */
  clear(key: string): void
  /** Forgets all. */
  clearAll(): void
  /** How many there are, by the kind of entity. */
  byKind(): ReadonlyMap<string, number>
  /** In the order of their keys. @param kind of entity, '' for all @param after only keys after this one */
  list(
    kind: string,
    after: string,
    limit: number,
  ): readonly (BackOff & {
    /** Of the entity. */
    readonly key: string
  })[]
}

/** When a job is queued by its schedule. Times in ms since the epoch. */
export interface Schedule {
  /** The kind of the job. */
  readonly kind: string
  /** The cron expression, and its time zone where it has one. */
  readonly plan: string
  /** When it is due. */
  readonly next: number
  /** When it was run last, undefined where it never was. */
  readonly last: number | undefined
  /** The job that the last run was. */
  readonly lastJob: number | undefined
  /** Runs that were refused, because the one before had not ended. */
  readonly refused: number
}

/** Schedules, shared by all processes. */
export interface ScheduleTable {
  /**
   * Queues a job that is due, once for all processes, unless the one before has not ended.
   * @param next when it is due after now, ms since the epoch @param latest a later due time is not plausible
   */
  run(plan: string, job: NewJob, next: () => number, latest: () => number): Awaitable<Added | undefined>
  /** Deletes schedules that no process has used for long. */
  forget(): void
  /** As they were known last, where nodes share them. */
  list(): readonly Schedule[]
}

/** What a node says of itself. */
export interface NodeFacts {
  /** The version of the toolkit. */
  readonly version: string
  /** Jobs that it is at. */
  readonly running: number
  /** What does not work there, in words; none where all does. */
  readonly reasons: readonly string[]
}

/** A node of those that share a queue: a process with the toolkit. */
export interface ClusterNode extends NodeFacts {
  /** Its machine and its process: `web-1:4711`. */
  readonly name: string
  /** Since when it is there, ms since the epoch. */
  readonly startedAt: number
}

/** A queue with all of its parts. */
export interface JobBackend extends JobQueue, JobQueries {
  /** What failed and is left alone for a while. */
  readonly backOffs: BackOffs
  /** When jobs are queued by themselves. */
  readonly schedules: ScheduleTable
  /** Makes what works it off with handlers by kind; it begins with `start`. */
  createProcessor(handlers: Readonly<Record<string, Handler>>, options: JobProcessorOptions): JobProcessor
  /** Gives up what is left of this process, and ends. */
  close(): Awaitable<void>
}

/** What was requested of a job while it was handed over. */
export interface Meanwhile {
  /** It is to be cancelled. */
  readonly isCancelled: boolean
  /** Its priority now. */
  readonly priority: number
}

/** The queue of one node, as one that all nodes share stands on it: it has what was queued here until the shared one has it. */
export interface LocalQueue
  extends AtOnce<JobQueue>,
    AtOnce<JobQueries>,
    Omit<JobBackend, keyof JobQueue | keyof JobQueries> {
  /** When jobs are queued by themselves. */
  readonly schedules: AtOnce<ScheduleTable>
  /** Takes what is queued, to hand it over. Nobody else begins it meanwhile. */
  claim(limit: number): readonly Job[]
  /**
   * The shared queue has it: it is here no more. What was requested of its key meanwhile is queued.
   * @returns what was requested of it meanwhile; undefined where it could not be written
   */
  handedOver(job: Job): Meanwhile | undefined
  /** It could not be handed over: it is queued again as it was. Returns whether that could be written. */
  giveBack(job: Job): boolean
  /** Queues again what dead processes had taken. */
  recover(): unknown
  /** The number that this directory has among the nodes; undefined where it has none yet. */
  nodeNumber(): number | undefined
  /** Keeps that number. */
  setNodeNumber(number: number): void
}

/** What a queue that nodes share works with. */
export interface SharedQueueParts {
  /** The queue of this node. */
  readonly local: LocalQueue
  /** How the payload of an open job is replaced. */
  readonly merge: MergePayload
  /** What time it is, ms since the epoch. */
  readonly now: () => number
  /** Hears of failures of the queue. */
  readonly logger: Logger
}

/** A queue that nodes share. */
export interface SharedQueue extends JobBackend {
  /** Why this node does its own jobs alone at the moment, undefined where it does not. */
  trouble(): string | undefined
  /** How this node is: it says so to the others once it works. */
  announce(facts: () => NodeFacts): void
  /** The nodes that are there. */
  nodes(): Promise<readonly ClusterNode[]>
}

/** Opens a queue that nodes share: what `bullmq()` answers. */
export interface JobQueueSource {
  /** Connects, and goes on where that is not possible yet. @throws Error without the packages that it needs */
  open(parts: SharedQueueParts): Promise<SharedQueue>
}

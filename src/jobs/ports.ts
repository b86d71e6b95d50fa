/** Pieces of work: what they are, what is asked for, and how they end. */
import type { Reason } from '../model/failure.js'

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
  /** What is to be done, as its kind reads it; null where it is long, but for who does it. */
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
  /** Steps a second in this run of it, and ms until it will have ended at that rate; where that can be told. */
  readonly rate: number | undefined
  readonly eta: number | undefined
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
export interface BackOff {
  readonly url: string
  readonly until: number
  readonly times: number
  readonly reason: string
}

/** How a piece of work ended. */
export interface Result {
  readonly state: 'done' | 'failed' | 'cancelled'
  readonly error?: string | undefined
  readonly reason?: Reason | undefined
  readonly result?: unknown
}

/** Why a piece of work cannot be done at all, where it is asked for. */
export interface Unsupported {
  readonly reason: Reason
  readonly error: string
}

/** Which pieces of work to list, newest first. */
export interface JobSelection {
  readonly state?: JobState
  readonly kind?: string
  readonly lane?: Lane
  readonly parent?: number
  /** Only older ones than this. */
  readonly before?: number
  readonly limit: number
}

/** When a job is begun by itself. Times in ms since the epoch. */
export interface Schedule {
  readonly kind: string
  /** The cron expression, and its time zone where it has one. */
  readonly plan: string
  readonly next: number
  readonly last: number | undefined
  readonly lastJob: number | undefined
  /** Runs that were refused, because the one before had not ended. */
  readonly refused: number
}

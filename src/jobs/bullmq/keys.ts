/** Where jobs are kept in Redis: two queues of BullMQ, one of each lane, and what it has no place for. */
import type { Queue } from 'bullmq'
import type { Lane } from '../../model/job-queue.js'
import type { RedisClient, RedisConnectionOptions } from '../../store/shared/redis-client.js'
import type { JobData, Kept } from './rows.js'

/** Where the queue is, and how long a job belongs to a node. */
export interface BullmqOptions extends RedisConnectionOptions {
  /** How long a node that has died holds its jobs, ms. @default 10 s */
  readonly leaseTime?: number
}

/** What became of the jobs of a parent is known for so long after the last of it, s. */
export const CHILDREN_TIME = 7 * 86_400
export const LANES: readonly Lane[] = ['job', 'task']

/** A queue of BullMQ, of one lane. */
export type LaneQueue = Queue<Kept, unknown, string, JobData, unknown, string>

/** The package, which is loaded where it is used. */
export type Bull = typeof import('bullmq')

/** What is open to Redis. */
export interface SharedConnection {
  readonly bull: Bull
  readonly redis: RedisClient
  readonly queues: Readonly<Record<Lane, LaneQueue>>
  readonly keys: Keys
  /** Calls Redis, unless it is left alone after failures. @throws Error that it threw, ArtworkError `unavailable` */
  run<T>(call: () => Promise<T>): Promise<T>
  /** Why it cannot be called at the moment, undefined where it can. */
  trouble(): string | undefined
}

/** Names of keys. */
export type Keys = ReturnType<typeof keysOf>

export const keysOf = (prefix: string) => ({
  /** Of BullMQ. */
  bull: `${prefix}jobs`,
  /** Nodes that are there, and what each says of itself. */
  present: `${prefix}jobs:present`,
  node: (id: string) => `${prefix}jobs:node:${id}`,
  /** Numbers of nodes. */
  nodes: `${prefix}jobs:nodes`,
  /** Ids of a lane by when they were queued. */
  index: (lane: Lane) => `${prefix}jobs:index:${lane}`,
  /** Ids that wait and count against the bound: they have no parent. */
  waiting: `${prefix}jobs:waiting`,
  /** Cancelled jobs, by their id, and their ids by when they ended: BullMQ has no such state. */
  cancelled: `${prefix}jobs:cancelled`,
  cancelledAt: `${prefix}jobs:cancelled-at`,
  /** Ids of the jobs that one queued: all, and those that have ended. */
  children: (parent: number, which: 'all' | 'done' | 'failed' | 'cancelled') =>
    `${prefix}jobs:children:${parent}:${which}`,
  schedule: (kind: string, plan: string) => `${prefix}jobs:schedule:${kind} ${plan}`,
  schedules: `${prefix}jobs:schedules`,
})

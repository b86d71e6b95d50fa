/** A node that works off a queue that nodes share, in a process of its own that its parent orders about and kills. */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bullmq } from '#src/index.js'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import type { SharedQueue } from '#src/model/job-queue.js'
import { handleOrders } from '../fixtures/handle-orders.js'

/** Opens the queue of a node. */
export interface Opening {
  readonly directory: string
  readonly redis: string
  readonly prefix: string
  readonly leaseTime?: number
  /** Where each effect is noted, a line each. */
  readonly effects: string
}
/** What the process does for its parent. */
export interface NodeOrders {
  open(opening: Opening): Promise<void>
  /** Queues so many jobs, from this number on. */
  add(from: number, count: number): Promise<void>
  /** Queues a long job that nobody does, and what it asks for. Whoever works on -1 has its effect, and never ends. */
  addParent(numbers: readonly number[]): Promise<number>
  children(id: number): Promise<Readonly<Record<string, number>>>
  failed(): Promise<readonly { readonly key: string; readonly reason: string | undefined }[]>
  /** Queues one by one, as pages do. Answers how many were taken. */
  enqueue(from: number, count: number): Promise<number>
  work(concurrency: number): Promise<void>
  counts(): Promise<Readonly<Record<string, number>>>
  trouble(): Promise<string | undefined>
  close(): Promise<void>
}

const logger = { debug: () => {}, info: () => {}, warn: console.error, error: console.error }
let queue: SharedQueue | undefined
let effects = ''
const opened = (): SharedQueue => {
  if (queue === undefined) throw new Error('nothing is open')
  return queue
}
const jobOf = (number: number) => ({
  key: `e${number}`,
  kind: 'step',
  lane: 'task' as const,
  priority: 1,
  payload: { number },
})
let stop = async (): Promise<void> => {}

handleOrders<NodeOrders>({
  open: async (opening) => {
    effects = opening.effects
    const parts = { merge: () => undefined, now: Date.now, logger }
    const local = createJobQueue({ directory: opening.directory, ...parts })
    const source = bullmq({
      url: opening.redis,
      prefix: opening.prefix,
      timeout: 5000,
      ...(opening.leaseTime !== undefined && { leaseTime: opening.leaseTime }),
    })
    queue = await source.open({ local, ...parts })
  },
  add: async (from, count) => {
    for (let number = from; number < from + count; number += 500)
      await opened().addAll(
        Array.from({ length: Math.min(500, from + count - number) }, (_, index) => jobOf(number + index)),
      )
  },
  addParent: async (numbers) => {
    const added = opened().add({ key: 'parent', kind: 'long', lane: 'job', priority: 1, payload: {} })
    const parent = 'id' in added ? added.id : 0
    await opened().addAll(numbers.map((number) => ({ ...jobOf(number), parent })))
    return parent
  },
  children: async (id) => opened().children(id),
  failed: async () =>
    (await opened().list({ state: 'failed', limit: 10 })).map(({ key, reason }) => ({ key, reason })),
  enqueue: async (from, count) => {
    let taken = 0
    for (let number = from; number < from + count; number += 1)
      if (opened().add(jobOf(number)).accepted) taken += 1
    return taken
  },
  work: async (concurrency) => {
    const processor = opened().createProcessor(
      {
        step: async ({ payload, ticket }) => {
          await sleep(1)
          const { number } = payload as { number: number }
          appendFileSync(effects, `${number} ${process.pid} ${ticket}\n`)
          if (number === -1) await new Promise(() => {})
          return { state: 'done' }
        },
      },
      { concurrency, now: Date.now, logger, onEnd: () => {} },
    )
    stop = processor.close
    processor.start()
  },
  counts: async () => opened().counts(),
  trouble: async () => opened().trouble(),
  close: async () => {
    await stop()
    await opened().close()
  },
})

/** What every queue does, as its users see it: processes with handlers, and what is asked of the queue by others. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Handler, Job, JobBackend, JobProcessorOptions, NewJob, Outcome } from '#src/model/job-queue.js'
import { eventually } from '../support/eventually.js'
import { atEnd, quietLogger } from '../support/toolkit.js'
import { RANKED, step } from './job-queue.js'

/** A site with a queue, which processes or nodes open. */
export interface QueueSite {
  /** One more process on the same queue, which is closed after the test. */
  open(): Promise<JobBackend>
}

const long = (key: string): NewJob => ({ ...step(key), kind: 'long', lane: 'job' })
const idOf = (added: ReturnType<JobBackend['add']>): number => ('id' in added ? added.id : 0)

/** Works a queue off. Answers what was begun, in its order. */
function work(
  queue: JobBackend,
  handler: Handler = async () => ({ state: 'done' }),
  options: Partial<JobProcessorOptions> = {},
) {
  const begun: Job[] = []
  const handle: Handler = (job, context) => {
    begun.push(job)
    return handler(job, context)
  }
  const processor = queue.createProcessor(
    { step: handle, long: handle },
    { concurrency: 1, now: Date.now, logger: quietLogger(), onEnd: () => {}, ...options },
  )
  atEnd(() => processor.close())
  processor.start()
  return { processor, begun, keys: () => begun.map(({ key }) => key) }
}
const stateOf = async (queue: JobBackend, id: number) => (await queue.get(id))?.state
const ends = (queue: JobBackend, id: number, state: Job['state'] = 'done') =>
  eventually(async () => expect(await stateOf(queue, id)).toBe(state))
/** A handler that waits until it is let go, or aborted. */
function waiting() {
  const letGo: (() => void)[] = []
  let isOver = false
  const handler: Handler = (_job, { signal }) =>
    new Promise<Outcome>((resolve) => {
      atEnd(async () => {
        isOver = true
        for (const end of letGo.splice(0)) end()
      })
      if (isOver) return resolve({ state: 'done' })
      letGo.push(() => resolve({ state: 'done' }))
      signal.addEventListener('abort', () => resolve({ state: 'cancelled' }), { once: true })
    })
  return { handler, letGo: () => letGo.shift()?.() }
}

/** Holds an implementation to the contract. @param createSite a queue that is empty */
export function jobBackendContract(name: string, createSite: () => Promise<QueueSite>): void {
  describe(`the queue of jobs ${name}`, () => {
    test('by priority, first in first out inside; the same key once; a raised one behind those of its new rank', async () => {
      const site = await createSite()
      const queue = await site.open()
      await queue.setPaused(true)
      for (const [key, priority] of RANKED) expect(queue.add(step(key, priority)).accepted).toBe(true)
      await eventually(async () => expect(await queue.list({ limit: 10 })).toHaveLength(5))
      const added = queue.add(step('a'))
      expect(added).toMatchObject({ accepted: false, reason: 'duplicate' })
      expect(await queue.get(idOf(added))).toMatchObject({ key: 'a', state: 'queued' })
      expect(queue.add(step('late', 2))).toMatchObject({ accepted: false, reason: 'duplicate' })
      await eventually(async () =>
        expect((await queue.list({ limit: 10 })).find(({ key }) => key === 'late')).toMatchObject({
          priority: 2,
        }),
      )
      const { keys, processor } = work(queue)
      await sleep(300)
      expect(keys()).toEqual([])
      await queue.setPaused(false)
      processor.notify()
      await eventually(() => expect(keys()).toEqual(['high', 'late', 'a', 'b', 'low']))
    })
    test('of what is requested while it waits or runs, the last counts', async () => {
      const site = await createSite()
      const queue = await site.open()
      const ask = (url: string) => queue.add({ ...step('x'), payload: { url } })
      await queue.setPaused(true)
      ask('old')
      ask('new')
      const { handler, letGo } = waiting()
      const { begun, processor } = work(queue, handler)
      await eventually(async () =>
        expect(await queue.list({ limit: 5 })).toMatchObject([{ key: 'x', payload: { url: 'new' } }]),
      )
      await queue.setPaused(false)
      processor.notify()
      await eventually(() => expect(begun).toMatchObject([{ payload: { url: 'new' } }]))
      expect(ask('new')).toMatchObject({ accepted: false, reason: 'duplicate' })
      ask('newer')
      ask('newest')
      await eventually(() => expect(queue.counts()).toMatchObject({ running: 1 }))
      // What was asked for has been handed over once this is known.
      await queue.cancel(-1)
      letGo()
      await eventually(() => expect(begun).toHaveLength(2))
      expect(begun[1]).toMatchObject({ payload: { url: 'newest' } })
      letGo()
      await eventually(() => expect(queue.counts()).toMatchObject({ queued: 0, running: 0, done: 2 }))
    })
    test('tried again after its time, it counts its attempts; what failed says why, and is done when it is retried', async () => {
      const site = await createSite()
      const queue = await site.open()
      const id = idOf(queue.add(step('a')))
      const { begun } = work(queue, async ({ attempts }) =>
        attempts === 1
          ? { state: 'again', after: 20, reason: 'timeout' }
          : begun.length > 2
            ? { state: 'done', result: { bytes: 5 } }
            : { state: 'failed', reason: 'http_404', error: 'there is none' },
      )
      await ends(queue, id, 'failed')
      expect(begun.map(({ attempts }) => attempts)).toEqual([1, 2])
      expect(await queue.get(id)).toMatchObject({ reason: 'http_404', error: 'there is none' })
      expect(await queue.list({ state: 'failed', limit: 5 })).toMatchObject([{ id }])
      expect(await queue.list({ state: 'done', limit: 5 })).toEqual([])
      expect(await queue.retry(id)).toBe(true)
      await ends(queue, id)
      expect(await queue.get(id)).toMatchObject({ key: 'a', result: { bytes: 5 }, error: undefined })
      expect(await queue.retry(id)).toBe(false)
      expect(await queue.retry(4242)).toBe(false)
    })
    test('a long job and what it queued: counted, bounded by itself, and cancelled with it', async () => {
      const site = await createSite()
      const [queue, other] = [await site.open(), await site.open()]
      const children = [1, 2, 3, 4].map((index) => step(`c${index}`))
      const { handler } = waiting()
      const { keys } = work(queue, async (job, context) => {
        if (job.kind !== 'long')
          return job.key === 'c2' ? { state: 'failed', reason: 'http_404' } : handler(job, context)
        expect(await queue.addAll(children.map((child) => ({ ...child, parent: job.id })))).toBe(4)
        return handler(job, context)
      })
      const parent = idOf(queue.add(long('parent')))
      // c1 waits in its handler; one is worked off at a time, and another may be taken already.
      await eventually(async () => {
        const { running, queued } = await other.children(parent)
        expect(running).toBeGreaterThan(0)
        expect(running + queued).toBe(4)
      })
      expect((await other.list({ parent, limit: 10 })).map(({ key }) => key).sort()).toEqual([
        'c1',
        'c2',
        'c3',
        'c4',
      ])
      const first = (await other.list({ parent, limit: 10 })).find(({ key }) => key === 'c1')?.id ?? 0
      expect(await other.cancel(first)).toBe(true)
      await eventually(async () => {
        const { queued, running, ...ended } = await other.children(parent)
        expect(ended).toEqual({ done: 0, failed: 1, cancelled: 1 })
        expect(queued + running).toBe(2)
      })
      expect(await other.cancel(parent)).toBe(true)
      await ends(queue, parent, 'cancelled')
      await eventually(async () =>
        expect(await other.children(parent)).toMatchObject({ queued: 0, failed: 1 }),
      )
      await eventually(() => expect(queue.counts()).toMatchObject({ queued: 0 }))
      expect(await queue.addAll([{ ...step('late'), parent }])).toBe(0)
      expect(await other.cancel(parent)).toBe(false)
      expect(keys()).not.toContain('c4')
    })
    test('progress is seen from elsewhere, with its rate', async () => {
      const site = await createSite()
      const [queue, other] = [await site.open(), await site.open()]
      const { handler, letGo } = waiting()
      let report = (_done: number): void => {}
      work(queue, (job, context) => {
        report = (done) => context.progress(done, 100)
        return handler(job, context)
      })
      const id = idOf(queue.add(long('a')))
      await ends(queue, id, 'running')
      await eventually(async () => {
        report(10)
        expect(await other.get(id)).toMatchObject({ done: 10, total: 100 })
      })
      await eventually(async () => {
        report(60)
        expect(await other.get(id)).toMatchObject({
          done: 60,
          rate: expect.any(Number),
          eta: expect.any(Number),
        })
      })
      letGo()
      await ends(other, id)
    })
    test('paused by one it is paused for all; who ends lets another go on', async () => {
      const site = await createSite()
      const [queue, other] = [await site.open(), await site.open()]
      const { handler } = waiting()
      const mine = work(queue, handler)
      const id = idOf(queue.add(long('a')))
      await ends(queue, id, 'running')
      await other.setPaused(true)
      await eventually(() => expect(queue.isPaused()).toBe(true))
      await mine.processor.close()
      await eventually(async () => expect(await stateOf(other, id)).toBe('queued'))
      const theirs = work(other)
      await sleep(400)
      expect(theirs.keys()).toEqual([])
      await other.setPaused(false)
      theirs.processor.notify()
      await ends(other, id)
      expect(theirs.keys()).toEqual(['a'])
    })
    test('200 jobs, three that work: each is done once; the queue is seen by all', async () => {
      const site = await createSite()
      const queues = [await site.open(), await site.open(), await site.open()]
      const all = queues.map((queue) => work(queue, async () => ({ state: 'done' }), { concurrency: 4 }))
      const [first] = queues
      for (let index = 0; index < 200; index += 1) first?.add(step(`e${index}`))
      for (const { processor } of all) processor.notify()
      await eventually(() => {
        for (const queue of queues) expect(queue.counts()).toMatchObject({ done: 200, queued: 0, running: 0 })
      })
      const keys = all.flatMap((one) => one.keys())
      // Who drains waits for no more.
      for (const { processor } of all) expect(processor.isPending()).toBe(false)
      expect(keys).toHaveLength(200)
      expect(new Set(keys).size).toBe(200)
    })
    test('10,000 may wait, but for what one job asks for; there is room again as they are begun', async () => {
      const site = await createSite()
      const queue = await site.open()
      await queue.setPaused(true)
      let accepted = 0
      while (queue.add(step(`e${accepted}`)).accepted) accepted += 1
      // What is just being handed over is counted by neither side.
      expect(accepted).toBeGreaterThanOrEqual(10_000)
      expect(accepted).toBeLessThan(10_500)
      await eventually(() => expect(queue.counts()).toMatchObject({ queued: accepted, running: 0 }), 60_000)
      expect(queue.add(step('one more'))).toEqual({ accepted: false, reason: 'full' })
      expect(await queue.addAll([{ ...step('child'), parent: 1 }])).toBe(1)
      const { processor, begun } = work(queue, async () => ({ state: 'done' }), { concurrency: 8 })
      await queue.setPaused(false)
      processor.notify()
      await eventually(() => expect(begun.length).toBeGreaterThan(1100), 60_000)
      await eventually(() => expect(queue.add(step('one more'))).toMatchObject({ accepted: true }))
    })
    test('a schedule is run once by all, and refused while the run before is open', async () => {
      const site = await createSite()
      const queues = [await site.open(), await site.open()]
      const now = Date.now()
      const run = (queue: JobBackend, next: number) =>
        queue.schedules.run(
          '0 3 * * *',
          long('nightly'),
          () => next,
          () => now + 864e5,
        )
      const [first, second] = queues as [JobBackend, JobBackend]
      // It is known at first, and not due.
      expect(await run(first, now - 1000)).toBeUndefined()
      expect((await run(second, now - 500))?.accepted).toBe(true)
      // It is due again, and the job of before has not ended.
      const runs = await Promise.all(queues.map((queue) => run(queue, now + 60_000)))
      expect(runs.filter((one) => one !== undefined)).toMatchObject([
        { accepted: false, reason: 'duplicate' },
      ])
      await eventually(async () => expect(await second.list({ kind: 'long', limit: 5 })).toHaveLength(1))
      expect(await run(first, now + 70_000)).toBeUndefined()
      const [table] = first.schedules.list()
      expect(table).toMatchObject({ kind: 'long', plan: '0 3 * * *', next: now + 60_000, refused: 1 })
      expect(table?.lastJob).toBe((await first.list({ kind: 'long', limit: 1 }))[0]?.id)
    })
  })
}

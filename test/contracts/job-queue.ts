/** What every implementation of the job queue does. */
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { createJobQueue } from '#src/jobs/sqlite/queue.js'
import type { MergePayload } from '#src/model/job-queue.js'

/** What is held to the contract. */
export type Queue = ReturnType<typeof createJobQueue>

/** A job of one step. */
export const step = (key: string, priority = 1, host?: string) => ({
  key,
  kind: 'step',
  lane: 'task' as const,
  priority,
  payload: { key },
  host,
})
/** Another URL takes the place of the one before. */
export const mergeUrls: MergePayload = ({ payload }, before) =>
  isDeepStrictEqual(payload, before) ? undefined : payload
/** Keys and priorities, in the order in which they are queued. */
export const RANKED = [
  ['low', 0],
  ['a', 1],
  ['b', 1],
  ['late', 0],
  ['high', 2],
] as const
/** The keys of the jobs that come next, which are taken. */
export const takeKeys = (store: Queue, limit = 100, excludedHosts: string[] = []) =>
  store.take('task', limit, excludedHosts).map(({ key }) => key)

/** Holds an implementation to the contract. @param open an empty queue, which is closed after the test */
export function jobQueueContract(
  name: string,
  open: (clock: { readonly now: number }) => Promise<Queue>,
): void {
  describe(`the job queue ${name}`, () => {
    test('of what is asked for while it runs, the last counts', async () => {
      const queue = await open({ now: 1_000_000 })
      const wish = (url: string) => ({ ...step('a'), payload: { url } })
      queue.add(wish('A'))
      const [first] = queue.take('task', 1, [])
      if (first === undefined) throw new Error('nothing was taken')
      queue.add(wish('B'))
      queue.retryAt(first, 0, {})
      queue.add(wish('C'))
      const [second] = queue.take('task', 1, [])
      expect(second?.payload).toEqual({ url: 'C' })
      queue.add(wish('B'))
      queue.add(wish('C'))
      expect(second && queue.end(second, { state: 'done' })).toBe('done')
      expect(queue.counts()).toMatchObject({ queued: 0, running: 0, done: 1 })
    })
    test('what was to stop does not wait once more; a long payload is for who does the work alone', async () => {
      const queue = await open({ now: 1_000_000 })
      queue.add(step('a'))
      const [job] = queue.take('task', 1, [])
      if (job === undefined) throw new Error('nothing was taken')
      expect(queue.cancel(job.id)).toBe(true)
      expect(queue.retryAt(job, 0, {})).toBe(true)
      expect(queue.get(job.id)).toMatchObject({ state: 'cancelled' })
      expect(queue.retry(job.id)).toBe(true)
      expect(queue.cancelRequested()).toEqual([])
      expect(takeKeys(queue)).toEqual(['a'])
      const payload = { text: 'x'.repeat(10_000) }
      queue.add({ ...step('b'), payload })
      expect(queue.list({ limit: 1 })[0]?.payload).toBeNull()
      expect(queue.take('task', 1, [])[0]?.payload).toEqual(payload)
    })
    test('gives by priority, first in first out inside; the same key once; a raised one goes behind those of its new rank', async () => {
      const queue = await open({ now: 1_000_000 })
      for (const [key, priority] of RANKED) expect(queue.add(step(key, priority)).accepted).toBe(true)
      expect(queue.add(step('a'))).toMatchObject({ accepted: false, reason: 'duplicate' })
      expect(queue.add(step('late', 2))).toMatchObject({ accepted: false, reason: 'duplicate' })
      expect(takeKeys(queue)).toEqual(['high', 'late', 'a', 'b', 'low'])
      expect(takeKeys(queue)).toEqual([])
      // What runs is open still: it is not queued a second time.
      expect(queue.add(step('a'))).toMatchObject({ accepted: false, reason: 'duplicate' })
    })
    test('spares hosts, and waits until it may begin', async () => {
      const clock = { now: 1_000_000 }
      const queue = await open(clock)
      for (const key of ['a1', 'a2']) queue.add(step(key, 1, 'a.example'))
      queue.add(step('b1', 1, 'b.example'))
      expect(takeKeys(queue, 10, ['a.example'])).toEqual(['b1'])
      const [first] = queue.take('task', 1, [])
      if (first === undefined) throw new Error('nothing was taken')
      expect(queue.retryAt(first, clock.now + 4999.3, { reason: 'timeout' })).toBe(true)
      // Another run of the same has nothing to say of it.
      expect(queue.end(first, { state: 'done' })).toBe(false)
      expect(takeKeys(queue)).toEqual(['a2'])
      expect(queue.isDue()).toBe(true)
      clock.now += 5000
      expect(queue.take('task', 10, [])).toMatchObject([{ key: 'a1', attempts: 2 }])
    })
    test('ends, counts its parent on, cancels and tries again', async () => {
      const queue = await open({ now: 1_000_000 })
      const added = queue.add({ ...step('parent'), lane: 'job' })
      const parent = added.accepted ? added.id : 0
      expect(queue.addAll([1, 2, 3].map((index) => ({ ...step(`c${index}`), parent })))).toBe(3)
      const [one, two] = queue.take('task', 2, [])
      if (one === undefined || two === undefined) throw new Error('nothing was taken')
      expect(queue.end(one, { state: 'done', result: { a: 1 } })).toBe('done')
      expect(queue.end(one, { state: 'failed' })).toBe(false)
      expect(queue.end(two, { state: 'failed', reason: 'http_404', error: 'no' })).toBe('failed')
      expect(queue.get(one.id)).toMatchObject({ state: 'done', result: { a: 1 } })
      expect(queue.children(parent)).toMatchObject({ done: 1, failed: 1, queued: 1 })
      expect(queue.cancel(parent)).toBe(true)
      expect(queue.counts()).toEqual({ queued: 0, running: 0, done: 1, failed: 1, cancelled: 2 })
      expect(queue.retry(two.id)).toBe(true)
      expect(queue.retry(two.id)).toBe(false)
      expect(takeKeys(queue)).toEqual(['c2'])
    })
    test('is bounded, but for what one piece of work asks for; what has ended is forgotten in time', async () => {
      const queue = await open({ now: 1_000_000 })
      expect(queue.addAll(Array.from({ length: 9000 }, (_, index) => step(`e${index}`)))).toBe(9000)
      for (let index = 9000; index < 10_000; index += 1)
        expect(queue.add(step(`e${index}`)).accepted).toBe(true)
      expect(queue.add(step('one more'))).toEqual({ accepted: false, reason: 'full' })
      expect(queue.addAll([{ ...step('child'), parent: 1 }])).toBe(1)
      for (const job of queue.take('task', 5000, [])) queue.end(job, { state: 'done' })
      expect(queue.counts().done).toBeLessThanOrEqual(2400)
    })
  })
}

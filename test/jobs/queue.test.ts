/** The job store: what is queued survives, is done once by all processes together, and is taken over from the dead. */
import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { createJobQueue, type SqliteJobQueue } from '#src/jobs/sqlite/queue.js'
import { startScript } from '../support/child-process.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const open = (directory: string | undefined, clock = { now: 1_000_000 }): SqliteJobQueue => {
  const store = createJobQueue({ directory, now: () => clock.now, logger: quietLogger() })
  atEnd(async () => store.close())
  return store
}
const step = (key: string, priority = 1, host?: string) => ({
  key,
  kind: 'step',
  lane: 'task' as const,
  priority,
  payload: { key },
  host,
})
const keys = (store: SqliteJobQueue, limit = 100, spared: string[] = []) =>
  store.take('task', limit, spared).map(({ key }) => key)

function work(directory: string, how = '') {
  const started = startScript('test/fixtures/job-worker.ts', [directory, how], process.env)
  atEnd(() => started.stop('SIGKILL'))
  const lines = (): string[] => started.out().split('\n').slice(0, -1)
  return {
    ...started,
    ready: () => vi.waitFor(() => expect(lines()).toContain('ready'), { timeout: 30_000, interval: 5 }),
    done: () => lines().filter((line) => line !== 'ready'),
  }
}

describe.each(['on disk', 'in memory'])('the job store %s', (where) => {
  const folder = async () => (where === 'on disk' ? temporaryFolder() : undefined)
  test('of what is asked for while it runs, the last counts', async () => {
    const store = open(await folder())
    const wish = (url: string) => ({
      ...step('a'),
      payload: { url },
      replace: (before: unknown) => ((before as { url: string }).url === url ? undefined : { url }),
    })
    store.add(wish('A'))
    const [first] = store.take('task', 1, [])
    if (first === undefined) throw new Error('nothing was taken')
    store.add(wish('B'))
    store.retryAt(first, 0, {})
    store.add(wish('C'))
    const [second] = store.take('task', 1, [])
    expect(second?.payload).toEqual({ url: 'C' })
    store.add(wish('B'))
    store.add(wish('C'))
    expect(second && store.end(second, { state: 'done' })).toBe('done')
    expect(store.counts()).toMatchObject({ queued: 0, running: 0, done: 1 })
  })
  test('what was to stop does not wait once more; a long payload is for who does the work alone', async () => {
    const store = open(await folder())
    store.add(step('a'))
    const [job] = store.take('task', 1, [])
    if (job === undefined) throw new Error('nothing was taken')
    expect(store.cancel(job.id)).toBe(true)
    expect(store.retryAt(job, 0, {})).toBe(true)
    expect(store.get(job.id)).toMatchObject({ state: 'cancelled' })
    expect(store.retry(job.id)).toBe(true)
    expect(store.cancelRequested()).toEqual([])
    expect(keys(store)).toEqual(['a'])
    const payload = { text: 'x'.repeat(10_000) }
    store.add({ ...step('b'), payload })
    expect(store.list({ limit: 1 })[0]?.payload).toBeNull()
    expect(store.take('task', 1, [])[0]?.payload).toEqual(payload)
  })
  test('gives by priority, first in first out inside; the same key once; a raised one goes behind those of its new rank', async () => {
    const store = open(await folder())
    for (const [key, priority] of [
      ['low', 0],
      ['a', 1],
      ['b', 1],
      ['late', 0],
      ['high', 2],
    ] as const)
      expect(store.add(step(key, priority)).accepted).toBe(true)
    expect(store.add(step('a'))).toMatchObject({ accepted: false, reason: 'duplicate' })
    expect(store.add(step('late', 2))).toMatchObject({ accepted: false, reason: 'duplicate' })
    expect(keys(store)).toEqual(['high', 'late', 'a', 'b', 'low'])
    expect(keys(store)).toEqual([])
    // What runs is open still: it is not queued a second time.
    expect(store.add(step('a'))).toMatchObject({ accepted: false, reason: 'duplicate' })
  })
  test('spares hosts, and waits until it may begin', async () => {
    const clock = { now: 1_000_000 }
    const store = open(await folder(), clock)
    for (const key of ['a1', 'a2']) store.add(step(key, 1, 'a.example'))
    store.add(step('b1', 1, 'b.example'))
    expect(keys(store, 10, ['a.example'])).toEqual(['b1'])
    const [first] = store.take('task', 1, [])
    if (first === undefined) throw new Error('nothing was taken')
    expect(store.retryAt(first, clock.now + 4999.3, { reason: 'timeout' })).toBe(true)
    // Another run of the same has nothing to say of it.
    expect(store.end(first, { state: 'done' })).toBe(false)
    expect(keys(store)).toEqual(['a2'])
    expect(store.isDue()).toBe(true)
    clock.now += 5000
    expect(store.take('task', 10, [])).toMatchObject([{ key: 'a1', attempts: 2 }])
  })
  test('ends, counts its parent on, cancels and tries again', async () => {
    const store = open(await folder())
    const added = store.add({ ...step('parent'), lane: 'job' })
    const parent = added.accepted ? added.id : 0
    expect(store.addAll([1, 2, 3].map((index) => ({ ...step(`c${index}`), parent })))).toBe(3)
    const [one, two] = store.take('task', 2, [])
    if (one === undefined || two === undefined) throw new Error('nothing was taken')
    expect(store.end(one, { state: 'done', result: { a: 1 } })).toBe('done')
    expect(store.end(one, { state: 'failed' })).toBe(false)
    expect(store.end(two, { state: 'failed', reason: 'http_404', error: 'no' })).toBe('failed')
    expect(store.get(one.id)).toMatchObject({ state: 'done', result: { a: 1 } })
    expect(store.children(parent)).toMatchObject({ done: 1, failed: 1, queued: 1 })
    expect(store.cancel(parent)).toBe(true)
    expect(store.counts()).toEqual({ queued: 0, running: 0, done: 1, failed: 1, cancelled: 2 })
    expect(store.retry(two.id)).toBe(true)
    expect(store.retry(two.id)).toBe(false)
    expect(keys(store)).toEqual(['c2'])
  })
  test('is bounded, but for what one piece of work asks for; what has ended is forgotten in time', async () => {
    const store = open(await folder())
    expect(store.addAll(Array.from({ length: 9000 }, (_, index) => step(`e${index}`)))).toBe(9000)
    for (let index = 9000; index < 10_000; index += 1)
      expect(store.add(step(`e${index}`)).accepted).toBe(true)
    expect(store.add(step('one more'))).toEqual({ accepted: false, reason: 'full' })
    expect(store.addAll([{ ...step('child'), parent: 1 }])).toBe(1)
    for (const job of store.take('task', 5000, [])) store.end(job, { state: 'done' })
    expect(store.counts().done).toBeLessThanOrEqual(2400)
  })
})

describe('what goes wrong', () => {
  test('another URL takes the place of what waits, and is done after what runs', async () => {
    const store = open(await temporaryFolder())
    const ask = (url: string) =>
      store.add({
        ...step('x'),
        payload: { url },
        replace: (before) => ((before as { url: string }).url === url ? undefined : { url }),
      })
    ask('old')
    expect(ask('new')).toMatchObject({ accepted: false, reason: 'duplicate' })
    const [first] = store.take('task', 1, [])
    expect(first?.payload).toEqual({ url: 'new' })
    ask('new')
    ask('newest')
    if (first === undefined) throw new Error('nothing was taken')
    store.end(first, { state: 'done' })
    const [second] = store.take('task', 1, [])
    expect(second).toMatchObject({ key: 'x', payload: { url: 'newest' } })
  })
  test('ids are not used again after the database was lost, and an old run ends nothing', async () => {
    const directory = await temporaryFolder()
    const store = open(directory)
    store.add(step('old'))
    const [old] = store.take('task', 1, [])
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(directory, `jobs.db${suffix}`), { force: true })
    store.add(step('new'))
    const [fresh] = store.take('task', 1, [])
    if (old === undefined || fresh === undefined) throw new Error('nothing was taken')
    expect(store.end(old, { state: 'done' })).toBe(false)
    expect(store.get(fresh.id)).toMatchObject({ key: 'new', state: 'running' })
  })
  test('a process whose own lock was taken away keeps what it is at', async () => {
    const directory = await temporaryFolder()
    const store = open(directory)
    store.add(step('a'))
    const [one] = store.take('task', 1, [])
    rmSync(join(directory, 'workers'), { recursive: true })
    expect(store.recover()).toBe(0)
    expect(keys(store)).toEqual([])
    expect(one && store.end(one, { state: 'done' })).toBe('done')
  })
  test('what is cancelled stays so, though its process dies; what kills its process is given up', async () => {
    const directory = await temporaryFolder()
    const store = open(directory, { now: Date.now() })
    const added = store.add({ ...step('job'), lane: 'task' })
    const id = added.accepted ? added.id : 0
    const one = work(directory, 'hang')
    await expect.poll(() => store.get(id)?.state, { timeout: 10_000 }).toBe('running')
    expect(store.cancel(id)).toBe(true)
    one.child.kill('SIGKILL')
    await one.ended
    store.recover()
    expect(store.get(id)).toMatchObject({ state: 'cancelled' })
    const asker = store.add({ ...step('asker'), lane: 'job' })
    const parent = asker.accepted ? asker.id : 0
    store.take('job', 1, [])
    store.addAll([{ ...step('poison'), parent }])
    const poison = store.list({ parent, limit: 1 })[0]?.id ?? 0
    for (let time = 0; time < 3; time += 1) {
      const victim = work(directory, 'hang')
      await expect.poll(() => store.get(poison)?.state, { timeout: 10_000 }).toBe('running')
      victim.child.kill('SIGKILL')
      await victim.ended
      store.recover()
    }
    expect(store.get(poison)).toMatchObject({ state: 'failed', reason: 'processing' })
    // Who asked for it is told, and told anew when it is tried once more.
    expect(store.children(parent)).toMatchObject({ failed: 1, queued: 0, running: 0 })
    expect(store.retry(poison)).toBe(true)
    const [again] = store.take('task', 1, [])
    expect(again && store.end(again, { state: 'done' })).toBe('done')
    expect(store.children(parent)).toMatchObject({ failed: 0, done: 1 })
  })
  test('the children of what is cancelled go with it, those too that it asks for afterwards', async () => {
    const store = open(undefined)
    const added = store.add({ ...step('parent'), lane: 'job' })
    const parent = added.accepted ? added.id : 0
    const [job] = store.take('job', 1, [])
    store.addAll([{ ...step('a'), parent }])
    store.cancel(parent)
    expect(store.addAll([{ ...step('b'), parent }])).toBe(0)
    expect(job && store.end(job, { state: 'done' })).toBe('cancelled')
    expect(store.counts()).toMatchObject({ queued: 0, cancelled: 2 })
  })
  test('a clock that was ahead puts nothing off for longer than a day', async () => {
    const clock = { now: 1_000_000 + 365 * 864e5 }
    const store = open(undefined, clock)
    store.add(step('a'))
    const [one] = store.take('task', 1, [])
    if (one !== undefined) store.retryAt(one, clock.now + 2000, {})
    clock.now = 1_000_000
    expect(keys(store)).toEqual(['a'])
  })
  test('100,000 of one host cost no more than ten', async () => {
    const store = open(undefined)
    store.addAll(
      Array.from({ length: 100_000 }, (_, index) => ({ ...step(`e${index}`, 1, 'a.example'), parent: 1 })),
    )
    store.add(step('other', 0, 'b.example'))
    expect(keys(store, 10, ['a.example'])).toEqual(['other'])
    expect(keys(store, 2)).toEqual(['e0', 'e1'])
  })
})

describe('over processes', () => {
  test('what is queued, and what failed, is there after a restart', async () => {
    const directory = await temporaryFolder()
    const first = open(directory)
    for (const key of ['a', 'b', 'c']) first.add(step(key))
    first.take('task', 1, [])
    first.backOffs.set('x', { url: 'http://x/', until: 5, times: 2, reason: 'http_404' })
    first.close()
    const second = open(directory)
    expect(second.backOffs.get('x')).toEqual({ url: 'http://x/', until: 5, times: 2, reason: 'http_404' })
    expect(keys(second)).toEqual(['a', 'b', 'c'])
  })
  test('10,000 jobs, two processes and this one: each is done once', async () => {
    const directory = await temporaryFolder()
    const store = open(directory, { now: Date.now() })
    store.addAll(Array.from({ length: 10_000 }, (_, index) => step(`e${index}`)))
    const others = [work(directory), work(directory)]
    await Promise.all(others.map(({ ready }) => ready()))
    const mine: string[] = []
    while (store.isDue()) {
      for (const job of store.take('task', 5, [])) {
        mine.push(String(job.id))
        // What could not be written down, because others were writing, is written later.
        while (store.end(job, { state: 'done' }) === undefined)
          await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await Promise.all(others.map(({ ended }) => ended))
    const all = [...mine, ...others.flatMap(({ done }) => done())]
    expect(new Set(all).size).toBe(10_000)
    expect(all.length).toBe(10_000)
    for (const some of [mine, ...others.map(({ done }) => done())]) expect(some.length).toBeGreaterThan(0)
  }, 120_000)
  test('what a killed process was at is taken over', async () => {
    const directory = await temporaryFolder()
    const store = open(directory, { now: Date.now() })
    store.addAll(Array.from({ length: 20 }, (_, index) => step(`e${index}`)))
    const hanging = work(directory, 'hang')
    await expect.poll(() => store.counts().running, { timeout: 10_000 }).toBe(8)
    expect(store.recover()).toBe(0)
    await hanging.stop('SIGKILL')
    const next = work(directory)
    await next.ended
    expect(new Set(next.done()).size).toBe(20)
    expect(store.counts()).toMatchObject({ queued: 0, running: 0, done: 20 })
  })
  test.each(['deleted', 'emptied', 'garbage'])(
    'a database that is %s costs what waited, and nothing else',
    async (how) => {
      const directory = await temporaryFolder()
      const store = open(directory)
      store.add(step('a'))
      const file = join(directory, 'jobs.db')
      if (how === 'deleted') for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
      else {
        rmSync(`${file}-wal`, { force: true })
        if (how === 'emptied') truncateSync(file)
        else writeFileSync(file, 'x'.repeat(20_000))
      }
      for (let time = 0; time < 3; time += 1) store.add(step(`b${time}`))
      expect(store.add(step('c')).accepted).toBe(true)
      expect(keys(store)).toContain('c')
    },
  )
})

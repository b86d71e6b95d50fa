/** The job store: what is queued survives, is done once by all processes together, and is taken over from the dead. */
import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { jobQueueContract, mergeUrls, type Queue, step, takeKeys } from '../contracts/job-queue.js'
import { startScript } from '../support/child-process.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const open = (directory: string | undefined, clock = { now: 1_000_000 }): Queue => {
  const store = createJobQueue({ directory, merge: mergeUrls, now: () => clock.now, logger: quietLogger() })
  atEnd(async () => store.close())
  return store
}
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

jobQueueContract('on disk', async (clock) => open(await temporaryFolder(), clock))
jobQueueContract('in memory', async (clock) => open(undefined, clock))

describe('what goes wrong', () => {
  test('another URL takes the place of what waits, and is done after what runs', async () => {
    const store = open(await temporaryFolder())
    const ask = (url: string) => store.add({ ...step('x'), payload: { url } })
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
    expect(takeKeys(store)).toEqual([])
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
    const adder = store.add({ ...step('parent'), lane: 'job' })
    const parent = adder.accepted ? adder.id : 0
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
    // Its parent counts it as failed, and counts anew when it is tried once more.
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
    expect(takeKeys(store)).toEqual(['a'])
  })
  test('100,000 of one host cost no more than ten', async () => {
    const store = open(undefined)
    store.addAll(
      Array.from({ length: 100_000 }, (_, index) => ({ ...step(`e${index}`, 1, 'a.example'), parent: 1 })),
    )
    store.add(step('other', 0, 'b.example'))
    expect(takeKeys(store, 10, ['a.example'])).toEqual(['other'])
    expect(takeKeys(store, 2)).toEqual(['e0', 'e1'])
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
    expect(takeKeys(second)).toEqual(['a', 'b', 'c'])
  })
  test('3,000 jobs, two processes and this one: each is done once', async () => {
    const directory = await temporaryFolder()
    const store = open(directory, { now: Date.now() })
    store.addAll(Array.from({ length: 3000 }, (_, index) => step(`e${index}`)))
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
    expect(new Set(all).size).toBe(3000)
    expect(all.length).toBe(3000)
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
      expect(takeKeys(store)).toContain('c')
    },
  )
})

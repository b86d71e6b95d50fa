/** The queue of jobs over BullMQ and a real Redis. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bullmq } from 'express-artwork'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { jobBackendContract } from '../contracts/job-backend.js'
import { mergeUrls } from '../contracts/job-queue.js'
import { beside, createFleet, type OrderedProcess } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'
import { type Engine, startRedis } from './engines.js'
import type { NodeOrders } from './job-node.js'

let server: Engine & { readonly url: string }
beforeAll(async () => {
  server = await startRedis()
})
let sites = 0

jobBackendContract('over BullMQ', async () => {
  sites += 1
  const source = bullmq({ url: server.url, prefix: `site-${sites}:`, timeout: 10_000 })
  return {
    open: async () => {
      const shared = { merge: mergeUrls, now: Date.now, logger: quietLogger() }
      const local = createJobQueue({ directory: await temporaryFolder(), ...shared })
      const queue = await source.open({ local, ...shared })
      atEnd(async () => queue.close())
      return queue
    },
  }
})

const fleet = createFleet<NodeOrders>(1, beside('test/cluster/job-node.ts'))
afterAll(fleet.end)
/** As many as were promised, where `JOBS` says nothing else. */
const JOBS = Number(process.env.JOBS ?? 10_000)
const AT_ONCE = 8
/** For what is bound to come: never a matter of speed. */
const IN_THE_END = 150_000

/** Three nodes with directories of their own, and what they did. */
async function startNodes(redis: string, options: { readonly leaseTime?: number } = {}) {
  sites += 1
  const prefix = `site-${sites}:`
  const effects = join(await temporaryFolder(), 'effects')
  await writeFile(effects, '')
  const folders = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()]
  const open = async (index: number): Promise<OrderedProcess<NodeOrders>> => {
    const node = await fleet.take()
    atEnd(() => node.kill())
    await node.order('open', { directory: folders[index] ?? '', redis, prefix, effects, ...options })
    return node
  }
  return {
    open,
    nodes: await Promise.all(folders.map((_, index) => open(index))),
    /** How often each job had its effect. */
    effects: (): ReadonlyMap<number, number> => {
      const counts = new Map<number, number>()
      for (const line of readFileSync(effects, 'utf8').split('\n').slice(0, -1)) {
        const number = Number(line.split(' ')[0])
        counts.set(number, (counts.get(number) ?? 0) + 1)
      }
      return counts
    },
  }
}
/** Resolves when every node says that so many are done, and nothing is left. */
const allDone = (nodes: readonly OrderedProcess<NodeOrders>[], done: number) =>
  eventually(async () => {
    for (const node of nodes)
      expect(await node.order('counts')).toMatchObject({ queued: 0, running: 0, done, failed: 0 })
  }, IN_THE_END)

describe('three nodes', () => {
  test(`${JOBS} jobs, and a node is killed five times: each is done, and none twice but what a killed node was at`, async () => {
    const site = await startNodes(server.url)
    const nodes = [...site.nodes]
    for (const node of nodes) await node.order('work', AT_ONCE)
    const adding = nodes[0]?.order('add', 0, JOBS)
    let kills = 0
    for (const share of [0.05, 0.2, 0.4, 0.6, 0.8]) {
      await eventually(() => expect(site.effects().size).toBeGreaterThan(JOBS * share), IN_THE_END)
      // The first one adds: it is killed once it has.
      const index = 1 + (kills % 2)
      await nodes[index]?.kill()
      kills += 1
      nodes[index] = await site.open(index)
      await nodes[index]?.order('work', AT_ONCE)
    }
    await adding
    // BullMQ keeps the newest 2,000 that are done.
    await eventually(async () => {
      for (const node of nodes)
        expect(await node.order('counts')).toMatchObject({ queued: 0, running: 0, failed: 0 })
    }, IN_THE_END)
    const effects = site.effects()
    expect(effects.size).toBe(JOBS)
    const twice = [...effects].filter(([, times]) => times > 1)
    expect(twice.filter(([, times]) => times > 2)).toEqual([])
    expect(twice.length).toBeLessThanOrEqual(kills * AT_ONCE)
  })
  test('what is queued while Redis is gone is done by its node, and what was queued in Redis is done after it is back', async () => {
    const folder = await temporaryFolder()
    const own = await startRedis(undefined, folder)
    const site = await startNodes(own.url)
    const [first, second] = site.nodes as [OrderedProcess<NodeOrders>, OrderedProcess<NodeOrders>]
    await first.order('add', 0, 50)
    await own.stop('SIGKILL')
    await eventually(
      async () => expect(await first.order('trouble')).toMatch(/^the job queue at 127/),
      30_000,
    )
    expect(await first.order('enqueue', 100, 30)).toBe(30)
    await first.order('work', AT_ONCE)
    await eventually(() => expect(site.effects().size).toBe(30), IN_THE_END)
    expect([...site.effects().keys()].every((number) => number >= 100)).toBe(true)
    await startRedis(own.port, folder)
    await second.order('work', AT_ONCE)
    await eventually(() => expect(site.effects().size).toBe(80), IN_THE_END)
    expect([...site.effects().values()].every((times) => times === 1)).toBe(true)
    // What a killed process was at is done again: it has to be at nothing, and to have said so.
    const untilIdle = () =>
      eventually(async () => expect(await first.order('counts')).toMatchObject({ queued: 0, running: 0 }))
    await untilIdle()
    // Who was started while Redis was gone works on after it is back, also once there was nothing to do.
    await second.kill()
    for (const round of [1, 2]) {
      expect(await first.order('enqueue', 100 + 100 * round, 20)).toBe(20)
      await eventually(() => expect(site.effects().size).toBe(80 + 20 * round), IN_THE_END)
      await untilIdle()
    }
    expect([...site.effects().values()].every((times) => times === 1)).toBe(true)
  })
  test('Redis is killed three times while three nodes work: everything is done, and little of it twice', async () => {
    const folder = await temporaryFolder()
    let redis = await startRedis(undefined, folder)
    const site = await startNodes(redis.url, { leaseTime: 2000 })
    for (const node of site.nodes) await node.order('work', AT_ONCE)
    const adding = site.nodes[0]?.order('add', 0, 3000)
    for (const done of [200, 900, 1600]) {
      await eventually(() => expect(site.effects().size).toBeGreaterThan(done), IN_THE_END)
      await redis.stop('SIGKILL')
      redis = await startRedis(redis.port, folder)
    }
    await adding
    await eventually(() => expect(site.effects().size).toBe(3000), IN_THE_END)
    await eventually(async () => {
      for (const node of site.nodes)
        expect(await node.order('counts')).toMatchObject({ queued: 0, running: 0, failed: 0 })
    }, IN_THE_END)
    // What each node was at, and what it had just said, at each kill.
    const twice = [...site.effects().values()].filter((times) => times > 1)
    expect(twice.length).toBeLessThanOrEqual(3 * 3 * AT_ONCE)
  })
  test('a node that comes while Redis is gone joins the others once it is back', async () => {
    const folder = await temporaryFolder()
    const redis = await startRedis(undefined, folder)
    await redis.stop()
    const site = await startNodes(redis.url)
    const [first, second] = site.nodes as [OrderedProcess<NodeOrders>, OrderedProcess<NodeOrders>]
    expect(await first.order('enqueue', 0, 10)).toBe(10)
    await startRedis(redis.port, folder)
    await second.order('work', AT_ONCE)
    await eventually(() => expect(site.effects().size).toBe(10), IN_THE_END)
    for (const node of [first, second]) await node.order('close')
  })
  test('a job at which processes die has failed, and its parent counts it', async () => {
    const site = await startNodes(server.url, { leaseTime: 1000 })
    const [first, ...others] = site.nodes as [OrderedProcess<NodeOrders>, ...OrderedProcess<NodeOrders>[]]
    const parent = await first.order('addParent', [-1, 1])
    for (const [index, node] of [others[0], others[1], await site.open(1)].entries()) {
      await node?.order('work', 1)
      await eventually(() => expect(site.effects().get(-1)).toBe(index + 1), IN_THE_END)
      await node?.kill()
    }
    const last = await site.open(2)
    await last.order('work', 1)
    await eventually(
      async () =>
        expect(await first.order('children', parent)).toMatchObject({
          queued: 0,
          running: 0,
          failed: 1,
          done: 1,
        }),
      IN_THE_END,
    )
    expect(await first.order('failed')).toMatchObject([{ key: 'e-1', reason: 'processing' }])
  })
  test('a node that dies while it hands over loses nothing of what it took', async () => {
    const site = await startNodes(server.url)
    const [first, second] = site.nodes as [OrderedProcess<NodeOrders>, OrderedProcess<NodeOrders>]
    expect(await first.order('enqueue', 0, 2000)).toBe(2000)
    await first.kill()
    await second.order('work', AT_ONCE)
    const again = await site.open(0)
    await again.order('work', AT_ONCE)
    await eventually(() => expect(site.effects().size).toBe(2000), IN_THE_END)
    await allDone([second, again], 2000)
    expect([...site.effects().values()].every((times) => times === 1)).toBe(true)
  })
})

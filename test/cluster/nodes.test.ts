/** Several nodes with directories of their own, over a real S3 server and a real Redis: one fetch, one encode, one purge. */
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { type ArtworkOptions, type ArtworkWithUploads, redis, s3, tmdb, uploads } from 'express-artwork'
import { Redis } from 'ioredis'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image, type Origin } from '../support/origin.js'
import { anOrigin, listen, startApp, type TestApp } from '../support/toolkit.js'
import { type Bucket, type Engine, startCeph, startRedis } from './engines.js'

let bucket: Bucket
let server: Engine & { readonly url: string }
beforeAll(async () => {
  bucket = await startCeph()
  server = await startRedis()
})

let sites = 0
let prefix = ''
beforeEach(() => {
  sites += 1
  prefix = `site-${sites}`
})

const node = (origin: Origin, options: ArtworkOptions = {}): Promise<TestApp> =>
  startApp(
    {
      widths: [160],
      shared: s3({ ...bucket.options, prefix, timeout: 20_000 }),
      coordination: redis({ url: server.url, prefix: `${prefix}:`, timeout: 5000 }),
      ...options,
    },
    { origin },
  )
/** What `/ready` says. */
const readiness = async ({ artwork }: TestApp): Promise<string> => {
  const { url } = await listen(express().use(artwork.healthRouter))
  return (await fetch(`${url}/ready`)).text()
}
const VARIANT = '/images/poster/w160-webp/x.jpg'

const answersOf = async (app: TestApp, path: string, count: number): Promise<Map<string, number>> => {
  const found = new Map<string, number>()
  await Promise.all(
    Array.from({ length: count }, async () => {
      const answer = await app.get(path)
      const bytes = Buffer.from(await answer.arrayBuffer())
      const key = `${answer.status} ${answer.headers.get('etag')} ${bytes.length}`
      found.set(key, (found.get(key) ?? 0) + 1)
    }),
  )
  return found
}
const upstream = async (): Promise<{ origin: Origin; serve: (grey: number) => Promise<void> }> => {
  const origin = await anOrigin()
  const serve = async (grey: number) => {
    const bytes = await jpeg(300 + grey, 200)
    for (const size of ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'])
      origin.serve(`/t/p/${size}/x.jpg`, image(bytes))
  }
  await serve(0)
  return { origin, serve }
}

describe('three nodes', () => {
  test('900 ask for one cold picture: it is fetched once and made once, and a fourth node has it', async () => {
    const { origin } = await upstream()
    const nodes = await Promise.all([node(origin), node(origin), node(origin)])
    const found = await Promise.all(nodes.map((one) => answersOf(one, VARIANT, 300)))
    expect(new Set(found.flatMap((one) => [...one.keys()])).size).toBe(1)
    expect(origin.hits()).toBe(1)
    const made = nodes.map(({ artwork }) => artwork.images.stats().requests.encodes)
    expect(
      made.reduce((sum, count) => sum + count, 0),
      `made: ${made}`,
    ).toBe(1)
    const fourth = await node(origin)
    const [answer = ''] = [...(await answersOf(fourth, VARIANT, 1)).keys()]
    expect(answer).toMatch(/^200 /)
    expect(found[0]?.has(answer)).toBe(true)
    expect(origin.hits()).toBe(1)
    expect(fourth.artwork.images.stats().requests.encodes).toBe(0)
  })
  test('a purge on one is one on all, within a second', async () => {
    const { origin, serve } = await upstream()
    const nodes = await Promise.all([node(origin), node(origin), node(origin)])
    const [one] = nodes
    const before = await Promise.all(nodes.map((each) => answersOf(each, VARIANT, 2)))
    const [old = ''] = [...(before[0]?.keys() ?? [])]
    expect(origin.hits()).toBe(1)
    await serve(7)
    await one?.artwork.images.purge({ address: 'poster/w160-webp/x.jpg' })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    for (const each of nodes) expect([...(await answersOf(each, VARIANT, 3)).keys()]).not.toContain(old)
    expect(origin.hits()).toBe(2)
  })
  test('a host that failed ten times at one is left alone by all, and asked again by all once it has recovered', async () => {
    const origin = await anOrigin()
    origin.fail(500)
    const clock = { now: Date.now() }
    const options = { fetch: { retries: 0 }, now: () => clock.now }
    const nodes = await Promise.all([node(origin, options), node(origin, options)])
    const [one, two] = nodes as [TestApp, TestApp]
    const ask = async (app: TestApp, name: string) =>
      (await answersOf(app, `/images/poster/original/${name}.jpg`, 1)).keys()
    const resting = ({ artwork }: TestApp) => artwork.images.stats().restingHosts
    for (let number = 0; number < 10; number += 1) await ask(one, `gone-${number}`)
    expect(resting(one)).toEqual([origin.host])
    await eventually(() => expect(resting(two)).toEqual([origin.host]))
    const hits = origin.hits()
    expect([...(await ask(two, 'another'))]).toEqual([expect.stringMatching(/^503 /)])
    expect(origin.hits()).toBe(hits)
    origin.fail(undefined)
    for (const size of ['w92', 'original']) origin.serve(`/t/p/${size}/well.jpg`, image(await jpeg(30, 20)))
    clock.now += 61_000
    expect([...(await ask(one, 'well'))]).toEqual([expect.stringMatching(/^200 /)])
    await eventually(() => expect([resting(one), resting(two)]).toEqual([[], []]))
  })
  test('two nodes together open no more connections to a host than one may', async () => {
    const origin = await anOrigin()
    let now = 0
    let most = 0
    const bytes = await jpeg(30, 20)
    const nodes = await Promise.all([1, 2].map(() => node(origin, { fetch: { perHost: 4 } })))
    let names = 0
    // They know of each other a few seconds after the second one has come.
    await eventually(async () => {
      most = 0
      const paths = Array.from({ length: 12 }, () => {
        names += 1
        origin.serve(`/t/p/original/n${names}.jpg`, async (_req, res) => {
          now += 1
          most = Math.max(most, now)
          await sleep(50)
          now -= 1
          res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes)
        })
        return `/images/poster/original/n${names}.jpg`
      })
      await Promise.all(paths.map((path, index) => answersOf(nodes[index % 2] as TestApp, path, 1)))
      expect(most).toBeLessThanOrEqual(4)
    }, 40_000)
    expect(most).toBeGreaterThan(1)
  })
  test('Redis stands still, and goes on: a node says that it is with the others again, though nobody asks it for a picture', async () => {
    const { origin } = await upstream()
    const coordination = redis({ url: server.url, prefix: `${prefix}:`, timeout: 300 })
    const one = await node(origin, { coordination })
    server.freeze()
    try {
      for (const name of ['x', 'y', 'z']) await one.get(`/images/poster/w160-webp/${name}.jpg`)
      await eventually(async () => expect(await readiness(one)).toContain('nodes work alone'))
    } finally {
      server.thaw()
    }
    await eventually(async () => expect(await readiness(one)).not.toContain('alone'), 60_000)
  })
  test('Redis stops: each node goes on alone, and hears afterwards what was purged meanwhile', async () => {
    const { origin, serve } = await upstream()
    const nodes = await Promise.all([node(origin), node(origin)])
    const [one, two] = nodes as [TestApp, TestApp]
    for (const each of nodes) await answersOf(each, VARIANT, 1)
    const [old = ''] = [...(await answersOf(two, VARIANT, 1)).keys()]
    await server.stop('SIGKILL')
    await serve(7)
    await one.artwork.images.purge({ address: 'poster/w160-webp/x.jpg' })
    const [fresh = ''] = [...(await answersOf(one, VARIANT, 1)).keys()]
    expect(fresh).toMatch(/^200 /)
    expect(fresh).not.toBe(old)
    expect([...(await answersOf(two, VARIANT, 1)).keys()]).toEqual([old])
    await eventually(async () => {
      expect(await readiness(two)).toContain('nodes work alone')
    })
    server = await startRedis(server.port)
    await eventually(async () => expect([...(await answersOf(two, VARIANT, 1)).keys()]).toEqual([fresh]))
  })
})

describe('a lease', () => {
  const listener = {
    heard: async () => {},
    position: () => undefined,
    savePosition: () => {},
    unsent: () => '',
    saveUnsent: () => {},
  }
  test('of a node that stood still for longer than it lasts is another one’s: its fence is not the latest any more', async () => {
    const source = redis({ url: server.url, prefix: `${prefix}:`, leaseTime: 1000 })
    const [one, two] = [await source.open(listener), await source.open(listener)]
    const slow = await one.lease('picture')
    expect(await slow.isHeld()).toBe(true)
    // As if it had expired while the first one could not renew it.
    const client = new Redis(server.url)
    const [key = ''] = (await client.keys(`${prefix}:lease:*`)).filter((name) => !name.includes(':fence'))
    await client.del(key)
    const quick = await two.lease('picture')
    expect(quick.fence).toBeGreaterThan(slow.fence ?? Number.POSITIVE_INFINITY)
    await eventually(async () => expect(await slow.isHeld()).toBe(false))
    expect(await quick.isHeld()).toBe(true)
    // What the first one gives back is not the other's.
    slow.release()
    expect(await client.get(key)).not.toBeNull()
    quick.release()
    for (const each of [one, two]) await each.close()
    client.disconnect()
  })
})

describe('a store that is gone', () => {
  let stopped: Bucket | undefined
  afterEach(async () => {
    if (stopped === undefined) return
    stopped = undefined
    bucket = await startCeph()
  })
  test('costs nothing but what it would have spared: every answer is right, and says so on /ready', async () => {
    const { origin } = await upstream()
    const [one, two] = await Promise.all([node(origin), node(origin)])
    await answersOf(one, VARIANT, 1)
    stopped = bucket
    await bucket.engine.stop()
    expect([...(await answersOf(one, VARIANT, 3)).keys()]).toEqual([expect.stringMatching(/^200 /)])
    expect([...(await answersOf(two, VARIANT, 3)).keys()]).toEqual([expect.stringMatching(/^200 /)])
    await eventually(async () => {
      await answersOf(two, `/images/poster/w160-jpeg/x.jpg`, 1)
      expect(await readiness(two)).toContain('works without it')
    })
  })
})

describe('uploads', () => {
  const withUploads = async (origin: Origin): Promise<TestApp & { readonly artwork: ArtworkWithUploads }> => {
    const app = await node(origin, {
      sources: [
        tmdb({ baseUrl: `${origin.url}/t/p` }),
        uploads({ authorize: () => true, namespaces: { photos: {} } }),
      ],
    })
    return app as TestApp & { readonly artwork: ArtworkWithUploads }
  }
  test('what one node has acknowledged all have, and what one removes none has a second later', async () => {
    const { origin } = await upstream()
    const [one, two] = [await withUploads(origin), await withUploads(origin)]
    const stored = await one.artwork.uploads.save('photos', await jpeg(300, 200))
    const small = `/images/photos/w160-webp/${stored.imageId}`
    for (const each of [one, two])
      for (const path of [stored.url, small]) expect((await each.get(path)).status).toBe(200)
    await two.artwork.uploads.remove('photos', stored.imageId)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    for (const each of [one, two])
      for (const path of [stored.url, small]) expect((await each.get(path)).status, path).toBe(404)
  })
})

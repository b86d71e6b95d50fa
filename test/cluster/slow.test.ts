/** Nodes whose engines are slow, fail now and then, or are cut off: an answer is later, never another one. */
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { type ArtworkOptions, redis, s3 } from 'express-artwork'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image, type Origin } from '../support/origin.js'
import { anOrigin, startApp, type TestApp } from '../support/toolkit.js'
import { cuttable, troubled } from '../support/troubled.js'
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
  prefix = `slow-${sites}`
})

/** A node whose engines lie at these ports. */
const node = (
  origin: Origin,
  {
    store,
    coordinator = server.port,
    timeout = 20_000,
  }: { store: number; coordinator?: number; timeout?: number },
  options: ArtworkOptions = {},
): Promise<TestApp> =>
  startApp(
    {
      widths: [160],
      shared: s3({ ...bucket.options, endpoint: `http://127.0.0.1:${store}`, prefix, timeout }),
      coordination: redis({ url: `redis://127.0.0.1:${coordinator}`, prefix: `${prefix}:`, timeout: 5000 }),
      ...options,
    },
    { origin },
  )
/** How many names the bucket has of this site: originals, and what was made of them. */
async function stored(): Promise<number> {
  const { credentials, endpoint, region } = bucket.options
  const client = new S3Client({
    forcePathStyle: true,
    ...(credentials && { credentials }),
    endpoint,
    region,
  } as S3ClientConfig)
  try {
    const list = new ListObjectsV2Command({ Bucket: bucket.options.bucket, Prefix: `${prefix}/cache/names/` })
    return (await client.send(list)).Contents?.length ?? 0
  } finally {
    client.destroy()
  }
}
const variantOf = (name: string): string => `/images/poster/w160-webp/${name}.jpg`
const withPictures = async (count: number) => {
  const origin = await anOrigin()
  const serve = async (name: string, seed: number) => {
    const bytes = await jpeg(300 + seed, 200, seed)
    for (const size of ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'])
      origin.serve(`/t/p/${size}/${name}.jpg`, image(bytes))
  }
  const names = Array.from({ length: count }, (_, index) => `p${index}`)
  for (const [index, name] of names.entries()) await serve(name, index)
  return { origin, names, serve }
}
const answer = async (app: TestApp, name: string): Promise<string> => {
  const response = await app.get(variantOf(name))
  return `${response.status} ${response.headers.get('etag')} ${(await response.arrayBuffer()).byteLength}`
}
const all = (app: TestApp, names: readonly string[]): Promise<string[]> =>
  Promise.all(names.map((name) => answer(app, name)))

describe('a shared store that is slow', () => {
  test('2 s an answer, and every twentieth a failure: every answer is right, what is near does not ask it', async () => {
    const { origin, names } = await withPictures(12)
    const front = await troubled(bucket.engine.port)
    const slow = await node(origin, { store: front.port })
    front.trouble.delay = 2000
    front.trouble.failEvery = 20
    const first = await all(slow, names)
    for (const one of first) expect(one).toMatch(/^200 /)
    expect(origin.hits()).toBe(names.length)
    // What is written behind the answers goes there in the end.
    await eventually(async () => expect(await stored()).toBe(2 * names.length), 120_000)
    const quick = await node(origin, { store: bucket.engine.port })
    expect(await all(quick, names)).toEqual(first)
    expect(origin.hits()).toBe(names.length)
    const asked = front.requests()
    expect(await all(slow, names)).toEqual(first)
    expect(front.requests()).toBe(asked)
  }, 240_000)
  test('slower than its time-out, it is left alone: pictures come from their source, and are written when it answers again', async () => {
    const { origin, names } = await withPictures(6)
    const front = await troubled(bucket.engine.port)
    const one = await node(origin, { store: front.port, timeout: 200 })
    front.trouble.delay = 3000
    const first = await all(one, names)
    for (const found of first) expect(found).toMatch(/^200 /)
    expect(origin.hits()).toBe(names.length)
    front.trouble.delay = 0
    await eventually(async () => expect(await stored()).toBe(2 * names.length), 120_000)
    const two = await node(origin, { store: bucket.engine.port })
    expect(await all(two, names)).toEqual(first)
    expect(origin.hits()).toBe(names.length)
  }, 240_000)
})

describe('a partition', () => {
  test('costs a picture that is fetched twice at worst; afterwards both have heard everything', async () => {
    const { origin, serve } = await withPictures(2)
    const [store, coordinator] = [await cuttable(bucket.engine.port), await cuttable(server.port)]
    const [one, two] = [
      await node(origin, { store: bucket.engine.port }),
      await node(origin, { store: store.port, coordinator: coordinator.port, timeout: 2000 }),
    ]
    const old = await answer(one, 'p0')
    expect(await answer(two, 'p0')).toBe(old)
    expect(origin.hits()).toBe(1)
    store.cut()
    coordinator.cut()
    const apart = await Promise.all([answer(one, 'p1'), answer(two, 'p1')])
    expect(new Set(apart).size).toBe(1)
    expect(apart[0]).toMatch(/^200 /)
    expect(origin.hits()).toBeLessThanOrEqual(3)
    await serve('p0', 9)
    await one.artwork.images.purge({ address: 'poster/w160-webp/p0.jpg' })
    const fresh = await answer(one, 'p0')
    expect(fresh).not.toBe(old)
    // It has not heard of it, and goes on.
    expect(await answer(two, 'p0')).toBe(old)
    store.mend()
    coordinator.mend()
    await eventually(async () => expect(await answer(two, 'p0')).toBe(fresh), 60_000)
    expect(await answer(two, 'p1')).toBe(apart[0])
    const third = await node(origin, { store: bucket.engine.port })
    const asked = origin.hits()
    expect(await all(third, ['p0', 'p1'])).toEqual([fresh, apart[0]])
    expect(origin.hits()).toBe(asked)
  }, 180_000)
})

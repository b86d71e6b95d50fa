/** The table of answers that are given again: it is bounded in bytes, and what memory has no room for is read once for many. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { DEFAULT_POLICY } from '#src/http/caching.js'
import type { Entry } from '#src/model/entry.js'
import { settleOptions } from '#src/options/settings.js'
import type { ImageResponse } from '#src/web/images/image-response.js'
import { createResponseCache } from '#src/web/images/response-cache.js'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { startApp } from '../../support/toolkit.js'

const shown = (name: string): ImageResponse => ({
  representation: {
    bytes: Buffer.alloc(9),
    type: 'image/png',
    storedAt: 0,
    digest: name,
    etag: '"x"',
    fileName: 'x.png',
  },
  rules: { cache: DEFAULT_POLICY, isPrivate: false, cors: '*', extra: {} },
  entries: [],
  isRepeatable: true,
})
const table = (maxBytes: number) =>
  createResponseCache(settleOptions({ memory: { maxBytes } }), {
    bytesOf: () => Buffer.alloc(9),
    read: async () => undefined,
    isCurrent: () => true,
    use: () => {},
    count: () => {},
  })

test('long keys push the oldest out (mended 16)', () => {
  const hot = table(1)
  for (let index = 0; index < 3000; index += 1)
    hot.offer(`/images/${index}?${'v'.repeat(15_000)}`, shown(`${index}`))
  // Eight MiB at least, keys counted as text.
  expect(hot.size()).toBeGreaterThan(100)
  expect(hot.size()).toBeLessThan(150)
  const short = table(64 * 1024 * 1024)
  for (let index = 0; index < 9000; index += 1) short.offer(`/images/${index}`, shown(`${index}`))
  expect(short.size()).toBeGreaterThan(2000)
  expect(short.size()).toBeLessThanOrEqual(8192)
})

test('repeated parameters and versions that are wrong fill nothing (mended 16)', async () => {
  const app = await startApp({ transform: { isolate: false } })
  app.origin.serve('/t/p/w342/a.jpg', image(await jpeg(30, 20)))
  const path = '/images/poster/w342/a.jpg'
  const { digest } = await app.artwork.images.getImage(path.slice('/images/'.length))
  const right = `v=${digest.slice(0, 16)}`
  for (let times = 0; times < 3; times += 1) {
    expect((await app.get(`${path}?${right}`)).headers.get('cache-control')).toContain('immutable')
    expect((await app.get(`${path}?v=0000000000000000`)).headers.get('cache-control')).toContain('max-age=60')
    expect((await app.get(`${path}?${right}&${right}`)).status).toBe(400)
  }
})

test('what has left memory is read from the store, once for all who ask meanwhile; what cannot be read is for the router', async () => {
  let reads = 0
  let isThere = true
  const found = { ...shown('a'), entries: [{ key: 'a', digest: 'a', isStored: true } as Entry] }
  const hot = createResponseCache(settleOptions({}), {
    bytesOf: () => undefined,
    read: async () => {
      reads += 1
      await new Promise(setImmediate)
      return isThere ? { bytes: Buffer.from('123456789'), from: 'disk' } : undefined
    },
    isCurrent: () => true,
    use: () => {},
    count: () => {},
  })
  let waiting = 0
  const server = createServer((req, res) => {
    const goOn = (): void => void res.writeHead(404).end()
    // All of them have come before the first is answered.
    const answer = (): void => {
      if (!hot.answer(req.url ?? '', req, res, goOn)) goOn()
    }
    held.push(answer)
    waiting += 1
    if (waiting === CROWD) for (const each of held.splice(0)) each()
  }).listen(0)
  const CROWD = 20
  const held: (() => void)[] = []
  const { port } = server.address() as AddressInfo
  const ask = async () => {
    waiting = 0
    const crowd = Array.from({ length: CROWD }, () => fetch(`http://127.0.0.1:${port}/a`))
    const answers = await Promise.all(crowd)
    return new Set(await Promise.all(answers.map(async (each) => `${each.status} ${await each.text()}`)))
  }
  try {
    expect(await ask()).toEqual(new Set(['404 ']))
    hot.offer('/a', found)
    expect(await ask()).toEqual(new Set(['200 123456789']))
    expect(reads).toBe(1)
    isThere = false
    expect(await ask()).toEqual(new Set(['404 ']))
    expect(hot.size()).toBe(0)
  } finally {
    server.close()
  }
})

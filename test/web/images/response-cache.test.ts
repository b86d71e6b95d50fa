/** The table of answers that memory gives again is bounded in bytes, and holds one answer for one picture. */
import { expect, test } from 'vitest'
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
  rules: { cache: { kind: 'entity' } as never, isPrivate: false, cors: '*', extra: {} },
  entries: [],
  isHot: true,
})
const table = (maxBytes: number) =>
  createResponseCache(settleOptions({ memory: { maxBytes } }), {
    keepsBytes: () => true,
    isCurrent: () => true,
    use: () => {},
    count: () => {},
  })

test('long keys push the oldest out (mended 16)', () => {
  const hot = table(1024 * 1024)
  for (let index = 0; index < 3000; index += 1)
    hot.offer(`/images/${index}?${'v'.repeat(15_000)}`, shown(`${index}`))
  // A quarter of a MiB, keys counted as text.
  expect(hot.size()).toBeLessThan(10)
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

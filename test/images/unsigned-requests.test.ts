/** What anybody may ask of pictures that anybody may name (mended 19). */
import { remote, signAddress, tmdb } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { handmadeGif } from '../support/handmade.js'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { quietLogger, remoteAddress, startApp } from '../support/toolkit.js'

const KEY = 'a-signing-key-of-some-length'
const FORMATS = ['jpeg', 'png', 'gif', 'webp', 'avif'] as const

async function open(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp({
    widths: [160],
    presets: { thumb: { width: 50, height: 50, fit: 'cover' } },
    signing: { keys: [KEY] },
    ...options,
    transform: { isolate: false, formats: [...FORMATS], ...options.transform },
  })
  app.origin.serve('/p.jpg', image(await jpeg(200, 150)))
  for (const size of ['w92', 'w185', 'w342'])
    app.origin.serve(`/t/p/${size}/p.jpg`, image(await jpeg(200, 150)))
  const path = (variant: string): string => `/images/${remoteAddress(`${app.origin.url}/p.jpg`, variant)}`
  const status = async (url: string): Promise<number> => (await app.get(url)).status
  return { ...app, path, status }
}

describe('without a signature (mended 19)', () => {
  const FREE = [
    'original',
    'original-auto',
    ...['w160', 'thumb'].flatMap((one) => [one, `${one}-auto`, `${one}-webp`, `${one}-jpeg`, `${one}-avif`]),
  ]
  const SIGNED = [
    ...FORMATS.map((format) => `original-${format}`),
    ...['w160', 'thumb'].flatMap((one) => [`${one}-png`, `${one}-gif`]),
    'w160-webp-q50',
    'w161',
  ]
  test('what pages print is answered, everything else takes a signature', async () => {
    const { path, status } = await open()
    for (const variant of FREE) expect([variant, await status(path(variant))]).toEqual([variant, 200])
    for (const variant of SIGNED) {
      expect([variant, await status(path(variant))]).toEqual([variant, 400])
      expect([variant, await status(signAddress(path(variant), KEY))]).toEqual([variant, 200])
    }
  })
  test('other sources stay as they are, and so does strict: false, which is warned of', async () => {
    const { status } = await open()
    for (const variant of ['w342-png', 'w160-gif', 'thumb-png'])
      expect([variant, await status(`/images/poster/${variant}/p.jpg`)]).toEqual([variant, 200])
    const logger = quietLogger()
    const lax = await open({ strict: false, logger })
    for (const variant of SIGNED)
      expect([variant, await lax.status(lax.path(variant))]).toEqual([variant, 200])
    expect(logger.lines.filter((line) => /strict is off/.test(line))).toHaveLength(1)
    const quiet = quietLogger()
    await startApp({ strict: false, logger: quiet, sources: [tmdb()] })
    await startApp({ logger: quiet, sources: [remote({ hosts: ['example.com'] })] })
    expect(quiet.lines.join()).not.toMatch(/strict is off/)
  })
})

describe('the same bytes under other URLs (mended 19)', () => {
  test('are looked at once and made once; each has its own address', async () => {
    const { origin, status, artwork, get } = await open()
    const bytes = await jpeg(220, 160)
    const path = (index: number) => `/images/${remoteAddress(`${origin.url}/q.php?id=${index}`, 'w160-webp')}`
    for (let index = 0; index < 12; index += 1) origin.serve(`/q.php?id=${index}`, image(bytes))
    // At once, and after each other.
    const statuses = await Promise.all(Array.from({ length: 6 }, (_, index) => status(path(index))))
    for (let index = 6; index < 12; index += 1) statuses.push(await status(path(index)))
    expect(statuses).toEqual(Array(12).fill(200))
    expect(artwork.images.stats().requests.encodes).toBe(1)
    // Another picture behind the same script is another picture.
    origin.serve('/q.php?id=12', image(await jpeg(100, 100)))
    expect(await status(path(12))).toBe(200)
    expect(artwork.images.stats().requests.encodes).toBe(2)
    // What was purged under one name is there under the others.
    await artwork.images.purge({ url: `${origin.url}/q.php?id=0` })
    expect((await get(path(1))).status).toBe(200)
  })
  test('fail once', async () => {
    const { origin, artwork } = await open({ transform: { maxFrames: 1 } })
    const frame = { width: 20, height: 10, draw: () => 0 }
    const bytes = handmadeGif({ width: 20, height: 10 }, [[255, 0, 0]], [frame, frame, frame])
    for (let index = 0; index < 5; index += 1) {
      origin.serve(`/g.php?id=${index}`, image(bytes, 'image/gif'))
      await expect(
        artwork.images.getImage(remoteAddress(`${origin.url}/g.php?id=${index}`, 'w160-webp')),
      ).rejects.toMatchObject({ status: 413 })
    }
    expect(artwork.images.stats().requests.encodes).toBe(1)
  })
})

describe('waiting (mended 19)', () => {
  test('has an end: 503, and when to come again', async () => {
    const { origin, status, get, path } = await open({
      transform: { isolate: true, concurrency: 1, waitTimeout: 1 },
    })
    expect(await status(path('w160'))).toBe(200)
    const many = Array.from({ length: 12 }, (_, index) => index)
    for (const index of many) origin.serve(`/s${index}.png`, image(await png(600 + index, 500), 'image/png'))
    const answers = await Promise.all(
      many.map((index) => get(`/images/${remoteAddress(`${origin.url}/s${index}.png`, 'w160-webp')}`)),
    )
    const late = answers.filter((answer) => answer.status === 503)
    expect(late.length).toBeGreaterThan(0)
    for (const answer of late) expect(answer.headers.get('retry-after')).toBe('2')
    expect(answers.every((answer) => [200, 503].includes(answer.status))).toBe(true)
  })
  test('clientOf names the client; what it throws is logged, and the picture is answered', async () => {
    const asked: string[] = []
    const logger = quietLogger()
    const { status, path } = await open({
      logger,
      clientOf: (req) => {
        asked.push(req.url ?? '')
        throw new Error('nobody')
      },
    })
    expect(await status(path('w160'))).toBe(200)
    expect(asked).toHaveLength(1)
    expect(logger.lines.join()).toMatch(/clientOf failed/)
  })
})

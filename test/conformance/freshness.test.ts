/**
 * Strict freshness by the letter (RFC 9111, 9211, 9213, 5861), through router and listener: what an upstream says of time, and
 * what others hear of it.
 */

import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { type Answer, image } from '../support/origin.js'
import { anOrigin, remoteAddress, stage, startApp, temporaryFolder, type Via } from '../support/toolkit.js'

const VIAS: readonly Via[] = ['Express', 'listener']
const YEAR = 365 * 86_400_000
const inAYear = (): Date => new Date(Date.now() + YEAR)

async function strict(via: Via, headers: Record<string, string>, options = {}) {
  const set = await stage(via, { freshness: { upstream: 'strict' }, ...options })
  const bytes = await jpeg(60, 40)
  const path = `/images/${remoteAddress(`${set.origin.url}/p.jpg`)}`
  const serve = (answer: Answer): void => set.origin.serve('/p.jpg', answer)
  serve(image(bytes, 'image/jpeg', headers))
  return { ...set, path, bytes, serve, get: (fields = {}) => set.ask(path, { headers: fields }) }
}
/** Whether what comes with these fields is used again without a question. */
async function isReused(via: Via, headers: Record<string, string>): Promise<boolean> {
  const { get, origin } = await strict(via, headers)
  for (let time = 0; time < 3; time += 1) expect((await get()).status).toBe(200)
  return origin.hits('/p.jpg') === 1
}

describe.each(VIAS)('through the %s', (via) => {
  describe('a * in Vary, wherever it stands, is kept by nobody (RFC 9111 §4.1) (mended 22)', () => {
    test.each(['*', '*, Accept-Encoding', 'Accept-Encoding, *', 'Accept ,*,  Cookie', ',*'])(
      '%j',
      async (vary) => expect(await isReused(via, { Vary: vary, 'Cache-Control': 'max-age=600' })).toBe(false),
    )
    test('a * within a name is no member', async () =>
      expect(await isReused(via, { Vary: 'X-*', 'Cache-Control': 'max-age=600' })).toBe(true))
  })

  describe('Expires is one of three dates, and past where it is none (RFC 9110 §5.6.7, RFC 9111 §5.3) (mended 23)', () => {
    const imf = (): string => inAYear().toUTCString()
    const asctime = (): string => {
      const [, day = '', month = '', year = '', time = ''] =
        /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(imf()) ?? []
      return `${imf().slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`
    }
    const rfc850 = (): string => {
      const names = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
      const [, day, month, , year, time] = /^\w+, (\d+) (\w+) (\d\d)(\d\d) ([\d:]+)/.exec(imf()) ?? []
      return `${names[inAYear().getUTCDay()]}, ${day}-${month}-${year} ${time} GMT`
    }
    test.each<[string, () => string]>([
      ['IMF-fixdate', imf],
      ['asctime', asctime],
      ['RFC 850', rfc850],
    ])('%s', async (_name, text) => expect(await isReused(via, { Expires: text() })).toBe(true))
    test.each<[string, () => string]>([
      ['0', () => '0'],
      ['-1', () => '-1'],
      ['a year', () => String(inAYear().getUTCFullYear())],
      ['ISO 8601', () => inAYear().toISOString()],
      ['another zone', () => imf().replace('GMT', 'EST')],
      ['an offset', () => imf().replace('GMT', '+0100')],
      ['no zone', () => imf().replace(' GMT', '')],
      ['seconds', () => '86400'],
      ['two dates', () => `${imf()}, ${imf()}`],
      ['words', () => 'tomorrow'],
      ['nothing', () => ''],
    ])('%s is past', async (_name, text) => expect(await isReused(via, { Expires: text() })).toBe(false))
    test('asctime is in GMT, whatever the zone of the server is', async () => {
      const before = process.env.TZ
      process.env.TZ = 'Pacific/Kiritimati'
      try {
        const soon = new Date(Date.now() + 3_600_000).toUTCString()
        const [, day = '', month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(soon) ?? []
        const text = `${soon.slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`
        expect(await isReused(via, { Expires: text })).toBe(true)
      } finally {
        if (before === undefined) delete process.env.TZ
        else process.env.TZ = before
      }
    })
    test('a Date that is none does not shift it', async () => {
      const headers = { Date: inAYear().toISOString(), Expires: inAYear().toUTCString() }
      expect(await isReused(via, headers)).toBe(true)
    })
  })

  describe('Age is its first member, however large (RFC 9111 §5.1, §1.2.2) (mended 24)', () => {
    test.each(['7200', '7200, 0', '3601', '99999999999', '2147483648', '123456789012345678901234567890'])(
      '%j is over',
      async (age) => expect(await isReused(via, { Age: age, 'Cache-Control': 'max-age=3600' })).toBe(false),
    )
    test.each(['0', '0, 7200', '-7200', '7200.5', '1e9', 'a7200', ''])('%j is not', async (age) =>
      expect(await isReused(via, { Age: age, 'Cache-Control': 'max-age=3600' })).toBe(true),
    )
  })

  describe('what is said to shared caches is passed on to those (RFC 9111 §5.2.2.10) (mended 25)', () => {
    const cacheControlOf = async (headers: Record<string, string>) =>
      (await (await strict(via, headers)).get()).headers['cache-control']
    test.each<[string, string, string]>([
      ['s-maxage alone', 's-maxage=86400', 'public, max-age=0, s-maxage=86400, must-revalidate'],
      ['both', 'max-age=60, s-maxage=86400', 'public, max-age=60, s-maxage=86400, must-revalidate'],
      ['the same', 'max-age=60, s-maxage=60', 'public, max-age=60, must-revalidate'],
      ['less', 'max-age=600, s-maxage=0', 'public, max-age=600, s-maxage=0, must-revalidate'],
      ['max-age alone', 'max-age=60', 'public, max-age=60, must-revalidate'],
    ])('%s', async (_name, said, expected) =>
      expect(await cacheControlOf({ 'Cache-Control': said })).toBe(expected),
    )
    test('Expires is for browsers beside s-maxage', async () => {
      const headers = {
        'Cache-Control': 's-maxage=86400',
        Expires: new Date(Date.now() + 600_000).toUTCString(),
      }
      expect(await cacheControlOf(headers)).toMatch(/^public, max-age=(?:59\d|600), s-maxage=86400/)
    })
    test('it is used here as long as shared caches may, and survives a restart', async () => {
      const { get, clock, origin } = await strict(via, { 'Cache-Control': 'max-age=60, s-maxage=86400' })
      await get()
      clock.now += 3_600_000
      expect((await get()).headers).toMatchObject({
        // The upstream's `Date` may be of the second before.
        age: expect.stringMatching(/^360[01]$/),
        'cache-control': 'public, max-age=60, s-maxage=86400, must-revalidate',
      })
      expect(origin.hits('/p.jpg')).toBe(1)
    })
  })

  describe('must-revalidate where nothing stale may be used (RFC 9111 §5.2.2.2, RFC 5861) (mended 26)', () => {
    test.each([
      ['max-age=60, stale-while-revalidate=30', 'public, max-age=60, stale-while-revalidate=30'],
      ['max-age=60, stale-if-error=30', 'public, max-age=60, stale-if-error=30'],
      [
        'max-age=60, stale-while-revalidate=30, stale-if-error=40',
        'public, max-age=60, stale-while-revalidate=30, stale-if-error=40',
      ],
      ['max-age=60, stale-while-revalidate=30, must-revalidate', 'public, max-age=60, must-revalidate'],
      ['max-age=60', 'public, max-age=60, must-revalidate'],
    ])('%s → %s', async (said, expected) => {
      const { get } = await strict(via, { 'Cache-Control': said })
      expect((await get()).headers['cache-control']).toBe(expected)
    })
  })

  describe('Cache-Status of what stands in (RFC 9211 §2.2, §2.3) (mended 27)', () => {
    // The source's own Date is of whole seconds, so that a picture may be a second old when it comes.
    const said = 'max-age=60, stale-if-error=600'
    test.each<[string, Answer, RegExp]>([
      ['a 503', { status: 503 }, /^express-artwork; fwd=stale; fwd-status=503; ttl=-[23]$/],
      ['a 500', { status: 500 }, /^express-artwork; fwd=stale; fwd-status=500; ttl=-[23]$/],
      [
        'a cut connection',
        (_req, res) => void res.socket?.destroy(),
        /^express-artwork; fwd=stale; ttl=-[23]$/,
      ],
    ])('%s', async (_name, answer, status) => {
      const { get, clock, serve } = await strict(via, { 'Cache-Control': said })
      await get()
      clock.now += 62_000
      serve(answer)
      const stale = await get()
      expect([stale.status, stale.headers['cache-status']]).toEqual([200, expect.stringMatching(status)])
      // The failure is remembered: nobody was asked this time.
      expect((await get()).headers['cache-status']).toMatch(/^express-artwork; hit; ttl=-[23]$/)
    })
    test('of a rendition too', async () => {
      const { ask, origin, clock, serve } = await strict(via, { 'Cache-Control': said })
      const path = `/images/${remoteAddress(`${origin.url}/p.jpg`, 'w160-webp')}`
      await ask(path)
      clock.now += 62_000
      serve({ status: 503 })
      expect((await ask(path)).headers['cache-status']).toMatch(
        /^express-artwork; fwd=stale; fwd-status=503; ttl=-[23]$/,
      )
    })
  })

  test('CDN-Cache-Control by option (RFC 9213) (mended 30)', async () => {
    const none = await strict(via, { 'Cache-Control': 'max-age=60' })
    expect((await none.get()).headers['cdn-cache-control']).toBeUndefined()
    const said = { 'Cache-Control': 'max-age=60, s-maxage=86400' }
    const own = await strict(via, said, { cdnCacheControl: true })
    expect((await own.get()).headers).toMatchObject({
      'cache-control': 'public, max-age=60, s-maxage=86400, must-revalidate',
      'cdn-cache-control': 'public, max-age=86400, must-revalidate',
    })
    const bounded = await stage(via, { cdnCacheControl: '7 d' })
    bounded.origin.serve('/p.jpg', image(await jpeg(60, 40)))
    const path = `/images/${remoteAddress(`${bounded.origin.url}/p.jpg`)}`
    const { headers } = await bounded.askHot(path)
    expect(headers['cache-control']).toMatch(/^public, max-age=3600,/)
    expect(headers['cdn-cache-control']).toMatch(/^public, max-age=604800, stale-while-revalidate=/)
    const { headers: versioned } = await bounded.ask(`${path}?v=${'0'.repeat(16)}`)
    expect(versioned['cdn-cache-control']).toBe('public, max-age=60')
    expect((await bounded.ask('/images/remote/original/x')).headers['cdn-cache-control']).toBeUndefined()
    const closed = await strict(via, said, { cdnCacheControl: true, private: true })
    expect((await closed.get()).headers).not.toHaveProperty('cdn-cache-control')
  })
})

test('the two lifetimes outlive the process (mended 25)', async () => {
  const [directory, origin] = [await temporaryFolder(), await anOrigin()]
  origin.serve(
    '/p.jpg',
    image(await jpeg(60, 40), 'image/jpeg', { 'Cache-Control': 'max-age=60, s-maxage=86400' }),
  )
  const options = { freshness: { upstream: 'strict' }, transform: { isolate: false } } as const
  const path = `/images/${remoteAddress(`${origin.url}/p.jpg`)}`
  const first = await startApp(options, { directory, origin })
  await (await first.get(path)).arrayBuffer()
  await first.stop()
  const second = await startApp(options, { directory, origin })
  const answer = await second.get(path)
  await answer.arrayBuffer()
  expect(answer.headers.get('cache-control')).toBe('public, max-age=60, s-maxage=86400, must-revalidate')
  expect(origin.hits('/p.jpg')).toBe(1)
  await eventually(() => expect(second.artwork.images.stats().names).toBe(1))
})

describe('what a 304 says counts as much as what a 200 says (mended 25)', () => {
  test.each(['private, max-age=600', 'no-store'])('%s: it is not kept any more', async (said) => {
    const { get, serve, clock, origin, bytes, artwork } = await strict('Express', {
      'Cache-Control': 'max-age=60',
      ETag: '"a"',
    })
    expect((await get()).headers['cache-control']).toMatch(/^public/)
    serve((req, res) => {
      const isKnown = req.headers['if-none-match'] === '"a"'
      res.writeHead(isKnown ? 304 : 200, { 'Content-Type': 'image/jpeg', ETag: '"a"', 'Cache-Control': said })
      res.end(isKnown ? undefined : bytes)
    })
    clock.now += 61_000
    const answer = await get()
    expect([answer.status, answer.body.equals(bytes), answer.headers['cache-control']]).toEqual([
      200,
      true,
      'no-store',
    ])
    expect(artwork.images.stats().names).toBe(0)
    await get()
    expect(origin.hits('/p.jpg')).toBe(3)
  })
  test('a version that is another one is given no longer than upstream lets anybody', async () => {
    const { ask, path } = await strict('Express', { 'Cache-Control': 'max-age=5' })
    expect((await ask(`${path}?v=${'0'.repeat(16)}`)).headers['cache-control']).toBe(
      'public, max-age=5, must-revalidate',
    )
  })
})

test('a CDN that may have less than our age allows gets half of that at most (mended 30)', async () => {
  const set = await stage('Express', { cdnCacheControl: '5 min' })
  set.origin.serve('/p.jpg', image(await jpeg(60, 40)))
  const path = `/images/${remoteAddress(`${set.origin.url}/p.jpg`)}`
  await set.ask(path)
  set.clock.now += 3_600_000
  expect((await set.ask(path)).headers).toMatchObject({
    age: '150',
    'cdn-cache-control': expect.stringContaining('max-age=300'),
  })
})

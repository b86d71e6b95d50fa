/** What an upstream may send, and what comes of it: every row of the README's table, over real HTTP. */
import { describe, expect, test } from 'vitest'
import { pageAt, table } from '../support/documents.js'
import { jpeg, png } from '../support/images.js'
import { type Answer, image } from '../support/origin.js'
import { remoteAddress, stage } from '../support/toolkit.js'

interface Outcome {
  readonly status: number
  readonly reason?: string
  /** Whether a second client is answered without asking upstream again. */
  readonly isKept: boolean
  readonly type?: string
}
interface Row {
  readonly upstream: () => Promise<Answer>
  readonly bounded: Outcome
  readonly strict: Outcome
  /** Served first, so that a picture is held when upstream begins to answer like this, this many seconds later. */
  readonly heldFor?: number
}

const picture =
  (headers: Record<string, string> = {}, type = 'image/jpeg') =>
  async (): Promise<Answer> =>
    image(await jpeg(60, 40), type, headers)
const kept = { status: 200, isKept: true }
const both = (outcome: Outcome) => ({ bounded: outcome, strict: outcome })
const redirect =
  (steps: number): Answer =>
  (req, res) => {
    const step = Number(/step=(\d+)/.exec(req.url ?? '')?.[1] ?? 0)
    const base = `http://${req.headers.host}`
    if (step < steps) res.writeHead(301, { Location: `${base}/a.jpg?step=${step + 1}` }).end()
    else void jpeg(60, 40).then((bytes) => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes))
  }

const ROWS: Readonly<Record<string, Row>> = {
  '`Cache-Control: no-store`': {
    upstream: picture({ 'Cache-Control': 'no-store' }),
    bounded: kept,
    strict: { status: 200, isKept: false },
  },
  '`Cache-Control: private`': {
    upstream: picture({ 'Cache-Control': 'private, max-age=600' }),
    bounded: kept,
    strict: { status: 200, isKept: false },
  },
  '`Set-Cookie`': {
    upstream: picture({ 'Set-Cookie': 'a=b', 'Cache-Control': 'max-age=600' }),
    ...both(kept),
  },
  '`Vary: *`': {
    upstream: picture({ Vary: '*', 'Cache-Control': 'max-age=600' }),
    bounded: kept,
    strict: { status: 200, isKept: false },
  },
  'a wrong image type': {
    upstream: async () => image(await png(60, 40), 'image/jpeg', { 'Cache-Control': 'max-age=600' }),
    ...both({ ...kept, type: 'image/png' }),
  },
  '`text/html`, or bytes that are no image': {
    upstream: async () => image('<p>hello</p>', 'text/html'),
    ...both({ status: 415, isKept: true }),
  },
  203: {
    upstream: async () => ({
      status: 203,
      headers: { 'Content-Type': 'image/jpeg', 'Cache-Control': 'max-age=600' },
      body: await jpeg(60, 40),
    }),
    ...both(kept),
  },
  '206 that is the whole': {
    upstream: async () => {
      const body = await jpeg(60, 40)
      const range = `bytes 0-${body.length - 1}/${body.length}`
      return {
        status: 206,
        headers: { 'Content-Type': 'image/jpeg', 'Content-Range': range, 'Cache-Control': 'max-age=600' },
        body,
      }
    },
    ...both(kept),
  },
  '206 that is a part': {
    upstream: async () => {
      const body = await jpeg(60, 40)
      const range = `bytes 0-${body.length - 1}/${body.length + 5}`
      return { status: 206, headers: { 'Content-Type': 'image/jpeg', 'Content-Range': range }, body }
    },
    ...both({ status: 502, isKept: true }),
  },
  '301, up to three in a row': {
    upstream: async () => redirect(3),
    bounded: kept,
    // It says nothing of freshness, and is asked about again.
    strict: { status: 200, isKept: false },
  },
  '301, four in a row': { upstream: async () => redirect(4), ...both({ status: 502, isKept: true }) },
  '429 with `Retry-After`': {
    upstream: async () => ({ status: 429, headers: { 'Retry-After': '120' } }),
    ...both({ status: 502, isKept: true }),
  },
  '`must-revalidate`, then nothing: it is down': {
    heldFor: 700,
    upstream: picture({ 'Cache-Control': 'max-age=600, must-revalidate' }),
    bounded: kept,
    strict: { status: 504, isKept: true },
  },
}

const rows = table(pageAt('docs/http.md'), '## What an upstream may send')

test('the documentation’s table has these rows, and tells their statuses', () => {
  expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(ROWS).sort())
  for (const [name = '', bounded = '', strict = ''] of rows) {
    expect([name, Number(/^\d+/.exec(bounded)?.[0]), Number(/^\d+/.exec(strict)?.[0])]).toEqual([
      name,
      ROWS[name]?.bounded.status,
      ROWS[name]?.strict.status,
    ])
  }
})

describe.each(['bounded', 'strict'] as const)('freshness.upstream %s', (upstream) => {
  test.each(Object.entries(ROWS))('%s', async (_name, row) => {
    const { ask, origin, clock, artwork } = await stage('Express', { freshness: { upstream } })
    for (const step of ['', '?step=1', '?step=2', '?step=3', '?step=4'])
      origin.serve(`/a.jpg${step}`, await row.upstream())
    const path = `/images/${remoteAddress(`${origin.url}/a.jpg`)}`
    if (row.heldFor !== undefined) {
      expect((await ask(path)).status).toBe(200)
      clock.now += row.heldFor * 1000
      origin.fail(503)
    }
    const wanted = row[upstream]
    const first = await ask(path)
    expect(first.status).toBe(wanted.status)
    expect(first.headers['set-cookie']).toBeUndefined()
    if (wanted.type !== undefined) expect(first.headers['content-type']).toBe(wanted.type)
    if (wanted.status !== 200) expect(first.headers['cache-control']).toBe('no-store')
    const asked = origin.hits('/a.jpg')
    expect((await ask(path)).status).toBe(wanted.status)
    expect(origin.hits('/a.jpg') - asked, 'asked again').toBe(wanted.isKept ? 0 : 1)
    expect(artwork.images.stats().names).toBeLessThanOrEqual(1)
  })
})

describe('strict, beyond the table', () => {
  const strict = async (headers: Record<string, string>) => {
    const set = await stage('Express', { freshness: { upstream: 'strict' } })
    set.origin.serve('/a.jpg', image(await jpeg(300, 200), 'image/jpeg', headers))
    const original = `/images/${remoteAddress(`${set.origin.url}/a.jpg`)}`
    return { ...set, original, rendition: original.replace('/original/', '/w160-webp/') }
  }

  test('a rendition is as forbidden as its original: 504 when nobody can be asked, only-if-cached too', async () => {
    const { ask, rendition, origin, clock } = await strict({ 'Cache-Control': 'max-age=1, must-revalidate' })
    expect((await ask(rendition)).status).toBe(200)
    clock.now += 5000
    const only = await ask(rendition, { headers: { 'Cache-Control': 'only-if-cached' } })
    expect(only.status).toBe(504)
    origin.fail(503)
    expect((await ask(rendition)).status).toBe(504)
  })

  test('what upstream allows is what we allow: max-age with Age, stale times, no-store', async () => {
    // The upstream's Date has whole seconds, and may be a second old when it is sent.
    const about = (seconds: number) => expect.toSatisfy((age) => age === seconds || age === seconds + 1)
    const rule = async (headers: Record<string, string>) => {
      const { ask, original, clock } = await strict(headers)
      await ask(original)
      clock.now += 2000
      const answer = await ask(original)
      const { age } = answer.headers
      return [answer.headers['cache-control'], age === undefined ? undefined : Number(age)]
    }
    expect(await rule({ 'Cache-Control': 'max-age=600, stale-if-error=60' })).toEqual([
      'public, max-age=600, stale-if-error=60',
      about(2),
    ])
    expect(await rule({ 'Cache-Control': 'max-age=600, must-revalidate' })).toEqual([
      'public, max-age=600, must-revalidate',
      about(2),
    ])
    expect(await rule({ 'Cache-Control': 'max-age=6000', Age: '5000' })).toEqual([
      'public, max-age=6000, must-revalidate',
      about(5002),
    ])
    expect(await rule({ 'Cache-Control': 'private, no-store' })).toEqual(['no-store', undefined])
    expect(await rule({ 'Cache-Control': 'max-age=60, proxy-revalidate' })).toEqual([
      'public, max-age=60, must-revalidate',
      about(2),
    ])
  })

  test('`immutable` makes nothing last longer than it says', async () => {
    const expires = new Date(Date.now() + 60_000).toUTCString()
    const { ask, original, origin, clock } = await strict({ 'Cache-Control': 'immutable', Expires: expires })
    await ask(original)
    clock.now += 120_000
    await ask(original)
    expect(origin.hits('/a.jpg')).toBe(2)
  })

  test('`stale-if-error` is for errors: a picture that is gone is gone', async () => {
    const { ask, original, origin, clock } = await strict({
      'Cache-Control': 'max-age=1, stale-if-error=3600',
    })
    await ask(original)
    clock.now += 5000
    origin.fail(503)
    expect((await ask(original)).status).toBe(200)
    origin.fail(undefined)
    origin.serve('/a.jpg', { status: 410 })
    clock.now += 400_000
    expect((await ask(original)).status).toBe(404)
  })

  test('a negotiated picture that may not be kept is asked for once a request', async () => {
    const { ask, original, origin } = await strict({ 'Cache-Control': 'no-store' })
    expect((await ask(original.replace('/original/', '/w160-auto/'))).status).toBe(200)
    expect(origin.hits('/a.jpg')).toBe(1)
  })
})

test('bounded: a rendition goes with an original that upstream says is gone', async () => {
  const { ask, origin, clock } = await stage('Express')
  origin.serve('/a.jpg', image(await jpeg(300, 200)))
  const path = `/images/${remoteAddress(`${origin.url}/a.jpg`, 'w160-webp')}`
  expect((await ask(path)).status).toBe(200)
  origin.serve('/a.jpg', { status: 410 })
  clock.now += 400 * 86_400_000
  expect((await ask(path)).status).toBe(404)
})

test('a picture that changes while it is being made is never shown under the version of the other one', async () => {
  const { ask, origin, artwork } = await stage('Express', { widths: [1500] })
  const [old, fresh] = [await jpeg(2000, 1500, 1), await jpeg(2000, 1500, 2)]
  origin.serve('/a.jpg', image(old, 'image/jpeg', { ETag: '"1"' }))
  const address = remoteAddress(`${origin.url}/a.jpg`)
  await artwork.images.getImage(address)
  const path = `/images/${address.replace('/original/', '/w1500-webp/')}`
  const slow = ask(path)
  origin.serve('/a.jpg', image(fresh, 'image/jpeg', { ETag: '"2"' }))
  await artwork.images.refresh(address)
  const { digest } = await artwork.images.getImage(address)
  const version = digest.slice(0, 16)
  const now = await ask(`${path}?v=${version}`)
  const then = await slow
  expect(now.headers['cache-control']).toContain('immutable')
  expect(now.headers.etag).not.toBe(then.headers.etag)
  expect((await ask(path)).headers.etag).toBe(now.headers.etag)
})

test.each([
  ['in absolute form', (url: string) => `${url}/images/poster/w500/x.jpg`, 200],
  ['in absolute form, a placeholder', (url: string) => `${url}/static/images/placeholder.svg`, 200],
  ['with two slashes', () => '//images/poster/w500/x.jpg', 404],
])('a request target %s', async (_what, target, status) => {
  const { ask, url, origin } = await stage('Express')
  origin.serve('/t/p/w500/x.jpg', image(await jpeg(30, 20)))
  expect((await ask(target(url))).status).toBe(status)
})

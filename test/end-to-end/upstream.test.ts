import { createServer } from 'node:http'
import { remote } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, remoteAddress, startApp } from '../support/toolkit.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const PATH = '/t/p/w342/a.jpg'
const URL_PATH = '/images/poster/w342/a.jpg'

describe('what an upstream failure is answered with (parity 4)', () => {
  test.each([
    [404, 404],
    [410, 404],
    [401, 502],
    [403, 502],
    [418, 502],
    [500, 502],
    [503, 502],
    [429, 502],
  ])('upstream %i → %i, no-store, and remembered (parity 4)', async (upstream, ours) => {
    const app = await startApp({ fetch: { retries: 0 } })
    app.origin.serve(PATH, { status: upstream, body: 'secret upstream text' })
    const first = await app.get(URL_PATH)
    expect(first.status).toBe(ours)
    expect(first.headers.get('cache-control')).toBe('no-store')
    expect(await first.text()).not.toContain('secret')
    expect((await app.get(URL_PATH)).status).toBe(ours)
    expect(app.origin.hits()).toBe(1)
  })

  test('a time-out → 504; nobody there → 502 (parity 4)', async () => {
    const app = await startApp({ fetch: { retries: 0, firstByteTimeout: 150 } })
    app.origin.serve(PATH, () => {})
    expect((await app.get(URL_PATH)).status).toBe(504)
    await app.origin.close()
    expect((await app.get('/images/poster/w342/b.jpg')).status).toBe(502)
  })

  test('ten failures open the breaker: 503 at once with Retry-After and no request; a minute later it recovers (parity 4, 7)', async () => {
    const app = await startApp({ fetch: { retries: 0 } })
    app.origin.fail(500)
    for (let index = 0; index < 10; index += 1)
      expect((await app.get(`/images/poster/w342/f${index}.jpg`)).status).toBe(502)
    const refused = await app.get('/images/poster/w342/other.jpg')
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(app.origin.hits()).toBe(10)
    app.origin.fail(undefined)
    app.origin.serve('/t/p/w342/other.jpg', image(await jpeg(100, 150)))
    app.clock.now += 61_000
    expect((await app.get('/images/poster/w342/other.jpg')).status).toBe(200)
  })

  test('4xx never counts (parity 7)', async () => {
    const app = await startApp({ fetch: { retries: 0 } })
    for (let index = 0; index < 12; index += 1)
      expect((await app.get(`/images/poster/w342/f${index}.jpg`)).status).toBe(404)
  })

  test('three retries on 5xx and 429, none on other 4xx; a success in between is a success (parity 6)', async () => {
    const app = await startApp()
    app.origin.serve(PATH, { status: 500 })
    expect((await app.get(URL_PATH)).status).toBe(502)
    expect(app.origin.hits(PATH)).toBe(4)
    app.origin.serve('/t/p/w342/denied.jpg', { status: 403 })
    await app.get('/images/poster/w342/denied.jpg')
    expect(app.origin.hits('/t/p/w342/denied.jpg')).toBe(1)
    const bytes = await jpeg(100, 150)
    let asked = 0
    app.origin.serve('/t/p/w342/flaky.jpg', (_req, res) => {
      asked += 1
      if (asked < 3) res.writeHead(503).end()
      else res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes)
    })
    expect((await app.get('/images/poster/w342/flaky.jpg')).status).toBe(200)
    expect(asked).toBe(3)
  })
})

describe('a body that is not what it should be is an error and is not kept', () => {
  test.each<
    [
      string,
      number,
      Parameters<Awaited<ReturnType<typeof startApp>>['origin']['serve']>[1] | ((bytes: Buffer) => Buffer),
    ]
  >([
    [
      'shorter than announced',
      502,
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Content-Length': '1000' })
        res.write('half')
        setTimeout(() => res.destroy(), 20)
      },
    ],
    ['nothing at all', 502, { headers: { 'Content-Type': 'image/jpeg' }, body: '' }],
    [
      'gzip nobody asked for',
      502,
      { headers: { 'Content-Type': 'image/jpeg', 'Content-Encoding': 'gzip' }, body: 'x' },
    ],
    [
      'a stalled body',
      504,
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'image/jpeg' })
        res.write('half')
      },
    ],
    [
      'an endless body',
      413,
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'image/jpeg' })
        const timer = setInterval(() => res.write(Buffer.alloc(20_000)), 1)
        res.on('close', () => clearInterval(timer))
      },
    ],
    ['a redirect loop', 502, (req, res) => res.writeHead(302, { Location: req.url ?? '' }).end()],
    [
      'a redirect to another host',
      403,
      (_req, res) => res.writeHead(302, { Location: 'http://169.254.169.254/' }).end(),
    ],
  ])('%s → %i', async (_what, status, answer) => {
    const app = await startApp({ fetch: { retries: 0, idleTimeout: 2000, maxBytes: 200_000 } })
    app.origin.serve(PATH, answer as Parameters<typeof app.origin.serve>[1])
    expect((await app.get(URL_PATH)).status).toBe(status)
    expect(app.artwork.images.stats().names).toBe(0)
  })

  test('a truncated or scrambled image → 422, and it is not kept', async () => {
    const app = await startApp()
    const whole = await jpeg(400, 400)
    app.origin.serve(PATH, (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'image/jpeg', Connection: 'close' })
      res.end(whole.subarray(0, whole.length / 2))
    })
    expect((await app.get(URL_PATH)).status).toBe(422)
    app.origin.serve('/t/p/w342/b.jpg', image(Buffer.concat([whole.subarray(0, 20), Buffer.alloc(500, 7)])))
    expect((await app.get('/images/poster/w342/b.jpg')).status).toBe(422)
    expect(app.artwork.images.stats().names).toBe(0)
  })
})

describe('only originals age (parity 8)', () => {
  test('after seven days the old picture is served while one conditional request goes out (parity 8)', async () => {
    const app = await startApp()
    const bytes = await jpeg(342, 513)
    app.origin.serve(PATH, (req, res) => {
      if (req.headers['if-none-match'] === '"one"') res.writeHead(304, { ETag: '"one"' }).end()
      else res.writeHead(200, { 'Content-Type': 'image/jpeg', ETag: '"one"' }).end(bytes)
    })
    await app.get(URL_PATH)
    app.clock.now += 7 * DAY - HOUR
    await app.get(URL_PATH)
    await app.artwork.refresher.idle()
    expect(app.origin.hits()).toBe(1)
    app.clock.now += 2 * HOUR
    const stale = await app.get(URL_PATH)
    expect(Buffer.from(await stale.arrayBuffer()).equals(bytes)).toBe(true)
    await app.artwork.refresher.idle()
    expect(app.origin.hits()).toBe(2)
    expect(app.origin.seen[1]?.headers['if-none-match']).toBe('"one"')
    await app.get(URL_PATH)
    await app.artwork.refresher.idle()
    expect(app.origin.hits(), 'a 304 renews').toBe(2)
  })

  test('new bytes come through, and what was made of the old ones is made again (parity 8)', async () => {
    const app = await startApp()
    app.origin.serve(PATH, image(await jpeg(342, 513, 0)))
    const path = '/images/poster/w342-webp/a.jpg'
    const before = (await app.get(path)).headers.get('etag')
    app.origin.serve(PATH, image(await jpeg(342, 513, 4)))
    app.clock.now += 7 * DAY + HOUR
    expect((await app.get(path)).headers.get('etag')).toBe(before)
    await app.artwork.refresher.idle()
    const after = await app.get(path)
    expect(after.headers.get('etag')).not.toBe(before)
    expect(app.origin.hits()).toBe(2)
  })

  test('the `?v=` of artwork changes by itself (parity 8)', async () => {
    const app = await startApp()
    app.origin.serve('/a.jpg', image(await jpeg(400, 400, 0)))
    const sourceUrl = `${app.origin.url}/a.jpg`
    const { images, refresher } = app.artwork
    const { url, localPath } = await images.downloadAndCache({
      sourceUrl,
      entityType: 'album',
      entityId: 'x',
    })
    app.origin.serve('/a.jpg', image(await jpeg(400, 400, 4)))
    app.clock.now += 8 * DAY
    expect(images.getDisplayUrl(sourceUrl, localPath, 'album')).toBe(url)
    await refresher.idle()
    const next = images.getDisplayUrl(sourceUrl, localPath, 'album')
    expect(next).not.toBe(url)
    expect((await app.get(next)).headers.get('cache-control')).toContain('immutable')
  })

  test.each([[7 * DAY + HOUR], [20 * DAY], [36 * DAY]])(
    '%i ms later with the upstream down, the old copy stays (parity 8)',
    async (later) => {
      const app = await startApp({ fetch: { retries: 0 } })
      const bytes = await jpeg(342, 513)
      app.origin.serve(PATH, image(bytes))
      await app.get(URL_PATH)
      app.origin.fail(500)
      app.clock.now += later
      for (let time = 0; time < 2; time += 1) {
        const answer = await app.get(URL_PATH)
        expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
        await app.artwork.refresher.idle()
      }
      app.clock.now += 100 * DAY
      expect((await app.get(URL_PATH)).status, 'not for ever').toBe(502)
    },
  )

  test('upstream’s max-age is kept between one hour and seven days', async () => {
    const app = await startApp()
    app.origin.serve('/short.png', image(await png(), 'image/png', { 'Cache-Control': 'max-age=1' }))
    const path = `/images/${remoteAddress(`${app.origin.url}/short.png`)}`
    await app.get(path)
    app.clock.now += HOUR - 60_000
    await app.get(path)
    await app.artwork.refresher.idle()
    expect(app.origin.hits()).toBe(1)
    app.clock.now += 120_000
    await app.get(path)
    await app.artwork.refresher.idle()
    expect(app.origin.hits()).toBe(2)
  })

  test('the memory layer holds what was asked for, within its bound (parity 8)', async () => {
    const app = await startApp({ memory: { maxBytes: 10_000 } })
    for (let index = 0; index < 12; index += 1) {
      const bytes = await jpeg(300, 300, index)
      app.origin.serve(`/t/p/w342/m${index}.jpg`, image(bytes))
      await app.get(`/images/poster/w342/m${index}.jpg`)
    }
    const { memory, bytes } = app.artwork.images.stats()
    expect(memory.bytes).toBeGreaterThan(0)
    expect(memory.bytes).toBeLessThanOrEqual(10_000)
    expect(bytes).toBeGreaterThan(10_000)
    const again = await app.artwork.images.getImage('poster/w342/m11.jpg')
    expect(again.from).toBe('memory')
    expect((await app.artwork.images.getImage('poster/w342/m0.jpg')).from).toBe('disk')
  })
})

test('idle connections to some hosts never make another host wait', async () => {
  const bytes = await jpeg(100, 100)
  const servers = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const host = `127.0.0.${index + 1}`
      const server = createServer(
        (_req, res) => void res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes),
      )
      server.keepAliveTimeout = 60_000
      await new Promise<void>((resolve) => server.listen(0, host, resolve))
      atEnd(async () => void server.close().closeAllConnections())
      const address = server.address()
      return `${host}:${typeof address === 'object' && address !== null ? address.port : 0}`
    }),
  )
  const hosts = servers.map((server) => server.split(':')[0] ?? '')
  const app = await startApp({
    sources: [remote({ hosts })],
    fetch: { allowPrivate: servers, maxSockets: 2, retries: 0, firstByteTimeout: 1500 },
  })
  for (const server of servers) {
    const fetched = await app.artwork.images.getImage(remoteAddress(`http://${server}/a.jpg`))
    expect(fetched.bytes.equals(bytes), server).toBe(true)
  }
})

test('a picture that is replaced again and again is always answered whole, old or new', async () => {
  const app = await startApp({ memory: { maxBytes: 0 } })
  const pictures = await Promise.all([0, 3, 6].map((seed) => jpeg(200, 200, seed)))
  for (const [index, bytes] of pictures.entries()) app.origin.serve(`/${index}.jpg`, image(bytes))
  const replace = (index: number) =>
    app.artwork.images.downloadAndCache({
      sourceUrl: `${app.origin.url}/${index % 3}.jpg`,
      entityType: 'album',
      entityId: 'x',
    })
  await replace(0)
  let done = false
  const readers = Array.from({ length: 6 }, async () => {
    const statuses = new Set<number>()
    while (!done) {
      const answer = await app.get('/artwork/local/albums/x/x.webp')
      statuses.add(answer.status)
      if (answer.status === 200)
        expect((await sharp(Buffer.from(await answer.arrayBuffer())).metadata()).width).toBe(200)
    }
    return [...statuses]
  })
  for (let index = 1; index < 40; index += 1) expect((await replace(index)).status).toBe('downloaded')
  done = true
  expect((await Promise.all(readers)).flat().every((status) => status === 200)).toBe(true)
})

describe('single flight', () => {
  test('300 clients of one rendition that nobody has seen: one upstream request, one encode, 300 equal answers', async () => {
    const app = await startApp()
    const bytes = await jpeg(780, 1170)
    app.origin.serve('/t/p/w780/a.jpg', (_req, res) => {
      setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes), 50)
    })
    const answers = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const answer = await app.get('/images/poster/w780-webp/a.jpg')
        return {
          status: answer.status,
          etag: answer.headers.get('etag'),
          bytes: Buffer.from(await answer.arrayBuffer()),
        }
      }),
    )
    const [first] = answers
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(
      answers.every(
        (answer) => answer.etag === first?.etag && answer.bytes.equals(first?.bytes ?? Buffer.alloc(0)),
      ),
    ).toBe(true)
    expect(app.origin.hits()).toBe(1)
    expect(app.artwork.images.stats().requests).toMatchObject({ upstreamRequests: 1, encodes: 1 })
  })

  test('a client that goes does not stop the others; when all have gone, the request stops', async () => {
    const app = await startApp()
    const bytes = await jpeg(342, 513)
    let release = () => {}
    let cut = 0
    app.origin.serve(PATH, (_req, res) => {
      res.on('close', () => {
        if (!res.writableFinished) cut += 1
      })
      release = () => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes)
    })
    const { images } = app.artwork
    const one = new AbortController()
    const leaving = images.getImage('poster/w342/a.jpg', { signal: one.signal })
    const staying = images.getImage('poster/w342/a.jpg')
    await expect.poll(() => app.origin.hits()).toBe(1)
    one.abort()
    await expect(leaving).rejects.toMatchObject({ reason: 'unavailable' })
    release()
    expect((await staying).bytes.equals(bytes)).toBe(true)
    const two = new AbortController()
    app.origin.serve('/t/p/w342/b.jpg', (_req, res) => {
      res.on('close', () => {
        if (!res.writableFinished) cut += 1
      })
    })
    const alone = images.getImage('poster/w342/b.jpg', { signal: two.signal })
    await expect.poll(() => app.origin.hits()).toBe(2)
    two.abort()
    await expect(alone).rejects.toMatchObject({ reason: 'unavailable' })
    await expect.poll(() => cut).toBe(1)
  })
})

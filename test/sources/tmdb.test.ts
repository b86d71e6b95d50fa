import { remote, tmdb } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { jpeg, png, SVG } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, remoteAddress, startApp, temporaryFolder } from '../support/toolkit.js'

const sizes = {
  poster: ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'],
  backdrop: ['w300', 'w780', 'w1280', 'original'],
  profile: ['w45', 'w185', 'h632', 'original'],
  logo: ['w45', 'w92', 'w154', 'w185', 'w300', 'w500', 'original'],
  still: ['w92', 'w185', 'w300', 'original'],
}

describe('TMDb pictures (parity 1)', () => {
  test('every listed type and size gives the upstream bytes and type, and a second request asks nobody (parity 1)', async () => {
    const app = await startApp()
    const bytes = await jpeg(60, 90)
    for (const [type, list] of Object.entries(sizes)) {
      for (const size of list) {
        const path = `/t/p/${size}/${type}.jpg`
        app.origin.serve(path, image(bytes))
        for (let time = 0; time < 2; time += 1) {
          const answer = await app.get(`/images/${type}/${size}/${type}.jpg`)
          expect(answer.status, `${type}/${size}`).toBe(200)
          expect(answer.headers.get('content-type')).toBe('image/jpeg')
          expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
        }
      }
    }
    const asked = new Set(
      Object.entries(sizes).flatMap(([type, list]) => list.map((size) => `${size}/${type}`)),
    )
    expect(app.origin.hits()).toBe(asked.size)
  })

  test('a format token makes a rendition of the native size (parity 1)', async () => {
    const app = await startApp()
    app.origin.serve('/t/p/w342/a.jpg', image(await jpeg(342, 513)))
    const answer = await app.get('/images/poster/w342-webp/a.jpg')
    expect(answer.headers.get('content-type')).toBe('image/webp')
    const { width, height, format } = await sharp(Buffer.from(await answer.arrayBuffer())).metadata()
    expect({ width, height, format }).toEqual({ width: 342, height: 513, format: 'webp' })
    expect(app.origin.seen.map(({ path }) => path)).toEqual(['/t/p/w342/a.jpg'])
  })

  test('`auto` gives WebP to who asks for it, the plain family to the rest, one original for both (parity 1)', async () => {
    const app = await startApp()
    app.origin.serve('/t/p/w342/a.jpg', image(await jpeg(342, 513)))
    const get = (accept: string) => app.get('/images/poster/w342-auto/a.jpg', { headers: { accept } })
    const modern = await get('image/avif,image/webp,*/*')
    const plain = await get('*/*')
    expect([modern.headers.get('content-type'), plain.headers.get('content-type')]).toEqual([
      'image/webp',
      'image/jpeg',
    ])
    expect([modern.headers.get('vary'), plain.headers.get('vary')]).toEqual(['Accept', 'Accept'])
    expect(modern.headers.get('etag')).not.toBe(plain.headers.get('etag'))
    expect(app.origin.hits()).toBe(1)
  })

  test('a listed width between sizes is made from the smallest native size that is wide enough (parity 1)', async () => {
    const app = await startApp({ widths: [400, 900] })
    app.origin.serve('/t/p/w500/a.jpg', image(await jpeg(500, 750)))
    app.origin.serve('/t/p/original/a.jpg', image(await jpeg(1000, 1500)))
    const between = await app.get('/images/poster/w400/a.jpg')
    const above = await app.get('/images/poster/w900-webp/a.jpg')
    const size = async (answer: Response) => {
      const { width, height } = await sharp(Buffer.from(await answer.arrayBuffer())).metadata()
      return [width, height]
    }
    expect(await size(between)).toEqual([400, 600])
    expect(await size(above)).toEqual([900, 1350])
    expect(app.origin.seen.map(({ path }) => path)).toEqual(['/t/p/w500/a.jpg', '/t/p/original/a.jpg'])
  })

  test.each([
    '/images/poster',
    '/images/poster/w342',
    '/images/unknown/w342/a.jpg',
    '/images/poster/w9999/a.jpg',
    '/images/backdrop/w185/a.jpg',
    '/images/poster/w342/a/b.jpg',
    '/images/poster/w342/a.exe',
    '/images/poster/w342-inside/a.jpg',
    '/images/poster/webp-w342/a.jpg',
    '/images/poster/w0342/a.jpg',
  ])('%s is refused with 400 and a text, and nobody is asked (parity 2)', async (path) => {
    const app = await startApp()
    const answer = await app.get(path)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/)
    expect((await answer.text()).length).toBeGreaterThan(5)
    expect(app.origin.hits()).toBe(0)
  })

  test('200 carries the cache rule, an entity tag of the bytes, and CORS (parity 3)', async () => {
    const app = await startApp()
    const bytes = await jpeg(92, 138)
    app.origin.serve('/t/p/w92/a.jpg', image(bytes))
    app.origin.serve('/t/p/w92/b.jpg', image(bytes))
    const [a, b] = [await app.get('/images/poster/w92/a.jpg'), await app.get('/images/poster/w92/b.jpg')]
    expect(a.headers.get('cache-control')).toBe('public, max-age=604800, immutable')
    expect(a.headers.get('access-control-allow-origin')).toBe('*')
    expect(a.headers.get('etag')).toMatch(/^"[0-9a-f]{16,}"$/)
    expect(a.headers.get('etag')).toBe(b.headers.get('etag'))
  })

  test('conditional requests know `*`, lists and weak tags; CORS is on 304 and 4xx too (parity 3)', async () => {
    const app = await startApp()
    app.origin.serve('/t/p/w92/a.jpg', image(await jpeg(92, 138)))
    const path = '/images/poster/w92/a.jpg'
    const etag = (await app.get(path)).headers.get('etag') ?? ''
    for (const value of [etag, `W/${etag}`, '*', `"x", W/"y" , ${etag}`]) {
      const answer = await app.get(path, { headers: { 'if-none-match': value } })
      expect(answer.status, value).toBe(304)
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('etag')).toBe(etag)
    }
    expect((await app.get(path, { headers: { 'if-none-match': '"x"' } })).status).toBe(200)
    const wrong = await app.get('/images/poster/w9999/a.jpg')
    expect(wrong.headers.get('access-control-allow-origin')).toBe('*')
    expect(wrong.headers.get('cache-control')).toBe('no-store')
  })

  test('never a 304 for a picture that was never seen (parity 3)', async () => {
    const app = await startApp()
    const answer = await app.get('/images/poster/w92/none.jpg', { headers: { 'if-none-match': '*' } })
    expect(answer.status).toBe(404)
  })

  test('HEAD, OPTIONS and other verbs (parity 3)', async () => {
    const app = await startApp()
    const bytes = await jpeg(92, 138)
    app.origin.serve('/t/p/w92/a.jpg', image(bytes))
    const path = '/images/poster/w92/a.jpg'
    const head = await app.get(path, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)])
    expect((await head.arrayBuffer()).byteLength).toBe(0)
    const options = await app.get(path, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
    const post = await app.get(path, { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })

  test('SVG is passed through unread, in a sandbox; what is not an image, or too large, is refused and not kept (parity 5)', async () => {
    const app = await startApp({ fetch: { maxBytes: 50_000 } })
    app.origin.serve('/t/p/w92/a.svg', image(SVG, 'image/svg+xml'))
    app.origin.serve('/t/p/w92/html.jpg', image('<html></html>', 'text/html'))
    app.origin.serve('/t/p/w92/lie.jpg', image('<html></html>', 'image/jpeg'))
    app.origin.serve('/t/p/w92/large.jpg', image(Buffer.alloc(60_000, 1)))
    const svg = await app.get('/images/logo/w92/a.svg')
    expect(await svg.text()).toBe(SVG)
    expect(svg.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    )
    expect(svg.headers.get('x-content-type-options')).toBe('nosniff')
    const statuses = []
    for (const name of ['html', 'lie', 'large'])
      statuses.push((await app.get(`/images/logo/w92/${name}.jpg`)).status)
    expect(statuses).toEqual([415, 415, 413])
    expect((await app.get('/images/logo/w92-webp/a.svg')).status).toBe(415)
    expect(app.artwork.images.stats().names).toBe(1)
  })

  test('clearing the cache makes the next request fetch (parity 9)', async () => {
    const app = await startApp()
    app.origin.serve('/t/p/w92/a.jpg', image(await jpeg(92, 138)))
    await app.get('/images/poster/w92/a.jpg')
    await app.artwork.images.clearCache()
    expect(app.artwork.images.stats()).toMatchObject({ names: 0, bytes: 0 })
    expect((await app.get('/images/poster/w92/a.jpg')).status).toBe(200)
    expect(app.origin.hits()).toBe(2)
  })
})

test('what is held survives a restart: the same bytes and tag, nobody asked', async () => {
  const origin = await anOrigin()
  const directory = await temporaryFolder()
  origin.serve('/t/p/w342/a.jpg', image(await jpeg(342, 513)))
  const first = await startApp({}, { origin, directory })
  const before = await first.get('/images/poster/w342-webp/a.jpg')
  const bytes = Buffer.from(await before.arrayBuffer())
  await first.stop()
  const second = await startApp({}, { origin, directory })
  const after = await second.get('/images/poster/w342-webp/a.jpg')
  expect(after.headers.get('etag')).toBe(before.headers.get('etag'))
  expect(Buffer.from(await after.arrayBuffer()).equals(bytes)).toBe(true)
  expect(origin.hits()).toBe(1)
})

describe('remote pictures', () => {
  test('a listed host is fetched by the base64url of its URL; two texts of one URL are one key', async () => {
    const app = await startApp()
    app.origin.serve('/a.png?b', image(await png(), 'image/png'))
    const { host } = new URL(app.origin.url)
    for (const url of [`http://${host}/a.png?b`, `HTTP://${host}/a.png?b#c`]) {
      const answer = await app.get(`/images/${remoteAddress(url)}`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('cache-control')).toBe(
        'public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800',
      )
    }
    expect(app.origin.hits()).toBe(1)
  })

  test('another host, another scheme, and text that is no URL are refused without a request', async () => {
    const app = await startApp()
    const status = async (url: string) => (await app.get(`/images/${remoteAddress(url)}`)).status
    expect(await status('https://elsewhere.example/a.png')).toBe(403)
    expect(await status('http://127.0.0.1:1/a.png')).toBe(403)
    expect(await status('file:///etc/passwd')).toBe(400)
    expect(await status('data:image/png;base64,AAAA')).toBe(400)
    expect((await app.get('/images/remote/original/!!!')).status).toBe(400)
    expect(app.origin.hits()).toBe(0)
  })

  test('`*` without signing keys is refused at the start: it would be an open proxy', async () => {
    await expect(startApp({ sources: [remote({ hosts: ['*'] })] })).rejects.toThrow(/signing\.keys/)
  })

  test('fixed headers go to their host only and no client header goes anywhere', async () => {
    const origin = await anOrigin()
    origin.serve('/a.png', image(await png(), 'image/png'))
    const app = await startApp(
      {
        sources: [
          tmdb(),
          remote({ hosts: ['127.0.0.1'], headers: { '127.0.0.1': { 'x-token': 'secret' } } }),
        ],
      },
      { origin },
    )
    const answer = await app.get(`/images/${remoteAddress(`${origin.url}/a.png`)}`, {
      headers: { cookie: 'a=b', authorization: 'Basic x', referer: 'http://x/', range: 'bytes=0-1' },
    })
    expect(answer.status).toBe(206)
    const [asked] = origin.seen
    expect(asked?.headers).toMatchObject({ 'x-token': 'secret', 'accept-encoding': 'identity' })
    for (const name of ['cookie', 'authorization', 'referer', 'range'])
      expect(asked?.headers).not.toHaveProperty(name)
    expect([...answer.headers.keys()]).not.toContain('x-token')
  })
})

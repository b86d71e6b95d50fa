/** An image that cannot be had, asked for by an `<img>`, is its placeholder. */
import { remote, uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { asksForImage } from '#src/http/accept.js'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { ask } from '../../support/raw-http.js'
import { remoteAddress, startApp, type TestApp } from '../../support/toolkit.js'

const CHROME = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8'
const PAGE = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
const IMG = { 'Sec-Fetch-Dest': 'image', Accept: CHROME }

describe('who asks for an image', () => {
  test.each([
    ['image', '*/*', true],
    ['Image', undefined, true],
    ['document', CHROME, false],
    ['empty', 'image/png', false],
    [undefined, CHROME, true],
    [undefined, 'image/*', true],
    [undefined, 'image/webp;q=0.5,*/*;q=0.1', true],
    [undefined, PAGE, false],
    [undefined, '*/*', false],
    [undefined, undefined, false],
    [undefined, 'image/png;q=0', false],
    [undefined, 'application/json,image/*', false],
  ] as const)('Sec-Fetch-Dest: %s, Accept: %s: %s', (destination, accept, is) => {
    expect(asksForImage(destination, accept)).toBe(is)
  })
})

/** Addresses that cannot be answered, each with its true status. */
async function broken(app: TestApp): Promise<readonly (readonly [string, number])[]> {
  const { origin } = app
  origin.serve('/missing.jpg', { status: 404 })
  origin.serve('/page.jpg', image('<html>', 'text/html'))
  origin.serve('/failing.jpg', { status: 503 })
  origin.serve('/torn.jpg', image((await jpeg(100, 80)).subarray(0, 300)))
  const at = (url: string, variant = 'w300-h200-cover') => `/images/${remoteAddress(url, variant)}`
  return [
    [at(`${origin.url}/missing.jpg`), 404],
    [at(`${origin.url}/page.jpg`), 415],
    [at(`${origin.url}/failing.jpg`), 502],
    [at(`${origin.url}/torn.jpg`), 422],
    [at('http://127.0.0.1:1/closed.jpg'), 403],
    [at('https://elsewhere.example/x.jpg'), 403],
    ['/images/remote/w0/abc', 400],
    ['/images/poster/w342/..%2f', 400],
    [`/images/photos/${'0'.repeat(32)}`, 404],
    ['/artwork/local/albums/no/none.webp', 404],
  ]
}
const options = {
  strict: false,
  fetch: { retries: 0 },
  sources: [remote({ hosts: ['127.0.0.1'] }), uploads()],
  transform: { isolate: false },
}

describe('an address that cannot be answered', () => {
  test('is a placeholder with 200 for an <img>, that nobody stores, and text with its status for others', async () => {
    const app = await startApp(options)
    for (const [path, status] of await broken(app)) {
      const shown = await ask(app.url, path, { headers: IMG })
      expect([path, shown.status]).toEqual([path, 200])
      expect(shown.headers).toMatchObject({
        'content-type': 'image/svg+xml',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
      })
      for (const name of ['etag', 'last-modified', 'accept-ranges', 'age'])
        expect([path, name, shown.headers[name]]).toEqual([path, name, undefined])
      expect(shown.body.toString()).toMatch(/^<svg /)
      expect(shown.headers['content-length']).toBe(String(shown.body.length))

      const accepted = await ask(app.url, path, { headers: { Accept: CHROME } })
      expect([path, accepted.status, accepted.headers['content-type']]).toEqual([
        path,
        status,
        'image/svg+xml',
      ])
      for (const headers of [{}, { Accept: PAGE }, { 'Sec-Fetch-Dest': 'document', Accept: PAGE }]) {
        const text = await ask(app.url, path, { headers })
        expect([path, text.status, text.headers['content-type']]).toEqual([
          path,
          status,
          'text/plain; charset=utf-8',
        ])
        expect(text.headers['cache-control']).toBe('no-store')
      }
      const head = await ask(app.url, path, { method: 'HEAD', headers: IMG })
      expect([head.status, head.body.length, head.headers['content-type']]).toEqual([200, 0, 'image/svg+xml'])
    }
  })
  test.each([
    ['ok', 200, 200],
    ['error', 404, 404],
  ] as const)('placeholderStatus %s', async (placeholderStatus, forImg, forAccept) => {
    const app = await startApp({ ...options, placeholderStatus })
    const [[path] = ['']] = await broken(app)
    expect((await ask(app.url, path, { headers: IMG })).status).toBe(forImg)
    expect((await ask(app.url, path, { headers: { Accept: CHROME } })).status).toBe(forAccept)
    expect((await ask(app.url, path)).status).toBe(404)
  })
  test('has its true status for a cache that asks about its copy, where we fail', async () => {
    const app = await startApp(options)
    const paths = new Map((await broken(app)).map(([path, status]) => [status, path]))
    const asked = { ...IMG, 'If-None-Match': '"abc"' }
    const failing = await ask(app.url, paths.get(502) ?? '', { headers: asked })
    expect([failing.status, failing.headers['content-type']]).toEqual([502, 'image/svg+xml'])
    expect((await ask(app.url, paths.get(404) ?? '', { headers: asked })).status).toBe(200)
  })
  test('is as large as the image would have been, and of its kind', async () => {
    const app = await startApp(options)
    const drawn = async (path: string) => {
      const text = (await ask(app.url, path, { headers: IMG })).body.toString()
      const [, label, width, height] = /aria-label="([^"]*)" width="(\d+)" height="(\d+)"/.exec(text) ?? []
      return [label, Number(width), Number(height)]
    }
    app.origin.serve('/missing.jpg', { status: 404 })
    const at = (variant: string) => `/images/${remoteAddress(`${app.origin.url}/missing.jpg`, variant)}`
    expect(await drawn(at('w300-h200-cover'))).toEqual(['No picture', 300, 200])
    expect(await drawn(at('w320-auto'))).toEqual(['No picture', 320, 320])
    expect(await drawn(at('original'))).toEqual(['No picture', 600, 600])
    expect(await drawn(at('w16000-h8000-cover'))).toEqual(['No picture', 4096, 2048])
    expect(await drawn('/artwork/local/albums/no/none.webp')).toEqual(['No album cover', 600, 600])
    expect(await drawn('/artwork/local/artists/no/none.webp')).toEqual(['No artist picture', 600, 600])
    const films = await startApp({})
    const poster = (
      await ask(films.url, '/images/poster/w342/no.such.thing', { headers: IMG })
    ).body.toString()
    expect(poster).toContain('aria-label="No poster" width="342" height="513"')
  })
  test('is answered anew when the image can be had', async () => {
    const app = await startApp(options)
    const path = `/images/${remoteAddress(`${app.origin.url}/late.jpg`, 'w100')}`
    app.origin.serve('/late.jpg', { status: 404 })
    expect((await ask(app.url, path, { headers: IMG })).headers['content-type']).toBe('image/svg+xml')
    app.origin.serve('/late.jpg', image(await jpeg(200, 100)))
    await app.artwork.images.purge({ address: path.slice('/images/'.length) })
    expect((await ask(app.url, path, { headers: IMG })).headers['content-type']).toBe('image/jpeg')
  })
})

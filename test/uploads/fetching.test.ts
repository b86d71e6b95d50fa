/** Fetching for clients, by URL (PARITY 33, 34). */
import { readFileSync } from 'node:fs'
import type { ArtworkOptions } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { jsonPost, startForClients } from '../support/toolkit.js'

type FetchOptions = NonNullable<ArtworkOptions['fetch']>

interface Fetched {
  readonly data: string
  readonly mime_type: string
}
interface Proxied {
  readonly urls: Record<string, string>
  readonly errors?: Record<string, string>
}
const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())

describe('fetching for others (parity 33)', () => {
  test('a URL is answered as base64 and media type, in the 800 box, and nothing is kept (parity 33)', async () => {
    const app = await startForClients()
    app.origin.serve('/a.jpg', image(await jpeg(2000, 1000)))
    const answer = await app.get('/images/fetch', jsonPost({ url: `${app.origin.url}/a.jpg` }))
    expect(answer.status).toBe(200)
    const { data, mime_type } = (await answer.json()) as Fetched
    expect(mime_type).toBe('image/jpeg')
    expect(await sharp(Buffer.from(data, 'base64')).metadata()).toMatchObject({ width: 800, height: 400 })
    expect(app.artwork.images.stats()).toMatchObject({ names: 0, uploads: { images: 0 } })
    app.origin.serve('/b.png', image(await png(30, 20), 'image/png'))
    const small = (await (
      await app.get('/images/fetch', jsonPost({ url: `${app.origin.url}/b.png` }))
    ).json()) as Fetched
    expect(small.mime_type).toBe('image/png')
    expect(await sharp(Buffer.from(small.data, 'base64')).metadata()).toMatchObject({ width: 30 })
  })
  test('one of our own URLs is answered from what is kept, however it is written (parity 33)', async () => {
    const app = await startForClients()
    const stored = await app.artwork.uploads?.save('photos', await jpeg(900, 300))
    const bytes = await bodyOf(await app.get(stored?.url ?? ''))
    for (const url of [stored?.url, `${app.url}${stored?.url}`]) {
      const answer = await app.get('/images/fetch', jsonPost({ url }))
      expect(answer.status).toBe(200)
      const { data, mime_type } = (await answer.json()) as Fetched
      expect([Buffer.from(data, 'base64').equals(bytes), mime_type]).toEqual([true, 'image/jpeg'])
    }
    expect(
      (await app.get('/images/fetch', jsonPost({ url: `${app.url}/images/photos/${'0'.repeat(32)}` })))
        .status,
    ).toBe(404)
    expect(app.origin.hits()).toBe(0)
  })
  test('what fails upstream is 502, too late 504, no image 415, refused 403, a bad body 422 (parity 33)', async () => {
    const app = await startForClients({ firstByteTimeout: 2000 })
    const { url } = app.origin
    app.origin.serve('/broken', { status: 500 })
    app.origin.serve('/page', image('<html></html>', 'text/html'))
    app.origin.serve('/text', image('not an image', 'image/png'))
    app.origin.serve('/cut', image((await jpeg(300, 300)).subarray(0, 700)))
    app.origin.serve('/slow', () => {})
    for (const [body, status] of [
      [{ url: `${url}/broken` }, 502],
      [{ url: `${url}/missing` }, 502],
      [{ url: 'http://127.0.0.1:1/x.jpg' }, 403],
      [{ url: `${url}/slow` }, 504],
      [{ url: `${url}/page` }, 415],
      [{ url: `${url}/text` }, 415],
      [{ url: `${url}/cut` }, 422],
      [{ url: 'ftp://example.com/a.jpg' }, 403],
      [{ url: 'file:///etc/passwd' }, 403],
      [{ url: 'http://localhost/a.jpg' }, 403],
      [{ url: 'not a url' }, 422],
      [{ url: '' }, 422],
      [{}, 422],
      [{ url: 7 }, 422],
      [{ url: `${url}/page`, pool: 'nobody' }, 422],
      ['text', 422],
    ] as const) {
      const answer = await app.get('/images/fetch', jsonPost(body))
      expect(answer.status, JSON.stringify(body)).toBe(status)
      expect(await answer.json()).toHaveProperty('detail')
    }
  })
  test('many are fetched five at a time, each URL once, and kept; failures stand beside (parity 33)', async () => {
    const app = await startForClients()
    let [running, most] = [0, 0]
    const picture = await jpeg(1000, 500)
    const urls: string[] = []
    for (let index = 0; index < 12; index += 1) {
      const bytes = await jpeg(100 + index, 50)
      urls.push(`${app.origin.url}/p${index}.jpg`)
      app.origin.serve(`/p${index}.jpg`, (_req, res) => {
        running += 1
        most = Math.max(most, running)
        setTimeout(() => {
          running -= 1
          res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes)
        }, 30)
      })
    }
    app.origin.serve('/big.jpg', image(picture))
    app.origin.serve('/page', image('<html></html>', 'text/html'))
    const wanted = [
      ...urls,
      ...urls,
      `${app.origin.url}/big.jpg`,
      `${app.origin.url}/page`,
      `${app.origin.url}/gone`,
      'http://10.0.0.1/a.jpg',
      'nonsense',
    ]
    const answer = await app.get('/images/photos/proxy', jsonPost({ urls: wanted }))
    expect(answer.status).toBe(200)
    const { urls: found, errors } = (await answer.json()) as Proxied
    expect(Object.keys(found).sort()).toEqual([...urls, `${app.origin.url}/big.jpg`].sort())
    expect(errors).toEqual({
      [`${app.origin.url}/page`]: 'unsupported',
      [`${app.origin.url}/gone`]: 'http_404',
      'http://10.0.0.1/a.jpg': 'refused',
      nonsense: 'invalid_url',
    })
    expect(most).toBeLessThanOrEqual(5)
    expect(most).toBeGreaterThan(1)
    for (const url of urls) expect(app.origin.hits(new URL(url).pathname)).toBe(1)
    const stored = await app.get(found[`${app.origin.url}/big.jpg`] ?? '')
    expect(await sharp(await bodyOf(stored)).metadata()).toMatchObject({ width: 800, height: 400 })
  })
  test('none is {}, 101 are 422, our own are answered as they are (parity 33)', async () => {
    const app = await startForClients()
    const empty = await app.get('/images/photos/proxy', jsonPost({ urls: [] }))
    expect([empty.status, await empty.json()]).toEqual([200, { urls: {} }])
    const many = Array.from({ length: 101 }, (_, index) => `${app.origin.url}/${index}`)
    expect((await app.get('/images/photos/proxy', jsonPost({ urls: many }))).status).toBe(422)
    expect((await app.get('/images/photos/proxy', jsonPost({ urls: 'x' }))).status).toBe(422)
    expect((await app.get('/images/_photos/proxy', jsonPost({ urls: [] }))).status).toBe(400)
    const stored = await app.artwork.uploads?.save('photos', await jpeg(90, 30))
    const own = `${app.url}${stored?.url}`
    const lost = `${app.url}/images/photos/${'0'.repeat(32)}`
    const answer = await app.get('/images/photos/proxy', jsonPost({ urls: [own, lost] }))
    expect(await answer.json()).toEqual({ urls: { [own]: stored?.url }, errors: { [lost]: 'http_404' } })
    expect(app.origin.hits()).toBe(0)
  })
})

interface UrlCase {
  readonly id: string
  readonly url: string
  readonly verdict: 'allow' | 'refuse'
  readonly dns?: Record<string, string[]>
  readonly redirects?: readonly { location: string }[]
  readonly policy?: string
  readonly self?: string
  readonly flag?: string
  readonly dnsSequence?: unknown
}

describe('what is refused (parity 34)', () => {
  test('every hostile URL that shows in itself or by its name is refused, and nobody is asked (parity 34)', async () => {
    const text = readFileSync(new URL('../data/hostile/ssrf-urls.json', import.meta.url), 'utf8')
    const { cases } = JSON.parse(text) as { cases: UrlCase[] }
    const refused = cases.filter(
      (one) =>
        one.verdict === 'refuse' &&
        one.redirects === undefined &&
        one.dnsSequence === undefined &&
        one.policy === undefined &&
        one.self === undefined &&
        one.flag === undefined,
    )
    expect(refused.length).toBeGreaterThan(60)
    let dns: Record<string, string[]> = {}
    const lookup = ((name: string, _options: object, done: (error: Error | null, found: unknown) => void) => {
      const found = dns[name] ?? dns['*'] ?? []
      if (found.length === 0) done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])
      else
        done(
          null,
          found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )
    }) as NonNullable<FetchOptions['lookup']>
    const app = await startForClients({ lookup })
    for (const one of refused) {
      dns = one.dns ?? {}
      const answer = await app.get('/images/fetch', jsonPost({ url: one.url }))
      expect([400, 403, 413, 415, 422, 502], `${one.id} ${one.url}`).toContain(answer.status)
      const proxied = await app.get('/images/photos/proxy', jsonPost({ urls: [one.url] }))
      // A URL that is too long is refused with its whole body.
      expect(Object.keys(((await proxied.json()) as Partial<Proxied>).urls ?? {}), one.id).toEqual([])
    }
    expect(app.origin.hits()).toBe(0)
  })
  test('each hop is judged again (parity 34)', async () => {
    const app = await startForClients()
    for (const [index, location] of [
      'http://10.0.0.1/',
      'http://localhost/',
      'file:///etc/passwd',
      'http://169.254.169.254/',
      '//[::1]/',
    ].entries()) {
      app.origin.serve(`/r${index}`, { status: 302, headers: { Location: location } })
      const answer = await app.get('/images/fetch', jsonPost({ url: `${app.origin.url}/r${index}` }))
      expect(answer.status, location).toBe(403)
    }
  })
})

describe('proxy pools (parity 35)', () => {
  test('what is fetched for a namespace keeps its bound', async () => {
    const app = await startForClients({}, { namespaces: { photos: { maxBytes: 1000 } } })
    app.origin.serve('/big.jpg', image(await jpeg(800, 800)))
    const answer = await app.get('/images/photos/proxy', jsonPost({ urls: [`${app.origin.url}/big.jpg`] }))
    expect(await answer.json()).toEqual({ urls: {}, errors: { [`${app.origin.url}/big.jpg`]: 'too_large' } })
    const many = Array.from({ length: 2100 }, (_, index) => `x${index}`)
    const found = await app.artwork.uploads?.proxy('photos', many)
    expect(Object.keys(found?.errors ?? {}).length).toBe(2100)
  })
})

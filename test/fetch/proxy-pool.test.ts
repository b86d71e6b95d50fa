/** Fetching for others, and pools of real proxies (PARITY 33–36). */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ArtworkOptions,
  createArtwork,
  remote,
  tmdb,
  type UploadsOptions,
  uploads,
} from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { anOrigin, quietLogger, startApp, type TestApp, temporaryFolder } from '../support/app.js'
import type { Origin } from '../support/origin.js'
import { image } from '../support/origin.js'
import { jpeg, png } from '../support/pictures.js'
import { httpProxy, socksProxy } from '../support/proxies.js'

type FetchOptions = NonNullable<ArtworkOptions['fetch']>

async function hosting(
  fetchOptions: FetchOptions = {},
  own: UploadsOptions = {},
  given: { origin?: Origin } = {},
): Promise<TestApp> {
  const origin = given.origin ?? (await anOrigin())
  return startApp(
    {
      transform: { isolate: false },
      sources: [
        tmdb({ baseUrl: `${origin.url}/t/p` }),
        remote({ hosts: ['127.0.0.1'] }),
        uploads({ authorize: () => true, ...own }),
      ],
      fetch: { allowPrivate: [origin.host], retries: 0, ...fetchOptions },
    },
    { origin },
  )
}
const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})
interface Fetched {
  readonly data: string
  readonly mime_type: string
}
interface Proxied {
  readonly urls: Record<string, string>
  readonly errors?: Record<string, string>
}
const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())

describe('parity 33: fetching for others', () => {
  test('parity 33: a URL is answered as base64 and media type, in the 800 box, and nothing is kept', async () => {
    const app = await hosting()
    app.origin.serve('/a.jpg', image(await jpeg(2000, 1000)))
    const answer = await app.get('/images/fetch', post({ url: `${app.origin.url}/a.jpg` }))
    expect(answer.status).toBe(200)
    const { data, mime_type } = (await answer.json()) as Fetched
    expect(mime_type).toBe('image/jpeg')
    expect(await sharp(Buffer.from(data, 'base64')).metadata()).toMatchObject({ width: 800, height: 400 })
    expect(app.artwork.images.stats()).toMatchObject({ names: 0, uploads: { images: 0 } })
    app.origin.serve('/b.png', image(await png(30, 20), 'image/png'))
    const small = (await (
      await app.get('/images/fetch', post({ url: `${app.origin.url}/b.png` }))
    ).json()) as Fetched
    expect(small.mime_type).toBe('image/png')
    expect(await sharp(Buffer.from(small.data, 'base64')).metadata()).toMatchObject({ width: 30 })
  })
  test('parity 33: one of our own URLs is answered from what is kept, however it is written', async () => {
    const app = await hosting()
    const stored = await app.artwork.uploads?.save('photos', await jpeg(900, 300))
    const bytes = await bodyOf(await app.get(stored?.url ?? ''))
    for (const url of [stored?.url, `${app.url}${stored?.url}`]) {
      const answer = await app.get('/images/fetch', post({ url }))
      expect(answer.status).toBe(200)
      const { data, mime_type } = (await answer.json()) as Fetched
      expect([Buffer.from(data, 'base64').equals(bytes), mime_type]).toEqual([true, 'image/jpeg'])
    }
    expect(
      (await app.get('/images/fetch', post({ url: `${app.url}/images/photos/${'0'.repeat(32)}` }))).status,
    ).toBe(404)
    expect(app.origin.hits()).toBe(0)
  })
  test('parity 33: what fails upstream is 502, too late 504, no image 415, refused 403, a bad body 422', async () => {
    const app = await hosting({ firstByteTimeout: 150 })
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
      const answer = await app.get('/images/fetch', post(body))
      expect(answer.status, JSON.stringify(body)).toBe(status)
      expect(await answer.json()).toHaveProperty('detail')
    }
  })
  test('parity 33: many are fetched five at a time, each URL once, and kept; failures stand beside', async () => {
    const app = await hosting()
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
    const answer = await app.get('/images/photos/proxy', post({ urls: wanted }))
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
  test('parity 33: none is {}, 101 are 422, our own are answered as they are', async () => {
    const app = await hosting()
    const empty = await app.get('/images/photos/proxy', post({ urls: [] }))
    expect([empty.status, await empty.json()]).toEqual([200, { urls: {} }])
    const many = Array.from({ length: 101 }, (_, index) => `${app.origin.url}/${index}`)
    expect((await app.get('/images/photos/proxy', post({ urls: many }))).status).toBe(422)
    expect((await app.get('/images/photos/proxy', post({ urls: 'x' }))).status).toBe(422)
    expect((await app.get('/images/_photos/proxy', post({ urls: [] }))).status).toBe(400)
    const stored = await app.artwork.uploads?.save('photos', await jpeg(90, 30))
    const own = `${app.url}${stored?.url}`
    const lost = `${app.url}/images/photos/${'0'.repeat(32)}`
    const answer = await app.get('/images/photos/proxy', post({ urls: [own, lost] }))
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

describe('parity 34: what is refused', () => {
  test('parity 34: every hostile URL that is told by itself or by its name is refused, and nobody is asked', async () => {
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
    const app = await hosting({ lookup })
    for (const one of refused) {
      dns = one.dns ?? {}
      const answer = await app.get('/images/fetch', post({ url: one.url }))
      expect([400, 403, 413, 415, 422, 502], `${one.id} ${one.url}`).toContain(answer.status)
      const proxied = await app.get('/images/photos/proxy', post({ urls: [one.url] }))
      // A URL that is too long is refused with its whole body.
      expect(Object.keys(((await proxied.json()) as Partial<Proxied>).urls ?? {}), one.id).toEqual([])
    }
    expect(app.origin.hits()).toBe(0)
  })
  test('parity 34: each hop is judged again', async () => {
    const app = await hosting()
    for (const [index, location] of [
      'http://10.0.0.1/',
      'http://localhost/',
      'file:///etc/passwd',
      'http://169.254.169.254/',
      '//[::1]/',
    ].entries()) {
      app.origin.serve(`/r${index}`, { status: 302, headers: { Location: location } })
      const answer = await app.get('/images/fetch', post({ url: `${app.origin.url}/r${index}` }))
      expect(answer.status, location).toBe(403)
    }
  })
})

describe('parity 36: retries', () => {
  test('parity 36: three on 429, 5xx and time-outs, none on other 4xx', async () => {
    const app = await hosting({ retries: 3, firstByteTimeout: 100 })
    const tries = async (path: string): Promise<number> => {
      await app.get('/images/fetch', post({ url: app.origin.url + path }))
      return app.origin.hits(path)
    }
    app.origin.serve('/500', { status: 500 })
    app.origin.serve('/429', { status: 429, headers: { 'Retry-After': '0' } })
    app.origin.serve('/403', { status: 403 })
    app.origin.serve('/slow', () => {})
    expect([await tries('/500'), await tries('/slow'), await tries('/403'), await tries('/404')]).toEqual([
      4, 4, 1, 1,
    ])
  })
})

describe('parity 35: proxy pools', () => {
  const once = async (app: TestApp, pool?: string, path = '/a.jpg'): Promise<number> =>
    (
      await app.get(
        '/images/fetch',
        post({ url: app.origin.url + path, ...(pool !== undefined && { pool }) }),
      )
    ).status
  const withPicture = async (options: FetchOptions, own: UploadsOptions = {}): Promise<TestApp> => {
    const app = await hosting(options, own)
    app.origin.serve('/a.jpg', image(await jpeg(40, 30)))
    return app
  }

  test('parity 35: named pools from URLs and files, in turn; no pool named is all of them', async () => {
    const [one, two, three] = [await httpProxy(), await httpProxy('user:secret'), await socksProxy()]
    const file = join(await temporaryFolder(), 'proxies.txt')
    await writeFile(file, `# foreign ones\n\n${three.url}\n`)
    const app = await withPicture({
      proxies: { pools: { home: [one.url, two.url] }, files: { foreign: file } },
    })
    for (let time = 0; time < 4; time += 1) expect(await once(app, 'home')).toBe(200)
    expect([one.seen.length, two.seen.length, three.seen.length]).toEqual([2, 2, 0])
    expect(two.credentials).toEqual(['user:secret', 'user:secret'])
    expect(await once(app, 'foreign')).toBe(200)
    expect(three.seen).toEqual([`SOCKS ${app.origin.host}`])
    for (let time = 0; time < 3; time += 1) expect(await once(app)).toBe(200)
    expect(app.artwork.images.stats().proxies.map(({ succeeded }) => succeeded)).toEqual([3, 3, 2])
    expect(await once(app, 'nobody')).toBe(422)
    const status = JSON.stringify(app.artwork.images.stats().proxies)
    expect(status).not.toContain('secret')
    expect(status).toContain(`http://${new URL(two.url).host}`)
  })
  test('parity 35: random takes any of them', async () => {
    const all = [await httpProxy(), await httpProxy()]
    const app = await withPicture({
      proxies: { pools: { home: all.map(({ url }) => url) }, strategy: 'random' },
    })
    for (let time = 0; time < 40; time += 1) expect(await once(app)).toBe(200)
    for (const proxy of all) expect(proxy.seen.length).toBeGreaterThan(3)
  })
  test.each([
    ['is not there', undefined],
    ['cuts', { cut: true }],
    ['refuses', { status: 407 }],
    ['answers 502', { status: 502 }],
    ['answers nothing', { hang: true }],
  ] as const)(
    'parity 35: a proxy that %s costs a retry, rests after three failures for 300 s, and comes back',
    async (_how, how) => {
      const [bad, good] = [await httpProxy(), await httpProxy()]
      if (how !== undefined) bad.behave(how)
      const dead = how === undefined ? 'http://127.0.0.1:9' : bad.url
      const app = await withPicture({
        retries: 1,
        firstByteTimeout: 200,
        connectTimeout: 200,
        proxies: { pools: { home: [dead, good.url] } },
      })
      for (let time = 0; time < 10; time += 1) expect(await once(app)).toBe(200)
      const resting = () =>
        app.artwork.images.stats().proxies.filter(({ restingUntil }) => restingUntil !== undefined)
      expect(resting().map(({ proxy }) => proxy)).toEqual([new URL(dead).origin])
      expect(resting()[0]?.failed).toBe(3)
      const tries = bad.seen.length
      for (let time = 0; time < 5; time += 1) expect(await once(app)).toBe(200)
      expect(bad.seen.length).toBe(tries)
      app.clock.now += 300_001
      bad.behave({})
      for (let time = 0; time < 2; time += 1) expect(await once(app)).toBe(200)
      expect(resting()).toEqual([])
      if (how !== undefined) expect(bad.seen.length).toBe(tries + 1)
    },
  )
  test('parity 35: a success resets the count', async () => {
    const proxy = await httpProxy()
    const app = await withPicture({ proxies: { pools: { home: [proxy.url] } } })
    for (const isBad of [true, true, false, true, true]) {
      proxy.behave(isBad ? { cut: true } : {})
      expect(await once(app)).toBe(isBad ? 502 : 200)
    }
    expect(app.artwork.images.stats().proxies[0]?.restingUntil).toBeUndefined()
  })
  test('parity 35: while all rest it is 503 with Retry-After, and direct only where that was asked for', async () => {
    const app = await withPicture({ proxies: { home: ['http://127.0.0.1:9'] } })
    for (let time = 0; time < 3; time += 1) expect(await once(app)).toBe(502)
    const answer = await app.get('/images/fetch', post({ url: `${app.origin.url}/a.jpg` }))
    expect([answer.status, Number(answer.headers.get('retry-after'))]).toEqual([503, 300])
    expect(app.origin.hits()).toBe(0)
    const direct = await withPicture({ proxies: { pools: { home: ['http://127.0.0.1:9'] }, direct: true } })
    for (let time = 0; time < 3; time += 1) await once(direct)
    expect(await once(direct)).toBe(200)
  })
  test('a source that fails through every proxy is to blame, not the proxies', async () => {
    const both = [await httpProxy(), await httpProxy()]
    const app = await hosting({ retries: 1, proxies: { pools: { home: both.map(({ url }) => url) } } })
    app.origin.serve('/down', { status: 503 })
    for (let time = 0; time < 5; time += 1) expect(await once(app, 'home', '/down')).toBe(502)
    expect(app.artwork.images.stats().proxies.every(({ restingUntil }) => restingUntil === undefined)).toBe(
      true,
    )
  })
  test('a failing proxy does not rest the hosts behind it', async () => {
    const app = await withPicture({
      retries: 0,
      proxies: { pools: { home: ['http://127.0.0.1:9'] }, restAfter: 100 },
    })
    for (let time = 0; time < 15; time += 1) expect(await once(app)).toBe(502)
    expect(app.artwork.images.stats().restingHosts).toEqual([])
  })
  test('sources may name a pool, the state is one for all, and those that name none go directly', async () => {
    const origin = await anOrigin()
    const proxy = await httpProxy()
    const bytes = await jpeg(40, 30)
    origin.serve('/t/p/w342/a.jpg', image(bytes))
    origin.serve('/r.jpg', image(bytes))
    const app = await startApp(
      {
        transform: { isolate: false },
        sources: [tmdb({ baseUrl: `${origin.url}/t/p`, pool: 'home' }), remote({ hosts: ['127.0.0.1'] })],
        fetch: { proxies: { home: [proxy.url] } },
      },
      { origin },
    )
    expect((await app.get('/images/poster/w342/a.jpg')).status).toBe(200)
    expect(proxy.seen).toEqual([`GET ${origin.url}/t/p/w342/a.jpg`])
    expect(
      (await app.get(`/images/remote/original/${Buffer.from(`${origin.url}/r.jpg`).toString('base64url')}`))
        .status,
    ).toBe(200)
    expect(proxy.seen.length).toBe(1)
  })
  test('names are resolved by the proxy, or here, where every address of theirs is judged first', async () => {
    const origin = await anOrigin()
    origin.serve('/a.jpg', image(await jpeg(40, 30)))
    const port = Number(origin.host.split(':')[1])
    const lookups: string[] = []
    const answers: Record<string, string> = { 'cdn.test': '93.184.216.34', 'evil.test': '10.0.0.7' }
    const lookup = ((name: string, options: { all?: boolean }, done: (...args: unknown[]) => void) => {
      lookups.push(name)
      const address = answers[name] ?? '93.184.216.34'
      if (options.all) done(null, [{ address, family: 4 }])
      else done(null, address, 4)
    }) as NonNullable<FetchOptions['lookup']>
    for (const kind of ['http', 'socks'] as const)
      for (const resolve of ['proxy', 'here'] as const) {
        const proxy = kind === 'http' ? await httpProxy() : await socksProxy()
        const app = await hosting(
          { ports: [80, 443, port], lookup, proxies: { pools: { home: [proxy.url] }, resolve } },
          {},
          { origin },
        )
        lookups.length = 0
        const ask = async (host: string) =>
          (await app.get('/images/fetch', post({ url: `http://${host}:${port}/a.jpg` }))).status
        expect(await ask('cdn.test'), `${kind} ${resolve}`).toBe(200)
        const seen =
          kind === 'http'
            ? resolve === 'here'
              ? 'CONNECT 93.184.216.34'
              : 'GET http://cdn.test'
            : resolve === 'here'
              ? 'SOCKS 93.184.216.34'
              : 'SOCKS cdn.test'
        expect(proxy.seen).toEqual([expect.stringContaining(seen)])
        expect(lookups).toEqual(resolve === 'here' ? ['cdn.test'] : [])
        // What the URL itself tells is judged in any case.
        expect(await ask('10.0.0.7')).toBe(403)
        expect(await ask('localhost')).toBe(403)
        if (resolve === 'here') expect(await ask('evil.test')).toBe(403)
        expect(proxy.seen.length).toBe(1)
      }
  })
  test('a file that changes is read again; one that is not there stops the start, and so does a bad URL, without its password', async () => {
    const [one, two] = [await httpProxy(), await httpProxy()]
    const file = join(await temporaryFolder(), 'proxies.txt')
    await writeFile(file, one.url)
    const app = await withPicture({ proxies: { files: { foreign: file } } })
    expect(await once(app, 'foreign')).toBe(200)
    await writeFile(file, new URL(two.url).host)
    app.clock.now += 60_000
    expect(await once(app, 'foreign')).toBe(200)
    expect([one.seen.length, two.seen.length]).toEqual([1, 1])
    const start = (proxies: FetchOptions['proxies']) =>
      createArtwork({
        directory: file,
        logger: quietLogger(),
        fetch: { ...(proxies !== undefined && { proxies }) },
      })
    await expect(start({ files: { foreign: '/nowhere.txt' } })).rejects.toThrow(
      /fetch\.proxies\.files\.foreign .*nowhere/,
    )
    const failure = await start({ home: ['gopher://user:secret@proxy.example.com'] }).catch((error) => error)
    expect(failure.message).toMatch(/fetch\.proxies\.pools\.home must be .*proxy\.example\.com/)
    expect(failure.message).not.toContain('secret')
    await expect(start({ pools: {}, restAfter: 0 })).rejects.toThrow(/fetch\.proxies\.restAfter/)
  })
  test('what a source answers through a tunnel is its own, whatever the status', async () => {
    const all = [await socksProxy(), await socksProxy()]
    const app = await hosting({ retries: 1, proxies: { pools: { home: all.map(({ url }) => url) } } })
    app.origin.serve('/407', { status: 407 })
    app.origin.serve('/503', { status: 503, headers: { 'Retry-After': '60' } })
    for (let time = 0; time < 5; time += 1) {
      expect(await once(app, 'home', '/407')).toBe(502)
      expect(await once(app, 'home', '/503')).toBe(502)
    }
    expect(app.artwork.images.stats().proxies.every(({ restingUntil }) => restingUntil === undefined)).toBe(
      true,
    )
  })
  test('a proxy that says nothing is let go, and so is one that left its file', async () => {
    const [mute, one] = [await httpProxy(), await httpProxy()]
    mute.behave({ hang: true })
    const app = await withPicture({
      connectTimeout: 100,
      firstByteTimeout: 150,
      ports: [80, 443],
      proxies: { pools: { home: [mute.url] }, restAfter: 100 },
    })
    for (let time = 0; time < 3; time += 1) {
      const url = 'https://cdn.example.com/a.jpg'
      expect((await app.get('/images/fetch', post({ url }))).status).toBe(502)
    }
    expect(mute.seen.every((line) => line.startsWith('CONNECT'))).toBe(true)
    await expect.poll(mute.open, { timeout: 3000 }).toBe(0)
    const file = join(await temporaryFolder(), 'proxies.txt')
    const changing = await withPicture({ proxies: { files: { foreign: file } } }).catch(
      (error: Error) => error,
    )
    expect(String(changing)).toMatch(/must be a file that can be read/)
    await writeFile(file, one.url)
    const later = await withPicture({ proxies: { files: { foreign: file } } })
    for (const index of [1, 2, 3]) {
      await writeFile(file, `${one.url}\nhttp://127.0.0.1:${index}`)
      later.clock.now += 60_000
      await once(later)
      expect(later.artwork.images.stats().proxies.map(({ proxy }) => proxy)).toEqual([
        new URL(one.url).origin,
        `http://127.0.0.1:${index}`,
      ])
    }
    // An empty file is no leave to go directly.
    await writeFile(file, '')
    later.clock.now += 60_000
    const hits = later.origin.hits()
    expect(await once(later)).toBe(503)
    expect(later.origin.hits()).toBe(hits)
  })
  test('a source that names a pool which is not there stops the start', async () => {
    const directory = await temporaryFolder()
    await expect(
      createArtwork({ directory, logger: quietLogger(), sources: [uploads({ pool: 'tor' })] }),
    ).rejects.toThrow(/uploads\.pool must name a pool of fetch\.proxies, got "tor"/)
  })
  test('what is fetched for a namespace keeps its bound', async () => {
    const app = await hosting({}, { namespaces: { photos: { maxBytes: 1000 } } })
    app.origin.serve('/big.jpg', image(await jpeg(800, 800)))
    const answer = await app.get('/images/photos/proxy', post({ urls: [`${app.origin.url}/big.jpg`] }))
    expect(await answer.json()).toEqual({ urls: {}, errors: { [`${app.origin.url}/big.jpg`]: 'too_large' } })
    const many = Array.from({ length: 2100 }, (_, index) => `x${index}`)
    const found = await app.artwork.uploads?.proxy('photos', many)
    expect(Object.keys(found?.errors ?? {}).length).toBe(2100)
  })
})

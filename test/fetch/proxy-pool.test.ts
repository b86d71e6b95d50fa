/** Retries, and pools of real proxies (PARITY 35, 36). */
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
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { httpProxy, socksProxy } from '../support/proxies.js'
import {
  anOrigin,
  jsonPost,
  quietLogger,
  startApp,
  startForClients,
  type TestApp,
  temporaryFolder,
} from '../support/toolkit.js'

type FetchOptions = NonNullable<ArtworkOptions['fetch']>

describe('retries (parity 36)', () => {
  test('three on 429, 5xx and time-outs, none on other 4xx (parity 36)', async () => {
    const app = await startForClients({ retries: 3, firstByteTimeout: 1000 })
    const tries = async (path: string): Promise<number> => {
      await app.get('/images/fetch', jsonPost({ url: app.origin.url + path }))
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

describe('proxy pools (parity 35)', () => {
  const once = async (app: TestApp, pool?: string, path = '/a.jpg'): Promise<number> =>
    (
      await app.get(
        '/images/fetch',
        jsonPost({ url: app.origin.url + path, ...(pool !== undefined && { pool }) }),
      )
    ).status
  const withPicture = async (options: FetchOptions, own: UploadsOptions = {}): Promise<TestApp> => {
    const app = await startForClients(options, own)
    app.origin.serve('/a.jpg', image(await jpeg(40, 30)))
    return app
  }

  test('named pools from URLs and files, in turn; no pool named is all of them (parity 35)', async () => {
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
  test('random takes any of them (parity 35)', async () => {
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
    'a proxy that %s costs a retry, rests after three failures for 300 s, and comes back (parity 35)',
    async (_how, how) => {
      const [bad, good] = [await httpProxy(), await httpProxy()]
      if (how !== undefined) bad.behave(how)
      const dead = how === undefined ? 'http://127.0.0.1:9' : bad.url
      const app = await withPicture({
        retries: 1,
        firstByteTimeout: 2000,
        connectTimeout: 2000,
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
  test('a success resets the count (parity 35)', async () => {
    const proxy = await httpProxy()
    const app = await withPicture({ proxies: { pools: { home: [proxy.url] } } })
    for (const isBad of [true, true, false, true, true]) {
      proxy.behave(isBad ? { cut: true } : {})
      expect(await once(app)).toBe(isBad ? 502 : 200)
    }
    expect(app.artwork.images.stats().proxies[0]?.restingUntil).toBeUndefined()
  })
  test('while all rest it is 503 with Retry-After, and direct only where that was asked for (parity 35)', async () => {
    const app = await withPicture({ proxies: { home: ['http://127.0.0.1:9'] } })
    for (let time = 0; time < 3; time += 1) expect(await once(app)).toBe(502)
    const answer = await app.get('/images/fetch', jsonPost({ url: `${app.origin.url}/a.jpg` }))
    expect([answer.status, Number(answer.headers.get('retry-after'))]).toEqual([503, 300])
    expect(app.origin.hits()).toBe(0)
    const direct = await withPicture({ proxies: { pools: { home: ['http://127.0.0.1:9'] }, direct: true } })
    for (let time = 0; time < 3; time += 1) await once(direct)
    expect(await once(direct)).toBe(200)
  })
  test('a source that fails through every proxy is to blame, not the proxies', async () => {
    const both = [await httpProxy(), await httpProxy()]
    const app = await startForClients({
      retries: 1,
      proxies: { pools: { home: both.map(({ url }) => url) } },
    })
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
        const app = await startForClients(
          { ports: [80, 443, port], lookup, proxies: { pools: { home: [proxy.url] }, resolve } },
          {},
          { origin },
        )
        lookups.length = 0
        const ask = async (host: string) =>
          (await app.get('/images/fetch', jsonPost({ url: `http://${host}:${port}/a.jpg` }))).status
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
    const app = await startForClients({ retries: 1, proxies: { pools: { home: all.map(({ url }) => url) } } })
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
      firstByteTimeout: 10_000,
      ports: [80, 443],
      proxies: { pools: { home: [mute.url] }, restAfter: 100 },
    })
    for (let time = 0; time < 3; time += 1) {
      const url = 'https://cdn.example.com/a.jpg'
      expect((await app.get('/images/fetch', jsonPost({ url }))).status).toBe(502)
    }
    expect(mute.seen.every((line) => line.startsWith('CONNECT'))).toBe(true)
    await expect.poll(mute.open, { timeout: 20_000 }).toBe(0)
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
})

/** A crowd that asks for one picture that is new: it waits in front of Express, or of the routers, and has the same answer. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http'
import express, { type RequestHandler } from 'express'
import { remote, signAddress } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.js'
import { jpeg } from '../../support/images.js'
import { anOrigin, listen, remoteAddress, startApp } from '../../support/toolkit.js'

const POSTER = '/images/poster/w342-webp/a.jpg'
const UPSTREAM = '/t/p/w342/a.jpg'
const CROWD = 40

/** An origin that answers when it is let, and an app that counts who enters it. */
async function startHeld(
  options: Parameters<typeof startApp>[0] = {},
  {
    isBare = false,
    status = 200,
    before = (_req, _res, next) => next(),
  }: { isBare?: boolean; status?: number; before?: RequestHandler } = {},
) {
  const set = await startApp({
    transform: { isolate: false, formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
    ...options,
  })
  const entered: string[] = []
  const app = express()
  app.disable('x-powered-by')
  app.use(before)
  app.use((req, _res, next) => {
    entered.push(req.originalUrl)
    next()
  })
  app.use(set.artwork.router)
  const handler = isBare ? app : set.artwork.listener(app)
  let received = 0
  const { url } = await listen((req, res) => {
    received += 1
    handler(req, res)
  })
  const bytes = await jpeg(342, 513)
  let release = (): void => {}
  const isReleased = new Promise<void>((resolve) => {
    release = resolve
  })
  let givenUp = 0
  const held = (_req: IncomingMessage, res: ServerResponse): void => {
    res.on('close', () => {
      if (!res.writableFinished) givenUp += 1
    })
    void isReleased.then(() =>
      res.writeHead(status, { 'Content-Type': 'image/jpeg', 'Content-Length': bytes.length }).end(bytes),
    )
  }
  set.origin.serve(UPSTREAM, held)
  const ask = async (path = POSTER, init?: RequestInit) => {
    const answer = await fetch(url + path, { redirect: 'manual', ...init })
    return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) }
  }
  /** A request that can be ended, and whether it was. */
  const open = (path = POSTER): ClientRequest => {
    const asked = request(url + path)
    asked.on('error', () => {})
    asked.end()
    return asked
  }
  return {
    ...set,
    url,
    entered,
    held,
    release,
    ask,
    open,
    asked: () => set.origin.hits(UPSTREAM),
    givenUp: () => givenUp,
    /** Waits until so many requests have come to the server, and the first of them to upstream. */
    come: (count: number) =>
      eventually(() => {
        expect(received).toBe(count)
        expect(set.origin.hits()).toBeGreaterThan(0)
      }),
  }
}
const closed = (asked: ClientRequest) => new Promise<void>((resolve) => asked.once('close', resolve))
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)

describe('a crowd that asks for one new picture', () => {
  test('enters the app once, asks upstream once, and has one answer, in whatever form each wants it', async () => {
    const { ask, come, release, entered, asked } = await startHeld()
    const first = ask()
    await come(1)
    const crowd = times(CROWD, () => ask())
    const special = [
      ask(POSTER, { method: 'HEAD' }),
      ask(POSTER, { headers: { Range: 'bytes=0-9' } }),
      ask(POSTER, { headers: { 'If-None-Match': '*' } }),
    ] as const
    await come(1 + CROWD + special.length)
    release()
    const { status, headers, body } = await first
    expect(status).toBe(200)
    const fields = (of: Headers) => [...of].filter(([name]) => !/^(?:date|age|cache-status)$/.test(name))
    for (const one of await Promise.all(crowd)) {
      expect(one.status).toBe(200)
      expect(one.body.equals(body)).toBe(true)
      expect(fields(one.headers)).toEqual(fields(headers))
    }
    const [head, part, condition] = await Promise.all(special)
    expect([head.status, head.body.length, head.headers.get('content-length')]).toEqual([
      200,
      0,
      String(body.length),
    ])
    expect([part.status, part.body.equals(body.subarray(0, 10))]).toEqual([206, true])
    expect([condition.status, condition.body.length]).toEqual([304, 0])
    expect(asked()).toBe(1)
    expect(entered).toEqual([POSTER])
  })
  test('without the listener it waits in front of the routers', async () => {
    const { ask, come, release, entered, asked } = await startHeld({}, { isBare: true })
    const all = [ask()]
    await come(1)
    all.push(...times(CROWD, () => ask()))
    await come(1 + CROWD)
    release()
    const bodies = (await Promise.all(all)).map(({ status, body }) => `${status} ${body.toString('base64')}`)
    expect(new Set(bodies).size).toBe(1)
    expect(bodies[0]).toMatch(/^200 /)
    expect(asked()).toBe(1)
    // The app is entered, and what is in front of the routers is passed.
    expect(entered).toHaveLength(1 + CROWD)
  })
  test('each is counted, and says that it was answered together with another', async () => {
    const { ask, come, release, artwork } = await startHeld({ cacheStatus: true })
    const first = ask()
    await come(1)
    const crowd = times(3, () => ask())
    await come(4)
    release()
    expect((await first).headers.get('cache-status')).toMatch(/fwd=miss; fwd-status=200/)
    for (const { headers } of await Promise.all(crowd))
      expect(headers.get('cache-status')).toMatch(/fwd=miss; collapsed/)
    expect(artwork.images.stats().requests).toMatchObject({ misses: 1, memoryHits: 3 })
  })
  test('goes on to the app where there is no answer to share: all have the failure', async () => {
    const { ask, come, release, entered, asked } = await startHeld({}, { status: 404 })
    const first = ask()
    await come(1)
    const crowd = times(CROWD, () => ask())
    await come(1 + CROWD)
    release()
    const statuses = (await Promise.all([first, ...crowd])).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([404]))
    expect(entered).toHaveLength(1 + CROWD)
    expect(asked()).toBe(1)
  })
})

describe('what is shared', () => {
  test('is nothing that was begun before a purge: who comes after it enters the app', async () => {
    const { ask, come, release, artwork, entered } = await startHeld()
    const all = [ask()]
    await come(1)
    all.push(ask())
    await come(2)
    expect(entered).toHaveLength(1)
    await artwork.images.purge({ address: 'poster/w342-webp/a.jpg' })
    all.push(ask())
    await eventually(() => expect(entered).toHaveLength(2))
    release()
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200, 200])
  })
  test('is nothing that was made of what has changed since', async () => {
    const { ask, release, artwork, entered, held, origin } = await startHeld()
    origin.serve(UPSTREAM, { headers: { 'Content-Type': 'image/jpeg' }, body: await jpeg(342, 513) })
    await artwork.images.put('poster/w342/a.jpg', await jpeg(342, 513))
    await artwork.images.purge({ address: 'poster/w342-webp/a.jpg' })
    origin.serve(UPSTREAM, held)
    const first = ask()
    await eventually(() => expect(entered).toHaveLength(1))
    await artwork.images.put('poster/w342/a.jpg', await jpeg(342, 400, 7))
    const second = ask()
    await eventually(() => expect(entered).toHaveLength(2))
    release()
    expect([(await first).status, (await second).status]).toEqual([200, 200])
  })
  test('is no answer whose URL expires', async () => {
    const key = 'a-signing-key-of-some-length'
    const { ask, release, entered } = await startHeld({ signing: { keys: [key] } })
    const path = signAddress(POSTER, key, { expires: new Date(Date.now() + 3_600_000) })
    const all = [ask(path), ask(path)]
    await eventually(() => expect(entered).toHaveLength(2))
    release()
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200])
  })
  test('goes out in the context of each request, and what one of them throws is its own', async () => {
    const context = new AsyncLocalStorage<string>()
    const seen: (string | undefined)[] = []
    const { come, release, ask, entered } = await startHeld(
      {},
      {
        isBare: true,
        before: (req, res, next) => {
          const user = String(req.headers['x-user'])
          const { writeHead } = res
          res.writeHead = ((...args: Parameters<typeof writeHead>) => {
            seen.push(context.getStore())
            if (user === 'mallory') throw new Error('this one fails')
            return writeHead.apply(res, args)
          }) as typeof writeHead
          context.run(user, next)
        },
      },
    )
    const as = (user: string) => ask(POSTER, { headers: { 'X-User': user } }).then(({ status }) => status)
    const first = as('ann')
    await come(1)
    const mallory = as('mallory').catch(() => 'failed')
    const bob = as('bob')
    await come(3)
    await eventually(() => expect(entered).toHaveLength(3))
    release()
    expect(await Promise.all([first, bob])).toEqual([200, 200])
    expect(await mallory).not.toBe(200)
    expect(new Set(seen)).toEqual(new Set(['ann', 'mallory', 'bob']))
  })
  test('is waited for once: who has had a failure goes on, and waits for no other', async () => {
    const { ask, come, release, entered, asked } = await startHeld({}, { status: 503 })
    const first = ask()
    await come(1)
    const crowd = times(5, () => ask())
    await come(6)
    release()
    const statuses = (await Promise.all([first, ...crowd])).map(({ status }) => status)
    expect(statuses.every((status) => status >= 500)).toBe(true)
    expect(entered).toHaveLength(6)
    expect(asked()).toBeGreaterThan(0)
  })
})

describe('who leaves', () => {
  test('first costs the others nothing: the picture is still asked for once', async () => {
    const { ask, open, come, release, asked, givenUp } = await startHeld()
    const first = open()
    await come(1)
    const crowd = times(3, () => ask())
    await come(4)
    first.destroy()
    await closed(first)
    // The server has seen it go once it answers another request.
    expect((await ask('/nothing')).status).toBe(404)
    expect(givenUp()).toBe(0)
    release()
    expect((await Promise.all(crowd)).map(({ status }) => status)).toEqual([200, 200, 200])
    expect([asked(), givenUp()]).toEqual([1, 0])
  })
  test('last ends the request to upstream', async () => {
    const { open, come, givenUp, asked } = await startHeld()
    const all = [open()]
    await come(1)
    all.push(open(), open())
    await come(3)
    for (const one of all) one.destroy()
    await eventually(() => expect(givenUp()).toBe(1))
    expect(asked()).toBe(1)
  })
  test('of those who wait is not answered, and holds nothing up', async () => {
    const { ask, open, come, release } = await startHeld()
    const first = ask()
    await come(1)
    const left = open()
    const other = ask()
    await come(3)
    left.destroy()
    await closed(left)
    release()
    expect([(await first).status, (await other).status]).toEqual([200, 200])
  })
})

describe('who does not wait', () => {
  test('who asks for what is held: 504 at once', async () => {
    const { ask, come, release } = await startHeld()
    const first = ask()
    await come(1)
    expect((await ask(POSTER, { headers: { 'Cache-Control': 'only-if-cached' } })).status).toBe(504)
    release()
    expect((await first).status).toBe(200)
  })
  test('who asks with another Accept enters the app', async () => {
    const auto = POSTER.replace('-webp', '-auto')
    const { ask, come, release, entered, asked } = await startHeld()
    const all = [ask(auto, { headers: { Accept: 'image/webp' } })]
    await come(1)
    all.push(
      ask(auto, { headers: { Accept: 'image/webp' } }),
      ask(auto, { headers: { Accept: 'image/jpeg' } }),
    )
    await come(3)
    release()
    const types = (await Promise.all(all)).map(({ headers }) => headers.get('content-type'))
    expect(types).toEqual(['image/webp', 'image/webp', 'image/jpeg'])
    expect([entered.length, asked()]).toEqual([2, 1])
  })
  test('a request that came from ourselves: 403 at once', async () => {
    const { ask, come, release, origin } = await startHeld()
    const first = ask()
    await come(1)
    const via = origin.seen[0]?.headers.via ?? ''
    expect(via).toMatch(/express-artwork/)
    expect((await ask(POSTER, { headers: { Via: via } })).status).toBe(403)
    release()
    expect((await first).status).toBe(200)
  })
  test('who needs to be allowed: each is judged by itself', async () => {
    const origin = await anOrigin()
    const judged: string[] = []
    const { url, entered, held, release } = await startHeld({
      sources: [
        remote({
          hosts: ['127.0.0.1'],
          private: true,
          authorize: ({ headers }) => {
            judged.push(String(headers.cookie))
            return headers.cookie === 'user=ann'
          },
        }),
      ],
      fetch: { allowPrivate: [origin.host] },
    })
    origin.serve('/a.jpg', held)
    const path = `/images/${remoteAddress(`${origin.url}/a.jpg`, 'w320-webp')}`
    const as = async (cookie: string) => (await fetch(url + path, { headers: { Cookie: cookie } })).status
    const ann = as('user=ann')
    await eventually(() => expect(origin.hits('/a.jpg')).toBe(1))
    expect(await as('user=bob')).toBe(403)
    const again = as('user=ann')
    await eventually(() => expect(judged).toEqual(['user=ann', 'user=bob', 'user=ann']))
    release()
    expect([await ann, await again]).toEqual([200, 200])
    expect(entered).toHaveLength(3)
    expect(origin.hits('/a.jpg')).toBe(1)
  })
  test('with `private` nobody does', async () => {
    const { ask, come, release, entered } = await startHeld({ private: true })
    const first = ask()
    await come(1)
    const second = ask()
    await eventually(() => expect(entered).toHaveLength(2))
    release()
    expect([(await first).status, (await second).status]).toEqual([200, 200])
  })
  test('what is mounted by the app itself, or rewritten', async () => {
    const set = await startApp({ transform: { isolate: false } })
    let entered = 0
    const app = express()
    app.use((req, _res, next) => {
      entered += 1
      if (req.url.startsWith('/old')) req.url = req.url.replace('/old', '')
      next()
    })
    app.use('/elsewhere', set.artwork.imagesRouter)
    app.use(set.artwork.router)
    const { url } = await listen(set.artwork.listener(app))
    let release = (): void => {}
    const isReleased = new Promise<void>((resolve) => {
      release = resolve
    })
    const bytes = await jpeg(342, 513)
    set.origin.serve(UPSTREAM, (_req, res) => {
      void isReleased.then(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes))
    })
    const paths = [`/old${POSTER}`, POSTER.replace('/images', '/elsewhere')]
    const all = paths.flatMap((path) => [fetch(url + path), fetch(url + path)])
    await eventually(() => expect(entered).toBe(4))
    release()
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(set.origin.hits(UPSTREAM)).toBe(1)
  })
})

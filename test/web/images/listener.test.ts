/** The listener before Express: what it answers, what it must leave to the app, and when it must forget. */

import { access, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import express from 'express'
import { signAddress } from 'express-artwork'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { eventually } from '../../support/eventually.js'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { listen, remoteAddress, startApp } from '../../support/toolkit.js'

const POSTER = '/images/poster/w342/a.jpg'
const KEY = 'a-signing-key-of-some-length'

/** An app that counts what it sees, behind the listener. */
async function startBehindListener(
  options: Parameters<typeof startApp>[0] = {},
  given: Parameters<typeof startApp>[1] = {},
) {
  const set = await startApp({ transform: { isolate: false }, ...options }, given)
  const seen: string[] = []
  const app = express()
  app.disable('x-powered-by')
  app.use((req, _res, next) => {
    seen.push(req.originalUrl)
    next()
  })
  app.use(set.artwork.router)
  app.use('/elsewhere', set.artwork.imagesRouter)
  app.get('/page', (_req, res) => void res.send('a page'))
  const { url } = await listen(set.artwork.listener(app))
  set.origin.serve('/t/p/w342/a.jpg', image(await jpeg(342, 513)))
  const get = (path: string, init?: RequestInit) => fetch(url + path, { redirect: 'manual', ...init })
  return {
    ...set,
    url,
    get,
    seen,
    /** Whether the app saw the request, and what came. */
    ask: async (path: string, init?: RequestInit) => {
      const before = seen.length
      const answer = await get(path, init)
      const body = Buffer.from(await answer.arrayBuffer())
      return { status: answer.status, headers: answer.headers, body, entered: seen.length > before }
    },
  }
}

/** Asks until the listener answers: not before a picture is stored, which an answer does not wait for on a slow disk. */
const becomeHot = <T extends { readonly entered: boolean }>(
  ask: (path: string) => Promise<T>,
  path: string,
) =>
  eventually(async () => {
    const answer = await ask(path)
    expect(answer).toMatchObject({ status: 200, entered: false })
    return answer
  })

test('a miss, a first hit and everything that is no picture go to the app; then memory answers before it', async () => {
  const { ask } = await startBehindListener()
  expect(await ask(POSTER)).toMatchObject({ status: 200, entered: true })
  expect(await ask(POSTER)).toMatchObject({ status: 200, entered: true })
  await becomeHot(ask, POSTER)
  expect(await ask(POSTER, { method: 'HEAD' })).toMatchObject({ status: 200, entered: false })
  expect(await ask(POSTER, { method: 'POST' })).toMatchObject({ status: 405, entered: true })
  expect(await ask(POSTER, { method: 'OPTIONS' })).toMatchObject({ status: 204, entered: true })
  expect(await ask('/page')).toMatchObject({ status: 200, entered: true })
  expect(await ask('/nothing')).toMatchObject({ status: 404, entered: true })
})

test('what the table gives is what the router gave: status, fields and bytes', async () => {
  const { ask } = await startBehindListener({ cacheTags: true })
  for (const path of [POSTER, '/images/poster/w342-webp/a.jpg', '/images/poster/w342-auto/a.jpg']) {
    const fields = ({ headers }: Awaited<ReturnType<typeof ask>>) =>
      [...headers].filter(([name]) => name !== 'date' && name !== 'age')
    let routed = await ask(path)
    let laned = await ask(path)
    await eventually(async () => {
      if (laned.entered) [routed, laned] = [laned, await ask(path)]
      expect(laned.entered).toBe(false)
    })
    expect([routed.entered, laned.entered]).toEqual([true, false])
    expect(fields(laned)).toEqual(fields(routed))
    expect(laned.body.equals(routed.body)).toBe(true)
  }
})

test('hits through the listener are counted, and use the picture', async () => {
  const { ask, artwork } = await startBehindListener()
  for (let time = 0; time < 5; time += 1) await ask(POSTER)
  expect(artwork.images.stats().requests).toMatchObject({ misses: 1, memoryHits: 4 })
})

test('what memory has no room for is answered from disk before the app is entered; a copy that is damaged or gone heals', async () => {
  const { ask, artwork, directory, origin } = await startBehindListener({ memory: { maxBytes: 1 } })
  const { body } = await ask(POSTER)
  // Until it has been stored, it is in memory.
  const again = await eventually(async () => {
    const { diskHits } = artwork.images.stats().requests
    const answer = await ask(POSTER)
    expect(answer).toMatchObject({ status: 200, entered: false })
    expect(artwork.images.stats().requests.diskHits).toBe(diskHits + 1)
    return answer
  })
  expect(again.body.equals(body)).toBe(true)
  const etag = again.headers.get('etag') ?? ''
  expect(await ask(POSTER, { headers: { 'If-None-Match': etag } })).toMatchObject({
    status: 304,
    entered: false,
  })
  const part = await ask(POSTER, { headers: { Range: 'bytes=1-4' } })
  expect(part).toMatchObject({ status: 206, entered: false })
  expect(part.body.equals(body.subarray(1, 5))).toBe(true)
  const requests = origin.hits()
  for (const spoil of [(file: string) => writeFile(file, 'not what it was'), (file: string) => rm(file)]) {
    const { digest } = await artwork.images.getImage('poster/w342/a.jpg')
    const folder = join(directory, 'store-v2', 'content-v2', 'sha256')
    const file = join(folder, digest.slice(0, 2), digest.slice(2, 4), digest.slice(4))
    await eventually(() => access(file))
    await spoil(file)
    const healed = await ask(POSTER)
    expect(healed.status).toBe(200)
    expect(healed.body.equals(body)).toBe(true)
    await becomeHot(ask, POSTER)
  }
  expect(origin.hits()).toBe(requests + 2)
  await artwork.images.remove('poster/w342/a.jpg')
  expect(await ask(POSTER)).toMatchObject({ status: 200, entered: true })
})

test('what the app mounted by itself is never answered by the listener, nor what it rewrote', async () => {
  const set = await startBehindListener()
  await set.artwork.images.getImage('poster/w342/a.jpg')
  for (let time = 0; time < 4; time += 1)
    expect(await set.ask('/elsewhere/poster/w342/a.jpg')).toMatchObject({ status: 200, entered: true })
  const app = express()
  const seen: string[] = []
  app.use((req, _res, next) => {
    seen.push(req.url)
    req.url = req.url.replace('/today/', '/images/')
    next()
  })
  app.use(set.artwork.router)
  const { url } = await listen(set.artwork.listener(app))
  for (let time = 0; time < 4; time += 1)
    expect((await fetch(`${url}/today/poster/w342/a.jpg`)).status).toBe(200)
  expect(seen).toHaveLength(4)
})

test('with `private` it answers nothing', async () => {
  const { ask } = await startBehindListener({ private: true })
  for (let time = 0; time < 4; time += 1) {
    const answer = await ask(POSTER)
    expect(answer).toMatchObject({ status: 200, entered: true })
    expect(answer.headers.get('cache-control')).toMatch(/^private,/)
  }
})

test('parameters that are not ours fill nothing: they go to the app and get the same picture', async () => {
  const { ask } = await startBehindListener()
  const plain = await ask(POSTER)
  for (let time = 0; time < 4; time += 1) {
    const answer = await ask(`${POSTER}?utm=1`)
    expect(answer).toMatchObject({ status: 200, entered: true })
    expect(answer.body.equals(plain.body)).toBe(true)
  }
})

test('a picture that is replaced, removed or cleared is another answer at once', async () => {
  const { ask, artwork, origin } = await startBehindListener()
  await becomeHot(ask, POSTER)
  const other = await jpeg(342, 513, 5)
  await artwork.images.put('poster/w342/a.jpg', other)
  const second = await ask(POSTER)
  expect([second.entered, second.body.equals(other)]).toEqual([true, true])
  await becomeHot(ask, POSTER)
  await artwork.images.clearCache()
  origin.serve('/t/p/w342/a.jpg', { status: 404 })
  expect(await ask(POSTER)).toMatchObject({ status: 404, entered: true })
})

test('a rendition goes when its original changes, and when another process changes it', async () => {
  const { ask, artwork, directory, origin } = await startBehindListener()
  const path = '/images/poster/w342-webp/a.jpg'
  await becomeHot(ask, path)
  const other = await startApp({}, { directory, origin })
  await other.artwork.images.put('poster/w342/a.jpg', await jpeg(342, 513, 6))
  await eventually(async () => expect((await ask(path)).entered).toBe(true))
  expect(artwork.images.stats().names).toBe(2)
})

test('what has aged is left to the app, so that upstream is asked; it comes back renewed', async () => {
  const { ask, clock, artwork, origin } = await startBehindListener()
  artwork.start()
  for (let time = 0; time < 3; time += 1) await ask(POSTER)
  clock.now += 7 * 86_400_000 + 1000
  expect((await ask(POSTER)).entered).toBe(true)
  await eventually(() => expect(origin.hits('/t/p/w342/a.jpg')).toBe(2))
  await artwork.refresher.idle()
  await becomeHot(ask, POSTER)
})

test('a signature is asked again when it has expired', async () => {
  const { ask, clock } = await startBehindListener({ signing: { keys: [KEY] } })
  const expires = Math.floor(clock.now / 1000) + 60
  const path = signAddress('/images/poster/w342-q60/a.jpg', KEY, { expires })
  await becomeHot(ask, path)
  clock.now += 61_000
  expect(await ask(path)).toMatchObject({ status: 403, entered: true })
  expect((await ask(path.replace(/s=(.)/, (_all, first) => `s=${first === '_' ? '-' : '_'}`))).status).toBe(
    403,
  )
})

test('bytes that memory lets go are let go here too: they are read from disk', async () => {
  const { ask, origin, artwork } = await startBehindListener({ memory: { maxBytes: 60_000 } })
  const bytes = Buffer.concat([await jpeg(40, 60), Buffer.alloc(25_000)])
  for (const name of ['b', 'c', 'd'])
    origin.serve(`/t/p/w342/${name}.jpg`, image(bytes.subarray(0, 25_000 + name.charCodeAt(0))))
  await becomeHot(ask, '/images/poster/w342/b.jpg')
  for (const name of ['c', 'd', 'c', 'd']) await ask(`/images/poster/w342/${name}.jpg`)
  const { diskHits } = artwork.images.stats().requests
  expect((await ask('/images/poster/w342/b.jpg')).entered).toBe(false)
  expect(artwork.images.stats().requests.diskHits).toBe(diskHits + 1)
})

test('large pictures, that memory does not keep, are read from disk', async () => {
  const { ask, origin, artwork } = await startBehindListener()
  const big = Buffer.concat([await jpeg(40, 60), Buffer.alloc(1_200_000)])
  origin.serve('/t/p/w342/big.jpg', image(big))
  const { body } = await becomeHot(ask, '/images/poster/w342/big.jpg')
  expect(body.equals(big)).toBe(true)
  expect(artwork.images.stats().requests.diskHits).toBeGreaterThan(0)
})

test('after close it gives everything to the app', async () => {
  const { ask, artwork } = await startBehindListener()
  for (let time = 0; time < 3; time += 1) await ask(POSTER)
  void artwork.close()
  expect((await ask(POSTER)).entered).toBe(true)
})

test('local pictures go through it too, with and without their version', async () => {
  const { ask, artwork, origin } = await startBehindListener()
  origin.serve('/a.jpg', image(await jpeg(400, 400)))
  const saved = await artwork.images.downloadAndCache({
    sourceUrl: `${origin.url}/a.jpg`,
    entityType: 'artist',
    entityId: '7',
  })
  for (const path of [saved.url ?? '', (saved.url ?? '').split('?')[0] ?? '']) {
    const answer = await becomeHot(ask, path)
    expect(answer.headers.get('content-type')).toBe('image/webp')
  }
})

test('a keep-alive connection may mix what the listener answers with what the app does', async () => {
  const { seen, artwork, origin } = await startBehindListener()
  await artwork.images.getImage('poster/w342/a.jpg')
  const app = express().use(artwork.router)
  app.get('/page', (_req, res) => void res.send('a page'))
  const { url: base, server } = await listen(artwork.listener(app))
  for (const path of [POSTER, POSTER, '/page', POSTER, '/page']) {
    const answer = await fetch(base + path)
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
  }
  server.closeAllConnections()
  expect([seen.length, origin.hits()]).toEqual([0, 1])
})

test('what a rewritten URL gets is never given to the same URL unrewritten, nor the other way round', async () => {
  const set = await startBehindListener()
  const app = express()
  app.use((req, _res, next) => {
    if (req.headers['x-small'] !== undefined) req.url = req.url.replace('w342-webp', 'w342')
    next()
  })
  app.use(set.artwork.router)
  const { url } = await listen(app)
  const type = async (headers: Record<string, string>) =>
    (await fetch(`${url}/images/poster/w342-webp/a.jpg`, { headers })).headers.get('content-type')
  expect(await type({ 'x-small': '1' })).toBe('image/jpeg')
  for (let time = 0; time < 3; time += 1) expect(await type({})).toBe('image/webp')
  expect(await type({ 'x-small': '1' })).toBe('image/jpeg')
})

test('a source that is WebP, or AVIF, is one answer for all who may have it; no AVIF to who did not ask', async () => {
  const { ask, origin } = await startBehindListener({
    transform: { isolate: false, formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
  })
  const picture = sharp(await jpeg(60, 40))
  const [webp, avif] = [await picture.webp().toBuffer(), await picture.avif().toBuffer()]
  origin.serve('/a.webp', image(webp, 'image/webp'))
  origin.serve('/a.avif', image(avif, 'image/avif'))
  const of = async (file: string, Accept: string) => {
    const path = `/images/${remoteAddress(`${origin.url}/${file}`, 'original-auto')}`
    for (let time = 0; time < 2; time += 1) await ask(path, { headers: { Accept } })
    const { headers, body } = await ask(path, { headers: { Accept } })
    return [headers.get('content-type'), body.length]
  }
  expect(await of('a.webp', 'image/webp')).toEqual(['image/webp', webp.length])
  expect(await of('a.webp', '*/*')).toEqual(['image/webp', webp.length])
  expect(await of('a.avif', 'image/avif,image/webp')).toEqual(['image/avif', avif.length])
  expect((await of('a.avif', 'image/webp,*/*'))[0]).toBe('image/webp')
  expect((await of('a.avif', '*/*'))[0]).toBe('image/jpeg')
})

test('an answer never outlives the signature that opened it', async () => {
  const { ask, clock } = await startBehindListener({ signing: { keys: [KEY] } })
  const expires = Math.floor(clock.now / 1000) + 100
  const path = signAddress('/images/poster/w342-q60/a.jpg', KEY, { expires })
  const left = async () => {
    const { headers } = await ask(path)
    const maxAge = Number(/^public, max-age=(\d+)$/.exec(headers.get('cache-control') ?? '')?.[1])
    return maxAge - Number(headers.get('age') ?? 0)
  }
  for (let time = 0; time < 3; time += 1) expect(await left()).toBeLessThanOrEqual(100)
  clock.now += 60_000
  expect(await left()).toBeLessThanOrEqual(40)
  expect(await left()).toBeGreaterThan(30)
})

test('a client that pipelines and never reads is cut off, however small the pictures', async () => {
  const { url, ask, origin } = await startBehindListener({ sendTimeout: 400 })
  origin.serve('/t/p/w342/b.jpg', image(Buffer.concat([await jpeg(40, 60), Buffer.alloc(60_000)])))
  for (let time = 0; time < 3; time += 1) await ask('/images/poster/w342/b.jpg')
  const { port } = new URL(url)
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write('GET /images/poster/w342/b.jpg HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(400))
      socket.pause()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    // A paused socket hears of its end when it is read; it is, long after the answers were due.
    setTimeout(() => socket.resume(), 1500)
  })
  expect((await ask('/images/poster/w342/b.jpg')).status).toBe(200)
})

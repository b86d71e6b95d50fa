/** Pictures behind a login: a source of which not everybody may have them, by whatever way they are asked for. */
import { mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import express from 'express'
import { type AccessOptions, type ArtworkOptions, files, remote, signAddress, uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { anOrigin, listen, remoteAddress, startApp, temporaryFolder } from '../../support/toolkit.js'

const KEY = 'a key of sixteen characters'
const userOf = (req: IncomingMessage): string => String(req.headers['x-user'] ?? '')
/** A picture is its owner's, whose name is the beginning of its own. */
const byOwner: NonNullable<AccessOptions['authorize']> = (req, { id }) => {
  if (userOf(req) === '') return 'unauthenticated'
  return Buffer.from(id, 'base64url')
    .toString()
    .includes(`/${userOf(req)}-`)
}

async function site(access: AccessOptions = { authorize: byOwner }, options: ArtworkOptions = {}) {
  const origin = await anOrigin()
  for (const name of ['ann', 'bob'])
    origin.serve(`/${name}-1.jpg`, image(await jpeg(300, name === 'ann' ? 200 : 100)))
  const app = await startApp(
    { sources: [remote({ hosts: ['127.0.0.1'], ...access })], widths: [160], ...options },
    { origin },
  )
  const { artwork } = app
  // The same, through the lane, and mounted below a path.
  const entered: string[] = []
  const inner = express().use((req, _res, next) => {
    entered.push(req.url)
    next()
  })
  inner.use(artwork.router)
  const lane = await listen(artwork.listener(inner))
  const pathOf = (name: string, variant = 'w160-webp') =>
    `/images/${remoteAddress(`${origin.url}/${name}-1.jpg`, variant)}`
  const ask = (url: string, user?: string, init: RequestInit = {}) =>
    fetch(url, { redirect: 'manual', ...init, headers: { ...init.headers, ...(user && { 'X-User': user }) } })
  return { ...app, lane: lane.url, entered, pathOf, ask }
}

describe('a source with authorize', () => {
  test('its owner has a picture, another user has none, whatever is known of it, and the lane never answers', async () => {
    const { url, lane, pathOf, ask, entered, origin } = await site()
    const path = pathOf('ann')
    for (const base of [url, lane]) {
      expect((await ask(base + path)).status).toBe(401)
      expect((await ask(base + path, 'bob')).status).toBe(403)
    }
    expect(origin.hits()).toBe(0)
    for (let time = 0; time < 4; time += 1)
      for (const base of [url, lane]) {
        const own = await ask(base + path, 'ann')
        expect([own.status, own.headers.get('cache-control')]).toEqual([
          200,
          'private, max-age=0, must-revalidate',
        ])
        expect(own.headers.get('cache-tag') ?? own.headers.get('surrogate-key')).toBeNull()
        expect(own.headers.get('cross-origin-resource-policy')).toBe('same-site')
        expect((await ask(base + path, 'bob')).status).toBe(403)
        expect((await ask(base + path)).status).toBe(401)
        const known = { 'If-None-Match': own.headers.get('etag') ?? '' }
        expect((await ask(base + path, 'ann', { headers: known })).status).toBe(304)
        // A condition tells a stranger nothing either.
        expect((await ask(base + path, 'bob', { headers: known })).status).toBe(403)
        expect((await ask(base + path, 'bob', { method: 'HEAD' })).status).toBe(403)
        expect((await ask(base + path, 'bob', { headers: { Range: 'bytes=0-1' } })).status).toBe(403)
      }
    expect(entered.length).toBeGreaterThan(20)
    expect(origin.hits()).toBe(1)
  })

  test('requests that are in flight at the same time: each has its own answer', async () => {
    const { lane, url, pathOf, ask, origin } = await site()
    const held: (() => void)[] = []
    const body = await jpeg(300, 200)
    origin.serve('/ann-1.jpg', (_req, res) => {
      held.push(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(body))
    })
    const asked = Array.from({ length: 60 }, (_, index) => {
      const user = ['ann', 'bob', undefined][index % 3]
      const base = index % 2 === 0 ? lane : url
      return ask(
        base + pathOf('ann', ['w160-webp', 'w160-auto', 'original'][index % 5] ?? 'w160'),
        user,
      ).then(async (answer) => ({
        user,
        status: answer.status,
        bytes: (await answer.arrayBuffer()).byteLength,
      }))
    })
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const release of held) release()
    for (const { user, status, bytes } of await Promise.all(asked)) {
      expect([user, status]).toEqual([user, user === 'ann' ? 200 : user === 'bob' ? 403 : 401])
      if (user !== 'ann') expect(bytes).toBeLessThan(200)
    }
    expect(origin.hits('/ann-1.jpg')).toBe(1)
  })

  test('a signature does not stand in for it, a wrong one is refused, and a throw is 403', async () => {
    const { url, pathOf, ask } = await site({ authorize: byOwner }, { signing: { keys: [KEY] } })
    const signed = url + signAddress(pathOf('ann', 'w99'), KEY)
    expect((await ask(signed, 'ann')).status).toBe(200)
    expect((await ask(signed, 'bob')).status).toBe(403)
    expect(
      (
        await ask(
          signed.replace(/s=(.)/, (_all, first) => `s=${first === '_' ? '-' : '_'}`),
          'ann',
        )
      ).status,
    ).toBe(403)
    const failing = await site({
      authorize: () => {
        throw new Error('the sessions cannot be read')
      },
    })
    expect((await failing.ask(failing.url + failing.pathOf('ann'), 'ann')).status).toBe(403)
  })

  test('no picture of it becomes one of an entity, and no page prints the URL of its source', async () => {
    const { artwork, origin, pathOf } = await site()
    const subject = { id: '1', type: 'album', image_url: `${origin.url}/ann-1.jpg` }
    const saved = await artwork.images.downloadAndCache({
      sourceUrl: subject.image_url,
      entityType: 'album',
      entityId: '1',
    })
    expect(saved).toMatchObject({ status: 'failed', reason: 'refused' })
    expect(artwork.images.display(subject)).toMatchObject({ from: 'local', wanted: false })
    const html = String(artwork.html.img(subject, { alt: '' }))
    expect(html).toContain(pathOf('ann', 'w160-auto'))
    expect(html).not.toContain(origin.url)
    expect(artwork.nfo(subject)).not.toContain(origin.url)
    expect(JSON.stringify(artwork.html.data(subject))).not.toContain(origin.url)
    expect(String(artwork.html.background(subject))).not.toContain(origin.url)
    expect(artwork.images.getDisplayUrl(subject.image_url, null, 'album')).not.toContain(origin.url)
    expect(origin.hits()).toBe(0)
  })
})

test('a source that becomes private takes the images of entities with it, and no failure prints its URL', async () => {
  const origin = await anOrigin()
  origin.serve('/secret.jpg', image(await jpeg(300, 200)))
  const url = `${origin.url}/secret.jpg`
  const subject = { id: '7', type: 'album', image_url: url }
  const directory = await temporaryFolder()
  const first = await startApp({ sources: [remote({ hosts: ['127.0.0.1'] })] }, { origin, directory })
  const saved = await first.artwork.images.downloadAndCache({
    sourceUrl: url,
    entityType: 'album',
    entityId: '7',
  })
  expect((await first.get(saved.url ?? '')).status).toBe(200)
  await first.stop()
  const closed = await startApp(
    {
      sources: [remote({ hosts: ['127.0.0.1'], authorize: () => false })],
      fetch: { maxBytes: 2000 },
    },
    { origin, directory },
  )
  expect((await closed.get(saved.url ?? '')).status).toBe(404)
  expect((await closed.get((saved.url ?? '').replace('.webp', '.w320.webp'))).status).toBe(404)
  const print = () => closed.artwork.images.display(subject)
  expect(print()).toMatchObject({ from: 'local', url: expect.stringMatching(/^\/images\/remote\//) })
  const other = `${origin.url}/large.jpg`
  origin.serve('/large.jpg', image(Buffer.concat([await jpeg(30, 20), Buffer.alloc(5000)])))
  await expect(closed.artwork.images.getImage(remoteAddress(other))).rejects.toMatchObject({ status: 413 })
  const large = { id: '8', type: 'album', image_url: other }
  for (const shown of [closed.artwork.images.display(large), closed.artwork.html.data(large)])
    expect(JSON.stringify(shown)).not.toContain(origin.url)
})

describe('a private source without authorize', () => {
  test('without keys, whoever has the URL has the picture, and no shared cache', async () => {
    const { url, lane, pathOf, ask, entered } = await site({ private: true })
    for (let time = 0; time < 3; time += 1)
      for (const base of [url, lane]) {
        const answer = await ask(base + pathOf('ann'))
        expect([answer.status, answer.headers.get('cache-control')]).toEqual([
          200,
          'private, max-age=0, must-revalidate',
        ])
      }
    expect(entered).toHaveLength(3)
  })

  test('with keys, only URLs that are signed answer, until they expire; they are the same for a while', async () => {
    const now = 1_800_000_000_000
    const clock = { now }
    const { artwork, url, pathOf, ask, origin } = await site(
      { private: true },
      { signing: { keys: [KEY], expires: '10 min' }, now: () => clock.now },
    )
    expect((await ask(url + pathOf('ann'))).status).toBe(403)
    const print = () => artwork.images.imageUrl(`${origin.url}/ann-1.jpg`, 'w160-webp') ?? ''
    const first = print()
    const expires = Number(new URL(first, url).searchParams.get('expires')) * 1000
    expect(expires - now).toBeGreaterThanOrEqual(10 * 60_000)
    expect(expires - now).toBeLessThanOrEqual(20 * 60_000)
    const answer = await ask(url + first)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([
      200,
      expect.stringMatching(new RegExp(`^private, max-age=${(expires - now) / 1000}\\b`)),
    ])
    const versioned = print()
    clock.now += 60_000
    expect(new URL(print(), url).searchParams.get('expires')).toBe(
      new URL(versioned, url).searchParams.get('expires'),
    )
    clock.now += 10 * 60_000
    const later = print()
    expect(Number(new URL(later, url).searchParams.get('expires')) * 1000).toBeGreaterThan(expires)
    expect((await ask(url + later)).status).toBe(200)
    clock.now = expires
    expect((await ask(url + first)).status).toBe(403)
    // Another time of expiry is not what was signed.
    expect((await ask(url + later.replace(/expires=\d+/, 'expires=1900000000'))).status).toBe(403)
  })
})

test('files may be private, too', async () => {
  const root = await temporaryFolder()
  await mkdir(join(root, 'ann'))
  await writeFile(join(root, 'ann', '1.jpg'), await jpeg(200, 100))
  const { url } = await startApp({
    sources: [files({ root, authorize: (req, { id }) => id.startsWith(`${userOf(req)}/`) })],
  })
  const ask = (user: string) =>
    fetch(`${url}/images/files/original/ann/1.jpg`, { headers: { 'X-User': user } })
  for (let time = 0; time < 3; time += 1) {
    const own = await ask('ann')
    expect([own.status, own.headers.get('cache-control')]).toEqual([
      200,
      'private, max-age=0, must-revalidate',
    ])
    expect((await ask('bob')).status).toBe(403)
  }
})

test('a namespace of uploads has it by the whole address, and no client has its pictures fetched', async () => {
  const asked: string[] = []
  const { url } = await startApp({
    sources: [
      uploads({
        authorize: () => true,
        namespaces: {
          letters: {
            authorize: (req, { kind, variant }) => {
              asked.push(`${kind}/${variant}`)
              return userOf(req) === 'ann'
            },
          },
        },
      }),
    ],
    widths: [20],
  })
  const headers = { 'Content-Type': 'image/jpeg' }
  const stored = await fetch(`${url}/images/letters`, {
    method: 'POST',
    headers,
    body: new Uint8Array(await jpeg(60, 40)),
  })
  const { image_id: id } = (await stored.json()) as { image_id: string }
  for (const path of [`letters/${id}`, `letters/w20-webp/${id}`]) {
    const own = await fetch(`${url}/images/${path}`, { headers: { 'X-User': 'ann' } })
    expect([own.status, own.headers.get('cache-control')]).toEqual([
      200,
      'private, max-age=0, must-revalidate',
    ])
    expect((await fetch(`${url}/images/${path}`, { headers: { 'X-User': 'bob' } })).status).toBe(403)
  }
  expect([...new Set(asked)]).toEqual(['letters/original', 'letters/w20-webp'])
  const fetched = await fetch(`${url}/images/fetch`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ url: `/images/letters/${id}` }),
  })
  expect(fetched.status).toBe(403)
  expect(() => uploads({ namespaces: { a: { authorize: 5 as never } } })).toThrow(
    /namespaces\.a\.authorize must be/,
  )
})

test.each([
  [{ private: 'yes' }, /remote\.private must be true or false/],
  [{ authorize: true }, /remote\.authorize must be a function/],
  [{ private: false, authorize: () => true }, /remote\.private must not be false/],
])('a wrong option is refused with its rule', (options, message) => {
  expect(() => remote({ hosts: ['a.example'], ...(options as object) })).toThrow(message)
})

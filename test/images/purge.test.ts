/** Purging by address, URL, entity and tag; what a CDN hears of it; tags on answers; and what is preloaded. */

import express from 'express'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, remoteAddress, startApp } from '../support/toolkit.js'

type Purged = [urls: readonly string[], tags: readonly string[]]

/** Two posters in two sizes and renditions of them, a remote picture, and two artists with one picture each. */
async function filled(options: Parameters<typeof startApp>[0] = {}) {
  const purges: Purged[] = []
  const app = await startApp({
    transform: { isolate: false },
    cacheTags: true,
    widths: [160],
    onPurge: (urls, tags) => void purges.push([urls, tags]),
    ...options,
  })
  for (const [index, path] of [
    '/t/p/w342/a.jpg',
    '/t/p/w500/a.jpg',
    '/t/p/w342/b.jpg',
    '/c.jpg',
    '/one.jpg',
    '/two.jpg',
  ].entries())
    app.origin.serve(path, image(await jpeg(500, 300, index)))
  const remote = `/images/${remoteAddress(`${app.origin.url}/c.jpg`)}`
  const paths = {
    a: ['w342', 'w500', 'w342-webp', 'w500-auto'].map((variant) => `/images/poster/${variant}/a.jpg`),
    b: ['/images/poster/w342/b.jpg', '/images/poster/w342-webp/b.jpg'],
    remote: [remote, remote.replace('/original/', '/w160-webp/')],
  }
  for (const path of Object.values(paths).flat()) expect((await app.get(path)).status, path).toBe(200)
  const artist = async (entityId: string, file: string) =>
    (
      await app.artwork.images.downloadAndCache({
        sourceUrl: `${app.origin.url}/${file}.jpg`,
        entityType: 'artist',
        entityId,
      })
    ).url ?? ''
  const artists = { one: await artist('1', 'one'), two: await artist('2', 'two') }
  const hits = (path: string) => app.origin.hits(path)
  return { ...app, purges, paths, artists, hits }
}

test('by address: every size and rendition of the picture, and nothing else', async () => {
  const { artwork, purges, paths, get, hits } = await filled()
  const before = artwork.images.stats().names
  const purged = await artwork.images.purge({ address: 'poster/w342-webp/a.jpg' })
  expect(purged.removed).toBe(3)
  expect(artwork.images.stats().names).toBe(before - 3)
  expect(purged.urls.filter((url) => /\?v=[0-9a-f]{16}$/.test(url))).toHaveLength(5)
  expect(purged.urls.filter((url) => !url.includes('?')).sort()).toEqual([
    '/images/poster/w342-auto/a.jpg',
    '/images/poster/w342-webp/a.jpg',
    '/images/poster/w342/a.jpg',
    '/images/poster/w500-auto/a.jpg',
    '/images/poster/w500/a.jpg',
  ])
  expect(purged.tags).toEqual([expect.stringMatching(/^image-[0-9a-f]{16}$/)])
  expect(purges).toEqual([[purged.urls, purged.tags]])
  for (const path of [...paths.a, ...paths.b]) expect((await get(path)).status).toBe(200)
  expect([hits('/t/p/w342/a.jpg'), hits('/t/p/w342/b.jpg')]).toEqual([2, 1])
})

test('by source URL', async () => {
  const { artwork, origin, paths, get, hits } = await filled()
  expect((await artwork.images.purge({ url: `${origin.url}/c.jpg` })).removed).toBe(2)
  for (const path of paths.remote) await get(path)
  expect(hits('/c.jpg')).toBe(2)
  // What TypeScript would not let through.
  for (const target of [{}, { url: 'https://elsewhere.example/x.jpg', tag: 'kind-poster' }])
    await expect(artwork.images.purge(target as never)).rejects.toMatchObject({
      ...{ code: 'invalid', message: 'say what to purge by one of address, url, entity and tag' },
    })
  await expect(artwork.images.purge({ url: 'https://elsewhere.example/x.jpg' })).rejects.toMatchObject({
    status: 403,
  })
})

test('by entity: its picture and the original of it; its neighbour stays', async () => {
  const { artwork, artists, get, purges } = await filled()
  expect((await artwork.images.purge({ entity: { kind: 'artist', id: '1' } })).removed).toBe(2)
  expect((await get(artists.one)).status).toBe(404)
  expect((await get(artists.two)).status).toBe(200)
  expect(purges[0]?.[0]).toContain(artists.one)
  expect(purges[0]?.[1]).toContain('entity-artist-1')
})

test('by tag: a kind, a host, an entity kind', async () => {
  const { artwork, origin, artists, get, purges } = await filled()
  const { images } = artwork
  expect((await images.purge({ tag: 'entity-artist' })).removed).toBe(4)
  expect((await get(artists.two)).status).toBe(404)
  expect((await images.purge({ tag: 'kind-poster' })).removed).toBe(5)
  expect(images.stats().names).toBe(2)
  expect((await images.purge({ tag: `host-${origin.host}` })).removed).toBe(2)
  expect(images.stats()).toMatchObject({ names: 0, bytes: 0 })
  expect((await images.purge({ tag: 'kind-nothing' })).removed).toBe(0)
  expect(purges.map(([, tags]) => tags)).toEqual([
    ['entity-artist'],
    ['kind-poster'],
    [`host-${origin.host}`],
    ['kind-nothing'],
  ])
})

test('a hook that throws fails nothing', async () => {
  const { artwork } = await filled({
    onPurge: () => {
      throw new Error('the CDN is down')
    },
  })
  expect((await artwork.images.purge({ address: 'poster/w342/b.jpg' })).removed).toBe(2)
})

test('answers carry the tags they can be purged by, in the field that the app wants', async () => {
  const { get, paths, artists, origin } = await filled()
  const tags = async (path: string, name = 'cache-tag') => (await get(path)).headers.get(name)?.split(/[ ,]/)
  const [poster = '', , webp = ''] = paths.a
  expect(await tags(poster)).toEqual(['kind-poster', `host-${origin.host}`, expect.stringMatching(/^image-/)])
  expect(await tags(webp)).toEqual(await tags(poster))
  expect(await tags(artists.one)).toEqual([
    'kind-remote',
    `host-${origin.host}`,
    'entity-artist',
    'entity-artist-1',
    expect.stringMatching(/^image-/),
  ])
  const { headers } = await get(poster)
  const held = await get(poster, { headers: { 'If-None-Match': headers.get('etag') ?? '' } })
  expect([held.status, held.headers.get('cache-tag')]).toEqual([304, headers.get('cache-tag')])
  const other = await filled({ cacheTags: 'Surrogate-Key' })
  expect((await other.get(poster)).headers.get('surrogate-key')).toContain(' ')
  const none = await filled({ cacheTags: false })
  expect((await none.get(poster)).headers.get('cache-tag')).toBeNull()
})

test('preload adds a Link with what the macros print, and nothing for a placeholder', async () => {
  const { artwork, artists, origin } = await filled()
  const entity = { type: 'artist', id: '1', image_url: `${origin.url}/one.jpg` }
  const app = express()
  app.get('/', (_req, res) => {
    res.setHeader('Link', '</style.css>; rel=preload; as=style')
    artwork.preload(res, entity)
    artwork.preload(res, entity, { widths: true, format: 'webp', sizes: '(min-width: 40em) 50vw, 100vw' })
    artwork.preload(res, { type: 'artist', id: 'nobody' })
    artwork.preload(res, 'javascript:alert(1)')
    res.send('x')
    artwork.preload(res, entity)
  })
  const { url } = await listen(app)
  const links = (await fetch(url)).headers.get('link')?.split(/, (?=<)/) ?? []
  const webp = artists.one.replace(/\.webp\?.*/, '.w160.webp')
  expect(links).toHaveLength(3)
  expect(links[0]).toContain('style.css')
  expect(links[1]).toBe(`<${artists.one}>; rel=preload; as=image; fetchpriority=high`)
  expect(links[2]).toMatch(
    new RegExp(
      `^<${artists.one.replace('?', '\\?')}>; rel=preload; as=image; imagesrcset="${webp}\\?v=[0-9a-f]{16} 160w"; imagesizes="\\(min-width: 40em\\) 50vw, 100vw"; type="image/webp"; fetchpriority=high$`,
    ),
  )
})

test('what is under way while it is purged is answered, and not kept', async () => {
  const { artwork, origin, get } = await filled()
  const bytes = await jpeg(500, 300, 9)
  let release = () => {}
  origin.serve('/slow.jpg', (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Content-Length': bytes.length })
    res.write(bytes.subarray(0, 100))
    release = () => void res.end(bytes.subarray(100))
  })
  const names = artwork.images.stats().names
  const path = `/images/${remoteAddress(`${origin.url}/slow.jpg`, 'w160-webp')}`
  const answer = get(path)
  await eventually(() => expect(origin.hits('/slow.jpg')).toBe(1))
  expect((await artwork.images.purge({ url: `${origin.url}/slow.jpg` })).removed).toBe(0)
  release()
  expect((await answer).status).toBe(200)
  expect(artwork.images.stats().names).toBe(names)
  origin.serve('/slow.jpg', { status: 410 })
  expect((await get(path)).status).toBe(404)
})

test('by URL: every kind that the picture may be of; by entity: also one whose path needs more than its id', async () => {
  const { artwork, origin, get } = await filled()
  origin.serve('/t/p/w780/k.jpg', image(await jpeg(780, 439, 3)))
  expect((await get('/images/backdrop/w780/k.jpg')).status).toBe(200)
  expect((await artwork.images.purge({ url: `${origin.url}/t/p/w780/k.jpg` })).removed).toBe(1)
  const saved = await artwork.images.downloadAndCache({
    sourceUrl: `${origin.url}/one.jpg`,
    entityType: 'artwork',
    entityId: '77',
    params: { streamer: 'somebody' },
  })
  expect((await get(saved.url ?? '')).status).toBe(200)
  expect((await artwork.images.purge({ entity: { kind: 'artwork', id: '77' } })).removed).toBeGreaterThan(1)
  expect((await get(saved.url ?? '')).status).toBe(404)
})

test('preload never throws, whatever a URL has in it', async () => {
  const { artwork } = await filled()
  const app = express()
  app.get('/', (_req, res) => {
    for (const file of ['日本.jpg', 'é.jpg', 'a"b.jpg', 'a>; rel=x.jpg', '\u0001.jpg', '\ud800.jpg'])
      artwork.preload(res, { id: 'x', type: 'album', image_url: `https://cdn.example.com/${file}` })
    res.send('x')
  })
  const { url } = await listen(app)
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('link')).toContain('%E6%97%A5%E6%9C%AC.jpg')
  expect(answer.headers.get('link')).not.toContain('rel=x.jpg;')
})

/** Entities' images in other widths: `/artwork/local/albums/ab/abc123.w320.webp`. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { remote, tmdb } from 'express-artwork'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { anOrigin, startApp, temporaryFolder } from '../../support/toolkit.js'

async function stage(options: Parameters<typeof startApp>[0] = {}, query = '') {
  const app = await startApp(options)
  app.origin.serve(`/cover.jpg${query}`, image(await jpeg(1000, 500)))
  const sourceUrl = `${app.origin.url}/cover.jpg${query}`
  const saved = await app.artwork.images.downloadAndCache({
    sourceUrl,
    entityType: 'album',
    entityId: 'abc123',
  })
  expect(saved.status).toBe('downloaded')
  const candidates = (format = 'auto') =>
    app.artwork.images
      .srcset({ id: 'abc123', type: 'album', image_url: sourceUrl }, undefined, { format })
      .split(', ')
      .filter((one) => one !== '')
      .map((one) => one.split(' ') as [string, string])
  return { app, sourceUrl, candidates }
}

/** Where the bytes of a content lie. */
const contentPath = (directory: string, digest: string): string =>
  join(directory, 'store-v2/content-v2/sha256', digest.slice(0, 2), digest.slice(2, 4), digest.slice(4))

const sidesOf = async (response: Response) => {
  const { width, height, format } = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
  return `${format} ${width}x${height}`
}

test('every candidate that is printed answers with an image of its width, for good', async () => {
  const { app, candidates } = await stage()
  expect(candidates().map(([url, width]) => `${url.replace(/\?v=[0-9a-f]{16}$/, '?v=')} ${width}`)).toEqual([
    '/artwork/local/albums/ab/abc123.w320.webp?v= 320w',
    '/artwork/local/albums/ab/abc123.w640.webp?v= 640w',
    '/artwork/local/albums/ab/abc123.w960.webp?v= 960w',
    '/artwork/local/albums/ab/abc123.w1280.webp?v= 1000w',
  ])
  for (const [url, width] of candidates()) {
    const response = await fetch(app.url + url)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(await sidesOf(response)).toBe(
      `webp ${Number.parseInt(width, 10)}x${Number.parseInt(width, 10) / 2}`,
    )
  }
  expect(app.origin.hits()).toBe(1)
})

test('it is in the format of its extension', async () => {
  const { app, candidates } = await stage({ transform: { formats: ['jpeg', 'png', 'webp', 'avif'] } })
  for (const format of ['jpeg', 'png', 'webp', 'avif']) {
    const [[url = ''] = []] = candidates(format)
    const response = await fetch(app.url + url)
    expect(response.headers.get('content-type'), url).toBe(`image/${format}`)
  }
  expect(candidates('gif')).toEqual([])
})

test('what is not offered is 400, another format 415, what is not known 404', async () => {
  const { app } = await stage({ widths: [100, 200] })
  const at = async (path: string) => (await fetch(`${app.url}/artwork/local/albums/ab/${path}`)).status
  expect(await at('abc123.w100.webp')).toBe(200)
  expect(await at('abc123.w320.webp')).toBe(400)
  expect(await at('abc123.w9999.webp')).toBe(400)
  expect(await at('abc123.w100.avif')).toBe(415)
  expect(await at('abc124.w100.webp')).toBe(404)
  // One size has one path.
  expect(await at('abc123.w100.jpeg')).toBe(404)
  expect(await at('abc123.w0100.webp')).toBe(404)
  expect(await at('abc123.w100.w200.webp')).toBe(404)
  expect(await at('abc123.w100.exe')).toBe(404)
})

test('no page says where it came from, however long its URL and its signature are', async () => {
  const query = `?X-Amz-Signature=${'5e'.repeat(32)}&X-Amz-Security-Token=${'t'.repeat(3000)}&X-Amz-Date=20260101T000000Z`
  const { app, candidates } = await stage({}, query)
  expect(candidates().length).toBeGreaterThan(2)
  for (const [url] of candidates()) {
    expect(url).toMatch(/^\/artwork\/local\/albums\/ab\/abc123\.w\d+\.webp\?v=[0-9a-f]{16}$/)
    expect((await fetch(app.url + url)).status).toBe(200)
  }
})

test('without its original a page prints the sizes that there are, and the others lead to the image itself', async () => {
  const { app, sourceUrl, candidates } = await stage({ memory: { maxBytes: 0 } })
  const [[first = ''] = [], [second = ''] = []] = candidates()
  expect((await fetch(app.url + first)).status).toBe(200)
  const address = `remote/original/${Buffer.from(sourceUrl).toString('base64url')}`
  const { digest } = await app.artwork.images.getImage(address)
  await rm(contentPath(app.directory, digest))
  const response = await fetch(app.url + second, { redirect: 'manual' })
  expect([response.status, response.headers.get('cache-control')]).toEqual([302, 'no-store'])
  const there = await fetch(new URL(response.headers.get('location') ?? '', app.url))
  expect([there.status, there.headers.get('content-type')]).toEqual([200, 'image/webp'])
  expect(candidates().map(([url]) => url)).toEqual([first])
  expect(app.origin.hits()).toBe(1)
})

test('after the source has changed, the same sizes show the new image under a new URL', async () => {
  const { app, sourceUrl, candidates } = await stage()
  const [[before = ''] = []] = candidates()
  expect(await sidesOf(await fetch(app.url + before))).toBe('webp 320x160')
  app.origin.serve('/cover.jpg', image(await jpeg(800, 800)))
  await app.artwork.images.downloadAndCache({
    sourceUrl,
    entityType: 'album',
    entityId: 'abc123',
    force: true,
  })
  const [[after = ''] = []] = candidates()
  expect(after).not.toBe(before)
  expect(await sidesOf(await fetch(app.url + after))).toBe('webp 320x320')
  const old = await fetch(app.url + before)
  expect([old.headers.get('cache-control'), await sidesOf(old)]).toEqual([
    'public, max-age=60',
    'webp 320x320',
  ])
})

test('a kind that is cut to a shape is cut to it in every width', async () => {
  const { app, sourceUrl } = await stage({
    presets: { square: { width: 400, height: 400, fit: 'cover' } },
    entities: { badge: { variant: 'square' } },
  })
  await app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'badge', entityId: 'b1' })
  const srcset = app.artwork.images.srcset({ id: 'b1', type: 'badge' })
  expect(srcset.match(/ \d+w/g)).toEqual([' 320w', ' 500w'])
  for (const one of srcset.split(', ')) {
    const [url = '', width = ''] = one.split(' ')
    const side = Number.parseInt(width, 10)
    expect(await sidesOf(await fetch(app.url + url))).toBe(`webp ${side}x${side}`)
  }
})

test('it is purged with its entity, and lists say what it is', async () => {
  const { app, candidates } = await stage()
  const [[url = ''] = []] = candidates()
  await fetch(app.url + url)
  const purged = await app.artwork.images.purge({ entity: { kind: 'album', id: 'abc123' } })
  expect(purged.urls).toContain(url)
  expect((await fetch(app.url + url)).status).toBe(404)
  expect(candidates().every(([one]) => one.startsWith('/images/remote/'))).toBe(true)
})

test('of TMDb the native sizes are offered, and the usual ones that are wider', async () => {
  const origin = await anOrigin()
  origin.serve('/t/p/original/abc.jpg', image(await jpeg(1000, 1500)))
  const app = await startApp(
    {
      sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['127.0.0.1'] })],
      entities: { film: { placeholder: 'poster', variant: 'w342-h513' } },
      fetch: { allowPrivate: [origin.host] },
    },
    { origin },
  )
  await app.artwork.images.downloadAndCache({
    sourceUrl: `${origin.url}/t/p/original/abc.jpg`,
    entityType: 'film',
    entityId: 'f1',
  })
  const srcset = app.artwork.images.srcset({ id: 'f1', type: 'film' })
  expect(srcset.match(/ \d+w/g)).toEqual([
    ' 92w',
    ' 154w',
    ' 185w',
    ' 342w',
    ' 500w',
    ' 780w',
    ' 960w',
    ' 1000w',
  ])
  for (const one of srcset.split(', ')) expect((await fetch(app.url + one.split(' ')[0])).status).toBe(200)
  expect(origin.hits()).toBe(1)
})

test('when its entity is gone it is gone, though its row may be there still', async () => {
  const { app, sourceUrl, candidates } = await stage({
    repository: { exists: async () => new Set<string>() },
  })
  const [[url = ''] = []] = candidates()
  expect((await fetch(app.url + url)).status).toBe(200)
  // Its original stays: another entity has it.
  await app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'artist', entityId: 'other' })
  const { orphaned } = await app.artwork.images.optimizeCache({ force: true })
  expect(orphaned).toBe(2)
  expect((await fetch(app.url + url)).status).toBe(404)
  expect((await fetch(app.url + url.replace('.w320', ''))).status).toBe(404)
})

test('what was imported is no other picture in another width', async () => {
  const { app, sourceUrl } = await stage()
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'albums/ab'), { recursive: true })
  await writeFile(
    join(folder, 'albums/ab/abc123.webp'),
    await sharp(await jpeg(700, 700))
      .webp()
      .toBuffer(),
  )
  await writeFile(
    join(folder, 'albums/ab/abc123.w320.webp'),
    await sharp(await jpeg(40, 40))
      .webp()
      .toBuffer(),
  )
  const { imported } = await app.artwork.images.importFolder(folder, { overwrite: true })
  expect(imported).toBeGreaterThan(0)
  const entity = { id: 'abc123', type: 'album', image_url: sourceUrl }
  expect(app.artwork.images.display(entity)).toMatchObject({ from: 'local', width: 700, height: 700 })
  expect(app.artwork.images.srcset(entity)).toBe('')
  const response = await fetch(`${app.url}/artwork/local/albums/ab/abc123.w640.webp`)
  expect(await sidesOf(response)).toBe('webp 700x700')
})

test('another shape of its kind is another URL', async () => {
  const square = { width: 400, height: 400, fit: 'cover' as const }
  const first = await stage({ presets: { cut: square }, entities: { album: { variant: 'cut' } } })
  const [[before = ''] = []] = first.candidates()
  expect((await fetch(first.app.url + before)).headers.get('cache-control')).toContain('immutable')
  await first.app.stop()
  const again = await startApp(
    { presets: { cut: { ...square, height: 200 } }, entities: { album: { variant: 'cut' } } },
    first.app,
  )
  const entity = { id: 'abc123', type: 'album', image_url: first.sourceUrl }
  const [after = ''] = again.artwork.images.srcset(entity).split(' ')
  expect(after.split('?')[0]).toBe(before.split('?')[0])
  expect(after).not.toBe(before)
  expect(await sidesOf(await fetch(again.url + after))).toBe('webp 320x160')
})

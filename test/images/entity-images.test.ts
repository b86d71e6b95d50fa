import fs, { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { type Repository, remote, type SavedImage } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { describe, expect, test, vi } from 'vitest'
import { isNear, jpeg, pixelAt, png, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { ALONE, startApp } from '../support/toolkit.js'

/** Held for good: see the note on better-sqlite3 in the catalogue. */
const PROBES = [new Database(':memory:').prepare('SELECT 1')]

describe('what URL is printed (parity 10)', () => {
  test('local copy, then source URL, then the placeholder of the type (parity 10)', async () => {
    const app = await startApp()
    const { images } = app.artwork
    const source = `${app.origin.url}/a.jpg`
    app.origin.serve('/a.jpg', image(await jpeg()))
    expect(images.getDisplayUrl(source, 'artists/ab/abc.webp', 'artist')).toBe(source)
    expect(images.getDisplayUrl(source, null, 'artist', { requireLocal: true })).toBe(
      '/static/images/placeholder-artist.svg',
    )
    const saved = await images.downloadAndCache({ sourceUrl: source, entityType: 'artist', entityId: 'abc' })
    expect(saved).toMatchObject({
      status: 'downloaded',
      localPath: 'artists/ab/abc.webp',
      width: 300,
      height: 225,
    })
    const url = images.getDisplayUrl(source, saved.localPath, 'artist', { requireLocal: true })
    expect(url).toBe(`/artwork/local/artists/ab/abc.webp?v=${saved.digest?.slice(0, 16)}`)
    const answer = await app.get(url)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/webp'])
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  test.each([
    ['artist', 'placeholder-artist.svg'],
    ['album', 'placeholder-album.svg'],
    ['playlist', 'placeholder-playlist.svg'],
    ['track', 'placeholder-album.svg'],
    ['profile', 'placeholder-profile.svg'],
    ['category', 'placeholder-category.svg'],
    ['artwork', 'placeholder-artwork.svg'],
    ['nonsense', 'placeholder.svg'],
    ['constructor', 'placeholder.svg'],
    ['', 'placeholder.svg'],
  ])(
    'type %j has %s, which exists, loads, and is an image to a screen reader (parity 10)',
    async (type, file) => {
      const app = await startApp()
      for (const missing of [null, undefined, '']) {
        const url = app.artwork.images.getDisplayUrl(missing, missing, type)
        expect(url).toBe(`/static/images/${file}`)
      }
      const answer = await app.get(`/static/images/${file}`)
      const svg = await answer.text()
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/svg+xml'])
      expect(svg).toContain('role="img"')
      // A toolkit that decodes in its own process has closed it.
      sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] })
      expect((await sharp(Buffer.from(svg)).metadata()).width).toBeGreaterThan(100)
    },
  )

  test.each(['poster', 'backdrop', 'logo', 'still'])(
    'placeholder-%s.svg is shipped (parity 10)',
    async (name) => {
      const app = await startApp()
      expect((await app.get(`/static/images/placeholder-${name}.svg`)).status).toBe(200)
    },
  )

  test('a URL that is not http(s) is never printed (parity 10)', async () => {
    const app = await startApp()
    for (const url of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      '//cdn/x',
      'nonsense',
    ])
      expect(app.artwork.images.getDisplayUrl(url, null, 'album')).toBe(
        '/static/images/placeholder-album.svg',
      )
  })
})

test('1,000 filter calls on a warm instance make no file-system and no database call (parity 11)', async () => {
  const app = await startApp()
  app.origin.serve('/a.jpg', image(await jpeg()))
  const entities = Array.from({ length: 10 }, (_, index) => ({
    id: `id${index}`,
    type: 'artist',
    image_url: `${app.origin.url}/a.jpg`,
  }))
  for (const { id, image_url } of entities.slice(0, 5))
    await app.artwork.images.downloadAndCache({ sourceUrl: image_url, entityType: 'artist', entityId: id })
  const environment = new nunjucks.Environment(null, { autoescape: true })
  app.artwork.installTemplates(environment)
  const template = nunjucks.compile(
    '{% for a in artists %}{{ a | image_display_url }}\n{% endfor %}',
    environment,
  )
  const cold = template.render({ artists: entities })
  expect(cold.match(/\/artwork\/local\//g)).toHaveLength(5)

  for (const url of cold.split('\n').filter((line) => line.startsWith('/')))
    expect((await app.get(url)).status, url).toBe(200)

  const calls: string[] = []
  const spied = (owner: object, name: string) => {
    const original = Reflect.get(owner, name)
    if (typeof original !== 'function' || /^[A-Z_]/.test(name)) return
    vi.spyOn(owner as Record<string, (...args: unknown[]) => unknown>, name).mockImplementation(function (
      this: unknown,
      ...args
    ) {
      calls.push(name)
      return Reflect.apply(original, this, args)
    })
  }
  for (const name of Object.keys(fs)) spied(fs, name)
  for (const name of Object.keys(fs.promises)) spied(fs.promises, name)
  const probe = PROBES[0]
  const statement = Object.getPrototypeOf(probe)
  for (const name of ['get', 'all', 'run', 'iterate']) spied(statement, name)
  fs.existsSync('/')
  probe?.get()
  expect(calls, 'the counting counts').toEqual(['existsSync', 'get'])

  calls.length = 0
  for (let time = 0; time < 100; time += 1) expect(template.render({ artists: entities })).toBe(cold)
  expect(calls).toEqual([])
})

describe('downloadAndCache (parity 12)', () => {
  test('the same URL is cached and not fetched; force fetches (parity 12)', async () => {
    const app = await startApp()
    app.origin.serve('/a.jpg', image(await jpeg()))
    const request = { sourceUrl: `${app.origin.url}/a.jpg`, entityType: 'album', entityId: 'x1' }
    const { images } = app.artwork
    expect((await images.downloadAndCache(request)).status).toBe('downloaded')
    expect((await images.downloadAndCache(request)).status).toBe('cached')
    expect(app.origin.hits()).toBe(1)
    expect((await images.downloadAndCache({ ...request, force: true })).status).toBe('downloaded')
    expect(app.origin.hits()).toBe(2)
  })

  test('where the bytes have vanished it fetches; a failure never counts as cached (parity 12)', async () => {
    const app = await startApp({ ...ALONE, memory: { maxBytes: 0 } })
    app.origin.serve('/a.jpg', image(await jpeg()))
    const request = { sourceUrl: `${app.origin.url}/a.jpg`, entityType: 'album', entityId: 'x1' }
    const { images } = app.artwork
    await images.downloadAndCache(request)
    await rm(join(app.directory, 'store-v2', 'content-v2'), { recursive: true })
    expect((await images.downloadAndCache(request)).status).toBe('downloaded')
    expect(app.origin.hits()).toBe(2)
    const missing = { ...request, sourceUrl: `${app.origin.url}/none.jpg`, entityId: 'x2' }
    for (let time = 0; time < 2; time += 1)
      expect(await images.downloadAndCache(missing)).toEqual({
        status: 'failed',
        reason: 'http_404',
        repository: 'none',
      })
    expect(images.getDisplayUrl(null, 'albums/x2/x2.webp', 'album')).toBe(
      '/static/images/placeholder-album.svg',
    )
  })

  test('a new URL for the entity replaces the picture (parity 12)', async () => {
    const app = await startApp()
    app.origin.serve('/a.jpg', image(await jpeg(400, 400, 0)))
    app.origin.serve('/b.jpg', image(await jpeg(400, 400, 3)))
    const { images } = app.artwork
    const of = (name: string) => ({
      sourceUrl: `${app.origin.url}/${name}.jpg`,
      entityType: 'album',
      entityId: 'x1',
    })
    const [a, b] = [await images.downloadAndCache(of('a')), await images.downloadAndCache(of('b'))]
    expect(b.status).toBe('downloaded')
    expect(b.localPath).toBe(a.localPath)
    expect(b.digest).not.toBe(a.digest)
    const old = await app.get(a.url ?? '')
    expect([old.status, old.headers.get('cache-control')]).toEqual([200, 'public, max-age=60'])
    expect((await app.get(b.url ?? '')).headers.get('cache-control')).toContain('immutable')
  })

  test('reasons: no URL, no sound URL, a host that is not allowed, an unknown type', async () => {
    const app = await startApp()
    const reason = async (sourceUrl: string | null, entityType = 'album', entityId = 'x') =>
      (await app.artwork.images.downloadAndCache({ sourceUrl, entityType, entityId })).reason
    expect(await reason(null)).toBe('no_url')
    expect(await reason('nonsense')).toBe('invalid_url')
    expect(await reason('https://elsewhere.example/a.jpg')).toBe('refused')
    expect(await reason(`${app.origin.url}/a.jpg`, 'nonsense')).toBe('invalid_url')
    for (const id of ['', '.', '..', '../secret', '/tmp/secret', 'a\\..\\b', 'a\u0000b'])
      expect(await reason(`${app.origin.url}/a.jpg`, 'album', id), JSON.stringify(id)).toBe('invalid_url')
    expect(app.origin.hits()).toBe(0)
  })
})

describe('the stored picture (parity 13)', () => {
  test.each([
    ['artist', 300, 'artists/ab/abc123.webp'],
    ['album', 500, 'albums/ab/abc123.webp'],
    ['playlist', 400, 'playlists/ab/abc123.webp'],
    ['track', 500, 'tracks/ab/abc123.webp'],
  ])('%s fits in %i, at %s (parity 13)', async (entityType, box, localPath) => {
    const app = await startApp()
    app.origin.serve('/wide.jpg', image(await jpeg(1200, 600)))
    app.origin.serve('/small.jpg', image(await jpeg(120, 60)))
    const { images } = app.artwork
    const wide = await images.downloadAndCache({
      sourceUrl: `${app.origin.url}/wide.jpg`,
      entityType,
      entityId: 'abc123',
    })
    expect(wide).toMatchObject({ width: box, height: box / 2, localPath })
    const small = await images.downloadAndCache({
      sourceUrl: `${app.origin.url}/small.jpg`,
      entityType,
      entityId: 'small',
    })
    expect(small).toMatchObject({ width: 120, height: 60 })
  })

  test('sizes are options; dashes stay in ids; numbers and other text are ids too (parity 13)', async () => {
    const app = await startApp({ entities: { artist: { variant: 'w200-h200' } } })
    app.origin.serve('/a.jpg', image(await jpeg(800, 800)))
    const sourceUrl = `${app.origin.url}/a.jpg`
    const path = async (entityType: string, entityId: string | number, params = {}) =>
      (await app.artwork.images.downloadAndCache({ sourceUrl, entityType, entityId, params })).localPath
    const { width } = await app.artwork.images.downloadAndCache({
      sourceUrl,
      entityType: 'artist',
      entityId: 'w',
    })
    expect(width).toBe(200)
    expect(await path('album', '001234ab-cdef-5678-90ab-cdefabcd1234')).toBe(
      'albums/00/001234ab-cdef-5678-90ab-cdefabcd1234.webp',
    )
    expect(await path('album', 7)).toBe('albums/7/7.webp')
    expect(await path('category', 'Just Chatting')).toBe('categories/just_chatting.jpg')
    expect(await path('category', 'just chatting!')).toMatch(/^categories\/just_chatting_[0-9a-f]{12}\.jpg$/)
    expect(await path('category', 'Just Chatting')).toBe('categories/just_chatting.jpg')
    expect(await path('profile', '123')).toBe('profiles/profile_avatar_123.jpg')
    expect(await path('artwork', 789, { streamer: 123 })).toBe('artwork/profile_avatar_123/stream_789.jpg')
  })

  test('orientation is applied, alpha kept, other metadata stripped (parity 13)', async () => {
    const app = await startApp()
    const turned = await quarters(80, 60)
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    app.origin.serve('/turned.jpg', image(turned))
    const clear = await sharp({
      create: { width: 50, height: 50, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } },
    })
      .png({ palette: true })
      .toBuffer()
    app.origin.serve('/clear.png', image(clear, 'image/png'))
    const get = async (name: string) => {
      const { url = '' } = await app.artwork.images.downloadAndCache({
        sourceUrl: `${app.origin.url}/${name}`,
        entityType: 'album',
        entityId: name.slice(0, 4),
      })
      return Buffer.from(await (await app.get(url)).arrayBuffer())
    }
    const upright = await get('turned.jpg')
    const metadata = await sharp(upright).metadata()
    expect([metadata.width, metadata.height, metadata.orientation, metadata.exif]).toEqual([
      60,
      80,
      undefined,
      undefined,
    ])
    const alpha = await pixelAt(await get('clear.png'), 0.5, 0.5)
    expect(isNear(alpha, [255, 0, 0, 128], 10), String(alpha)).toBe(true)
  })
})

describe('the record (parity 14)', () => {
  const withRepository = async (repository: Repository) => {
    const app = await startApp({ repository })
    app.origin.serve('/a.png', image(await png(), 'image/png'))
    const sourceUrl = `${app.origin.url}/a.png`
    return {
      app,
      sourceUrl,
      result: await app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'artist', entityId: 'abc' }),
    }
  }
  test('it is updated with URL, path, size and digest (parity 14)', async () => {
    const saved: [string, string, SavedImage][] = []
    const { result, sourceUrl } = await withRepository({ saveImage: (...record) => void saved.push(record) })
    expect(result.repository).toBe('saved')
    const { digest } = result
    expect(saved).toEqual([
      [
        'artist',
        'abc',
        { imageUrl: sourceUrl, imagePath: 'artists/ab/abc.webp', width: 64, height: 48, digest },
      ],
    ])
  })
  test.each([
    ['false', () => false],
    [
      'a throw',
      () => {
        throw new Error('read only')
      },
    ],
  ])('a refusal by %s is reported, and the picture stays (parity 14)', async (_how, saveImage) => {
    const { app, result } = await withRepository({ saveImage })
    expect(result).toMatchObject({ status: 'downloaded', repository: 'refused' })
    expect((await app.get(result.url ?? '')).status).toBe(200)
  })
  test('without a repository nothing is said to be saved (parity 14)', async () => {
    expect((await withRepository({})).result.repository).toBe('none')
  })
})

describe('several provider ids (parity 19)', () => {
  test('local copy by priority spotify, deezer, tidal, musicbrainz, then the URL, then the placeholder (parity 19)', async () => {
    const app = await startApp()
    const environment = new nunjucks.Environment(null, { autoescape: true })
    app.artwork.installTemplates(environment)
    const ids = { spotify: 'spot1', deezer: 4711, tidal: 'tid1', musicbrainz: 'mb-1' }
    const show = (entity: object) =>
      environment.renderString('{{ e | image_display_url("artist") }}', { e: entity })
    const entity = { id: 'own', image_url: 'https://cdn.example/fallback.jpg', provider_ids: ids }
    expect(show(entity)).toBe('https://cdn.example/fallback.jpg')
    expect(show({ ...entity, image_url: null })).toBe('/static/images/placeholder-artist.svg')
    app.origin.serve('/a.png', image(await png(), 'image/png'))
    for (const provider of ['musicbrainz', 'tidal', 'deezer', 'spotify'] as const) {
      const entityId = ids[provider]
      await app.artwork.images.downloadAndCache({
        sourceUrl: `${app.origin.url}/a.png`,
        entityType: 'artist',
        entityId,
      })
      expect(show(entity), provider).toContain(`/${entityId}.webp?v=`)
      expect(show({ id: 'own', [`${provider}_id`]: entityId }), provider).toContain(`/${entityId}.webp?v=`)
    }
  })
  test('a source only gives URLs (parity 19)', () => {
    const source = remote({ hosts: ['cdn.example'] })
    const address = source.claim(new URL('https://cdn.example/a.jpg'))
    expect(address).toMatchObject({ kind: 'remote', variant: 'original' })
    if (address === undefined) throw new Error('not claimed')
    const means = {
      document: async () => undefined,
      notes: { get: () => undefined, set: () => {} },
      now: Date.now,
    }
    expect(source.locate(address, means)).toMatchObject({ url: 'https://cdn.example/a.jpg' })
  })
})

test('cached → local URL, else the original URL, else a placeholder (parity 41)', async () => {
  const app = await startApp()
  const { images } = app.artwork
  const source = `${app.origin.url}/p.png`
  app.origin.serve('/p.png', image(await png(), 'image/png'))
  expect(images.getDisplayUrl(source, 'profiles/profile_avatar_5.jpg', 'profile')).toBe(source)
  await images.downloadAndCache({ sourceUrl: source, entityType: 'profile', entityId: '5' })
  expect(images.getDisplayUrl(source, 'profiles/profile_avatar_5.jpg', 'profile')).toMatch(
    /^\/artwork\/local\/profiles\/profile_avatar_5\.jpg\?v=/,
  )
  expect(images.getDisplayUrl(null, null, 'profile')).toBe('/static/images/placeholder-profile.svg')
})

describe('lazy start, and a repository that is down (parity 47)', () => {
  test('creating the toolkit starts no child, opens no socket and asks no repository (parity 47)', async () => {
    const asked: string[] = []
    const down = (name: string) => async () => {
      asked.push(name)
      throw new Error('the database is down')
    }
    const repository: Repository = {
      list: down('list'),
      exists: down('exists'),
      find: down('find'),
      saveImage: down('saveImage'),
    }
    const children = () => process.getActiveResourcesInfo().filter((name) => name === 'ProcessWrap').length
    const before = children()
    const app = await startApp({ repository, transform: { isolate: true } })
    expect(children()).toBe(before)
    expect(asked).toEqual([])
    app.origin.serve('/a.png', image(await png(), 'image/png'))
    const request = { sourceUrl: `${app.origin.url}/a.png`, entityType: 'artist', entityId: 'abc' }
    const result = await app.artwork.images.downloadAndCache(request)
    expect(result).toMatchObject({ status: 'downloaded', repository: 'refused' })
    expect((await app.get(result.url ?? '')).status).toBe(200)
    expect(existsSync(join(app.directory, 'catalogue-v2.sqlite'))).toBe(true)
  })
})

describe('local artwork heals itself', () => {
  const lose = (app: { directory: string }) =>
    rm(join(app.directory, 'store-v2', 'content-v2'), { recursive: true })

  test('a known name whose bytes are gone is answered by its placeholder at once, fetched again, and answers', async () => {
    const app = await startApp({ ...ALONE, memory: { maxBytes: 0 } })
    app.origin.serve('/a.jpg', image(await jpeg()))
    const request = { sourceUrl: `${app.origin.url}/a.jpg`, entityType: 'album', entityId: 'x1' }
    const { url = '' } = await app.artwork.images.downloadAndCache(request)
    await lose(app)
    const lost = await app.get(url)
    expect([lost.status, lost.headers.get('location'), lost.headers.get('cache-control')]).toEqual([
      302,
      '/static/images/placeholder-album.svg',
      'no-store',
    ])
    await app.artwork.refresher.idle()
    expect((await app.get(url)).status).toBe(200)
    expect(app.origin.hits()).toBe(2)
  })

  test('`heal: redirect` never sends a browser to a private upstream', async () => {
    const app = await startApp({ ...ALONE, memory: { maxBytes: 0 }, heal: 'redirect' })
    app.origin.serve('/a.jpg', image(await jpeg()))
    const request = { sourceUrl: `${app.origin.url}/a.jpg`, entityType: 'album', entityId: 'x1' }
    const { url = '' } = await app.artwork.images.downloadAndCache(request)
    await lose(app)
    expect((await app.get(url)).headers.get('location')).toBe('/static/images/placeholder-album.svg')
  })

  test('an unknown name is 404, whatever its `?v=`', async () => {
    const app = await startApp()
    for (const path of [
      '/artwork/local/artists/ab/abc.webp',
      '/artwork/local/artists/ab/abc.webp?v=0123456789abcdef',
      '/artwork/local/',
    ])
      expect((await app.get(path)).status, path).toBe(404)
  })
})

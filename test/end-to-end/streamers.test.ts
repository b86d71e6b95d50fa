/** Streamers and clean-up (PARITY 15, 16, 39, 42, 45) over real HTTP. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import express from 'express'
import type { Repository } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { ask } from '../support/raw-http.js'
import { listen, startApp } from '../support/toolkit.js'

const DAY = 864e5
const IN_PROCESS = { transform: { isolate: false } } as const

describe('validateImage (parity 15)', () => {
  test('HEAD, 200 and image/*; a ranged GET where HEAD is refused; through the guard (parity 15)', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { images } = app.artwork
    const { url } = app.origin
    app.origin.serve('/a.jpg', image(await jpeg(20, 20)))
    app.origin.serve('/page', image('<html></html>', 'text/html'))
    expect(await images.validateImage(`${url}/a.jpg`)).toBe(true)
    expect(app.origin.seen.at(-1)?.method).toBe('HEAD')
    for (const path of ['/page', '/missing']) expect(await images.validateImage(url + path), path).toBe(false)
    for (const status of [403, 405, 501]) {
      app.origin.serve(`/${status}`, (req, res) => {
        if (req.method === 'HEAD') res.writeHead(status).end()
        else res.writeHead(206, { 'Content-Type': 'image/jpeg', 'Content-Range': 'bytes 0-0/9' }).end('x')
      })
      expect(await images.validateImage(`${url}/${status}`), String(status)).toBe(true)
      expect(app.origin.seen.at(-1)).toMatchObject({ method: 'GET', headers: { range: 'bytes=0-0' } })
    }
    // Nobody asks for a body to hear that a host is refused.
    for (const bad of ['http://10.0.0.1/a.jpg', 'file:///etc/passwd', 'nonsense', ''])
      expect(await images.validateImage(bad), bad).toBe(false)
  })
})

describe('what the pipeline serves is valid, whatever is said of it (mended 8)', () => {
  const types = ['binary/octet-stream', 'application/octet-stream', 'text/plain', 'image', '']
  test.each(types)('declared as %j, by HEAD and by GET', async (type) => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    app.origin.serve('/p', { headers: type === '' ? {} : { 'Content-Type': type }, body: await jpeg(20, 20) })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    app.origin.serve('/t', { headers: type === '' ? {} : { 'Content-Type': type }, body: 'no picture' })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/t`)).toBe(false)
  })
  test.each([400, 403, 404, 405, 500, 501, 200])(
    'HEAD answers %i with HTML, GET is a picture',
    async (status) => {
      const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
      const bytes = await jpeg(20, 20)
      app.origin.serve('/p', (req, res) => {
        if (req.method === 'HEAD') res.writeHead(status, { 'Content-Type': 'text/html' }).end()
        else res.writeHead(200, { 'Content-Type': 'binary/octet-stream' }).end(bytes)
      })
      expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    },
  )
  test('a body that never ends is read as far as is needed', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0, maxBytes: '1 MiB' } })
    const bytes = await jpeg(20, 20)
    let sent = 0
    app.origin.serve('/p', (req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/octet-stream' })
      if (req.method === 'HEAD') return void res.end()
      res.write(bytes)
      const more = (): void => {
        sent += 65_536
        if (!res.destroyed && sent < 1e9) res.write(Buffer.alloc(65_536), () => setImmediate(more))
      }
      more()
    })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    expect(sent).toBeLessThan(1e8)
  })
  test('HTML, JSON and what is not there are not', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { url } = app.origin
    app.origin.serve('/page', image('<!doctype html>', 'text/html'))
    app.origin.serve('/json', image('{}', 'application/json'))
    app.origin.serve('/lying', image(await jpeg(20, 20), 'text/html'))
    for (const path of ['/page', '/json', '/lying', '/missing'])
      expect(await app.artwork.images.validateImage(url + path), path).toBe(false)
  })
})

describe('optimizeCache (parity 16)', () => {
  test('the original of a picture that is looked at stays, so that a change at the source is seen (parity 16)', async () => {
    const app = await startApp({ ...IN_PROCESS, freshness: { maxAge: '7 d' } })
    app.origin.serve('/a.jpg', image(await jpeg(40, 30, 1)))
    const entity = { sourceUrl: `${app.origin.url}/a.jpg`, entityType: 'artist', entityId: 'a' }
    await app.artwork.images.downloadAndCache(entity)
    const look = async () => (await app.get('/artwork/local/artists/a/a.webp')).arrayBuffer()
    for (let day = 0; day < 100; day += 10) {
      app.clock.now += 10 * DAY
      await look()
      await app.artwork.refresher.idle()
      expect(await app.artwork.images.optimizeCache()).toMatchObject({ removed: 0 })
    }
    const before = await look()
    app.origin.serve('/a.jpg', image(await jpeg(44, 33, 2)))
    app.clock.now += 8 * DAY
    await look()
    await app.artwork.refresher.idle()
    expect(Buffer.from(await look()).equals(Buffer.from(before))).toBe(false)
  })
  test('a clean-up that is stopped takes nothing more (parity 16)', async () => {
    const app = await startApp(IN_PROCESS)
    for (let id = 1; id <= 60; id += 1) {
      app.origin.serve(`/${id}.jpg`, image(await jpeg(40, 30 + id, id)))
      const entityId = String(id)
      await app.artwork.images.downloadAndCache({
        sourceUrl: `${app.origin.url}/${id}.jpg`,
        entityType: 'artist',
        entityId,
      })
    }
    const { images } = app.artwork
    const before = images.stats().byRole.artwork
    const controller = new AbortController()
    const watch = { signal: controller.signal, onProgress: () => controller.abort() }
    await images.optimizeCache({ maxAgeDays: 0 }, watch)
    expect(images.stats().byRole.artwork).toBe(before)
  })
  test('a picture whose original came anew for somebody else is made again when it is shown (parity 45)', async () => {
    const app = await startApp(IN_PROCESS)
    const sourceUrl = `${app.origin.url}/a.jpg`
    app.origin.serve('/a.jpg', image(await jpeg(40, 30, 1)))
    const fetchFor = (entityId: string, force = false) =>
      app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'artist', entityId, force })
    await fetchFor('aa')
    await fetchFor('bb')
    app.origin.serve('/a.jpg', image(await jpeg(50, 50, 2)))
    await fetchFor('aa', true)
    await app.get('/artwork/local/artists/bb/bb.webp')
    await app.artwork.refresher.idle()
    const [one, other] = await Promise.all(
      ['aa', 'bb'].map(async (id) =>
        (await app.get(`/artwork/local/artists/${id}/${id}.webp`)).headers.get('etag'),
      ),
    )
    expect(other).toBe(one)
  })
  test('by last use and not by age; orphans asked for in batches; a dry run says the same and takes nothing (parity 16)', async () => {
    const living = new Set(['a', 'b', 'c'])
    const asked: number[] = []
    const repository: Repository = {
      exists: async (_kind, ids) => {
        asked.push(ids.length)
        return new Set(ids.filter((id) => living.has(id)))
      },
    }
    const app = await startApp({ ...IN_PROCESS, repository })
    const path = (id: string) => `/artwork/local/artists/${id}/${id}.webp`
    for (const id of ['a', 'b', 'c', 'd']) {
      app.origin.serve(`/${id}.jpg`, image(await jpeg(40 + id.charCodeAt(0), 30)))
      const sourceUrl = `${app.origin.url}/${id}.jpg`
      await app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'artist', entityId: id })
    }
    app.clock.now += 60 * DAY
    expect((await app.get(path('a'))).status).toBe(200)
    app.clock.now += 60 * DAY
    const dry = await app.artwork.images.optimizeCache({ dryRun: true })
    // `a` was used 60 days ago, `b` and `c` 120; `d` is gone from the records. Their originals go the same way.
    expect(dry).toMatchObject({ orphaned: 1, corrupt: 0 })
    expect(dry.expired).toBeGreaterThanOrEqual(2)
    expect((await app.get(path('d'))).status).toBe(200)
    const real = await app.artwork.images.optimizeCache()
    expect(real).toMatchObject({ orphaned: 1, removed: real.expired + real.orphaned })
    const statuses = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (id) => (await app.get(path(id))).status),
    )
    expect(statuses).toEqual([200, 404, 404, 404])
    expect(asked.every((count) => count > 0)).toBe(true)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ removed: 0, expired: 0, orphaned: 0 })
  })
  test('a repository that fails makes nobody an orphan (parity 16)', async () => {
    const repository: Repository = { exists: () => Promise.reject(new Error('down')) }
    const app = await startApp({ ...IN_PROCESS, repository })
    app.origin.serve('/a.jpg', image(await jpeg(40, 30)))
    await app.artwork.images.downloadAndCache({
      sourceUrl: `${app.origin.url}/a.jpg`,
      entityType: 'artist',
      entityId: 'a',
    })
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 0, removed: 0 })
  })
})

describe('streamers (parity 39, 42, 45)', () => {
  test('profiles, categories and artwork under another mount; the true type; missing is 404; what is printed answers (parity 39)', async () => {
    const app = await startApp({ ...IN_PROCESS, urls: { local: '/data/images' } })
    const { url } = await listen(express().use('/data/images', app.artwork.localRouter))
    app.origin.serve('/p.png', image(await png(60, 60), 'image/png'))
    const sourceUrl = `${app.origin.url}/p.png`
    const { images } = app.artwork
    const saved = [
      await images.downloadAndCache({ sourceUrl, entityType: 'profile', entityId: 123 }),
      await images.downloadAndCache({ sourceUrl, entityType: 'category', entityId: 'Just Chatting' }),
      await images.downloadAndCache({
        sourceUrl,
        entityType: 'artwork',
        entityId: 77,
        params: { streamer: 123 },
      }),
    ]
    expect(saved.map(({ localPath }) => localPath)).toEqual([
      'profiles/profile_avatar_123.jpg',
      'categories/just_chatting.jpg',
      'artwork/profile_avatar_123/stream_77.jpg',
    ])
    for (const { localPath, url: printed } of saved) {
      const answer = await fetch(`${url}/data/images/${localPath}`)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
      expect(printed).toMatch(/^\/data\/images\//)
      expect((await app.get(printed ?? '')).status).toBe(200)
    }
    for (const path of [
      'profiles/profile_avatar_9.jpg',
      'categories/nothing.jpg',
      'artwork/profile_avatar_123/stream_1.jpg',
      'other/x.jpg',
      '',
    ])
      expect((await fetch(`${url}/data/images/${path}`)).status, path).toBe(404)
  })
  test('two names with one slug, fetched at once, are two pictures (parity 42)', async () => {
    const app = await startApp({ ...IN_PROCESS, entities: { category: { path: 'categories/{slug}.jpg' } } })
    const names = ['Just Chatting', 'just chatting!', 'JUST-CHATTING']
    const saved = await Promise.all(
      names.map(async (entityId, index) => {
        app.origin.serve(`/${index}.jpg`, image(await jpeg(40, 30, index)))
        const sourceUrl = `${app.origin.url}/${index}.jpg`
        return app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'category', entityId })
      }),
    )
    expect(new Set(saved.map(({ localPath }) => localPath)).size).toBe(3)
    expect(new Set(saved.map(({ digest }) => digest)).size).toBe(3)
  })
  test('names become slugs; empty, dotted, absolute and climbing ones are refused; links out lead nowhere (parity 42)', async () => {
    const app = await startApp(IN_PROCESS)
    app.origin.serve('/p.jpg', image(await jpeg(60, 60)))
    const { images } = app.artwork
    const save = (entityId: string, entityType = 'category') =>
      images.downloadAndCache({ sourceUrl: `${app.origin.url}/p.jpg`, entityType, entityId })
    expect((await save('Just Chatting')).localPath).toBe('categories/just_chatting.jpg')
    // Another text with the same slug is another picture.
    const other = await save('just chatting!')
    expect(other.status).toBe('downloaded')
    expect(other.localPath).not.toBe('categories/just_chatting.jpg')
    for (const bad of ['', '.', '..'])
      expect(await save(bad), JSON.stringify(bad)).toMatchObject({ status: 'failed' })
    for (const odd of ['../secret', '/tmp/secret', 'a/../../b', 'a\0b']) {
      const { status, localPath } = await save(odd)
      if (status === 'downloaded') expect(localPath, odd).toMatch(/^categories\/[a-z0-9_-]+\.jpg$/)
    }
    await writeFile(join(app.directory, 'secret.jpg'), await jpeg(10, 10))
    await mkdir(join(app.directory, 'categories'), { recursive: true })
    await symlink(join(app.directory, 'secret.jpg'), join(app.directory, 'categories', 'link.jpg'))
    for (const path of [
      'categories/link.jpg',
      'categories/../secret.jpg',
      'categories/%2e%2e/secret.jpg',
      '..%2fsecret.jpg',
      '/tmp/secret.jpg',
    ])
      expect([400, 404], path).toContain((await ask(app.url, `/artwork/local/${path}`)).status)
  })
  test('a changed source URL replaces the picture; one that breaks off leaves the old one, and nothing half (parity 45)', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { images } = app.artwork
    app.origin.serve('/old.jpg', image(await jpeg(60, 60, 1)))
    app.origin.serve('/new.jpg', image(await jpeg(60, 60, 2)))
    const bytes = await jpeg(60, 60, 3)
    app.origin.serve('/cut.jpg', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Content-Length': bytes.length })
      res.write(bytes.subarray(0, bytes.length / 2))
      setTimeout(() => res.destroy(), 20)
    })
    const save = (path: string) =>
      images.downloadAndCache({ sourceUrl: app.origin.url + path, entityType: 'profile', entityId: 1 })
    const digest = async () =>
      Buffer.from(
        await (await app.get('/artwork/local/profiles/profile_avatar_1.jpg')).arrayBuffer(),
      ).toString('base64')
    await save('/old.jpg')
    const old = await digest()
    await save('/new.jpg')
    const fresh = await digest()
    expect(fresh).not.toBe(old)
    const names = images.stats().names
    expect(await save('/cut.jpg')).toMatchObject({ status: 'failed', reason: 'connection' })
    expect(await digest()).toBe(fresh)
    expect(images.stats().names).toBe(names)
  })
})

/** Clean-up by last use (PARITY 16). */
import type { Repository } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { ALONE, startApp } from '../support/toolkit.js'

const DAY = 864e5
const IN_PROCESS = { transform: { isolate: false } } as const

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
    const app = await startApp({ ...IN_PROCESS, ...ALONE, repository })
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

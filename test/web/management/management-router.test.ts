/** The management API (PARITY 40, 43) over real HTTP: every route, who may, and what came of it. */
import express from 'express'
import { type ArtworkOptions, createArtwork, type EntityLike, type Repository } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { listen, quietLogger, startApp, type TestApp, temporaryFolder } from '../../support/toolkit.js'

interface Managed extends TestApp {
  readonly records: Map<string, Map<string, EntityLike>>
  api(path: string, init?: RequestInit): Promise<Response>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  /** A job once it has ended. */
  ended(answer: Response): Promise<Record<string, unknown>>
}

async function managed(options: ArtworkOptions = {}): Promise<Managed> {
  const records = new Map<string, Map<string, EntityLike>>()
  const repository: Repository = {
    list: async (kind, cursor) => {
      const all = [...(records.get(kind)?.values() ?? [])]
      const start = Number(cursor ?? 0)
      const next = start + 3 < all.length ? { next: String(start + 3) } : {}
      return { entities: all.slice(start, start + 3), ...next }
    },
    find: async (kind, id) => records.get(kind)?.get(id),
    exists: async (kind, ids) => new Set(ids.filter((id) => records.get(kind)?.has(id))),
  }
  const app = await startApp({
    transform: { isolate: false },
    repository,
    manage: { authorize: (req) => req.headers['x-admin'] === 'yes' },
    ...options,
    fetch: { retries: 0, ...options.fetch },
  })
  app.artwork.start()
  const { url } = await listen(express().use('/api/images', app.artwork.manageRouter))
  const api = (path: string, init: RequestInit = {}) =>
    fetch(`${url}/api/images${path}`, { ...init, headers: { 'X-Admin': 'yes', ...init.headers } })
  const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    api(path, {
      method: 'POST',
      headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const ended = async (answer: Response): Promise<Record<string, unknown>> => {
    expect(answer.status).toBe(202)
    const { job } = (await answer.json()) as { job: { id: string } }
    expect(answer.headers.get('location')).toBe(`/api/images/jobs/${job.id}`)
    const look = async () =>
      ((await (await api(`/jobs/${job.id}`)).json()) as { job: Record<string, unknown> }).job
    await expect.poll(async () => (await look()).ended_at, { timeout: 15_000 }).toBeDefined()
    return look()
  }
  return { ...app, records, api, post, ended }
}
const addStreamers = async (app: Managed, count: number): Promise<void> => {
  const kind = new Map<string, EntityLike>()
  for (let id = 1; id <= count; id += 1) {
    app.origin.serve(`/s${id}.jpg`, image(await jpeg(80 + id, 60)))
    kind.set(String(id), { id, username: `user${id}`, image_url: `${app.origin.url}/s${id}.jpg` })
  }
  app.records.set('profile', kind)
}

describe('the management API (parity 40)', () => {
  test('an entity’s picture: what is printed, and whether it is cached; download fetches it (parity 40)', async () => {
    const app = await managed()
    await addStreamers(app, 1)
    const source = `${app.origin.url}/s1.jpg`
    app.records
      .get('profile')
      ?.set('AC/DC', { id: 'AC/DC', username: 'slash', image_url: `${app.origin.url}/s1.jpg` })
    expect(await (await app.api('/streamer/AC%2FDC')).json()).toMatchObject({ username: 'slash' })
    expect((await app.api('/streamer/..%2Fx')).status).toBe(400)
    const before = await app.api('/streamer/1')
    expect(await before.json()).toEqual({
      streamer_id: 1,
      username: 'user1',
      image_url: source,
      original_image_url: source,
      cached: false,
    })
    const job = await app.ended(await app.post('/streamer/1/download'))
    expect(job).toMatchObject({ kind: 'download', state: 'done', result: { status: 'downloaded' } })
    const after = (await (await app.api('/streamer/1')).json()) as { image_url: string; cached: boolean }
    expect(after).toMatchObject({ streamer_id: 1, original_image_url: source, cached: true })
    expect(after.image_url).toMatch(/^\/artwork\/local\/profiles\/profile_avatar_1\.jpg\?v=[0-9a-f]{16}$/)
    expect((await app.get(after.image_url)).status).toBe(200)
    expect(await (await app.api('/profile/1')).json()).toMatchObject({ cached: true })
  })
  test('a category answers by its name (parity 40)', async () => {
    const app = await managed()
    app.origin.serve('/chat.jpg', image(await jpeg(80, 60)))
    app.records.set(
      'category',
      new Map([['Just Chatting', { id: 'Just Chatting', image_url: `${app.origin.url}/chat.jpg` }]]),
    )
    const path = '/category/Just%20Chatting'
    expect(await (await app.api(path)).json()).toEqual({
      category_name: 'Just Chatting',
      image_url: `${app.origin.url}/chat.jpg`,
      cached: false,
    })
    await app.ended(await app.post(`${path}/download`))
    const found = (await (await app.api(path)).json()) as { image_url: string; cached: boolean }
    expect(found.cached).toBe(true)
    expect(found.image_url).toMatch(/^\/artwork\/local\/categories\/just_chatting\.jpg\?v=/)
  })
  test('unknown is 404, no URL 400, and so for every kind (parity 40)', async () => {
    const app = await managed()
    app.records.set('artist', new Map([['a', { id: 'a', name: 'A' }]]))
    expect((await app.api('/artist/b')).status).toBe(404)
    expect((await app.post('/artist/b/download')).status).toBe(404)
    expect((await app.api('/nonsense/b')).status).toBe(404)
    const nothing = await managed({ repository: { find: async () => null as never } })
    expect((await nothing.api('/streamer/nobody')).status).toBe(404)
    expect((await nothing.post('/streamer/nobody/download')).status).toBe(404)
    expect((await app.post('/artist/a/download')).status).toBe(400)
    expect(await (await app.api('/artist/a')).json()).toMatchObject({
      artist_id: 'a',
      username: 'A',
      image_url: null,
      cached: false,
    })
    expect((await app.api('/jobs/999')).status).toBe(404)
    expect((await app.api('/')).status).toBe(404)
  })
  test('stats by kind and in all (parity 40)', async () => {
    const app = await managed()
    await addStreamers(app, 3)
    app.origin.serve('/s2.jpg', { status: 404 })
    await app.ended(await app.post('/sync', { kinds: ['profile'] }))
    const stats = (await (await app.api('/stats')).json()) as {
      kinds: Record<string, { cached: number; failed: number; bytes: number }>
      totals: { cached: number; failed: number }
    }
    expect(stats.kinds.profile).toMatchObject({ cached: 2, failed: 1, bytes: expect.any(Number) })
    expect(stats.kinds.artist).toEqual({ cached: 0, failed: 0, bytes: 0 })
    expect(stats.totals).toMatchObject({ cached: 2, failed: 1 })
  })
  test('closed without authorize, and says how to open it; false and a throw are 403; other sites change nothing', async () => {
    const closed = await managed({ manage: {} })
    for (const path of ['/stats', '/jobs', '/artist/a', '/nonsense'])
      expect(await (await closed.api(path)).json()).toEqual({
        detail: expect.stringMatching(/manage: \{ authorize \}/),
      })
    expect((await closed.api('/openapi.json')).status).toBe(200)
    const app = await managed()
    expect((await app.api('/stats', { headers: { 'X-Admin': 'no' } })).status).toBe(403)
    const broken = await managed({
      manage: {
        authorize: () => {
          throw new Error('no')
        },
      },
    })
    expect((await broken.api('/stats')).status).toBe(403)
    for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { Origin: 'https://evil.example' }] as Record<
      string,
      string
    >[]) {
      expect((await app.post('/sync', undefined, headers)).status).toBe(403)
      expect((await app.api('/stats', { headers })).status).toBe(200)
    }
    expect((await app.post('/sync', undefined, { 'Sec-Fetch-Site': 'same-origin' })).status).toBe(202)
  })
  test('bad bodies and verbs are refused with their reason', async () => {
    const app = await managed()
    expect((await app.post('/sync', { kinds: 'all' })).status).toBe(422)
    expect((await app.post('/sync', { kinds: ['nobody'] })).status).toBe(422)
    expect((await app.post('/cleanup', { maxAgeDays: -1 })).status).toBe(422)
    expect((await app.post('/warm', {})).status).toBe(422)
    expect((await app.post('/purge', {})).status).toBe(422)
    expect((await app.api('/jobs?state=odd')).status).toBe(400)
    const wrong = await app.api('/stats', { method: 'DELETE' })
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
    expect((await app.api('/explain')).status).toBe(400)
  })
  test('kinds named as a route, or twice, stop the start', async () => {
    const start = async (entities: ArtworkOptions['entities']) =>
      createArtwork({
        directory: await temporaryFolder(),
        logger: quietLogger(),
        ...(entities && { entities }),
      })
    await expect(start({ stats: {} })).rejects.toThrow(/entities\.stats must not be named/)
    await expect(start({ film: { alias: 'jobs' } })).rejects.toThrow(
      /entities\.film must not be named.*"jobs"/,
    )
    await expect(start({ film: { alias: 'artist' } })).rejects.toThrow(/must not both be named "artist"/)
  })
})

describe('jobs (parity 43)', () => {
  test('sync covers every kind, and asks again only for what is missing, changed, or failed and due (parity 43)', async () => {
    const app = await managed()
    await addStreamers(app, 7)
    app.origin.serve('/album.jpg', image(await jpeg(90, 90)))
    app.records.set('album', new Map([['x', { id: 'x', cover_url: `${app.origin.url}/album.jpg` }]]))
    app.origin.serve('/s3.jpg', { status: 404 })
    const first = await app.ended(await app.post('/sync'))
    expect(first).toMatchObject({
      state: 'done',
      done: 8,
      total: 8,
      result: { seen: 8, queued: 8, done: 7, failed: 1 },
    })
    expect((await app.ended(await app.post('/sync'))).result).toMatchObject({ seen: 8, queued: 0 })
    // One changes, and the failure is due a day later.
    app.origin.serve('/new.jpg', image(await jpeg(99, 60)))
    app.records.get('profile')?.set('5', { id: 5, image_url: `${app.origin.url}/new.jpg` })
    expect((await app.ended(await app.post('/sync'))).result).toMatchObject({ queued: 1, done: 1 })
    app.clock.now += 25 * 3_600_000
    app.origin.serve('/s3.jpg', image(await jpeg(70, 60)))
    expect((await app.ended(await app.post('/sync'))).result).toMatchObject({ queued: 1, done: 1 })
    expect(
      (await app.ended(await app.post('/sync', { kinds: ['album'], force: true }))).result,
    ).toMatchObject({ seen: 1, queued: 1 })
    const listed = (await (await app.api('/jobs?kind=sync&limit=2')).json()) as {
      jobs: unknown[]
      next: string | null
    }
    expect(listed.jobs.length).toBe(2)
    expect(listed.next).not.toBeNull()
  })
  test('a repository that lists odd ids or the same page for ever ends, and the sound ones are synced; nonsense fails', async () => {
    const good = { id: 'good', image_url: '' }
    const app = await managed({
      repository: {
        list: async (kind) =>
          (kind === 'artist'
            ? {
                entities: [
                  { id: '..', image_url: good.image_url },
                  null,
                  7,
                  { id: 1.5, image_url: good.image_url },
                  good,
                ],
                next: 'again',
              }
            : kind === 'album'
              ? { entities: 'none', next: null }
              : { entities: [] }) as never,
      },
    })
    good.image_url = `${app.origin.url}/good.jpg`
    app.origin.serve('/good.jpg', image(await jpeg(60, 40)))
    const job = await app.ended(await app.post('/sync'))
    expect(job).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/could not list album: repository\.list must answer/),
    })
    const sound = await app.ended(await app.post('/sync', { kinds: ['artist'] }))
    expect(sound).toMatchObject({ state: 'done', result: { unreadable: expect.any(Number) } })
    // Of a record, only what the path needs is kept.
    const { jobs: all } = (await (await app.api('/jobs?kind=download')).json()) as { jobs: { key: string }[] }
    expect(all.map(({ key }) => key)).toEqual(['artist:good'])
  })
  test('cleaning up takes true orphans only; a dry run says the same and takes nothing (parity 44)', async () => {
    const app = await managed()
    await addStreamers(app, 4)
    await app.ended(await app.post('/sync'))
    app.records.get('profile')?.delete('2')
    const dry = await app.ended(await app.post('/cleanup', { dryRun: true }))
    expect(dry.result).toMatchObject({ orphaned: 1, removed: 1 })
    expect((await app.get('/artwork/local/profiles/profile_avatar_2.jpg')).status).toBe(200)
    const real = await app.ended(await app.post('/cleanup'))
    expect(real.result).toEqual(dry.result)
    expect((await app.get('/artwork/local/profiles/profile_avatar_2.jpg')).status).toBe(404)
    for (const id of [1, 3, 4])
      expect((await app.get(`/artwork/local/profiles/profile_avatar_${id}.jpg`)).status).toBe(200)
  })
  test('a job is followed as it comes on, cancelled, and tried again', async () => {
    const app = await managed()
    const waiting: (() => void)[] = []
    const bytes = await jpeg(60, 40)
    const kind = new Map<string, EntityLike>()
    for (let id = 1; id <= 30; id += 1) {
      app.origin.serve(`/w${id}.jpg`, (_req, res) => {
        waiting.push(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes))
      })
      kind.set(String(id), { id, image_url: `${app.origin.url}/w${id}.jpg` })
    }
    app.records.set('profile', kind)
    const { job } = (await (await app.post('/sync')).json()) as { job: { id: string } }
    const events = (await app.api(`/jobs/${job.id}/events`)).text()
    await expect.poll(() => waiting.length).toBe(2)
    for (const answer of waiting.splice(0)) answer()
    await expect.poll(() => waiting.length).toBe(2)
    expect((await app.post(`/jobs/${job.id}/cancel`)).status).toBe(202)
    for (const answer of waiting.splice(0)) answer()
    const text = await events
    expect(text).toMatch(/^id: \d+\nevent: job\ndata: \{.*"state":"(?:queued|running)"/)
    expect(text).toContain('"state":"cancelled"')
    await app.artwork.refresher.idle()
    expect(waiting).toEqual([])
    expect((await app.post(`/jobs/${job.id}/cancel`)).status).toBe(409)
    expect((await app.post(`/jobs/${job.id}/retry`)).status).toBe(202)
    await expect.poll(() => waiting.length).toBe(2)
    const drain = setInterval(() => {
      for (const answer of waiting.splice(0)) answer()
    }, 5)
    await app.artwork.refresher.idle()
    clearInterval(drain)
    const state = (await (await app.api(`/jobs/${job.id}`)).json()) as { job: { state: string } }
    expect(state.job.state).toBe('done')
  })
  test('explaining tells which layer answers: memory, disk, made anew, the upstream, or none (parity 40)', async () => {
    const app = await managed({ widths: [40], memory: { maxBytes: 100_000 } })
    app.origin.serve('/a.jpg', image(await jpeg(90, 60)))
    const id = Buffer.from(`${app.origin.url}/a.jpg`).toString('base64url')
    const why = async (variant: string) => {
      const answer = await app.api(`/explain?address=remote/${variant}/${id}`)
      const { answer: kind, layer } = (await answer.json()) as { answer: string; layer: string }
      return [kind, layer]
    }
    expect(await why('w40')).toEqual(['fetched', 'upstream'])
    await app.artwork.images.getImage(`remote/original/${id}`)
    expect(await why('original')).toEqual(['held', 'memory'])
    expect(await why('w40')).toEqual(['held', 'made'])
    await app.artwork.images.getImage(`remote/w40/${id}`)
    expect(await why('w40')).toEqual(['held', 'memory'])
    await app.stop()
    const later = await startApp(
      { manage: { authorize: () => true }, widths: [40] },
      { directory: app.directory, origin: app.origin },
    )
    expect(later.artwork.images.explain({ address: `remote/w40/${id}` })).toMatchObject({ layer: 'disk' })
    await later.artwork.images.purge({ url: `${app.origin.url}/a.jpg` })
    app.origin.serve('/a.jpg', { status: 404 })
    await later.artwork.images.getImage(`remote/w40/${id}`).catch(() => {})
    expect(later.artwork.images.explain({ address: `remote/w40/${id}` })).toMatchObject({
      answer: 'failure',
      layer: 'none',
      failure: { code: 'not_found' },
    })
  })
  test('what pages print is understood: URLs of ours, artwork paths, negotiated variants; warm takes source URLs', async () => {
    const base = 'https://app.example.com'
    const app = await managed({ widths: [40], urls: { base } })
    await addStreamers(app, 2)
    await app.ended(await app.post('/sync'))
    const source = `${app.origin.url}/s1.jpg`
    const id = Buffer.from(source).toString('base64url')
    const warmed = await app.ended(await app.post('/warm', { addresses: [source], variants: ['w40-webp'] }))
    expect(warmed.result).toEqual({ made: 1, failed: 0, errors: {} })
    const refused = 'https://nobody.example.com/a.jpg'
    const failed = await app.ended(await app.post('/warm', { addresses: [refused], variants: ['w40'] }))
    expect(failed.result).toMatchObject({ made: 0, errors: { [`w40 of ${refused}`]: 'refused' } })
    const { images } = (await (await app.api('/images?role=artwork&sort=name')).json()) as {
      images: { url: string; name: string }[]
    }
    const [{ url = '', name = '' } = {}] = images
    expect([url.startsWith(`${base}/artwork/local/`), name]).toEqual([
      true,
      expect.stringContaining('local/'),
    ])
    const why = async (query: string) => {
      const answer = await app.api(`/explain?${query}`)
      return [answer.status, ((await answer.json()) as { layer?: string; sourceUrl?: string }).layer]
    }
    const local = name.slice('local/'.length)
    for (const text of [url, `/artwork/local/${local}`, local])
      expect([text, await why(`address=${encodeURIComponent(text)}`)]).toEqual([text, [200, 'memory']])
    expect(await why(`url=${encodeURIComponent(url)}`)).toEqual([200, 'memory'])
    expect(await why(`address=remote/w40-auto/${id}`)).toEqual([200, 'memory'])
    expect(await why(`address=${encodeURIComponent(`${base}/images/remote/w40-webp/${id}?v=1`)}`)).toEqual([
      200,
      'memory',
    ])
    expect((await why('address=/artwork/local/nothing.webp'))[0]).toBe(404)
    const purged = await app.post('/purge', { url })
    expect([purged.status, ((await purged.json()) as { removed: number }).removed]).toEqual([200, 3])
    expect(app.artwork.images.stats().byRole).toEqual({ original: 1, rendition: 0, artwork: 1 })
  })
  test('unknown fields are refused by name, and nothing is done', async () => {
    const app = await managed()
    for (const [path, body] of [
      ['/sync', { kidns: ['artist'] }],
      ['/cleanup', { dryrun: true }],
      ['/purge', { url: 'https://a.example/', tag: 'x' }],
      ['/purge', {}],
    ] as const)
      expect([path, (await app.post(path, body)).status]).toEqual([path, 422])
    expect(await app.artwork.refresher.jobs()).toEqual([])
  })
  test('warming, verifying, validating, refreshing, purging and explaining', async () => {
    const app = await managed({ widths: [40] })
    await addStreamers(app, 2)
    const id = Buffer.from(`${app.origin.url}/s1.jpg`).toString('base64url')
    const warm = await app.ended(
      await app.post('/warm', { addresses: [`remote/${id}`, 'remote/bad'], variants: ['w40', 'w40-webp'] }),
    )
    expect(warm).toMatchObject({ total: 4, result: { made: 2, failed: 2 } })
    const explain = async () =>
      (await (
        await app.api(`/explain?url=${encodeURIComponent(`${app.origin.url}/s1.jpg`)}`)
      ).json()) as Record<string, unknown>
    expect(await explain()).toMatchObject({
      answer: 'held',
      original: { width: 81 },
      renditions: [{ width: 40 }, { width: 40 }],
    })
    app.clock.now += 7.5 * 864e5
    expect(await explain()).toMatchObject({ answer: 'stale' })
    expect((await app.ended(await app.post('/refresh', { perMinute: 60_000 }))).result).toEqual({
      changed: 0,
      unchanged: 1,
      failed: 0,
    })
    expect(await explain()).toMatchObject({ answer: 'held' })
    expect((await app.ended(await app.post('/verify'))).result).toMatchObject({ state: 'done', damaged: 0 })
    app.origin.serve('/s2.jpg', { status: 404 })
    expect((await app.ended(await app.post('/validate'))).result).toEqual({
      valid: 1,
      invalid: 1,
      entities: ['profile/2'],
    })
    const purged = await app.post('/purge', { url: `${app.origin.url}/s1.jpg` })
    expect(await purged.json()).toMatchObject({ removed: 3 })
    expect(await explain()).toMatchObject({ answer: 'fetched', renditions: [] })
    app.origin.serve('/s1.jpg', { status: 500 })
    expect((await app.get(`/images/remote/w40/${id}`)).status).toBe(502)
    expect(await explain()).toMatchObject({
      answer: 'failure',
      failure: { code: 'upstream_failed', times: 1 },
    })
  })
})

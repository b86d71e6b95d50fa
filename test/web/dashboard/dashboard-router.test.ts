/** The dashboard without a browser: who may come in, what is refused, and the lists of the management API behind it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import express from 'express'
import { type ArtworkOptions, createArtwork, type Repository, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { listen, quietLogger, remoteAddress, startApp, temporaryFolder } from '../../support/toolkit.js'

async function stage(options: ArtworkOptions = {}, parsers: 'none' | 'parsed' = 'none') {
  const records = new Map<string, { id: string; image_url: string }>()
  const repository: Repository = {
    list: async (kind) => ({ entities: kind === 'artist' ? [...records.values()] : [] }),
    exists: async (_kind, ids) => new Set(ids.filter((id) => records.has(id))),
    find: async (kind, id) => (kind === 'artist' ? records.get(id) : undefined),
  }
  const app = await startApp({
    transform: { isolate: false },
    repository,
    manage: { authorize: (req) => req.headers['x-admin'] === 'yes' },
    ...options,
    fetch: { retries: 0 },
  })
  for (const id of ['1', '2', '3']) {
    app.origin.serve(`/${id}.jpg`, image(await jpeg(60 + 10 * Number(id), 40, Number(id))))
    records.set(id, { id, image_url: `${app.origin.url}/${id}.jpg` })
  }
  app.artwork.start()
  const server = express()
  if (parsers === 'parsed') server.use(express.urlencoded({ extended: false }), express.json())
  const { url } = await listen(
    server.use('/api/images', app.artwork.manageRouter).use('/elsewhere', app.artwork.dashboardRouter),
  )
  const api = (path: string, init: RequestInit = {}) =>
    fetch(`${url}/api/images${path}`, {
      redirect: 'manual',
      ...init,
      headers: { 'X-Admin': 'yes', ...init.headers },
    })
  const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
    api(`/dashboard${path}`, { method: 'POST', body: new URLSearchParams(form), headers })
  const sync = async () => {
    app.artwork.refresher.run('sync')
    await app.artwork.refresher.idle()
  }
  const json = async (path: string) => (await (await api(path)).json()) as Record<string, unknown>
  return { ...app, records, server: url, api, post, sync, json }
}

const PATHS = [
  '/',
  '',
  '/images',
  '/image?name=local/artists/1/1.webp',
  '/picture?name=local/artists/1/1.webp',
  '/jobs',
  '/jobs/1',
  '/jobs/1/events',
  '/failures',
  '/events',
  '/assets/dashboard.js',
  '/assets/uplot.css',
  '/nowhere',
]

describe('the dashboard', () => {
  test('is closed to who may not manage, every part of it, by every verb; and to all where nobody is named', async () => {
    const app = await stage()
    await app.sync()
    const shut = await createArtwork({ directory: await temporaryFolder(), logger: quietLogger() })
    const closed = await listen(express().use('/pictures', shut.dashboardRouter))
    for (const path of PATHS)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']) {
        for (const base of [
          `${app.server}/api/images/dashboard`,
          `${app.server}/elsewhere`,
          `${closed.url}/pictures`,
        ]) {
          const answer = await fetch(base + path, { method, redirect: 'manual' })
          expect([method, base + path, answer.status]).toEqual([method, base + path, 403])
          expect(answer.headers.get('cache-control')).toBe('no-store')
          expect(await answer.text()).not.toContain('artists')
        }
      }
    expect(await (await fetch(`${closed.url}/pictures`)).text()).toContain('manage: { authorize }')
    await shut.close()
  })

  test.each([
    ['no function says who may', undefined, 403, /this app has not said who may[\s\S]*ARTWORK_MANAGE_TOKEN/],
    ['refused', () => false, 403, /the app’s own decision[\s\S]*manage\.authorize[\s\S]*ask whoever runs it/],
    ['not known yet', () => 'unauthenticated' as const, 401, /who you are[\s\S]*Log in to the app first/],
  ])('who may not enter reads how to, and who decides: %s', async (_name, authorize, status, text) => {
    const app = await stage({ manage: authorize === undefined ? {} : { authorize } })
    const asBrowser = await app.api('/dashboard/failures', { headers: { Accept: 'text/html,*/*' } })
    expect([asBrowser.status, asBrowser.headers.get('content-type')]).toEqual([
      status,
      'text/html; charset=utf-8',
    ])
    expect(asBrowser.headers.get('content-security-policy')).toContain("default-src 'none'")
    const html = await asBrowser.text()
    expect(html).toMatch(text)
    expect(html).toContain('<code>manage.authorize</code>')
    expect(html).not.toMatch(/<script|<a |src=/)
    const asProgram = await app.api('/dashboard/failures')
    expect([asProgram.status, asProgram.headers.get('content-type')]).toEqual([
      status,
      'text/plain; charset=utf-8',
    ])
    expect(await asProgram.text()).toMatch(text)
  })

  test('what is empty says so: charts without data, a ratio of no requests, lists of nothing', async () => {
    const app = await stage()
    const overview = await (await app.api('/dashboard/')).text()
    expect(overview.match(/No data yet/g)).toHaveLength(4)
    expect(overview).not.toContain('<polyline')
    expect(overview).toMatch(/Hit ratio, last hour<\/dt><dd>–<\/dd><dd class="dim">no requests yet</)
    expect(overview).not.toMatch(/NaN|undefined/)
    expect(overview).toContain('No job has been asked for yet.')
    expect(await (await app.api('/dashboard/failures')).text()).toContain('Nothing fails at the moment.')
    expect(await (await app.api('/dashboard/jobs?lane=task')).text()).toContain(
      'No picture has been asked for yet.',
    )
    expect(await (await app.api('/dashboard/jobs?state=failed')).text()).toContain('No job is in this state.')
    await app.sync()
    expect(await (await app.api('/dashboard/')).text()).toContain('<polyline')
  })

  test('a failure says what failed, of which picture, why, what to do, and when it is tried again', async () => {
    const app = await stage()
    app.origin.serve('/2.jpg', { status: 404 })
    await app.sync()
    const address = remoteAddress(`${app.origin.url}/gone.jpg`, 'original-webp')
    await app.artwork.images.getImage(address).catch(() => {})
    const html = await (await app.api('/dashboard/failures')).text()
    expect(html).toContain(
      `<span title="artist:2">artist 2</span><br><span class="dim">${app.origin.url}/2.jpg`,
    )
    expect(html).toContain('The source has no such image.')
    expect(html).toContain('Open the source URL in a browser: the record may have an old one.')
    expect(html).toMatch(/data-label="Tried again"><time datetime="[^"]+" title="[^"]+ UTC">in 24 h<\/time>/)
    expect(html).toContain(
      `title="images/${address.replace('original-webp', 'original')}">${app.origin.url}/gone.jpg<`,
    )
    const jobs = await (await app.api('/dashboard/jobs?lane=task&state=failed')).text()
    expect(jobs).toContain('>Picture of artist 2</a>')
    expect(jobs).toContain('The source has no such image. Open the source URL in a browser')
  })

  test('pictures of URLs are shown by their URL, with the address as a title, and saved under its name', async () => {
    const app = await stage()
    app.origin.serve('/some/caf%C3%A9%20%22live%22.jpg', image(await jpeg(60, 40)))
    const url = `${app.origin.url}/some/caf%C3%A9%20%22live%22.jpg`
    const key = `images/${remoteAddress(url)}`
    await app.artwork.images.getImage(remoteAddress(url))
    await app.artwork.images.getImage(remoteAddress(url, 'original-webp'))
    const id = key.split('/').at(-1) ?? ''
    for (const path of ['/images', `/image?name=${encodeURIComponent(key)}`]) {
      const html = await (await app.api(`/dashboard${path}`)).text()
      const texts = html.replace(/<[^>]*>/g, ' ')
      expect(texts, path).toContain(url)
      expect(texts, path).not.toContain(id)
      expect(html, path).toContain(`title="${key}"`)
    }
    const named = async (answer: Response) => answer.headers.get('content-disposition')
    const safe = `filename="caf___live_.jpg"; filename*=UTF-8''caf%C3%A9%20_live_.jpg`
    expect(await named(await app.api(`/dashboard/picture?name=${encodeURIComponent(key)}`))).toBe(
      `inline; ${safe}`,
    )
    expect(await named(await app.get(`/${key}`))).toBe(`inline; ${safe}`)
    const auto = await app.get(`/${key.replace('/original/', '/original-auto/')}`, {
      headers: { Accept: 'image/webp' },
    })
    expect(await named(auto)).toBe(`inline; ${safe.replaceAll('.jpg', '.webp')}`)
  })

  test('the next run of a schedule names its time zone', async () => {
    const app = await stage({
      schedules: { cleanup: { cron: '30 4 * * *', timezone: 'Asia/Tokyo', jitter: 0 } },
    })
    expect(await (await app.api('/dashboard/')).text()).toMatch(
      /<td>\d{4}-\d\d-\d\d 04:30:00\+09:00 Asia\/Tokyo<\/td>/,
    )
  })

  test.each(['none', 'parsed'] as const)(
    'buttons are forms; other sites cannot press them; what makes no sense is refused (body parsers before: %s)',
    async (parsers) => {
      const app = await stage({}, parsers)
      const foreign: readonly Record<string, string>[] = [
        { Origin: 'https://evil.example' },
        { 'Sec-Fetch-Site': 'cross-site' },
        { 'Sec-Fetch-Site': 'same-site' },
        { Origin: 'null' },
      ]
      for (const headers of foreign) expect((await app.post('/actions/sync', {}, headers)).status).toBe(403)
      expect(await app.artwork.refresher.jobs()).toEqual([])
      const started = await app.post('/actions/sync', { kinds: 'artist' }, { Origin: app.server })
      const to = started.headers.get('location') ?? ''
      expect([started.status, to]).toEqual([
        303,
        expect.stringMatching(/^\/api\/images\/dashboard\/jobs\/\d+$/),
      ])
      await app.artwork.refresher.idle()
      const page = await app.api(to.replace('/api/images', ''))
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'")
      expect(await page.text()).toContain('What came of it')
      for (const [action, form, status] of [
        ['sync', { kinds: 'nobody' }, 400],
        ['warm', { addresses: '' }, 400],
        ['cleanup', { maxAgeDays: '-1' }, 400],
        ['cleanup', { maxAgeDays: 'x' }, 400],
        ['purge', { target: '' }, 400],
        ['purge', { target: 'nobody/w1/x' }, 400],
        ['purge', { target: 'https://nobody.example/a.jpg' }, 403],
        ['download', { kind: 'artist', id: 'nobody' }, 404],
        ['retry-entity', { key: 'artist:nobody' }, 404],
        ['refresh-one', { name: 'local/nothing.webp' }, 404],
        ['nothing', {}, 404],
        ['export', {}, 303],
      ] as const)
        expect([action, (await app.post(`/actions/${action}`, form)).status]).toEqual([action, status])
      expect((await app.post('/jobs/9/cancel', {})).status).toBe(404)
      expect((await app.api('/dashboard/images', { method: 'DELETE' })).status).toBe(405)
    },
  )

  test.each([
    ['express.json()', () => express.json()],
    ['express.raw() of everything', () => express.raw({ type: '*/*' })],
    ['express.text() of everything', () => express.text({ type: '*/*' })],
    ['none', () => (_req: unknown, _res: unknown, next: () => void) => next()],
  ] as const)('a dry run stays one, whatever reads bodies before (%s)', async (_name, parser) => {
    const app = await stage()
    await app.sync()
    app.records.delete('1')
    const { url } = await listen(express().use(parser()).use('/pictures', app.artwork.dashboardRouter))
    const press = (body: BodyInit, headers: Record<string, string> = {}) =>
      fetch(`${url}/pictures/actions/cleanup`, {
        method: 'POST',
        redirect: 'manual',
        headers: { 'X-Admin': 'yes', ...headers },
        body,
      })
    expect((await press(new URLSearchParams({ dryRun: 'true', maxAgeDays: '90' }))).status).toBe(303)
    await app.artwork.refresher.idle()
    expect(app.artwork.refresher.jobs({ kind: 'cleanup' })).toMatchObject([
      { payload: { dryRun: true }, result: { orphaned: 1 } },
    ])
    const form = new FormData()
    form.set('dryRun', 'true')
    expect((await press(form)).status).toBe(415)
    expect((await press(new URLSearchParams({ maxAgeDays: '0' }))).status).toBe(400)
    expect((await press('')).status).toBeGreaterThanOrEqual(400)
    await app.artwork.refresher.idle()
    expect(app.artwork.images.stats().byRole.artwork).toBe(3)
  })

  test('an app’s own environment stays its own: what it escapes, its globals, its filters that take their time', async () => {
    const views = await temporaryFolder()
    await writeFile(join(views, 'greeting.njk'), '<p>{{ user }} {{ html }}</p>')
    await writeFile(
      join(views, 'frame.njk'),
      '<!doctype html><title>{% block title %}{% endblock %}</title>{% include "greeting.njk" %}{{ "later" | slowly }}{% block content %}{% endblock %}',
    )
    const app = await stage({ manage: { authorize: () => true, templates: { layout: 'frame.njk' } } })
    const environment = nunjucks.configure([views, viewsPath], { autoescape: false })
    environment.addGlobal('user', 'alice').addGlobal('html', '<i>')
    const slowly = (text: string, done: (error: Error | null, text: string) => void) =>
      setTimeout(() => done(null, `${text}!`), 10)
    environment.addFilter('slowly', slowly as never, true)
    app.artwork.installTemplates(environment)
    const page = await (await app.api('/dashboard/jobs')).text()
    expect(page).toContain('<p>alice &lt;i&gt;</p>later!')
    environment.addGlobal('user', 'bob')
    expect(environment.render('greeting.njk', {})).toBe('<p>bob <i></p>')
    expect(await (await app.api('/dashboard/failures')).text()).toContain('&lt;i&gt;')
  })

  test('a frame that fails takes no page of what went wrong with it', async () => {
    const views = await temporaryFolder()
    await writeFile(join(views, 'broken.njk'), '{{ nobody.has.this() }}')
    const app = await stage({ manage: { authorize: () => true, templates: { layout: 'broken.njk' } } })
    app.artwork.installTemplates(nunjucks.configure([views, viewsPath], { autoescape: true }))
    const answer = await app.api('/dashboard/jobs')
    expect([answer.status, await answer.text()]).toEqual([500, 'internal error\n'])
  })

  test('pages answer HEAD, are 404 with a page of ours for what is not there, and load nothing from elsewhere', async () => {
    const app = await stage()
    await app.sync()
    for (const path of ['/', '/images', '/jobs', '/failures', '/image?name=local%2Fartists%2F1%2F1.webp']) {
      const answer = await app.api(`/dashboard${path}`)
      const html = await answer.text()
      expect([path, answer.status]).toEqual([path, 200])
      for (const [, link = ''] of html.matchAll(/ (?:src|href|action)="([^"]*)"/g))
        expect(link, path).toMatch(/^(?:\/(?!\/)|#|data:,)/)
      expect((await app.api(`/dashboard${path}`, { method: 'HEAD' })).status).toBe(200)
    }
    for (const path of [
      '/nowhere',
      '/jobs/x',
      '/jobs/99',
      '/image?name=nothing',
      '/image',
      '/a/b/c/d',
      '/assets/..%2flayout.njk',
    ])
      expect([path, (await app.api(`/dashboard${path}`)).status]).toEqual([path, 404])
    expect(await (await app.api('/dashboard/jobs/99')).text()).toContain('There is no such thing')
    const elsewhere = await fetch(`${app.server}/elsewhere/`, { headers: { 'X-Admin': 'yes' } })
    expect(await elsewhere.text()).toContain('href="/elsewhere/images"')
  })

  test('pictures are given as they are kept, with a tag, and to no cache but the client’s', async () => {
    const app = await stage()
    await app.sync()
    const path = '/dashboard/picture?name=local%2Fartists%2F2%2F2.webp'
    const answer = await app.api(path)
    expect(answer.headers.get('cache-control')).toMatch(/^private/)
    const local = await app.get('/artwork/local/artists/2/2.webp')
    expect(await answer.arrayBuffer()).toEqual(await local.arrayBuffer())
    const again = await app.api(path, { headers: { 'If-None-Match': answer.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })

  test('what fails while a page is made is an answer, and not the end of the process', async () => {
    const app = await stage({
      manage: { authorize: () => true, templates: { overview: 'nobody-has-this.njk' } },
    })
    const answer = await app.api('/dashboard/')
    expect([answer.status, await answer.text()]).toEqual([
      500,
      expect.not.stringContaining('nobody-has-this'),
    ])
    expect((await app.api('/dashboard/jobs')).status).toBe(200)
  })
})

describe('the lists of the management API (parity 40)', () => {
  test('everything that is kept, searched, sorted and paged; and all of one picture (parity 40)', async () => {
    const app = await stage()
    await app.sync()
    const names = async (query: string) => {
      const { images, total } = (await app.json(`/images?${query}`)) as {
        images: { name: string }[]
        total: number
      }
      return { names: images.map(({ name }) => name), total }
    }
    const artworks = ['local/artists/1/1.webp', 'local/artists/2/2.webp', 'local/artists/3/3.webp']
    expect(await names('role=artwork&sort=name')).toEqual({ names: artworks, total: 3 })
    expect((await names('role=original')).total).toBe(3)
    expect((await names('q=2.JPG')).total).toBe(2)
    expect((await names('q=%25')).total).toBe(0)
    expect((await names('q=_')).total).toBe(0)
    expect((await names('kind=artist')).total).toBe(3)
    expect((await names('kind=remote')).total).toBe(3)
    expect((await names('state=lost')).total).toBe(0)
    const sizes = (await app.json('/images?sort=size')).images as { bytes: number }[]
    expect(sizes.map(({ bytes }) => bytes)).toEqual(sizes.map(({ bytes }) => bytes).sort((a, b) => b - a))
    for (const sort of ['name', 'used', 'stored', 'size']) {
      const seen: string[] = []
      for (let after = ''; ; ) {
        const page = (await app.json(`/images?sort=${sort}&limit=2${after && `&after=${after}`}`)) as {
          images: { name: string }[]
          next: string | null
          total: number
        }
        expect(page.total).toBe(6)
        seen.push(...page.images.map(({ name }) => name))
        if (page.next === null) break
        after = page.next
      }
      expect([sort, new Set(seen).size, seen.length]).toEqual([sort, 6, 6])
    }
    for (const bad of ['sort=x', 'limit=0', 'limit=x', 'role=x', 'state=x'])
      expect([bad, (await app.api(`/images?${bad}`)).status]).toEqual([bad, 400])
    expect((await app.api('/images?after=garbage')).status).toBe(200)
    for (const name of ['local/artists/1/1.webp', encodeURIComponent('local/artists/1/1.webp')]) {
      const one = await app.json(`/images/${name}`)
      expect(one.image).toMatchObject({ role: 'artwork', entity: { kind: 'artist', id: '1' }, state: 'held' })
      expect(one.original).toMatchObject({ role: 'original', state: 'fresh', width: 70 })
      expect(one.made).toHaveLength(1)
      expect(one.history).toContainEqual(
        expect.objectContaining({ what: 'stored', name: 'local/artists/1/1.webp' }),
      )
      expect(one.why).toMatchObject({ answer: 'held' })
    }
    expect((await app.api('/images/local/nothing.webp')).status).toBe(404)
  })

  test('what failed, with its reason and the next try; a changed picture and a failure are its past (parity 17)', async () => {
    const app = await stage()
    app.origin.serve('/2.jpg', { status: 404 })
    await app.sync()
    const { failures } = (await app.json('/failures')) as { failures: Record<string, unknown>[] }
    expect(failures).toContainEqual(
      expect.objectContaining({ of: 'entity', name: 'artist:2', reason: 'http_404', times: 1 }),
    )
    expect(failures).toContainEqual(expect.objectContaining({ of: 'image', reason: 'http_404' }))
    const first = (await app.json('/failures?limit=1')) as { failures: object[]; next: string }
    const second = (await app.json(
      `/failures?limit=1&after=${encodeURIComponent(first.next)}`,
    )) as typeof first
    expect([...first.failures, ...second.failures]).toHaveLength(2)
    app.origin.serve('/1.jpg', image(await jpeg(90, 50, 9)))
    await app.artwork.images.downloadAndCache({
      sourceUrl: `${app.origin.url}/1.jpg`,
      entityType: 'artist',
      entityId: '1',
      force: true,
    })
    const { history } = (await app.json('/images/local/artists/1/1.webp')) as { history: { what: string }[] }
    expect(history.map(({ what }) => what)).toEqual(['stored', 'stored', 'stored', 'stored'])
  })

  test('an entity’s picture that cannot be had is one row of the dashboard (mended 9)', async () => {
    const app = await stage()
    app.origin.serve('/2.jpg', { status: 404 })
    app.origin.serve('/3.jpg', image('no picture', 'image/jpeg'))
    await app.sync()
    await app.artwork.images.getImage('poster/w92/nothing.jpg').catch(() => {})
    const html = await (await app.api('/dashboard/failures')).text()
    const rows = [...html.matchAll(/<th scope="row"[^>]*><span title="[^"]*">([^<]*)/g)].map(
      ([, name]) => name,
    )
    expect(rows.filter((name) => /artist 2/.test(name ?? ''))).toHaveLength(1)
    expect(rows.filter((name) => /2\.jpg|3\.jpg/.test(name ?? ''))).toEqual([])
    expect(rows.filter((name) => /nothing\.jpg/.test(name ?? ''))).toHaveLength(1)
  })

  test('the queue is paused and resumed, and tells what happens', async () => {
    const app = await stage()
    expect(
      ((await (await app.api('/pause', { method: 'POST' })).json()) as { queue: object }).queue,
    ).toMatchObject({
      paused: true,
      schedules: [{ kind: 'cleanup', cron: '0 3 * * *', last_run: null, refused: 0 }],
    })
    const controller = new AbortController()
    const events = await app.api('/events', { signal: controller.signal })
    const reader = events.body?.getReader()
    let text = ''
    const until = async (wanted: RegExp) => {
      while (!wanted.test(text)) text += Buffer.from((await reader?.read())?.value ?? []).toString()
    }
    await until(/event: status\ndata: \{.*"paused":true/)
    await app.api('/verify', { method: 'POST' })
    await until(/event: job\ndata: \{.*"kind":"verify","state":"queued"/)
    await app.api('/resume', { method: 'POST' })
    await until(/event: job\ndata: \{.*"kind":"verify","state":"done"/)
    controller.abort()
  })

  test('closing ends what listens', async () => {
    const app = await stage()
    const events = await app.api('/events')
    const page = await app.api('/dashboard/events')
    await app.stop()
    await Promise.all([events.text(), page.text()])
  })
})

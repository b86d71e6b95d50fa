/** Mistakes that a page does not show: each is named, with what mends it, as often as it should be. */
import { chmod } from 'node:fs/promises'
import express from 'express'
import { type ArtworkOptions, createArtwork, remote, tmdb } from 'express-artwork'
import nunjucks from 'nunjucks'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, listen, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

afterEach(() => vi.unstubAllEnvs())

async function site(options: ArtworkOptions = {}) {
  const origin = await anOrigin()
  const logger = quietLogger()
  const app = await startApp(
    {
      sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['cdn.example.com'] })],
      fetch: { allowPrivate: [origin.host], retries: 0 },
      logger,
      ...options,
    },
    { origin },
  )
  const environment = new nunjucks.Environment(null, { autoescape: true })
  app.artwork.installTemplates(environment)
  const render = (template: string, context: object = {}): string =>
    environment.renderString(template, context)
  const warned = (part: string): readonly string[] => logger.lines.filter((line) => line.includes(part))
  return { ...app, render, warned }
}
const album = { id: 'a', type: 'album', image_url: 'https://cdn.example.com/a.jpg' }

/** What is rendered, the code it is listed with, what it is about, and what the message has to name. */
const MISTAKES: readonly (readonly [
  what: string,
  template: string,
  code: string,
  about: string,
  mend: string,
])[] = [
  [
    'a host that no source lists',
    '{{ "https://elsewhere.example/a.jpg" | image_display_url }}',
    'host-not-listed',
    'elsewhere.example',
    'Add "elsewhere.example" to hosts',
  ],
  [
    'the same in a macro',
    '{{ artwork_img("https://elsewhere.example/a.jpg", "x") }}',
    'host-not-listed',
    'elsewhere.example',
    'remote({ hosts })',
  ],
  [
    'an entity without a kind',
    '{{ bare | image_display_url }}',
    'kind-missing',
    'id, image_url',
    "image_display_url(kind='album')",
  ],
  [
    'a kind that is not known',
    '{{ bare | image_display_url(kind="albm") }}',
    'kind-unknown',
    'albm',
    'Declare it in entities',
  ],
  [
    'a width that is not offered',
    '{{ album | image_srcset([333, 640]) }}',
    'size-not-offered',
    'w333',
    'List its width in widths',
  ],
  [
    'a variant that is not offered',
    '{{ album | image_url("w333-webp") }}',
    'size-not-offered',
    'w333-webp',
    'presets',
  ],
  [
    'a size that TMDb does not have',
    '{{ "/abc.jpg" | image_url("w343", kind="poster") }}',
    'size-not-offered',
    'w343',
    'widths',
  ],
  [
    'a macro with an unknown keyword',
    '{{ artwork_img(album, "x", widht=3) }}',
    'macro-argument',
    'img: ',
    'knows no widht',
  ],
  [
    'an address that names nothing',
    '{{ "poster/w342/../x" | image_display_url }}',
    'no-such-address',
    'poster/w342/../x',
    'kind/variant/id',
  ],
  [
    'a URL of ours that names nothing',
    '{{ "/images/postr/w342/abc.jpg" | image_display_url }}',
    'no-such-address',
    '/images/postr/w342/abc.jpg',
    'names none',
  ],
]

test.each(MISTAKES)('%s', async (_what, template, code, about, mend) => {
  const { render, artwork, warned } = await site()
  for (let time = 0; time < 3; time += 1)
    render(template, { album, bare: { id: 1, image_url: album.image_url } })
  const [found] = artwork.diagnostics().filter((one) => one.code === code)
  expect(found?.about).toContain(about)
  expect(found?.message).toContain(mend)
  // Once, however often the page is shown.
  expect(warned(found?.message ?? 'nothing')).toHaveLength(1)
})

test('a page without a mistake says nothing', async () => {
  const { render, artwork } = await site({ widths: [320, 640] })
  render(
    '{{ album | image_display_url }}{{ album | image_srcset([320]) }}{{ artwork_picture(album, "x") }}{{ "/abc.jpg" | image_url("w342", kind="poster") }}{{ "albums/ab/abc.webp" | image_display_url }}{{ none | image_display_url }}',
    { album, none: null },
  )
  expect(artwork.diagnostics()).toEqual([])
})

test('start() that was never called is noticed when entities have been shown for a while', async () => {
  let time = Date.now()
  const { render, artwork } = await site({ now: () => time })
  const codes = () => artwork.diagnostics().map(({ code }) => code)
  render('{{ album | image_display_url }}', { album })
  expect(codes()).toEqual([])
  time += 11_000
  render('{{ album | image_display_url }}', { album })
  expect(codes()).toEqual(['not-started'])
  expect(artwork.diagnostics()[0]?.message).toContain('call artwork.start()')
})

test('in production one warning an hour is logged, with how many there were, and all are listed', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  let time = Date.now()
  const { render, artwork, warned } = await site({ now: () => time })
  for (const host of ['a', 'b', 'c']) render(`{{ "https://${host}.example/x.jpg" | image_display_url }}`)
  expect(warned('remote({ hosts })')).toHaveLength(1)
  expect(artwork.diagnostics()).toHaveLength(3)
  time += 3_600_000
  render('{{ "https://d.example/x.jpg" | image_display_url }}')
  expect(warned('remote({ hosts })')).toHaveLength(2)
})

test('no more than two hundred causes are kept', async () => {
  const { render, artwork } = await site()
  for (let number = 0; number < 300; number += 1)
    render(`{{ "https://h${number}.example/x.jpg" | image_display_url }}`)
  expect(artwork.diagnostics()).toHaveLength(200)
})

describe('what is seen of requests and of the machine', () => {
  test.each([
    ['a proxy, and nothing that says whose requests they are', {}, ['proxy-not-trusted']],
    ['a proxy, and clientOf', { clientOf: () => 'somebody' }, []],
  ] as const)('%s', async (_what, options, codes) => {
    const { artwork } = await site(options)
    const app = express().use(artwork.router)
    app.get('/', (_req, res) => void res.send('page'))
    const { url } = await listen(app)
    for (let time = 0; time < 3; time += 1)
      await fetch(url, { headers: { 'X-Forwarded-For': '203.0.113.7' } })
    expect(artwork.diagnostics().map(({ code }) => code)).toEqual(codes)
  })

  test('a directory that others may read', async () => {
    const directory = await temporaryFolder()
    for (const [mode, codes] of [
      [0o755, ['directory-readable']],
      [0o700, []],
    ] as const) {
      await chmod(directory, mode)
      const artwork = await createArtwork({ directory, logger: quietLogger() })
      atEnd(artwork.close)
      expect(artwork.diagnostics().map(({ code }) => code)).toEqual(codes)
      await artwork.close()
    }
  })
})

test('explain says which rule refuses a URL, and which option opens it', async () => {
  const { artwork, origin } = await site({
    sources: [remote({ hosts: ['127.0.0.1', 'cdn.example.com'] })],
    fetch: { retries: 0, allowPrivate: [] },
  })
  expect(() => artwork.images.explain({ url: 'https://elsewhere.example/a.jpg' })).toThrow(
    /this host is not allowed: add the host to remote\(\{ hosts \}\)/,
  )
  for (const [url, rule, option] of [
    [`${origin.url}/a.jpg`, 'port', 'fetch.ports'],
    ['http://127.0.0.1/a.jpg', 'address', 'fetch.allowPrivate'],
  ] as const) {
    const address = `remote/original/${Buffer.from(url).toString('base64url')}`
    await expect(artwork.images.getImage(address)).rejects.toMatchObject({ status: 403 })
    const { failure } = artwork.images.explain({ url })
    expect(failure).toMatchObject({ rule, mend: expect.stringContaining(option) })
  }
})

test('the API lists them, and the dashboard shows them with what mends them', async () => {
  const { render, artwork, origin } = await site({ manage: { authorize: () => true } })
  origin.serve('/t/p/w342/abc.jpg', image(await jpeg()))
  render('{{ "https://elsewhere.example/a.jpg" | image_display_url }}')
  const { url } = await listen(
    express().use('/api', artwork.manageRouter).use('/dash', artwork.dashboardRouter),
  )
  const { diagnostics } = (await (await fetch(`${url}/api/diagnostics`)).json()) as {
    diagnostics: { code: string; first_at: string }[]
  }
  expect(diagnostics).toEqual([expect.objectContaining({ code: 'host-not-listed', times: 1 })])
  expect(Date.parse(diagnostics[0]?.first_at ?? '')).toBeGreaterThan(0)
  const page = await (await fetch(`${url}/dash/`)).text()
  expect(page).toContain('To mend in this app')
  expect(page).toContain('elsewhere.example is not in remote({ hosts })')
})

/** What is known not to be had is not printed: the placeholder where the source has nothing, its own URL where only we refuse. */

import { remote, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { type Answer, image } from '../support/origin.js'
import { anOrigin, startApp } from '../support/toolkit.js'

const FAULTS: Readonly<Record<string, { answer?: Answer; url?: string; prints: 'placeholder' | 'source' }>> =
  {
    '404': { answer: { status: 404 }, prints: 'placeholder' },
    '410': { answer: { status: 410 }, prints: 'placeholder' },
    'a page': { answer: image('<!doctype html><p>no</p>', 'text/html'), prints: 'placeholder' },
    'a page that is called an image': { answer: image('<!doctype html><p>no</p>'), prints: 'placeholder' },
    '503': { answer: { status: 503 }, prints: 'placeholder' },
    'a port that may not be dialled': { url: 'http://127.0.0.1:9/x.jpg', prints: 'placeholder' },
    'an address that may not be dialled': { url: 'http://10.0.0.1/x.jpg', prints: 'placeholder' },
    'no connection': { url: 'closed', prints: 'placeholder' },
    'too large': { answer: image(Buffer.alloc(60_000, 255)), prints: 'source' },
    'a format that is not decoded': {
      answer: image(Buffer.from('424d460000000000', 'hex'), 'image/bmp'),
      prints: 'source',
    },
    'a host that is not listed': { url: 'https://elsewhere.example/x.jpg', prints: 'source' },
  }

async function stage() {
  const origin = await anOrigin()
  const app = await startApp(
    {
      sources: [remote({ hosts: ['127.0.0.1', '10.0.0.1'] })],
      fetch: {
        retries: 0,
        maxBytes: 50_000,
        connectTimeout: 500,
        allowPrivate: ['127.0.0.1:1', origin.host],
      },
      transform: { isolate: false },
      widths: [100, 200],
    },
    { origin },
  )
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), { autoescape: true })
  app.artwork.installTemplates(environment)
  const render = (album: object) =>
    environment.renderString(
      `{% from 'artwork/picture.njk' import img, picture %}{{ img(album, 'x', kind='album', widths=true) }}|{{ picture(album, 'x', kind='album') }}|{{ album | image_url('w100', kind='album') }}|{{ album.image_url | image_srcset }}|{{ album | image_display_url(kind='album') }}`,
      { album },
    )
  return { app, render }
}

test.each(Object.entries(FAULTS))('%s', async (name, { answer, url, prints }) => {
  const { app, render } = await stage()
  const path = `/${name.replaceAll(' ', '-')}.jpg`
  if (answer !== undefined) app.origin.serve(path, answer)
  const source = url === 'closed' ? 'http://127.0.0.1:1/x.jpg' : (url ?? `${app.origin.url}${path}`)
  const album = { id: 'a1', image_url: source }
  // Whoever asks first learns of it.
  const [address] = app.artwork.images.imageUrl(source)?.split('?') ?? []
  if (address?.startsWith('/images/')) expect((await fetch(app.url + address)).status).toBeGreaterThan(399)
  // It is the same failure when it is asked for again.
  if (address?.startsWith('/images/')) await fetch(app.url + address)
  const html = render(album)
  expect(html).not.toContain('srcset')
  expect(html).not.toContain('/images/remote/')
  const urls = [...html.matchAll(/src="([^"]*)"/g)].map(([, one]) => one)
  const wanted = prints === 'source' ? source : '/static/images/placeholder-album.svg'
  expect(urls).toEqual([wanted, wanted])
  expect(html.split('|').slice(2)).toEqual([wanted, '', wanted])
})

test('it is printed again when the source has it, and when the failure has passed', async () => {
  const { app, render } = await stage()
  app.origin.serve('/late.jpg', { status: 404 })
  const source = `${app.origin.url}/late.jpg`
  const album = { id: 'a1', image_url: source }
  expect(render(album)).toContain('srcset')
  const address = app.artwork.images.imageUrl(source)
  await fetch(app.url + address)
  expect(render(album)).not.toContain('srcset')
  app.origin.serve('/late.jpg', image(await jpeg(300, 200)))
  app.clock.now += 6 * 60_000
  expect(render(album)).toContain('srcset')
  expect((await fetch(app.url + address)).status).toBe(200)
  expect(render(album)).toContain(' 200w')
})

test('of a source with an original for each size, the failure of one says nothing of the others', async () => {
  const app = await startApp({ fetch: { retries: 0 }, transform: { isolate: false } })
  app.origin.serve('/t/p/w342/a.jpg', { status: 503 })
  app.origin.serve('/t/p/w780/a.jpg', image(await jpeg(780, 1170)))
  expect((await app.get('/images/poster/w342/a.jpg')).status).toBe(502)
  const { images } = app.artwork
  expect(images.imageUrl('poster/a.jpg', 'w342')).toBe('/static/images/placeholder.svg')
  expect(images.imageUrl('poster/a.jpg', 'w780')).toBe('/images/poster/w780/a.jpg')
  const candidates = images.srcset('poster/a.jpg', [342, 780])
  expect(candidates).toContain(' 780w')
  expect(candidates).not.toContain('342w')
})

test('what was there once is printed, whatever became of the last time that it was asked about', async () => {
  const { app, render } = await stage()
  app.origin.serve('/a.jpg', image(await jpeg(300, 200)))
  const source = `${app.origin.url}/a.jpg`
  const album = { id: 'a1', image_url: source }
  const address = app.artwork.images.imageUrl(source, 'w100-auto') ?? ''
  expect((await fetch(app.url + address)).status).toBe(200)
  app.origin.serve('/a.jpg', { status: 503 })
  app.clock.now += 9 * 24 * 3_600_000
  expect((await fetch(app.url + address)).status).toBe(200)
  await expect(app.artwork.images.refresh(address.replace(/^\/images\/|\?.*$/g, ''))).rejects.toThrow()
  expect(render(album)).toContain('100w')
})

/** What pages need of a Content Security Policy, and a whole site that never names a CDN. */
import { type Artwork, atproto, createArtwork, remote, tmdb, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

async function policyOf(options: Parameters<typeof createArtwork>[0]) {
  const artwork = await createArtwork({
    logger: quietLogger(),
    directory: await temporaryFolder(),
    ...options,
  })
  atEnd(artwork.close)
  return artwork.csp()
}

describe('csp()', () => {
  test('img-src has this site, and where images of the sources live', async () => {
    expect(await policyOf({})).toEqual({
      'img-src': ["'self'", 'data:'],
      'style-src-attr': ["'unsafe-inline'"],
    })
    const sources = [
      tmdb(),
      remote({ hosts: ['cdn.example.com', '*.one.example', '**.any.example', 'nas.local'] }),
    ]
    const fetch = { allowPrivate: ['nas.local:8096', 'other.local:1'] }
    expect(
      (await policyOf({ sources, fetch, urls: { base: 'https://www.example.com/shop' } }))['img-src'],
    ).toEqual([
      "'self'",
      'data:',
      'https://www.example.com',
      'https://image.tmdb.org',
      'cdn.example.com',
      '*.one.example',
      '*.any.example',
      'nas.local',
      'nas.local:8096',
    ])
    expect((await policyOf({ sources: [atproto({ proxy: false })] }))['img-src']).toContain('https:')
    expect((await policyOf({ sources: [atproto()] }))['img-src']).toEqual(["'self'", 'data:'])
    const named = await policyOf({ sources: [remote({ hosts: ['*.łódź.example'] })] })
    expect(named['img-src']).toContain('*.xn--d-uga0v4h.example')
    const open = { sources: [remote({ hosts: ['*'] })], signing: { keys: ['0123456789abcdef'] } }
    expect((await policyOf(open))['img-src']).toContain('https:')
  })
  test('with display.requireLocal it is this site alone', async () => {
    const policy = await policyOf({ sources: [tmdb()], display: { requireLocal: true } })
    expect(policy['img-src']).toEqual(["'self'", 'data:'])
  })
})

describe('display.requireLocal', () => {
  const render = (artwork: Artwork, album: object): string => {
    const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), {
      autoescape: true,
    })
    artwork.installTemplates(environment)
    return environment.renderString(
      `{% from 'artwork/picture.njk' import img, picture, avatar %}{{ img(a, 'x', kind='album', widths=true) }}{{ picture(a, 'x', kind='album') }}{{ avatar(a, 'x', kind='album') }}{{ a | image_display_url('album') }}{{ a | image_url('w100', kind='album') }}{{ a.image_url | image_display_url }}`,
      { a: album },
    )
  }
  test('no page names another site, before and after an image is there, or where it was lost', async () => {
    const app = await startApp({
      display: { requireLocal: true },
      heal: 'redirect',
      widths: [100],
      transform: { isolate: false },
    })
    app.origin.serve('/a.jpg', image(await jpeg(300, 300)))
    const album = { id: 'a1', image_url: `${app.origin.url}/a.jpg` }
    expect(render(app.artwork, album)).not.toContain(app.origin.url)
    expect(render(app.artwork, album)).toContain('/static/images/placeholder-album.svg')
    const unlisted = { id: 'a2', image_url: 'https://elsewhere.example/b.jpg' }
    expect(render(app.artwork, unlisted)).not.toContain('elsewhere.example')
    await app.artwork.images.downloadAndCache({
      sourceUrl: album.image_url,
      entityType: 'album',
      entityId: 'a1',
    })
    const html = render(app.artwork, album)
    expect(html).not.toContain(app.origin.url)
    expect(html).toContain('src="/artwork/local/albums/a1/a1.webp?v=')
    expect(app.artwork.images.display(unlisted, 'album')).toMatchObject({ from: 'placeholder' })
  })
})

import { type ArtworkOptions, remote, tmdb, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp } from '../support/toolkit.js'

const setUp = async (options: ArtworkOptions = {}) => {
  const app = await startApp(options)
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), { autoescape: true })
  app.artwork.installTemplates(environment)
  const render = (template: string, context: object = {}) => environment.renderString(template, context)
  const source = `${app.origin.url}/a.jpg?x=1&y=2`
  app.origin.serve('/a.jpg?x=1&y=2', image(await jpeg(800, 600)))
  return { app, render, source }
}

describe('image_display_url', () => {
  test('of an entity: its kind is the argument, else entity_type, else a known type', async () => {
    const { app, render, source } = await setUp()
    await app.artwork.images.downloadAndCache({ sourceUrl: source, entityType: 'artist', entityId: 7 })
    const local = /^\/artwork\/local\/artists\/7\/7\.webp\?v=[0-9a-f]{16}$/
    expect(render('{{ e | image_display_url("artist") }}', { e: { id: 7 } })).toMatch(local)
    expect(render('{{ e | image_display_url(kind="artist") }}', { e: { id: 7 } })).toMatch(local)
    expect(
      render('{{ e | image_display_url }}', { e: { id: 7, entity_type: 'artist', type: 'album' } }),
    ).toMatch(local)
    expect(render('{{ e | image_display_url }}', { e: { id: 7, type: 'artist' } })).toMatch(local)
    expect(render('{{ e | image_display_url }}', { e: { id: 7, type: 'single' } })).toBe(
      '/static/images/placeholder.svg',
    )
    expect(render('{{ e | image_display_url("album") }}', { e: { id: 7, type: 'artist' } })).toBe(
      '/static/images/placeholder-album.svg',
    )
  })

  test.each(['image_url', 'imageUrl', 'cover_url', 'coverUrl'])(
    'the source URL is read from %s, and escaped once',
    async (field) => {
      const { render, source } = await setUp()
      expect(
        render('<img src="{{ e | image_display_url("album") }}">', { e: { id: 1, [field]: source } }),
      ).toBe(`<img src="${source.replace('&', '&amp;')}">`)
    },
  )

  test.each(['image_path', 'imagePath', 'cover_path', 'coverPath'])(
    'the artwork path is read from %s',
    async (field) => {
      const { app, render, source } = await setUp()
      const { localPath, url } = await app.artwork.images.downloadAndCache({
        sourceUrl: source,
        entityType: 'album',
        entityId: 'real',
      })
      expect(render('{{ e | image_display_url("album") }}', { e: { id: 'other', [field]: localPath } })).toBe(
        url,
      )
      expect(render('{{ e | image_display_url("album") }}', { e: { id: 'other', [field]: url } })).toBe(url)
    },
  )

  test('`fields` of a kind names other fields; its path template and placeholder are used', async () => {
    const film_poster = {
      variant: 'w342-h513',
      placeholder: 'poster',
      fields: { url: 'poster_url' },
      path: 'films/{id}/poster.jpg',
    }
    const { app, render, source } = await setUp({ entities: { film_poster } })
    const film = { id: 'heat', poster_url: source, image_url: 'https://elsewhere.example/' }
    expect(render('{{ e | image_display_url("film_poster") }}', { e: film })).toBe(
      source.replace('&', '&amp;'),
    )
    expect(render('{{ e | image_display_url("film_poster", true) }}', { e: film })).toBe(
      '/static/images/placeholder-poster.svg',
    )
    app.artwork.start()
    app.artwork.refresher.enqueue('film_poster', film)
    await app.artwork.refresher.idle()
    expect(render('{{ e | image_display_url("film_poster", require_local=true) }}', { e: film })).toMatch(
      /^\/artwork\/local\/films\/heat\/poster\.jpg\?v=/,
    )
  })

  test.each([
    undefined,
    null,
    '',
    0,
    false,
    [],
    {},
    'no/such/path.webp',
    '../../etc/passwd',
    { id: {} },
    { id: '../x', image_url: 5 },
  ])('never throws for missing or odd data: %j', async (e) => {
    const { render } = await setUp()
    expect(render('{{ e | image_display_url("artist") }}|{{ e | image_placeholder("artist") }}', { e })).toBe(
      '/static/images/placeholder-artist.svg|/static/images/placeholder-artist.svg',
    )
    expect(
      render('{{ e | image_display_url }}|{{ e | image_url("w300") }}|{{ e | image_srcset }}', { e }),
    ).toContain('placeholder.svg')
  })

  test('what an entity holds cannot break out of the attribute', async () => {
    const { render } = await setUp()
    const html = render('<img src="{{ e | image_display_url("album") }}">', {
      e: { id: 1, image_url: 'https://x.example/"><script>alert(1)</script>' },
    })
    expect(html).not.toContain('<script>')
  })

  test('after start, what is shown without a local picture is fetched in the background, once, and the next render prints it', async () => {
    const { app, render, source } = await setUp()
    const e = { id: 'abc', type: 'artist', image_url: source }
    expect(render('{{ e | image_display_url }}', { e })).toBe(source.replace('&', '&amp;'))
    await app.artwork.refresher.idle()
    expect(app.origin.hits(), 'not before start').toBe(0)
    app.artwork.start()
    for (let time = 0; time < 20; time += 1) render('{{ e | image_display_url }}', { e })
    await app.artwork.refresher.idle()
    expect(app.origin.hits()).toBe(1)
    expect(render('{{ e | image_display_url }}', { e })).toMatch(
      /^\/artwork\/local\/artists\/ab\/abc\.webp\?v=/,
    )
  })

  test('urls.base goes before what is ours and not before what is not', async () => {
    const { app, render, source } = await setUp({ urls: { base: 'https://img.example' } })
    await app.artwork.images.downloadAndCache({ sourceUrl: source, entityType: 'artist', entityId: 7 })
    expect(render('{{ e | image_display_url("artist") }}', { e: { id: 7 } })).toMatch(
      /^https:\/\/img\.example\/artwork\/local\//,
    )
    expect(render('{{ "artist" | image_placeholder }}')).toBe(
      'https://img.example/static/images/placeholder-artist.svg',
    )
  })
})

describe('image_url and image_srcset', () => {
  test('a source URL in a variant; once the original is held, with `?v=`; it answers', async () => {
    const { app, render, source } = await setUp({ widths: [320, 640] })
    const id = Buffer.from(source).toString('base64url')
    expect(render('{{ s | image_url("w320-webp") }}', { s: source })).toBe(`/images/remote/w320-webp/${id}`)
    await app.get(`/images/remote/w320-webp/${id}`)
    const url = render('{{ s | image_url("w320-webp") }}', { s: source })
    expect(url).toMatch(new RegExp(`^/images/remote/w320-webp/${id}\\?v=[0-9a-f]{16}$`))
    expect((await app.get(url)).headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  test('an entity, a TMDb URL and a TMDb name', async () => {
    const { app, render } = await setUp()
    const film = { id: 1, image_url: `${app.origin.url}/t/p/w500/abc.jpg` }
    expect(render('{{ e | image_url("w342-webp", kind="album") }}', { e: film })).toBe(
      '/images/poster/w342-webp/abc.jpg',
    )
    expect(render('{{ "backdrop/abc.jpg" | image_url }}')).toBe('/images/backdrop/w780/abc.jpg')
    expect(render('{{ "poster/abc.jpg" | image_srcset([92, 154], format="webp") }}')).toBe(
      '/images/poster/w92-webp/abc.jpg 92w, /images/poster/w154-webp/abc.jpg 154w',
    )
  })

  test('a size that is not offered, and a host that is not allowed, fall back to what can be shown', async () => {
    const { render, source } = await setUp()
    expect(render('{{ s | image_url("w123") }}', { s: source })).toBe(source.replace('&', '&amp;'))
    expect(render('{{ s | image_url("w123") }}', { s: 'https://elsewhere.example/a.jpg' })).toBe(
      'https://elsewhere.example/a.jpg',
    )
  })

  test('with signing keys the filters sign, and the signature opens any variant', async () => {
    const { app, render, source } = await setUp({ signing: { keys: ['a key that is long enough'] } })
    const url = render('{{ s | image_url("w123-h99-cover-webp-q70") | safe }}', { s: source })
    expect((await app.get(url)).status).toBe(200)
    expect((await app.get(url.replace('w123', 'w124'))).status).toBe(403)
    expect((await app.get(url.replace(/\?.*/, ''))).status).toBe(400)
  })
})

describe('macros', () => {
  const from = '{% from "artwork/picture.njk" import img, picture, avatar %}'
  test('img prints url, alt, size and where it came from', async () => {
    const { app, render, source } = await setUp()
    await app.artwork.images.downloadAndCache({ sourceUrl: source, entityType: 'artist', entityId: 7 })
    const html = render(`${from}{{ img({ id: 7 }, 'Björk "live"', kind='artist', class='round') }}`)
    expect(html).toMatch(
      /^<img src="\/artwork\/local\/artists\/7\/7\.webp\?v=[0-9a-f]{16}" srcset="[^"]+" sizes="auto, 100vw" alt="Björk &quot;live&quot;" width="300" height="225" class="round" style="background-color:#[0-9a-f]{6}" loading="lazy" decoding="async" data-image-from="local">$/,
    )
  })
  test('img and picture print candidates where widths are offered', async () => {
    const { render, source } = await setUp({ widths: [320, 640] })
    const entity = { id: 7, image_url: source }
    const html = render(`${from}{{ img(e, '', kind='album', widths=true, sizes='50vw') }}`, { e: entity })
    expect(html).toMatch(
      /srcset="\/images\/remote\/w320-auto\/\S+ 320w, \/images\/remote\/w640-auto\/\S+ 640w" sizes="50vw" alt=""/,
    )
    expect(render(`${from}{{ picture(e, '', kind='album') }}`, { e: entity })).toMatch(
      /^<picture><source type="image\/webp" srcset="[^"]+w640-webp[^"]+ 640w" sizes="auto, 100vw"><img /,
    )
    expect(render(`${from}{{ avatar(e, 'Ann', kind='profile', size=32) }}`, { e: entity })).toContain(
      'width="32" height="32"',
    )
  })
  test('alt is required', async () => {
    const { render } = await setUp()
    for (const macro of ['img', 'picture', 'avatar'])
      expect(() => render(`${from}{{ ${macro}({ id: 1 }) }}`), macro).toThrow(/alt text/)
  })
})

test('sources that answer for one kind twice are refused', async () => {
  await expect(startApp({ sources: [tmdb(), tmdb()] })).rejects.toThrow(/both answer for poster/)
  expect(() => remote({ hosts: ['https://x'] })).toThrow(/hosts must be names.*https/)
})

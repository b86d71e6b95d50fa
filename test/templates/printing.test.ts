/** What we print can be handed back to us: URLs, addresses and paths in every form, in templates and in code. */
import { createArtwork, tmdb, uploads, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { jpeg, png, SVG } from '../support/images.js'
import { image } from '../support/origin.js'
import { quietLogger, remoteAddress, startApp } from '../support/toolkit.js'

async function site(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp({ transform: { isolate: false }, widths: [160, 320], ...options })
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath))
  app.artwork.installTemplates(environment)
  const render = (template: string, context: object = {}): string =>
    environment.renderString(template, context).replaceAll('&amp;', '&')
  /** Every URL in an HTML text. */
  const urlsIn = (html: string): string[] =>
    [...html.matchAll(/(?:src|srcset)="([^"]*)"/g)].flatMap(([, list = '']) =>
      list.split(', ').map((part) => part.split(' ')[0] ?? ''),
    )
  return { ...app, render, urlsIn }
}

describe.each(['', 'https://www.example.com', 'https://www.example.com/shop', '/shop'])(
  'with urls.base %j (mended 33)',
  (base) => {
    test('every URL and address that is handed out prints', async () => {
      const { artwork, origin, render } = await site({
        urls: { base },
        sources: [tmdb(), uploads({ authorize: () => true })],
      })
      const saved = await artwork.uploads?.save('avatars', await png())
      const upload = `${base}/images/avatars/${saved?.imageId}`
      expect(saved?.url).toBe(upload)
      const poster = `${base}/images/poster/w342/film1.jpg`
      for (const [given, kind, printed] of [
        ['poster/film1.jpg', '', poster],
        ['poster/w342/film1.jpg', '', poster],
        ['poster/w500/film1.jpg', '', `${base}/images/poster/w500/film1.jpg`],
        ['/film1.jpg', 'poster', poster],
        ['film1.jpg', 'poster', poster],
        [poster, '', poster],
        ['/images/poster/w342/film1.jpg', '', poster],
        [`${poster}?v=0000000000000000`, '', poster],
        [upload, '', upload],
        [`avatars/${saved?.imageId}`, '', `${base}/images/avatars/original/${saved?.imageId}`],
      ] as const) {
        const asIs = (text: string) => text.replace(/\?v=[0-9a-f]{16}$/, '')
        expect([given, asIs(render(`{{ g | image_display_url("${kind}") }}`, { g: given }))]).toEqual([
          given,
          printed,
        ])
        // As a field of an entity, too.
        for (const field of ['image_url', 'image_path']) {
          const entity = { id: 'nobody', [field]: given }
          const shown = render(`{{ e | image_display_url("${kind}") }}`, { e: entity })
          expect([field, given, asIs(shown)]).toEqual([field, given, printed])
        }
        expect(asIs(artwork.images.getDisplayUrl(given, null, kind))).toBe(printed)
      }
      // The local URL of an entity's picture, and its placeholder.
      origin.serve('/x.jpg', image(await jpeg(30, 20)))
      expect(
        render('{{ e | image_display_url("artist") }}', {
          e: { id: 1, image_url: `${base}/static/images/placeholder-artist.svg` },
        }),
      ).toBe(`${base}/static/images/placeholder-artist.svg`)
    })
    test('the local URL that was printed, as subject or field', async () => {
      const { artwork, origin, render } = await site({ urls: { base } })
      origin.serve('/x.jpg', image(await jpeg(30, 20)))
      const { url = '', localPath } = await artwork.images.downloadAndCache({
        sourceUrl: `${origin.url}/x.jpg`,
        entityType: 'artist',
        entityId: 'abc',
      })
      for (const given of [url, localPath, url.replace(/\?.*/, ''), `/artwork/local/${localPath}`])
        for (const subject of [given, { id: 'other', image_path: given }, { id: 'other', image_url: given }])
          expect([given, render('{{ s | image_display_url("artist") }}', { s: subject })]).toEqual([
            given,
            url,
          ])
    })
  },
)

describe('TMDb (mended 33)', () => {
  test('image_url takes its own form, with the kind as argument', async () => {
    const { render } = await site()
    expect(render("{{ '/film1.jpg' | image_url('w342', 'poster') }}")).toBe('/images/poster/w342/film1.jpg')
    expect(render("{{ '/film1.jpg' | image_url('w780', kind='backdrop') }}")).toBe(
      '/images/backdrop/w780/film1.jpg',
    )
    expect(render("{{ '/film1.jpg' | image_srcset([92, 154], 'poster', 'webp') }}")).toBe(
      '/images/poster/w92-webp/film1.jpg 92w, /images/poster/w154-webp/film1.jpg 154w',
    )
  })
  test('a URL keeps its size; its kind is the argument, else the entity’s, else the first that has the size', async () => {
    const { render, origin } = await site({ entities: { film_backdrop: { placeholder: 'backdrop' } } })
    const url = (size: string) => `${origin.url}/t/p/${size}/abc.jpg`
    const print = (text: string, u: unknown) => render(`{{ u | ${text} }}`, { u })
    expect(print('image_url', url('w500'))).toBe('/images/poster/w500/abc.jpg')
    expect(print('image_url', url('w1280'))).toBe('/images/backdrop/w1280/abc.jpg')
    expect(print('image_url(kind="logo")', url('w500'))).toBe('/images/logo/w500/abc.jpg')
    expect(print('image_url("", "backdrop")', url('w780'))).toBe('/images/backdrop/w780/abc.jpg')
    expect(print('image_url("w185", "poster")', url('w780'))).toBe('/images/poster/w185/abc.jpg')
    // A kind that has not the size is none of it.
    expect(print('image_url(kind="still")', url('w500'))).toBe('/images/poster/w500/abc.jpg')
    expect(print('image_url', { id: 1, type: 'film_backdrop', image_url: url('w780') })).toBe(
      '/images/backdrop/w780/abc.jpg',
    )
  })
})

describe('an SVG (mended 32)', () => {
  const MARKUP = [
    '{% import "artwork/picture.njk" as a %}{{ a.picture(u, "x") }}',
    '{% import "artwork/picture.njk" as a %}{{ a.img(u, "x", widths=true) }}',
    '<img srcset="{{ u | image_srcset }}">',
    '<img srcset="{{ u | image_srcset(format="webp") }}">',
    '<img src="{{ u | image_url("w160-webp") }}">',
    '<img src="{{ u | image_url("w160") }}">',
  ]
  test.each([
    ['by its name', '/logo.svg', 'image/svg+xml'],
    ['by its name, in capitals and with a query', '/LOGO.SVG?x=1', 'image/svg+xml'],
    ['that no name tells', '/logo', 'image/svg+xml'],
    ['behind the name of another format', '/logo.png', 'image/svg+xml'],
  ])('%s: every candidate is answered, before it was seen and after', async (_name, path, type) => {
    for (const markup of MARKUP) {
      const { render, origin, get, urlsIn } = await site()
      origin.serve(path, image(SVG, type))
      const u = origin.url + path
      for (const time of ['before', 'after']) {
        const urls = urlsIn(render(markup, { u })).filter((url) => url.startsWith('/'))
        for (const url of urls) {
          const answer = await get(url, { headers: { Accept: 'image/avif,image/webp,*/*' } })
          expect([markup, time, url, answer.status]).toEqual([markup, time, url, 200])
        }
        await get(`/images/${remoteAddress(u)}`)
        // What is known to be one has no candidates at all.
        if (time === 'after')
          expect(urlsIn(render(MARKUP[0] ?? '', { u })).filter((url) => /w160/.test(url))).toEqual([])
      }
    }
  })
  test('what is called so and is none has its candidates once it is known', async () => {
    const { render, origin, get } = await site()
    origin.serve('/logo.svg', image(await png(), 'image/png'))
    const u = `${origin.url}/logo.svg`
    expect(render('{{ u | image_srcset(format="webp") }}', { u })).toBe('')
    await get(`/images/${remoteAddress(u)}`)
    expect(render('{{ u | image_srcset(format="webp") }}', { u })).toMatch(/w160-webp/)
  })
})

describe('in code (mended 34)', () => {
  test('imageUrl, srcset and display say what the filters say', async () => {
    const { artwork, render, origin } = await site()
    const u = `${origin.url}/p.jpg`
    const { imageUrl, srcset, display } = artwork.images
    expect(imageUrl(u, 'w160-webp')).toBe(render('{{ u | image_url("w160-webp") }}', { u }))
    expect(srcset(u)).toBe(render('{{ u | image_srcset }}', { u }))
    expect(srcset(u, [160], { format: 'webp' })).toBe(
      render('{{ u | image_srcset([160], format="webp") }}', { u }),
    )
    expect(imageUrl('/a.jpg', 'w92', { kind: 'poster' })).toBe('/images/poster/w92/a.jpg')
    const entity = { id: 'abc', image_url: u }
    expect(display(entity, 'artist')).toEqual({ url: u, from: 'source', wanted: true })
    expect(display(entity, 'artist', { requireLocal: true })).toMatchObject({
      url: '/static/images/placeholder-artist.svg',
      from: 'placeholder',
    })
  })
  test('anything at all is a string', async () => {
    const { artwork } = await site()
    const { getDisplayUrl, imageUrl, srcset, display } = artwork.images
    const thrower = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no')
        },
        has: () => {
          throw new Error('no')
        },
      },
    )
    const liar = {
      id: {
        toString: () => {
          throw new Error('no')
        },
      },
    }
    const anything = [
      liar,
      undefined,
      null,
      0,
      Number.NaN,
      7n,
      true,
      '',
      'x',
      [],
      {},
      () => {},
      Symbol('x'),
      new Date(),
      thrower,
    ] as never[]
    for (const one of anything)
      for (const other of anything) {
        expect(getDisplayUrl(one, other, one)).toEqual(expect.any(String))
        expect(getDisplayUrl(one, other, other, one)).toEqual(expect.any(String))
        expect(imageUrl(one, other, { kind: other })).toEqual(expect.any(String))
        expect(srcset(one, undefined, { kind: other, format: one })).toEqual(expect.any(String))
        expect(display(one, other).url).toEqual(expect.any(String))
      }
  })
  test('artwork.images has its public verbs, and nothing else (mended 21)', async () => {
    const { artwork } = await site()
    expect(Object.keys(artwork.images).sort()).toEqual(
      [
        'clearCache',
        'display',
        'downloadAndCache',
        'explain',
        'getDisplayUrl',
        'getImage',
        'imageUrl',
        'importFolder',
        'optimizeCache',
        'purge',
        'put',
        'refresh',
        'remove',
        'setFocalPoint',
        'srcset',
        'stats',
        'validateImage',
        'verify',
      ].sort(),
    )
  })
})

describe('an entity that does not say its kind (mended 36)', () => {
  const entity = { id: 'abc', name: 'A', image_url: 'https://cdn.example.com/a.jpg' }
  test('is warned of, once, with what to do', async () => {
    const logger = quietLogger()
    const { render } = await site({ logger })
    for (let time = 0; time < 3; time += 1)
      render('{{ e | image_display_url }}{{ e | image_display_url("unknown") }}', { e: entity })
    const warnings = logger.lines.filter((line) => /template shows/.test(line))
    expect(warnings).toEqual([
      expect.stringMatching(/without a kind.*entity_type.*kindOf/),
      expect.stringMatching(/the kind "unknown", which is not known.*entities/),
    ])
    const other = quietLogger()
    const typo = await site({ logger: other })
    typo.render('{{ e | image_display_url("artsit") }}', { e: entity })
    expect(other.lines.join()).toMatch(/the kind "artsit", which is not known/)
    const quiet = quietLogger()
    const fine = await site({ logger: quiet })
    fine.render(
      '{{ e | image_display_url("artist") }}{{ u | image_display_url }}{{ n | image_display_url }}',
      {
        e: entity,
        u: entity.image_url,
        n: { id: 1 },
      },
    )
    expect(quiet.lines.filter((line) => /template shows/.test(line))).toEqual([])
  })
  test('kindOf says it; what it throws or does not know is nothing', async () => {
    class Artist {
      id = 'abc'
      image_url = 'https://cdn.example.com/a.jpg'
    }
    const { render } = await site({
      kindOf: (one) => {
        if ('throws' in one) throw new Error('no')
        return one instanceof Artist ? 'artist' : undefined
      },
    })
    expect(render('{{ e | image_placeholder }}', { e: new Artist() })).toBe(
      '/static/images/placeholder-artist.svg',
    )
    expect(render('{{ e | image_placeholder }}', { e: { id: 1, type: 'album' } })).toMatch(/album/)
    expect(render('{{ e | image_placeholder("playlist") }}', { e: new Artist() })).toMatch(/playlist/)
    expect(render('{{ e | image_placeholder }}', { e: { id: 1, throws: 1 } })).toBe(
      '/static/images/placeholder.svg',
    )
    await expect(createArtwork({ kindOf: 'artist' as never })).rejects.toThrow(/kindOf: must be a function/)
  })
  test('one that is asynchronous is nothing, and hurts nobody', async () => {
    const { render } = await site({
      kindOf: (async () => {
        throw new Error('the database is down')
      }) as never,
    })
    expect(render('{{ e | image_placeholder }}', { e: { id: 1 } })).toBe('/static/images/placeholder.svg')
  })
  test('its picture is fetched then', async () => {
    const { artwork, render, origin } = await site({ kindOf: () => 'artist' })
    origin.serve('/a.jpg', image(await jpeg(30, 20)))
    artwork.start()
    render('{{ e | image_display_url }}', { e: { id: 'abc', image_url: `${origin.url}/a.jpg` } })
    await artwork.refresher.idle()
    expect(artwork.images.stats().byRole.artwork).toBe(1)
  })
})

/** What the macros print: a table of subjects, in every form that a template may ask in. */

import fs, { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import Database from 'better-sqlite3'
import express from 'express'
import { viewsPath } from 'express-artwork'
import fc from 'fast-check'
import { HtmlValidate } from 'html-validate'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { describe, expect, test, vi } from 'vitest'
import { jpeg, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, startApp } from '../support/toolkit.js'
import { flat, IMPORT, stage, steady, subjects } from './subjects.js'

const CALLS: Readonly<Record<string, string>> = {
  img: "{{ img(s, 'x') }}",
  picture: "{{ picture(s, 'x') }}",
  'img of a fixed width': "{{ img(s, 'x', width=184) }}",
  'img in a ratio': "{{ img(s, 'x', ratio='16/9', sizes='50vw', placeholder='thumbhash') }}",
  avatar: "{{ avatar(s, 'x') }}",
  background: '<div style="{{ background(s, width=400) }}"></div>',
  preload: '{{ preload(s) }}',
}

test('golden: every macro over every subject', async () => {
  const { render, list, origin } = await subjects()
  for (const [call, template] of Object.entries(CALLS)) {
    const lines = Object.entries(list).map(
      ([name, s]) => `<!-- ${name} -->\n${steady(render(template, { s, kind: 'x' }), origin.url)}\n`,
    )
    await expect(lines.join('\n')).toMatchFileSnapshot(`golden/${call.replaceAll(' ', '-')}.html`)
  }
})

test('all of it is valid HTML', async () => {
  const { render, list } = await subjects()
  const validator = new HtmlValidate({
    extends: ['html-validate:recommended'],
    rules: {
      'no-inline-style': 'off',
      'long-title': 'off',
      'doctype-style': 'off',
      'void-style': 'off',
      'no-raw-characters': 'off',
      'tel-non-breaking': 'off',
    },
  })
  for (const [call, template] of Object.entries(CALLS))
    for (const [name, s] of Object.entries(list)) {
      const html = render(template, { s })
      const [head, body] = call === 'preload' ? [html, ''] : ['', html]
      const report = await validator.validateString(
        `<!doctype html>\n<html lang="en"><head><title>x</title>${head}</head><body>${body}</body></html>`,
      )
      expect(
        report.results.flatMap(({ messages }) =>
          messages.map(({ ruleId, message }) => `${ruleId}: ${message}`),
        ),
        `${call} of ${name}`,
      ).toEqual([])
    }
})

test('every URL that is printed for what can be had answers, with the width that it says', async () => {
  const { render, list, url, origin } = await subjects()
  const names = [
    'a cached entity',
    'a URL',
    'a tiny picture',
    'a portrait',
    'a poster of TMDb',
    'an upload',
    'a moving picture',
  ]
  const seen = new Set<string>()
  // TMDb's other sizes are other files there.
  for (const size of ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'])
    origin.serve(`/t/p/${size}/known.jpg`, image(await flat(342, 500).jpeg().toBuffer()))
  for (const name of names) {
    const html = render("{{ picture(s, 'x') }}", { s: list[name] })
    for (const [, srcset = ''] of html.matchAll(/srcset="([^"]*)"/g))
      for (const candidate of srcset.replaceAll('&amp;', '&').split(', ')) {
        const [at = '', width = ''] = candidate.split(' ')
        if (seen.has(at)) continue
        seen.add(at)
        const response = await fetch(url + at)
        expect(response.status, at).toBe(200)
        if (at.startsWith('/images/poster/')) continue
        const made = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
        expect(`${made.width}w`, at).toBe(width)
      }
  }
  expect(seen.size).toBeGreaterThan(35)
})

test('width and height are those of the picture, on every render but the first', async () => {
  const { render, artwork, origin } = await stage()
  origin.serve('/late.jpg', image(await jpeg(1200, 500)))
  const s = { id: 'late', type: 'album', image_url: `${origin.url}/late.jpg` }
  const sides = () =>
    /width="(\d+)" height="(\d+)"/.exec(render("{{ img(s, 'x') }}", { s }))?.slice(1).map(Number)
  const held = () => /aspect-ratio:([\d.]+)/.exec(render("{{ img(s, 'x') }}", { s }))?.[1]
  // A square, which is what albums are, and held, whatever comes.
  expect([sides(), held()]).toEqual([[500, 500], '1'])
  await artwork.images.downloadAndCache({ sourceUrl: s.image_url, entityType: 'album', entityId: 'late' })
  expect([sides(), held()]).toEqual([[500, 208], undefined])
})

describe('the page', () => {
  const s = { id: 'x', type: 'album', image_url: 'http://127.0.0.1:1/a.jpg?a=1&b=2' }
  const printed = async (template: string, context: object = {}, configuration = {}) => {
    const { environment } = await stage({}, configuration)
    return environment.renderString(template, { s, ...context })
  }
  test.each([
    ['a loop', `${IMPORT}{% for one in [s] %}{{ img(one, 'x') }}{% endfor %}`],
    ['a macro', `${IMPORT}{% macro card(one) %}{{ img(one, 'x') }}{% endmacro %}{{ card(s) }}`],
    [
      'caller()',
      `${IMPORT}{% macro box() %}{{ caller() }}{% endmacro %}{% call box() %}{{ img(s, 'x') }}{% endcall %}`,
    ],
    [
      'a block',
      `${IMPORT}{% block main %}{% from 'artwork/picture.njk' import img %}{{ img(s, 'x') }}{% endblock %}`,
    ],
    ['import as', "{% import 'artwork/picture.njk' as pictures %}{{ pictures.img(s, 'x') }}"],
    ['a global', "{{ artwork_img(s, 'x') }}"],
    ['alt by name', "{{ artwork_img(s, alt='x') }}"],
  ])('in %s', async (_name, template) => {
    expect(await printed(template)).toBe(await printed("{{ artwork_img(s, 'x') }}"))
  })
  test.each([
    ['without autoescape', { autoescape: false }],
    ['with throwOnUndefined', { throwOnUndefined: true }],
  ])('%s', async (_name, configuration) => {
    expect(await printed(`${IMPORT}{{ img(s, 'x') }}`, {}, configuration)).toBe(
      await printed("{{ artwork_img(s, 'x') }}"),
    )
  })
  test('with other delimiters the globals are there', async () => {
    const tags = {
      blockStart: '<%',
      blockEnd: '%>',
      variableStart: '<$',
      variableEnd: '$>',
      commentStart: '<#',
      commentEnd: '#>',
    }
    expect(await printed("<$ artwork_img(s, 'x') $>", {}, { tags })).toBe(
      await printed("{{ artwork_img(s, 'x') }}"),
    )
  })
  test('a missing alt is told with the template and its line', async () => {
    const { environment } = await stage()
    const loader = {
      getSource: (name: string) => ({
        src: `\n\n{{ artwork_img(s) }}`,
        path: `/app/views/${name}`,
        noCache: true,
      }),
    }
    const own = new nunjucks.Environment(loader as unknown as nunjucks.ILoader, { autoescape: true })
    expect(environment).toBeDefined()
    const { artwork } = await startApp()
    artwork.installTemplates(own)
    // Nunjucks counts lines from 0.
    expect(() => own.render('card.njk', { s })).toThrow(/card\.njk.*Line 2[\s\S]*alt text/)
  })
})

test('what is wrong with a call is told once, and the rest is printed', async () => {
  const lines: string[] = []
  const note = (_fields: object, message: string) => void lines.push(message)
  const { render } = await stage({ logger: { debug: note, info: note, warn: note, error: note } })
  for (let time = 0; time < 3; time += 1)
    expect(
      render(
        "{{ img('poster/a.jpg', 'x', widht=3, width='wide', loading='soon', attrs={ onload: 'x', src: 'y', id: 'z' }) }}",
      ),
    ).toMatch(/^<img src="[^"]+" srcset="[^"]+"[^>]* id="z"[^>]*>$/)
  expect(lines.filter((line) => line.includes('the macro img'))).toEqual([
    expect.stringContaining('knows no widht: there are '),
    expect.stringContaining('width must be a number of pixels, got "wide"'),
    expect.stringContaining('loading must be one of lazy, eager'),
    expect.stringContaining('attrs must not hold "onload"'),
    expect.stringContaining('attrs must not hold src, which is an argument of its own'),
  ])
})

test('nothing that a template hands over leaves its attribute', async () => {
  const { render } = await stage()
  const nasty = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '"><script>alert(1)</script>',
      "' onerror='x",
      '" onload="x',
      '</picture>',
      'javascript:x',
      '&quot;><b>',
      '\u0000"',
      "url('x')",
    ),
    fc.integer(),
    fc.constant(null),
    fc.array(fc.string()),
  )
  const tag = /^(?:<picture>)?(?:<(?:source|img|link)(?: [a-z][a-z0-9-]*(?:="[^"<>]*")?)*>)*(?:<\/picture>)?$/
  const names = [
    'kind',
    'sizes',
    'widths',
    'class',
    'loading',
    'format',
    'width',
    'height',
    'ratio',
    'fit',
    'style',
    'placeholder',
    'decoding',
    'fetchpriority',
    'priority',
    'densities',
  ]
  fc.assert(
    fc.property(
      fc.oneof(nasty, fc.record({ id: nasty, type: nasty, image_url: nasty, image_path: nasty })),
      fc.string(),
      fc.dictionary(fc.constantFrom(...names), nasty),
      fc.dictionary(
        fc.oneof(fc.string(), fc.constantFrom('id', 'data-x', 'onclick', 'x y', 'aria-label')),
        nasty,
      ),
      (s, alt, named, attrs) => {
        for (const macro of ['img', 'picture', 'avatar', 'preload']) {
          const list = Object.keys(named).map((name) => `${name}=named.${name}`)
          const given = ['s', ...(macro === 'preload' ? [] : ['alt', 'attrs=attrs']), ...list].join(', ')
          const html = render(`{{ ${macro}(${given}) }}`, { s, alt, named, attrs })
          expect(html).toMatch(tag)
          expect(html.replace(/"[^"]*"/g, '""')).not.toMatch(/ on[a-z]+=/)
        }
        const css = render('{{ background(s) }}', { s })
        expect(css).not.toMatch(/["'<>\n]/)
        expect(css).toMatch(/^background-image:url\(&#39;[^'"<>\s]*(?: [^'"<>\s]*)*&#39;\)/)
      },
    ),
    { numRuns: 150 },
  )
})

test('with display.styles: classes nothing has a style attribute, and the stylesheet has every class', async () => {
  const { render, url, origin, artwork } = await stage({ display: { styles: 'classes' } })
  origin.serve('/a.jpg', image(await quarters(900, 400).jpeg().toBuffer()))
  const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg` }
  const css = await (await fetch(`${url}/static/images/artwork.css`)).text()
  for (let time = 0; time < 2; time += 1) {
    const html = render(
      "{{ img(s, 'x') }}{{ picture(s, 'x', ratio='16/9') }}{{ avatar(s, 'x') }}{{ img(s, 'x', ratio=0.4) }}",
      { s },
    )
    expect(html).not.toContain('style=')
    const classes = [...html.matchAll(/class="([^"]*)"/g)].flatMap(([, list = '']) => list.split(' '))
    expect(classes.length).toBeGreaterThan(4)
    for (const one of new Set(classes)) if (one !== 'artwork-avatar') expect(css).toContain(`.${one}{`)
    await artwork.images.downloadAndCache({ sourceUrl: s.image_url, entityType: 'album', entityId: 'x' })
  }
  expect(artwork.csp()['style-src-attr']).toEqual(["'none'"])
})

test('priority asks for the picture before the page is read', async () => {
  const { artwork, environment, origin } = await stage()
  const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg` }
  const app = express()
  app.use(artwork.router)
  app.engine('njk', (_path, options, done) => {
    done(
      null,
      environment.renderString(
        `${IMPORT}{{ picture(s, 'x', priority=true, sizes='50vw') }}{{ img(other, 'x', priority=true, format='webp') }}`,
        options,
      ),
    )
  })
  app.set('views', viewsPath)
  app.get('/', (_req, res) => res.render('artwork/picture.njk', { s, other: s }))
  const { url } = await listen(app)
  const response = await fetch(url)
  const html = await response.text()
  expect(html).toMatch(/loading="eager" decoding="async" fetchpriority="high"/)
  const links = (response.headers.get('link') ?? '').split(/, (?=<)/)
  expect(links).toEqual([
    expect.stringMatching(
      /^<[^>]+>; rel=preload; as=image; imagesrcset="\/images\/remote\/w320-avif\/.*"; imagesizes="50vw"; type="image\/avif"; fetchpriority=high$/,
    ),
    expect.stringMatching(
      /^<[^>]+>; rel=preload; as=image; imagesrcset="\/images\/remote\/w320-webp\/.*"; imagesizes="100vw"; type="image\/webp"; fetchpriority=high$/,
    ),
  ])
})

test('art direction: each cut with its own box, candidates and formats', async () => {
  const { render } = await stage()
  const html = render(
    "{{ picture('backdrop/wide.jpg', 'x', sources=[{ media: '(width < 600px)', subject: 'poster/tall.jpg', sizes: '100vw' }]) }}",
  )
  const sources = [...html.matchAll(/<source ([^>]*)>/g)].map(([, attributes = '']) => attributes)
  expect(sources.filter((one) => one.startsWith('media="(width &lt; 600px)"'))).toHaveLength(3)
  expect(sources[0]).toMatch(
    /type="image\/avif" srcset="\/images\/poster\/[^"]*" sizes="100vw" width="342" height="513"$/,
  )
  expect(sources.slice(3).every((one) => one.includes('/images/backdrop/'))).toBe(true)
})

test('what is printed is kept until something changes that it rests on', async () => {
  const { render, origin, artwork, clock } = await stage()
  origin.serve('/a.jpg', image(await jpeg(800, 400)))
  const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg` }
  const print = () => render("{{ img(s, 'x') }}", { s })
  const first = print()
  expect(print()).toBe(first)
  // Another process, or a request, has made it.
  await artwork.images.downloadAndCache({ sourceUrl: s.image_url, entityType: 'album', entityId: 'x' })
  const second = print()
  expect(second).toContain('/artwork/local/albums/x/x.webp?v=')
  await artwork.images.purge({ entity: { kind: 'album', id: 'x' } })
  expect(print()).toContain(origin.url)
  // A failure is printed at once, and no longer than it lasts.
  origin.serve('/a.jpg', { status: 404 })
  await artwork.images.downloadAndCache({ sourceUrl: s.image_url, entityType: 'album', entityId: 'x' })
  expect(print()).toContain('placeholder-album.svg')
  clock.now += 2 * 3_600_000
  expect(print()).toContain(origin.url)
})

test('the links of a page fit into a head that proxies take', async () => {
  const { artwork, environment, origin } = await stage()
  const app = express()
  app.use(artwork.router)
  app.get('/', (_req, res) => {
    const list = Array.from({ length: 9 }, (_, id) => ({
      id,
      type: 'album',
      image_url: `${origin.url}/${id}/${'x'.repeat(200)}.jpg`,
    }))
    const template = "{% for s in list %}{{ artwork_img(s, 'x', priority=true, widths=[320]) }}{% endfor %}"
    res.send(environment.renderString(template, { list, _locals: res.locals }))
  })
  const { url } = await listen(app)
  const response = await fetch(url)
  const links = response.headers.get('link') ?? ''
  expect(links.length).toBeGreaterThan(500)
  expect(links.length).toBeLessThan(2050)
  expect((await response.text()).match(/fetchpriority="high"/g)).toHaveLength(9)
})

test('with require_local nothing of the source is printed, in no form', async () => {
  const { render, origin, artwork } = await stage()
  origin.serve('/a.jpg', image(await jpeg(800, 400)))
  const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg?token=secret` }
  for (const macro of ['img', 'picture', 'avatar']) {
    const html = render(`{{ ${macro}(s, 'x', require_local=true) }}`, { s })
    expect(html).toContain('placeholder-album.svg')
    expect(html).not.toContain('srcset')
  }
  expect(
    render('{{ background(s, require_local=true) }}{{ preload(s, require_local=true) }}', { s }),
  ).not.toMatch(/images\/remote|secret/)
  expect(artwork.images.display(s).from).toBe('source')
})

test('a fixed box that is filled has a file that is wide enough for it', async () => {
  const { render, origin, artwork } = await stage()
  origin.serve('/wide.jpg', image(await jpeg(1600, 800)))
  const url = `${origin.url}/wide.jpg`
  await artwork.images.getImage(`remote/original/${Buffer.from(url).toString('base64url')}`)
  // 300 high and twice as wide: 600 pixels.
  expect(render("{{ img(s, 'x', width=300, height=300, densities=[1]) }}", { s: url })).toMatch(
    /w640-auto\S* 1x"/,
  )
  expect(
    render("{{ img(s, 'x', width=300, height=300, densities=[1], fit='contain') }}", { s: url }),
  ).toMatch(/w320-auto\S* 1x"/)
})

test('one native size that is known does not end the list of TMDb', async () => {
  const { render, artwork, origin } = await stage()
  origin.serve('/t/p/w342/known.jpg', image(await jpeg(342, 513)))
  await artwork.images.getImage('poster/w342/known.jpg')
  expect(render("{{ 'poster/known.jpg' | image_srcset }}").match(/ \d+w/g)?.at(-1)).toBe(' 1920w')
  origin.serve('/t/p/original/known.jpg', image(await jpeg(1000, 1500)))
  await artwork.images.getImage('poster/original/known.jpg')
  expect(render("{{ 'poster/known.jpg' | image_srcset }}").match(/ \d+w/g)?.at(-1)).toBe(' 1000w')
})

test('widths that are none are left out, and the same one is printed once', async () => {
  const { render, list } = await subjects()
  const s = list['a cached entity']
  expect(
    render("{{ img(s, 'x', widths=[640, '320', 320, 'x', 0.5, -1, 99999]) }}", { s }).match(/ \d+w/g),
  ).toEqual([' 320w', ' 640w'])
})

/** Every synchronous function of the file system, and those that begin something: a render cannot wait for those. */
function spyOnFiles() {
  const spies = [fs, fs.promises].flatMap((module) =>
    Object.entries(module)
      .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
      .map(([name]) => vi.spyOn(module as unknown as Record<string, () => void>, name)),
  )
  syncBuiltinESMExports()
  return spies
}

test('once warm, a render asks neither a database nor the file system, whether what it prints is kept or not', async () => {
  const { render, list } = await subjects()
  const pictures = Object.values(list)
  const page = (name: string) =>
    render(
      "{% for s in list %}{{ img(s, 'x', class=name) }}{{ picture(s, 'x', class=name) }}{{ s | image_display_url }}{% endfor %}",
      {
        list: pictures,
        name,
      },
    )
  const statement = Object.getPrototypeOf(new Database(':memory:').prepare('SELECT 1'))
  const asked = [
    ...(['get', 'all', 'iterate', 'run'] as const).map((verb) => vi.spyOn(statement, verb)),
    ...spyOnFiles(),
  ]
  const countOf = (): number => asked.reduce((sum, { mock }) => sum + mock.calls.length, 0)
  page('first')
  const cold = countOf()
  const again = page('first')
  const another = page('second')
  const warm = countOf() - cold
  readFileSync(import.meta.filename)
  const counted = countOf() - cold - warm
  for (const spy of asked) spy.mockRestore()
  syncBuiltinESMExports()
  expect(counted, 'a call is counted').toBeGreaterThan(0)
  expect(another).toBe(again.replaceAll('first', 'second'))
  expect(cold, 'the first time it does').toBeGreaterThan(0)
  expect(warm).toBe(0)
})

test('two widths that come to the same picture are one candidate', async () => {
  const { render, artwork, origin } = await stage({ widths: [320, 640, 1280] })
  origin.serve('/exact.jpg', image(await jpeg(640, 640)))
  const album = { id: 'exact', type: 'album', image_url: `${origin.url}/exact.jpg` }
  const widths = () => render('{{ s | image_srcset }}', { s: album }).match(/ \d+w/g)
  expect(widths()).toEqual([' 320w', ' 640w', ' 1280w'])
  await artwork.images.downloadAndCache({
    sourceUrl: album.image_url,
    entityType: 'album',
    entityId: 'exact',
  })
  expect(widths()).toEqual([' 320w', ' 640w'])
  origin.serve('/t/p/w780/narrow.jpg', image(await jpeg(500, 750)))
  origin.serve('/t/p/original/narrow.jpg', image(await jpeg(500, 750)))
  for (const size of ['w780', 'original']) await artwork.images.getImage(`poster/${size}/narrow.jpg`)
  const found = render("{{ 'poster/narrow.jpg' | image_srcset([500, 780]) }}").match(/ \d+w/g) ?? []
  expect(new Set(found).size).toBe(found.length)
})

test('a picture of another cut is fetched as well when it has been shown', async () => {
  const { render, artwork, origin } = await stage()
  artwork.start()
  for (const name of ['wide', 'tall']) origin.serve(`/${name}.jpg`, image(await jpeg(300, 300)))
  const [wide, tall] = ['wide', 'tall'].map((id) => ({
    id,
    type: 'album',
    image_url: `${origin.url}/${id}.jpg`,
  }))
  render("{{ picture(wide, 'x', sources=[{ media: '(max-width: 40em)', subject: tall }]) }}", { wide, tall })
  await expect
    .poll(() => render('{{ tall | image_display_url }}', { tall }), { timeout: 20_000 })
    .toMatch(/^\/artwork\/local\/albums\//)
})

test('a kind of a source has its own placeholder', async () => {
  const { render } = await stage()
  expect(render("{{ 'poster' | image_placeholder }}")).toMatch(/placeholder-poster\.svg$/)
  expect(render("{{ img(none, 'x', kind='backdrop') }}")).toContain('placeholder-backdrop.svg')
})

/** The macros through other template engines, and as plain functions: the same markup as Nunjucks', of the same golden table. */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import ejs from 'ejs'
import { Eta } from 'eta'
import express from 'express'
import { type ArtworkHtml, type ArtworkLocals, SafeHtml } from 'express-artwork'
import fc from 'fast-check'
import Handlebars from 'handlebars'
import pug from 'pug'
import { describe, expect, test } from 'vitest'
import { blocksOf, pageAt } from '../support/documents.js'
import { listen, temporaryFolder } from '../support/toolkit.js'
import { stage, steady, subjects } from './subjects.js'

type Call = readonly [macro: Exclude<keyof ArtworkHtml, 'data'>, options: Readonly<Record<string, unknown>>]
/** The calls of the golden table. */
const CALLS: Readonly<Record<string, Call>> = {
  img: ['img', { alt: 'x' }],
  picture: ['picture', { alt: 'x' }],
  'img of a fixed width': ['img', { alt: 'x', width: 184 }],
  'img in a ratio': ['img', { alt: 'x', ratio: '16/9', sizes: '50vw', placeholder: 'thumbhash' }],
  avatar: ['avatar', { alt: 'x' }],
  background: ['background', { width: 400 }],
  preload: ['preload', {}],
}

/** Prints a call in an engine. */
type Engine = (html: ArtworkHtml, subject: unknown, call: Call) => string

const eta = new Eta()
/** The adapter for Handlebars, as it stands in the documentation. */
function handlebarsWith(html: ArtworkHtml): typeof Handlebars {
  const handlebars = Handlebars.create()
  for (const name of ['img', 'picture', 'avatar', 'background', 'preload'] as const)
    handlebars.registerHelper(name, (subject, { hash }) => html[name](subject, hash))
  return handlebars
}
const inBox = (macro: string, before: string, after: string): string =>
  macro === 'background' ? `<div style="${before}${after}"></div>` : before + after

const ENGINES: Readonly<Record<string, Engine>> = {
  'plain functions': (html, s, [macro, options]) =>
    // biome-ignore lint/suspicious/noExplicitAny: each function has options of its own.
    inBox(macro, `${html[macro](s, options as any)}`, ''),
  EJS: (html, s, [macro, options]) =>
    ejs.render(inBox(macro, `<%- artwork.${macro}(s, options) `, '%>'), { artwork: html, s, options }),
  Eta: (html, s, [macro, options]) =>
    eta.renderString(inBox(macro, `<%~ it.artwork.${macro}(it.s, it.options) `, '%>'), {
      artwork: html,
      s,
      options,
    }),
  Pug: (html, s, [macro, options]) =>
    pug.render(
      macro === 'background'
        ? 'div(style!=String(artwork.background(s, options)))'
        : `!= artwork.${macro}(s, options)`,
      { artwork: html, s, options },
    ),
  Handlebars: (html, s, [macro, options]) => {
    const names = Object.keys(options).map((name) => ` ${name}=options.${name}`)
    const template = inBox(macro, `{{${macro} s${names.join('')}`, '}}')
    return handlebarsWith(html).compile(template)({ s, options })
  },
}

describe.each(Object.entries(ENGINES))('%s', (_name, print) => {
  test('prints what Nunjucks prints, of every subject in every form', async () => {
    const { artwork, list, origin } = await subjects()
    for (const [name, call] of Object.entries(CALLS)) {
      const lines = Object.entries(list).map(
        ([subject, s]) => `<!-- ${subject} -->\n${steady(print(artwork.html, s, call), origin.url)}\n`,
      )
      await expect(lines.join('\n')).toMatchFileSnapshot(`golden/${name.replaceAll(' ', '-')}.html`)
    }
  })

  test('whatever is handed over stays inert: it is printed as Nunjucks prints it', async () => {
    const { artwork, render } = await stage()
    const nasty = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '"><script>alert(1)</script>',
        "' onerror='alert(1)",
        '{{ 7 * 7 }}<%= 7 * 7 %>#{7 * 7}',
        'javascript:alert(1)',
        '</style><img src=x onerror=alert(1)>',
        '&quot;&#39;',
      ),
    )
    const subject = fc.oneof(nasty, fc.record({ id: nasty, type: nasty, image_url: nasty }))
    const options = fc.record({ alt: nasty, kind: nasty, class: nasty, sizes: nasty, style: nasty })
    fc.assert(
      fc.property(
        fc.constantFrom('img' as const, 'picture' as const, 'avatar' as const),
        subject,
        options,
        (macro, s, given) => {
          const { alt, kind, sizes, style } = given
          const rest = macro === 'avatar' ? {} : { sizes }
          const expected = render(
            `{{ ${macro}(s, alt, kind=kind, class=cls, style=style${macro === 'avatar' ? '' : ', sizes=sizes'}) }}`,
            { s, alt, kind, cls: given.class, sizes, style },
          )
          const printed = print(artwork.html, s, [macro, { alt, kind, class: given.class, style, ...rest }])
          expect(printed).toBe(expected)
          expect(printed).not.toMatch(/<script|<%/)
        },
      ),
      { numRuns: 60 },
    )
  })
})

test('a picture without `alt` is a mistake, with what is missing', async () => {
  const { artwork } = await stage()
  expect(() => artwork.html.img('poster/a.jpg', {} as never)).toThrow(/alt text/)
  expect(() => artwork.html.picture('poster/a.jpg', undefined as never)).toThrow(/alt text/)
  expect(`${artwork.html.img('poster/a.jpg', { alt: '' })}`).toContain('alt=""')
})

test('markup is a value of its own: as text, for Handlebars, in JSON', async () => {
  const { artwork } = await stage()
  const html = artwork.html.avatar('poster/a.jpg', { alt: 'A face' })
  expect(html).toBeInstanceOf(SafeHtml)
  expect([html.toHTML(), JSON.parse(JSON.stringify(html))]).toEqual([`${html}`, `${html}`])
})

test('data has what is printed', async () => {
  const { artwork, list } = await subjects()
  const { url, from, width, height, srcset } = artwork.html.data(list['a cached entity'], { widths: true })
  expect({ url, from, width, height }).toMatchObject({ from: 'local', width: 500, height: 400 })
  expect(srcset).toContain('320w')
})

test('requireLocal is what require_local is in templates', async () => {
  const { artwork, render, origin } = await stage()
  const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg` }
  const printed = `${artwork.html.img(s, { alt: 'x', requireLocal: true })}`
  expect(printed).toBe(render("{{ img(s, 'x', require_local=true) }}", { s }))
  expect(printed).not.toContain(origin.url)
})

test('addressOf: by a URL of upstream, by one that we printed, and of nothing of ours', async () => {
  const { artwork, origin } = await stage()
  const url = `${origin.url}/a.jpg`
  const address = `remote/original/${Buffer.from(url).toString('base64url')}`
  expect(artwork.addressOf(url)).toBe(address)
  const printed = artwork.images.imageUrl(url, 'w320-webp')
  expect(artwork.addressOf(printed)).toBe(address.replace('original', 'w320-webp'))
  expect(artwork.addressOf(`${origin.url}/t/p/w342/abc.jpg`)).toBe('poster/w342/abc.jpg')
  for (const nothing of ['https://elsewhere.example/a.jpg', '', '/page', 'javascript:alert(1)', '\0'])
    expect(artwork.addressOf(nothing), nothing).toBeUndefined()
})

/** What the page of the documentation shows of an engine. */
const shown = (engine: string): string => {
  const block = blocksOf(pageAt('docs/engines.md')).find(({ language }) => language === engine)
  if (block === undefined) throw new Error(`docs/engines.md shows nothing of ${engine}`)
  return block.code
}

test.each(['ejs', 'eta', 'pug', 'hbs'])(
  'a page in %s as the documentation has it, through res.render, with `priority` in its head',
  async (engine) => {
    const { artwork, render, origin } = await stage()
    const views = await temporaryFolder()
    const view = shown(engine)
    writeFileSync(join(views, `page.${engine}`), view)
    writeFileSync(
      join(views, `first.${engine}`),
      view.replace(/50vw(['"])/, engine === 'hbs' ? '50vw$1 priority=true' : '50vw$1, priority: true'),
    )
    const app = express()
    app.engine('ejs', (path, given, done) => void ejs.renderFile(path, given, done))
    app.engine('pug', (path, given, done) => void pug.renderFile(path, given, done))
    const files = new Eta({ views })
    app.engine('eta', (path, given, done) => done(null, files.render(`./${basename(path)}`, given)))
    app.engine('hbs', (path, given, done) => {
      const { artwork: html } = given as unknown as { artwork: ArtworkHtml }
      done(null, handlebarsWith(html).compile(readFileSync(path, 'utf8'))(given))
    })
    app.set('views', views)
    app.set('view engine', engine)
    app.use(artwork.locals)
    const album = { id: 'x', type: 'album', title: 'Tide & "water"', image_url: `${origin.url}/a.jpg` }
    for (const name of ['page', 'first']) app.get(`/${name}`, (_req, res) => res.render(name, { album }))
    const { url } = await listen(app)
    const image = (more: string): string =>
      render(`{{ img(album, album.title, sizes='50vw'${more}) }}`, { album })
    const box = render('<div style="{{ background(album, width=400) }}"></div>', { album })
    const page = await fetch(`${url}/page`)
    expect((await page.text()).replaceAll('\n', '')).toBe(image('') + box)
    expect(page.headers.get('link')).toBeNull()
    const announced = await fetch(`${url}/first`)
    expect(await announced.text()).toContain(image(', priority=true'))
    expect(announced.headers.get('link')).toMatch(/rel=preload; as=image/)
  },
)

test('locals have what filters and globals give', async () => {
  const { artwork, origin } = await stage()
  const app = express()
  app.use(artwork.locals)
  app.get('/', (_req, res) => {
    const { url, imageUrl, srcset, stylesheet, script, beacon } = res.locals.artwork as ArtworkLocals
    const s = { id: 'x', type: 'album', image_url: `${origin.url}/a.jpg` }
    res.json([url(s), imageUrl(s, 'w320-webp'), srcset(s, [320]), stylesheet, script, beacon])
  })
  const { url } = await listen(app)
  const own = `/images/remote/w320-webp/${Buffer.from(`${origin.url}/a.jpg`).toString('base64url')}`
  expect(await (await fetch(url)).json()).toEqual([
    `${origin.url}/a.jpg`,
    own,
    `${own.replace('webp', 'auto')} 320w`,
    '/static/images/artwork.css',
    '/static/images/artwork.js',
    '',
  ])
})

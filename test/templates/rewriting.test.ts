/** HTML of others: its pictures become full ones, and every other byte is what it was. */
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import compression from 'compression'
import express, { type Express } from 'express'
import { files, remote } from 'express-artwork'
import fc from 'fast-check'
import { SAXParser } from 'parse5-sax-parser'
import { describe, expect, test } from 'vitest'
import { createHtmlRewriter } from '#src/templates/html-rewriter.js'
import { createHtmlMiddleware } from '#src/web/rewrite-html.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

const CDN = 'https://cdn.example.com'
const toolkit = async () => {
  const { artwork, url, origin } = await startApp({
    sources: [remote({ hosts: ['cdn.example.com', '127.0.0.1'] })],
  })
  return { artwork, url, origin }
}

/** A rewriter that says where each picture was, in place of markup. */
const marked = () =>
  createHtmlRewriter(
    {
      macros: (_macro, subject, keywords) => ({
        html: `{{${String(subject)}|${JSON.stringify(keywords)}|}}`,
      }),
      addressOf: (text) => (text.startsWith(CDN) ? 'an address' : undefined),
    } as Parameters<typeof createHtmlRewriter>[0],
    SAXParser,
  )
/** A page through it, in pieces of a size. */
function through(html: Buffer, size = html.length): { readonly out: string; readonly pieces: string[] } {
  const rewriter = marked()
  const pieces: string[] = []
  for (let at = 0; at < html.length; at += size)
    pieces.push(rewriter.write(html.subarray(at, at + size).toString('latin1')))
  pieces.push(rewriter.end())
  return { out: pieces.join(''), pieces }
}
const MARK = /\{\{https:\/\/cdn\.example\.com\/(\d+)\.jpg\|.*?\|\}\}/g

describe('two hundred pages as the web has them', () => {
  /** A page of pieces; those that are pictures of the CDN have a number. Repeatable. */
  function page(seed: number): { readonly html: Buffer; readonly pictures: number } {
    let state = seed
    const random = (most: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * most)
    }
    let pictures = 0
    const img = (): string => {
      pictures += 1
      const quote = ['"', "'", ''][random(3)] ?? ''
      const extra = ['', ' alt="a &amp; b"', ' class=x width=300 height=200', " title='>'", ' data-x'][
        random(5)
      ]
      // Without quotes a slash belongs to the URL.
      const end = quote === '' ? [' ', ' /'] : ['', '/']
      return `<${random(2) ? 'img' : 'IMG'}${extra}\n src=${quote}${CDN}/${pictures}.jpg${quote}${end[random(2)]}>`
    }
    const hidden = `<img src="${CDN}/0.jpg">`
    const parts: (() => string)[] = [
      img,
      () => '<p>text <b>bold<i>both</b>broken</i> ä ö ü — 日本 &amp; &nbsp; &bogus; & < 3 > 2',
      () => `<!-- a comment ${hidden} -- > still -->`,
      () => `<!--[if lt IE 9]>${hidden}<![endif]-->`,
      () => `<![if !IE]>${img()}<![endif]>`,
      () => `<script>document.write('${hidden}'); if (a < b && c > d) {}</script>`,
      () => `<script><!-- <script>${hidden}</script> --></script>`,
      () => `<style>p::after{content:'${hidden}'}</style>`,
      () => `<textarea>${hidden}</textarea><title>${hidden}</title>`,
      () => `<xmp>${hidden}</xmp><iframe>${hidden}</iframe><noembed>${hidden}</noembed>`,
      () => `<noscript>${hidden}</noscript><noframes>${hidden}</noframes>`,
      () => `<template><div>${img()}</div></template>`,
      () => `<div title='${hidden}' data-x="${hidden.replaceAll('"', '&quot;')}">`,
      () => `<picture><source srcset="a.webp">${hidden}</picture>`,
      () => `<img srcset="a.jpg 1x" src="${CDN}/0.jpg"><img src="${CDN}/0.jpg" data-artwork-ignore>`,
      () =>
        `<img src="relative.jpg"><img src="https://other.example/a.jpg"><img src=data:image/gif;base64,R0><img>`,
      () => `<img src="${CDN}/0.jpg" onerror="alert(1)">`,
      () => '</>< /p><//p></p x=">"><?php echo "<img>" ?><!bogus><!DOCTYPE html><!--><!--->',
      () => `<svg><image href="a.png"/><style><a title="</style>">${random(2) ? '' : '</a>'}</style></svg>`,
      () => `<math><mi><![CDATA[x]]></mi></math><pre>\n\n  x\r\ny\r</pre>`,
      () => `<a href=x/${'y'.repeat(random(40))}>${img()}</a>\0\x01\x7f`,
      () => randomBytesOf(random(60)),
    ]
    const randomBytesOf = (count: number): string =>
      // Any bytes but those that begin or end something.
      Array.from({ length: count }, () => String.fromCharCode(0x80 + random(128))).join('')
    const count = 10 + random(40)
    const text = Array.from({ length: count }, () => parts[random(parts.length)]?.() ?? '').join(
      ['', '\n', '\r\n', '  '][random(4)],
    )
    const ends = ['', '</body></html>', '<img src="', '<!-- cut', '<p class=', `<img src=${CDN}/0.jpg`, '<'][
      random(7)
    ]
    return { html: Buffer.from(`<!doctype html><html><body>${text}${ends}`, 'latin1'), pictures }
  }

  test('every byte but the pictures’ is the same, in pieces of any size, and each picture is found once', () => {
    let [found, all] = [0, 0]
    for (let seed = 1; seed <= 200; seed += 1) {
      const { html, pictures } = page(seed * 7919)
      const { out } = through(html)
      for (const size of [1, 7, 1000]) expect(through(html, size).out, `seed ${seed} by ${size}`).toBe(out)
      const numbers = [...out.matchAll(MARK)].map(([, number]) => Number(number))
      expect(new Set(numbers).size, `seed ${seed}`).toBe(numbers.length)
      // Each mark put back as the element that stood there gives the page, byte by byte.
      const elements = new Map(
        [...html.toString('latin1').matchAll(/<img(?:[^>"']|"[^"]*"|'[^']*')*>/gi)].map(([text]) => [
          /example\.com\/(\d+)\.jpg/.exec(text)?.[1],
          text,
        ]),
      )
      const back = out.replaceAll(MARK, (_mark, number: string) => elements.get(number) ?? '?')
      expect(back, `seed ${seed}`).toBe(html.toString('latin1'))
      expect(numbers).not.toContain(0)
      found += numbers.length
      all += pictures
    }
    // Some are within what an unclosed element made text of.
    expect(found / all).toBeGreaterThan(0.5)
    expect(found).toBeGreaterThan(500)
  })

  test('five megabytes in one line: what is held is bounded, and what is ready does not wait', () => {
    const line = Buffer.from(`<p>${'word '.repeat(20_000)}<img src=${CDN}/1.jpg>${'x'.repeat(5_000_000)}</p>`)
    const rewriter = marked()
    let held = 0
    let given = 0
    let taken = 0
    for (let at = 0; at < line.length; at += 16_384) {
      const piece = line.subarray(at, at + 16_384).toString('latin1')
      taken += piece.length
      const ready = rewriter.write(piece)
      given += ready.length
      if (at === 0) expect(ready.length).toBeGreaterThan(16_000)
      held = Math.max(held, taken - given)
    }
    rewriter.end()
    expect(held).toBeLessThan(40_000)
    // A tag, or a comment, that does not end is given up, and everything passed on.
    for (const open of ['<!-- ', '<p title="', '<img src="data:image/png;base64,']) {
      const endless = Buffer.from(`<b>a</b>${open}${'y'.repeat(3_000_000)}`)
      const { out, pieces } = through(endless, 65_536)
      expect(out === endless.toString()).toBe(true)
      expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(10)
    }
  })
})

describe('what is printed', () => {
  test('a full picture, with what the element said', async () => {
    const { artwork } = await toolkit()
    const html = await artwork.rewriteHtml(
      `<p>Hé <img class="wide" alt="A &lt;cat&gt; &amp; „Käse“" src="${CDN}/a.jpg" width="300" height="200" data-id="7" style="border:0" loading="eager"> end`,
    )
    const text = String(html)
    expect(text).toMatch(/^<p>Hé <picture><source [^>]*type="image\/(?:avif|webp)"[^>]*>.*<\/picture> end$/s)
    for (const part of [
      'class="wide',
      'alt="A &lt;cat&gt; &amp; „Käse“"',
      'width="300"',
      'height="200"',
      'data-id="7"',
      'loading="eager"',
      'srcset=',
    ])
      expect(text).toContain(part)
    const one = String(await artwork.rewriteHtml(`<img src=${CDN}/a.jpg>`, { element: 'img', sizes: '50vw' }))
    expect(one).toMatch(/^<img [^>]*sizes="50vw"[^>]*>$/)
    expect(() => artwork.rewrite({ element: 'figure' as never })).toThrow(
      /element must be "picture" or "img"/,
    )
  })

  test('URLs of every kind that a source has, and no other', async () => {
    const root = await temporaryFolder()
    const { artwork } = await startApp({
      sources: [remote({ hosts: ['bücher.example'] }), files({ root, prefix: '/static' })],
    })
    const isChanged = async (src: string): Promise<boolean> =>
      String(await artwork.rewriteHtml(`<img src="${src}">`)) !== `<img src="${src}">`
    for (const src of [
      'https://bücher.example/ä.jpg',
      ' //xn--bcher-kva.example/a.jpg ',
      'HTTPS://xn--bcher-kva.example/a.jpg?x=1&amp;y=2',
      '/static/hero.jpg',
    ])
      expect([src, await isChanged(src)]).toEqual([src, true])
    for (const src of [
      '/images/files/original/hero.jpg',
      'static/hero.jpg',
      'files/original/hero.jpg',
      '//other.example/a.jpg',
      '/other.jpg',
      '#a',
      '',
    ])
      expect([src, await isChanged(src)]).toEqual([src, false])
  })

  test('references and bytes of any encoding stay what they are', async () => {
    const { artwork } = await toolkit()
    const element = `<img src=${CDN}/a.jpg alt="Caf&eacute; &rsquo;n&#8217; &#x1F600; Käse &copy; a&nbsp;b">`
    const text = String(await artwork.rewriteHtml(element))
    expect(/alt="([^"]*)"/.exec(text)?.[1]).toBe('Caf&#xe9; &#x2019;n&#x2019; &#x1f600; Käse &#xa9; a&#xa0;b')
    const latin1 = through(Buffer.from(`<img src=${CDN}/1.jpg alt="\xe9 &eacute;">\xe9`, 'latin1')).out
    expect(latin1).toContain('\xe9 &#xe9;')
    expect(latin1.endsWith('\xe9')).toBe(true)
  })

  test('nobody gets a signature by writing HTML', async () => {
    const root = await temporaryFolder()
    const { artwork } = await startApp({
      sources: [files({ root, prefix: '/static', private: true }), remote({ hosts: ['cdn.example.com'] })],
      signing: { keys: ['a key of sixteen characters'] },
    })
    for (const src of [
      '/static/a.jpg',
      '/images/files/original/a.jpg',
      '/images/files/original/a.jpg?expires=1&s=bad',
      '/images/remote/w9999/aHR0cHM6Ly9jZG4uZXhhbXBsZS5jb20vYS5qcGc',
    ]) {
      const element = `<img src="${src}">`
      expect(String(await artwork.rewriteHtml(element))).toBe(element)
    }
  })

  test('hostile values stay inert', async () => {
    const { artwork } = await toolkit()
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.constantFrom(
              'alt',
              'class',
              'style',
              'title',
              'sizes',
              'id',
              'data-x',
              'width',
              'src',
              'aria-label',
            ),
            fc.oneof(
              fc.string({ unit: 'binary' }),
              fc.constantFrom(
                '"><script>x()</script>',
                "' onload=x() '",
                '</picture>',
                '&quot;&gt;',
                '--><b>',
                '\0<',
              ),
            ),
          ),
          { maxLength: 6 },
        ),
        async (attributes) => {
          const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
          const element = `<img src="${CDN}/a.jpg" ${attributes.map(([name, value]) => `${name}="${escaped(value)}"`).join(' ')}>`
          const text = String(await artwork.rewriteHtml(element))
          const tags: string[] = []
          const parser = new SAXParser()
          parser.on('startTag', ({ tagName, attrs }) => {
            tags.push(tagName)
            for (const { name } of attrs) expect(name).not.toMatch(/^on/)
          })
          parser.on('text', ({ text: between }) => expect(between.trim()).toBe(''))
          parser.end(text)
          for (const tag of tags) expect(['picture', 'source', 'img']).toContain(tag)
          expect(tags.filter((tag) => tag === 'img')).toHaveLength(1)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('as middleware', () => {
  const serve = async (routes: (app: Express) => void, before: (app: Express) => void = () => {}) => {
    const { artwork, origin } = await toolkit()
    const app = express()
    before(app)
    app.use(artwork.router)
    app.use(artwork.rewrite())
    routes(app)
    return { ...(await listen(app)), artwork, origin }
  }
  const PAGE = `<!doctype html><p>ä<img src="${CDN}/a.jpg" alt="x"></p>`

  test('pages are rewritten however they are written; what is no page, or may not be changed, is not', async () => {
    const { url } = await serve((app) => {
      app.get('/send', (_req, res) => void res.send(PAGE))
      app.get('/end', (_req, res) => {
        res.writeHead(200, {
          'Content-Type': 'text/html; charset=utf-8',
          'Content-Length': Buffer.byteLength(PAGE),
        })
        res.end(PAGE)
      })
      app.get('/bytes', (_req, res) => {
        res.type('html')
        for (const byte of Buffer.from(PAGE)) res.write(Buffer.from([byte]))
        res.end()
      })
      app.get('/latin1', (_req, res) => {
        res.setHeader('Content-Type', 'text/html; charset=iso-8859-1')
        res.end(PAGE, 'latin1')
      })
      app.get('/json', (_req, res) => void res.json({ PAGE }))
      app.get(
        '/utf16',
        (_req, res) =>
          void res.set('Content-Type', 'text/html; charset=utf-16le').end(Buffer.from(PAGE, 'utf16le')),
      )
      app.get('/kept', (_req, res) => void res.set('Cache-Control', 'no-transform').send(PAGE))
      app.get('/none', (_req, res) => void res.status(204).type('html').end())
    })
    for (const path of ['/send', '/end', '/bytes']) {
      const answer = await fetch(url + path)
      const text = await answer.text()
      expect([path, answer.status, answer.headers.get('etag')]).toEqual([path, 200, null])
      expect(text).toMatch(/^<!doctype html><p>ä<picture>.*<\/picture><\/p>$/s)
      expect(answer.headers.get('content-length') ?? String(Buffer.byteLength(text))).toBe(
        String(Buffer.byteLength(text)),
      )
      const head = await fetch(url + path, { method: 'HEAD' })
      expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([
        200,
        null,
        null,
      ])
    }
    const latin1 = Buffer.from(await (await fetch(`${url}/latin1`)).arrayBuffer()).toString('latin1')
    expect(latin1).toMatch(/^<!doctype html><p>ä<picture>/)
    expect(await (await fetch(`${url}/json`)).json()).toEqual({ PAGE })
    expect(Buffer.from(await (await fetch(`${url}/utf16`)).arrayBuffer()).toString('utf16le')).toBe(PAGE)
    const kept = await fetch(`${url}/kept`)
    expect([await kept.text(), kept.headers.get('etag') !== null]).toEqual([PAGE, true])
    expect((await fetch(`${url}/none`)).status).toBe(204)
  })

  test('the first byte does not wait for the last, and compression beside it works', async () => {
    let goOn = (): void => {}
    const waiting = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { url } = await serve(
      (app) => {
        app.get('/slow', async (_req, res) => {
          res.type('html').write(`${PAGE}<p>more is to come`)
          await waiting
          res.end(`<img src="${CDN}/b.jpg">`)
        })
        app.get('/packed', (_req, res) => void res.send(PAGE.repeat(200)))
      },
      (app) => void app.use(compression()),
    )
    const text = await new Promise<string>((resolve, reject) => {
      httpRequest(`${url}/slow`, (res) => {
        let got = ''
        res.setEncoding('utf8')
        res.on('data', (piece) => {
          got += piece
          // The rest is only written when all of the beginning is here.
          if (got.includes('more is to come')) goOn()
        })
        res.on('end', () => resolve(got))
      })
        .on('error', reject)
        .end()
    })
    expect(text.match(/<picture>/g)).toHaveLength(2)
    const packed = await fetch(`${url}/packed`)
    expect(packed.headers.get('content-encoding')).toMatch(/gzip|br|deflate/)
    expect((await packed.text()).match(/<picture>/g)).toHaveLength(200)
  })

  test('what cannot be had is its placeholder, and a client that goes away hurts nobody', async () => {
    const { url, origin, artwork } = await serve((app) => {
      app.get(
        '/',
        (_req, res) => void res.send(`<img src="${origin.url}/there.jpg"><img src="${origin.url}/gone.jpg">`),
      )
      app.get('/endless', (req, res) => {
        res.type('html')
        const timer = setInterval(() => res.write(`<img src="${CDN}/a.jpg">`.repeat(50)), 1)
        req.on('close', () => clearInterval(timer))
      })
    })
    origin.serve('/there.jpg', image(await jpeg(300, 200)))
    for (const name of ['there', 'gone'])
      await artwork.images.getImage(artwork.addressOf(`${origin.url}/${name}.jpg`) ?? '').catch(() => {})
    const text = await (await fetch(url)).text()
    expect(text).toContain('width="300" height="200"')
    expect(text).toContain('placeholder')
    expect(text).not.toContain('gone.jpg')
    const leaving = new AbortController()
    const answer = await fetch(`${url}/endless`, { signal: leaving.signal })
    await answer.body?.getReader().read()
    leaving.abort()
    expect((await fetch(url)).status).toBe(200)
  })
})

test('a page whose rewriting fails is passed on as it is from there, once', async () => {
  const rewriter = createHtmlRewriter(
    {
      macros: () => {
        throw new Error('no markup')
      },
      addressOf: () => 'an address',
    },
    SAXParser,
  )
  const app = express()
  app.use(createHtmlMiddleware(quietLogger())(async () => () => rewriter))
  app.get('/', (_req, res) => {
    res.type('html')
    res.write('<p>before')
    res.write(`<img src="${CDN}/a.jpg"> after`)
    res.end('<p>end')
  })
  const { url } = await listen(app)
  expect(await (await fetch(url)).text()).toBe(`<p>before<img src="${CDN}/a.jpg"> after<p>end`)
})

test('fields are sent as Node sends them', async () => {
  const { artwork } = await toolkit()
  const app = express()
  app.use(artwork.rewrite())
  app.get('/undefined', (_req, res) => {
    res.writeHead(200, undefined, { 'Content-Type': 'application/json' }).end('{}')
  })
  app.get('/array', (_req, res) => {
    res.setHeader('Content-Type', 'text/html')
    res.writeHead(200, ['Content-Type', 'text/plain', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'])
    res.end('<img>')
  })
  const { url } = await listen(app)
  expect((await fetch(`${url}/undefined`)).headers.get('content-type')).toBe('application/json')
  const answer = await fetch(`${url}/array`)
  expect([answer.headers.get('content-type'), answer.headers.getSetCookie()]).toEqual([
    'text/plain',
    ['a=1', 'b=2'],
  ])
})

test('a page of random bytes is passed on as it is', () => {
  for (let time = 0; time < 50; time += 1) {
    const bytes = randomBytes(5000)
    expect(through(bytes, 100).out).toBe(bytes.toString('latin1'))
  }
})

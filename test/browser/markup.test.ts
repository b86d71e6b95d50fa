/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The markup of pictures in a real browser, over the example site: which file is taken, when, and what is seen meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { type ArtworkOptions, remote, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../support/browser.js'
import { type Service, startExample } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, listen, startApp } from '../support/toolkit.js'

const folder = mkdtempSync(join(tmpdir(), 'artwork-markup-'))
const PAGES = [
  '/',
  '/films',
  '/albums',
  '/artists',
  '/albums/al03',
  '/films/fi01',
  '/artists/ar01',
  '/helpers',
  '/house',
]
let browser: Browser
let warm: Service

beforeAll(async () => {
  browser = await openBrowser()
  warm = await startExample({ PORT: '0', DATA_DIR: join(folder, 'warm'), WARM_DELAY: '0' })
  const status = async (): Promise<{ queued: number; running: number; done: number }> =>
    (await fetch(`${warm.url}/panel/status`)).json() as never
  await eventually(async () => {
    const { done, queued, running } = await status()
    expect(done).toBeGreaterThan(40)
    expect(queued + running).toBe(0)
  }, 280_000)
})
afterAll(async () => {
  await browser?.close()
  await warm?.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

const services: Service[] = []
/** The example site as it is when nobody has looked at it yet. */
async function start(name: string, CDN = ''): Promise<Service> {
  const service = await startExample({ PORT: '0', DATA_DIR: join(folder, name), WARM_DELAY: '600000', CDN })
  services.push(service)
  return service
}
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop()
})

/** A page with three pictures, under a policy. */
async function pageOf(options: ArtworkOptions, policy: Readonly<Record<string, readonly string[]>>) {
  const origin = await anOrigin()
  origin.serve('/cover.jpg', image(await jpeg(900, 400)))
  const set = await startApp(
    {
      sources: [remote({ hosts: ['127.0.0.1'] })],
      fetch: { allowPrivate: [origin.host], retries: 0 },
      ...options,
    },
    { origin },
  )
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), { autoescape: true })
  set.artwork.installTemplates(environment)
  const album = { id: 'a', type: 'album', image_url: `${origin.url}/cover.jpg` }
  const app = express()
  app.use(set.artwork.router)
  app.get('/', (_req, res) => {
    const text = Object.entries({ ...policy, ...set.artwork.csp() })
      .map(([name, sources]) => `${name} ${sources.join(' ')}`)
      .join('; ')
    res
      .set('Content-Security-Policy', text)
      .send(
        environment.renderString(
          `<!doctype html><title>x</title><link rel="icon" href="data:,"><link rel="stylesheet" href="{{ artwork_stylesheet }}"><script src="{{ artwork_script }}" data-beacon="{{ artwork_beacon }}" defer></script>{% from 'artwork/picture.njk' import img, picture, avatar %}{{ img(album, 'x') }}{{ picture(album, 'x', ratio='1/1') }}{{ avatar(album, 'x') }}`,
          { album },
        ),
      )
  })
  const { url } = await listen(app)
  const fetchAll = () =>
    set.artwork.images.downloadAndCache({ sourceUrl: album.image_url, entityType: 'album', entityId: 'a' })
  return { url: `${url}/`, origin, fetchAll }
}

/** A page of its own, and what went wrong on it: violations of its policy, and errors of scripts. */
async function open(viewport: { width: number; height: number }, scale = 1) {
  const context = await browser.newContext({ viewport, deviceScaleFactor: scale })
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      problems.push(message.text())
  })
  page.on('pageerror', (error) => problems.push(String(error)))
  await page.addInitScript(() => {
    interface Box {
      readonly x: number
      readonly y: number
      readonly width: number
      readonly height: number
    }
    interface LayoutShift extends PerformanceEntry {
      readonly value: number
      readonly sources: readonly { node?: Node; previousRect: Box; currentRect: Box }[]
    }
    const shifts: string[] = []
    Object.assign(window, { shifts })
    const sides = ({ x, y, width, height }: Box): string => `${x},${y} ${width}×${height}`
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries() as LayoutShift[])
        shifts.push(
          [
            `${value}:`,
            ...sources.map(({ node, previousRect, currentRect }) => {
              const text = (node instanceof Element ? node.outerHTML : node?.textContent)?.slice(0, 150)
              return `from ${sides(previousRect)} to ${sides(currentRect)}: ${text}`
            }),
          ].join('\n'),
        )
    }).observe({ type: 'layout-shift', buffered: true })
  })
  return { context, page, problems }
}

/** Pictures come a second late. */
const slowPictures = (context: BrowserContext): Promise<unknown> =>
  context.route(/\.(?:jpg|png|webp|avif|svg)(?:\?|$)|\/images\//, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await route.continue().catch(() => {})
  })

/** Scrolls to the end, so that everything is asked for, and waits for it. */
async function loadAll(page: Page): Promise<void> {
  await page.evaluate(async () => {
    for (let top = 0; top < document.body.scrollHeight; top += 400) {
      window.scrollTo(0, top)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    for (const image of document.images) image.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    window.scrollTo(0, 0)
    await Promise.all(
      [...document.images].map(async (image) => {
        // One that the panel has exchanged for its local copy, before it was loaded, never will be.
        while (!image.complete && image.isConnected) await new Promise((resolve) => setTimeout(resolve, 20))
      }),
    )
  })
}

const broken = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.images]
      .filter((image) => image.complete && image.naturalWidth === 0 && image.currentSrc !== '')
      .map((image) => image.currentSrc),
  )

/** One page after the other, so that each is seen at every width, and with every number of dots. */
const SCREENS = [1, 2, 3].flatMap((scale) =>
  [390, 768, 1280, 1920].map(
    (width, place) => [scale, width, ['/', '/films/fi01'][(scale + place) % 2]] as const,
  ),
)
test.each(SCREENS)(
  'at %s dots a pixel and %s pixels the smallest file is taken that is sharp, in AVIF: %s',
  async (scale, width, path) => {
    let checked = 0
    // What a browser has already, and is larger, it takes instead: this one has nothing.
    const { context, page } = await open({ width, height: 900 }, scale)
    await page.goto(warm.url + path)
    await loadAll(page)
    const pictures = await page.evaluate(() =>
      [...document.images].flatMap((image) => {
        const source = image.closest('picture')?.querySelector('source')
        const widths = [...(source?.srcset ?? '').matchAll(/\.w(\d+)\.avif\S* (\d+)w/g)].map(
          ([, named, own]) => ({
            named: Number(named),
            own: Number(own),
          }),
        )
        const taken = Number(/\.w(\d+)\.avif/.exec(image.currentSrc)?.[1])
        const isAuto = image.sizes.startsWith('auto')
        // What is not laid out by itself says how wide it is.
        const length = image.sizes
          .split(/,\s*(?![^(]*\))/)
          .map((part) => /^(\([^()]*\))\s+(.*)$/.exec(part) ?? ['', 'all', part])
          .find(([, media = '']) => window.matchMedia(media).matches)?.[2]
        const probe = document.createElement('div')
        probe.style.width = length ?? '100vw'
        document.body.append(probe)
        const needed = isAuto ? image.getBoundingClientRect().width : probe.offsetWidth
        probe.remove()
        return widths.length === 0 || !image.complete
          ? []
          : [{ src: image.currentSrc, widths, taken, needed }]
      }),
    )
    for (const { src, widths, taken, needed } of pictures) {
      checked += 1
      const enough = widths.find(({ own }) => own >= needed * scale - 1) ?? widths.at(-1)
      const below = enough && widths[widths.indexOf(enough) - 1]
      // On screens with many dots Chromium takes the one below where that is nearer.
      const allowed = scale === 1 || below === undefined ? [enough?.named] : [enough?.named, below.named]
      expect(allowed, `${path}: ${src} for ${needed} × ${scale}`).toContain(taken)
    }
    await context.close()
    expect(checked).toBeGreaterThan(5)
  },
)

test('what is below the fold is not asked for before it is scrolled to', async () => {
  const { context, page } = await open({ width: 390, height: 700 })
  await page.goto(`${warm.url}/albums`, { waitUntil: 'networkidle' })
  const asked = () =>
    page.evaluate(() => [...document.images].map((image) => image.complete && image.currentSrc !== ''))
  const before = await asked()
  expect(before[0]).toBe(true)
  expect(before.at(-1)).toBe(false)
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight))
  await expect.poll(async () => (await asked()).at(-1)).toBe(true)
  await context.close()
})

test.each([390, 1280])('nothing moves, on the first render and on any other, at %s pixels', async (width) => {
  const fresh = await start(`fresh${width}`)
  for (const { url } of width === 1280 ? [fresh, warm] : [fresh]) {
    const { context, page, problems } = await open({ width, height: 900 })
    await slowPictures(context)
    // The later render has the boxes of the first: these pages have every kind of them.
    for (const path of url === warm.url ? ['/', '/films/fi01', '/albums/al03', '/helpers'] : PAGES) {
      await page.goto(url + path)
      // Before any picture has come there is something to see where it will be.
      const empty = await page.evaluate(() =>
        [...document.images]
          .filter((image) => {
            const { backgroundColor, backgroundImage } = getComputedStyle(image)
            const frame = image.closest('.frame, .hero')
            const isPlain = backgroundColor === 'rgba(0, 0, 0, 0)' && backgroundImage === 'none'
            return isPlain && frame === null && image.dataset.imageFrom !== 'placeholder'
          })
          .map((image) => image.outerHTML.slice(0, 200)),
      )
      expect(empty, path).toEqual([])
      await loadAll(page)
      await page.waitForTimeout(100)
      const shifts = await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts)
      expect(shifts, `${url === fresh.url ? 'first render' : 'later'} of ${path}`).toEqual([])
    }
    expect(problems).toEqual([])
    await context.close()
  }
})

/** Opens pages, and waits until none has a broken image; counts what was asked for. */
async function expectNoneBroken(service: Service, width: number, pages: readonly string[], why: string) {
  const { context, page } = await open({ width, height: 900 })
  for (const path of pages) {
    let requests = 0
    page.on('request', () => {
      requests += 1
    })
    await page.goto(service.url + path)
    await loadAll(page)
    // What has failed is replaced by a script, behind the event.
    await expect.poll(() => broken(page), { timeout: 60_000 }).toEqual([])
    const pictures = await page.evaluate(() => document.images.length)
    expect(requests, `${why}: ${path}`).toBeLessThan(3 * pictures + 20)
    page.removeAllListeners('request')
  }
  await context.close()
}

test('with a CDN that is down, or slow, no page has a broken image, and nobody is asked again and again', async () => {
  for (const fault of ['power', 'speed']) {
    const service = await start(fault)
    await fetch(`${service.url}/panel/${fault}`, { method: 'POST', redirect: 'manual' })
    for (const width of fault === 'power' ? [390, 1280] : [1280])
      await expectNoneBroken(
        service,
        width,
        fault === 'power' && width === 1280 ? PAGES : PAGES.slice(0, 3),
        fault,
      )
  }
})

test.each(['lies', 'cuts', 'denies', 'refuses'])(
  'with a CDN that %s no page has a broken image either',
  async (fault) => {
    const service = await start(fault, fault)
    for (const width of [390, 1280]) await expectNoneBroken(service, width, ['/', '/films/fi01'], fault)
  },
)

/** What helmet sends by default, but for `upgrade-insecure-requests`, which a site without TLS cannot have. */
const HELMET: Readonly<Record<string, readonly string[]>> = {
  'default-src': ["'self'"],
  'base-uri': ["'self'"],
  'font-src': ["'self'", 'https:', 'data:'],
  'form-action': ["'self'"],
  'frame-ancestors': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'script-src': ["'self'"],
  'script-src-attr': ["'none'"],
  'style-src': ["'self'", 'https:', "'unsafe-inline'"],
}
test.each([
  ["helmet's defaults", 'attributes', HELMET],
  [
    'a policy without unsafe-inline',
    'classes',
    { ...HELMET, 'style-src': ["'self'"], 'default-src': ["'none'"] },
  ],
] as const)('%s report nothing, before the first picture and after', async (_name, styles, policy) => {
  const app = await pageOf({ display: { styles, placeholder: 'thumbhash' } }, policy)
  const { context, page, problems } = await open({ width: 800, height: 600 })
  for (let time = 0; time < 2; time += 1) {
    await page.goto(app.url)
    await loadAll(page)
    expect(problems).toEqual([])
    const shown = await page.evaluate(() =>
      [...document.images].map((image) => [image.naturalWidth > 0, getComputedStyle(image).objectFit].join()),
    )
    expect(shown).toEqual(
      time === 0 ? ['true,cover', 'true,cover', 'true,cover'] : ['true,fill', 'true,cover', 'true,cover'],
    )
    await app.fetchAll()
  }
  await context.close()
})

test("a source's own URL that dies after the page was printed shows the placeholder, and the site learns of it", async () => {
  const app = await pageOf({ display: { beacon: true }, widths: [] }, HELMET)
  const { context, page, problems } = await open({ width: 800, height: 600 })
  app.origin.serve('/cover.jpg', { status: 404 })
  await page.goto(app.url)
  await expect
    .poll(() => page.evaluate(() => [...document.images].map((image) => image.dataset.imageFrom).join()))
    .toBe('placeholder,placeholder,placeholder')
  await expect.poll(() => broken(page)).toEqual([])
  // Its source was asked once, and from now on pages say so at once.
  await expect.poll(async () => (await (await fetch(app.url)).text()).includes(app.origin.url)).toBe(false)
  expect(problems).toEqual([])
  await context.close()
})

/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The example site in a real browser: every picture on every page, from the CDN, from here, and with the CDN gone. */
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser } from '../support/browser.js'
import { freePort, type Service, startExample, startScript } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'

interface Picture {
  readonly src: string
  readonly from: string | null
  readonly width: number
  readonly alt: string | null
}

const folder = mkdtempSync(join(tmpdir(), 'artwork-example-'))
let browser: Browser
let example: Service | undefined

beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(async () => {
  await browser?.close()
  await example?.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Every picture of a page, all of them made to load, with what the browser made of it. */
async function picturesOf(page: Page, url: string): Promise<Picture[]> {
  const response = await page.goto(url, { waitUntil: 'load' })
  expect(response?.status(), url).toBe(200)
  return page.evaluate(async () => {
    const images = [...document.images]
    for (const image of images) image.loading = 'eager'
    await Promise.all(images.map((image) => image.decode().catch(() => {})))
    return images.map((image) => ({
      src: image.currentSrc,
      from: image.getAttribute('data-image-from'),
      width: image.naturalWidth,
      alt: image.getAttribute('alt'),
    }))
  })
}

/** Visits every page that links lead to from the first, and answers all pictures by page. */
async function crawl(page: Page, start: string): Promise<Map<string, Picture[]>> {
  const pages = new Map<string, Picture[]>()
  const waiting = [`${start}/`]
  for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
    if (pages.has(url)) continue
    pages.set(url, await picturesOf(page, url))
    const links = await page.evaluate(() =>
      [...document.querySelectorAll('a[href]')].map((link) => (link as HTMLAnchorElement).href),
    )
    for (const link of links) {
      const clean = link.replace(/[?#].*$/, '')
      // The dashboard has tests of its own.
      if (clean.startsWith(start) && !clean.includes('/api/') && !pages.has(clean)) waiting.push(clean)
    }
  }
  return pages
}

/** Waits until everything that is queued is done. */
const untilIdle = (url: string): Promise<void> =>
  eventually(async () => {
    const { queued, running } = (await (await fetch(`${url}/panel/status`)).json()) as Record<string, number>
    expect([queued, running]).toEqual([0, 0])
  }, 300_000)

const broken = (pages: Map<string, Picture[]>) =>
  [...pages].flatMap(([url, pictures]) =>
    pictures.filter(({ width }) => width === 0).map(({ src }) => `${url}: ${src}`),
  )
const isElsewhere = ({ from }: Picture): boolean => from !== null && from !== 'local'
/** But the helper that shows what is printed for nobody. */
const all = (pages: Map<string, Picture[]>) =>
  [...pages.values()].flat().filter(({ alt }) => alt !== 'Nobody')

describe('the example site', () => {
  test('every picture on every page loads: from the CDN, then from here, then with the CDN gone and the process restarted', async () => {
    const env = { PORT: String(await freePort()), CDN_PORT: String(await freePort()), DATA_DIR: folder }
    example = await startExample({ ...env, WARM_DELAY: '600000' })
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await context.newPage()

    const first = await picturesOf(page, `${example.url}/`)
    expect(first.length).toBeGreaterThan(10)
    expect(first.every(({ width }) => width > 0)).toBe(true)
    expect(first.filter(({ from }) => from === 'source').length, 'first from the CDN').toBeGreaterThan(10)
    expect(await example.stop()).toBe(0)

    example = await startExample({ ...env, WARM_DELAY: '0' })
    const early = await crawl(page, example.url)
    expect(early.size).toBeGreaterThan(20)
    expect(broken(early)).toEqual([])
    expect(all(early).filter(({ alt }) => alt === null)).toEqual([])

    const { url } = example
    const warm = new Map(early)
    const notLocal = async () => {
      await untilIdle(url)
      for (const [visited, pictures] of warm)
        if (pictures.some(isElsewhere)) warm.set(visited, await picturesOf(page, visited))
      return all(warm).filter(isElsewhere).length
    }
    await expect.poll(notLocal, { timeout: 300_000, interval: 1000 }).toBe(0)
    expect(broken(warm)).toEqual([])
    const shown = all(warm).filter(({ from }) => from !== null)
    expect(shown.length).toBeGreaterThan(50)
    expect(
      shown
        .filter(({ src }) => !/\/(?:artwork\/local\/[^?]+\?v=[0-9a-f]{16}|images\/)/.test(src))
        .map(({ src }) => src),
    ).toEqual([])
    // Renditions of the pages are made in the background too: what a page shows now must be there later.
    await untilIdle(url)
    expect(await example.stop()).toBe(0)

    example = await startExample({ ...env, CDN: 'off' })
    const gone = await crawl(page, example.url)
    expect(gone.size).toBe(warm.size)
    expect(broken(gone)).toEqual([])
    expect(all(gone).filter(isElsewhere)).toEqual([])
    await context.close()
    expect(await example.stop()).toBe(0)
    example = undefined
  })

  test('the panel: a picture that changes gets a new URL, and with the CDN down everything still shows', async () => {
    const data = join(folder, 'panel')
    example = await startExample({ PORT: '0', DATA_DIR: data, WARM_DELAY: '0' })
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
    const page = await context.newPage()
    const { url } = example
    const album = async () => (await picturesOf(page, `${url}/albums/al03`))[0]
    await expect.poll(async () => (await album())?.from, { timeout: 300_000, interval: 500 }).toBe('local')
    const before = await album()

    const press = async (label: string) => {
      if (!(await page.locator('#panel[open]').count())) await page.click('#panel summary')
      await Promise.all([page.waitForNavigation(), page.click(`#panel button:has-text("${label}")`)])
      expect(new URL(page.url()).pathname, 'back on the page it was used on').toBe('/albums/al03')
    }
    await press('Change a picture')
    const after = await album()
    expect(after?.src.split('?')[0]).toBe(before?.src.split('?')[0])
    expect(after?.src).not.toBe(before?.src)
    expect(after?.width).toBeGreaterThan(0)

    await press('Take the CDN down')
    await expect.poll(() => page.locator('[data-count="cdn"]').textContent()).toBe('down')
    expect(await page.locator('dd[data-count="page"]').textContent()).toMatch(/^\d+ local$/)
    const down = await picturesOf(page, `${url}/`)
    expect(down.filter(({ width }) => width === 0)).toEqual([])
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content')
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth),
      'no sideways scroll',
    ).toBe(true)
    await context.close()
    expect(await example.stop()).toBe(0)
    example = undefined
  })

  test('a page that begins cold becomes local before one’s eyes; its panel and the dashboard have the same figures', async () => {
    example = await startExample({ PORT: '0', DATA_DIR: join(folder, 'cold'), WARM_DELAY: '600000' })
    const { url } = example
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await context.newPage()
    const troubles: string[] = []
    page.on('pageerror', (error) => troubles.push(error.message))
    page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()))
    let navigations = 0
    page.on('framenavigated', () => {
      navigations += 1
    })
    const response = await page.goto(`${url}/films`, { waitUntil: 'domcontentloaded' })
    expect(await response?.text()).toMatch(/data-count="page">\d+ from the CDN</)
    expect(response?.headers()['content-security-policy']).toMatch(/^default-src 'self'; (?!.*script-src)/)
    const summary = page.locator('summary [data-count="page"]')
    await expect.poll(() => summary.textContent(), { timeout: 300_000, interval: 100 }).toMatch(/^\d+ local$/)
    expect(navigations).toBe(1)
    const pictures = await page.evaluate(async () => {
      const images = [...document.images].filter((image) => image.dataset.imageFrom !== undefined)
      for (const image of images) image.loading = 'eager'
      await Promise.all(images.map((image) => image.decode().catch(() => {})))
      return images.map(({ currentSrc, naturalWidth, dataset }) => ({
        isLocal: currentSrc.startsWith(location.origin) && dataset.imageFrom === 'local',
        naturalWidth,
      }))
    })
    expect(pictures.length).toBeGreaterThan(5)
    expect(pictures.filter(({ isLocal, naturalWidth }) => !isLocal || naturalWidth === 0)).toEqual([])

    await page.click('#panel summary')
    await expect
      .poll(() => page.locator('[data-count="queue"]').textContent(), { timeout: 300_000, interval: 200 })
      .toBe('0 waiting, 0 under way')
    // What is shown is made in more sizes meanwhile: both are read until they are of the same moment.
    const figures = async () => {
      const panel = await page.locator('[data-count="stored"]').textContent()
      const text = (await (await fetch(`${url}/api/images/dashboard/`)).text()).replace(/<[^>]*>|\s+/g, ' ')
      const [, size = '', images = ''] =
        /Stored +([\d.]+ [KMG]?i?B) +of [^,]+, ([\d,]+) images/.exec(text) ?? []
      expect(text).toMatch(/Queue +0 +waiting, +0 +under way/)
      return [panel, `${size}, ${images} images`]
    }
    await expect.poll(async () => new Set(await figures()).size, { timeout: 120_000, interval: 500 }).toBe(1)
    expect(troubles).toEqual([])
    await context.close()
    expect(await example.stop()).toBe(0)
    example = undefined
  })

  test('a port that is in use is one line with the variable that mends it', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, resolve))
    const { port } = other.address() as AddressInfo
    const ended = async (env: Readonly<Record<string, string>>) => {
      const started = startScript('example-app/main.ts', [], {
        ...process.env,
        DATA_DIR: join(folder, 'busy'),
        ...env,
      })
      return [await started.ended, started.err()]
    }
    const line = (variable: string) =>
      `port ${port} is in use already: name another one by ${variable}, such as ${variable}=8080 npm start\n`
    expect(await ended({ PORT: String(port), CDN_PORT: '0' })).toEqual([1, line('PORT')])
    expect(await ended({ PORT: '0', CDN_PORT: String(port) })).toEqual([1, line('CDN_PORT')])
    await new Promise<void>((resolve) => other.close(() => resolve()))
  })
})

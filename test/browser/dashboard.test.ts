/// <reference lib="dom" />
/** The dashboard in a real browser: what who manages pictures does, with and without script, and for everybody. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import express from 'express'
import { createArtwork, type EntityLike, type Repository, remote, tmdb, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openBrowser } from '../support/browser.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, listen, quietLogger, temporaryFolder } from '../support/toolkit.js'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const eventually = (holds: () => unknown) => vi.waitFor(holds, { timeout: 300_000, interval: 50 })

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser?.close())

/** An app of some artists, with its dashboard at `/pictures`. */
async function site({ count = 12, templates = {}, views = [] as string[], base = '/pictures' } = {}) {
  const origin = await anOrigin()
  const directory = await temporaryFolder()
  const records = new Map<string, EntityLike>()
  for (let id = 1; id <= count; id += 1) {
    origin.serve(`/a${id}.jpg`, image(await jpeg(300, 200 + id, id)))
    records.set(String(id), { id: String(id), name: `Artist ${id}`, image_url: `${origin.url}/a${id}.jpg` })
  }
  const repository: Repository = {
    list: async (kind) => ({ entities: kind === 'artist' ? [...records.values()] : [] }),
    exists: async (_kind, ids) => new Set(ids.filter((id) => records.has(id))),
    find: async (kind, id) => (kind === 'artist' ? records.get(id) : undefined),
  }
  const clock = { now: Date.now() }
  const artwork = await createArtwork({
    directory,
    sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [origin.host], retries: 0 },
    transform: { isolate: false },
    widths: [100],
    manage: { authorize: () => true, templates },
    repository,
    logger: quietLogger(),
    now: () => clock.now,
  })
  atEnd(artwork.close)
  artwork.installTemplates(nunjucks.configure([...views, viewsPath], { autoescape: false }))
  artwork.start()
  const app = express().use(artwork.router).use(base, artwork.dashboardRouter)
  const { url } = await listen(app)
  const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
    atEnd(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(90_000)
    const troubles: string[] = []
    page.on('pageerror', (error) => troubles.push(error.message))
    page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()))
    atEnd(async () => expect(troubles).toEqual([]))
    await page.goto(url + base)
    return page
  }
  const sync = async (): Promise<void> => {
    artwork.refresher.run('sync')
    await artwork.refresher.idle()
  }
  return { artwork, origin, records, clock, url, dashboard: url + base, open, sync }
}
const violations = async (page: Page): Promise<string[]> => {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const axe = Reflect.get(window, 'axe') as {
      run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>
    }
    const { violations } = await axe.run()
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
  })
}

describe('the dashboard', () => {
  test('a focal point is set by mouse and by keyboard, and followed by what is cut', async () => {
    const app = await site({ count: 1 })
    const address = `remote/original/${Buffer.from(`${app.origin.url}/a1.jpg`).toString('base64url')}`
    await app.artwork.images.getImage(address)
    const print = () => String(app.artwork.html.img(`${app.origin.url}/a1.jpg`, { alt: '', ratio: '1/1' }))
    expect(print()).not.toContain('object-position')
    const page = await app.open()
    await page.goto(`${app.dashboard}/image?name=${encodeURIComponent(`images/${address}`)}`)
    const picture = page.getByAltText('The picture as it is kept')
    await picture.scrollIntoViewIfNeeded()
    const box = await picture.boundingBox()
    if (box === null) throw new Error('no picture')
    await picture.click({ position: { x: box.width * 0.25, y: box.height * 0.8 } })
    const across = page.getByLabel('Across, %')
    expect(await across.inputValue()).toBe('25')
    expect(await page.getByLabel('Down, %').inputValue()).toBe('80')
    const clicked = { x: box.x + box.width * 0.25, y: box.y + box.height * 0.8 }
    const shot = await page.screenshot({ clip: { x: clicked.x - 1, y: clicked.y - 1, width: 2, height: 2 } })
    // The middle of the mark is white.
    expect((await sharp(shot).stats()).channels.slice(0, 3).every(({ min }) => min > 240)).toBe(true)
    // The mark has the focus: five steps to the left, ten and one down, and Enter.
    const mark = page.getByRole('button', { name: 'Point that stays in sight' })
    expect(await mark.evaluate((one) => one === document.activeElement)).toBe(true)
    for (let step = 0; step < 5; step += 1) await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('Shift+ArrowDown')
    await page.keyboard.press('ArrowDown')
    expect(await across.inputValue()).toBe('20')
    await page.keyboard.press('Enter')
    await page.waitForURL(/notice=focused/)
    expect(await page.getByText('this point stays in sight').isVisible()).toBe(true)
    expect(await violations(page)).toEqual([])
    expect(print()).toContain('object-position:20% 91%')
    // As the browser places it.
    expect(await page.locator('.focus-mark').evaluate((one: HTMLElement) => one.style.left)).toBe('20%')
    // Without script it is a form, and it can be taken away.
    const plain = await app.open({ javaScriptEnabled: false, viewport: { width: 390, height: 800 } })
    await plain.goto(page.url())
    await plain.getByLabel('Across, %').fill('100')
    await plain.getByRole('button', { name: 'Keep it in sight' }).click()
    expect(print()).toContain('object-position:100% 91%')
    await plain.getByRole('button', { name: 'Take it away' }).click()
    expect(print()).not.toContain('object-position')
  })

  test('the contact sheet is filtered and searched, and leads to one picture with all that was made of it', async () => {
    const app = await site()
    await app.sync()
    const original = `remote/original/${Buffer.from(`${app.origin.url}/a7.jpg`).toString('base64url')}`
    await app.artwork.images.getImage(original.replace('original', 'w100-webp'))
    const page = await app.open()
    await page.getByRole('link', { name: 'Images', exact: true }).click()
    expect(await page.getByRole('status').textContent()).toBe('25 images')
    await page.getByLabel('What').selectOption('artwork')
    await page.getByLabel('First').selectOption('name')
    await page.getByRole('button', { name: 'Show' }).click()
    expect(await page.getByRole('status').textContent()).toBe('12 images')
    await eventually(async () => {
      const loaded = await page.evaluate(
        () => [...document.images].filter((one) => one.naturalWidth > 0).length,
      )
      expect(loaded).toBe(12)
    })
    await page.getByLabel('What').selectOption('')
    await page.getByLabel('Name, URL or id').fill('/A7.jpg')
    await page.getByLabel('Name, URL or id').press('Enter')
    expect(await page.getByRole('status').textContent()).toBe('2 images')
    await page.getByRole('link', { name: 'artist 7' }).click()
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('artist 7')
    const figures = page.getByRole('region', { name: 'Made from the same original' }).locator('figure')
    expect(await figures.count()).toBe(3)
    const text = await figures.allTextContents()
    for (const fact of [
      'original · image/jpeg · 300×207',
      'rendition · image/webp · 100×69',
      'artwork · image/webp',
    ])
      expect(text.join('\n')).toContain(fact)
    await eventually(async () => {
      const widths = await page.evaluate(() => [...document.images].map((one) => one.naturalWidth))
      expect(widths.every((width) => width > 0)).toBe(true)
    })
    expect(await page.getByRole('region', { name: 'History' }).textContent()).toContain('stored')
    app.origin.serve('/a7.jpg', image(await jpeg(310, 250, 3)))
    await page.getByRole('button', { name: 'Ask about it now' }).click()
    await page.getByText('image/jpeg · 310×250').waitFor()
    await page.getByRole('button', { name: 'Purge it and all made from it' }).click()
    await page.getByText('Purged: 3 names are gone.').waitFor()
    await page.getByText('22 images', { exact: true }).waitFor()
  })

  test('a sync is followed live: queue, progress and end come by themselves', async () => {
    const app = await site({ count: 30 })
    const waiting: (() => void)[] = []
    let isOpen = false
    const body = await jpeg(60, 60)
    app.origin.serve('/a30.jpg', (_req, res) => {
      const answer = () => void res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(body)
      if (isOpen) answer()
      else waiting.push(answer)
    })
    const page = await app.open()
    const list = await app.open()
    const isFollowed = page.waitForURL(/\/jobs\/\d+$/)
    await page.getByRole('button', { name: 'Sync', exact: true }).click()
    await isFollowed
    const bar = page.locator('main progress')
    await eventually(async () => {
      app.clock.now += 100
      expect(await bar.evaluate((one: HTMLProgressElement) => [one.value, one.max])).toEqual([29, 30])
    })
    // Another page, opened before, has heard of it too.
    await eventually(async () => expect(await list.locator('[data-jobs] tbody tr').count()).toBe(1))
    expect(await list.locator('[data-jobs] [data-job-state]').textContent()).toBe('under way')
    expect(await page.getByRole('button', { name: 'Cancel' }).count()).toBe(1)
    isOpen = true
    for (const answer of waiting) answer()
    await page.getByRole('heading', { name: 'What came of it' }).waitFor()
    expect(await page.getByRole('main').textContent()).toMatch(
      /seen\s*30\s*queued\s*30\s*done\s*30\s*failed\s*0/,
    )
    await eventually(async () =>
      expect(await list.locator('[data-jobs] [data-job-state]').textContent()).toBe('done'),
    )
  })

  test('cleaning up shows first what would go, then takes it', async () => {
    const app = await site({ count: 4 })
    await app.sync()
    app.records.delete('2')
    const page = await app.open()
    await page.getByRole('button', { name: 'Show what would go' }).click()
    await page.getByRole('heading', { name: 'What would go' }).waitFor()
    const rows = page.getByRole('region', { name: 'What would go' }).locator('tbody tr')
    expect(await rows.allTextContents()).toEqual([
      expect.stringMatching(/^local\/artists\/2\/2\.webp\s*orphaned$/),
    ])
    expect((await app.artwork.images.stats()).byRole.artwork).toBe(4)
    await page.getByRole('button', { name: 'Remove 1 now' }).click()
    await page.getByRole('heading', { name: 'What went' }).waitFor()
    expect(app.artwork.images.stats().byRole.artwork).toBe(3)
    expect(await page.getByRole('main').textContent()).toMatch(/orphaned\s*1/)
  })

  test('what failed is shown with its reason, and tried again by a button', async () => {
    const app = await site({ count: 3 })
    app.origin.serve('/a2.jpg', { status: 404 })
    await app.sync()
    const page = await app.open()
    await page.getByRole('link', { name: 'Failures', exact: true }).click()
    const row = page.locator('tbody tr', { hasText: 'artist 2' })
    expect(await row.textContent()).toContain('The source has no such image.')
    expect(await row.textContent()).toContain('http_404')
    app.origin.serve('/a2.jpg', image(await jpeg(50, 50)))
    await page.getByRole('button', { name: 'Try again now: artist 2' }).click()
    await page.waitForURL(/\/jobs\/\d+$/)
    await page.getByRole('heading', { name: 'What came of it' }).waitFor()
    expect(await page.getByRole('main').textContent()).toContain('downloaded')
    await page.getByRole('link', { name: 'Failures', exact: true }).click()
    expect(await page.locator('tbody tr', { hasText: 'artist 2' }).count()).toBe(0)
    // A job that failed has a button of its own.
    app.origin.serve('/a3.jpg', { status: 404 })
    await app.artwork.images.purge({ entity: { kind: 'artist', id: '3' } })
    await app.sync()
    const failed = (await app.artwork.refresher.jobs({ state: 'failed' })).find(
      ({ key }) => key === 'artist:3',
    )
    await page.goto(`${app.dashboard}/jobs/${failed?.id}`)
    app.origin.serve('/a3.jpg', image(await jpeg(50, 50)))
    await app.artwork.images.purge({ url: `${app.origin.url}/a3.jpg` })
    await page.getByRole('button', { name: 'Try again' }).click()
    await eventually(async () =>
      expect(await page.locator('[data-job-state]').first().textContent()).toBe('done'),
    )
  })

  test('without script everything works: sync, dry run and clean-up, by forms and reloading', async () => {
    const app = await site({ count: 3 })
    const page = await app.open({ javaScriptEnabled: false })
    await page.getByRole('button', { name: 'Sync', exact: true }).click()
    await page.getByRole('heading', { name: 'What came of it' }).waitFor()
    expect(await page.getByRole('main').textContent()).toMatch(/done\s*3/)
    app.records.delete('1')
    await page.getByRole('link', { name: 'Overview' }).click()
    expect(await page.locator('.chart .plot').count()).toBe(4)
    await page.getByRole('button', { name: 'Show what would go' }).click()
    await page.getByRole('button', { name: 'Remove 1 now' }).click()
    await page.getByRole('heading', { name: 'What went' }).waitFor()
    await page.getByRole('link', { name: 'Images', exact: true }).click()
    expect(await page.getByRole('status').textContent()).toBe('5 images')
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByRole('button', { name: 'Pause the queue' }).click()
    await page.getByRole('button', { name: 'Resume the queue' }).click()
    expect(app.artwork.refresher.status().paused).toBe(false)
  })

  test('by the keyboard alone: from the skip link to a dry run', async () => {
    const app = await site({ count: 2 })
    await app.sync()
    const page = await app.open()
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the content')
    await page.keyboard.press('Enter')
    const at = () => page.evaluate(() => document.activeElement?.textContent?.trim())
    await eventually(async () => {
      await page.keyboard.press('Tab')
      expect(await at()).toBe('Show what would go')
    })
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'What would come of it' }).waitFor()
  })

  test.each([
    [390, 'light'],
    [390, 'dark'],
    [1600, 'light'],
    [1280, 'dark'],
  ] as const)(
    '%i px, %s: no page has a violation that axe-core knows, or is wider than the window',
    async (width, colorScheme) => {
      const app = await site({ count: 3 })
      app.origin.serve('/a3.jpg', { status: 404 })
      await app.sync()
      const page = await app.open({ viewport: { width, height: 900 }, colorScheme })
      const [{ id: ended } = { id: 0 }] = await app.artwork.refresher.jobs({ lane: 'job' })
      const dry = app.artwork.refresher.run('cleanup', { dryRun: true, maxAgeDays: 0 }).id
      await app.artwork.refresher.idle()
      const name = encodeURIComponent('local/artists/1/1.webp')
      for (const path of [
        '/',
        '/images',
        '/images?q=nothing-has-this',
        `/image?name=${name}`,
        '/jobs',
        '/jobs?lane=task',
        `/jobs/${ended}`,
        `/jobs/${dry}`,
        '/failures',
      ]) {
        await page.goto(app.dashboard + path, { waitUntil: 'load' })
        expect(await violations(page), path).toEqual([])
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
          path,
        ).toBeLessThanOrEqual(0)
      }
      const missing = await page.request.get(`${app.dashboard}/nowhere`)
      expect(missing.status()).toBe(404)
    },
  )

  test('an app has its own frame, and its own block of a page; what is shown stays escaped', async () => {
    const views = await temporaryFolder()
    await writeFile(
      join(views, 'frame.njk'),
      '<!doctype html><html lang="en"><title>{% block title %}{% endblock %}</title><link rel="icon" href="data:,"><body><h2>Our house</h2>{% block content %}{% endblock %}</body></html>',
    )
    await writeFile(
      join(views, 'mine.njk'),
      '{% extends "artwork/overview.njk" %}{% block numbers %}<p id="mine">{{ stats.names }} names here</p>{% endblock %}{% block actions %}{% endblock %}',
    )
    const app = await site({
      count: 1,
      views: [views],
      templates: { layout: 'frame.njk', overview: 'mine.njk' },
    })
    app.records.set('<b>x', { id: '<b>x</b>', name: 'x', image_url: `${app.origin.url}/<img src=x>.jpg` })
    app.origin.serve('/%3Cimg%20src=x%3E.jpg', { status: 404 })
    await app.sync()
    const page = await app.open()
    expect(await page.locator('#mine').textContent()).toBe('2 names here')
    expect(await page.getByRole('heading', { name: 'Our house' }).count()).toBe(1)
    expect(await page.getByRole('heading', { name: 'Hosts' }).count()).toBe(1)
    expect(await page.getByRole('heading', { name: 'Actions' }).count()).toBe(0)
    const failures = await (await fetch(`${app.dashboard}/failures`)).text()
    expect(failures).toContain('Our house')
    expect(failures).not.toMatch(/<b>x|<img src=x/)
  })
})

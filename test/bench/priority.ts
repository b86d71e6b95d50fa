/**
 * Largest Contentful Paint of a page with and without `priority` on its hero, over a connection of 4 Mbit/s and 60 ms, behind a
 * stylesheet that takes 400 ms. Needs Chromium.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { remote, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import type { Browser } from 'playwright-core'
import { openBrowser } from '../support/browser.js'
import { benchArtwork, median, noisy } from './support.js'

const ROUNDS = 7
const CARDS = 12
const SLOW = { offline: false, latency: 60, downloadThroughput: 500_000, uploadThroughput: 500_000 }

const PAGE = `{% from 'artwork/picture.njk' import picture %}<!doctype html><title>x</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/slow.css">{% for card in cards %}{{ picture(card, '', loading='eager', sizes='80px') }}{% endfor %}
<main>{{ picture(hero, 'x', priority=priority, sizes='100vw', loading='' if priority else 'eager') }}</main>`
const CSS = 'img{width:80px;height:auto} main img{width:100%;height:520px;object-fit:cover}'

/** When the largest picture was painted, ms after the page was asked for. */
async function paintOf(browser: Browser, url: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  await session.send('Network.emulateNetworkConditions', SLOW)
  await page.addInitScript(() => {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) Object.assign(window, { largest: entry.startTime })
    }).observe({ type: 'largest-contentful-paint', buffered: true })
  })
  await page.goto(url, { waitUntil: 'networkidle' })
  const at = await page.evaluate(() => Number(Reflect.get(window, 'largest')))
  await context.close()
  return at
}

/** Prints both, and their ratio. */
export async function benchPriority(): Promise<void> {
  const origin = createServer(async (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'image/jpeg' })
    res.end(await noisy().resize({ width: 1400 }).jpeg({ quality: 90 }).toBuffer())
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const { port } = origin.address() as AddressInfo
  const { artwork, end } = await benchArtwork({
    sources: [remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [`127.0.0.1:${port}`] },
    widths: [160, 640, 1280],
  })
  const app = express()
  const environment = nunjucks.configure([viewsPath], { autoescape: true, express: app })
  artwork.installTemplates(environment)
  const entity = (id: string) => ({ id, type: 'album', image_url: `http://127.0.0.1:${port}/${id}.jpg` })
  const cards = Array.from({ length: CARDS }, (_, index) => entity(`card${index}`))
  const hero = entity('hero')
  for (const { id, image_url } of [...cards, hero])
    await artwork.images.downloadAndCache({ sourceUrl: image_url, entityType: 'album', entityId: id })
  app.use(artwork.router)
  app.get('/slow.css', async (_req, res) => {
    await sleep(400)
    res.type('css').send(CSS)
  })
  app.get('/:how', (req, res) => {
    const context = { cards, hero, priority: req.params.how === 'with', _locals: res.locals }
    res.send(environment.renderString(PAGE, context))
  })
  const server = app.listen(0)
  const { port: ownPort } = server.address() as AddressInfo
  const browser = await openBrowser()
  const times = { with: [] as number[], without: [] as number[] }
  for (let round = -1; round < ROUNDS; round += 1)
    for (const how of ['with', 'without'] as const) {
      const at = await paintOf(browser, `http://127.0.0.1:${ownPort}/${how}`)
      // The first round makes the renditions.
      if (round >= 0) times[how].push(at)
    }
  const [ahead, behind] = [median(times.with), median(times.without)]
  console.log(
    `priority: Largest Contentful Paint at ${Math.round(ahead)} ms with it, ${Math.round(behind)} ms without (ratio ${(ahead / behind).toFixed(2)})`,
  )
  await browser.close()
  server.close()
  server.closeAllConnections()
  origin.close()
  await end()
}

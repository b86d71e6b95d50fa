/// <reference lib="dom" />
/**
 * What is seen before any picture has come, in Chromium and in Firefox: pictures above the fold are lazy, so that the page is
 * shown without them. Screenshots are compared with the colours that the page has for its pictures.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { firefoxScreenshot, openBrowser } from '../support/browser.js'
import { type Service, startExample } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'

const VIEWPORT = { width: 1280, height: 900 }
const folder = mkdtempSync(join(tmpdir(), 'artwork-first-screen-'))
let browser: Browser
let example: Service
let slow: Awaited<ReturnType<typeof holdPictures>>

beforeAll(async () => {
  browser = await openBrowser()
  example = await startExample({ PORT: '0', DATA_DIR: join(folder, 'data'), WARM_DELAY: '600000' })
  slow = await holdPictures(example.url)
})
afterAll(async () => {
  slow?.close()
  await browser?.close()
  await example?.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

/**
 * The site behind a server that holds pictures back: no request for one is answered before `release`. A page is what it was
 * when it was first asked for, until `renew`: a first render is the same one for both browsers.
 */
async function holdPictures(target: string) {
  let isHeld = true
  const waiting: (() => void)[] = []
  const pages = new Map<string, Buffer>()
  const server = http.createServer(async (req, res) => {
    const isPicture = /\.(?:jpg|png|webp|avif|svg)(?:\?|$)|^\/images\/|^\/t\/p\//.test(req.url ?? '')
    if (isPicture && isHeld) await new Promise<void>((resolve) => waiting.push(resolve))
    const { host: _host, ...headers } = req.headers
    http
      .request(target + req.url, { method: req.method, headers }, (answer) => {
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', () => {
          const { 'content-security-policy': _policy, ...fields } = answer.headers
          const type = String(answer.headers['content-type'])
          const isPage = type.startsWith('text/html')
          // The pretend CDN is at another port: its pictures are to come by this way as well.
          const text = Buffer.concat(pieces)
            .toString()
            .replace(/http:\/\/127\.0\.0\.1:\d+\//g, '/t/p/')
          const body = isPage ? (pages.get(req.url ?? '') ?? Buffer.from(text)) : Buffer.concat(pieces)
          if (isPage) pages.set(req.url ?? '', body)
          res.writeHead(answer.statusCode ?? 502, { ...fields, 'content-length': body.length }).end(body)
        })
      })
      .end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    renew: () => pages.clear(),
    release: () => {
      isHeld = false
      for (const go of waiting.splice(0)) go()
    },
    close: () => {
      for (const go of waiting.splice(0)) go()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The boxes of pictures that are wholly on the first screen, and the colour that the page has for each. */
async function boxesOf(path: string) {
  const context = await browser.newContext({ viewport: VIEWPORT })
  const page = await context.newPage()
  await page.goto(slow.url + path)
  const boxes = await page.evaluate(() =>
    [...document.images].flatMap((image) => {
      const { left, top, width, height, bottom } = image.getBoundingClientRect()
      const color = getComputedStyle(image).backgroundColor.match(/\d+/g)?.map(Number) ?? []
      return bottom < window.innerHeight - 100 && width > 50
        ? [{ x: Math.round(left + width / 2), y: Math.round(top + height / 2), color }]
        : []
    }),
  )
  const shot = await page.screenshot()
  await context.close()
  return { boxes, shot }
}

/** The colour of a screenshot at a place. */
async function colourAt(shot: Buffer, { x, y }: { x: number; y: number }): Promise<readonly number[]> {
  const { data } = await sharp(shot)
    .extract({ left: x - 2, top: y - 2, width: 5, height: 5 })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return [...data.subarray(36, 39)]
}

const near = (one: readonly number[], other: readonly number[]): boolean =>
  one.length === 3 && one.every((level, index) => Math.abs(level - (other[index] ?? 999)) <= 3)

/** Checks both browsers' first screens of a page. Answers the colours of the boxes. */
async function checkFirstScreen(path: string): Promise<readonly string[]> {
  const { boxes, shot } = await boxesOf(path)
  expect(boxes.length, path).toBeGreaterThan(5)
  const shots = { chromium: shot, firefox: await firefoxScreenshot(slow.url + path, VIEWPORT) }
  for (const [name, picture] of Object.entries(shots))
    for (const box of boxes) {
      const seen = await colourAt(picture, box)
      expect(near(box.color, seen), `${name}, ${path} at ${box.x},${box.y}: ${seen} for ${box.color}`).toBe(
        true,
      )
    }
  return boxes.map(({ color }) => color.join())
}

test('the first screen of a site that nobody has looked at shows a quiet grey where pictures will be', async () => {
  const colours = await checkFirstScreen('/albums')
  expect(new Set(colours).size).toBe(1)
})

test('the first screen of pictures that are known shows the colour of each, and then the pictures', async () => {
  for (const path of ['/albums', '/artists', '/films']) await fetch(example.url + path)
  await eventually(async () => {
    const page = await (await fetch(`${example.url}/albums`)).text()
    expect(page.match(/data-image-from="source"/g)).toBeNull()
  }, 300_000)
  slow.renew()
  const colours = await checkFirstScreen('/albums')
  expect(new Set(colours).size).toBeGreaterThan(3)
  const { boxes } = await boxesOf('/albums')
  slow.release()
  const context = await browser.newContext({ viewport: VIEWPORT })
  const page = await context.newPage()
  await page.goto(`${slow.url}/albums`, { waitUntil: 'networkidle' })
  const shot = await page.screenshot()
  await context.close()
  const changed = await Promise.all(boxes.map(async (box) => !near(box.color, await colourAt(shot, box))))
  // A few pictures have their own colour in the middle as well.
  expect(changed.filter(Boolean).length).toBeGreaterThan(boxes.length / 2)
})

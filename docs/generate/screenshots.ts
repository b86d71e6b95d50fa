/**
 * Pictures of the example site and of its dashboard, light and dark, as the README shows them: `npm run docs:screenshots`.
 * Needs Chromium.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { openBrowser } from '../../test/support/browser.js'
import { runExample } from '../../test/support/example.js'

const SHOTS = [
  { name: 'example', path: '/', height: 800 },
  { name: 'dashboard', path: '/api/images/dashboard', height: 900 },
]
const VISITS = ['/', '/films', '/albums', '/artists', '/helpers']
const folder = new URL('../images/', import.meta.url).pathname

const directory = await mkdtemp(join(tmpdir(), 'artwork-screenshots-'))
const example = await runExample(directory)
const browser = await openBrowser()
try {
  // The dashboard has something to show once pages have been visited for a while.
  for (let round = 0; round < 4; round += 1) {
    const page = await browser.newPage()
    for (const path of VISITS) await page.goto(example.url + path, { waitUntil: 'networkidle' })
    await page.close()
    await sleep(5000)
  }
  for (const colorScheme of ['light', 'dark'] as const)
    for (const { name, path, height } of SHOTS) {
      const context = await browser.newContext({ viewport: { width: 1280, height }, colorScheme })
      const page = await context.newPage()
      await page.goto(example.url + path, { waitUntil: 'networkidle' }).catch(() => {})
      await sleep(1000)
      const shot = await page.screenshot()
      await sharp(shot)
        .png({ palette: true, colours: 128, effort: 10 })
        .toFile(join(folder, `${name}-${colorScheme}.png`))
      await context.close()
    }
} finally {
  await browser.close()
  await example.stop()
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

/**
 * Bytes of pictures that the example's pages cost a browser: by the macros, by the one local copy of each entity, and by plain
 * originals. Needs Chromium.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openBrowser } from '../support/browser.js'
import { runExample } from '../support/example.js'

const PAGES = ['/', '/films', '/albums', '/artists', '/films/fi01', '/albums/al03']
const SCREENS = [
  { width: 1280, scale: 1 },
  { width: 390, scale: 2 },
]
const WARM_WITHIN = 240

/** A stored image as the management API lists it. */
interface Listed {
  readonly name: string
  readonly url: string
  readonly bytes: number
  readonly original?: string
}

const json = async <T>(url: string): Promise<T> => (await fetch(url)).json() as Promise<T>

/** Waits until every entity has its picture. */
async function warmUp(url: string): Promise<void> {
  for (let second = 0; second < WARM_WITHIN; second += 1) {
    const { queued, running, done } = await json<{ queued: number; running: number; done: number }>(
      `${url}/panel/status`,
    )
    if (done > 40 && queued + running === 0) return
    await sleep(1000)
  }
  throw new Error('the example did not fetch its pictures')
}

async function listed(url: string, role: string): Promise<Listed[]> {
  const found: Listed[] = []
  for (let after = ''; ; ) {
    const page = await json<{ images: Listed[]; next: string | null }>(
      `${url}/api/images/images?role=${role}&limit=500&after=${encodeURIComponent(after)}`,
    )
    found.push(...page.images)
    if (page.next === null) return found
    after = page.next
  }
}

/** Prints the table. */
export async function benchPages(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-pages-'))
  const { url, stop } = await runExample(directory)
  const browser = await openBrowser()
  try {
    await warmUp(url)
    const copies = new Map((await listed(url, 'artwork')).map((one) => [one.url.split('?')[0], one]))
    const originals = new Map((await listed(url, 'original')).map((one) => [one.name, one.bytes]))
    for (const { width, scale } of SCREENS) {
      const sums = { taken: 0, copies: 0, originals: 0 }
      for (const path of PAGES) {
        const context = await browser.newContext({
          viewport: { width, height: 900 },
          deviceScaleFactor: scale,
        })
        const page = await context.newPage()
        const bytes = new Map<string, number>()
        page.on('response', async (response) => {
          if (response.request().resourceType() !== 'image' || response.status() !== 200) return
          bytes.set(response.url(), (await response.body().catch(() => Buffer.alloc(0))).length)
        })
        await page.goto(url + path)
        const seen = await page.evaluate(async () => {
          const images = [...document.images]
          for (const image of images) {
            image.scrollIntoView()
            if (!image.complete) await image.decode().catch(() => {})
          }
          return images.map((image) => image.getAttribute('src') ?? '')
        })
        await page.waitForLoadState('networkidle')
        const own = seen.flatMap((src) => copies.get(src.split('?')[0]) ?? [])
        sums.taken += [...bytes.values()].reduce((sum, one) => sum + one, 0)
        sums.copies += own.reduce((sum, one) => sum + one.bytes, 0)
        sums.originals += own.reduce((sum, one) => sum + (originals.get(one.original ?? '') ?? 0), 0)
        await context.close()
      }
      const kilobytes = (sum: number): string => `${Math.round(sum / 1024)} KB`
      const share = (sum: number): string => `${((100 * sums.taken) / sum).toFixed(1)} %`
      console.log(
        `pages at ${width} pixels, ${scale}x: ${kilobytes(sums.taken)}; one copy of each ${kilobytes(sums.copies)} (${share(sums.copies)}), plain originals ${kilobytes(sums.originals)} (${share(sums.originals)})`,
      )
    }
  } finally {
    await browser.close()
    await stop()
    await rm(directory, { recursive: true, force: true })
  }
}

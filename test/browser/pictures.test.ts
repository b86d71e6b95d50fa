/** Pictures as a browser shows them: Chromium is the second decoder of what comes in, and of what comes out. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser } from '../support/browser.js'
import { COLOUR_SOURCES, farthest, PATCHES, patchesOf, type Rgb } from '../support/colours.js'
import { avifCollection, exifOf, handmadeGif, handmadePng, withWebpExif } from '../support/handmade.js'
import { quarters } from '../support/images.js'
import { createRenderer } from '../support/toolkit.js'

const files = new Map<string, { bytes: Buffer; type: string }>()
const server = createServer((req, res) => {
  const file = files.get(req.url ?? '')
  res.setHeader('Content-Type', file?.type ?? 'text/html')
  res.end(file?.bytes ?? '<!doctype html><title>pictures</title>')
})
let browser: Browser
let page: Page
const renderer = await createRenderer()
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  browser = await openBrowser()
  page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
})
afterAll(async () => {
  await browser?.close()
  server.close()
  await renderer.close()
})

let count = 0
const publish = (bytes: Buffer, type: string): string => {
  count += 1
  const path = `/${count}`
  files.set(path, { bytes, type })
  return path
}
/** Size and pixels of an image element, at places given in shares of its sides. */
const shown = (bytes: Buffer, type: string, places: readonly (readonly [number, number])[]) =>
  page.evaluate(
    async ({ url, places }) => {
      const image = new Image()
      image.src = url
      await image.decode()
      const canvas = document.createElement('canvas')
      canvas.width = image.naturalWidth
      canvas.height = image.naturalHeight
      const context = canvas.getContext('2d', { colorSpace: 'srgb' })
      context?.drawImage(image, 0, 0)
      const pixels = places.map(([x, y]) =>
        Array.from(
          context?.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data ?? [],
        ),
      )
      return { width: canvas.width, height: canvas.height, pixels }
    },
    { url: publish(bytes, type), places },
  )
/** Every frame as the browser composes it. */
const framesShown = (bytes: Buffer, type: string, places: readonly (readonly [number, number])[]) =>
  page.evaluate(
    async ({ url, type, places }) => {
      const data = await (await fetch(url)).arrayBuffer()
      const decoder = new ImageDecoder({ data, type })
      await decoder.tracks.ready
      const frames: { width: number; height: number; pixels: number[][] }[] = []
      for (let index = 0; index < (decoder.tracks.selectedTrack?.frameCount ?? 0); index += 1) {
        const { image } = await decoder.decode({ frameIndex: index })
        const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight)
        const context = canvas.getContext('2d')
        context?.drawImage(image, 0, 0)
        const pixels = places.map(([x, y]) =>
          Array.from(
            context?.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data ??
              [],
          ),
        )
        frames.push({ width: canvas.width, height: canvas.height, pixels })
      }
      return frames
    },
    { url: publish(bytes, type), type, places },
  )

const centres = PATCHES.map((_patch, index) => [(index + 0.5) / PATCHES.length, 0.5] as const)
const patchesShown = async (bytes: Buffer, type: string): Promise<readonly Rgb[]> =>
  (await shown(bytes, type, centres)).pixels.map(([r = 0, g = 0, b = 0]) => [r, g, b])

describe('the colour table: renditions are what Chromium shows of the original, in sRGB', () => {
  const formats = { png: 3, webp: 6, jpeg: 6, avif: 6 } as const
  test.each(COLOUR_SOURCES.map((source) => [source.name, source] as const))('%s', async (_name, source) => {
    const bytes = await source.bytes()
    const wanted = await patchesShown(bytes, `image/${source.kind}`)
    for (const [format, slack] of Object.entries(formats)) {
      const made = await renderer.render(bytes, `original-${format}`)
      // Read by a plain decoder, and as the browser shows it.
      for (const seen of [await patchesOf(made.bytes), await patchesShown(made.bytes, made.contentType)])
        expect(
          farthest(seen, wanted),
          `${format}: ${seen.join(' ')} is not ${wanted.join(' ')}`,
        ).toBeLessThanOrEqual(slack)
    }
  })
  test('has its sixty cells', () =>
    expect(COLOUR_SOURCES.length * Object.keys(formats).length).toBeGreaterThanOrEqual(60))
})

/** Whether two renderings are the same to the eye; what is clear has no colour. */
const expectSame = (
  seen: { readonly width: number; readonly height: number; readonly pixels: readonly (readonly number[])[] },
  wanted: typeof seen,
  what = '',
): void => {
  expect([seen.width, seen.height]).toEqual([wanted.width, wanted.height])
  for (const [index, pixel] of wanted.pixels.entries()) {
    const actual = seen.pixels[index] ?? []
    const channels = pixel[3] === 0 ? [3] : [0, 1, 2, 3]
    const off = Math.max(
      ...channels.map((channel) => Math.abs((actual[channel] ?? 0) - (pixel[channel] ?? 0))),
    )
    expect(off, `${what} at ${GRID[index]}: ${actual} is not ${pixel}`).toBeLessThanOrEqual(10)
  }
}
const GRID = [0.05, 0.3, 0.47, 0.7, 0.97].flatMap((y) =>
  [0.05, 0.3, 0.47, 0.7, 0.97].map((x) => [x, y] as const),
)

describe('GIF, frame by frame', () => {
  const palette = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 0],
    [90, 90, 90],
  ] as const
  const only = (place: number) => () => place
  const over = (disposal: number, clear?: number) => ({
    left: 40,
    top: 40,
    width: 160,
    height: 160,
    disposal,
    ...(clear !== undefined && { clear }),
    draw: (x: number) => (clear !== undefined && x < 80 ? clear : 1),
  })
  const full = (disposal: number) => ({ width: 320, height: 320, disposal, draw: only(0) })
  const last = { left: 160, top: 160, width: 160, height: 160, draw: only(3) }
  const screen = { width: 320, height: 320, background: 2 }
  const gifs: Readonly<Record<string, Buffer>> = {
    'a screen of 800×600 that no frame covers': handmadeGif({ width: 800, height: 600 }, palette, [
      { width: 600, height: 450, draw: only(0) },
      { left: 10, top: 10, width: 300, height: 300, draw: only(1) },
    ]),
    'a screen over 2048': handmadeGif({ width: 2100, height: 300 }, palette, [
      { left: 100, width: 500, height: 100, draw: only(0) },
      { left: 1500, top: 100, width: 400, height: 100, draw: only(1) },
    ]),
    'a still GIF in a corner': handmadeGif({ width: 640, height: 480 }, palette, [
      { left: 280, top: 200, width: 140, height: 100, draw: only(1) },
    ]),
    'frames beyond the screen': handmadeGif(screen, palette, [
      full(1),
      { left: 240, top: 240, width: 160, height: 160, draw: only(1) },
    ]),
    ...Object.fromEntries(
      [1, 2, 3].flatMap((first) =>
        [1, 2, 3].flatMap((second) =>
          [undefined, 4].map((clear) => [
            `disposals ${first} and ${second}, ${clear === undefined ? 'opaque' : 'partly clear'}`,
            handmadeGif(screen, palette, [full(first), over(second, clear), last]),
          ]),
        ),
      ),
    ),
    'disposed before anything stays': handmadeGif(screen, palette, [over(2), last, over(3), last]),
  }
  test.each(Object.entries(gifs))('%s', async (_name, gif) => {
    const wanted = await framesShown(gif, 'image/gif', GRID)
    const made = await renderer.render(gif, 'original-gif')
    const seen = await framesShown(made.bytes, made.contentType, GRID)
    expect(seen.length).toBe(wanted.length)
    for (const [index, frame] of wanted.entries()) expectSame(seen[index] ?? frame, frame, `gif ${index}`)
    // libwebp composes WebP: Chromium's ImageDecoder says of some frames that they are opaque, which are not.
    const webp = await renderer.render(gif, 'original-webp-q100')
    for (const [page, frame] of wanted.entries()) {
      const { data, info } = await sharp(webp.bytes, { page })
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true })
      const pixels = GRID.map(([x, y]) => {
        const at = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * 4
        return [...data.subarray(at, at + 4)]
      })
      expectSame({ width: info.width, height: info.height, pixels }, frame, `webp ${page}`)
    }
  })
})

describe('what the browser shows of an original is what renditions show', () => {
  const avif = (width: number, height: number, background: string): Promise<Buffer> =>
    sharp({ create: { width, height, channels: 3, background } })
      .avif({ effort: 2 })
      .toBuffer()
  test.each([0, 1, 2])('an AVIF of three pictures, the primary one being %i', async (primary) => {
    const items = [await avif(64, 48, '#f00'), await avif(32, 40, '#0f0'), await avif(80, 20, '#00f')]
    const collection = avifCollection(items, primary)
    const made = await renderer.render(collection, 'original-webp')
    expectSame(await shown(made.bytes, made.contentType, GRID), await shown(collection, 'image/avif', GRID))
  })
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('a WebP with orientation %i', async (orientation) => {
    const still = await quarters(160, 120).webp({ lossless: true }).toBuffer()
    const webp = withWebpExif(still, 160, 120, exifOf(orientation))
    for (const format of ['webp', 'png', 'avif']) {
      const made = await renderer.render(webp, `original-${format}`)
      expectSame(await shown(made.bytes, made.contentType, GRID), await shown(webp, 'image/webp', GRID))
    }
  })
  test.each(['jpeg', 'avif', 'webp'] as const)('a picture that is longer than %s holds', async (format) => {
    const long = handmadePng({ width: 66_000, height: 40, depth: 1, colourType: 0 }, (x) => [
      x < 33_000 ? 0 : 1,
    ])
    const made = await renderer.render(long, `original-${format}`)
    const seen = await shown(made.bytes, made.contentType, [
      [0.2, 0.5],
      [0.8, 0.5],
    ])
    expect([seen.width, seen.height]).toEqual([made.width, made.height])
    expect(seen.pixels.map(([red = 0]) => red > 128)).toEqual([false, true])
  })
  test('a JPEG without its end, and one of low quality that is passed on without metadata', async () => {
    const noisy = await quarters(160, 120)
      .jpeg({ quality: 10 })
      .withExif({ IFD0: { Copyright: 'x' } })
      .toBuffer()
    for (const bytes of [noisy, noisy.subarray(0, -2)]) {
      const made = await renderer.render(bytes, 'original-jpeg')
      expectSame(await shown(made.bytes, 'image/jpeg', GRID), await shown(noisy, 'image/jpeg', GRID))
    }
  })
  test('a lossless JPEG is refused by both', async () => {
    const jpeg = await quarters(64, 48).jpeg({ progressive: false }).toBuffer()
    const lossless = Buffer.from(jpeg)
    lossless[jpeg.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xc3
    await expect(shown(lossless, 'image/jpeg', GRID)).rejects.toThrow(/decode/)
    await expect(renderer.render(lossless, 'original')).rejects.toMatchObject({ status: 415 })
  })
  test('an SVG behind a long prolog, in UTF-16, with a prefix', async () => {
    const svg =
      `\ufeff<?xml version="1.0" encoding="UTF-16"?><!-- ${'x'.repeat(9000)} -->` +
      '<ns0:svg xmlns:ns0="http://www.w3.org/2000/svg" width="40" height="30"><ns0:rect width="40" height="30" fill="#00ff00"/></ns0:svg>'
    const made = await renderer.render(Buffer.from(svg, 'utf16le'), 'original')
    const seen = await shown(made.bytes, made.contentType, [[0.5, 0.5]])
    expect([seen.width, seen.height, seen.pixels[0]]).toEqual([40, 30, [0, 255, 0, 255]])
  })
  test('an APNG: its default image', async () => {
    const apng = handmadePng({ width: 40, height: 30, frames: [() => [0, 0, 255]] }, (x) => [x * 6, 0, 0])
    const made = await renderer.render(apng, 'original-png')
    expectSame(await shown(made.bytes, 'image/png', GRID), await shown(apng, 'image/png', GRID))
  })
})

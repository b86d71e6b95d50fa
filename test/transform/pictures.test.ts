/** Pictures come out right: formats, animation, size. Each number is one of the list that the changelog tells of. */
import sharp from 'sharp'
import { afterAll, describe, expect, test } from 'vitest'
import {
  avifCollection,
  exifOf,
  handmadeGif,
  handmadePng,
  pngChunk,
  withWebpExif,
} from '../support/handmade.js'
import { quarters } from '../support/images.js'
import { createRenderer } from '../support/toolkit.js'

const { artwork, render, keep, close } = await createRenderer()
afterAll(close)

type Rgba = readonly [number, number, number, number]
/** The pixels of a frame at places, right and bottom counted from the end where they are negative. */
async function pixels(bytes: Buffer, places: readonly (readonly [number, number])[], page = 0) {
  const { data, info } = await sharp(bytes, { page })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return places.map(([x, y]) => {
    const at = ((y < 0 ? info.height + y : y) * info.width + (x < 0 ? info.width + x : x)) * 4
    return [...data.subarray(at, at + 4)]
  })
}
const expectPixels = async (
  bytes: Buffer,
  wanted: readonly (readonly [x: number, y: number, colour: Rgba])[],
  { page = 0, slack = 8 } = {},
) => {
  const seen = await pixels(
    bytes,
    wanted.map(([x, y]) => [x, y] as const),
    page,
  )
  for (const [index, [x, y, colour]] of wanted.entries()) {
    const actual = seen[index] ?? []
    // What is clear has no colour.
    const channels = colour[3] === 0 ? [3] : [0, 1, 2, 3]
    const off = Math.max(
      ...channels.map((channel) => Math.abs((actual[channel] ?? 0) - (colour[channel] ?? 0))),
    )
    expect(off, `frame ${page} at ${x},${y}: ${actual} is not ${colour}`).toBeLessThanOrEqual(slack)
  }
}
const metadataOf = (bytes: Buffer) => sharp(bytes).metadata()
const RED: Rgba = [255, 0, 0, 255]
const GREEN: Rgba = [0, 255, 0, 255]
const BLUE: Rgba = [0, 0, 255, 255]
const YELLOW: Rgba = [255, 255, 0, 255]
const CLEAR: Rgba = [0, 0, 0, 0]
const PALETTE = [RED, GREEN, BLUE, YELLOW].map(([r, g, b]) => [r, g, b] as const)
const only = (place: number) => () => place

const avifOf = (width: number, height: number, [r, g, b]: Rgba): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .avif({ effort: 2 })
    .toBuffer()

describe('an AVIF of several pictures shows its primary item (ISO 23008-12) (pictures 3)', () => {
  test.each([
    [0, 64, 48, RED],
    [1, 32, 40, BLUE],
  ] as const)('item %i of three of other sizes', async (primary, width, height, colour) => {
    const items = [await avifOf(64, 48, RED), await avifOf(32, 40, BLUE), await avifOf(20, 20, GREEN)]
    const collection = avifCollection(items, primary)
    expect((await render(collection, 'original')).bytes.equals(collection)).toBe(true)
    for (const format of ['webp', 'gif', 'png']) {
      const made = await render(collection, `original-${format}`)
      expect([made.width, made.height]).toEqual([width, height])
      expect((await metadataOf(made.bytes)).pages ?? 1).toBe(1)
      await expectPixels(made.bytes, [[5, 5, colour]])
    }
    const small = await render(collection, 'w16-png')
    expect(small.width).toBe(16)
    await expectPixels(small.bytes, [[8, 8, colour]])
  })
  test('items of one size do not blink, and more than a hundred are no frames', async () => {
    const items = await Promise.all(
      Array.from({ length: 120 }, (_, index) => avifOf(16, 16, index === 7 ? GREEN : RED)),
    )
    const made = await render(avifCollection(items, 7), 'original-webp')
    expect((await metadataOf(made.bytes)).pages ?? 1).toBe(1)
    await expectPixels(made.bytes, [[8, 8, GREEN]])
  })
})

describe('the orientation of a WebP is left alone, as browsers do (pictures 4)', () => {
  const frames = async (): Promise<Buffer> => {
    const colours = [RED, BLUE].map(([r, g, b]) =>
      sharp({ create: { width: 80, height: 60, channels: 3, background: { r, g, b } } })
        .composite([
          { input: { create: { width: 20, height: 20, channels: 3, background: '#0f0' } }, left: 0, top: 0 },
        ])
        .png()
        .toBuffer(),
    )
    return sharp(await Promise.all(colours), { join: { animated: true } })
      .webp({ delay: [100, 200], lossless: true })
      .toBuffer()
  }
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %i, moving', async (orientation) => {
    const webp = withWebpExif(await frames(), 80, 60, exifOf(orientation))
    for (const format of ['webp', 'gif']) {
      const made = await render(webp, `original-${format}`)
      expect([made.width, made.height]).toEqual([80, 60])
      const { pages, delay, orientation: left } = await metadataOf(made.bytes)
      expect([pages, delay, left]).toEqual([2, [100, 200], undefined])
      const corner = [5, 5, GREEN] as const
      await expectPixels(made.bytes, [corner, [-5, -5, RED]])
      await expectPixels(made.bytes, [corner, [-5, -5, BLUE]], { page: 1 })
    }
  })
  test.each([3, 6])('orientation %i, still', async (orientation) => {
    const still = await quarters(160, 120).webp({ lossless: true }).toBuffer()
    const turned = withWebpExif(still, 160, 120, exifOf(orientation))
    const [made, wanted] = [await render(turned, 'w80-png'), await render(still, 'w80-png')]
    expect([made.width, made.height]).toEqual([80, 60])
    expect(made.digest).toBe(wanted.digest)
  })
})

describe('a picture longer than its format holds is fitted into it (pictures 6)', () => {
  const long = (width: number) =>
    handmadePng({ width, height: 20, depth: 1, colourType: 0 }, (x) => [x < width / 2 ? 0 : 1])
  test.each([
    ['avif', 17_000, 16_384],
    ['webp', 17_000, 16_383],
    ['jpeg', 70_000, 65_500],
    ['gif', 70_000, 65_535],
    ['png', 70_000, 70_000],
  ] as const)('as %s, %i wide: %i', async (format, width, most) => {
    const made = await render(long(width), `original-${format}`)
    expect(made.width).toBe(most)
    expect(made.height).toBe(Math.max(1, Math.round((20 * most) / width)))
  })
})

describe('the whole logical screen of a GIF (GIF89a §18), clear where nothing is (pictures 7)', () => {
  const screens = {
    'a size that libnsgif takes for a mistake': { width: 800, height: 600 },
    'any other size': { width: 801, height: 600 },
    'one over 2048': { width: 2100, height: 600 },
  }
  test.each(Object.entries(screens))('frames that do not cover it: %s', async (_name, screen) => {
    const gif = handmadeGif(screen, PALETTE, [
      { width: 600, height: 450, draw: only(0) },
      { left: 10, top: 10, width: 100, height: 100, draw: only(1) },
    ])
    for (const format of ['webp', 'gif']) {
      const made = await render(gif, `original-${format}`)
      expect([made.width, made.height]).toEqual([screen.width, screen.height])
      expect((await metadataOf(made.bytes)).pages).toBe(2)
      await expectPixels(made.bytes, [
        [5, 5, RED],
        [50, 50, RED],
        [-1, -1, CLEAR],
      ])
      const page = { page: 1 }
      await expectPixels(
        made.bytes,
        [
          [5, 5, RED],
          [50, 50, GREEN],
          [-1, -1, CLEAR],
        ],
        page,
      )
    }
    const still = await render(gif, 'w400-png')
    expect(still.width).toBe(400)
    await expectPixels(still.bytes, [
      [5, 5, RED],
      [-1, -1, CLEAR],
    ])
  })
  const screen = { width: 40, height: 40, background: 2 }
  const over = { width: 20, height: 20, draw: only(1) }
  const last = { left: 20, top: 20, width: 20, height: 20, draw: only(3) }
  const full = { width: 40, height: 40, draw: only(0) }
  test('a frame disposed to background clears, though it has no clear colour', async () => {
    const gif = handmadeGif(screen, PALETTE, [{ ...full, disposal: 2 }, over, last])
    const made = await render(gif, 'original-webp')
    await expectPixels(made.bytes, [
      [5, 5, RED],
      [30, 30, RED],
    ])
    await expectPixels(
      made.bytes,
      [
        [5, 5, GREEN],
        [30, 30, CLEAR],
      ],
      { page: 1 },
    )
    await expectPixels(
      made.bytes,
      [
        [5, 5, GREEN],
        [30, 30, YELLOW],
      ],
      { page: 2 },
    )
  })
  test.each([
    ['a short colour table', undefined],
    ['all colours of the table but one', (x: number, y: number) => (x + y * 20) % 255],
  ] as const)('over what stays, with %s', async (_name, draw) => {
    const gif = handmadeGif(screen, PALETTE, [full, { ...over, ...(draw && { draw }), disposal: 2 }, last])
    const made = await render(gif, 'original-webp')
    await expectPixels(made.bytes, [[-5, 5, RED]], { page: 1 })
    await expectPixels(
      made.bytes,
      [
        [10, 10, CLEAR],
        [30, 10, RED],
        [30, 30, YELLOW],
      ],
      { page: 2 },
    )
  })
  test('over what stays, with every colour of the table: for as long as it was shown', async () => {
    const draw = (x: number, y: number) => (x + y * 20) % 256
    const colours = Array.from({ length: 256 }, (_, index) => [index, 255 - index, 90] as const)
    const gif = handmadeGif(screen, colours, [full, { ...over, draw, disposal: 2, delay: 20 }, last, full])
    const made = await render(gif, 'original-webp')
    const { pages = 0, delay = [] } = await metadataOf(made.bytes)
    expect(delay.reduce((sum, one) => sum + one, 0)).toBe(500)
    const [first, third] = [colours[0] ?? RED, colours[3] ?? RED].map(([r, g, b]): Rgba => [r, g, b, 255])
    if (first === undefined || third === undefined) throw new Error('no colours')
    await expectPixels(
      made.bytes,
      [
        [10, 10, CLEAR],
        [30, 10, first],
        [30, 30, third],
      ],
      { page: pages - 2, slack: 30 },
    )
    await expectPixels(
      made.bytes,
      [
        [10, 10, first],
        [30, 30, first],
      ],
      { page: pages - 1, slack: 30 },
    )
  })
  test('delays and loops stay as they were', async () => {
    const gif = handmadeGif(screen, PALETTE, [
      { ...full, disposal: 2, delay: 7 },
      { ...over, delay: 30 },
    ])
    const { delay, loop } = await metadataOf((await render(gif, 'original-gif')).bytes)
    expect([delay, loop]).toEqual([[70, 300], 0])
  })
})

describe('an SVG is known by its first element, whatever comes before it (pictures 8)', () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
  const long = 'x'.repeat(40_000)
  test.each<[string, string | Buffer]>([
    ['a long comment', `<!-- ${long} -->${svg}`],
    ['a long instruction', `<?xml version="1.0"?><?note ${long}?>${svg}`],
    [
      'a long document type',
      `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x" [<!ENTITY a "${long}"><!-- ]> -->]>${svg}`,
    ],
    ['a space after the subset', `<!DOCTYPE svg [ <!ENTITY ns "http://x"> ] >\n${svg}`],
    ['an end of the subset inside an entity', `<!DOCTYPE svg [<!ENTITY a "]><b>">]>${svg}`],
    ['a prefix with digits', '<ns0:svg xmlns:ns0="http://www.w3.org/2000/svg"/>'],
    ['a prefix with other letters', '<é-1.a:svg xmlns:é-1.a="http://www.w3.org/2000/svg"/>'],
    [
      'UTF-16, little end first',
      Buffer.from(`\ufeff<?xml version="1.0" encoding="UTF-16"?>${svg}`, 'utf16le'),
    ],
    ['UTF-16, big end first', Buffer.from(`\ufeff${svg}`, 'utf16le').swap16()],
    ['UTF-16 without a mark', Buffer.from(`<?xml version="1.0" encoding="UTF-16"?>${svg}`, 'utf16le')],
    ...[1020, 1021, 1022, 1023, 4093, 16_381].map((before): [string, string] => [
      `a root that begins after ${before} bytes`,
      `<!--${'x'.repeat(before - 7)}-->${svg}`,
    ]),
    ['a byte order mark and white space', `\ufeff\n\t ${svg}`],
  ])('%s', async (_name, document) => {
    const bytes = Buffer.from(document)
    const kept = await render(bytes, 'original')
    expect([kept.contentType, kept.bytes.equals(bytes)]).toEqual(['image/svg+xml', true])
  })
  test.each<[string, string | Buffer]>([
    ['HTML', '<!doctype html><html><svg/></html>'],
    ['HTML that begins with an SVG', `<!DOCTYPE html>${svg}`],
    ['an SVG inside another document', `<html xmlns="http://www.w3.org/1999/xhtml">${svg}</html>`],
    ['a prolog without end', `<!-- ${'x'.repeat(100_000)} -->${svg}`],
    ['a comment that is never closed', `<!-- ${svg}`],
    ['text', `svg ${svg}`],
    ['another root', '<svgx/>'],
    ['JSON', '{"svg":1}'],
  ])('not %s', async (_name, document) => {
    await expect(keep(Buffer.from(document))).rejects.toMatchObject({ status: 415 })
  })
})

/** A drawing of few colours, as a palette has them. */
const drawing = (width: number, height: number): Buffer =>
  handmadePng(
    { width, height, colourType: 3, chunks: [pngChunk('PLTE', Buffer.from(PALETTE.flat()))] },
    (x, y) => [(Math.floor(x / 40) + Math.floor(y / 40) + (x > y ? 1 : 0)) % 4],
  )

describe('a smaller picture is no larger file (pictures 11)', () => {
  test('a palette stays one', async () => {
    const png = drawing(600, 600)
    const made = await render(png, 'w300')
    expect(await metadataOf(made.bytes)).toMatchObject({ isPalette: true, width: 300 })
    expect((await metadataOf((await render(png, 'original-png')).bytes)).isPalette).toBe(true)
  })
  test('a JPEG of low quality, a lossless WebP and a palette PNG: no rendition is larger than the original', async () => {
    const noisy = sharp({
      create: {
        width: 400,
        height: 300,
        channels: 3,
        background: '#000',
        noise: { type: 'gaussian', mean: 128, sigma: 30 },
      },
    })
    const sources = {
      jpeg: await noisy.clone().jpeg({ quality: 20 }).toBuffer(),
      webp: await sharp(drawing(400, 400)).webp({ lossless: true }).toBuffer(),
      png: drawing(400, 400),
    }
    for (const [format, bytes] of Object.entries(sources))
      for (const variant of [`original-${format}`, `w2000-${format}`, `w150-${format}`]) {
        const made = await render(bytes, variant)
        expect(made.bytes.length, variant).toBeLessThanOrEqual(bytes.length)
      }
    // In another format, lossless as the source is.
    const webp = await render(sources.png, 'original-webp')
    expect(webp.bytes.length).toBeLessThanOrEqual(sources.png.length)
    await expectPixels(webp.bytes, [[10, 10, RED]], { slack: 0 })
  })
  test('what is passed on has no metadata, and is the same picture', async () => {
    const jpeg = await sharp({
      create: { width: 200, height: 150, channels: 3, background: '#345' },
    })
      .composite([{ input: await quarters(100, 100).png().toBuffer() }])
      .withExif({ IFD0: { Copyright: 'somebody-who-is-named' } })
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
      .jpeg({ quality: 15 })
      .toBuffer()
    const made = await render(jpeg, 'original-jpeg')
    expect(made.bytes.length).toBeLessThan(jpeg.length)
    expect(made.bytes.includes('somebody-who-is-named')).toBe(false)
    expect(made.bytes.includes('xmpmeta')).toBe(false)
    const raw = (bytes: Buffer) => sharp(bytes).raw().toBuffer()
    expect((await raw(made.bytes)).equals(await raw(jpeg))).toBe(true)
  })
})

describe('what is passed on is a whole file, and the picture alone (pictures 11)', () => {
  const noise = (format: 'jpeg' | 'webp' | 'png') =>
    sharp({
      create: {
        width: 160,
        height: 120,
        channels: 3,
        background: '#000',
        noise: { type: 'gaussian', mean: 128, sigma: 40 },
      },
    })
      .toFormat(format, format === 'png' ? {} : { quality: 5 })
      .toBuffer()
  const SECRET = Buffer.from('SECRET-SECRET')
  test('bytes behind the end of a WebP, and chunks that nobody knows', async () => {
    const webp = await noise('webp')
    const unknown = Buffer.concat([Buffer.from('C2PA'), Buffer.from([13, 0, 0, 0]), SECRET, Buffer.alloc(1)])
    const more = withWebpExif(webp, 160, 120, exifOf(6))
    for (const bytes of [
      Buffer.concat([webp, SECRET]),
      Buffer.concat([more, unknown]),
      Buffer.concat([more, SECRET]),
    ]) {
      const made = await render(bytes, 'original-webp')
      expect((await metadataOf(made.bytes)).width).toBe(160)
      expect(made.bytes.includes(SECRET)).toBe(false)
      expect(made.bytes.length).toBeLessThanOrEqual(bytes.length)
    }
  })
  test('private chunks of a PNG, and segments of a JPEG', async () => {
    const jpeg = await noise('jpeg')
    const segment = (marker: number) =>
      Buffer.concat([Buffer.from([0xff, marker, 0, SECRET.length + 2]), SECRET])
    const chunk = pngChunk('prVt', SECRET)
    const png = drawing(200, 200)
    const files = {
      jpeg: Buffer.concat([jpeg.subarray(0, 2), segment(0xfe), segment(0xe5), jpeg.subarray(2)]),
      png: Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]),
    }
    for (const [format, bytes] of Object.entries(files)) {
      const made = await render(bytes, `original-${format}`)
      expect(made.bytes.includes(SECRET), format).toBe(false)
      expect((await metadataOf(made.bytes)).width).toBeGreaterThan(100)
    }
  })
})

describe('encoders are bounded before they begin (pictures 12)', () => {
  test('a moving GIF that is too much work is 413; as WebP, still and as it is it is answered', async () => {
    const frames = Array.from({ length: 40 }, (_, index) =>
      index === 0
        ? { width: 800, height: 600, draw: only(0) }
        : { left: index * 18, width: 60, height: 600, draw: only((index % 3) + 1) },
    )
    const gif = handmadeGif({ width: 800, height: 600 }, PALETTE, frames)
    await expect(render(gif, 'original-gif')).rejects.toMatchObject({ status: 413, reason: 'too_large' })
    expect((await metadataOf((await render(gif, 'w200-gif')).bytes)).pages).toBe(40)
    expect((await metadataOf((await render(gif, 'original-webp')).bytes)).pages).toBe(40)
    expect((await render(gif, 'original')).bytes.equals(gif)).toBe(true)
  })
  test('400×300 in 100 frames of noise is answered as GIF', async () => {
    let seed = 1
    const noise = (): number => {
      seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
      return seed >>> 24
    }
    const colours = Array.from(
      { length: 256 },
      (_, index) => [index, 255 - index, (index * 7) & 255] as const,
    )
    const frames = Array.from({ length: 100 }, () => ({ width: 240, height: 180, draw: noise }))
    const gif = handmadeGif({ width: 400, height: 300 }, colours, frames)
    expect((await metadataOf((await render(gif, 'w100-gif')).bytes)).pages).toBe(100)
  })
})

describe('long and thin (pictures 13)', () => {
  const thin = (length: number, isTall: boolean) =>
    handmadePng({ width: isTall ? 1 : length, height: isTall ? length : 1, depth: 1, colourType: 0 }, () => [
      1,
    ])
  test.each([true, false])('a side of a million is 413 by its header (tall: %s)', async (isTall) => {
    await expect(keep(thin(1_000_000, isTall))).rejects.toMatchObject({ status: 413, reason: 'too_large' })
  })
  test.each([true, false])('a side of 100,000 is kept and made smaller (tall: %s)', async (isTall) => {
    const made = await render(thin(100_000, isTall), 'w300-webp')
    expect(Math.max(made.width, made.height)).toBeLessThanOrEqual(16_383)
    expect(Math.min(made.width, made.height)).toBe(1)
  })
})

describe('what is nearly whole, and what moves too much (pictures 14)', () => {
  const photo = (progressive: boolean) =>
    quarters(160, 120)
      .composite([
        {
          input: {
            create: {
              width: 80,
              height: 80,
              channels: 3,
              background: '#000',
              noise: { type: 'gaussian', mean: 128, sigma: 40 },
            },
          },
        },
      ])
      .jpeg({ progressive })
      .toBuffer()
  test.each([false, true])(
    'a JPEG whose end marker alone is missing (progressive: %s)',
    async (progressive) => {
      const whole = await photo(progressive)
      const wanted = await render(whole, 'original-png')
      for (const left of [1, 2]) {
        const made = await render(whole.subarray(0, whole.length - left), 'original-png')
        expect(made.digest, `${left} bytes less`).toBe(wanted.digest)
      }
    },
  )
  test.each([false, true])(
    'a JPEG that is cut anywhere else is 422 (progressive: %s)',
    async (progressive) => {
      const whole = await photo(progressive)
      for (const length of [whole.length - 4, whole.length - 10, Math.floor(whole.length / 2), 700])
        await expect(keep(whole.subarray(0, length)), `${length} of ${whole.length}`).rejects.toMatchObject({
          status: 422,
        })
    },
  )
  test('101 frames: as it is, a still of the first frame, 413 only for what would move', async () => {
    const frames = Array.from({ length: 101 }, (_, index) => ({
      width: 20,
      height: 20,
      draw: only(index % 4),
    }))
    const gif = handmadeGif({ width: 20, height: 20 }, PALETTE, frames)
    expect((await render(gif, 'original')).bytes.equals(gif)).toBe(true)
    for (const format of ['jpeg', 'png']) {
      const still = await render(gif, `original-${format}`)
      await expectPixels(still.bytes, [[5, 5, RED]])
    }
    for (const format of ['webp', 'gif'])
      await expect(render(gif, `w10-${format}`)).rejects.toMatchObject({ status: 413, reason: 'too_large' })
  })
  test('an APNG moves as it is; renditions are still, of its default image', async () => {
    const apng = handmadePng(
      { width: 40, height: 40, frames: [() => [0, 0, 255], () => [0, 255, 0]] },
      () => [255, 0, 0],
    )
    expect((await render(apng, 'original')).bytes.equals(apng)).toBe(true)
    for (const variant of ['w20', 'original-png', 'w20-webp', 'w20-gif']) {
      const made = await render(apng, variant)
      expect(made.bytes.includes('acTL'), variant).toBe(false)
      expect((await metadataOf(made.bytes)).pages ?? 1, variant).toBe(1)
      await expectPixels(made.bytes, [[5, 5, RED]])
    }
  })
})

describe('a JPEG of a process that no browser shows (pictures 16)', () => {
  test.each([3, 5, 6, 7, 11, 13, 14, 15])('SOF%i is 415 (T.81, Table B.1)', async (process) => {
    const jpeg = await quarters(64, 48).jpeg({ progressive: false }).toBuffer()
    const at = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
    const other = Buffer.from(jpeg)
    other[at + 1] = 0xc0 | process
    await expect(keep(other)).rejects.toMatchObject({ status: 415, reason: 'unsupported' })
  })
})

test('what was made is there in the statistics', () => {
  expect(artwork.images.stats().requests.encodes).toBeGreaterThan(50)
})

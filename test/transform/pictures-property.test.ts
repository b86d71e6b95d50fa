/** Pictures of any kind in any variant: never a 5xx, upright, of the size and the colour that the rules say. */
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, expect, test } from 'vitest'
import { effortFor, MOST_WORK, workOf } from '#src/model/encode-budget.js'
import { byRule, type Rgb } from '../support/colours.js'
import {
  CHROMATICITIES,
  colourChunk,
  exifOf,
  handmadeGif,
  handmadePng,
  pngChunk,
  withNclx,
  withWebpExif,
} from '../support/handmade.js'
import { createRenderer } from '../support/toolkit.js'

/** Children, each with a bound of memory that a picture of this size may not come near. */
const { render, close } = await createRenderer({
  transform: { isolate: true, maxMemory: '400 MiB' },
})
afterAll(close)

type Curve = (value: number) => number
const srgb: Curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
/** What the colours of a PNG or AVIF may mean: how it is written, and by which rule it is read. */
const MEANINGS = {
  plain: { chunks: [], nclx: undefined, curve: srgb, matrix: 'none' },
  linear: { chunks: [colourChunk.gAMA(1)], nclx: [1, 8], curve: (v: number) => v, matrix: 'none' },
  p3: { chunks: [colourChunk.cICP(12, 13)], nclx: [12, 13], curve: srgb, matrix: 'p3' },
  gamma: {
    chunks: [colourChunk.gAMA(1 / 2.2), colourChunk.cHRM(...CHROMATICITIES.srgb)],
    nclx: [1, 4],
    curve: (v: number) => v ** 2.2,
    matrix: 'none',
  },
} as const

const picture = fc.record({
  kind: fc.constantFrom('jpeg', 'png', 'gif', 'webp', 'avif'),
  width: fc.integer({ min: 1, max: 300 }),
  height: fc.integer({ min: 1, max: 300 }),
  frames: fc.integer({ min: 1, max: 4 }),
  hasAlpha: fc.boolean(),
  isLossless: fc.boolean(),
  isGrey: fc.boolean(),
  isPalette: fc.boolean(),
  depth: fc.constantFrom(8, 10, 12, 16),
  orientation: fc.integer({ min: 1, max: 8 }),
  meaning: fc.constantFrom('plain', 'linear', 'p3', 'gamma'),
  colour: fc.tuple(
    fc.integer({ min: 20, max: 230 }),
    fc.integer({ min: 20, max: 230 }),
    fc.integer({ min: 20, max: 230 }),
  ),
})
type Picture = typeof picture extends fc.Arbitrary<infer T> ? T : never

const variant = fc
  .record({
    width: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
    height: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
    cover: fc.boolean(),
    format: fc.constantFrom(undefined, 'auto', 'jpeg', 'png', 'gif', 'webp', 'avif'),
    quality: fc.option(fc.integer({ min: 90, max: 100 }), { nil: undefined }),
  })
  .map(({ width, height, cover, format, quality }) => {
    const isCover = cover && width !== undefined && height !== undefined
    const base =
      width === undefined && height === undefined
        ? 'original'
        : [width && `w${width}`, height && `h${height}`, isCover && 'cover'].filter(Boolean).join('-')
    const hasQuality = quality !== undefined && format !== 'png' && format !== 'gif' && format !== undefined
    return {
      text: [base, format, hasQuality && `q${quality}`].filter(Boolean).join('-'),
      width,
      height,
      isCover,
    }
  })

/** Whether a place is in the part whose colour is looked at: most of the picture, from its first pixel on. */
const isFirst = (x: number, y: number, width: number, height: number): boolean =>
  x < Math.max(1, width * 0.75) && y < Math.max(1, height * 0.75)
const OTHER: Rgb = [128, 128, 128]

/** The picture as a file, and the colour of its first pixel as it is to be seen. */
async function fileOf(one: Picture): Promise<{ bytes: Buffer; width: number; height: number; first: Rgb }> {
  const { kind, width, height, frames, depth, meaning, orientation } = one
  const colour: Rgb =
    one.isGrey && kind === 'png' ? [one.colour[0], one.colour[0], one.colour[0]] : one.colour
  const draw = (x: number, y: number): Rgb => (isFirst(x, y, width, height) ? colour : OTHER)
  const flat = handmadePng({ width, height }, draw)
  const asIs = { width, height, first: colour }
  const { chunks, nclx, curve, matrix } = MEANINGS[meaning]
  const meant = { width, height, first: byRule(colour, curve, matrix) }
  if (kind === 'png') {
    const bits = depth === 16 && !one.isPalette ? 16 : 8
    const scale = (values: readonly number[]) => values.map((value) => value * (bits === 16 ? 257 : 1))
    const opaque = one.hasAlpha ? [255] : []
    if (one.isPalette) {
      const palette = pngChunk('PLTE', Buffer.from([...colour, ...OTHER]))
      const options = { width, height, colourType: 3, chunks: [...chunks, palette] } as const
      return { bytes: handmadePng(options, (x, y) => [isFirst(x, y, width, height) ? 0 : 1]), ...meant }
    }
    const colourType = one.isGrey ? (one.hasAlpha ? 4 : 0) : one.hasAlpha ? 6 : 2
    const bytes = handmadePng({ width, height, depth: bits, colourType, chunks }, (x, y) => {
      const [r, g, b] = draw(x, y)
      return scale([...(one.isGrey ? [r] : [r, g, b]), ...opaque])
    })
    return { bytes, ...meant }
  }
  if (kind === 'gif') {
    const bytes = handmadeGif(
      { width, height },
      [colour, OTHER, [0, 0, 0]],
      Array.from({ length: frames }, (_, index) => ({
        width,
        height,
        disposal: (index % 2) + 1,
        draw: (x: number, y: number) => (index > 0 ? 2 : isFirst(x, y, width, height) ? 0 : 1),
      })),
    )
    return { bytes, ...asIs }
  }
  if (kind === 'webp') {
    const webp = await sharp(flat)
      .webp(one.isLossless ? { lossless: true } : { quality: 100 })
      .toBuffer()
    return { bytes: withWebpExif(webp, width, height, exifOf(orientation)), ...asIs }
  }
  if (kind === 'avif') {
    const bitdepth = depth === 16 ? 12 : depth
    const avif = await sharp(flat).avif({ lossless: true, bitdepth, effort: 1 }).toBuffer()
    return nclx === undefined
      ? { bytes: avif, ...asIs }
      : { bytes: withNclx(avif, nclx[0], nclx[1]), ...meant }
  }
  // As a camera stores it: turned and flipped the way that the tag undoes.
  const isSideways = orientation > 4
  const [w, h] = isSideways ? [height, width] : [width, height]
  const stored = handmadePng({ width: w, height: h }, (x, y) => {
    const [across, down] = isSideways ? [y, x] : [x, y]
    const isMirrored = [2, 3, 7, 8].includes(orientation)
    const isFlipped = [3, 4, 6, 7].includes(orientation)
    // For sideways tags the axes are exchanged, and what is mirrored with them.
    const mirrorAcross = isSideways ? [6, 7].includes(orientation) : isMirrored
    const mirrorDown = isSideways ? [7, 8].includes(orientation) : isFlipped
    return draw(mirrorAcross ? width - 1 - across : across, mirrorDown ? height - 1 - down : down)
  })
  const bytes = await sharp(stored)
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4', progressive: one.isLossless })
    .withMetadata({ orientation })
    .toBuffer()
  return { bytes, ...asIs }
}

const near = (actual: number, wanted: number): boolean => Math.abs(actual - wanted) < 1

/** `RUNS` for more. */
test('any picture in any variant', { timeout: 600_000 }, async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(picture, variant, async (one, asked) => {
      const { bytes, width, height, first } = await fileOf(one)
      const made = await render(bytes, asked.text, { accept: 'image/webp,*/*' }).catch((error) => {
        expect(error, asked.text).toMatchObject({ name: 'ArtworkError' })
        expect(error.status, `${asked.text}: ${error.message}`).toBeLessThan(500)
        expect(error.message).not.toMatch(/memory/)
        return undefined
      })
      if (made === undefined) return
      const scale = asked.isCover
        ? Math.min(1, width / (asked.width ?? 1), height / (asked.height ?? 1))
        : Math.min(1, (asked.width ?? width) / width, (asked.height ?? height) / height)
      const wanted = asked.isCover
        ? [(asked.width ?? 1) * scale, (asked.height ?? 1) * scale]
        : [width * scale, height * scale]
      const [w = 1, h = 1] = wanted.map((side) => Math.max(1, side))
      expect(
        near(made.width, w) && near(made.height, h),
        `${made.width}x${made.height} is not ${w}x${h}`,
      ).toBe(true)
      // The colour of the first pixel, where its part is not cut away or mixed with its neighbours.
      if (asked.isCover || made.width < 48 || made.height < 48) return
      // As it came, what its colours mean is in it still, and nothing that this decoder reads.
      if (asked.text === 'original' && one.meaning !== 'plain') return
      compared += 1
      // The original as it came has the orientation of a camera still.
      const autoOrient = asked.text === 'original' && one.kind === 'jpeg'
      const data = await sharp(made.bytes, { autoOrient }).toColourspace('srgb').raw().toBuffer()
      const off = Math.max(...first.map((value, channel) => Math.abs(value - (data[channel] ?? 0))))
      expect(off, `${[...data.subarray(0, 3)]} is not ${first}`).toBeLessThanOrEqual(6)
    }),
    { numRuns: Number(process.env.RUNS ?? 100) },
  )
  // As many as chance makes it.
  expect(compared).toBeGreaterThan(0)
})

test('whatever is encoded is within the work that a child may have, or refused before it', () => {
  const formats = ['jpeg', 'png', 'gif', 'webp', 'avif'] as const
  const job = fc.record({
    format: fc.constantFrom(...formats),
    pixels: fc.integer({ min: 1, max: 50e6 }),
    frames: fc.integer({ min: 1, max: 100 }),
    isPalette: fc.boolean(),
    isLossless: fc.boolean(),
  })
  fc.assert(
    fc.property(job, fc.integer({ min: 0, max: 10 }), (one, wanted) => {
      const effort = effortFor(one, wanted)
      if (effort === undefined) return
      // Some formats know no 0.
      expect(effort).toBeLessThanOrEqual(Math.max(1, wanted))
      expect(workOf(one, effort)).toBeLessThanOrEqual(MOST_WORK)
    }),
    { numRuns: 5000 },
  )
  // Nothing inside the bounds of the options is refused but GIFs, lossless WebPs and palettes, which have another way.
  for (const format of ['jpeg', 'png', 'webp'] as const)
    for (const frames of [1, 100])
      if (frames === 1 || format === 'webp')
        expect(effortFor({ format, pixels: 50e6, frames }, 4), `${format} ${frames}`).toBeDefined()
  expect(effortFor({ format: 'avif', pixels: 16e6, frames: 1 }, 4)).toBeDefined()
  expect(effortFor({ format: 'gif', pixels: 400 * 300 * 100, frames: 100 }, 7)).toBeDefined()
})

/**
 * The dearest pictures that the bounds of the options let in: CPU seconds of one job, for every format that comes in and
 * goes out. The table of `src/model/encode-budget.ts` is reckoned from it. More than five is an error.
 */
import sharp from 'sharp'
import { DEFAULT_EFFORT, DEFAULT_QUALITY } from '#src/model/encoding.js'
import type { Format } from '#src/model/media-type.js'
import { completeRecipe, type Recipe } from '#src/model/variant.js'
import { hardenSharp, inspect, transform } from '#src/transform/sharp.js'
import { colourChunk, handmadeGif, handmadePng, pngChunk } from '../support/handmade.js'

const FORMATS = ['jpeg', 'png', 'gif', 'webp', 'avif'] as const
const limits = { maxPixels: 50e6, maxAvifPixels: 16e6, maxFrames: 100, formats: FORMATS }
const encoding = { quality: DEFAULT_QUALITY, effort: DEFAULT_EFFORT }
/** CPU seconds that a job may take. */
const MOST = 5

let seed = 1
const random = (): number => {
  seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
  return seed >>> 24
}
/** Noise over waves, as no photo is: nothing in it can be foreseen. */
const noise = (width: number, height: number, strength: number) => {
  const pixels = Buffer.alloc(width * height * 3)
  for (let at = 0; at < pixels.length; at += 1) {
    const x = Math.floor(at / 3) % width
    const y = Math.floor(at / 3 / width)
    const wave = 128 + 80 * Math.sin(x / 37 + (at % 3)) * Math.cos(y / 53)
    pixels[at] = Math.max(0, Math.min(255, wave + (random() - 128) * strength))
  }
  return sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false })
}
const PALETTE = Array.from({ length: 256 }, (_, index) => [index, 255 - index, (index * 7) & 255] as const)

interface Source {
  readonly name: string
  readonly format: Format
  readonly bytes: Buffer
}
async function sources(): Promise<readonly Source[]> {
  const large = await noise(8160, 6120, 0.25).raw().toBuffer({ resolveWithObject: true })
  const raw = { raw: { width: 8160, height: 6120, channels: 3 as const }, limitInputPixels: false }
  const still = () => sharp(large.data, raw)
  const wide = handmadePng(
    { width: 8160, height: 6120, depth: 16, colourType: 6, chunks: [colourChunk.cICP(12, 13)] },
    (x, y) => [(x * 8) & 65_535, (y * 10) & 65_535, ((x + y) * 5) & 65_535, 65_535],
  )
  const palette = handmadePng(
    { width: 8160, height: 6120, colourType: 3, chunks: [pngChunk('PLTE', Buffer.from(PALETTE.flat()))] },
    (x, y) => [(x ^ y) & 255],
  )
  const noisyGif = handmadeGif(
    { width: 400, height: 300 },
    PALETTE,
    Array.from({ length: 100 }, () => ({ width: 400, height: 300, draw: random })),
  )
  const largeGif = handmadeGif(
    { width: 800, height: 620 },
    PALETTE,
    Array.from({ length: 100 }, (_, frame) => ({
      width: frame === 0 ? 800 : 400,
      height: frame === 0 ? 620 : 310,
      left: frame === 0 ? 0 : frame * 4,
      draw: (x: number, y: number) => (x * (frame + 3) + y) & 255,
    })),
  )
  return [
    {
      name: 'JPEG, 50 MP, progressive',
      format: 'jpeg',
      bytes: await still().jpeg({ quality: 50, progressive: true }).toBuffer(),
    },
    { name: 'PNG, 50 MP', format: 'png', bytes: await still().png({ compressionLevel: 1 }).toBuffer() },
    { name: 'PNG, 50 MP, 16 bits and alpha, Display P3', format: 'png', bytes: wide },
    { name: 'PNG, 50 MP, palette', format: 'png', bytes: palette },
    { name: 'WebP, 50 MP', format: 'webp', bytes: await still().webp({ quality: 60, effort: 0 }).toBuffer() },
    {
      name: 'WebP, 20 MP, lossless',
      format: 'webp',
      bytes: await still().resize({ width: 5160 }).webp({ lossless: true, effort: 0 }).toBuffer(),
    },
    {
      name: 'AVIF, 16 MP',
      format: 'avif',
      bytes: await still().resize({ width: 4600 }).avif({ quality: 50, effort: 0 }).toBuffer(),
    },
    { name: 'GIF, 100 noisy frames, 12 MP', format: 'gif', bytes: noisyGif },
    { name: 'GIF, 100 frames, 50 MP', format: 'gif', bytes: largeGif },
    {
      name: 'WebP, 100 frames, 50 MP',
      format: 'webp',
      bytes: await sharp(largeGif, { pages: -1, limitInputPixels: false }).webp({ effort: 0 }).toBuffer(),
    },
  ]
}

/** CPU seconds of a job, or why it is refused. */
async function cost(work: () => Promise<unknown>): Promise<number | string> {
  const before = process.cpuUsage()
  try {
    await work()
  } catch (error) {
    return error instanceof Error && 'status' in error ? String(error.status) : String(error)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** See the top of the file. */
export async function benchHard(): Promise<void> {
  hardenSharp(FORMATS)
  // Raw pixels and all loaders are needed to make the sources.
  sharp.unblock({ operation: ['VipsForeignLoad'] })
  const all = await sources()
  hardenSharp(FORMATS)
  const row = (name: string, cells: readonly (number | string)[]): void =>
    console.log(
      name.padEnd(44),
      ...cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(2) : cell).padStart(7)),
    )
  console.log(
    '\nCPU seconds of one job by source and output; w: 2000 pixels wide; a status: refused before any work',
  )
  row('', ['inspect', ...FORMATS, ...FORMATS.map((format) => `w ${format}`)])
  let worst = 0
  for (const { name, format, bytes } of all) {
    const make = (target: Format, size: Partial<Recipe>) => () =>
      transform(
        bytes,
        format,
        completeRecipe({ fit: 'inside', enlarge: false, format: target, ...size }, format, encoding),
        limits,
      )
    const cells: (number | string)[] = [await cost(() => inspect(bytes, format, limits))]
    for (const size of [{}, { width: 2000 }])
      for (const target of FORMATS) cells.push(await cost(make(target, size)))
    worst = Math.max(worst, ...cells.filter((cell) => typeof cell === 'number'))
    row(name, cells)
  }
  console.log(`the dearest: ${worst.toFixed(2)} s of ${MOST}`)
  if (worst > MOST) throw new Error(`a job takes ${worst.toFixed(2)} s of CPU, and ${MOST} are the most`)
}

/** Real image files for the tests, made here so that every expected pixel is known. */
import sharp, { type Sharp } from 'sharp'

/** A colour, 0–255 each. */
export type Rgb = readonly [red: number, green: number, blue: number]

const RED: Rgb = [220, 40, 40]
const GREEN: Rgb = [40, 180, 60]
const BLUE: Rgb = [40, 60, 220]
const YELLOW: Rgb = [230, 210, 40]

/** The colours of the four quarters of {@link quarters}, as it is seen. */
export const QUARTERS = { topLeft: RED, topRight: GREEN, bottomLeft: BLUE, bottomRight: YELLOW } as const

/** A colour for each quarter. */
export type Quarters = Readonly<Record<keyof typeof QUARTERS, Rgb>>

/** A picture of four flat quarters. */
export function quarters(width: number, height: number, colours: Quarters = QUARTERS): Sharp {
  const w = width / 2
  const h = height / 2
  const block = (colour: Rgb) => ({
    create: { width: Math.ceil(w), height: Math.ceil(h), channels: 3 as const, background: rgb(colour) },
  })
  return sharp({ create: { width, height, channels: 3, background: '#000' } }).composite([
    { input: block(colours.topLeft), left: 0, top: 0 },
    { input: block(colours.topRight), left: Math.floor(w), top: 0 },
    { input: block(colours.bottomLeft), left: 0, top: Math.floor(h) },
    { input: block(colours.bottomRight), left: Math.floor(w), top: Math.floor(h) },
  ])
}

const rgb = ([r, g, b]: Rgb) => ({ r, g, b })

/** A JPEG of four quarters. Another seed is another picture. */
export async function jpeg(width = 800, height = 600, seed = 0): Promise<Buffer> {
  const flat = await quarters(width, height).png().toBuffer()
  return sharp(flat)
    .modulate({ hue: seed * 37 })
    .jpeg({ quality: 90 })
    .toBuffer()
}

/** A PNG of four quarters. */
export const png = (width = 64, height = 48): Promise<Buffer> => quarters(width, height).png().toBuffer()

/** The pixel of an encoded picture at a place given in shares of its sides. */
export async function pixelAt(bytes: Buffer, x: number, y: number): Promise<readonly number[]> {
  const { data, info } = await sharp(bytes).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true })
  const column = Math.min(info.width - 1, Math.floor(info.width * x))
  const row = Math.min(info.height - 1, Math.floor(info.height * y))
  const start = (row * info.width + column) * info.channels
  return [...data.subarray(start, start + info.channels)]
}

/** Whether two colours are the same to the eye: lossy codecs move a channel by a few steps. */
export function isNear(actual: readonly number[], wanted: readonly number[], slack = 14): boolean {
  return wanted.every((channel, index) => Math.abs(channel - (actual[index] ?? -999)) <= slack)
}

/** The four quarters of a picture as they are seen, for comparing with {@link QUARTERS}. */
export async function quartersOf(bytes: Buffer) {
  const [topLeft, topRight, bottomLeft, bottomRight] = await Promise.all([
    pixelAt(bytes, 0.25, 0.25),
    pixelAt(bytes, 0.75, 0.25),
    pixelAt(bytes, 0.25, 0.75),
    pixelAt(bytes, 0.75, 0.75),
  ])
  return { topLeft, topRight, bottomLeft, bottomRight }
}

/** An SVG document. */
export const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>'

/** Grain that is the same each time, as raw pixels of three channels, each from `low` on by less than `range`. */
export function grain(width: number, height: number, { seed = 1, low = 90, range = 64 } = {}): Buffer {
  const pixels = Buffer.alloc(width * height * 3)
  let state = seed
  for (let index = 0; index < pixels.length; index += 1) {
    state = (state * 48_271) % 2_147_483_647
    pixels[index] = low + (state % range)
  }
  return pixels
}

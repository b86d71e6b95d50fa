/** What is seen of an image before it has come: its dominant colour, and a thumbhash; from pixels that are decoded anyway. */
import { rgbaToThumbHash } from 'thumbhash'
import type { Preview } from '../model/entry.js'

/** Pixels of a small copy, four samples each, not premultiplied. */
export interface SmallCopy {
  readonly width: number
  readonly height: number
  readonly rgba: Uint8Array
}

/** Pixels as sharp gives them raw: 8 bits a sample, grey or sRGB, with alpha or without, not premultiplied. */
export interface RawPixels {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: 1 | 2 | 3 | 4
}

/** Side of a small copy, pixels. */
export const SMALL_SIDE = 32
/** Samples of a row, and of a column, that a pixel of a small copy is the mean of, at most. */
const MOST_SAMPLES = 16

/** A small copy of pixels that are in memory: the mean of each part, which costs less than a pipeline of libvips. */
export function shrink({ data, width, height, channels }: RawPixels): SmallCopy {
  const scale = Math.min(1, SMALL_SIDE / Math.max(width, height))
  const small = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  }
  const rgba = new Uint8Array(small.width * small.height * 4)
  const [isGrey, hasAlpha] = [channels < 3, channels === 2 || channels === 4]
  for (let y = 0; y < small.height; y += 1) {
    const [top, bottom] = [partOf(y, height, small.height), partOf(y + 1, height, small.height)]
    const down = Math.ceil((bottom - top) / MOST_SAMPLES)
    for (let x = 0; x < small.width; x += 1) {
      const [left, right] = [partOf(x, width, small.width), partOf(x + 1, width, small.width)]
      const across = Math.ceil((right - left) / MOST_SAMPLES)
      let [r, g, b, weight, count] = [0, 0, 0, 0, 0]
      for (let row = top; row < bottom; row += down)
        for (let column = left; column < right; column += across) {
          const at = (row * width + column) * channels
          const alpha = hasAlpha ? (data[at + channels - 1] ?? 0) : 255
          r += (data[at] ?? 0) * alpha
          g += (data[isGrey ? at : at + 1] ?? 0) * alpha
          b += (data[isGrey ? at : at + 2] ?? 0) * alpha
          weight += alpha
          count += 1
        }
      const to = (y * small.width + x) * 4
      // What is not to be seen has no colour.
      const whole = Math.max(weight, 1)
      rgba[to] = Math.round(r / whole)
      rgba[to + 1] = Math.round(g / whole)
      rgba[to + 2] = Math.round(b / whole)
      rgba[to + 3] = Math.round(weight / count)
    }
  }
  return { ...small, rgba }
}
/** Where a part of a side begins, of so many. */
const partOf = (index: number, side: number, parts: number): number => Math.floor((index * side) / parts)

/** Bits of each channel that tell colours apart when they are counted. */
const BITS = 3

/** The mean of those pixels whose colours are the most alike, `#rrggbb`; undefined where all is transparent. */
function dominantColor({ rgba }: SmallCopy): string | undefined {
  const bins = new Map<number, { weight: number; r: number; g: number; b: number }>()
  for (let at = 0; at + 3 < rgba.length; at += 4) {
    const [r = 0, g = 0, b = 0, alpha = 0] = rgba.subarray(at, at + 4)
    if (alpha === 0) continue
    const key = ((r >> (8 - BITS)) << (2 * BITS)) | ((g >> (8 - BITS)) << BITS) | (b >> (8 - BITS))
    const bin = bins.get(key) ?? { weight: 0, r: 0, g: 0, b: 0 }
    bin.weight += alpha
    bin.r += r * alpha
    bin.g += g * alpha
    bin.b += b * alpha
    bins.set(key, bin)
  }
  let most: { weight: number; r: number; g: number; b: number } | undefined
  for (const bin of bins.values()) if (most === undefined || bin.weight > most.weight) most = bin
  if (most === undefined) return undefined
  const { weight } = most
  const hex = (sum: number): string =>
    Math.round(sum / weight)
      .toString(16)
      .padStart(2, '0')
  return `#${hex(most.r)}${hex(most.g)}${hex(most.b)}`
}

/** Both of them; undefined where nothing is to be seen. */
export function previewOf(copy: SmallCopy): Preview | undefined {
  const color = dominantColor(copy)
  if (color === undefined) return undefined
  const hash = rgbaToThumbHash(copy.width, copy.height, copy.rgba)
  return { color, thumbhash: Buffer.from(hash).toString('base64') }
}

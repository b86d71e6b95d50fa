/** What is seen of an image before it has come: its dominant colour, and a thumbhash; from pixels that are decoded anyway. */
import { rgbaToThumbHash } from 'thumbhash'
import type { Preview } from '../model/entry.js'

/** Pixels of a small copy, four samples each, not premultiplied. */
export interface SmallCopy {
  readonly width: number
  readonly height: number
  readonly rgba: Uint8Array
}

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

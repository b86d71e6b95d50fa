/** A thumbhash as an image that a page can show: a PNG of a few hundred bytes, as a data URL. */
import { crc32, deflateSync } from 'node:zlib'
import { thumbHashToRGBA } from 'thumbhash'
import { createRecent } from '../model/recent.js'

const MAX_KNOWN = 2000
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** A chunk of a PNG (PNG, third edition, §5.3). */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, sum])
}

/** Opaque pixels as a PNG, each row told by the differences to the pixel before (§9.2, filter 1). */
function png(width: number, height: number, rgba: Uint8Array): Buffer {
  const row = width * 3 + 1
  const raw = Buffer.alloc(row * height)
  for (let y = 0; y < height; y += 1) {
    raw[y * row] = 1
    for (let x = 0; x < width; x += 1)
      for (let channel = 0; channel < 3; channel += 1) {
        const at = (y * width + x) * 4 + channel
        const before = x === 0 ? 0 : (rgba[at - 4] ?? 0)
        raw[y * row + 1 + x * 3 + channel] = (rgba[at] ?? 0) - before
      }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(raw, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** Makes what decodes thumbhashes; each is decoded once. Text that is none is nothing. */
export function createThumbhashImages(): (thumbhash: string) => string | undefined {
  const known = createRecent<string>(MAX_KNOWN)
  return (thumbhash) => {
    const before = known.get(thumbhash)
    if (before !== undefined) return before
    try {
      const { w, h, rgba } = thumbHashToRGBA(Buffer.from(thumbhash, 'base64'))
      const url = `data:image/png;base64,${png(w, h, rgba).toString('base64')}`
      known.set(thumbhash, url)
      return url
    } catch {
      return undefined
    }
  }
}

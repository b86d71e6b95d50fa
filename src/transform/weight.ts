/** How long a job may take, estimated from the first bytes of the file, its size and what is to be made of it. */
import { workOf } from '../model/encode-budget.js'
import type { Kind } from '../model/media-type.js'
import { outputSize, type Size } from '../model/output.js'
import type { FullRecipe } from '../model/variant.js'

/** Pixels over which decoding is slow. */
const HEAVY_PIXELS = 6e6
/** Bytes over which a file is heavy whatever its header says. */
const HEAVY_BYTES = 3 * 1024 ** 2
/** Bytes of an AVIF, whose header has no fixed place for its size. */
const HEAVY_AVIF = 256 * 1024
/** Segments of a JPEG that may come before its frame header. */
const MOST_SEGMENTS = 200
/**
 * Work over which an encode is heavy, CPU ms as `workOf` reckons it. An AVIF costs ten times what a WebP of its size does, and
 * is made for the same page: only the smallest are not heavy.
 */
const HEAVY_WORK = { avif: 40, other: 600 } as const

/** Whether other jobs should not have to wait for this one. @param recipe what is to be made, if anything */
export function isHeavyJob(bytes: Uint8Array, kind: Kind, recipe: FullRecipe | undefined): boolean {
  if (bytes.length > HEAVY_BYTES) return true
  const source = sizeOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), kind)
  return isHeavyDecode(bytes, kind, source) || (recipe !== undefined && isHeavyEncode(source, recipe))
}

function isHeavyDecode(bytes: Uint8Array, kind: Kind, source: Size | undefined): boolean {
  if (kind === 'avif') return bytes.length > HEAVY_AVIF
  return source === undefined || source.width * source.height > HEAVY_PIXELS
}

/** Of one frame: what moves is heavy by its bytes. */
function isHeavyEncode(source: Size | undefined, recipe: FullRecipe): boolean {
  const { format, effort = 0 } = recipe
  const bound = format === 'avif' ? HEAVY_WORK.avif : HEAVY_WORK.other
  if (source === undefined) return format === 'avif'
  const { width, height } = outputSize(source, recipe)
  return workOf({ format, pixels: width * height, frames: 1 }, effort) > bound
}

/** Pixels of a file's first frame by its header; undefined where that is not in its place. */
function sizeOf(bytes: Buffer, kind: Kind): Size | undefined {
  if (bytes.length < 30) return undefined
  switch (kind) {
    case 'png':
      return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
    case 'gif':
      return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
    case 'webp':
      return sizeOfWebp(bytes)
    case 'jpeg':
      return sizeOfJpeg(bytes)
    default:
      return undefined
  }
}

/** RFC 9649 §2.5–2.7. */
function sizeOfWebp(bytes: Buffer): Size | undefined {
  const chunk = bytes.toString('latin1', 12, 16)
  if (chunk === 'VP8X') return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 }
  if (chunk === 'VP8L') {
    const bits = bytes.readUInt32LE(21)
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
  }
  if (chunk !== 'VP8 ') return undefined
  return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff }
}

/** ITU-T T.81 §B.2.2. */
function sizeOfJpeg(bytes: Buffer): Size | undefined {
  let at = 2
  for (let segment = 0; segment < MOST_SEGMENTS && at + 9 <= bytes.length; segment += 1) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1] ?? 0
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) }
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2)
  }
  return undefined
}

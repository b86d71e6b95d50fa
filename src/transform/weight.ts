/** How long a job may take, estimated from the first bytes of the file and its size. */
import type { Format, Kind } from '../model/media-type.js'

/** Pixels over which decoding is slow. */
const HEAVY_PIXELS = 6e6
/** Bytes over which a file is heavy whatever its header says. */
const HEAVY_BYTES = 3 * 1024 ** 2
/** Bytes of an AVIF, whose header has no fixed place for its size. */
const HEAVY_AVIF = 256 * 1024
/** Segments of a JPEG that may come before its frame header. */
const MOST_SEGMENTS = 200

/** Whether other jobs should not have to wait for this one. @param made the format that is to be made, if any */
export function isHeavyJob(bytes: Uint8Array, kind: Kind, made: Format | undefined): boolean {
  if (made === 'avif' || bytes.length > HEAVY_BYTES) return true
  if (kind === 'avif') return bytes.length > HEAVY_AVIF
  const pixels = pixelsOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), kind)
  return pixels === undefined || pixels > HEAVY_PIXELS
}

/** Pixels of a file's first frame by its header; undefined where that is not in its place. */
function pixelsOf(bytes: Buffer, kind: Kind): number | undefined {
  if (bytes.length < 30) return undefined
  switch (kind) {
    case 'png':
      return bytes.readUInt32BE(16) * bytes.readUInt32BE(20)
    case 'gif':
      return bytes.readUInt16LE(6) * bytes.readUInt16LE(8)
    case 'webp':
      return pixelsOfWebp(bytes)
    case 'jpeg':
      return pixelsOfJpeg(bytes)
    default:
      return undefined
  }
}

/** RFC 9649 §2.5–2.7. */
function pixelsOfWebp(bytes: Buffer): number | undefined {
  const chunk = bytes.toString('latin1', 12, 16)
  if (chunk === 'VP8X') return (bytes.readUIntLE(24, 3) + 1) * (bytes.readUIntLE(27, 3) + 1)
  if (chunk === 'VP8L') {
    const bits = bytes.readUInt32LE(21)
    return ((bits & 0x3fff) + 1) * (((bits >>> 14) & 0x3fff) + 1)
  }
  return chunk === 'VP8 ' ? (bytes.readUInt16LE(26) & 0x3fff) * (bytes.readUInt16LE(28) & 0x3fff) : undefined
}

/** ITU-T T.81 §B.2.2. */
function pixelsOfJpeg(bytes: Buffer): number | undefined {
  let at = 2
  for (let segment = 0; segment < MOST_SEGMENTS && at + 9 <= bytes.length; segment += 1) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1] ?? 0
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return bytes.readUInt16BE(at + 5) * bytes.readUInt16BE(at + 7)
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2)
  }
  return undefined
}

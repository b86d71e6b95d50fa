/** The chunks of a WebP (RFC 9649). */

/** The facts of a WebP. */
export interface WebpHeader {
  readonly hasAlpha: boolean
  readonly isLossless: boolean
  readonly frames: number
}

interface Chunk {
  readonly type: string
  readonly start: number
  readonly content: number
  readonly end: number
}

const HEADER = 12
const FLAG = { alpha: 0x10, exif: 0x08, xmp: 0x04 } as const
/** Bytes of a frame before its own chunks. */
const FRAME_HEADER = 16

function* chunksOf(bytes: Buffer, from: number, to: number): Generator<Chunk> {
  for (let at = from; at + 8 <= to; ) {
    const size = bytes.readUInt32LE(at + 4)
    const end = Math.min(to, at + 8 + size + (size & 1))
    yield { type: bytes.toString('latin1', at, at + 4), start: at, content: at + 8, end }
    at = end
  }
}

/** Where the file ends by its own size field; what follows is no part of it. */
const endOf = (bytes: Buffer): number => Math.min(bytes.length, bytes.readUInt32LE(4) + 8)

/** Reads the chunks. */
export function readWebp(bytes: Buffer): WebpHeader {
  let hasAlpha = false
  let frames = 0
  let isLossless = true
  let images = 0
  const readChunk = ({ type, content }: Chunk): void => {
    if (type === 'ALPH') hasAlpha = true
    if (type === 'VP8 ' || type === 'VP8L') images += 1
    if (type === 'VP8 ') isLossless = false
    // The bit after 14 bits of width and 14 of height (RFC 9649 §3.4).
    if (type === 'VP8L' && content + 5 <= bytes.length)
      hasAlpha ||= ((bytes.readUInt32LE(content + 1) >>> 28) & 1) === 1
  }
  for (const chunk of chunksOf(bytes, HEADER, endOf(bytes))) {
    if (chunk.type === 'VP8X') hasAlpha ||= ((bytes[chunk.content] ?? 0) & FLAG.alpha) !== 0
    if (chunk.type === 'ANMF') {
      frames += 1
      for (const inner of chunksOf(bytes, chunk.content + FRAME_HEADER, chunk.end)) readChunk(inner)
    } else readChunk(chunk)
  }
  return { hasAlpha, isLossless: isLossless && images > 0, frames: Math.max(1, frames) }
}

/** Chunks that the picture is made of; any other is metadata. */
const PICTURE = new Set(['VP8X', 'ICCP', 'ANIM', 'ANMF', 'ALPH', 'VP8 ', 'VP8L'])

/** The same picture without Exif, XMP, unknown chunks, and what follows its end. */
export function stripWebp(bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (const { type, start, end } of chunksOf(bytes, HEADER, endOf(bytes))) {
    if (!PICTURE.has(type)) continue
    const chunk = Buffer.from(bytes.subarray(start, end))
    if (type === 'VP8X') chunk[8] = (chunk[8] ?? 0) & ~(FLAG.exif | FLAG.xmp)
    pieces.push(chunk)
  }
  const body = Buffer.concat(pieces)
  const head = Buffer.from(bytes.subarray(0, HEADER))
  head.writeUInt32LE(body.length + 4, 4)
  return Buffer.concat([head, body])
}

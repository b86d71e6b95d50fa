/** A GIF as libvips has to read it: rewritten where libnsgif would not show what browsers do. */
import { CONTROL, covers, EXTENSION, type Gif, type GifFrame, IMAGE, parseGif } from './gif.js'

/** A picture of one clear pixel in the last corner of the screen: it draws nothing, and reaches as far as the screen does. */
function corner(width: number, height: number): Buffer {
  const control = Buffer.from([EXTENSION, CONTROL, 4, 1, 0, 0, 0, 0])
  const image = Buffer.from([IMAGE, 0, 0, 0, 0, 1, 0, 1, 0, 0x80, 0, 0, 0, 255, 255, 255, 2, 2, 0x44, 1, 0])
  image.writeUInt16LE(width - 1, 1)
  image.writeUInt16LE(height - 1, 3)
  return Buffer.concat([control, image])
}

/** Codes are of 12 bits at most (appendix F). */
const MOST_CODES = 4096

/** Which places of the colour table the coded pixels of a frame use. */
function usedColours(bytes: Buffer, { data, end }: GifFrame): ReadonlySet<number> {
  const used = new Set<number>()
  const clear = 1 << (bytes[data] ?? 8)
  let width = (bytes[data] ?? 8) + 1
  let next = clear + 2
  let isFirst = true
  let bits = 0
  let buffer = 0
  for (let block = data + 1; block < end && (bytes[block] ?? 0) > 0; block += (bytes[block] ?? 0) + 1) {
    const stop = Math.min(end, block + 1 + (bytes[block] ?? 0))
    for (let at = block + 1; at < stop; at += 1) {
      buffer |= (bytes[at] ?? 0) << bits
      bits += 8
      while (bits >= width) {
        const code = buffer & ((1 << width) - 1)
        buffer >>>= width
        bits -= width
        if (code === clear + 1) return used
        if (code === clear) {
          width = (bytes[data] ?? 8) + 1
          next = clear + 2
          isFirst = true
          continue
        }
        // A code brings no colour that was not sent by itself before: only plain ones have to be noted.
        if (code < clear) used.add(code)
        if (!isFirst && next < MOST_CODES) {
          next += 1
          if (next === 1 << width && width < 12) width += 1
        }
        isFirst = false
      }
    }
  }
  return used
}

/** A place of the colour table that no pixel of the frame has; undefined where all are used. */
function unusedColour(bytes: Buffer, frame: GifFrame): number | undefined {
  if (frame.colours < 256) return frame.colours
  const used = usedColours(bytes, frame)
  for (let index = 0; index < 256; index += 1) if (!used.has(index)) return index
  return undefined
}

/** Coded pixels that are all of the first colour: runs, each longer by one than the one before (appendix F). */
function blank(pixels: number): Buffer {
  const CODE_SIZE = 2
  const clear = 1 << CODE_SIZE
  const bytes: number[] = []
  let bits = 0
  let buffer = 0
  let width = CODE_SIZE + 1
  const emit = (code: number): void => {
    buffer |= code << bits
    for (bits += width; bits >= 8; bits -= 8) {
      bytes.push(buffer & 255)
      buffer >>>= 8
    }
  }
  let left = pixels
  while (left > 0) {
    emit(clear)
    width = CODE_SIZE + 1
    for (let run = 1, next = clear + 2; left > 0 && next < MOST_CODES; run += 1) {
      const length = Math.min(run, left)
      emit(length === 1 ? 0 : clear + length)
      left -= length
      // From the second code on, each one adds to the table.
      if (run > 1) next += 1
      if (next === 1 << width && width < 12) width += 1
    }
  }
  emit(clear + 1)
  bytes.push(buffer & 255)
  const blocks: Buffer[] = [Buffer.from([CODE_SIZE])]
  for (let at = 0; at < bytes.length; at += 255) {
    const part = bytes.slice(at, at + 255)
    blocks.push(Buffer.from([part.length, ...part]))
  }
  return Buffer.concat([...blocks, Buffer.from([0])])
}

/** A frame of clear pixels in the place of another, cleared before the next one. */
function cleaner({ left, top, width, height }: GifFrame): Buffer {
  const head = Buffer.from([
    EXTENSION,
    CONTROL,
    4,
    (2 << 2) | 1,
    0,
    0,
    0,
    0,
    IMAGE,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ])
  for (const [index, value] of [left, top, width, height].entries()) head.writeUInt16LE(value, 9 + index * 2)
  return Buffer.concat([head, blank(width * height)])
}

/** A GIF as libvips has to read it. */
export interface GifCanvas {
  readonly bytes: Buffer
  /** Frames, by their place, that are followed by one more which shows the same. */
  readonly doubled: ReadonlySet<number>
}

/**
 * Has frames that are cleared before the next one leave clear pixels behind, as browsers do. libnsgif paints the
 * background colour where the frame itself has no transparent colour.
 */
function clearing(bytes: Buffer, gif: Gif): GifCanvas {
  const changed = Buffer.from(bytes)
  const pieces: Buffer[] = []
  const doubled = new Set<number>()
  let isClearBelow = true
  let from = gif.blocks
  for (const [index, frame] of gif.frames.entries()) {
    const { control, disposal, isTransparent } = frame
    if (disposal === 2 && !isTransparent && control !== undefined) {
      const packed = changed[control + 3] ?? 0
      const unused = isClearBelow ? undefined : unusedColour(bytes, frame)
      if (isClearBelow) {
        // Where nothing was below, what was there before is what is clear.
        changed[control + 3] = (packed & ~0x1c) | (3 << 2)
      } else if (unused !== undefined) {
        changed[control + 3] = packed | 1
        changed[control + 6] = unused
      } else {
        // All its colours are used: it stays, and one that shows nothing takes it away.
        changed[control + 3] = (packed & ~0x1c) | (1 << 2)
        doubled.add(index)
        pieces.push(changed.subarray(from, frame.end), cleaner(frame))
        from = frame.end
      }
    }
    if (disposal < 2) isClearBelow = false
    else if (disposal === 2 && covers(frame, gif)) isClearBelow = true
  }
  return { bytes: Buffer.concat([...pieces, changed.subarray(from)]), doubled }
}

/**
 * The GIF with a first frame more, which is not to be shown. libnsgif takes some screen sizes for mistakes and shows the
 * extent of the frames instead, and libvips leaves alpha out where no frame says that it is transparent: a clear pixel in
 * the last corner mends both.
 */
export function withCanvas(bytes: Buffer): GifCanvas {
  const gif = parseGif(bytes)
  const { bytes: changed, doubled } = clearing(bytes, gif)
  const head = bytes.subarray(0, gif.blocks)
  return { bytes: Buffer.concat([head, corner(gif.width, gif.height), changed]), doubled }
}

/** What the blocks of a GIF say (GIF89a), and the GIF as libvips has to read it. */

/** A frame of a GIF, in pixels of the logical screen. */
interface GifFrame {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  /** 2: cleared before the next one; 3: what was there before comes back (§23). */
  readonly disposal: number
  readonly isTransparent: boolean
  /** Where its first block (a graphic control extension, or the image descriptor) begins, and its last one ends. */
  readonly start: number
  readonly end: number
  /** Where its graphic control extension is, if it has one. */
  readonly control: number | undefined
  /** Colours of the table that it uses. */
  readonly colours: number
  /** Where its coded pixels begin: at the code size. */
  readonly data: number
}

/** What is known of a GIF by its blocks. */
export interface GifHeader {
  /** The logical screen (§18). */
  readonly width: number
  readonly height: number
  readonly frames: number
  /** Whether some of the screen is, at some time, covered by nothing or by a transparent pixel. */
  readonly hasAlpha: boolean
  /** Whether it has to be rewritten for libvips to show the whole screen with what is clear. */
  readonly needsCanvas: boolean
}

interface Gif {
  readonly width: number
  readonly height: number
  /** Where the blocks begin: after the global colour table. */
  readonly blocks: number
  readonly frames: readonly GifFrame[]
  /** Extensions that are metadata: comments, texts, application data but that of loops. */
  readonly metadata: readonly { readonly start: number; readonly end: number }[]
  /** Where the trailer is, or the end of what can be read. */
  readonly end: number
}

const EXTENSION = 0x21
const IMAGE = 0x2c
const CONTROL = 0xf9
const APPLICATION = 0xff
/** Bytes of an application extension that says how often all is shown, and nothing else. */
const LOOP_LENGTH = 19
const tableSize = (packed: number): number => ((packed & 0x80) === 0 ? 0 : 3 * 2 ** ((packed & 7) + 1))

/** Where the sub-blocks that begin here end; undefined where they are cut. */
function afterSubBlocks(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at < bytes.length; ) {
    const size = bytes[at] ?? 0
    at += size + 1
    if (size === 0) return at
  }
  return undefined
}

function parse(bytes: Buffer): Gif {
  const width = bytes.length >= 13 ? bytes.readUInt16LE(6) : 0
  const height = bytes.length >= 13 ? bytes.readUInt16LE(8) : 0
  const blocks = 13 + tableSize(bytes[10] ?? 0)
  const frames: GifFrame[] = []
  const metadata: { start: number; end: number }[] = []
  let control: number | undefined
  let at = blocks
  while (at < bytes.length) {
    const start = at
    if (bytes[at] === EXTENSION) {
      const end = afterSubBlocks(bytes, at + 2)
      if (end === undefined) break
      const label = bytes[at + 1]
      const isLoop =
        label === APPLICATION &&
        end - start === LOOP_LENGTH &&
        /^(?:NETSCAPE|ANIMEXTS)/.test(bytes.toString('latin1', at + 3, at + 11))
      if (label === CONTROL) control = start
      else if (!isLoop) metadata.push({ start, end })
      at = end
      continue
    }
    if (bytes[at] !== IMAGE || at + 10 > bytes.length) break
    const end = afterSubBlocks(bytes, at + 11 + tableSize(bytes[at + 9] ?? 0))
    const packed = control === undefined ? 0 : (bytes[control + 3] ?? 0)
    frames.push({
      left: bytes.readUInt16LE(at + 1),
      top: bytes.readUInt16LE(at + 3),
      width: bytes.readUInt16LE(at + 5),
      height: bytes.readUInt16LE(at + 7),
      disposal: (packed >> 2) & 7,
      isTransparent: (packed & 1) === 1,
      start: control ?? start,
      end: end ?? bytes.length,
      control,
      colours: (tableSize(bytes[at + 9] ?? 0) || tableSize(bytes[10] ?? 0)) / 3,
      data: at + 10 + tableSize(bytes[at + 9] ?? 0),
    })
    control = undefined
    at = end ?? bytes.length
  }
  return { width, height, blocks, frames, metadata, end: at }
}

const covers = (frame: GifFrame, { width, height }: Pick<Gif, 'width' | 'height'>): boolean =>
  frame.left === 0 && frame.top === 0 && frame.width >= width && frame.height >= height

/** Whether at some time a part of the screen has nothing on it: no frame came there, or the last one was taken away. */
function showsClear(gif: Gif): boolean {
  let isFilled = false
  for (const frame of gif.frames) {
    if (!isFilled && !covers(frame, gif)) return true
    if (frame.disposal === 2) isFilled = false
    else if (frame.disposal < 2) isFilled = true
  }
  return false
}

/** Reads the blocks. */
export function readGif(bytes: Buffer): GifHeader {
  const gif = parse(bytes)
  const { width, height, frames } = gif
  const [first] = frames
  const isOpen = showsClear(gif)
  return {
    width: width || (first?.width ?? 0),
    height: height || (first?.height ?? 0),
    frames: Math.max(1, frames.length),
    hasAlpha: isOpen || frames.some((frame) => frame.isTransparent),
    needsCanvas: width > 0 && height > 0 && isOpen,
  }
}

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
  let held = 0
  for (let block = data + 1; block < end && (bytes[block] ?? 0) > 0; block += (bytes[block] ?? 0) + 1) {
    const stop = Math.min(end, block + 1 + (bytes[block] ?? 0))
    for (let at = block + 1; at < stop; at += 1) {
      held |= (bytes[at] ?? 0) << bits
      bits += 8
      while (bits >= width) {
        const code = held & ((1 << width) - 1)
        held >>>= width
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
  let held = 0
  let width = CODE_SIZE + 1
  const emit = (code: number): void => {
    held |= code << bits
    for (bits += width; bits >= 8; bits -= 8) {
      bytes.push(held & 255)
      held >>>= 8
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
  bytes.push(held & 255)
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
  const gif = parse(bytes)
  const { bytes: changed, doubled } = clearing(bytes, gif)
  const head = bytes.subarray(0, gif.blocks)
  return { bytes: Buffer.concat([head, corner(gif.width, gif.height), changed]), doubled }
}

/** The same picture without comments, texts and application data but that of loops. */
export function stripGif(bytes: Buffer): Buffer {
  const { metadata, end } = parse(bytes)
  const kept: Buffer[] = []
  let from = 0
  for (const one of metadata) {
    kept.push(bytes.subarray(from, one.start))
    from = one.end
  }
  kept.push(bytes.subarray(from, end), Buffer.from([0x3b]))
  return Buffer.concat(kept)
}

/** The blocks of a GIF (GIF89a), and a GIF without metadata. */

/** A frame of a GIF, in pixels of the logical screen. */
export interface GifFrame {
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
  /** Size of the colour table that it uses. */
  readonly colours: number
  /** Where its coded pixels begin: at the code size. */
  readonly data: number
}

/** The facts of a GIF. */
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

export interface Gif {
  readonly width: number
  readonly height: number
  /** Where the blocks begin: after the global colour table. */
  readonly blocks: number
  readonly frames: readonly GifFrame[]
  /** Extensions that are metadata: comments, texts, application data but that of loops. */
  readonly metadata: readonly { readonly start: number; readonly end: number }[]
  /** Where the trailer is, or what can be read ends. */
  readonly end: number
}

export const EXTENSION = 0x21
export const IMAGE = 0x2c
export const CONTROL = 0xf9
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

export function parseGif(bytes: Buffer): Gif {
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

export const covers = (frame: GifFrame, { width, height }: Pick<Gif, 'width' | 'height'>): boolean =>
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
  const gif = parseGif(bytes)
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

/** The same picture without comments, texts and application data but that of loops. */
export function stripGif(bytes: Buffer): Buffer {
  const { metadata, end } = parseGif(bytes)
  const pieces: Buffer[] = []
  let from = 0
  for (const one of metadata) {
    pieces.push(bytes.subarray(from, one.start))
    from = one.end
  }
  pieces.push(bytes.subarray(from, end), Buffer.from([0x3b]))
  return Buffer.concat(pieces)
}

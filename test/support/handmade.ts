/** Pictures written by hand, chunk by chunk and box by box: what no encoder at hand makes. */
import { crc32, deflateSync } from 'node:zlib'

/** A pixel: one value a channel, in the range of the depth. */
export type Pixel = readonly number[]
/** What is drawn at a place. */
export type Draw = (x: number, y: number) => Pixel

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, index * 4)
  return bytes
}
const u16 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2)
  return bytes
}
const text = (value: string): Buffer => Buffer.from(value, 'latin1')

/** A chunk of a PNG (PNG third edition §5.3). */
export function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([text(type), data])
  return Buffer.concat([u32(data.length), body, u32(crc32Of(body))])
}

/** `node:zlib` has crc32 from Node 20.15 and 22.2 on. */
const crc32Of = (bytes: Buffer): number => crc32(bytes)

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

/** How a PNG is written. */
export interface PngOptions {
  readonly width: number
  readonly height: number
  /** Bits a sample. @default 8 */
  readonly depth?: 1 | 2 | 4 | 8 | 16
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. @default 2 */
  readonly colourType?: 0 | 2 | 3 | 4 | 6
  /** Chunks between IHDR and IDAT, as they are. */
  readonly chunks?: readonly Buffer[]
  /** Further frames of an APNG. */
  readonly frames?: readonly Draw[]
}

function pngRows({ width, height, depth = 8, colourType = 2 }: PngOptions, draw: Draw): Buffer {
  const channels = CHANNELS[colourType] ?? 3
  const rowBytes = Math.ceil((width * channels * depth) / 8)
  const rows = Buffer.alloc((rowBytes + 1) * height)
  for (let y = 0; y < height; y += 1) {
    const start = y * (rowBytes + 1) + 1
    for (let x = 0; x < width; x += 1) {
      draw(x, y).forEach((value, channel) => {
        const sample = x * channels + channel
        if (depth === 16) rows.writeUInt16BE(value, start + sample * 2)
        else if (depth === 8) rows[start + sample] = value
        else {
          const bit = sample * depth
          const at = start + (bit >> 3)
          rows[at] = (rows[at] ?? 0) | (value << (8 - depth - (bit & 7)))
        }
      })
    }
  }
  return deflateSync(rows)
}

/** A PNG of what is drawn; with `frames`, an APNG whose first frame is the default image. */
export function handmadePng(options: PngOptions, draw: Draw): Buffer {
  const { width, height, depth = 8, colourType = 2, chunks = [], frames = [] } = options
  const header = Buffer.concat([u32(width, height), Buffer.from([depth, colourType, 0, 0, 0])])
  const control = (sequence: number): Buffer =>
    pngChunk('fcTL', Buffer.concat([u32(sequence, width, height, 0, 0), u16(1, 10), Buffer.from([0, 0])]))
  const moves = frames.length > 0
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk('IHDR', header),
    ...(moves ? [pngChunk('acTL', u32(frames.length + 1, 0)), control(0)] : []),
    ...chunks,
    pngChunk('IDAT', pngRows(options, draw)),
    ...frames.flatMap((frame, index) => [
      control(index * 2 + 1),
      pngChunk('fdAT', Buffer.concat([u32(index * 2 + 2), pngRows(options, frame)])),
    ]),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

/** Chunks that say what the colours of a PNG mean (PNG third edition §11.3.2). */
export const colourChunk = {
  /** @param gamma of the encoding: 1 for linear, 1/2.2 for what most displays do */
  gAMA: (gamma: number): Buffer => pngChunk('gAMA', u32(Math.round(gamma * 100_000))),
  /** White and the primaries as x, y. */
  cHRM: (...xy: readonly number[]): Buffer =>
    pngChunk('cHRM', u32(...xy.map((value) => Math.round(value * 100_000)))),
  sRGB: (): Buffer => pngChunk('sRGB', Buffer.from([0])),
  /** Code points of ITU-T H.273. */
  cICP: (primaries: number, transfer: number): Buffer =>
    pngChunk('cICP', Buffer.from([primaries, transfer, 0, 1])),
  iCCP: (profile: Buffer): Buffer => pngChunk('iCCP', Buffer.concat([text('icc\0\0'), deflateSync(profile)])),
}

/** Rec. 709 and Display P3 as cHRM has them. */
export const CHROMATICITIES = {
  srgb: [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06],
  p3: [0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06],
} as const

/** A box of ISO 14496-12. */
export const box = (type: string, ...content: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(content)
  return Buffer.concat([u32(body.length + 8), text(type), body])
}
const fullBox = (type: string, version: number, flags: number, ...content: readonly Buffer[]): Buffer =>
  box(type, u32((version << 24) | flags), ...content)

/** The boxes of a file or of a box's content. */
function boxesOf(bytes: Buffer, from = 0, to = bytes.length) {
  const found: { type: string; start: number; content: number; end: number }[] = []
  for (let at = from; at + 8 <= to; ) {
    const size = bytes.readUInt32BE(at) || to - at
    found.push({
      type: bytes.toString('latin1', at + 4, at + 8),
      start: at,
      content: at + 8,
      end: at + size,
    })
    at += size
  }
  return found
}
const boxIn = (bytes: Buffer, path: readonly string[]) => {
  let range = { content: 0, end: bytes.length, start: 0 }
  for (const type of path) {
    const skip = range.start > 0 || range.content > 0 ? (type === 'iprp' || type === 'iloc' ? 4 : 0) : 0
    const next = boxesOf(bytes, range.content + skip, range.end).find((one) => one.type === type)
    if (next === undefined) throw new Error(`no box ${type}`)
    range = next
  }
  return range
}

/** An AVIF whose `colr` box of type `nclx` says something else (ITU-T H.273 code points). */
export function withNclx(avif: Buffer, primaries: number, transfer: number): Buffer {
  const changed = Buffer.from(avif)
  const at = changed.indexOf('colrnclx')
  if (at < 0) throw new Error('no colr box of type nclx')
  changed.writeUInt16BE(primaries, at + 8)
  changed.writeUInt16BE(transfer, at + 10)
  return changed
}

/** The coded picture of an AVIF of one item, and its properties as they are. */
function itemOf(avif: Buffer) {
  const properties = boxIn(avif, ['meta', 'iprp'])
  const container = boxesOf(avif, properties.content, properties.end).find(({ type }) => type === 'ipco')
  if (container === undefined) throw new Error('no properties')
  const boxes = boxesOf(avif, container.content, container.end)
    .filter(({ type }) => ['av1C', 'ispe', 'pixi', 'colr'].includes(type))
    .map(({ start, end }) => avif.subarray(start, end))
  const data = boxIn(avif, ['mdat'])
  return { boxes, data: avif.subarray(data.content, data.end) }
}

/**
 * An AVIF of several independent pictures (a collection of items, ISO 23008-12 §6), each an AVIF of one item without alpha.
 * @param primary which of them is the primary item, from 0
 */
export function avifCollection(
  pictures: readonly Buffer[],
  primary = 0,
  brands: readonly [string, ...string[]] = ['avif', 'avif', 'mif1', 'miaf'],
): Buffer {
  const items = pictures.map(itemOf)
  // Seven bits tell a property: those that are alike are one.
  const boxes: Buffer[] = []
  const placeOf = (property: Buffer): number => {
    const known = boxes.findIndex((one) => one.equals(property))
    return (known < 0 ? boxes.push(property) - 1 : known) + 1
  }
  const associations = items.map((item, index) => {
    const own = item.boxes.map(placeOf)
    return Buffer.concat([u16(index + 1), Buffer.from([own.length, ...own])])
  })
  const make = (offset: number): Buffer => {
    let at = offset
    const locations = items.map(({ data }, index) => {
      const entry = Buffer.concat([u16(index + 1, 0, 1), u32(at, data.length)])
      at += data.length
      return entry
    })
    const [major, ...compatible] = brands
    const ftyp = box('ftyp', text(major), u32(0), text(compatible.join('')))
    const meta = fullBox(
      'meta',
      0,
      0,
      fullBox('hdlr', 0, 0, u32(0), text('pict'), Buffer.alloc(12), Buffer.from([0])),
      fullBox('pitm', 0, 0, u16(primary + 1)),
      fullBox('iloc', 0, 0, Buffer.from([0x44, 0x00]), u16(items.length), ...locations),
      fullBox(
        'iinf',
        0,
        0,
        u16(items.length),
        ...items.map((_item, index) => fullBox('infe', 2, 0, u16(index + 1, 0), text('av01'), text('\0'))),
      ),
      box('iprp', box('ipco', ...boxes), fullBox('ipma', 0, 0, u32(items.length), ...associations)),
    )
    return Buffer.concat([ftyp, meta])
  }
  const head = make(0)
  return Buffer.concat([make(head.length + 8), box('mdat', ...items.map(({ data }) => data))])
}

/** A frame of a GIF: what is drawn are places in the colour table. */
export interface GifFrameOptions {
  readonly left?: number
  readonly top?: number
  readonly width: number
  readonly height: number
  /** 1: left in place, 2: cleared, 3: what was there before comes back. @default 1 */
  readonly disposal?: number
  /** Place in the colour table that is clear. */
  readonly clear?: number
  /** Hundredths of a second. @default 10 */
  readonly delay?: number
  readonly draw: (x: number, y: number) => number
}

/** Codes of 9 bits with a clear code before the table would grow: LZW without compression. */
function gifData({ width, height, draw }: GifFrameOptions): Buffer {
  const CLEAR = 256
  const bytes: number[] = []
  let bits = 0
  let held = 0
  const emit = (code: number): void => {
    held |= code << bits
    for (bits += 9; bits >= 8; bits -= 8) {
      bytes.push(held & 255)
      held >>= 8
    }
  }
  for (let at = 0; at < width * height; at += 1) {
    if (at % 250 === 0) emit(CLEAR)
    emit(draw(at % width, Math.floor(at / width)))
  }
  emit(CLEAR + 1)
  bytes.push(held & 255)
  const blocks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 255) {
    const part = bytes.slice(at, at + 255)
    blocks.push(Buffer.from([part.length, ...part]))
  }
  return Buffer.concat([Buffer.from([8]), ...blocks, Buffer.from([0])])
}

const le16 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16LE(value, index * 2)
  return bytes
}

/** A GIF of frames over a logical screen, with one colour table of up to 256 colours (GIF89a). */
export function handmadeGif(
  screen: { readonly width: number; readonly height: number; readonly background?: number },
  palette: readonly (readonly [number, number, number])[],
  frames: readonly GifFrameOptions[],
): Buffer {
  const table = Buffer.alloc(256 * 3)
  for (const [index, colour] of palette.entries()) table.set(colour, index * 3)
  const loop = Buffer.concat([
    Buffer.from([0x21, 0xff, 11]),
    text('NETSCAPE2.0'),
    Buffer.from([3, 1, 0, 0, 0]),
  ])
  return Buffer.concat([
    text('GIF89a'),
    le16(screen.width, screen.height),
    Buffer.from([0xf7, screen.background ?? 0, 0]),
    table,
    ...(frames.length > 1 ? [loop] : []),
    ...frames.flatMap((frame) => {
      const { left = 0, top = 0, width, height, disposal = 1, clear, delay = 10 } = frame
      const packed = (disposal << 2) | (clear === undefined ? 0 : 1)
      return [
        Buffer.from([0x21, 0xf9, 4, packed]),
        le16(delay),
        Buffer.from([clear ?? 0, 0, 0x2c]),
        le16(left, top, width, height),
        Buffer.from([0]),
        gifData(frame),
      ]
    }),
    Buffer.from([0x3b]),
  ])
}

/** A JPEG or PNG with an Exif orientation, or a WebP: as a chunk or segment of its own. */
export function exifOf(orientation: number): Buffer {
  return Buffer.concat([text('MM\0*'), u32(8), u16(1), u16(0x0112, 3), u32(1), u16(orientation, 0), u32(0)])
}

/** A WebP in the extended format with an Exif chunk at its end (RFC 9649 §2.7). */
export function withWebpExif(webp: Buffer, width: number, height: number, exif: Buffer): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(data.length)
    return Buffer.concat([text(type), size, data, Buffer.alloc(data.length & 1)])
  }
  const flags = (has: number): Buffer => {
    const data = Buffer.alloc(10)
    data[0] = has
    data.writeUIntLE(width - 1, 4, 3)
    data.writeUIntLE(height - 1, 7, 3)
    return chunk('VP8X', data)
  }
  const isExtended = webp.toString('latin1', 12, 16) === 'VP8X'
  const head = isExtended ? flags((webp[20] ?? 0) | 0x08) : flags(0x08)
  const rest = webp.subarray(isExtended ? 30 : 12)
  const body = Buffer.concat([head, rest, chunk('EXIF', exif)])
  const riff = Buffer.from(webp.subarray(0, 12))
  riff.writeUInt32LE(body.length + 4, 4)
  return Buffer.concat([riff, body])
}

/** An ICC profile of grey with this curve (ICC.1): a gamma, or a table of samples. */
export function greyProfile(curve: number | readonly number[]): Buffer {
  const data =
    typeof curve === 'number'
      ? Buffer.concat([text('curv'), u32(0, 1), u16(Math.round(curve * 256))])
      : Buffer.concat([text('curv'), u32(0, curve.length), u16(...curve.map((v) => Math.round(v * 65_535)))])
  return profileOf('GRAY', [
    ['wtpt', xyzTag(0.9642, 1, 0.8249)],
    ['kTRC', data],
  ])
}
const s15 = (value: number): number => Math.round(value * 65_536)
const xyzTag = (...values: number[]): Buffer => Buffer.concat([text('XYZ '), u32(0, ...values.map(s15))])
/** An ICC profile of RGB by primaries (XYZ under D50) and a gamma; the sRGB curve where that is left out. */
export function rgbProfile(columns: readonly (readonly [number, number, number])[], gamma?: number): Buffer {
  const curve =
    gamma === undefined
      ? Buffer.concat([
          text('para'),
          u32(0),
          u16(3, 0),
          u32(...[2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045].map(s15)),
        ])
      : Buffer.concat([text('curv'), u32(0, 1), u16(Math.round(gamma * 256))])
  const [red = [0, 0, 0], green = [0, 0, 0], blue = [0, 0, 0]] = columns
  return profileOf('RGB ', [
    ['wtpt', xyzTag(0.9642, 1, 0.8249)],
    ['rXYZ', xyzTag(...red)],
    ['gXYZ', xyzTag(...green)],
    ['bXYZ', xyzTag(...blue)],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ])
}
/** Primaries of RGB spaces as ICC profiles have them: XYZ under D50. */
export const ICC_PRIMARIES = {
  srgb: [
    [0.4361, 0.2225, 0.0139],
    [0.3851, 0.7169, 0.0971],
    [0.1431, 0.0606, 0.7141],
  ],
  p3: [
    [0.5151, 0.2412, -0.0011],
    [0.292, 0.6922, 0.0419],
    [0.1571, 0.0666, 0.7841],
  ],
  adobe: [
    [0.6097, 0.3111, 0.0195],
    [0.2053, 0.6257, 0.0609],
    [0.1492, 0.0632, 0.7446],
  ],
} as const

function profileOf(space: string, tags: readonly (readonly [string, Buffer])[]): Buffer {
  const description = Buffer.concat([
    text('mluc'),
    u32(0, 1, 12),
    text('enUS'),
    u32(8, 28),
    u16(116, 101, 115, 116),
  ])
  const all = [['desc', description], ['cprt', description], ...tags] as const
  let offset = 128 + 4 + all.length * 12
  const table: Buffer[] = [u32(all.length)]
  const data: Buffer[] = []
  for (const [name, content] of all) {
    table.push(text(name), u32(offset, content.length))
    const padded = Buffer.concat([content, Buffer.alloc(-content.length & 3)])
    data.push(padded)
    offset += padded.length
  }
  const header = Buffer.alloc(128)
  header.writeUInt32BE(offset, 0)
  header.writeUInt32BE(0x04300000, 8)
  header.write(`mntr${space}XYZ `, 12, 'latin1')
  header.write('acsp', 36, 'latin1')
  for (const [index, value] of [0.9642, 1, 0.8249].entries()) header.writeInt32BE(s15(value), 68 + index * 4)
  return Buffer.concat([header, ...table, ...data])
}

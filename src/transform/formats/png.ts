/** The chunks of a PNG (PNG third edition, W3C 2025; APNG is part of it). */

/** The colour chunks of a PNG, each undefined where there is none. */
export interface PngColour {
  /** Code points of ITU-T H.273. */
  readonly cicp?: { readonly primaries: number; readonly transfer: number }
  /** The `iCCP` chunk's profile, still compressed. */
  readonly compressedProfile?: Uint8Array
  readonly isSrgb: boolean
  /** White, red, green, blue: x and y of each. */
  readonly chromaticities?: readonly number[]
  /** Exponent of the encoding. */
  readonly gamma?: number
}

/** The facts of a PNG. */
export interface PngHeader {
  readonly depth: number
  readonly isGrey: boolean
  readonly isPalette: boolean
  readonly hasAlpha: boolean
  /** Frames of an APNG, 1 for a still one. */
  readonly frames: number
  readonly colour: PngColour
}

interface Chunk {
  readonly type: string
  readonly start: number
  readonly data: Buffer
  readonly end: number
}

const SIGNATURE_LENGTH = 8

/** The chunks of a PNG in their order; ends at the first that is cut. */
function* chunksOf(bytes: Buffer): Generator<Chunk> {
  for (let at = SIGNATURE_LENGTH; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    const end = at + 12 + length
    if (end > bytes.length) return
    const type = bytes.toString('latin1', at + 4, at + 8)
    yield { type, start: at, data: bytes.subarray(at + 8, at + 8 + length), end }
    at = end
  }
}

const GREY = new Set([0, 4])
const WITH_ALPHA = new Set([4, 6])
const PALETTE = 3

/** Reads the chunks before the pixels; undefined where there is no header. */
export function readPng(bytes: Buffer): PngHeader | undefined {
  let header: { depth: number; colourType: number } | undefined
  let isAnimated = false
  let hasTransparency = false
  const colour: { -readonly [K in keyof PngColour]: PngColour[K] } = { isSrgb: false }
  let isBefore = true
  let controls = 0
  for (const { type, data } of chunksOf(bytes)) {
    if (type === 'fcTL') controls += 1
    if (type === 'IDAT') isBefore = false
    // A still picture is known by what comes before its pixels.
    if (!isBefore && !isAnimated) break
    if (!isBefore) continue
    if (type === 'IHDR' && data.length >= 13) header = { depth: data[8] ?? 8, colourType: data[9] ?? 2 }
    if (type === 'acTL' && data.length >= 8) isAnimated = data.readUInt32BE(0) > 1
    if (type === 'tRNS') hasTransparency = true
    // Only RGB can be in a PNG.
    if (type === 'cICP' && data.length === 4 && data[2] === 0)
      colour.cicp = { primaries: data[0] ?? 2, transfer: data[1] ?? 2 }
    if (type === 'iCCP') {
      const name = data.indexOf(0)
      if (name > 0 && data[name + 1] === 0) colour.compressedProfile = data.subarray(name + 2)
    }
    if (type === 'sRGB') colour.isSrgb = true
    if (type === 'gAMA' && data.length === 4) colour.gamma ??= data.readUInt32BE(0) / 100_000
    if (type === 'cHRM' && data.length === 32)
      colour.chromaticities = Array.from({ length: 8 }, (_, index) => data.readUInt32BE(index * 4) / 100_000)
  }
  if (header === undefined) return undefined
  const { depth, colourType } = header
  return {
    depth,
    isGrey: GREY.has(colourType),
    isPalette: colourType === PALETTE,
    hasAlpha: WITH_ALPHA.has(colourType) || hasTransparency,
    // The count in acTL may be wrong.
    frames: isAnimated ? Math.max(1, controls) : 1,
    colour,
  }
}

/** Chunks that the picture is made of; any other is metadata. */
const PICTURE = new Set(
  'IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD pHYs acTL fcTL fdAT'.split(' '),
)

/** The same picture without texts, times, Exif and unknown chunks; what follows the end goes too. */
export function stripPng(bytes: Buffer): Buffer {
  const pieces = [bytes.subarray(0, SIGNATURE_LENGTH)]
  for (const { type, start, end } of chunksOf(bytes)) {
    if (PICTURE.has(type)) pieces.push(bytes.subarray(start, end))
    if (type === 'IEND') break
  }
  return Buffer.concat(pieces)
}

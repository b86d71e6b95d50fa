/** A file before it is decoded: its header checked against the bounds, and the bytes as libvips has to read them. */
import sharp, { type Metadata, type SharpOptions } from 'sharp'
import type { Traits } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { type Format, isFormat, type Kind } from '../model/media-type.js'
import { isMovingFormat } from '../model/output.js'
import { type Colour, colourOfAvif, colourOfPng } from './colour/colour.js'
import { asStill, readAvif } from './formats/avif.js'
import { readGif } from './formats/gif.js'
import { withCanvas } from './formats/gif-canvas.js'
import { isShowable, readJpeg, withEnd, withoutPadding } from './formats/jpeg.js'
import { readPng } from './formats/png.js'
import { readWebp, stripWebp } from './formats/webp.js'
import type { DecodeLimits } from './transformer.js'

/** The longest side of a picture that is decoded, pixels: longer ones cost memory out of proportion to their bytes. */
const MAX_SOURCE_SIDE = 200_000

/** A file whose header has been read. */
export interface SourceImage {
  readonly format: Format
  /** As they came. */
  readonly original: Buffer
  /** As they are decoded. */
  readonly bytes: Buffer
  /** Upright sides, pixels. */
  readonly width: number
  readonly height: number
  /** Pictures that follow each other in time. */
  readonly frames: number
  readonly traits: Traits
  /** Whether libvips can decode it moving. */
  readonly canMove: boolean
  readonly isTurned: boolean
  readonly isPalette: boolean
  readonly colour: Colour
  /** Bits a sample: over 8, libvips decodes 16. */
  readonly depth: number
  /** Of a JPEG: the quality that it was encoded with, where that is known. */
  readonly quality: number | undefined
  /** Ms that each frame is shown, and how often all are; for the output. */
  readonly timing: { readonly delay: number[]; readonly loop: number } | undefined
  /** How it is opened for one picture, or for all that follow each other. */
  readonly options: (isMoving: boolean) => SharpOptions
}

/** The facts that the reader of a format finds. */
interface Facts {
  readonly bytes?: Buffer
  readonly frames: number
  readonly hasAlpha?: boolean
  readonly isLossless: boolean
  readonly isPalette?: boolean
  readonly colour?: Colour
  readonly depth?: number | undefined
  readonly quality?: number | undefined
  /** Whether its end marker is to be added: all that comes before has to be whole. */
  readonly isEnded?: boolean
  /** Frames before the first that is to be shown. */
  readonly skipped?: number
  /** Frames that are followed by one more in the bytes, which shows the same. */
  readonly doubled?: ReadonlySet<number>
}

const READERS: Readonly<Record<Format, (bytes: Buffer) => Facts>> = {
  jpeg: (bytes) => {
    const header = readJpeg(bytes)
    if (!isShowable(header))
      throw new ArtworkError('unsupported', 'this kind of JPEG is not shown by browsers')
    const { quality, lacksOnlyItsEnd } = header
    return { frames: 1, hasAlpha: false, isLossless: false, quality, isEnded: lacksOnlyItsEnd }
  },
  png: (bytes) => {
    const header = readPng(bytes)
    if (header === undefined) return { frames: 1, isLossless: true }
    const { frames, hasAlpha, isPalette, depth } = header
    return { frames, hasAlpha, isLossless: true, isPalette, depth, colour: colourOfPng(header) }
  },
  gif: (bytes) => {
    const { frames, hasAlpha, needsCanvas } = readGif(bytes)
    const canvas = needsCanvas ? { ...withCanvas(bytes), skipped: 1 } : {}
    return { frames, hasAlpha, isLossless: true, isPalette: true, ...canvas }
  },
  webp: (bytes) => {
    const { frames, hasAlpha, isLossless } = readWebp(bytes)
    return { frames, hasAlpha, isLossless }
  },
  avif: (bytes) => {
    const header = readAvif(bytes)
    const { frames, hasAlpha, depth } = header
    return { bytes: asStill(bytes), frames, hasAlpha, isLossless: false, depth, colour: colourOfAvif(header) }
  },
}
/** Formats whose Exif orientation counts. Browsers leave that of WebP alone. */
const ORIENTED: ReadonlySet<Format> = new Set(['jpeg', 'png'])

/** Reads a header. @throws ArtworkError `unsupported`, `too_large`, `invalid_image` */
export async function readSource(original: Buffer, kind: Kind, limits: DecodeLimits): Promise<SourceImage> {
  if (!isFormat(kind) || !limits.formats.includes(kind))
    throw new ArtworkError('unsupported', 'this image format is not allowed')
  const facts = READERS[kind](original)
  const { frames, skipped = 0, doubled = NONE } = facts
  const metadata = await metadataOf(facts.bytes ?? original, kind, skipped)
  // A tag that does not count must not be there for an encoder that writes it on.
  const isTagged = kind === 'webp' && (metadata.orientation ?? 1) > 1
  const own = isTagged ? stripWebp(original) : (facts.bytes ?? original)
  const autoOrient = ORIENTED.has(kind)
  const { width, height } = autoOrient
    ? metadata.autoOrient
    : { width: metadata.width, height: metadata.pageHeight ?? metadata.height }
  if (Math.max(width, height) > MAX_SOURCE_SIDE)
    throw new ArtworkError('too_large', 'the image has a side that is too long')
  if (width * height > limits.maxPixels || (kind === 'avif' && width * height > limits.maxAvifPixels))
    throw new ArtworkError('too_large', 'the image has too many pixels')
  const bytes = facts.isEnded ? await ended(own, metadata) : own
  const canMove = isMovingFormat(kind) && frames > 1
  const page = kind === 'avif' ? (metadata.pagePrimary ?? 0) : skipped
  return {
    format: kind,
    original,
    bytes,
    width,
    height,
    frames,
    traits: {
      frames,
      alpha: facts.hasAlpha ?? metadata.hasAlpha,
      lossless: facts.isLossless,
      isRevised: isRevised(kind, facts, metadata),
    },
    canMove,
    isTurned: autoOrient && (metadata.orientation ?? 1) > 1,
    isPalette: facts.isPalette ?? false,
    colour: facts.colour ?? { by: 'profile' },
    depth: facts.depth ?? metadata.bitsPerSample ?? 8,
    quality: facts.quality,
    timing: canMove ? { delay: delaysOf(metadata, skipped, doubled), loop: metadata.loop ?? 0 } : undefined,
    options: (isMoving) => ({
      failOn: 'error',
      limitInputPixels: limits.maxPixels,
      autoOrient,
      page,
      pages: isMoving ? frames + doubled.size : 1,
    }),
  }
}

const NONE: ReadonlySet<number> = new Set()
/** Ms for each frame as it is decoded: two that show the same share the time of one. */
function delaysOf({ delay = [] }: Metadata, skipped: number, doubled: ReadonlySet<number>): number[] {
  const shown = delay.slice(skipped)
  let at = 0
  for (let index = 0; at < shown.length; index += 1, at += 1) {
    if (!doubled.has(index)) continue
    const half = Math.round((shown[at] ?? 0) / 2)
    shown[at] = (shown[at] ?? 0) - half
    at += 1
    shown[at] = half
  }
  return shown
}

/** Whether the first version of the pipeline rendered it differently: other colours, another shape, another item. */
function isRevised(format: Format, facts: Facts, metadata: Metadata): boolean {
  const { colour, depth = metadata.bitsPerSample ?? 8, skipped = 0 } = facts
  if (format === 'webp') return (metadata.orientation ?? 1) > 1
  if (format === 'avif' && (metadata.pages ?? 1) > 1) return true
  const isIgnored = colour?.by === 'none' && metadata.hasProfile
  const isWide = colour?.by === 'profile' && metadata.hasProfile && depth > 8
  return colour?.by === 'own' || isIgnored || isWide || skipped > 0
}

/** A JPEG with the end that it lacks. @throws ArtworkError `invalid_image` where more than that is missing */
async function ended(bytes: Buffer, metadata: Metadata): Promise<Buffer> {
  const whole = withEnd(bytes)
  try {
    await readWhole(whole, metadata)
    return whole
  } catch (error) {
    const bare = withoutPadding(bytes)
    if (bare.length === bytes.length) throw error
    await readWhole(withEnd(bare), metadata)
    return withEnd(bare)
  }
}

/** Decodes to the last row, and takes a warning for a failure: what is cut elsewhere than at its very end makes one. */
const readWhole = (bytes: Buffer, { height, width }: Metadata): Promise<Buffer> =>
  decoding(() =>
    sharp(bytes, { failOn: 'warning', limitInputPixels: false })
      .extract({ left: 0, top: height - 1, width, height: 1 })
      .raw()
      .toBuffer(),
  )

/** The metadata of the picture that counts: of an AVIF of several, the primary item. */
async function metadataOf(bytes: Buffer, format: Format, page: number): Promise<Metadata> {
  const open = (at: number): Promise<Metadata> =>
    decoding(() => sharp(bytes, { limitInputPixels: false, page: at }).metadata())
  const metadata = await open(page)
  const primary = metadata.pagePrimary ?? 0
  return format === 'avif' && primary > 0 ? open(primary) : metadata
}

/** Runs sharp, and translates its errors. @throws ArtworkError */
export async function decoding<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const text = error instanceof Error ? error.message : ''
    if (/exceeds pixel limit/i.test(text))
      throw new ArtworkError('too_large', 'the image has too many pixels', { cause: error })
    if (/save(?:_buffer)?:|\bencod/i.test(text))
      throw new ArtworkError('processing', 'the image could not be encoded', { cause: error })
    throw new ArtworkError('invalid_image', 'the image cannot be decoded', { cause: error })
  }
}

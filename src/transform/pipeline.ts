/**
 * What is done to pixels, with sharp: buffers only, every loader of libvips blocked but the few that are
 * needed (libvips chooses the loader by the bytes), orientation applied, colours turned into sRGB, metadata
 * left behind, alpha and animation kept.
 */
import sharp, { type Metadata, type Sharp } from 'sharp'
import { ArtworkError } from '../model/errors.js'
import { type Format, isFormat, type Kind } from '../model/media-type.js'
import { MAX_SIDE, type Recipe } from '../model/variant.js'
import type { DecodeLimits, Inspected, Made } from './transformer.js'

const LOADERS: Readonly<Record<Format, readonly string[]>> = {
  jpeg: ['VipsForeignLoadJpegBuffer'],
  png: ['VipsForeignLoadPngBuffer'],
  gif: ['VipsForeignLoadNsgifBuffer'],
  webp: ['VipsForeignLoadWebpBuffer'],
  avif: ['VipsForeignLoadHeifBuffer'],
}

/** Closes every loader but those of the formats, for this whole process, and keeps libvips to one thread a job. */
export function hardenSharp(formats: readonly Format[]): void {
  sharp.cache(false)
  sharp.concurrency(1)
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: formats.flatMap((format) => LOADERS[format]) })
}

/** Decodes to the end and tells the size. See the port for its errors. */
export async function inspect(bytes: Buffer, kind: Kind, limits: DecodeLimits): Promise<Inspected> {
  if (kind === 'svg') return { width: 0, height: 0, frames: 1 }
  const facts = await readHeader(bytes, kind, limits)
  await decoding(() =>
    open(bytes, facts, limits, movesWithin(facts, limits)).resize({ width: 16 }).raw().toBuffer(),
  )
  return { width: facts.width, height: facts.height, frames: facts.frames }
}

/** Makes a rendition by a recipe. See the port for its errors. */
export async function transform(
  bytes: Buffer,
  kind: Kind,
  recipe: Recipe,
  limits: DecodeLimits,
): Promise<Made> {
  if (kind === 'svg') throw new ArtworkError('unsupported', 'an SVG image is only given as it is')
  const format = recipe.format ?? kind
  if (!limits.formats.includes(format))
    throw new ArtworkError('unsupported', 'this image format is not allowed')
  const facts = await readHeader(bytes, kind, limits)
  const moving = (format === 'webp' || format === 'gif') && movesWithin(facts, limits)
  if (format === 'avif' && outputPixels(facts, recipe) > limits.maxAvifPixels)
    throw new ArtworkError('too_large', 'the image has too many pixels for this format')
  const sized = fitInto(open(bytes, facts, limits, moving), facts, recipe, format)
  const { data, info } = await decoding(() =>
    encode(sized, format, recipe.quality).toBuffer({ resolveWithObject: true }),
  )
  return { bytes: data, format, width: info.width, height: info.pageHeight ?? info.height }
}

interface Facts extends Inspected {
  readonly metadata: Metadata
}

/** The header, held against the bounds before a pixel is decoded. */
async function readHeader(bytes: Buffer, kind: Kind, limits: DecodeLimits): Promise<Facts> {
  if (!isFormat(kind) || !limits.formats.includes(kind))
    throw new ArtworkError('unsupported', 'this image format is not allowed')
  const metadata = await decoding(() => sharp(bytes, { limitInputPixels: false }).metadata())
  const { width, height } = metadata.autoOrient
  const frames = metadata.pages ?? 1
  if (width * height > limits.maxPixels || (kind === 'avif' && width * height > limits.maxAvifPixels))
    throw new ArtworkError('too_large', 'the image has too many pixels')
  if (frames > limits.maxFrames) throw new ArtworkError('too_large', 'the image has too many frames')
  return { width, height, frames, metadata }
}

/** Whether the image moves and all its frames together are small enough to keep moving. */
const movesWithin = (facts: Facts, limits: DecodeLimits): boolean =>
  facts.frames > 1 && facts.frames * facts.width * facts.height <= limits.maxPixels

const open = (bytes: Buffer, facts: Facts, limits: DecodeLimits, moving: boolean): Sharp =>
  sharp(bytes, {
    failOn: 'error',
    limitInputPixels: limits.maxPixels,
    autoOrient: true,
    pages: moving ? facts.frames : 1,
  })

/** How many pixels a rendition has, at most. */
function outputPixels(facts: Facts, { width, height, enlarge }: Recipe): number {
  const fit = Math.min((width ?? MAX_SIDE) / facts.width, (height ?? MAX_SIDE) / facts.height)
  const scale = enlarge ? fit : Math.min(1, fit)
  return Math.min(
    facts.width * facts.height * Math.max(scale * scale, 0),
    (width ?? MAX_SIDE) * (height ?? MAX_SIDE),
  )
}

/** Meets the box. Nothing is enlarged unless the recipe says so: a cover of a small image is its largest crop of that shape. */
function fitInto(image: Sharp, facts: Facts, recipe: Recipe, format: Format): Sharp {
  const { width, height, fit, enlarge } = recipe
  if (fit === 'cover' && width !== undefined && height !== undefined) {
    const scale = enlarge ? 1 : Math.min(1, facts.width / width, facts.height / height)
    const side = (length: number) => Math.max(1, Math.round(length * scale))
    return image.resize({ width: side(width), height: side(height), fit: 'cover' })
  }
  const most = format === 'webp' ? MAX_SIDE : undefined
  const overLong = most !== undefined && Math.max(facts.width, facts.height) > most
  if (width === undefined && height === undefined && !overLong) return image
  const box = {
    width: width ?? (overLong ? most : undefined),
    height: height ?? (overLong ? most : undefined),
  }
  return image.resize({ ...definedOnly(box), fit: 'inside', withoutEnlargement: !enlarge })
}

const definedOnly = (box: { width: number | undefined; height: number | undefined }) => ({
  ...(box.width === undefined ? {} : { width: box.width }),
  ...(box.height === undefined ? {} : { height: box.height }),
})

function encode(image: Sharp, format: Format, quality: number): Sharp {
  switch (format) {
    case 'jpeg':
      return image.flatten({ background: '#ffffff' }).jpeg({ quality, progressive: true })
    case 'png':
      return image.png({ compressionLevel: 9 })
    case 'gif':
      return image.gif()
    case 'webp':
      return image.webp({ quality })
    case 'avif':
      return image.avif({ quality })
  }
}

/** Runs sharp and says of its errors what a client may know. */
async function decoding<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const text = error instanceof Error ? error.message : ''
    if (/exceeds pixel limit/i.test(text))
      throw new ArtworkError('too_large', 'the image has too many pixels', { cause: error })
    throw new ArtworkError('invalid_image', 'the image cannot be decoded', { cause: error })
  }
}

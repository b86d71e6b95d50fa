/**
 * Decoding and rendering with sharp: buffers only, every loader of libvips blocked but the few that are needed (libvips
 * chooses the loader by the bytes), orientation applied, colours in sRGB, no metadata, alpha and animation preserved.
 */
import sharp, { type Sharp } from 'sharp'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { type Position, pointOf } from '../model/focal-point.js'
import type { Format, Kind } from '../model/media-type.js'
import { isMovingFormat, movesWithin, outputSize, type Size } from '../model/output.js'
import type { FullRecipe } from '../model/variant.js'
import { decoding, readSource, type SourceImage } from './check-header.js'
import type { OwnColour } from './colour/colour.js'
import { toSrgb } from './colour/to-srgb.js'
import { encode, tooLargeForFormat } from './encode.js'
import { previewOf, type RawPixels, SMALL_SIDE, type SmallCopy, shrink } from './preview.js'
import { SHARED_FORMATS, type SharedPixels, UNSHARED } from './shared-pixels.js'
import { type DecodeLimits, type Inspected, type Looked, type Made, SVG_INSPECTED } from './transformer.js'

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

/** Decodes to the end. See the port for its errors. */
export async function inspect(bytes: Buffer, kind: Kind, limits: DecodeLimits): Promise<Inspected> {
  if (kind === 'svg') return SVG_INSPECTED
  return inspectSource(await readSource(bytes, kind, limits), limits)
}

/** The facts of a source, whose pixels are decoded to the end for the copy that its preview is made of. */
async function inspectSource(source: SourceImage, limits: DecodeLimits): Promise<Inspected> {
  const { data, info } = await decoding(() =>
    sharp(source.bytes, source.options(staysMoving(source, limits)))
      .resize({ width: SMALL_SIDE, height: SMALL_SIDE, fit: 'inside', withoutEnlargement: true })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  )
  const { width } = info
  // Of what moves, the first picture.
  const height = info.pageHeight ?? info.height
  const isWhole = info.channels === 4 && data.length >= width * height * 4
  return inspectedAs(
    source,
    isWhole ? { width, height, rgba: data.subarray(0, width * height * 4) } : undefined,
  )
}

/** The facts of a source, with the preview of a copy of its pixels. */
function inspectedAs(source: SourceImage, copy: SmallCopy | undefined): Inspected {
  const preview = copy && previewOf(copy)
  const traits = preview === undefined ? source.traits : { ...source.traits, preview }
  return { width: source.width, height: source.height, traits }
}

/** Makes a rendition by a recipe. See the port for its errors. */
export async function transform(
  bytes: Buffer,
  kind: Kind,
  recipe: FullRecipe,
  limits: DecodeLimits,
  shared: SharedPixels = UNSHARED,
): Promise<Made> {
  if (kind === 'svg') throw new ArtworkError('unsupported', 'an SVG image is only given as it is')
  checkFormat(recipe, limits)
  return transformSource(await readSource(bytes, kind, limits), recipe, limits, shared)
}

function checkFormat({ format }: FullRecipe, { formats }: DecodeLimits): void {
  if (!formats.includes(format)) throw new ArtworkError('unsupported', 'this image format is not allowed')
}

async function transformSource(
  source: SourceImage,
  recipe: FullRecipe,
  limits: DecodeLimits,
  shared: SharedPixels,
): Promise<Made> {
  const { format } = recipe
  if (isMovingFormat(format) && source.canMove && source.frames > limits.maxFrames)
    throw new ArtworkError('too_large', 'the image has too many frames')
  const isMoving = isMovingFormat(format) && staysMoving(source, limits)
  const size = outputSize(source, recipe)
  const pixels = size.width * size.height * (isMoving ? source.frames : 1)
  if (format === 'avif' && pixels > limits.maxAvifPixels) throw tooLargeForFormat()
  const isShared = shared.before !== undefined || shared.keep !== undefined
  if (isShared && isPlain(source, recipe)) {
    const { before } = shared
    // Formats hold sides of different lengths.
    const isSame = before?.width === size.width && before.height === size.height
    const found = before !== undefined && isSame ? before : await pixelsIn(source, recipe)
    shared.keep?.(found)
    return encodePixels(source, recipe, false, opening(found))
  }
  const pixelsOf = await decoder(source, isMoving)
  return encodePixels(source, recipe, isMoving, () => fitInto(pixelsOf(), source, recipe, isMoving))
}

/** Decodes a still picture into its box. */
async function pixelsIn(source: SourceImage, recipe: FullRecipe): Promise<RawPixels> {
  const pixelsOf = await decoder(source, false)
  const { data, info } = await decoding(() =>
    fitInto(pixelsOf(), source, recipe).raw().toBuffer({ resolveWithObject: true }),
  )
  const { width, height, channels } = info
  return { data, width, height, channels }
}

/** Opens pixels as often as they are needed. */
const opening =
  ({ data, ...raw }: RawPixels) =>
  (): Sharp =>
    sharp(data, { raw })

/** Encodes what a source has become in its box. */
async function encodePixels(
  source: SourceImage,
  recipe: FullRecipe,
  isMoving: boolean,
  open: () => Sharp,
): Promise<Made> {
  const size = outputSize(source, recipe)
  const isWhole = source.frames === 1 || isMoving
  const { data, width, height } = await encode(
    {
      open,
      source,
      isMoving,
      pixels: size.width * size.height * (isMoving ? source.frames : 1),
      isUnchanged:
        isWhole &&
        !source.isTurned &&
        source.colour.by !== 'own' &&
        size.width === source.width &&
        size.height === source.height,
    },
    recipe,
  )
  return { bytes: data, format: recipe.format, width, height }
}

/** Side of a rendition from which on its preview is that of its original, pixels. */
const PREVIEWED_SIDE = 4 * SMALL_SIDE

/** Pixels of a rendition that may be in memory at once. */
const MOST_PIXELS = 4e6

/**
 * Whether all that is encoded are the pixels of a still picture in its box. What is wide, or has colours of its own, is
 * decoded in other ways; other formats take more than pixels from their source.
 */
function isPlain(source: SourceImage, recipe: FullRecipe): boolean {
  const { width, height } = outputSize(source, recipe)
  const isUsual = source.frames === 1 && source.depth <= 8 && source.colour.by === 'profile'
  // On white, what is seen through is laid before it is cut and resized.
  const isFlattened = recipe.format === 'jpeg' && source.traits.alpha
  return isUsual && !isFlattened && SHARED_FORMATS.has(recipe.format) && width * height <= MOST_PIXELS
}

/**
 * Whether a recipe reads a source to its end, and its pixels are all that its facts need: then one decode serves both. What
 * is cut reads some rows only.
 */
function isReadWhole(source: SourceImage, recipe: FullRecipe): boolean {
  const { width, height } = outputSize(source, recipe)
  const isCut = recipe.fit === 'cover' && recipe.width !== undefined && recipe.height !== undefined
  // Of less than its preview is made of, nothing can be seen.
  const isSeen = Math.max(width, height) >= Math.min(PREVIEWED_SIDE, Math.max(source.width, source.height))
  return isSeen && !isCut && isPlain(source, recipe)
}

/** The first look. See the port for its errors. */
export async function look(
  bytes: Buffer,
  kind: Kind,
  recipe: FullRecipe,
  limits: DecodeLimits,
  shared: SharedPixels = UNSHARED,
): Promise<Looked> {
  const source = await readSource(bytes, kind, limits)
  if (source.frames > 1) return { inspected: await inspectSource(source, limits), made: undefined }
  const attempt = (make: () => Promise<Made>): Promise<Made | ArtworkError> =>
    make().catch((error) => asArtworkError(error))
  if (!limits.formats.includes(recipe.format) || !isReadWhole(source, recipe)) {
    const inspected = await inspectSource(source, limits)
    const made = await attempt(async () => {
      checkFormat(recipe, limits)
      return transformSource(source, recipe, limits, shared)
    })
    return { inspected, made }
  }
  const found = await pixelsIn(source, recipe)
  shared.keep?.(found)
  const inspected = inspectedAs(source, shrink(found))
  return { inspected, made: await attempt(() => encodePixels(source, recipe, false, opening(found))) }
}

/** Whether the image moves and all its frames together are small enough to keep moving. */
const staysMoving = (source: SourceImage, limits: DecodeLimits): boolean =>
  source.canMove && movesWithin(source.frames, source, limits)

/** The decoder of a source, its colours in sRGB before anything else is done. May be asked for more than once. */
async function decoder(source: SourceImage, isMoving: boolean): Promise<() => Sharp> {
  const options = source.options(isMoving)
  const { colour, depth } = source
  if (colour.by === 'own') {
    const raw = await inSrgb(source, colour)
    return () => sharp(raw.data, { raw: raw.info, limitInputPixels: false })
  }
  if (colour.by === 'none') return () => sharp(source.bytes, { ...options, ignoreIcc: true })
  const open = (): Sharp => sharp(source.bytes, options)
  // libvips works on 16 bits in Display P3: the output profile has to be named.
  return depth > 8 ? () => open().withIccProfile('srgb', { attach: false }) : open
}

/** The largest sample of a depth, after libvips has shifted it to 16 bits. */
const mostOf = (depth: number): number =>
  depth > 8 && depth < 16 ? ((1 << depth) - 1) << (16 - depth) : 65_535

/** Pixels with colours converted here, 8 bits a sample. */
async function inSrgb(source: SourceImage, colour: OwnColour) {
  const isWide = source.depth > 8
  const image = sharp(source.bytes, { ...source.options(false), ignoreIcc: true })
  const samples = isWide
    ? image.toColourspace('rgb16').raw({ depth: 'ushort' })
    : image.toColourspace('srgb').raw()
  const { data, info } = await decoding(() => samples.toBuffer({ resolveWithObject: true }))
  const { width, height, channels } = info
  const most = isWide ? mostOf(source.depth) : 255
  return { data: toSrgb({ data, channels, isWide, most }, colour), info: { width, height, channels } }
}

/** Fills a box. Of what moves, no part draws the eye more than another: it is cut about its middle. */
function cutTo(
  image: Sharp,
  source: SourceImage,
  size: Size,
  position: Position | undefined,
  isMoving: boolean,
): Sharp {
  const point = position === undefined ? undefined : pointOf(position)
  if (point === undefined)
    return image.resize({
      ...size,
      fit: 'cover',
      ...(position === 'attention' && !isMoving && { position: 'attention' }),
    })
  const scale = Math.max(size.width / source.width, size.height / source.height)
  const width = Math.max(size.width, Math.round(source.width * scale))
  const height = Math.max(size.height, Math.round(source.height * scale))
  /** The beginning of a stretch about a point, within a whole. */
  const begin = (whole: number, part: number, percent: number): number =>
    Math.min(whole - part, Math.max(0, Math.round((whole * percent) / 100 - part / 2)))
  return image
    .resize({ width, height, fit: 'fill' })
    .extract({ left: begin(width, size.width, point.x), top: begin(height, size.height, point.y), ...size })
}

/** Meets the box, to the pixel: a decoder that shrinks while it loads would round the sides in its own way. */
function fitInto(image: Sharp, source: SourceImage, recipe: FullRecipe, isMoving = false): Sharp {
  const size = outputSize(source, recipe)
  if (recipe.fit === 'cover' && recipe.width !== undefined && recipe.height !== undefined)
    return cutTo(image, source, size, recipe.position, isMoving)
  const isSame = size.width === source.width && size.height === source.height
  return isSame ? image : image.resize({ ...size, fit: 'fill' })
}

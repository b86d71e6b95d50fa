/** Encoding: each format within its budget, and with a second way where the file comes out larger than its source. */
import type { Sharp } from 'sharp'
import { type EncodeJob, effortFor, isAffordable, MOST_WORK, workOf } from '../model/encode-budget.js'
import { ArtworkError } from '../model/failure.js'
import type { Format } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'
import { decoding, type SourceImage } from './check-header.js'
import { readAvif } from './formats/avif.js'
import { stripGif } from './formats/gif.js'
import { stripJpeg } from './formats/jpeg.js'
import { stripPng } from './formats/png.js'
import { stripWebp } from './formats/webp.js'

/** What was encoded. */
export interface Encoded {
  readonly data: Buffer
  readonly width: number
  readonly height: number
}

/** Pixels that are ready to be encoded. */
export interface Ready {
  /** Makes the pipeline anew: it may be needed twice. */
  readonly open: () => Sharp
  readonly source: SourceImage
  readonly isMoving: boolean
  /** Pixels of all frames together, as they come out. */
  readonly pixels: number
  /** Whether it is the picture of the source, pixel for pixel in place. */
  readonly isUnchanged: boolean
}

/** How a format is encoded. */
interface Choice {
  readonly quality: number
  readonly isLossless?: boolean
}

/** Pixels from which on a PNG is deflated with less effort. */
const LARGE = 16e6

/** The error for a picture that is more than a format may be made of. */
export const tooLargeForFormat = (): ArtworkError =>
  new ArtworkError('too_large', 'the image has too many pixels for this format')

/** Encodes by the recipe. @throws ArtworkError `too_large` before any work, `invalid_image`, `processing` */
export async function encode(ready: Ready, recipe: FullRecipe): Promise<Encoded> {
  const { source, isUnchanged } = ready
  const { format } = recipe
  const first = await encodeAs(ready, recipe, { quality: recipe.quality })
  const isLarger = first.data.length > source.original.length
  if (!isLarger || ready.pixels > source.width * source.height * source.frames) return first
  const made = [first]
  const other = otherChoice(ready, recipe)
  if (other !== undefined) made.push(await encodeAs(ready, recipe, other))
  const stripped = isUnchanged && format === source.format ? STRIPPERS[format](source) : undefined
  if (stripped !== undefined) made.push({ ...first, data: stripped })
  return made.reduce((best, one) => (one.data.length < best.data.length ? one : best))
}

/** For a picture that came out larger than the whole original: what its own kind of encoding would be. */
function otherChoice({ source, pixels, isMoving }: Ready, recipe: FullRecipe): Choice | undefined {
  const { format, quality, effort = 0 } = recipe
  const frames = isMoving ? source.frames : 1
  const isLossless = format === 'webp' && source.traits.lossless
  if (format !== 'webp' && format !== 'jpeg') return undefined
  const first: EncodeJob = { format, pixels, frames }
  const second: EncodeJob = { ...first, isLossless }
  // Both have to be done in the time of one.
  const spent = workOf(first, effortFor(first, effort) ?? 0)
  const wanted = workOf(second, effortFor(second, effort) ?? 0)
  if (spent + wanted > MOST_WORK) return undefined
  if (isLossless) return { quality, isLossless }
  // More quality than the source has only encodes its artefacts.
  const lower = source.quality ?? (source.format === 'webp' ? quality - 15 : quality)
  return lower < quality ? { quality: Math.max(lower, 1) } : undefined
}

async function encodeAs(ready: Ready, recipe: FullRecipe, choice: Choice): Promise<Encoded> {
  const { source, isMoving, pixels } = ready
  const { format } = recipe
  const { isLossless = false } = choice
  const job: EncodeJob = { format, pixels, frames: isMoving ? source.frames : 1, isLossless }
  // A palette that costs too much is done without, in PNG.
  const isPalette = format === 'png' && source.isPalette && isAffordable({ ...job, isPalette: true })
  const effort = effortFor({ ...job, isPalette }, recipe.effort ?? 0)
  if (effort === undefined) throw tooLargeForFormat()
  const timing = isMoving && source.timing !== undefined ? source.timing : {}
  const image = ready.open()
  const write = (): Sharp => {
    switch (format) {
      case 'jpeg':
        return image.flatten({ background: '#ffffff' }).jpeg({ quality: choice.quality, progressive: true })
      case 'png':
        return image.png(
          isPalette
            ? { palette: true, effort, compressionLevel: 9 }
            : { compressionLevel: pixels > LARGE ? 4 : 9 },
        )
      case 'gif':
        return image.gif({ effort, ...timing })
      case 'webp':
        return isLossless
          ? image.webp({ lossless: true, effort, ...timing })
          : image.webp({ quality: choice.quality, effort, ...timing })
      case 'avif':
        return image.avif({ quality: choice.quality, effort })
    }
  }
  const { data, info } = await decoding(() => write().toBuffer({ resolveWithObject: true }))
  return { data, width: info.width, height: info.pageHeight ?? info.height }
}

/** The original without metadata; undefined where its format does not let that be done without loss. */
const STRIPPERS: Readonly<Record<Format, (source: SourceImage) => Buffer | undefined>> = {
  // With the end that it may have lacked.
  jpeg: ({ bytes }) => stripJpeg(bytes),
  png: ({ original }) => stripPng(original),
  gif: ({ original }) => stripGif(original),
  webp: ({ original }) => stripWebp(original),
  // Its boxes point into each other: what has metadata is encoded anew.
  avif: ({ original }) => (readAvif(original).hasMetadata ? undefined : original),
}

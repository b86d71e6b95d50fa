/** What comes out of a recipe, by what the source is: its size, and what a format can hold. Pure; pixels are made elsewhere. */
import type { Traits } from './entry.js'
import { type Format, isFormat, type Kind } from './media-type.js'
import { MAX_SIDE, type Recipe } from './variant.js'

/** The longest side each format can hold, pixels: by its own fields, or by what its encoder takes. */
const LONGEST_SIDE: Readonly<Record<Format, number>> = {
  // libjpeg's JPEG_MAX_DIMENSION.
  jpeg: 65_500,
  png: 10_000_000,
  gif: 65_535,
  webp: MAX_SIDE,
  // libheif, and browsers, take no more.
  avif: 16_384,
}

/** The longest side that a format can hold, pixels. */
const longestSide = (format: Format): number => LONGEST_SIDE[format]

const MOVING_FORMATS: ReadonlySet<Format> = new Set(['gif', 'webp'])

/** Whether a format is decoded and encoded moving here. AVIF and PNG could be, and are still: libvips knows no others. */
export const isMovingFormat = (format: Format): boolean => MOVING_FORMATS.has(format)

/** Whether a picture moves, and stops in whatever is made of it: an APNG, an AVIF sequence. */
export const wouldStop = (kind: Kind | undefined, traits: Pick<Traits, 'frames'> | undefined): boolean =>
  (traits?.frames ?? 1) > 1 && !(kind !== undefined && isFormat(kind) && isMovingFormat(kind))

/** Sides in pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What may be decoded moving. */
export interface MovingBounds {
  readonly maxFrames: number
  /** Of all frames together. */
  readonly maxPixels: number
}

/** Whether so many frames of a size may be decoded moving. */
export const movesWithin = (
  frames: number,
  { width, height }: Size,
  { maxFrames, maxPixels }: MovingBounds,
): boolean => frames <= maxFrames && frames * width * height <= maxPixels

/**
 * The sides that a recipe comes to.
 * @param recipe its format where the source's own is not kept
 */
export function outputSize(source: Size, recipe: Recipe & { readonly format: Format }): Size {
  const { fit, enlarge, format } = recipe
  const round = (length: number): number => Math.max(1, Math.round(length))
  if (fit === 'cover' && recipe.width !== undefined && recipe.height !== undefined) {
    const scale = enlarge ? 1 : Math.min(1, source.width / recipe.width, source.height / recipe.height)
    return { width: round(recipe.width * scale), height: round(recipe.height * scale) }
  }
  const most = longestSide(format)
  const fits = Math.min(
    Math.min(recipe.width ?? most, most) / source.width,
    Math.min(recipe.height ?? most, most) / source.height,
  )
  const isFree = recipe.width === undefined && recipe.height === undefined
  const scale = enlarge && !isFree ? fits : Math.min(1, fits)
  return { width: round(source.width * scale), height: round(source.height * scale) }
}

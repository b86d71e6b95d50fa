/** What comes out of a recipe, by what the source is: its size, and what a format can hold. Pure; pixels are made elsewhere. */
import type { Format } from './media-type.js'
import type { Recipe } from './variant.js'

/** The longest side each format can hold, pixels: by its own fields, or by what its encoder takes. */
const LONGEST_SIDE: Readonly<Record<Format, number>> = {
  // libjpeg's JPEG_MAX_DIMENSION.
  jpeg: 65_500,
  png: 10_000_000,
  gif: 65_535,
  // RFC 9649 §2.7.1.2.
  webp: 16_383,
  // libheif, and browsers, take no more.
  avif: 16_384,
}

/** The longest side that a format can hold, pixels. */
export const longestSide = (format: Format): number => LONGEST_SIDE[format]

const MOVING_FORMATS: ReadonlySet<Format> = new Set(['gif', 'webp'])

/** Whether what is encoded in a format here can move. AVIF and PNG could, and are still. */
export const isMovingFormat = (format: Format): boolean => MOVING_FORMATS.has(format)

/** Sides in pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

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

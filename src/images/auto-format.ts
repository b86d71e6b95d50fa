/** Which formats an `auto` variant may be given in, by what is known of its original. Pure. */
import { modernFormats, type Negotiation } from '../http/accept.js'
import { isAffordable } from '../model/encode-budget.js'
import type { Entry } from '../model/entry.js'
import { type Format, kindOfType } from '../model/media-type.js'
import { isMovingFormat, type MovingBounds, movesWithin, outputSize } from '../model/output.js'
import type { Recipe } from '../model/variant.js'

/** What the formats are decided by. */
export interface AutoQuestion {
  readonly original: Pick<Entry, 'type' | 'width' | 'height' | 'traits'>
  /** Media type of the source's own family, or of the preset's format. */
  readonly plainType: string
  readonly recipe: Recipe
  readonly bounds: MovingBounds & { readonly maxAvifPixels: number; readonly formats: readonly Format[] }
  /** Whether nothing that happened before speaks against AVIF; asked for still pictures only. */
  readonly isAvifWanted: () => boolean
}

/** What an `auto` variant may be given in. What moves goes on moving: made so where that can be, else as it is. */
export function negotiationFor(question: AutoQuestion): Negotiation {
  const { original, plainType, recipe, bounds, isAvifWanted } = question
  const allowed = modernFormats(bounds.formats)
  const fallback = original.traits?.alpha ? 'png' : 'jpeg'
  const { frames = 1 } = original.traits ?? {}
  if (kindOfType(original.type) === 'svg')
    return { plainType: original.type, modern: [], isPassedOn: true, fallback }
  if (frames > 1) return formatsOfMoving(question, frames, allowed, fallback)
  const isAvifPossible = (): boolean => {
    const { width, height } = outputSize(original, { ...recipe, format: 'avif' })
    return (original.width === 0 || width * height <= bounds.maxAvifPixels) && isAvifWanted()
  }
  const modern = allowed.filter((format) => format !== 'avif' || isAvifPossible())
  return { plainType, modern, fallback, isPassedOn: false }
}

function formatsOfMoving(
  { original, plainType, recipe, bounds }: AutoQuestion,
  frames: number,
  allowed: readonly Format[],
  still: Format,
): Negotiation {
  const family = kindOfType(original.type)
  const isOwnFamily = plainType === original.type
  if (family !== 'gif' && family !== 'webp') {
    // It moves as it is only; of AVIF, browsers know the sequence by its own type.
    const modern = family === 'avif' ? allowed : []
    const isPassedOn = isOwnFamily || !modern.includes('avif')
    return { plainType: isPassedOn ? original.type : plainType, modern, isPassedOn, fallback: still }
  }
  const canMove = (format: Format): boolean => {
    const { width, height } = outputSize(original, { ...recipe, format })
    return (
      isMovingFormat(format) &&
      movesWithin(frames, original, bounds) &&
      isAffordable({ format, pixels: frames * width * height, frames })
    )
  }
  const modern = allowed.filter(canMove)
  // A preset with a format of its own says what who accepts nothing modern gets.
  const isPassedOn = isOwnFamily ? !canMove(family) : modern.length === 0
  const fallback = bounds.formats.includes('gif') && canMove('gif') ? 'gif' : still
  return { plainType: isPassedOn ? original.type : plainType, modern, isPassedOn, fallback }
}

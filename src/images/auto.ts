/** Which format an `auto` variant is given in: by what the asker accepts, and by what is known of the original. */
import { modernFormats, type Negotiation, negotiate } from '../model/accept.js'
import { formatAddress } from '../model/address.js'
import { isAffordable } from '../model/encode-budget.js'
import { type Entry, imageName } from '../model/entry.js'
import type { Format } from '../model/media-type.js'
import { isMovingFormat, outputSize } from '../model/output.js'
import type { Recipe } from '../model/variant.js'
import type { Admission, Admitted } from './admission.js'
import type { Context } from './context.js'
import type { Renditions } from './renditions.js'

/** What an `auto` address comes down to. */
export interface AutoChoice {
  readonly admitted: Admitted
  /** What it was chosen by: the same question has the same answer for as long as this stands. */
  readonly negotiation: Negotiation
  /** An AVIF that is not there yet, and is to be made behind the answer: it would be the better one. */
  readonly late: { readonly avif: Admitted; readonly recipe: string } | undefined
}

/** See the top of the file. */
export type AutoFormats = ReturnType<typeof createAutoFormats>

/** Makes the part of the pipeline that chooses formats. */
export function createAutoFormats(context: Context, admission: Admission, renditions: Renditions) {
  const { settings, store } = context
  const { maxFrames, maxPixels, maxAvifPixels, formats } = settings.transform
  const allowed = modernFormats(formats)

  const canMove = (original: Entry, size: { width: number; height: number }, format: Format): boolean => {
    const frames = original.traits?.frames ?? 1
    return (
      isMovingFormat(format) &&
      frames <= maxFrames &&
      frames * original.width * original.height <= maxPixels &&
      isAffordable({ format, pixels: frames * size.width * size.height, frames })
    )
  }
  /**
   * What may be chosen from. What moves goes on moving: in a format that can be made moving here, else as it is.
   */
  const negotiationOf = (admitted: Admitted, original: Entry): Negotiation => {
    const plainType = admission.plainTypeOf(admitted, original.type)
    const fallback = original.traits?.alpha ? ('png' as const) : ('jpeg' as const)
    const recipe = admission.recipeIn(admitted, undefined)
    if ((original.traits?.frames ?? 1) > 1) {
      const isMovable = original.type === 'image/gif' || original.type === 'image/webp'
      const size = (format: Format) => outputSize(original, { ...recipe, format })
      const moving = isMovable
        ? allowed.filter((format) => canMove(original, size(format), format))
        : allowed.filter((format) => original.type === 'image/avif' && format === 'avif')
      const family = original.type === 'image/gif' ? 'gif' : 'webp'
      const isFamilyMade = isMovable && plainType === original.type && canMove(original, size(family), family)
      // A preset with a format of its own says what who accepts nothing modern gets.
      const isPassedOn = plainType === original.type ? !isFamilyMade : moving.length === 0
      return {
        plainType: isPassedOn ? original.type : plainType,
        modern: isMovable && !isPassedOn ? moving : original.type === 'image/avif' ? allowed : moving,
        fallback,
        isPassedOn,
      }
    }
    const isAvifPossible = (): boolean => {
      const { width, height } = outputSize(original, { ...recipe, format: 'avif' })
      if (original.width > 0 && width * height > maxAvifPixels) return false
      const avif = lookAt(admitted, original, 'avif')
      if (avif.state === 'failed') return false
      const webp = allowed.includes('webp') ? lookAt(admitted, original, 'webp').state : undefined
      if (typeof webp !== 'object') return true
      // One that was made for who asked for it by name is compared when both are there.
      const isLarger = typeof avif.state === 'object' && avif.state.size >= webp.size
      return !isLarger && webp.smallerThan !== avif.recipe
    }
    const modern = allowed.filter((format) => format !== 'avif' || isAvifPossible())
    return { plainType, modern, fallback, isPassedOn: false }
  }
  const lookAt = (admitted: Admitted, original: Entry, format: Format) => {
    const recipe: Recipe = admission.recipeIn(admitted, format)
    const text = formatAddress(admission.settle(admitted, format).address)
    return { state: renditions.look(text, original, recipe), recipe: renditions.textOf(recipe, original) }
  }

  return {
    /** Reads back what a lost catalogue has not yet of the forms that an address may come down to. */
    prepare: async (admitted: Admitted): Promise<void> => {
      for (const format of allowed)
        await store.recall(imageName(formatAddress(admission.settle(admitted, format).address)))
    },
    /** The format for who sends this `Accept`. Costs no I/O but look-ups of names. */
    choose: (admitted: Admitted, original: Entry, accept: string | undefined): AutoChoice => {
      const negotiation = negotiationOf(admitted, original)
      const format = negotiate(accept, negotiation)
      if (format === undefined && negotiation.isPassedOn)
        return { admitted: admission.asFetched(admitted), negotiation, late: undefined }
      const chosen = admission.settle(admitted, format)
      if (format !== 'avif') return { admitted: chosen, negotiation, late: undefined }
      const { state, recipe } = lookAt(admitted, original, 'avif')
      if (state !== undefined) return { admitted: chosen, negotiation, late: undefined }
      const without = { ...negotiation, modern: negotiation.modern.filter((one) => one !== 'avif') }
      const meanwhile = admission.settle(admitted, negotiate(accept, without))
      return { admitted: meanwhile, negotiation, late: { avif: chosen, recipe } }
    },
    /**
     * Told of an AVIF that was made behind an answer. Where the WebP of the same variant is no larger, that is kept as a
     * fact of the WebP, and the AVIF is not.
     */
    compare: async (admitted: Admitted, original: Entry, avif: Entry): Promise<void> => {
      if (!avif.held || !allowed.includes('webp')) return
      const webp = lookAt(admitted, original, 'webp').state
      if (typeof webp !== 'object' || avif.size < webp.size || avif.recipe === undefined) return
      store.amend(webp, { smallerThan: avif.recipe })
      await store.remove(avif.name)
    },
  }
}

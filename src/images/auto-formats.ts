/** Which format an `auto` variant is given in: by what the asker accepts, and by what is known of the original. */
import { modernFormats, type Negotiation, negotiate } from '../http/accept.js'
import { formatAddress } from '../model/address.js'
import { type Entry, imageKey } from '../model/entry.js'
import type { Format } from '../model/media-type.js'
import { negotiationFor } from './auto-format.js'
import type { Context } from './context.js'
import type { Renditions } from './renditions.js'
import type { Resolved, Resolver } from './resolve.js'

/** What an `auto` address comes down to. */
export interface AutoChoice {
  readonly admitted: Resolved
  /** What it was chosen by: the same question has the same answer for as long as this stands. */
  readonly negotiation: Negotiation
  /** An AVIF that is not there yet, and is to be made behind the answer: it would be the better one. */
  readonly late: Resolved | undefined
}

/** See the top of the file. */
export type AutoFormats = ReturnType<typeof createAutoFormats>

/** Makes the part of the pipeline that chooses formats. */
export function createAutoFormats(context: Context, admission: Resolver, renditions: Renditions) {
  const { settings, store } = context
  const bounds = settings.transform
  const allowed = modernFormats(bounds.formats)

  /** The form of an address in a format, as it stands. */
  const lookAt = (admitted: Resolved, original: Entry, format: Format) => {
    const recipe = admission.recipeIn(admitted, format)
    const text = formatAddress(admission.settle(admitted, format).address)
    return { state: renditions.look(text, original, recipe), recipe: renditions.textOf(recipe, original) }
  }
  /** Whether an AVIF is the one to give, by how it came out, and the WebP beside it. */
  const isAvifWanted = (admitted: Resolved, original: Entry, avif: ReturnType<typeof lookAt>): boolean => {
    if (avif.state === 'failed') return false
    const webp = allowed.includes('webp') ? lookAt(admitted, original, 'webp').state : undefined
    if (typeof webp !== 'object') return true
    // One that was made for who asked for it by name is compared when both are there.
    const isLarger = typeof avif.state === 'object' && avif.state.size >= webp.size
    return !isLarger && webp.smallerThan !== avif.recipe
  }

  return {
    /** Reads back what a lost catalogue has not yet of the forms that an address may come down to. */
    prepare: async (admitted: Resolved): Promise<void> => {
      for (const format of allowed)
        await store.lookup(imageKey(formatAddress(admission.settle(admitted, format).address)))
    },
    /** The format for who sends this `Accept`. Costs no I/O but look-ups of names. */
    choose: (admitted: Resolved, original: Entry, accept: string | undefined): AutoChoice => {
      let seen: ReturnType<typeof lookAt> | undefined
      const avif = () => {
        seen ??= lookAt(admitted, original, 'avif')
        return seen
      }
      const negotiation = negotiationFor({
        original,
        plainType: admission.plainTypeOf(admitted, original.type),
        recipe: admission.recipeIn(admitted, undefined),
        bounds,
        isAvifWanted: () => isAvifWanted(admitted, original, avif()),
      })
      const format = negotiate(accept, negotiation)
      if (format === undefined && negotiation.isPassedOn)
        return { admitted: admission.asFetched(admitted), negotiation, late: undefined }
      const chosen = admission.settle(admitted, format)
      if (format !== 'avif' || avif().state !== undefined)
        return { admitted: chosen, negotiation, late: undefined }
      const without = { ...negotiation, modern: negotiation.modern.filter((one) => one !== 'avif') }
      const meanwhile = admission.settle(admitted, negotiate(accept, without))
      return { admitted: meanwhile, negotiation, late: chosen }
    },
    /**
     * Told of an AVIF that was made behind an answer. Where the WebP of the same variant is no larger, that is kept as a
     * fact of the WebP, and the AVIF is not.
     */
    compare: async (admitted: Resolved, original: Entry, avif: Entry): Promise<void> => {
      if (!avif.isStored || !allowed.includes('webp')) return
      const webp = lookAt(admitted, original, 'webp').state
      if (typeof webp !== 'object' || avif.size < webp.size || avif.recipe === undefined) return
      store.update(webp, { smallerThan: avif.recipe })
      await store.delete(avif.key)
    },
  }
}

/** Which format an `auto` variant is given in: by what the client accepts, and by what is known of the original. */
import { modernFormats, type Negotiation, negotiate } from '../http/accept.js'
import { formatAddress } from '../model/address.js'
import { type Entry, imageKey } from '../model/entry.js'
import { type Format, typeOf } from '../model/media-type.js'
import type { Recipe } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { negotiationFor } from './auto-format.js'
import type { Recipes } from './recipes.js'
import type { Renditions } from './renditions.js'
import type { Resolved, Resolver } from './resolve-address.js'

/** What an `auto` address comes down to. */
export interface AutoChoice {
  readonly resolved: Resolved
  /** What it was chosen by: the same question has the same answer for as long as this stands. */
  readonly negotiation: Negotiation
  /** An AVIF that is not there yet, and is to be made behind the answer: it would be the better one. */
  readonly late: Resolved | undefined
}

/** See the top of the file. */
export type AutoFormats = ReturnType<typeof createAutoFormats>

/** What choosing works with. */
export interface AutoFormatParts {
  readonly settings: Pick<Settings, 'transform'>
  readonly store: Pick<Store, 'lookup' | 'update' | 'delete'>
  readonly resolver: Resolver
  readonly recipes: Recipes
  readonly renditions: Renditions
}

/** Makes the part of the pipeline that chooses formats. */
export function createAutoFormats({ settings, store, resolver, recipes, renditions }: AutoFormatParts) {
  const bounds = settings.transform
  const allowed = modernFormats(bounds.formats)

  /** The rendition of an address in a format, as it stands. */
  const lookAt = (resolved: Resolved, original: Entry, format: Format) => {
    const recipe = resolver.recipeIn(resolved, format)
    const text = formatAddress(resolver.settle(resolved, format).address)
    return { state: renditions.peek(text, original, recipe), recipe: recipes.text(recipe, original) }
  }
  /** Whether an AVIF is the one to give, by how it came out, and the WebP beside it. */
  const isAvifWanted = (resolved: Resolved, original: Entry, avif: ReturnType<typeof lookAt>): boolean => {
    if (avif.state === 'failed') return false
    const webp = allowed.includes('webp') ? lookAt(resolved, original, 'webp').state : undefined
    if (typeof webp !== 'object') return true
    // One that was asked for by its format is compared when both are there.
    const isLarger = typeof avif.state === 'object' && avif.state.size >= webp.size
    return !isLarger && webp.smallerThan !== avif.recipe
  }

  return {
    /** Reads back, after a catalogue was lost, the renditions that an address may come down to. */
    prepare: async (resolved: Resolved): Promise<void> => {
      for (const format of allowed)
        await store.lookup(imageKey(formatAddress(resolver.settle(resolved, format).address)))
    },
    /** What will be made of an original that is not known yet, unless it moves; undefined: it may be answered itself. */
    likelyRecipe: (resolved: Resolved, accept: string | undefined): Recipe | undefined => {
      // AVIF is made behind the answer.
      const modern = allowed.filter((format) => format !== 'avif')
      const format = negotiate(accept, { plainType: typeOf('jpeg'), modern, fallback: 'jpeg' })
      return format && resolver.recipeIn(resolved, format)
    },
    /** The format for this `Accept`. Costs no I/O but look-ups of keys. */
    choose: (resolved: Resolved, original: Entry, accept: string | undefined): AutoChoice => {
      let seen: ReturnType<typeof lookAt> | undefined
      const avif = () => {
        seen ??= lookAt(resolved, original, 'avif')
        return seen
      }
      const negotiation = negotiationFor({
        original,
        plainType: resolver.plainTypeOf(resolved, original.type),
        recipe: resolver.recipeIn(resolved, undefined),
        bounds,
        isAvifWanted: () => isAvifWanted(resolved, original, avif()),
      })
      const format = negotiate(accept, negotiation)
      if (format === undefined && negotiation.isPassedOn)
        return { resolved: resolver.asFetched(resolved), negotiation, late: undefined }
      const chosen = resolver.settle(resolved, format)
      if (format !== 'avif' || avif().state !== undefined)
        return { resolved: chosen, negotiation, late: undefined }
      const without = { ...negotiation, modern: negotiation.modern.filter((one) => one !== 'avif') }
      const meanwhile = resolver.settle(resolved, negotiate(accept, without))
      return { resolved: meanwhile, negotiation, late: chosen }
    },
    /**
     * Judges an AVIF that was made behind an answer. Where the WebP of the same variant is no larger, that is stored as a
     * fact of the WebP, and the AVIF goes.
     */
    compare: async (resolved: Resolved, original: Entry, avif: Entry): Promise<void> => {
      if (!avif.isStored || !allowed.includes('webp')) return
      const webp = lookAt(resolved, original, 'webp').state
      if (typeof webp !== 'object' || avif.size < webp.size || avif.recipe === undefined) return
      store.update(webp, { smallerThan: avif.recipe })
      await store.delete(avif.key)
    },
  }
}

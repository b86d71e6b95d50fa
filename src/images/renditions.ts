/** Renditions: which stored one is current, and one for an address, made where there is none. */
import { type Entry, imageKey } from '../model/entry.js'
import { ArtworkError, isFailureActive } from '../model/failure.js'
import type { Recipe } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { kindOf } from './fetch-original.js'
import { type ImageResult, type KnownOriginal, type RequestOptions, withForward } from './image.js'
import type { MakeRendition } from './make-rendition.js'
import { forwardOf, type Originals } from './originals.js'
import { type Recipes, readCurrent } from './recipes.js'
import { isSvgByName } from './references.js'
import type { Original } from './resolve-address.js'

/** What renditions work with. */
export interface RenditionParts {
  readonly settings: Pick<Settings, 'now'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'read' | 'touch' | 'negativeCache'>
  readonly recipes: Recipes
  readonly originals: Originals
  readonly makeRendition: MakeRendition
}

/** Makes the part of the pipeline that has to do with renditions. */
export function createRenditions(parts: RenditionParts) {
  const { settings, store, recipes } = parts
  return {
    /** The rendition of an address as it stands: stored and current, or `failed` while a failure is active. */
    peek: (addressText: string, original: Entry, recipe: Recipe): Entry | 'failed' | undefined => {
      const key = imageKey(addressText)
      const entry = store.find(key)
      if (entry?.isStored && recipes.isCurrent(entry, original, recipe)) return entry
      const failure = store.negativeCache.get(key)
      if (failure === undefined) return undefined
      const scope = recipes.failureScope(recipe, original, failure)
      return isFailureActive(failure, settings.now(), scope) ? 'failed' : undefined
    },
    /**
     * The rendition of an address, made where it is not stored or its original has changed.
     * @param given the original, where the caller has asked for it already
     * @throws ArtworkError
     */
    obtain: async (
      addressText: string,
      original: Original,
      recipe: Recipe,
      options: RequestOptions,
      given?: KnownOriginal,
    ): Promise<ImageResult> => {
      const key = imageKey(addressText)
      const entry = await store.lookup(key, imageKey(original.text))
      let known: KnownOriginal
      try {
        known = await knownOriginal(parts, original, { ...options, recipe }, given)
      } catch (error) {
        if (entry === undefined || options.onlyIfCached) throw error
        return await standIn(parts, original, entry, error)
      }
      // Pages print its forms before anybody can know what it is; where its name says so, they are refused later.
      if (options.passesSvg && kindOf(known.entry) === 'svg' && !isSvgByName(original))
        return asItIs(parts, original, known, options)
      // Looked up once more: another request may have made it while the original was fetched.
      const stored = await readCurrent(parts, key, known.entry, recipe)
      if (stored !== undefined) {
        store.touch(key)
        return { ...stored, original: known.entry, ...withForward(known.forward) }
      }
      if (options.onlyIfCached && !known.entry.isStored && !original.source.isLocal)
        throw new ArtworkError('not_held', 'the image is not held')
      const made = await parts.makeRendition({ key, role: 'rendition' }, original, known, recipe, options)
      return { ...made, ...withForward(made.forward ?? known.forward) }
    },
  }
}

/** See the top of the file. */
export type Renditions = ReturnType<typeof createRenditions>

async function knownOriginal(
  { originals }: RenditionParts,
  original: Original,
  options: RequestOptions,
  given: KnownOriginal | undefined,
): Promise<KnownOriginal> {
  const known = given ?? (await originals.obtain(original, options))
  // Where an earlier version stored it, it is not known yet whether that made the right image of it.
  return known.entry.isStored ? originals.withTraits(original, known, options) : known
}

/** The original's row may be gone while this image is stored: it stands in while upstream cannot be asked. */
async function standIn(
  { store, originals }: RenditionParts,
  original: Original,
  entry: Entry,
  error: unknown,
): Promise<ImageResult> {
  const copy = originals.mayStandIn(original, error) ? await store.read(entry) : undefined
  if (copy === undefined) throw error
  return { entry, ...copy, ...withForward(forwardOf('miss', error)) }
}

async function asItIs(
  { originals }: RenditionParts,
  original: Original,
  known: KnownOriginal,
  options: RequestOptions,
): Promise<ImageResult> {
  const { entry, bytes, from, forward } = await originals.bytes(original, known, options)
  return { entry, bytes, from, original: entry, ...withForward(forward ?? known.forward) }
}

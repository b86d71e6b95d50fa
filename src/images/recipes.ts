/** Whether a made image is current: by the bytes it was made from and the recipe of these settings. */
import { addressOfKey, type Entry } from '../model/entry.js'
import { type Failure, originalScope } from '../model/failure.js'
import { isSameLook, type Recipe, recipeText, withFocalPoint } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { kindOf } from './fetch-original.js'
import type { ImageResult } from './image.js'

/** The recipes of these settings, as texts. */
export interface Recipes {
  /** What an image of these bytes is made by. */
  text(recipe: Recipe, original: Entry): string
  /**
   * Whether an image is the one that this recipe makes of these bytes. One that was made by an earlier version, or by other
   * options, is for as long as its original would have to be fetched again to better it.
   */
  isCurrent(entry: Entry, original: Entry, recipe: Recipe): boolean
  /** What a failure to make it is about: another original, or another recipe, may well succeed. */
  scope(recipe: Recipe, original: Entry): string
  /** The same; where our own rules caused the failure, this run with its settings is part of it. */
  failureScope(recipe: Recipe, original: Entry, failure: Pick<Failure, 'code'>): string
}

/** Makes them. @param run names this run of the app */
export function createRecipes(
  { transform, urls }: Pick<Settings, 'transform' | 'urls'>,
  run: string,
): Recipes {
  const text = (recipe: Recipe, original: Entry): string =>
    recipeText(
      withFocalPoint(recipe, original.focalPoint),
      { kind: kindOf(original), isRevised: original.traits?.isRevised ?? false },
      transform,
    )
  /** Whether its bytes are here, or in a file of this machine. */
  const isAtHand = ({ key, isStored }: Entry): boolean =>
    isStored || urls.pathKinds?.has(addressOfKey(key)?.split('/', 1)[0] ?? '') === true
  const scope = (recipe: Recipe, original: Entry): string => `${original.digest} ${text(recipe, original)}`
  return {
    text,
    scope,
    failureScope: (recipe, original, failure) =>
      [scope(recipe, original), originalScope(failure, run)].filter(Boolean).join(' '),
    isCurrent: (entry, original, recipe) => {
      if (entry.madeFrom !== original.digest || entry.recipe === undefined) return false
      const wanted = text(recipe, original)
      return entry.recipe === wanted || (!isAtHand(original) && isSameLook(entry.recipe, wanted))
    },
  }
}

/** The image under a key, if it is stored and was made by this recipe from these bytes. */
export async function readCurrent(
  { store, recipes }: { readonly store: Pick<Store, 'lookup' | 'read'>; readonly recipes: Recipes },
  key: string,
  original: Entry,
  recipe: Recipe,
): Promise<ImageResult | undefined> {
  const entry = await store.lookup(key, original.key)
  if (entry === undefined || !recipes.isCurrent(entry, original, recipe)) return undefined
  const read = await store.read(entry)
  return read === undefined ? undefined : { entry, ...read }
}

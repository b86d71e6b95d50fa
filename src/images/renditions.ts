/** Renditions: made from an original, good for as long as that has the same bytes, one flight for all askers. */

import { createSerial } from '../concurrency.js'
import { digestOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import {
  ArtworkError,
  asArtworkError,
  type Failure,
  failureError,
  isFailureActive,
  isOfBytes,
  recordFailure,
} from '../model/failure.js'
import { typeOf } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import { completeRecipe, isSameLook, type Recipe, recipeText } from '../model/variant.js'
import { hostOf } from '../model/web-url.js'
import type { NewEntry } from '../store/ports.js'
import type { Context, Forward, Obtained } from './context.js'
import { forwardOf, type Known, type OriginalOptions, type Originals } from './originals.js'
import { isSvgByName } from './references.js'
import type { Original } from './resolve.js'

/** Where a made picture is kept, and whose it is. */
export interface Target {
  readonly key: string
  readonly role: 'rendition' | 'artwork'
  readonly sourceUrl?: string
  readonly ownerKind?: string
  readonly ownerId?: string
}

/** A rendition in hand, and the original that it was made from, where that is known. */
export interface Rendition {
  readonly picture: Obtained
  readonly original?: Entry
  readonly forward?: Forward
  /** Nothing of it may be kept, by anybody. */
  readonly isTransient?: boolean
}

const MOST_KNOWN = 5000

/** See the top of the file. */
export type Renditions = ReturnType<typeof createRenditions>

/** Makes the part of the pipeline that has to do with renditions. */
export function createRenditions(context: Context, originals: Originals) {
  const { settings, store, transformer, flights, counts } = context
  const { kindOf } = originals
  /** Where what was made of some bytes is, and why it could not be made, whatever names they have. */
  const madeOf = createRecent<string>(MOST_KNOWN)
  const failed = createRecent<Failure>(MOST_KNOWN)
  const turns = createSerial()
  /** What a picture of these bytes is made by. */
  const textOf = (recipe: Recipe, original: Entry): string =>
    recipeText(
      recipe,
      { kind: kindOf(original), isRevised: original.traits?.isRevised ?? false },
      settings.transform,
    )
  /** What a failure to make it is about: another original, or another recipe, may well come out. */
  const subjectOf = (recipe: Recipe, original: Entry): string =>
    `${original.digest} ${textOf(recipe, original)}`
  /** The same of a failure: where our own rules made it, this run with its settings is part of that. */
  const failureOf = (recipe: Recipe, original: Entry, about: Pick<Failure, 'code'>): string =>
    [subjectOf(recipe, original), originals.subjectOf(about)].filter(Boolean).join(' ')

  /**
   * Makes the picture and keeps it under its name. A failure to keep it does not fail the answer. Who asks for it
   * from other bytes, or by another recipe, does not share the work.
   */
  const make = (
    place: Target,
    original: Original,
    known: Known,
    recipe: Recipe,
    options: OriginalOptions = {},
  ): Promise<Rendition> =>
    flights.run(
      `${place.key} ${subjectOf(recipe, known.entry)}`,
      async (signal) => {
        const turn = await store.lease(place.key, signal)
        try {
          const other = turn.waited ? await held(place.key, known.entry, recipe) : undefined
          if (other !== undefined) return { picture: other, original: known.entry }
          // Under another name the same may be being made.
          return await turns.run(subjectOf(recipe, known.entry), () =>
            encode(place, original, known, recipe, { ...options, signal }),
          )
        } finally {
          turn.release()
        }
      },
      options.signal,
    )
  /**
   * The same picture, made of the same bytes under another name: it is named, and not made again. Names of pictures are
   * URLs, which anybody may vary; what they come to is not.
   */
  const twin = async (
    place: Target,
    { entry: original }: Known,
    recipe: Recipe,
  ): Promise<Rendition | undefined> => {
    const name = madeOf.get(subjectOf(recipe, original))
    const other = name === undefined || name === place.key ? undefined : store.find(name)
    if (other === undefined || !original.isStored || !isCurrent(other, original, recipe)) return undefined
    const epoch = store.generation()
    const read = await store.read(other)
    if (read === undefined) return undefined
    const { type, width, height, recipe: text } = other
    const at = settings.now()
    const made = {
      type,
      width,
      height,
      storedAt: at,
      validatedAt: at,
      freshnessLifetime: 0,
      madeFrom: original.digest,
    }
    const fresh: NewEntry = { ...place, ...made, original: original.key, recipe: text }
    const entry = await keep(fresh, read.bytes, store.generation() === epoch)
    return { picture: { entry, ...read }, original }
  }
  const encode = async (
    place: Target,
    original: Original,
    known: Known,
    recipe: Recipe,
    options: OriginalOptions,
  ): Promise<Rendition> => {
    const failure = store.negativeCache.get(place.key)
    if (
      failure !== undefined &&
      isFailureActive(failure, settings.now(), failureOf(recipe, known.entry, failure))
    )
      throw failureError(failure, settings.now())
    const same = await twin(place, known, recipe)
    if (same !== undefined) return same
    // Who asks for an entity's picture wants it tried.
    const before = place.role === 'rendition' ? failed.get(subjectOf(recipe, known.entry)) : undefined
    if (before !== undefined && isFailureActive(before, settings.now()))
      throw failureError(before, settings.now())
    const epoch = store.generation()
    const source = await originals.bytes(original, known, options)
    try {
      counts.encodes += 1
      const kind = kindOf(source.entry)
      const complete = completeRecipe(recipe, kind, settings.transform)
      const host = source.entry.sourceUrl === undefined ? undefined : hostOf(source.entry.sourceUrl)
      const made = await transformer.transform(source.bytes, kind, complete, {
        ...options,
        host,
        isAlone: options.isFree === true && complete.format === 'avif',
      })
      const at = settings.now()
      const fresh: NewEntry = {
        ...place,
        type: typeOf(made.format),
        width: made.width,
        height: made.height,
        storedAt: at,
        validatedAt: at,
        freshnessLifetime: 0,
        original: source.entry.key,
        madeFrom: source.entry.digest,
        recipe: textOf(recipe, source.entry),
      }
      // What was purged while it was under way is answered, and not kept.
      const isKept = !source.isTransient && !source.isPurged && store.generation() === epoch
      const entry = await keep(fresh, made.bytes, isKept)
      if (isKept) madeOf.set(subjectOf(recipe, source.entry), place.key)
      const about = { original: source.entry, isTransient: source.isTransient === true }
      return {
        picture: { entry, bytes: made.bytes, from: 'upstream' },
        ...about,
        ...(source.forward && { forward: source.forward }),
      }
    } catch (error) {
      counts.failures += 1
      const thrown = asArtworkError(error)
      const about = failureOf(recipe, source.entry, thrown)
      const remembered = recordFailure(thrown, failure, settings.now(), about)
      if (remembered !== undefined) {
        store.negativeCache.set(place.key, remembered)
        const { about: _about, ...plain } = remembered
        if (isOfBytes(thrown)) failed.set(subjectOf(recipe, source.entry), plain)
      }
      throw error
    }
  }
  /**
   * Whether a picture is the one that this recipe makes from these bytes. One that was made by an earlier version, or by
   * other options, is for as long as its original would have to be fetched again to better it.
   */
  const isCurrent = (entry: Entry, original: Entry, recipe: Recipe): boolean => {
    if (entry.madeFrom !== original.digest || entry.recipe === undefined) return false
    const text = textOf(recipe, original)
    return entry.recipe === text || (!original.isStored && isSameLook(entry.recipe, text))
  }
  /** The picture under a name, if it is held and was made by this recipe from these bytes. */
  const held = async (name: string, original: Entry, recipe: Recipe): Promise<Obtained | undefined> => {
    const entry = await store.lookup(name)
    if (entry === undefined || !isCurrent(entry, original, recipe)) return undefined
    const read = await store.read(entry)
    return read === undefined ? undefined : { entry, ...read }
  }
  const keep = async (fresh: NewEntry, bytes: Buffer, isKept: boolean): Promise<Entry> => {
    const unkept = { ...fresh, digest: digestOf(bytes), size: bytes.length, isStored: false }
    return isKept ? store.write(fresh, bytes).catch(() => unkept) : unkept
  }

  return {
    make,
    isCurrent,
    textOf,
    /** The rendition of an address as it stands: held and current, or not to be had while a failure stands. */
    look: (addressText: string, original: Entry, recipe: Recipe): Entry | 'failed' | undefined => {
      const name = imageKey(addressText)
      const entry = store.find(name)
      if (entry?.isStored && isCurrent(entry, original, recipe)) return entry
      const failure = store.negativeCache.get(name)
      const stands =
        failure !== undefined &&
        isFailureActive(failure, settings.now(), failureOf(recipe, original, failure))
      return stands ? 'failed' : undefined
    },
    /**
     * The rendition of an address, made where it is not held or its original has changed.
     * @param given the original, where the caller has asked for it already
     */
    obtain: async (
      addressText: string,
      original: Original,
      recipe: Recipe,
      options: OriginalOptions,
      given?: Known,
    ): Promise<Rendition> => {
      const name = imageKey(addressText)
      const entry = store.find(name) ?? (await store.lookup(name))
      let known: Known
      try {
        known = given ?? (await originals.obtain(original, options))
        // Where an earlier version stored it, it is not known yet whether that made the right picture of it.
        if (known.entry.isStored) known = await originals.withTraits(original, known, options)
      } catch (error) {
        // The original's row may be gone while this picture is held: it stands in while upstream cannot be asked.
        if (entry === undefined || options.onlyIfCached || !originals.mayStandIn(original, error)) throw error
        const copy = await store.read(entry)
        if (copy === undefined) throw error
        const asking = forwardOf('miss', error)
        return { picture: { entry, ...copy }, ...(asking && { forward: asking }) }
      }
      // Pages print its forms before anybody can know what it is; where its name says so, they are refused below.
      if (options.passesSvg && kindOf(known.entry) === 'svg' && !isSvgByName(original)) {
        const { entry: whole, bytes, from, forward: asking } = await originals.bytes(original, known, options)
        const asked = asking ?? known.forward
        return {
          picture: { entry: whole, bytes, from: from },
          original: whole,
          ...(asked && { forward: asked }),
        }
      }
      const picture = await held(name, known.entry, recipe)
      if (picture !== undefined) {
        store.touch(name)
        return { picture, original: known.entry, ...(known.forward && { forward: known.forward }) }
      }
      if (options.onlyIfCached && !known.entry.isStored)
        throw new ArtworkError('not_held', 'the image is not held')
      const made = await make({ key: name, role: 'rendition' }, original, known, recipe, options)
      const asking = made.forward ?? known.forward
      return { ...made, ...(asking && { forward: asking }) }
    },
  }
}

/**
 * Entities' images in other widths, made from the same original. They are found by the entity's path alone, so that no page
 * says where an image came from. Nothing here waits for the network: what cannot be made of what is stored is the entity's
 * image as it is.
 */
import { parseAddress } from '../model/address.js'
import { formatOfKind } from '../model/entity.js'
import { addressOfKey, type Entry, entityImageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { type Format, isFormat, kindOfType } from '../model/media-type.js'
import { outputSize, wouldStop } from '../model/output.js'
import { readSizedPath, sizedPath, sizeVersion, stemOf } from '../model/sized-path.js'
import { entityImageUrl } from '../model/urls.js'
import { cutOf, MAX_SIDE, type Recipe } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { EntityImages, Found } from './entity-images.js'
import type { ImageResult, RequestOptions } from './image.js'
import type { MakeRendition } from './make-rendition.js'
import type { Originals } from './originals.js'
import { type Candidate, widthsOfKind } from './print-url.js'
import { type Recipes, readCurrent } from './recipes.js'
import { orUndefined } from './references.js'
import type { Resolver } from './resolve-address.js'

/** What sizes of entities' images work with. */
export interface EntitySizeParts {
  readonly settings: Pick<Settings, 'kinds' | 'widths' | 'areWidthsDefault' | 'strict' | 'transform' | 'urls'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'read' | 'touch'>
  readonly resolver: Resolver
  readonly recipes: Recipes
  readonly entityImages: EntityImages
  readonly originals: Originals
  readonly makeRendition: MakeRendition
}

/**
 * A size in hand, with the entity's image that it belongs to, and the digest that its `?v=` begins; without bytes: it cannot
 * be made now.
 */
export type SizedImage =
  | (ImageResult & { readonly entityImage: Entry; readonly version: string })
  | { readonly entityImage: Entry; readonly path: string }

/** See {@link createEntitySizes}. */
export type EntitySizes = ReturnType<typeof createEntitySizes>

/** Makes the part of the pipeline that knows entities' images in other widths. */
export function createEntitySizes(parts: EntitySizeParts) {
  const { settings } = parts
  /** Extensions that paths of entities' images have. */
  const extensions = [...new Set([...settings.kinds.values()].map(({ path }) => path.replace(/^.*\./, '')))]
  return {
    /**
     * The image under the path of a size, made where its original is stored.
     * @returns undefined for a path that is none of a size, or of no image that is known
     * @throws ArtworkError `invalid` (400) for a width that is not offered, `unsupported` (415) for a format
     */
    get: async (path: string, options: RequestOptions): Promise<SizedImage | undefined> => {
      const sized = readSizedPath(path)
      if (sized === undefined) return undefined
      const found = await findEntityImage(parts, sized.stem, extensions)
      // What was imported may have such a name of its own.
      const isOwn = (await parts.store.lookup(entityImageKey(path)))?.role === 'artwork'
      if (found === undefined || isOwn) return undefined
      if (!settings.transform.formats.includes(sized.format))
        throw new ArtworkError('unsupported', 'this image format is not allowed')
      if (sized.width > MAX_SIDE || (settings.strict && !widthsOf(parts, found.entry).includes(sized.width)))
        throw new ArtworkError('invalid', 'this size is not offered for this type')
      const size = await obtain(parts, found.entry, { ...sized, key: entityImageKey(path) }, options)
      if (size === undefined) return { entityImage: found.entry, path: found.path }
      const { madeFrom = '', recipe } = size.entry
      return { ...size, entityImage: found.entry, version: sizeVersion(madeFrom, cutOf(recipe)) }
    },
    /**
     * The widths of an entity's image that answer now, narrowest first, up to its original's own: those that are stored, and
     * all where the original is. None of what shows something else when it is made again. Without I/O once warm.
     * @param format undefined: the entity's own
     */
    candidates: (found: Found, format?: Format, widths?: readonly number[]): readonly Candidate[] =>
      orUndefined(() => candidatesOf(parts, found, format, widths)) ?? [],
    /** Whether a width is offered of an entity's image. */
    isOffered: (entry: Entry, width: number): boolean =>
      !settings.strict || widthsOf(parts, entry).includes(width),
    /** The original of an entity's image, where it is known. Without I/O once warm. */
    originalOf: (entry: Entry): Entry | undefined => originalOf(parts, entry),
  }
}

/** The entity's image whose path has this stem, whatever its extension. */
async function findEntityImage(
  { store, entityImages }: EntitySizeParts,
  stem: string,
  extensions: readonly string[],
): Promise<Found | undefined> {
  for (const extension of extensions) {
    const path = `${stem}.${extension}`
    const entry = await store.lookup(entityImageKey(path))
    if (entry?.role !== 'artwork') continue
    // It counts as used, and its original's age is looked at.
    entityImages.peek(path)
    return { path, entry }
  }
  return undefined
}

/** The key of the original that an entity's image was made from; what was imported was made from none, whatever its record says. */
const originalKeyOf = ({ original, madeFrom }: Entry): string | undefined =>
  madeFrom === undefined ? undefined : original

/** That original, from memory. */
function originalOf({ store }: EntitySizeParts, entry: Entry): Entry | undefined {
  const key = originalKeyOf(entry)
  return key === undefined ? undefined : store.find(key, 'memory')
}

/** The widths that are offered of an entity's image: those of `/images` for its original. */
function widthsOf(parts: EntitySizeParts, { original }: Entry): readonly number[] {
  const address = original === undefined ? undefined : addressOfKey(original)
  const kind = address?.split('/', 1)[0] ?? ''
  return orUndefined(() => widthsOfKind(parts, kind)) ?? parts.settings.widths
}

/** The recipe of a width: in the shape of the entity's own image, where that is cut to one. */
function recipeIn(
  { entityImages }: EntitySizeParts,
  { ownerKind }: Entry,
  width: number,
  format: Format,
): Recipe {
  const own = entityImages.recipeFor(entityImages.kindOf(ownerKind ?? ''))
  const isCut = own.fit === 'cover' && own.width !== undefined && own.height !== undefined
  return {
    width,
    ...(isCut && { height: Math.max(1, Math.round((width * (own.height ?? 1)) / (own.width ?? 1))) }),
    fit: isCut ? 'cover' : 'inside',
    enlarge: false,
    format,
    ...(own.presetQuality !== undefined && { presetQuality: own.presetQuality }),
  }
}

async function obtain(
  parts: EntitySizeParts,
  entityImage: Entry,
  { width, format, key }: { readonly width: number; readonly format: Format; readonly key: string },
  options: RequestOptions,
): Promise<ImageResult | undefined> {
  const { store, resolver, originals } = parts
  const originalKey = originalKeyOf(entityImage)
  const address = originalKey === undefined ? undefined : addressOfKey(originalKey)
  const entry = originalKey === undefined ? undefined : await store.lookup(originalKey)
  if (address === undefined || entry === undefined) return undefined
  try {
    const original = resolver.originalOf(parseAddress(address))
    const recipe = recipeIn(parts, entityImage, width, format)
    const asStored = { ...options, onlyIfCached: true }
    const known = entry.isStored ? await originals.withTraits(original, { entry }, asStored) : { entry }
    const stored = await readCurrent(parts, key, known.entry, recipe)
    if (stored !== undefined) {
      store.touch(key)
      return { ...stored, original: known.entry }
    }
    if (!known.entry.isStored) return undefined
    const isUnsigned = parts.settings.strict && original.source.freeFormats !== undefined
    const asked = { ...asStored, isUnsigned }
    return await parts.makeRendition({ key, role: 'rendition' }, original, known, recipe, asked)
  } catch (error) {
    if (asArtworkError(error).code === 'cancelled') throw error
    return undefined
  }
}

function candidatesOf(
  parts: EntitySizeParts,
  { path, entry }: Found,
  wanted: Format | undefined,
  widths = widthsOf(parts, entry),
): readonly Candidate[] {
  const { settings, store, recipes } = parts
  const original = originalOf(parts, entry)
  if (original === undefined || !(original.width > 0) || entry.ownerKind === undefined) return []
  const kind = kindOfType(original.type)
  const own = formatOfKind(parts.entityImages.kindOf(entry.ownerKind))
  const format = wanted ?? own
  if (!isFormat(format) || !settings.transform.formats.includes(format) || wouldStop(kind, original.traits))
    return []
  const stem = stemOf(path)
  const offered = widthsOf(parts, entry)
  const found: Candidate[] = []
  for (const width of widths) {
    if (settings.strict && !offered.includes(width)) continue
    const recipe = recipeIn(parts, entry, width, format)
    const sized = sizedPath(stem, width, format)
    if (!original.isStored) {
      const stored = store.find(entityImageKey(sized), 'memory')
      if (stored?.isStored !== true || !recipes.isCurrent(stored, original, recipe)) continue
    }
    const size = outputSize(original, { ...recipe, format })
    const cut = recipe.fit === 'cover' ? cutOf(recipes.text(recipe, original)) : undefined
    const version = sizeVersion(original.digest, cut)
    // Of widths that come to the same picture the first is enough.
    if (found.at(-1)?.width !== size.width)
      found.push({ url: entityImageUrl(settings.urls, sized, version), width: size.width })
    if (size.width < width) break
  }
  return found
}

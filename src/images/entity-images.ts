/** Images of an app's entities, each under an artwork path that templates can print: what is stored of them. */
import type { Events } from '../events.js'
import { artworkPaths, type EntityId, entityIdText } from '../model/artwork-path.js'
import { type EntityKind, formatOfKind } from '../model/entity.js'
import { addressOfKey, type Entry, entityImageKey, pathOfKey } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { freshnessOf } from '../model/freshness.js'
import { isFormat } from '../model/media-type.js'
import { parseVariant, type Recipe, recipeOf } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { ImageResult } from './image.js'
import { hasTraits } from './originals.js'
import type { Recipes } from './recipes.js'

/** What entity images work with. */
export interface EntityImageParts {
  readonly settings: Pick<Settings, 'now' | 'freshness' | 'kinds' | 'presets' | 'transform'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'read' | 'touch'>
  readonly events: Pick<Events, 'emit'>
  readonly recipes: Recipes
}

/** An entity's image in the store. */
export interface Found {
  readonly path: string
  readonly entry: Entry
}

type Params = Readonly<Record<string, EntityId>>

/** Makes the part of the pipeline that finds entities' images. */
export function createEntityImages(parts: EntityImageParts) {
  const { settings, store, events } = parts
  const kinds = createKinds(settings)
  const current = createCurrentCheck(parts, kinds)

  /** Tells of an original that is stale, or is not the one that the image was made from; it is served meanwhile. */
  const checkAge = (entry: Entry): void => {
    const original = entry.original === undefined ? undefined : store.find(entry.original, 'memory')
    if (original === undefined) return
    // It was not made again after a fetch: the process was killed before, or it was fetched for another entity; or it was made
    // by an earlier version, or by other options.
    if (entry.madeFrom !== undefined && !current(entry, original))
      events.emit('image-missing', { path: pathOfKey(entry.key) ?? '' })
    if (freshnessOf(original, settings.freshness, settings.now()) !== 'fresh')
      events.emit('original-stale', { address: addressOfKey(original.key) ?? '' })
  }
  /** The first of an entity's paths whose image is stored and its own. */
  const findOwn = (kind: EntityKind, id: EntityId, params?: Params, trust?: 'memory'): Found | undefined => {
    const text = entityIdText(id)
    for (const path of artworkPaths(kind, id, params)) {
      const entry = store.find(entityImageKey(path), trust)
      if (entry?.isStored && isOwner(entry, kind.kind, text)) return { path, entry }
    }
    return undefined
  }
  const use = (entry: Entry): void => {
    store.touch(entry.key)
    checkAge(entry)
  }
  return {
    ...kinds,
    isCurrent: current,
    /** The path of an entity: the first of its choices that is free or its own already. */
    pathFor: (kind: EntityKind, id: EntityId, params?: Params): string => {
      const text = entityIdText(id)
      const paths = artworkPaths(kind, id, params)
      const free = paths.find((path) => {
        const entry = store.find(entityImageKey(path))
        return entry === undefined || isOwner(entry, kind.kind, text)
      })
      return free ?? paths[paths.length - 1] ?? paths[0]
    },
    /** The entry under an artwork path whose bytes are stored, without I/O once warm. */
    peek: (path: string): Entry | undefined => {
      const entry = store.find(entityImageKey(path), 'memory')
      if (!entry?.isStored || entry.role !== 'artwork') return undefined
      use(entry)
      return entry
    },
    /** An entity's image: by its own id, or by one of its providers'. Without I/O once warm. */
    peekEntity: (kind: EntityKind, id: EntityId, params?: Params): Found | undefined => {
      const found = findOwn(kind, id, params, 'memory')
      if (found !== undefined) use(found.entry)
      return found
    },
    /** As `peekEntity`, asking the store: also for what another process has just made. @throws ArtworkError for a bad id */
    findEntity: (kind: EntityKind, id: EntityId, params?: Params): Found | undefined => {
      entityIdText(id)
      try {
        return findOwn(kind, id, params)
      } catch {
        // A path that needs parameters that we do not have.
        return undefined
      }
    },
    /**
     * The image under an artwork path, from what is stored: never from the network.
     * @returns the image; the entry alone where its bytes are gone; undefined for an unknown path
     */
    get: async (path: string): Promise<ImageResult | Entry | undefined> => {
      const key = entityImageKey(path)
      let entry = await store.lookup(key)
      // Bytes that were replaced while they were read are under the same key with another digest: once more.
      for (let digest = ''; entry !== undefined && isOther(entry, digest); entry = store.find(key)) {
        const read = await store.read(entry)
        if (read !== undefined) {
          use(entry)
          const original = entry.original === undefined ? undefined : store.find(entry.original, 'memory')
          return { entry, ...read, ...(original && { original }) }
        }
        digest = entry.digest
      }
      // Another size goes with the image that it is of.
      if (entry === undefined || entry.role !== 'artwork') return undefined
      events.emit('image-missing', { path })
      return { ...entry, isStored: false }
    },
  }
}

/** See the top of the file. */
export type EntityImages = ReturnType<typeof createEntityImages>

/** Whether it is an entity's image, of other bytes than these. */
const isOther = (entry: Entry, digest: string): boolean => entry.role === 'artwork' && entry.digest !== digest

const isOwner = (entry: Entry, kind: string, id: string): boolean =>
  entry.ownerKind === kind && entry.ownerId === id

/** Entity kinds by name, and the recipe of each. */
function createKinds(settings: EntityImageParts['settings']) {
  const rules = { presets: settings.presets, encoding: settings.transform }
  const recipes = new Map<string, Recipe>()
  return {
    /** @throws ArtworkError `invalid` (400) */
    kindOf: (name: string): EntityKind => {
      const kind = settings.kinds.get(name)
      if (kind === undefined)
        throw new ArtworkError(
          'invalid',
          `entity type is not known: there are ${[...settings.kinds.keys()].join(', ')}`,
        )
      return kind
    },
    recipeFor: (kind: EntityKind): Recipe => {
      const known = recipes.get(kind.kind)
      if (known !== undefined) return known
      const format = formatOfKind(kind)
      const recipe: Recipe = {
        ...recipeOf(parseVariant(kind.variant, rules), rules),
        ...(isFormat(format) ? { format } : {}),
      }
      recipes.set(kind.kind, recipe)
      return recipe
    },
  }
}

/** Whether an entity's image is what would be made of its original now; entries do not change, so each pair is judged once. */
function createCurrentCheck({ settings, recipes }: EntityImageParts, kinds: ReturnType<typeof createKinds>) {
  const judged = new WeakMap<Entry, { readonly original: Entry; readonly isCurrent: boolean }>()
  return (entry: Entry, original: Entry): boolean => {
    const before = judged.get(entry)
    if (before?.original === original) return before.isCurrent
    const kind = entry.ownerKind === undefined ? undefined : settings.kinds.get(entry.ownerKind)
    // What an earlier version stored is looked at once: making it again finds out what it is.
    const isKnown = !original.isStored || hasTraits(original)
    const isCurrent =
      kind === undefined
        ? entry.madeFrom === original.digest
        : isKnown && recipes.isCurrent(entry, original, kinds.recipeFor(kind))
    judged.set(entry, { original, isCurrent })
    return isCurrent
  }
}

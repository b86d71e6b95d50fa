/** Artwork: the pictures of an app's entities, each under a path that templates can print. */
import { parseAddress } from '../model/address.js'
import { artworkPaths, type EntityId, entityIdText } from '../model/artwork-path.js'
import { versionOf } from '../model/digest.js'
import { type EntityKind, formatOfKind } from '../model/entity.js'
import { type Entry, entityImageKey, freshnessOf } from '../model/entry.js'
import { ArtworkError, asArtworkError, type Reason } from '../model/failure.js'
import { isFormat } from '../model/media-type.js'
import { parseVariant, type Recipe, recipeOf } from '../model/variant.js'
import type { Context, Obtained } from './context.js'
import type { Originals } from './originals.js'
import type { Renditions, Target } from './renditions.js'
import type { Original, Resolver } from './resolve.js'
import type { SignedUrls } from './signed-urls.js'

/** What to download, and for which entity. */
export interface DownloadRequest {
  /** Absolute http(s) URL of the picture; null or '' says that the entity has none. */
  readonly sourceUrl: string | null | undefined
  /** An entity kind, built in or declared. */
  readonly entityType: string
  readonly entityId: EntityId
  /** Fetch even when the same URL is held already. @default false */
  readonly force?: boolean
  /**
   * An earlier attempt was cut short, perhaps between keeping the picture and telling the repository: what is held is
   * told once more. @default false
   */
  readonly again?: boolean
  /** Values for the other names in the kind's path template. */
  readonly params?: Readonly<Record<string, EntityId>>
}

/** What became of a download. Sides in pixels, `bytes` is a size. */
export interface SaveImageResult {
  readonly status: 'downloaded' | 'cached' | 'failed'
  readonly reason?: Reason
  /** Artwork path, `artists/ab/abc123.webp`. */
  readonly localPath?: string
  /** Local URL, with `?v=`. */
  readonly url?: string
  readonly width?: number
  readonly height?: number
  readonly bytes?: number
  readonly digest?: string
  /** Whether the app's record was updated. */
  readonly repository: 'saved' | 'refused' | 'none'
}

/** An entity's picture in hand, with its original where that is known. */
export type EntityImage = Obtained & { readonly original?: Entry }

/** See the top of the file. */
export type EntityImages = ReturnType<typeof createEntityImages>

/** Makes the part of the pipeline that has to do with entities. */
export function createEntityImages(
  context: Context,
  admission: Resolver,
  originals: Originals,
  renditions: Renditions,
  signed: SignedUrls,
) {
  const { settings, store, tell } = context
  const rules = { presets: settings.presets, encoding: settings.transform }
  const recipes = new Map<string, Recipe>()

  const kindOf = (name: string): EntityKind => {
    const kind = settings.kinds.get(name)
    if (kind === undefined) throw new ArtworkError('invalid', 'entity type is not known')
    return kind
  }
  const recipeFor = (kind: EntityKind): Recipe => {
    const known = recipes.get(kind.kind)
    if (known !== undefined) return known
    const format = formatOfKind(kind)
    const recipe: Recipe = {
      ...recipeOf(parseVariant(kind.variant, rules), rules),
      ...(isFormat(format) ? { format } : {}),
    }
    recipes.set(kind.kind, recipe)
    return recipe
  }
  const belongs = (entry: Entry, kind: string, id: string): boolean =>
    entry.ownerKind === kind && entry.ownerId === id

  /** The path of an entity: the first of its choices that is free or its own already. */
  const pathFor = (kind: EntityKind, id: EntityId, params?: Readonly<Record<string, EntityId>>): string => {
    const text = entityIdText(id)
    const paths = artworkPaths(kind, id, params)
    const free = paths.find((path) => {
      const entry = store.find(entityImageKey(path))
      return entry === undefined || belongs(entry, kind.kind, text)
    })
    return free ?? paths[paths.length - 1] ?? paths[0]
  }
  const urlOf = (path: string, entry: Entry): string =>
    `${settings.urls.base}${settings.urls.local}/${path}?v=${versionOf(entry.digest)}`

  const save = async (kind: string, id: string, sourceUrl: string, path: string, entry: Entry) => {
    const { repository, logger } = settings
    if (repository?.saveImage === undefined) return 'none' as const
    try {
      const image = {
        imageUrl: sourceUrl,
        imagePath: path,
        width: entry.width,
        height: entry.height,
        digest: entry.digest,
      }
      return (await repository.saveImage(kind, id, image)) === false
        ? ('refused' as const)
        : ('saved' as const)
    } catch (error) {
      logger.warn({ err: error, image: path }, 'artwork: the repository refused a picture')
      return 'refused' as const
    }
  }
  const report = (
    status: 'downloaded' | 'cached',
    path: string,
    entry: Entry,
    repository: SaveImageResult['repository'],
  ): SaveImageResult => ({
    status,
    localPath: path,
    url: urlOf(path, entry),
    width: entry.width,
    height: entry.height,
    bytes: entry.size,
    digest: entry.digest,
    repository,
  })

  const download = async (request: DownloadRequest, asker?: AbortSignal): Promise<SaveImageResult> => {
    const paths = artworkPaths(kindOf(request.entityType), request.entityId, request.params)
    if (paths.length === 1) return downloadTo(request, asker)
    // Two ids may have one slug: who comes first has the path, and the other sees that.
    const turn = await store.lease(`path:${paths[0]}`, asker)
    try {
      return await downloadTo(request, asker)
    } finally {
      turn.release()
    }
  }
  /** Whether a picture is of this URL; of one that was signed anew it is, for as long as its original is fresh. */
  const isOf = ({ sourceUrl, original }: Entry, url: string): boolean => {
    if (sourceUrl === url) return true
    const known = original === undefined ? undefined : store.find(original)
    const isFresh = known !== undefined && freshnessOf(known, settings.freshness, settings.now()) === 'fresh'
    return sourceUrl !== undefined && signed.isSame(sourceUrl, url) && isFresh
  }
  const downloadTo = async (request: DownloadRequest, asker?: AbortSignal): Promise<SaveImageResult> => {
    const { sourceUrl, entityType, entityId, force = false, again = false, params } = request
    const kind = kindOf(entityType)
    const ownerId = entityIdText(entityId)
    if (sourceUrl === null || sourceUrl === undefined || sourceUrl === '')
      throw new ArtworkError('no_url', 'the entity has no image URL')
    const original = admission.resolveUrl(sourceUrl)
    for (const one of artworkPaths(kind, entityId, params)) await store.lookup(entityImageKey(one))
    const path = pathFor(kind, entityId, params)
    const before = store.find(entityImageKey(path))
    if (!force && before?.isStored && isOf(before, sourceUrl) && (await store.check(before)) === 'whole')
      return report(
        'cached',
        path,
        before,
        again ? await save(kind.kind, ownerId, sourceUrl, path, before) : 'none',
      )
    if (force) await originals.refresh(original, true)
    const place: Target = {
      key: entityImageKey(path),
      role: 'artwork',
      sourceUrl,
      ownerKind: kind.kind,
      ownerId,
    }
    const known = await originals.obtain(original, { signal: asker })
    store.negativeCache.clear(place.key)
    const made = await renditions.make(place, original, known, recipeFor(kind), { signal: asker })
    const { entry } = made.picture
    if (!entry.isStored) throw new ArtworkError('disk_write', 'the image could not be kept')
    return report('downloaded', path, entry, await save(kind.kind, ownerId, sourceUrl, path, entry))
  }

  /** What was compared lately: entries do not change. */
  const compared = new WeakMap<Entry, { readonly original: Entry; readonly isAsNow: boolean }>()
  /** Whether a picture is what would be made of its original now. */
  const isAsNow = (entry: Entry, original: Entry): boolean => {
    const before = compared.get(entry)
    if (before?.original === original) return before.isAsNow
    const kind = entry.ownerKind === undefined ? undefined : settings.kinds.get(entry.ownerKind)
    // What an earlier version stored is looked at once: making it again finds out what it is.
    const isKnown = originals.hasTraits(original) || !original.isStored
    const isSame =
      kind === undefined
        ? entry.madeFrom === original.digest
        : isKnown && renditions.isCurrent(entry, original, recipeFor(kind))
    compared.set(entry, { original, isAsNow: isSame })
    return isSame
  }

  /** Tells of an original that has aged, or is another one than the picture was made from; that is served meanwhile. */
  const noticeAge = (entry: Entry): void => {
    const original = entry.original === undefined ? undefined : store.find(entry.original, 'memory')
    if (original === undefined) return
    // Who fetched it did not make this one again: it was killed before, or was about another entity of the same picture;
    // or an earlier version made it, or other options did.
    if (entry.madeFrom !== undefined && !isAsNow(entry, original)) tell.lost(entry.key.slice('local/'.length))
    if (freshnessOf(original, settings.freshness, settings.now()) === 'fresh') return
    tell.stale(original.key.slice('images/'.length))
  }

  return {
    kindOf,
    isOf,
    pathFor,
    urlOf,
    /** Fetches, makes and names an entity's picture. Never throws: what went wrong is in `reason`. */
    download: async (request: DownloadRequest, asker?: AbortSignal): Promise<SaveImageResult> => {
      try {
        return await download(request, asker)
      } catch (error) {
        const failure = asArtworkError(error)
        const level = failure.code === 'unknown' ? 'error' : 'info'
        settings.logger[level](
          { err: error, image: `${request.entityType}/${request.entityId}` },
          'artwork: a download failed',
        )
        return { status: 'failed', reason: failure.reason, repository: 'none' }
      }
    },
    /** The entry under an artwork path whose bytes are held, without I/O once warm. */
    peek: (path: string): Entry | undefined => {
      const entry = store.find(entityImageKey(path), 'memory')
      if (!entry?.isStored) return undefined
      store.touch(entry.key)
      noticeAge(entry)
      return entry
    },
    /** An entity's local picture: by its own id, or by one of its providers'. Without I/O once warm. */
    peekEntity: (kind: EntityKind, id: EntityId, params?: Readonly<Record<string, EntityId>>) => {
      const text = entityIdText(id)
      for (const path of artworkPaths(kind, id, params)) {
        const entry = store.find(entityImageKey(path), 'memory')
        if (entry?.isStored && belongs(entry, kind.kind, text)) {
          store.touch(entry.key)
          noticeAge(entry)
          return { path, entry }
        }
      }
      return undefined
    },
    /** As `peekEntity`, asking the store: also for what another process has just made. */
    findEntity: (kind: EntityKind, id: EntityId, params?: Readonly<Record<string, EntityId>>) => {
      const text = entityIdText(id)
      try {
        for (const path of artworkPaths(kind, id, params)) {
          const entry = store.find(entityImageKey(path))
          if (entry?.isStored && belongs(entry, kind.kind, text)) return { path, entry }
        }
      } catch {
        // A path that needs what we do not know, or an id that none can be.
      }
      return undefined
    },
    /**
     * The picture under an artwork path, from what is held: never from the network.
     * @returns the picture; the entry alone where the name is known and its bytes are gone; undefined for no such name
     */
    get: async (path: string): Promise<EntityImage | Entry | undefined> => {
      let entry = await store.lookup(entityImageKey(path))
      for (
        let digest = '';
        entry !== undefined && entry.digest !== digest;
        entry = store.find(entityImageKey(path))
      ) {
        const held = await store.read(entry)
        if (held !== undefined) {
          store.touch(entry.key)
          noticeAge(entry)
          const original = entry.original === undefined ? undefined : store.find(entry.original, 'memory')
          return { entry, ...held, ...(original && { original }) }
        }
        // Bytes that were replaced while they were read are under the same name with another digest: once more.
        digest = entry.digest
      }
      if (entry === undefined) return undefined
      tell.lost(path)
      return { ...entry, isStored: false }
    },
    /** Tells the app's record of a picture that is kept. */
    tellRecord: async ({ path, entry }: { readonly path: string; readonly entry: Entry }): Promise<void> => {
      const { ownerKind, ownerId, sourceUrl } = entry
      if (ownerKind !== undefined && ownerId !== undefined && sourceUrl !== undefined)
        await save(ownerKind, ownerId, sourceUrl, path, entry)
    },
    /** Makes a known picture again, from its original as that is now. */
    remake: async (entry: Entry): Promise<Entry> => {
      if (entry.original === undefined || entry.ownerKind === undefined)
        throw new ArtworkError('unknown_image', 'there is no such image')
      const original: Original = admission.originalOf(parseAddress(entry.original.slice('images/'.length)))
      const { key: name, sourceUrl, ownerKind, ownerId } = entry
      const place: Target = {
        key: name,
        role: 'artwork',
        ownerKind,
        ...(sourceUrl === undefined ? {} : { sourceUrl }),
        ...(ownerId === undefined ? {} : { ownerId }),
      }
      const known = await originals.withTraits(original, await originals.obtain(original))
      // What is known of the original by now may tell that it is right as it is.
      if (entry.isStored && isAsNow(entry, known.entry)) return entry
      const { picture: made } = await renditions.make(place, original, known, recipeFor(kindOf(ownerKind)))
      if (
        made.entry.isStored &&
        made.entry.digest !== entry.digest &&
        sourceUrl !== undefined &&
        ownerId !== undefined
      )
        await save(ownerKind, ownerId, sourceUrl, name.slice('local/'.length), made.entry)
      return made.entry
    },
  }
}

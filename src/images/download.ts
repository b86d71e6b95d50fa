/** Fetches an entity's image, makes it, stores it under the entity's path, and tells the app's record. */
import { artworkPaths, type EntityId, entityIdText } from '../model/artwork-path.js'
import { type Entry, entityImageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError, type Reason } from '../model/failure.js'
import { freshnessOf } from '../model/freshness.js'
import { entityImageUrl } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { EntityImages, Found } from './entity-images.js'
import type { MakeRendition, Target } from './make-rendition.js'
import type { Originals } from './originals.js'
import type { PresignedUrls } from './presigned-urls.js'
import type { Original, Resolver } from './resolve-address.js'

/** What to download, and for which entity. */
export interface DownloadRequest {
  /** Absolute http(s) URL of the picture; null or '' says that the entity has none. */
  readonly sourceUrl: string | null | undefined
  /** An entity kind, built in or declared. */
  readonly entityType: string
  /** Id of the entity. */
  readonly entityId: EntityId
  /** Fetch even when the same URL is stored already. @default false */
  readonly force?: boolean
  /**
   * An earlier attempt was cut short, perhaps between storing the picture and telling the repository: what is stored is
   * reported once more. @default false
   */
  readonly again?: boolean
  /** Values for the other names in the kind's path template. */
  readonly params?: Readonly<Record<string, EntityId>>
}

/** What became of a download. Sides in pixels, `bytes` is a size. */
export interface SaveImageResult {
  /** Whether it was fetched, was there already, or could not be had. */
  readonly status: 'downloaded' | 'cached' | 'failed'
  /** Why it could not be had. */
  readonly reason?: Reason
  /** Artwork path, `artists/ab/abc123.webp`. */
  readonly localPath?: string
  /** Local URL, with `?v=`. */
  readonly url?: string
  /** Pixels. */
  readonly width?: number
  /** Pixels. */
  readonly height?: number
  /** Size of the stored image. */
  readonly bytes?: number
  /** SHA-256 of its bytes, hex. */
  readonly digest?: string
  /** Whether the app's record was updated. */
  readonly repository: 'saved' | 'refused' | 'none'
}

/** What downloading works with. */
export interface DownloadParts {
  readonly settings: Pick<Settings, 'now' | 'freshness' | 'urls' | 'repository' | 'logger'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'lease' | 'check' | 'negativeCache'>
  readonly resolver: Resolver
  readonly originals: Originals
  readonly entityImages: EntityImages
  readonly makeRendition: MakeRendition
  readonly presignedUrls: PresignedUrls
}

/** @throws ArtworkError `refused` (403) for an original that not everybody may have, as everybody may an entity's image */
export function checkPublic({ source }: Pick<Original, 'source'>): void {
  if (source.access !== undefined)
    throw new ArtworkError('refused', 'the pictures of this source are private, and no entity has them')
}

/** Makes the part of the pipeline that downloads entities' images. */
export function createDownload(parts: DownloadParts) {
  const { settings } = parts
  return {
    /** Whether an entity's image is of this URL; of one that was signed anew it is, for as long as its original is fresh. */
    isOf: (entry: Entry, url: string): boolean => isOf(parts, entry, url),
    /** Tells the app's record of an entity's stored image. */
    tellRecord: ({ path, entry }: Found) => saveRecord(parts, path, entry, entry.sourceUrl),
    /** Never throws: what went wrong is in `reason`. */
    download: async (request: DownloadRequest, signal?: AbortSignal): Promise<SaveImageResult> => {
      try {
        return await download(parts, request, signal)
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
  }
}

async function download(
  parts: DownloadParts,
  request: DownloadRequest,
  signal: AbortSignal | undefined,
): Promise<SaveImageResult> {
  const kind = parts.entityImages.kindOf(request.entityType)
  const paths = artworkPaths(kind, request.entityId, request.params)
  if (paths.length === 1) return downloadTo(parts, request, signal)
  // Two ids may have one slug: the first one gets the path, and the other sees that.
  const lease = await parts.store.lease(`path:${paths[0]}`, signal)
  try {
    return await downloadTo(parts, request, signal)
  } finally {
    lease.release()
  }
}

async function downloadTo(
  parts: DownloadParts,
  request: DownloadRequest,
  signal: AbortSignal | undefined,
): Promise<SaveImageResult> {
  const { store, entityImages, originals } = parts
  const { sourceUrl, entityId, force = false, again = false, params } = request
  const kind = entityImages.kindOf(request.entityType)
  const ownerId = entityIdText(entityId)
  if (sourceUrl === null || sourceUrl === undefined || sourceUrl === '')
    throw new ArtworkError('no_url', 'the entity has no image URL')
  const original = parts.resolver.resolveUrl(sourceUrl)
  checkPublic(original)
  for (const path of artworkPaths(kind, entityId, params)) await store.lookup(entityImageKey(path))
  const path = entityImages.pathFor(kind, entityId, params)
  const target: Target = {
    key: entityImageKey(path),
    role: 'artwork',
    sourceUrl,
    ownerKind: kind.kind,
    ownerId,
  }
  const before = store.find(target.key)
  if (
    !force &&
    before?.isStored &&
    isOf(parts, before, sourceUrl) &&
    (await store.check(before)) === 'whole'
  ) {
    const repository = again ? await saveRecord(parts, path, before, sourceUrl) : 'none'
    return result(parts, 'cached', path, before, repository)
  }
  if (force) await originals.refresh(original, true)
  const about = { signal, isBackground: true }
  const known = await originals.obtain(original, about)
  store.negativeCache.clear(target.key)
  const made = await parts.makeRendition(target, original, known, entityImages.recipeFor(kind), about)
  if (!made.entry.isStored) throw new ArtworkError('disk_write', 'the image could not be kept')
  return result(parts, 'downloaded', path, made.entry, await saveRecord(parts, path, made.entry, sourceUrl))
}

function isOf(
  { store, settings, presignedUrls }: DownloadParts,
  { sourceUrl, original }: Entry,
  url: string,
): boolean {
  if (sourceUrl === url) return true
  const known = original === undefined ? undefined : store.find(original)
  const isFresh = known !== undefined && freshnessOf(known, settings.freshness, settings.now()) === 'fresh'
  return sourceUrl !== undefined && presignedUrls.isSame(sourceUrl, url) && isFresh
}

/** Tells the app's record of an entity's stored image. */
export async function saveRecord(
  { settings: { repository, logger } }: Pick<DownloadParts, 'settings'>,
  path: string,
  { ownerKind, ownerId, width, height, digest }: Entry,
  sourceUrl: string | undefined,
): Promise<SaveImageResult['repository']> {
  if (repository?.saveImage === undefined) return 'none'
  if (ownerKind === undefined || ownerId === undefined || sourceUrl === undefined) return 'none'
  try {
    const image = { imageUrl: sourceUrl, imagePath: path, width, height, digest }
    return (await repository.saveImage(ownerKind, ownerId, image)) === false ? 'refused' : 'saved'
  } catch (error) {
    logger.warn({ err: error, image: path }, 'artwork: the repository refused a picture')
    return 'refused'
  }
}

const result = (
  { settings }: DownloadParts,
  status: 'downloaded' | 'cached',
  path: string,
  { width, height, size, digest }: Entry,
  repository: SaveImageResult['repository'],
): SaveImageResult => ({
  status,
  localPath: path,
  url: entityImageUrl(settings.urls, path, digest),
  width,
  height,
  bytes: size,
  digest,
  repository,
})

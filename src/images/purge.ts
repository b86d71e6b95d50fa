/** Purging: an image and everything made from it goes, here and, through the app's hook, in front of us. */
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { artworkPaths, type EntityId, entityIdText } from '../model/artwork-path.js'
import { addressOfKey, type Entry, entityImageKey, imageKey } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { OneOf } from '../model/one-of.js'
import { imageTag, tagsOf } from '../model/tags.js'
import { allUrls, isOwnUrl } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import { entries } from '../store/pager.js'
import type { Store } from '../store/ports.js'
import type { EntityImages } from './entity-images.js'
import { orUndefined, readTarget } from './references.js'
import type { Resolver } from './resolve-address.js'

/** The ways to say what to purge. */
interface PurgeTargets {
  /** The picture of an address, whatever variant is named: its originals in every native size. */
  readonly address: Address | string
  /** The picture behind a source URL. */
  readonly url: string
  /** An entity's pictures, and their originals. */
  readonly entity: {
    /** Its kind. */
    readonly kind: string
    /** Its id. */
    readonly id: EntityId
  }
  /** Everything with a tag: `kind-poster`, `host-cdn.example.com`, `entity-artist`, `entity-artist-7`, `image-…`. */
  readonly tag: string
}

/** What to purge: by an address, a URL, an entity or a tag. */
export type PurgeTarget = OneOf<PurgeTargets>

/** What was purged. */
export interface Purged {
  /** Names that are gone. */
  readonly removed: number
  /** URLs that they had, as we print them; negotiated ones too. A signature is no part of them. */
  readonly urls: readonly string[]
  /** Tags under which a CDN may have kept them (`Cache-Tag`). */
  readonly tags: readonly string[]
}

/** What purging works with. */
export interface PurgeParts {
  readonly settings: Pick<Settings, 'urls' | 'sources' | 'onPurge' | 'logger'>
  readonly store: Pick<Store, 'find' | 'lookup' | 'select' | 'delete' | 'advanceGeneration' | 'negativeCache'>
  readonly resolver: Resolver
  readonly entityImages: EntityImages
}

/** Where to begin, and the tags that say the same. */
interface Scope {
  readonly roots: ReadonlySet<string>
  readonly tags: readonly string[]
}

const BATCH = 500

/** Makes the part of the pipeline that takes images away. */
export function createPurge(parts: PurgeParts) {
  const { settings } = parts
  return {
    /** Deletes a key and everything that was made from it. */
    removeTree: (key: string): Promise<readonly Entry[]> => removeTree(parts, key, false),
    /**
     * Takes images away with every rendition, memory included, and tells `onPurge`. An address may be a URL that we
     * printed, or an artwork path: then every picture of its entity goes, originals included.
     * @throws ArtworkError `invalid` (400), `refused` (403) or `unknown_image` (404) for a target that nothing has
     */
    purge: async (target: PurgeTarget): Promise<Purged> => {
      checkTarget(target)
      const own = target.url !== undefined && isOwnUrl(settings.urls, target.url) ? target.url : undefined
      const named = own ?? target.address
      if (named === undefined) return purge(parts, target)
      const found = readTarget(parts, named)
      if ('address' in found) return purge(parts, found)
      const { key, original, ownerKind: kind, ownerId: id } = found.local
      if (kind !== undefined && id !== undefined) return purge(parts, { entity: { kind, id } })
      if (original !== undefined) return purge(parts, { address: addressOfKey(original) ?? '' })
      return { removed: (await removeTree(parts, key, true)).length, urls: [], tags: [] }
    },
  }
}

async function purge(parts: PurgeParts, target: PurgeTarget): Promise<Purged> {
  const { settings, store } = parts
  store.advanceGeneration()
  const { roots, tags } = await find(parts, target)
  const gone: Entry[] = []
  // What was begun before the generation was advanced is not stored after it; what began since, from an original that was not
  // gone yet, goes the second time.
  for (const root of roots) gone.push(...(await removeTree(parts, root, true)))
  store.advanceGeneration()
  for (const root of roots) gone.push(...(await removeTree(parts, root, true)))
  const purged: Purged = {
    removed: gone.length,
    urls: [...new Set(gone.flatMap((entry) => allUrls(settings.urls, entry)))],
    tags: [...new Set(tags)],
  }
  try {
    await settings.onPurge?.(purged.urls, purged.tags)
  } catch (error) {
    settings.logger.error({ err: error, tags: purged.tags }, 'artwork: onPurge failed')
  }
  return purged
}

/** Deletes a key and everything that was made from it; of an upload, when it is purged, only the latter. */
async function removeTree(parts: PurgeParts, key: string, isPurge: boolean): Promise<readonly Entry[]> {
  const { store } = parts
  const gone: Entry[] = []
  const remove = async (entry: Entry | undefined): Promise<void> => {
    if (entry !== undefined && (await store.delete(entry.key))) gone.push(entry)
  }
  for (let before = -1; gone.length > before; ) {
    before = gone.length
    for (const entry of store.select({ original: key, limit: BATCH })) await remove(entry)
  }
  store.negativeCache.clear(key)
  if (isPurge && isUpload(parts, key)) return gone
  const entry = await store.lookup(key)
  await remove(entry)
  // Nodes that share a store may have what this one never had.
  if (entry === undefined) await store.delete(key)
  return gone
}

/** An upload is no copy of anything: it is removed by its own verb only. */
function isUpload({ resolver }: PurgeParts, key: string): boolean {
  const kind = addressOfKey(key)?.split('/')[0]
  return kind !== undefined && orUndefined(() => resolver.sourceOf(kind).isHosted) === true
}

/** @throws ArtworkError `invalid` (400) for none of the ways to say it, or several */
function checkTarget({ address, url, entity, tag }: PurgeTarget): void {
  if ([address, url, entity, tag].filter((one) => one !== undefined).length !== 1)
    throw new ArtworkError('invalid', 'say what to purge by one of address, url, entity and tag')
}

async function find(parts: PurgeParts, target: PurgeTarget): Promise<Scope> {
  if (target.tag !== undefined) return findTagged(parts, target.tag)
  if (target.entity !== undefined) return findEntity(parts, target.entity)
  return findPicture(parts, target)
}

function findPicture({ resolver }: PurgeParts, target: OneOf<Pick<PurgeTargets, 'address' | 'url'>>): Scope {
  const { address, source, text } =
    target.url !== undefined
      ? resolver.resolveUrl(target.url)
      : resolver.resolve(toAddress(target.address), true).original
  // A URL may belong to several kinds of a source, each with images of its own.
  const keys = source
    .originalsOf(address, target.url !== undefined)
    .map((one) => imageKey(formatAddress(one)))
  return { roots: new Set(keys), tags: [imageTag(imageKey(text)), ...keys.map(imageTag)] }
}

async function findTagged({ store }: PurgeParts, tag: string): Promise<Scope> {
  const [, ownerKind] = /^entity-([a-z0-9_]+)/.exec(tag) ?? []
  const roots = new Set<string>()
  for await (const entry of entries(store, ownerKind === undefined ? {} : { ownerKind }, BATCH))
    if (tagsOf(entry).includes(tag)) roots.add(entry.original ?? entry.key).add(entry.key)
  return { roots, tags: [tag] }
}

async function findEntity(
  { store, entityImages }: PurgeParts,
  { kind, id }: { readonly kind: string; readonly id: EntityId },
): Promise<Scope> {
  const text = entityIdText(id)
  const entityKind = entityImages.kindOf(kind)
  // Also in what a lost catalogue left. A path that needs parameters is found by its owner.
  const paths = orUndefined(() => artworkPaths(entityKind, id)) ?? []
  for (const path of paths) await store.lookup(entityImageKey(path))
  const roots = new Set<string>()
  for await (const entry of entries(store, { ownerKind: kind }, BATCH))
    if (entry.ownerKind === kind && entry.ownerId === text)
      roots.add(entry.original ?? entry.key).add(entry.key)
  const images = [...roots].filter((key) => addressOfKey(key) !== undefined)
  return { roots, tags: [`entity-${kind}-${text}`, ...images.map(imageTag)] }
}

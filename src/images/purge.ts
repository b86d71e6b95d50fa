/** Purging: an image and everything made from it goes, here and, through the app's hook, in front of us. */
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { artworkPaths, type EntityId, entityIdText } from '../model/artwork-path.js'
import { versionOf } from '../model/digest.js'
import { type Entry, entityImageKey, imageKey } from '../model/entry.js'
import { imageTag, tagsOf } from '../model/tags.js'
import type { Context } from './context.js'
import type { EntityImages } from './entity-images.js'
import type { Resolver } from './resolve.js'

/** What to purge: one of these. */
export type PurgeTarget =
  /** The picture of an address, whatever variant is named: its originals in every native size. */
  | { readonly address: Address | string }
  /** The picture behind a source URL. */
  | { readonly url: string }
  /** An entity's pictures, and their originals. */
  | { readonly entity: { readonly kind: string; readonly id: EntityId } }
  /** Everything with a tag: `kind-poster`, `host-cdn.example.com`, `entity-artist`, `entity-artist-7`, `image-…`. */
  | { readonly tag: string }

/** What was purged. */
export interface Purged {
  /** Names that are gone. */
  readonly removed: number
  /** URLs that they had, as we print them; negotiated ones too. A signature is no part of them. */
  readonly urls: readonly string[]
  /** Tags under which a CDN may have kept them (`Cache-Tag`). */
  readonly tags: readonly string[]
}

const BATCH = 500
/** Ms in which a write that is under way has ended. */
const SETTLE = 30

/** Makes the part of the pipeline that takes images away. */
export function createPurge(context: Context, admission: Resolver, artworks: EntityImages) {
  const { settings, store } = context
  const { urls } = settings

  /** Whether a name is an upload: it is no copy of anything, and is only removed by who says so. */
  const isHosted = (name: string): boolean => {
    try {
      return isImage(name) && admission.sourceOf(name.split('/')[1] ?? '').isHosted === true
    } catch {
      return false
    }
  }
  /** Removes a name and everything that was made from it; of an upload, when it is purged, only the latter. */
  const removeTree = async (name: string, isPurge = false): Promise<readonly Entry[]> => {
    const gone: Entry[] = []
    const remove = async (entry: Entry | undefined): Promise<void> => {
      if (entry !== undefined && (await store.delete(entry.key))) gone.push(entry)
    }
    for (let before = -1; gone.length > before; ) {
      before = gone.length
      for (const entry of store.select({ original: name, limit: BATCH })) await remove(entry)
    }
    store.negativeCache.clear(name)
    if (!isPurge || !isHosted(name)) await remove(await store.lookup(name))
    return gone
  }
  async function* everything(ownerKind?: string): AsyncGenerator<Entry> {
    for (let after = ''; ; await breathe()) {
      const batch = store.select({ after, limit: BATCH, ...(ownerKind !== undefined && { ownerKind }) })
      yield* batch
      const last = batch.at(-1)
      if (last === undefined || batch.length < BATCH) return
      after = last.key
    }
  }
  const rootOf = (entry: Entry): string => entry.original ?? entry.key

  /** Looks an entity's paths up in what a lost catalogue left; a path that needs more than the id is found by its owner. */
  const recallPaths = async (kind: string, id: EntityId): Promise<void> => {
    const entityKind = artworks.kindOf(kind)
    try {
      for (const path of artworkPaths(entityKind, id)) await store.lookup(entityImageKey(path))
    } catch {
      // It needs parameters that we do not have.
    }
  }
  /** The names to begin at, and the tags that say the same. */
  const find = async (target: PurgeTarget): Promise<{ roots: Set<string>; tags: string[] }> => {
    if ('address' in target || 'url' in target) {
      const { address, source, text } =
        'url' in target
          ? admission.resolveUrl(target.url)
          : admission.resolve(toAddress(target.address), true).original
      // A URL may belong to several kinds of a source, each with pictures of its own.
      const names = source.originalsOf(address, 'url' in target).map((one) => imageKey(formatAddress(one)))
      return { roots: new Set(names), tags: [imageTag(imageKey(text)), ...names.map(imageTag)] }
    }
    const roots = new Set<string>()
    if ('tag' in target) {
      const [, ownerKind] = /^entity-([a-z0-9_]+)/.exec(target.tag) ?? []
      for await (const entry of everything(ownerKind))
        if (tagsOf(entry).includes(target.tag)) roots.add(rootOf(entry)).add(entry.key)
      return { roots, tags: [target.tag] }
    }
    const { kind, id } = target.entity
    const text = entityIdText(id)
    const mine = (entry: Entry | undefined): boolean => entry?.ownerKind === kind && entry.ownerId === text
    await recallPaths(kind, id)
    for await (const entry of everything(kind)) if (mine(entry)) roots.add(rootOf(entry)).add(entry.key)
    return { roots, tags: [`entity-${kind}-${text}`, ...[...roots].filter(isImage).map(imageTag)] }
  }
  /** The URLs of a name: as it is, and as the negotiated one that may have come down to it. */
  const urlsOf = ({ key: name, digest, madeFrom }: Entry): readonly string[] => {
    if (name.startsWith('local/')) {
      const url = `${urls.base}${urls.local}/${name.slice('local/'.length)}`
      return [url, `${url}?v=${versionOf(digest)}`]
    }
    const [, kind = '', variant = '', ...id] = name.split('/')
    const negotiated = variant.replace(/(?:-(?:avif|webp|jpeg|png|gif))?(-q\d+)?$/, '-auto$1')
    return [variant, negotiated].flatMap((one) => {
      const url = `${urls.base}${urls.images}/${kind}/${one}/${id.join('/').replaceAll('%', '%25')}`
      return [url, `${url}?v=${versionOf(madeFrom ?? digest)}`]
    })
  }

  return {
    removeTree,
    /**
     * Takes images away with every rendition, memory included, and tells `onPurge`.
     * @throws ArtworkError `invalid` (400) or `refused` (403) for a target that no source has
     */
    purge: async (target: PurgeTarget): Promise<Purged> => {
      store.advanceGeneration()
      const { roots, tags } = await find(target)
      const gone: Entry[] = []
      // Twice: a write that had begun when the purge was noted ends in between.
      for (const root of roots) gone.push(...(await removeTree(root, true)))
      await sleep(SETTLE)
      for (const root of roots) gone.push(...(await removeTree(root, true)))
      const purged: Purged = {
        removed: gone.length,
        urls: [...new Set(gone.flatMap(urlsOf))],
        tags: [...new Set(tags)],
      }
      try {
        await settings.onPurge?.(purged.urls, purged.tags)
      } catch (error) {
        settings.logger.error({ err: error, tags: purged.tags }, 'artwork: onPurge failed')
      }
      return purged
    },
  }
}

const isImage = (name: string): boolean => name.startsWith('images/')

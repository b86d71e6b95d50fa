/** Makes images again, after their original changed or their bytes are missing. */
import { parseAddress } from '../model/address.js'
import { addressOfKey, type Entry, entityImageKey, pathOfKey } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { checkPublic, type DownloadParts, saveRecord } from './download.js'
import type { EntityImages } from './entity-images.js'
import type { EntitySizes } from './entity-sizes.js'
import type { MakeRendition, Target } from './make-rendition.js'
import type { Originals } from './originals.js'
import type { Resolver } from './resolve-address.js'

/** What making again works with. */
export interface RegenerateParts {
  readonly settings: DownloadParts['settings'] & Pick<Settings, 'freshness'>
  readonly store: Pick<Store, 'find' | 'select' | 'lastUsed'>
  readonly resolver: Resolver
  readonly originals: Originals
  readonly entityImages: EntityImages
  readonly makeRendition: MakeRendition
  /** Makes the rendition of an address, whatever variant it names. */
  readonly render: (address: string) => Promise<unknown>
  readonly entitySizes: Pick<EntitySizes, 'get'>
}

/** Most images of one original that are made again at once. */
const MAX_BATCH = 1000

/** See the top of the file. */
export type Regenerate = ReturnType<typeof createRegenerate>

/** Makes the part of the pipeline that makes images again. */
export function createRegenerate(parts: RegenerateParts) {
  const { settings, store } = parts
  return {
    /** After an original changed: entities' images, and what was used lately; the rest is made when it is asked for. */
    after: async (original: Entry): Promise<void> => {
      const recent = settings.now() - settings.freshness.maxAge
      const { key, digest } = original
      for (const entry of store.select({ original: key, notMadeFrom: digest, limit: MAX_BATCH })) {
        try {
          if (entry.role === 'artwork') await remake(parts, entry)
          else if ((store.lastUsed(entry.key) ?? 0) >= recent) await renderAgain(parts, entry)
        } catch (error) {
          settings.logger.warn({ err: error, image: entry.key }, 'artwork: a picture could not be made again')
        }
      }
    },
    /** After somebody has said what of an original stays in sight: entities' images; the rest is made when it is asked for. */
    refocused: async (original: Entry): Promise<void> => {
      for (const entry of store.select({ role: 'artwork', original: original.key, limit: MAX_BATCH }))
        await remake(parts, entry).catch((error) =>
          settings.logger.warn(
            { err: error, image: entry.key },
            'artwork: a picture could not be made again',
          ),
        )
    },
    /** An entity's image whose bytes are missing, or that would be another one now. @throws ArtworkError */
    repair: async (path: string): Promise<void> => {
      const entry = store.find(entityImageKey(path))
      if (entry !== undefined) await remake(parts, entry)
    },
  }
}

async function renderAgain({ render, entitySizes }: RegenerateParts, { key }: Entry): Promise<void> {
  const path = pathOfKey(key)
  if (path === undefined) await render(addressOfKey(key) ?? '')
  else await entitySizes.get(path, { isBackground: true })
}

/** Makes an entity's image again, from its original as that is now. @throws ArtworkError */
async function remake(parts: RegenerateParts, entry: Entry): Promise<void> {
  const { originals, entityImages, resolver } = parts
  const { key, sourceUrl, ownerKind, ownerId } = entry
  const address = entry.original === undefined ? undefined : addressOfKey(entry.original)
  if (address === undefined || ownerKind === undefined)
    throw new ArtworkError('unknown_image', 'there is no such image')
  const original = resolver.originalOf(parseAddress(address))
  checkPublic(original)
  const target: Target = {
    key,
    role: 'artwork',
    ownerKind,
    ...(sourceUrl !== undefined && { sourceUrl }),
    ...(ownerId !== undefined && { ownerId }),
  }
  const known = await originals.withTraits(original, await originals.obtain(original))
  // What is known of the original by now may tell that it is right as it is.
  if (entry.isStored && entityImages.isCurrent(entry, known.entry)) return
  const recipe = entityImages.recipeFor(entityImages.kindOf(ownerKind))
  const made = await parts.makeRendition(target, original, known, recipe)
  if (made.entry.isStored && made.entry.digest !== entry.digest)
    await saveRecord(parts, pathOfKey(key) ?? '', made.entry, sourceUrl)
}

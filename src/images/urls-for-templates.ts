/** Puts the parts together that templates ask, over a store that notes what an answer rests on. */
import { formatAddress, makeAddress } from '../model/address.js'
import { addressOfKey, type Entry, pathOfKey } from '../model/entry.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { createDisplayUrls, type DisplayParts } from './display-url.js'
import { createEntityImages, type EntityImageParts } from './entity-images.js'
import { createEntitySizes, type EntitySizeParts } from './entity-sizes.js'
import { createKnownFailures } from './known-failures.js'
import { createPrintUrl, type PrintParts } from './print-url.js'
import { createReadTrace } from './read-trace.js'
import { createReferences, orUndefined, type ReferenceParts } from './references.js'

/** What they work with. */
export interface PrintingParts
  extends Omit<ReferenceParts, 'onMore' | 'settings' | 'store'>,
    Pick<EntityImageParts, 'events' | 'recipes'>,
    Pick<DisplayParts, 'noPicture' | 'presignedUrls'>,
    Pick<EntitySizeParts, 'originals' | 'makeRendition'> {
  readonly settings: Settings
  readonly store: Store
  readonly notice: PrintParts['notice']
  readonly run: string
}

/**
 * A store without images of entities that were made of a source before that became private: anybody may have the image of an
 * entity.
 */
function withoutPrivate(store: Store, { sources }: Pick<Settings, 'sources'>): Store {
  const kinds = new Set(sources.flatMap((source) => (source.access === undefined ? [] : source.kinds)))
  if (kinds.size === 0) return store
  const seen = (entry: Entry | undefined): Entry | undefined => {
    const { key = '', original = '' } = entry ?? {}
    const kind = addressOfKey(original)?.split('/', 1)[0] ?? ''
    return pathOfKey(key) !== undefined && kinds.has(kind) ? undefined : entry
  }
  return {
    ...store,
    find: (key, trust) => seen(store.find(key, trust)),
    lookup: async (key, original) => seen(await store.lookup(key, original)),
  }
}

/** See the top of the file. */
export function createPrinting(parts: PrintingParts) {
  const trace = createReadTrace(parts.store)
  const noted = { ...parts, store: withoutPrivate(trace.store, parts.settings) }
  const entityImages = createEntityImages(noted)
  const references = createReferences({ ...noted, onMore: trace.isMore })
  const knownFailures = createKnownFailures(noted)
  const printUrl = createPrintUrl({ ...noted, references, knownFailures })
  const entitySizes = createEntitySizes({ ...noted, entityImages })
  const display = createDisplayUrls({
    ...noted,
    entityImages,
    entitySizes,
    references,
    printUrl,
    knownFailures,
  })
  /** The address of a picture by its URL; undefined for what no source has. */
  const addressOf = (url: string): string | undefined =>
    orUndefined(() => {
      const found = references.read(url)
      if (found === undefined) return undefined
      const { kind, id, variant = parts.resolver.sourceOf(kind).defaultVariant(kind) } = found
      return formatAddress(makeAddress(kind, variant, id))
    })
  return { entityImages, entitySizes, display, trace, addressOf }
}

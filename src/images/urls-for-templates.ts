/** Puts the parts together that templates ask, over a store that notes what an answer rests on. */
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import { createDisplayUrls, type DisplayParts } from './display-url.js'
import { createEntityImages, type EntityImageParts } from './entity-images.js'
import { createEntitySizes, type EntitySizeParts } from './entity-sizes.js'
import { createKnownFailures } from './known-failures.js'
import { createPrintUrl } from './print-url.js'
import { createReadTrace } from './read-trace.js'
import { createReferences, type ReferenceParts } from './references.js'

/** What they work with. */
export interface PrintingParts
  extends Omit<ReferenceParts, 'onMore' | 'settings' | 'store'>,
    Pick<EntityImageParts, 'events' | 'recipes'>,
    Pick<DisplayParts, 'noPicture' | 'presignedUrls'>,
    Pick<EntitySizeParts, 'originals' | 'makeRendition'> {
  readonly settings: Settings
  readonly store: Store
  readonly run: string
}

/** See the top of the file. */
export function createPrinting(parts: PrintingParts) {
  const trace = createReadTrace(parts.store)
  const noted = { ...parts, store: trace.store }
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
  return { entityImages, entitySizes, display, trace }
}

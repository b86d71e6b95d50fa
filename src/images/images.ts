/** The pipeline: get, put, print, download, refresh, remove, purge. */
import { createSingleFlight } from '../concurrency.js'
import type { Events } from '../events.js'
import type { Fetcher } from '../fetch/fetcher.js'
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { etagOf } from '../model/digest.js'
import { type Entry, imageKey, type Looks, looksOf } from '../model/entry.js'
import { ArtworkError, asArtworkError, isOriginalFailureActive } from '../model/failure.js'
import { isFile } from '../model/location.js'
import { sniff, typeOf } from '../model/media-type.js'
import { readNoPicture } from '../model/no-picture.js'
import { fieldOf, idOf, textOf } from '../model/text.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { NewEntry, Store } from '../store/ports.js'
import type { Inspected, Transformer } from '../transform/transformer.js'
import { createAutoFormats } from './auto-formats.js'
import type { DisplayUrls } from './display-url.js'
import { createDownload, type DownloadRequest, type SaveImageResult } from './download.js'
import { createFetchOriginal } from './fetch-original.js'
import { createFileOriginals } from './file-originals.js'
import { createFocalPoints } from './focal-points.js'
import type { ImageResult } from './image.js'
import { createMakeRendition } from './make-rendition.js'
import { createOriginals } from './originals.js'
import { createPresignedUrls } from './presigned-urls.js'
import { createPurge } from './purge.js'
import { createRecipes } from './recipes.js'
import { createRegenerate } from './regenerate.js'
import { createRenditions } from './renditions.js'
import { createResolver } from './resolve-address.js'
import { type ServeOptions, serve } from './serve-image.js'
import { createPrinting } from './urls-for-templates.js'

/** An image in hand, and the looks of its original. Sides in pixels, `storedAt` in ms since the epoch, `etag` with its quotes. */
export interface Image extends Looks {
  /** The encoded image. */
  readonly bytes: Buffer
  /** Its media type, `image/webp`. */
  readonly contentType: string
  /** Its strong entity tag, with the quotes. */
  readonly etag: string
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  /** Pixels. */
  readonly width: number
  /** Pixels. */
  readonly height: number
  /** Ms since the epoch. */
  readonly storedAt: number
  /** Where its bytes came from. */
  readonly from: 'memory' | 'disk' | 'upstream'
}

/** What the pipeline works with. */
export interface PipelineParts {
  readonly store: Store
  readonly fetcher: Fetcher
  readonly transformer: Transformer
  readonly events: Events
  /** What sources may ask for. */
  readonly means: Means
  /** Names this run of the app: what its settings refused is judged anew by another one. */
  readonly run: string
  /** Whether it can be known which uploads there are. */
  readonly areUploadsOpen: () => boolean
}

/** The parts of the pipeline, and its verbs. */
export type Images = ReturnType<typeof createImages>

/** What was asked about more lately than that is not doubted, ms. */
const DOUBTED_AFTER_MS = 60_000

/** Puts the pipeline together. */
export function createImages(settings: Settings, ports: PipelineParts) {
  const singleFlight = createSingleFlight()
  const resolver = createResolver(settings)
  const recipes = createRecipes(settings, ports.run)
  const noPicture = readNoPicture(settings.noPicture)
  const base = { ...ports, settings, singleFlight, resolver, recipes, noPicture }
  const presignedUrls = createPresignedUrls(base)
  const fetchOriginal = createFetchOriginal({ ...base, presignedUrls })
  const files = createFileOriginals(base)
  const originals = createOriginals({ ...base, fetchOriginal, files })
  const makeRendition = createMakeRendition({ ...base, originals })
  const renditions = createRenditions({ ...base, originals, makeRendition })
  const autoFormats = createAutoFormats({ ...base, renditions })
  const { display, entityImages, entitySizes, trace, addressOf } = createPrinting({
    ...base,
    originals,
    makeRendition,
    presignedUrls,
    notice: files.notice,
  })
  const { purge, removeTree } = createPurge({ ...base, entityImages })
  const parts = { ...base, originals, renditions, autoFormats, entityImages, makeRendition, presignedUrls }
  const downloads = createDownload(parts)
  const serveAddress = (address: Address | string, isTrusted: boolean, options: ServeOptions = {}) =>
    Promise.resolve().then(() => serve(parts, resolver.resolve(toAddress(address), isTrusted), options))
  const regenerate = createRegenerate({
    ...parts,
    entitySizes,
    render: (address) => serveAddress(address, true),
  })

  return {
    resolver,
    recipes,
    originals,
    renditions,
    autoFormats,
    entityImages,
    entitySizes,
    display,
    trace,
    addressOf,
    presignedUrls,
    singleFlight,
    removeTree,
    purge,
    downloads,
    /** For the routers: resolves by the strict list unless `isTrusted`. @throws ArtworkError */
    serve: serveAddress,
    /** Makes an entity's image again that is missing or not current. @throws ArtworkError */
    repair: regenerate.repair,
    /** Whether an entry is what is stored under its key now. */
    isCurrent: (entry: Entry): boolean => {
      const now = ports.store.find(entry.key)
      return now?.digest === entry.digest && now.validatedAt === entry.validatedAt
    },
    /**
     * A browser could not show a source's URL: its source is asked, in the background, unless that was done just now.
     * @throws ArtworkError for a URL that no source has
     */
    doubt: (url: string): void => {
      const { text } = resolver.resolveUrl(url)
      const key = imageKey(text)
      const now = settings.now()
      const failure = ports.store.negativeCache.get(key)
      const isRecent = (ports.store.find(key)?.validatedAt ?? 0) > now - DOUBTED_AFTER_MS
      if (isRecent || (failure !== undefined && isOriginalFailureActive(failure, now, ports.run))) return
      ports.events.emit('original-stale', { address: text })
    },
    /** Resolves when everything that has begun has ended. */
    idle: singleFlight.idle,
    ...createVerbs(settings, {
      ...ports,
      resolver,
      originals,
      display,
      downloads,
      regenerate,
      removeTree,
      serveAddress,
    }),
  }
}

/** What the public verbs work with. */
interface VerbParts extends Pick<PipelineParts, 'store' | 'fetcher' | 'transformer' | 'events' | 'means'> {
  readonly resolver: ReturnType<typeof createResolver>
  readonly originals: ReturnType<typeof createOriginals>
  readonly display: DisplayUrls
  readonly downloads: ReturnType<typeof createDownload>
  readonly regenerate: ReturnType<typeof createRegenerate>
  readonly removeTree: (key: string) => Promise<readonly Entry[]>
  readonly serveAddress: (
    address: Address | string,
    isTrusted: boolean,
    options?: ServeOptions,
  ) => Promise<ImageResult>
}

/** The public verbs. */
function createVerbs(settings: Settings, parts: VerbParts) {
  const { resolver, originals, display, regenerate } = parts
  return {
    /**
     * The image of an address, fetched and made where it is not stored.
     * @throws ArtworkError any row of the table of errors
     */
    getImage: async (address: Address | string, options: ServeOptions = {}): Promise<Image> =>
      toImage(await parts.serveAddress(address, true, options)),
    /**
     * What URL to print, synchronously: the local copy, else the source, else the placeholder of the type.
     * @param sourceUrl the entity's own URL
     * @param localPath its artwork path
     * @param entityType an entity kind; an unknown one has the plain placeholder
     * @param options.requireLocal never let the source's URL out
     */
    getDisplayUrl: (
      sourceUrl: string | null | undefined,
      localPath: string | null | undefined,
      entityType: string,
      options?: { requireLocal?: boolean },
    ): string =>
      display.display({
        kind: settings.kinds.get(textOf(entityType) ?? ''),
        sourceUrl: textOf(sourceUrl),
        localPath: textOf(localPath),
        kindName: textOf(entityType),
        requireLocal: fieldOf(Object(options), 'requireLocal') === true,
      }).url,
    /** Fetches an entity's picture, makes it and names it. Never throws: see `status` and `reason`. */
    downloadAndCache: (request: DownloadRequest): Promise<SaveImageResult> =>
      parts.downloads.download({
        ...request,
        sourceUrl: textOf(request.sourceUrl),
        entityId: idOf(request.entityId) ?? '',
      }),
    /** Whether a URL answers with an image: HEAD, and a ranged GET where HEAD is refused. Never throws. */
    validateImage: (url: string): Promise<boolean> => validate(settings, parts, url),
    /**
     * Keeps given bytes as the original of an address.
     * @throws ArtworkError `unsupported` (415), `invalid_image` (422), `too_large` (413), `disk_write` (503)
     */
    put: (address: Address | string, bytes: Uint8Array): Promise<Image> =>
      put(settings, parts, address, Buffer.from(bytes)),
    /**
     * Asks upstream about an image now; when it changed, what was made from it is made again.
     * @throws ArtworkError any row that has to do with an upstream; what is stored stays
     */
    refresh: async (address: Address | string): Promise<{ changed: boolean }> => {
      const { original } = resolver.resolve(toAddress(address), true)
      const { entry, changed } = await originals.refresh(original)
      await regenerate.after(entry)
      return { changed }
    },
    /**
     * Says what of a picture stays in sight where it is cut to a shape; nothing of it any more without a point. It is kept with the
     * original, and holds for its next state.
     * @throws TypeError for what is no point @throws ArtworkError as `getImage` does
     */
    setFocalPoint: createFocalPoints(parts),
    /** Forgets an image and everything made from it. Answers whether it was there. */
    remove: async (address: Address | string): Promise<boolean> => {
      const { address: canonical } = resolver.resolve(toAddress(address), true)
      return (await parts.removeTree(imageKey(formatAddress(canonical)))).length > 0
    },
  }
}

const toImage = ({ entry, bytes, from, original = entry }: ImageResult): Image => {
  const { digest, type, width, height, storedAt } = entry
  const looks = looksOf(original.traits)
  return { bytes, contentType: type, etag: etagOf(digest), digest, width, height, storedAt, from, ...looks }
}

async function validate(
  { logger }: Settings,
  { display, resolver, fetcher, means }: VerbParts,
  url: string,
): Promise<boolean> {
  try {
    if (display.isOwn(url)) return true
    const { source, address } = resolver.resolveUrl(url)
    const location = await source.locate(address, means)
    return !isFile(location) && (await fetcher.probe({ ...location, url }))
  } catch (error) {
    if (asArtworkError(error).code === 'unknown') logger.error({ err: error }, 'artwork: a check failed')
    return false
  }
}

async function put(
  settings: Settings,
  { resolver, store, transformer, events }: VerbParts,
  address: Address | string,
  bytes: Buffer,
): Promise<Image> {
  const { original } = resolver.resolve(toAddress(address), true)
  if (original.source.isHosted) throw new ArtworkError('invalid', 'an upload has its id from its bytes')
  const facts = await inspectGiven({ settings, transformer }, bytes)
  const at = settings.now()
  const times = { storedAt: at, validatedAt: at, freshnessLifetime: settings.freshness.maxAge }
  const key = imageKey(original.text)
  const { focalPoint } = (await store.lookup(key, key)) ?? {}
  const fresh: NewEntry = { key, role: 'original', ...facts, ...times, focalPoint }
  const entry = await store.write(fresh, bytes)
  events.emit('image-served', { from: 'memory' })
  return toImage({ entry, bytes, from: 'memory' })
}

/**
 * Type and sides of an image that is given, sides in pixels.
 * @throws ArtworkError `too_large` (413), `unsupported` (415), `invalid_image` (422)
 */
export async function inspectGiven(
  {
    settings,
    transformer,
  }: { readonly settings: Settings; readonly transformer: Pick<Transformer, 'inspect'> },
  bytes: Buffer,
): Promise<Inspected & { readonly type: string }> {
  if (bytes.length > settings.fetch.maxBytes)
    throw new ArtworkError('too_large', 'the image has too many bytes')
  const kind = sniff(bytes)
  if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
  return { type: typeOf(kind), ...(await transformer.inspect(bytes, kind)) }
}

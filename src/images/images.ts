/** The pipeline: get, put, peek, refresh, remove. Every service that the seeds had is one of these. */
import { randomUUID } from 'node:crypto'
import type { Fetcher } from '../fetch/fetcher.js'
import type { ProxyStatus } from '../fetch/proxy-pool.js'
import type { Negotiation } from '../http/accept.js'
import {
  expire,
  type OptimizeOptions,
  type OptimizeResult,
  type OptimizeWatch,
  optimize,
} from '../jobs/cleanup.js'
import { type ImportOptions, type ImportReport, importFolder } from '../library/import.js'
import { type Explained, explain } from '../management/explain.js'
import {
  type ImageDetails,
  imageDetails,
  type StoredImage,
  storedImage,
} from '../management/image-details.js'
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { etagOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { fieldOf, idOf, textOf } from '../model/text.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { UploadSource } from '../sources/uploads.js'
import type { Content, SearchQuery, Store, StoreStats, VerifyOptions, VerifyReport } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'
import type { UploadStats, UploadStore } from '../uploads/upload-store.js'
import { createUploads } from '../uploads/uploads.js'
import { createAutoFormats } from './auto-formats.js'
import type { Context, Counts, Forward, Notices, Obtained } from './context.js'
import { createDisplayUrls } from './display-url.js'
import { createEntityImages, type DownloadRequest, type SaveImageResult } from './entity-images.js'
import { examine } from './examine.js'
import { createFlights } from './flights.js'
import { remembered } from './notes.js'
import { createOriginals, type Known } from './originals.js'
import { isOwnUrl, readReference } from './printed.js'
import { createProbe } from './probe.js'
import { createPurge, type Purged, type PurgeTarget } from './purge.js'
import { createRenditions } from './renditions.js'
import { createResolver, type Resolved } from './resolve.js'
import { createSignedUrls } from './signed-urls.js'

/** An image in hand. Sides in pixels, `storedAt` in ms since the epoch, `etag` with its quotes. */
export interface Image {
  readonly bytes: Buffer
  readonly contentType: string
  readonly etag: string
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly width: number
  readonly height: number
  readonly storedAt: number
  readonly from: 'memory' | 'disk' | 'upstream'
}

/** An image as the routers need it: with what is known of it. */
export interface ServedImage extends Image {
  /** The digest of its original, that `?v=` names. */
  readonly originalDigest: string
  readonly entry: Entry
  /** Its original, where that is known. */
  readonly original?: Entry
  /** How upstream was asked, where it was. */
  readonly forward?: Forward
  /** Of an `auto` variant: what its format was chosen by. */
  readonly negotiation?: Negotiation
  /** It stands in for a better format that is being made. */
  readonly isInterim?: boolean
  /** Nobody may keep it. */
  readonly isTransient?: boolean
}

/** What an asker may say. */
export interface GetOptions {
  /** Aborted when the asker has gone. */
  readonly signal?: AbortSignal | undefined
  /** `Accept` of the request, for `auto` variants. */
  readonly accept?: string | undefined
  /** Answers from what is held, or not at all. */
  readonly onlyIfCached?: boolean | undefined
  /** Nobody waits for it. */
  readonly isBackground?: boolean | undefined
  /** Who asks: clients take turns. */
  readonly client?: string | undefined
}

/** Numbers of the store and of what happened since start. */
export interface ImagesStats extends StoreStats {
  readonly requests: Readonly<Counts>
  /** Hosts that are not asked because they failed ten times in a row. */
  readonly restingHosts: readonly string[]
  /** Proxies, and how they fare; no credentials in it. */
  readonly proxies: readonly ProxyStatus[]
  /** Uploads, where there are any. They have no part in the other numbers. */
  readonly uploads?: UploadStats
}

/** The ports that the pipeline works with. */
export interface Ports {
  readonly store: Store
  readonly fetcher: Fetcher
  readonly transformer: Transformer
  /** Where uploads are, and by which rules, if there are any. */
  readonly uploads?: { readonly source: UploadSource; readonly shelf: UploadStore } | undefined
}

/** The pipeline; see the README for its public verbs. */
export type Images = ReturnType<typeof createImages>

const LARGEST_BATCH = 1000

/** Puts the parts of the pipeline together. */
export function createImages(settings: Settings, ports: Ports, tell: Notices) {
  const { store, fetcher, transformer, uploads } = ports
  const counts: Counts = {
    memoryHits: 0,
    diskHits: 0,
    misses: 0,
    upstreamRequests: 0,
    encodes: 0,
    failures: 0,
  }
  const flights = createFlights()
  const isHostingOpen = () => uploads?.shelf.isOpen() !== false
  const means: Means = {
    document: (request) => fetcher.document(request),
    notes: remembered(store.keyValue),
    now: settings.now,
  }
  const context: Context = {
    settings,
    store,
    fetcher,
    transformer,
    flights,
    counts,
    tell,
    means,
    areUploadsOpen: isHostingOpen,
    run: randomUUID(),
  }
  const admission = createResolver(settings)
  const signed = createSignedUrls(context, admission)
  const originals = createOriginals(context, signed)
  const renditions = createRenditions(context, originals)
  const autoFormats = createAutoFormats(context, admission, renditions)
  const artworks = createEntityImages(context, admission, originals, renditions, signed)
  const display = createDisplayUrls(context, admission, artworks, signed)
  const { purge, removeTree } = createPurge(context, admission, artworks)

  const explaining = { context, admission, autoFormats, originals, renditions }

  const toImage = ({ entry, bytes, from }: Obtained): Image => {
    counts[from === 'memory' ? 'memoryHits' : from === 'disk' ? 'diskHits' : 'misses'] += 1
    const { digest, type, width, height, storedAt } = entry
    return { bytes, contentType: type, etag: etagOf(digest), digest, width, height, storedAt, from }
  }
  /** An admitted address as an image, with what is known of it. */
  const obtain = async (admitted: Resolved, options: GetOptions, given?: Known): Promise<ServedImage> => {
    const { original, variant } = admitted
    if (variant.format === 'auto') return obtainAuto(admitted, options)
    if (admitted.recipe === undefined) {
      const known = given ?? (await originals.obtain(original, options))
      const obtained = await originals.bytes(original, known, options)
      const { entry, forward: asking = known.forward, isTransient = false } = obtained
      return {
        ...toImage(obtained),
        ...(asking && { forward: asking }),
        entry,
        original: entry,
        originalDigest: entry.digest,
        isTransient,
      }
    }
    const text = formatAddress(admitted.address)
    // A preset says what comes out.
    const passesSvg = !Object.hasOwn(settings.presets, variant.base)
    const asked = { ...options, passesSvg, isFree: admitted.isFree }
    const made = await renditions.obtain(text, original, admitted.recipe, asked, given)
    const { picture, ...about } = made
    const originalDigest = picture.entry.madeFrom ?? made.original?.digest ?? ''
    return { ...toImage(picture), ...about, entry: picture.entry, originalDigest }
  }
  /** An `auto` variant as the format that the asker likes. AVIF, that takes long, is made for the next one. */
  const obtainAuto = async (admitted: Resolved, options: GetOptions): Promise<ServedImage> => {
    const known = await originals.withTraits(
      admitted.original,
      await originals.obtain(admitted.original, options),
      options,
    )
    await autoFormats.prepare(admitted)
    const { admitted: chosen, negotiation, late } = autoFormats.choose(admitted, known.entry, options.accept)
    if (late !== undefined && !known.isTransient)
      void obtain(late, { onlyIfCached: true, isBackground: true })
        .then((avif) => autoFormats.compare(admitted, known.entry, avif.entry))
        .catch(() => {})
    const image = await obtain(chosen, options, known)
    const asking = known.forward ?? image.forward
    return {
      ...image,
      ...(asking && { forward: asking }),
      negotiation,
      ...(late !== undefined && { isInterim: true }),
    }
  }
  const serve = async (
    address: Address | string,
    trusted: boolean,
    options: GetOptions = {},
  ): Promise<ServedImage> => obtain(admission.resolve(toAddress(address), trusted), options)

  /** After an original changed: artwork is made again, and so is what was looked at lately; the rest when asked for. */
  const remakeFrom = async (original: Entry): Promise<void> => {
    const recent = settings.now() - settings.freshness.maxAge
    for (const entry of store.select({ original: original.key, limit: LARGEST_BATCH })) {
      if (entry.madeFrom === original.digest) continue
      try {
        if (entry.role === 'artwork') await artworks.remake(entry)
        else if ((store.lastUsed(entry.key) ?? 0) >= recent)
          await serve(entry.key.slice('images/'.length), true)
      } catch (error) {
        settings.logger.warn({ err: error, image: entry.key }, 'artwork: a picture could not be made again')
      }
    }
  }
  const hosting =
    uploads &&
    createUploads(context, admission, uploads.source, uploads.shelf, {
      removeTree,
      getImage: (address) => serve(address, false),
    })

  return {
    /** What has to do with uploads; undefined where there are none. */
    hosting,
    /** For the routers: admits by the strict list unless `trusted`. */
    serve,
    artworks,
    display,
    admission,
    /**
     * The image of an address, fetched and made where it is not held.
     * @throws ArtworkError any row of the table of errors
     */
    getImage: async (address: Address | string, options: GetOptions = {}): Promise<Image> => {
      const { originalDigest: _digest, ...image } = await serve(address, true, options)
      return image
    },
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
      artworks.download({
        ...request,
        sourceUrl: textOf(request.sourceUrl),
        entityId: idOf(request.entityId) ?? '',
      }),
    /** Whether a URL answers with an image: HEAD, and a ranged GET where HEAD is refused. Never throws. */
    validateImage: async (url: string): Promise<boolean> => {
      try {
        if (display.isOwn(url)) return true
        const original = admission.resolveUrl(url)
        return await fetcher.probe({ ...(await original.source.locate(original.address, means)), url })
      } catch (error) {
        if (asArtworkError(error).code === 'unknown')
          settings.logger.error({ err: error }, 'artwork: a check failed')
        return false
      }
    },
    /**
     * Keeps given bytes as the original of an address.
     * @throws ArtworkError `unsupported` (415), `invalid_image` (422), `too_large` (413), `disk_write` (503)
     */
    put: async (address: Address | string, bytes: Uint8Array): Promise<Image> => {
      const { original } = admission.resolve(toAddress(address), true)
      if (original.source.isHosted) throw new ArtworkError('invalid', 'an upload has its id from its bytes')
      const content = Buffer.from(bytes)
      const { type, width, height, traits } = await examine(context, content)
      const at = settings.now()
      const entry = await store.write(
        {
          key: imageKey(original.text),
          role: 'original',
          type,
          width,
          height,
          traits,
          storedAt: at,
          validatedAt: at,
          freshnessLifetime: settings.freshness.maxAge,
        },
        content,
      )
      return toImage({ entry, bytes: content, from: 'memory' })
    },
    /**
     * Asks upstream about an image now; when it changed, what was made from it is made again.
     * @throws ArtworkError any row that has to do with an upstream; what is held stays
     */
    refresh: async (address: Address | string): Promise<{ changed: boolean }> => {
      const { original } = admission.resolve(toAddress(address), true)
      const { entry, changed } = await originals.refresh(original)
      await remakeFrom(entry)
      return { changed }
    },
    /** Makes a lost artwork again. @throws ArtworkError */
    repair: async (path: string): Promise<void> => {
      const entry = store.find(`local/${path}`)
      if (entry !== undefined) await artworks.remake(entry)
    },
    /** Forgets an image and everything made from it. Answers whether it was there. */
    remove: async (address: Address | string): Promise<boolean> => {
      const { address: canonical } = admission.resolve(toAddress(address), true)
      return (await removeTree(imageKey(formatAddress(canonical)))).length > 0
    },
    /**
     * Takes images away with every rendition, memory included, and tells `onPurge`. An address may be a URL that we
     * printed, or an artwork path: then every picture of its entity goes, originals included.
     * @throws ArtworkError `invalid` (400), `refused` (403) or `unknown_image` (404) for a target that nothing has
     */
    purge: async (target: PurgeTarget): Promise<Purged> => {
      const text = 'url' in target && isOwnUrl(settings, target.url) ? target.url : undefined
      if (text === undefined && !('address' in target)) return purge(target)
      const printed = readReference(context, text ?? ('address' in target ? target.address : ''))
      if ('address' in printed) return purge(printed)
      const { key: name, original, ownerKind: kind, ownerId: id } = printed.local
      if (kind !== undefined && id !== undefined) return purge({ entity: { kind, id } })
      if (original !== undefined) return purge({ address: original.slice('images/'.length) })
      return { removed: (await removeTree(name, true)).length, urls: [], tags: [] }
    },
    /**
     * Why a picture is answered as it is. An address may be a URL that we printed, or an artwork path: then it is its
     * original that is told of.
     * @throws ArtworkError `invalid` (400), `refused` (403), `unknown_image` (404)
     */
    explain: (target: { readonly address: Address | string } | { readonly url: string }): Explained => {
      if ('url' in target && !isOwnUrl(settings, target.url)) return explain(explaining, target)
      const printed = readReference(context, 'url' in target ? target.url : target.address)
      if ('address' in printed) return explain(explaining, printed)
      const { original } = printed.local
      if (original === undefined) throw new ArtworkError('unknown_image', 'nothing is known of its original')
      return explain(explaining, { address: original.slice('images/'.length) })
    },
    /** Looks through everything that is kept, uploads apart. */
    search: async (
      query: SearchQuery,
    ): Promise<{ images: readonly StoredImage[]; total: number; next: string | undefined }> => {
      const { entries, total, next } = await store.search(query)
      return {
        images: entries.map(({ lastUsed, ...entry }) => storedImage(context, entry, lastUsed)),
        total,
        next,
      }
    },
    /** Everything that is known of a kept picture, by its name in the store; undefined where there is none. */
    details: (name: string): ImageDetails | undefined => imageDetails(explaining, name),
    /** The bytes of a kept picture: of those made from it, the smallest that is at least so wide; itself else. */
    storedBytes: async (
      name: string,
      atLeast: number,
    ): Promise<(Content & { readonly entry: Entry }) | undefined> => {
      const entry = store.find(name)
      if (entry === undefined) return undefined
      const made =
        entry.role === 'original' && entry.width > atLeast
          ? store
              .select({ original: name, limit: LARGEST_BATCH })
              .filter((one) => one.isStored && one.width >= atLeast && one.size < entry.size)
              .sort((a, b) => a.width - b.width)
          : []
      for (const one of [...made.slice(0, 1), entry]) {
        const held = await store.read(one)
        if (held !== undefined) return { ...held, entry: one }
      }
      return undefined
    },
    /** Whether two URLs are of one picture, signed at two times. */
    isSamePicture: signed.isSame,
    /** What was asked for since start. */
    requests: (): Readonly<Counts> => ({ ...counts }),
    /** Takes pictures in that are files already. @throws ArtworkError `invalid` (400) for a folder that is none */
    importFolder: (folder: string, options?: ImportOptions): Promise<ImportReport> =>
      importFolder(context, admission, folder, options),
    /** Removes what was not used for long, orphans and damaged copies. */
    optimizeCache: (options?: OptimizeOptions, watch?: OptimizeWatch): Promise<OptimizeResult> =>
      optimize(context, options, watch),
    /** Gives up what nobody looked at for so long, ms. Answers how many names. */
    expire: (kinds: readonly string[], maxIdle: number): Promise<number> => expire(context, kinds, maxIdle),
    /** Forgets everything that can be fetched again. */
    clearCache: async (): Promise<void> => {
      await flights.idle()
      await store.clear()
    },
    /**
     * Checks every kept byte against its digest, slowly, beside readers and writers; goes on where an interrupted
     * run stopped. What is damaged is given up and fetched again, what is missing in the index is written anew,
     * what no name has goes.
     */
    verify: async (options?: VerifyOptions): Promise<VerifyReport> => {
      const report = await store.verify(options)
      for (const name of report.names) if (name.startsWith('local/')) tell.lost(name.slice('local/'.length))
      return report
    },
    /** Whether an entry is what its name stands for now. */
    isCurrent: (entry: Entry): boolean => {
      const now = store.find(entry.key)
      return now?.digest === entry.digest && now.validatedAt === entry.validatedAt
    },
    /** Counts an answer that memory gave without asking here. */
    countHit: (): void => {
      counts.memoryHits += 1
    },
    stats: (): ImagesStats => ({
      ...store.stats(),
      requests: { ...counts },
      restingHosts: fetcher.resting(),
      proxies: fetcher.proxies(),
      ...(hosting && { uploads: hosting.stats() }),
    }),
    /** Whether something could be kept, an upload too, and whether pictures can be decoded. Never throws. */
    probe: createProbe(context, hosting),
    /** Resolves when everything under way has landed. */
    idle: flights.idle,
  }
}

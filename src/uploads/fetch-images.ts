/** Images from any public host, for a client: answered once, or stored in a namespace. */

import { createLimiter } from '../concurrency.js'
import type { Events } from '../events.js'
import type { Fetcher } from '../fetch/fetcher.js'
import { ANY_POOL } from '../fetch/proxy-pool.js'
import type { ImageResult } from '../images/image.js'
import { type Address, formatAddress } from '../model/address.js'
import { ArtworkError, asArtworkError, type Reason } from '../model/failure.js'
import { typeOf } from '../model/media-type.js'
import type { Settings } from '../options/settings.js'
import type { Namespace, UploadSource } from '../sources/uploads.js'
import { ownAddress } from './own-url.js'
import { fitAndEncode, formatOf, type ProcessParts } from './process-upload.js'
import type { StoredUpload } from './upload-entries.js'

/** An image that was fetched for a client: not stored. */
export interface FetchedImage {
  /** The encoded image. */
  readonly bytes: Buffer
  /** Its media type. */
  readonly contentType: string
}

/** The result for many URLs: where each is stored now, and why the others are not. */
export interface ProxiedImages {
  /** Where each is stored now, by the URL that was asked for. */
  readonly urls: Readonly<Record<string, string>>
  /** What is known of those that were stored now, by the same URLs. */
  readonly images: Readonly<Record<string, StoredUpload>>
  /** Why the others are not, by their URLs. */
  readonly errors: Readonly<Record<string, Reason>>
}

/** Through which proxies something is fetched, and what aborts it. */
export interface FetchOptions {
  /** Name of a proxy pool. @default any of them, or none where there are none */
  readonly pool?: string | undefined
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
}

/** What {@link createImageFetch} works with. */
export interface ImageFetchParts {
  readonly settings: Settings
  readonly source: UploadSource
  readonly fetcher: Fetcher
  readonly processing: ProcessParts
  readonly events: Pick<Events, 'emit'>
  /** The id that the decoded segments of a URL stand for. @throws ArtworkError `invalid` (400) */
  idOf(kind: string, segments: readonly string[]): string
  /** Whether a kind of address is a namespace of uploads. */
  isNamespace(kind: string): boolean
  /** The image of an address of ours, by the strict list. */
  serve(address: Address, isTrusted: false): Promise<ImageResult>
  /** Stores an image in a namespace. */
  store(namespace: Namespace, bytes: Buffer, box: number): Promise<StoredUpload>
}

/** URLs of one call that are fetched at once. */
const CONCURRENCY = 5
/** Images that are fetched and in memory at once, for all clients. */
const MAX_FETCHING = 16
const MAX_WAITING = 2000

/** Whether each request for an image is asked about. */
function isAskedAbout({ settings, source, isNamespace }: ImageFetchParts, { kind }: Address): boolean {
  if (!isNamespace(kind))
    return settings.sources.some(({ kinds, access }) => access !== undefined && kinds.includes(kind))
  const { mayRead, authorize } = source.uploads.namespace(kind)
  return mayRead !== undefined || authorize !== undefined
}

/** Makes the two verbs. */
export function createImageFetch(parts: ImageFetchParts) {
  const { settings, source, fetcher, processing, events, serve } = parts
  const { urls } = settings
  /** What is fetched is in memory until it is processed. */
  const fetching = createLimiter({ capacity: MAX_FETCHING, maxWaiting: MAX_WAITING })

  const checkPool = (pool: string | undefined): void => {
    if (pool !== undefined && !fetcher.pools().includes(pool))
      throw new ArtworkError('invalid', 'there is no proxy pool of this name')
  }
  const addressOf = (url: string, origins: readonly string[]): Address | undefined => {
    const own = [urls.base, ...settings.fetch.publicOrigins, ...origins]
    const address = ownAddress(url, own, urls.images, parts.idOf)
    // Who may read it is asked about the request for it alone.
    const isOthers = address !== undefined && isAskedAbout(parts, address)
    if (isOthers) throw new ArtworkError('refused', 'this image is for those alone who may read it')
    return address
  }
  /** Fetches an image from anywhere public, whole and checked. */
  const fetchOnce = async (
    url: string,
    { pool = source.uploads.pool ?? ANY_POOL, signal }: FetchOptions,
    maxBytes = settings.fetch.maxBytes,
  ): Promise<Buffer> => {
    events.emit('upstream-request', {})
    try {
      const fetched = await fetcher.fetch(
        { url, admits: () => true, pool, maxBytes: Math.min(maxBytes, settings.fetch.maxBytes) },
        {},
        signal,
      )
      if (fetched.outcome === 'image') return fetched.bytes
      throw new ArtworkError('bad_answer', 'the source answered a question that was not asked')
    } catch (error) {
      events.emit('operation-failed', {})
      throw error
    }
  }
  /** The path of an address below `/images`: an upload without a variant has none in its path. */
  const pathOf = (address: Address): string =>
    address.variant === 'original' && parts.isNamespace(address.kind)
      ? `${address.kind}/${address.id}`
      : formatAddress(address)

  return {
    /**
     * Fetches an image from any public host, through proxies where there are some, fitted into the box of fetched images.
     * One of our own URLs is answered from what is stored. The image is not stored.
     * @param own origins that are ours beside those of the options, `https://img.example.com`
     * @throws ArtworkError any code of an upstream; `invalid` (400) for an unknown pool
     */
    fetch: async (
      url: string,
      options: FetchOptions = {},
      own: readonly string[] = [],
    ): Promise<FetchedImage> => {
      checkPool(options.pool)
      const address = addressOf(url, own)
      if (address !== undefined) {
        const { bytes, entry } = await serve(address, false)
        return { bytes, contentType: entry.type }
      }
      const made = await fetching.run(async () => {
        const bytes = await fetchOnce(url, options)
        const format = formatOf(bytes, settings.transform.formats)
        return fitAndEncode(processing, bytes, format, source.uploads.fetchFit, options.signal)
      })
      return { bytes: made.bytes, contentType: typeOf(made.format) }
    },
    /**
     * Fetches images and stores them in a namespace, five at a time, each URL once.
     * @throws ArtworkError `invalid` (400) for no namespace or an unknown pool
     */
    proxy: async (
      namespace: string,
      wanted: readonly string[],
      options: FetchOptions = {},
      own: readonly string[] = [],
    ): Promise<ProxiedImages> => {
      const rules = source.uploads.namespace(namespace)
      checkPool(options.pool)
      const found = new Map<string, string>()
      const images = new Map<string, StoredUpload>()
      const failed = new Map<string, Reason>()
      const storeOne = async (url: string): Promise<string> => {
        const address = addressOf(url, own)
        if (address !== undefined) {
          await serve(address, false)
          return `${urls.base}${urls.images}/${pathOf(address)}`
        }
        const stored = await fetching.run(async () =>
          parts.store(rules, await fetchOnce(url, options, rules.maxBytes), rules.fetchFit),
        )
        images.set(url, stored)
        return stored.url
      }
      const tryOne = async (url: string): Promise<void> => {
        try {
          found.set(url, await storeOne(url))
        } catch (error) {
          const failure = asArtworkError(error)
          if (failure.code === 'unknown')
            settings.logger.error({ err: error }, 'artwork: fetching an image failed')
          failed.set(url, failure.reason)
        }
      }
      const limit = createLimiter({ capacity: CONCURRENCY })
      await Promise.all([...new Set(wanted)].map((url) => limit.run(() => tryOne(url))))
      return {
        urls: Object.fromEntries(found),
        images: Object.fromEntries(images),
        errors: Object.fromEntries(failed),
      }
    },
  }
}

/** Hosting: images that are handed to us, or that we are asked to fetch, kept until somebody removes them. */

import { ANY_POOL } from '../fetch/proxy-pool.js'
import type { Context } from '../images/context.js'
import type { ImageResult } from '../images/image.js'
import { createLine } from '../images/line.js'
import type { Resolver } from '../images/resolve.js'
import { type Address, formatAddress, makeAddress, pathSegments } from '../model/address.js'
import { type Entry, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError, type Reason } from '../model/failure.js'
import { NEVER_STALE } from '../model/freshness.js'
import { type Format, isFormat, type Kind, sniff, typeOf } from '../model/media-type.js'
import { wouldStop } from '../model/output.js'
import { completeRecipe, type Recipe, recipeText } from '../model/variant.js'
import type { Namespace, UploadSource } from '../sources/uploads.js'
import type { Upload, UploadStats, UploadStore } from './upload-store.js'

/** An upload in its place. Sides in pixels, `bytes` is a size, `storedAt` in ms since the epoch. */
export interface StoredUpload {
  readonly imageId: string
  readonly namespace: string
  /** Where it is served, as we print it. */
  readonly url: string
  readonly contentType: string
  readonly width: number
  readonly height: number
  readonly bytes: number
  readonly storedAt: number
}

/** An image that was fetched for somebody: not kept. */
export interface FetchedImage {
  readonly bytes: Buffer
  readonly contentType: string
}

/** What became of many URLs: where each is kept now, and why the others are not. */
export interface ProxiedImages {
  readonly urls: Readonly<Record<string, string>>
  readonly errors: Readonly<Record<string, Reason>>
}

/** A page of a list. */
export interface UploadPage {
  readonly images: readonly StoredUpload[]
  /** What to ask the next page with; undefined on the last one. */
  readonly next: string | undefined
}

/** Whether and through which proxies something is fetched, and until when it is wanted. */
export interface FetchOptions {
  /** Name of a proxy pool; left out: any of them, or none where there are none. */
  readonly pool?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** See the top of the file. */
export type Uploads = ReturnType<typeof createUploads>

/** Most URLs that are fetched at once for one asker. */
const AT_ONCE = 5
/** Most images that are fetched and in memory at once, for all askers. */
const FETCHED_AT_ONCE = 16
const REMOVED_AT_ONCE = 200
const WAITING = 2000

/** Makes the part of the pipeline that has to do with uploads. */
export function createUploads(
  context: Context,
  admission: Resolver,
  source: UploadSource,
  shelf: UploadStore,
  parts: {
    /** Forgets everything that was made from a name, and the name itself. */
    removeTree(name: string): Promise<readonly Entry[]>
    /** The image of an address of ours, by the strict list. */
    serve(address: Address, isTrusted: boolean): Promise<ImageResult>
  },
) {
  const { settings, store, fetcher, transformer, flights } = context
  const { urls } = settings
  const line = createLine(settings.transform.concurrency, WAITING)
  /** What is fetched is in memory until it is made: so many at once. */
  const fetching = createLine(FETCHED_AT_ONCE, WAITING)

  const toStored = ({ namespace, id, type, width, height, size, storedAt }: Upload): StoredUpload => ({
    imageId: id,
    namespace,
    url: `${urls.base}${urls.images}/${namespace}/${id}`,
    contentType: type,
    width,
    height,
    bytes: size,
    storedAt,
  })
  const fitInto = (box: number): Recipe => ({
    width: box,
    height: box,
    fit: 'inside',
    enlarge: false,
  })
  /**
   * What is done to an upload, as its id is made of it: the text is the one that uploads have always had, so that the
   * same bytes keep their id.
   */
  const howText = (namespace: Namespace, recipe: Recipe): string =>
    namespace.keepOriginal
      ? '1:as it is'
      : recipeText(recipe, { kind: 'jpeg', isRevised: false }, settings.transform)
  /** What the bytes are. @throws ArtworkError `unsupported` (415) */
  const kindOf = (bytes: Uint8Array): Format => {
    const kind: Kind | undefined = sniff(bytes)
    if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
    if (!isFormat(kind) || !settings.transform.formats.includes(kind))
      throw new ArtworkError('unsupported', 'this image format is not allowed')
    return kind
  }
  const nameOf = (namespace: string, id: string): string => imageKey(`${namespace}/original/${id}`)

  /** Keeps bytes in a namespace, fitted into a box and encoded anew, or as they came. */
  const keep = async (namespace: Namespace, bytes: Buffer, box: number): Promise<StoredUpload> => {
    const kind = kindOf(bytes)
    const recipe = fitInto(box)
    const id = await shelf.idOf(namespace.name, howText(namespace, recipe), bytes)
    const name = nameOf(namespace.name, id)
    const keepOnce = async (): Promise<StoredUpload> => {
      // The shelf itself is asked: what memory has may have been removed by another process just now.
      const before = await shelf.recall(name)
      if (before !== undefined && (await shelf.read(before)) !== undefined)
        return toStored({ ...before, namespace: namespace.name, id })
      const made = await line.run(() => make(namespace, bytes, kind, recipe))
      const at = settings.now()
      const { width, height } = made
      const facts = { type: typeOf(made.format), width, height, storedAt: at, validatedAt: at }
      const entry = await store.write(
        { key: name, role: 'original', ...facts, freshnessLifetime: NEVER_STALE },
        made.bytes,
      )
      return toStored({ ...entry, namespace: namespace.name, id })
    }
    return flights.run(`upload ${name}`, keepOnce)
  }
  const make = async (namespace: Namespace, bytes: Buffer, kind: Format, recipe: Recipe) => {
    const { width, height, traits } = await transformer.inspect(bytes, kind)
    if (namespace.keepOriginal || wouldStop(kind, traits)) return { bytes, format: kind, width, height }
    return transformer.transform(bytes, kind, completeRecipe(recipe, kind, settings.transform))
  }

  /** The address that a URL of ours stands for; undefined for any other. */
  const ownAddress = (url: string, origins: readonly string[]): Address | undefined => {
    const own = [settings.urls.base, ...settings.fetch.publicOrigins, ...origins].filter(
      (origin) => origin !== '',
    )
    const prefix = ['', ...own]
      .map((origin) => `${origin}${urls.images}/`)
      .find((start) => url.startsWith(start))
    if (prefix === undefined) return undefined
    const segments = pathSegments(url.slice(prefix.length).replace(/[?#].*$/, ''))
    const [kind = '', second = '', ...rest] = segments ?? []
    if (segments === undefined || segments.length < 2)
      throw new ArtworkError('invalid', 'the URL is not valid')
    return rest.length === 0
      ? makeAddress(kind, 'original', second)
      : makeAddress(kind, second, rest.join('/'))
  }
  /** Fetches an image from anywhere public, whole and checked, and keeps nothing of it. */
  const fetchAny = async (
    url: string,
    { pool = source.uploads.pool ?? ANY_POOL, signal }: FetchOptions,
    maxBytes = settings.fetch.maxBytes,
  ) => {
    context.events.emit('upstream-request', {})
    try {
      const fetched = await fetcher.fetch(
        { url, admits: () => true, pool, maxBytes: Math.min(maxBytes, settings.fetch.maxBytes) },
        {},
        signal,
      )
      if (fetched.outcome === 'image') return fetched
      throw new ArtworkError('bad_answer', 'the source answered a question that was not asked')
    } catch (error) {
      context.events.emit('operation-failed', {})
      throw error
    }
  }
  /** The path of an address below `/images`: an upload as it is has no variant in it. */
  const pathOf = (address: Address): string =>
    address.variant === 'original' && admission.sourceOf(address.kind).isHosted
      ? `${address.kind}/${address.id}`
      : formatAddress(address)
  const checkPool = (pool: string | undefined): void => {
    if (pool !== undefined && !fetcher.pools().includes(pool))
      throw new ArtworkError('invalid', 'there is no proxy pool of this name')
  }

  /** Removes an upload. Answers whether it was this call that did. */
  const removeOne = async (name: string): Promise<boolean> =>
    (await parts.removeTree(name)).some((entry) => entry.key === name)
  let requests = 0
  return {
    /** Runs work that closing waits for, from its beginning: a request whose body is still coming. */
    during: <T>(work: () => Promise<T>): Promise<T> => {
      requests += 1
      return flights.run(`request ${requests}`, work)
    },
    /** The rules of a namespace. @throws ArtworkError `invalid` (400) */
    namespace: source.uploads.namespace,
    /**
     * Keeps an image in a namespace. When it resolves the image is on disk, and stays until it is removed. The
     * same bytes are the same image.
     * @throws ArtworkError `invalid` (400) for no namespace, `too_large` (413), `unsupported` (415),
     * `invalid_image` (422), `disk_write` (503)
     */
    save: async (namespace: string, bytes: Uint8Array): Promise<StoredUpload> => {
      const rules = source.uploads.namespace(namespace)
      if (bytes.length > rules.maxBytes) throw new ArtworkError('too_large', 'the image has too many bytes')
      return keep(rules, Buffer.from(bytes), rules.fit)
    },
    /** Removes an image and what was made from it. Answers whether it was there. @throws ArtworkError */
    remove: async (namespace: string, imageId: string): Promise<boolean> => {
      source.uploads.namespace(namespace)
      const name = nameOf(namespace, imageId)
      await shelf.complete()
      return removeOne(name)
    },
    /** Removes every image of a namespace. Answers how many there were. @throws ArtworkError */
    removeAll: async (namespace: string): Promise<number> => {
      source.uploads.namespace(namespace)
      await shelf.complete()
      let count = 0
      for (let after = ''; ; ) {
        const some = shelf.list(namespace, after, REMOVED_AT_ONCE)
        for (const { id } of some) if (await removeOne(nameOf(namespace, id))) count += 1
        const last = some.at(-1)
        if (last === undefined || some.length < REMOVED_AT_ONCE) return count
        after = last.id
      }
    },
    /** Images of a namespace, in the order of their ids. @param page.limit 1 to 1,000; 100 where it is left out */
    list: async (namespace: string, page: { after?: string; limit?: number } = {}): Promise<UploadPage> => {
      source.uploads.namespace(namespace)
      await shelf.complete()
      const limit = Math.min(Math.max(Math.trunc(page.limit ?? 100), 1), 1000)
      const found = shelf.list(namespace, page.after ?? '', limit + 1)
      const images = found.slice(0, limit).map(toStored)
      return { images, next: found.length > limit ? images.at(-1)?.imageId : undefined }
    },
    /**
     * Fetches an image from any public host, through proxies where there are some, fitted into the box of fetched
     * images. One of our own URLs is answered from what is kept. Nothing is kept of it.
     * @param own origins that are ours beside those that the options tell, `https://img.example.com`
     * @throws ArtworkError any row that has to do with an upstream; `invalid` (400) for an unknown pool
     */
    fetch: async (
      url: string,
      options: FetchOptions = {},
      own: readonly string[] = [],
    ): Promise<FetchedImage> => {
      checkPool(options.pool)
      const address = ownAddress(url, own)
      if (address !== undefined) {
        const { bytes, entry } = await parts.serve(address, false)
        return { bytes, contentType: entry.type }
      }
      const made = await fetching.run(async () => {
        const { bytes } = await fetchAny(url, options)
        const recipe = fitInto(source.uploads.fetchFit)
        const kind = kindOf(bytes)
        const complete = completeRecipe(recipe, kind, settings.transform)
        return line.run(() => transformer.transform(bytes, kind, complete, { signal: options.signal }))
      })
      return { bytes: made.bytes, contentType: typeOf(made.format) }
    },
    /**
     * Fetches images and keeps them in a namespace, five at a time, each URL once.
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
      const failed = new Map<string, Reason>()
      const one = async (url: string): Promise<void> => {
        try {
          const address = ownAddress(url, own)
          if (address === undefined) {
            const stored = await fetching.run(async () => {
              const { bytes } = await fetchAny(url, options, rules.maxBytes)
              return keep(rules, bytes, rules.fetchFit)
            })
            found.set(url, stored.url)
          } else {
            await parts.serve(address, false)
            found.set(url, `${urls.base}${urls.images}/${pathOf(address)}`)
          }
        } catch (error) {
          const failure = asArtworkError(error)
          if (failure.code === 'unknown')
            settings.logger.error({ err: error }, 'artwork: fetching an image failed')
          failed.set(url, failure.reason)
        }
      }
      const atOnce = createLine(AT_ONCE, Number.POSITIVE_INFINITY)
      await Promise.all([...new Set(wanted)].map((url) => atOnce.run(() => one(url))))
      return { urls: Object.fromEntries(found), errors: Object.fromEntries(failed) }
    },
    stats: (): UploadStats => shelf.stats(),
    /** Whether an upload could be kept now. */
    isWritable: shelf.canWrite,
  }
}

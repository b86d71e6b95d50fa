/** Uploads: images that are handed to us, or that we are asked to fetch, stored until they are removed. */
import { createLimiter } from '../concurrency.js'
import type { Context } from '../images/context.js'
import type { ImageResult } from '../images/image.js'
import type { Resolver } from '../images/resolve-address.js'
import type { Address } from '../model/address.js'
import type { Entry } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { UploadSource } from '../sources/uploads.js'
import { createImageFetch } from './fetch-images.js'
import type { ProcessParts } from './process-upload.js'
import { createStoring } from './store-uploads.js'
import { type StoredUpload, uploadKey } from './upload-entries.js'
import type { UploadStats, UploadStore } from './upload-store.js'

export type { FetchedImage, FetchOptions, ProxiedImages } from './fetch-images.js'
export type { StoredUpload } from './upload-entries.js'

/** A page of a list. */
export interface UploadPage {
  /** The uploads of the page. */
  readonly images: readonly StoredUpload[]
  /** `after` of the next page; undefined on the last one. */
  readonly next: string | undefined
}

/** See the top of the file. */
export type Uploads = ReturnType<typeof createUploads>

const PAGE_SIZE = 200
const MAX_WAITING = 2000

/** What uploads need of the pipeline. */
export interface UploadsParts {
  /** Deletes everything that was made from an original, and the original. Answers what was deleted. */
  removeTree(key: string): Promise<readonly Entry[]>
  /** The image of an address of ours. */
  serve(address: Address, isTrusted: boolean): Promise<ImageResult>
}

/** Ids of a namespace; uploads may be removed meanwhile. */
async function* idsOf(uploadStore: Pick<UploadStore, 'list'>, namespace: string): AsyncGenerator<string> {
  for (let after = ''; ; ) {
    const page = await uploadStore.list(namespace, after, PAGE_SIZE)
    yield* page.map(({ id }) => id)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_SIZE) return
    after = last.id
  }
}

/** Makes the verbs of uploads. */
export function createUploads(
  { settings, store, fetcher, transformer, flights, events }: Context,
  { sourceOf, idOf }: Pick<Resolver, 'sourceOf' | 'idOf'>,
  source: UploadSource,
  uploadStore: UploadStore,
  { removeTree, serve }: UploadsParts,
) {
  const processing: ProcessParts = {
    settings: settings.transform,
    transformer,
    limit: createLimiter({ capacity: settings.transform.concurrency, maxWaiting: MAX_WAITING }),
  }
  const { storeUpload, storeAll, toStored } = createStoring({
    ...{ settings, store, flights, uploadStore, processing },
  })
  /** Answers whether it was this call that removed it. */
  const removeOne = async (key: string): Promise<boolean> =>
    (await removeTree(key)).some((entry) => entry.key === key)
  let requests = 0
  return {
    /** Runs work that closing waits for, from its beginning: a request whose body is still being received. */
    during: <T>(work: () => Promise<T>): Promise<T> => {
      requests += 1
      return flights.run(`request ${requests}`, work)
    },
    /** The rules of a namespace. @throws ArtworkError `invalid` (400) */
    namespace: source.uploads.namespace,
    /**
     * Stores an image in a namespace. When it resolves the image is on disk, and stays until it is removed. The same bytes
     * are the same image.
     * @throws ArtworkError `invalid` (400) for no namespace, `too_large` (413), `unsupported` (415),
     * `invalid_image` (422), `disk_write` (503)
     */
    save: async (namespace: string, bytes: Uint8Array): Promise<StoredUpload> => {
      const rules = source.uploads.namespace(namespace)
      if (bytes.length > rules.maxBytes) throw new ArtworkError('too_large', 'the image has too many bytes')
      return storeUpload(rules, Buffer.from(bytes), rules.fit)
    },
    /** Stores several images in a namespace, in their order, all or none. @throws ArtworkError as `save` does */
    saveAll: async (namespace: string, images: readonly Buffer[]): Promise<readonly StoredUpload[]> => {
      const rules = source.uploads.namespace(namespace)
      const [first, ...others] = images
      if (first === undefined) return []
      return others.length === 0 ? [await storeUpload(rules, first, rules.fit)] : storeAll(rules, images)
    },
    /** Removes an image and what was made from it. Answers whether it was there. @throws ArtworkError */
    remove: async (namespace: string, imageId: string): Promise<boolean> => {
      source.uploads.namespace(namespace)
      await uploadStore.complete()
      return removeOne(uploadKey(namespace, imageId))
    },
    /** Removes every image of a namespace. Answers how many there were. @throws ArtworkError */
    removeAll: async (namespace: string): Promise<number> => {
      source.uploads.namespace(namespace)
      await uploadStore.complete()
      let count = 0
      for await (const id of idsOf(uploadStore, namespace))
        if (await removeOne(uploadKey(namespace, id))) count += 1
      return count
    },
    /** Images of a namespace, in the order of their ids. @param page.limit 1 to 1,000; 100 where it is left out */
    list: async (namespace: string, page: { after?: string; limit?: number } = {}): Promise<UploadPage> => {
      source.uploads.namespace(namespace)
      await uploadStore.complete()
      const limit = Math.min(Math.max(Math.trunc(page.limit ?? 100), 1), 1000)
      const found = await uploadStore.list(namespace, page.after ?? '', limit + 1)
      const images = found.slice(0, limit).map(toStored)
      return { images, next: found.length > limit ? images.at(-1)?.imageId : undefined }
    },
    ...createImageFetch({
      idOf,
      ...{ settings, source, fetcher, processing, events, serve },
      isNamespace: (kind) => sourceOf(kind).isHosted === true,
      store: storeUpload,
    }),
    stats: (): UploadStats => uploadStore.stats(),
    /** Whether an upload could be stored now. */
    isWritable: uploadStore.canWrite,
  }
}

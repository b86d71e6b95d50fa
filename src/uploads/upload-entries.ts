/** Uploads as the entries that they are to the pipeline. */
import { type Entry, imageKey, type Looks, type Traits } from '../model/entry.js'
import { NEVER_STALE } from '../model/freshness.js'
import type { UploadFacts } from './upload-names.js'

/** What is known of an upload. Times in ms since the epoch, sizes in bytes, sides in pixels. */
export interface Upload extends UploadFacts {
  readonly size: number
  readonly storedAt: number
  /** Unknown until they were needed. */
  readonly traits?: Traits | undefined
}

/** A stored upload. Sides in pixels, `bytes` is a size, `storedAt` in ms since the epoch. */
export interface StoredUpload extends Looks {
  /** Its id within the namespace. */
  readonly imageId: string
  /** The namespace that it is in. */
  readonly namespace: string
  /** Its public URL. */
  readonly url: string
  /** Its media type. */
  readonly contentType: string
  /** Pixels. */
  readonly width: number
  /** Pixels. */
  readonly height: number
  /** Size of the stored image. */
  readonly bytes: number
  /** When it was stored, ms since the epoch. */
  readonly storedAt: number
}

const KEY = /^images\/([^/]+)\/original\/([^/]+)$/

/** The key of an upload. */
export const uploadKey = (namespace: string, id: string): string => imageKey(`${namespace}/original/${id}`)

/** Namespace and id of a key, both empty for one that is no upload's. */
export function readUploadKey(key: string): { readonly namespace: string; readonly id: string } {
  const [, namespace = '', id = ''] = KEY.exec(key) ?? []
  return { namespace, id }
}

/** What the file of an entry is called by. */
export const factsOf = ({
  key,
  digest,
  type,
  width,
  height,
}: Pick<Entry, 'key' | 'digest' | 'type' | 'width' | 'height'>): UploadFacts => ({
  ...readUploadKey(key),
  digest,
  type,
  width,
  height,
})

/** An upload as an entry. */
export const toEntry = (upload: Upload): Entry =>
  Object.freeze({
    key: uploadKey(upload.namespace, upload.id),
    role: 'original' as const,
    digest: upload.digest,
    size: upload.size,
    type: upload.type,
    width: upload.width,
    height: upload.height,
    storedAt: upload.storedAt,
    validatedAt: upload.storedAt,
    freshnessLifetime: NEVER_STALE,
    isStored: true,
    ...(upload.traits && { traits: upload.traits }),
  })

/**
 * URLs that are signed anew at each render: one picture, whatever the signature. Upstream says who may see it, by the
 * signature of this request: a URL is never answered by the authority of another one. What is saved is the download:
 * upstream is asked whether the bytes that another signature brought are still those.
 */
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import type { Means } from '../sources/source.js'
import type { Store } from '../store/ports.js'
import type { Resolver } from './resolve-address.js'

/** What signed URLs work with. */
export interface PresignedUrlParts {
  readonly store: Pick<Store, 'find'>
  readonly means: Means
  readonly resolver: Resolver
}

/** See the top of the file. */
export type PresignedUrls = ReturnType<typeof createPresignedUrls>

/** Makes the part of the pipeline that recognises signed URLs. */
export function createPresignedUrls({ store, means, resolver }: PresignedUrlParts) {
  const noteKey = (identity: string): string => `signed/${digestOf(Buffer.from(identity)).slice(0, 32)}`
  return {
    /** Whether two URLs are of one picture. */
    isSame: (one: string, other: string): boolean =>
      one === other || resolver.identityOf(one) === resolver.identityOf(other),
    /** What another signature of a URL brought, where upstream can be asked about it. */
    relative: (url: string): Entry | undefined => {
      const identity = resolver.identityOf(url)
      const known = identity === url ? undefined : means.notes.get(noteKey(identity))
      const entry = known === undefined ? undefined : store.find(known.value)
      const hasValidator = entry?.etag !== undefined || entry?.lastModified !== undefined
      return entry?.isStored === true && hasValidator ? entry : undefined
    },
    /** Records what a signature has brought. */
    brought: (url: string, entry: Entry): void => {
      const identity = resolver.identityOf(url)
      if (identity !== url && entry.isStored) means.notes.set(noteKey(identity), entry.key)
    },
  }
}

/**
 * URLs that are signed anew at each render: one picture, whatever the signature. What somebody may see is for upstream to say,
 * by the signature that this asker has: a URL is never answered by the authority of another one. What is saved is the
 * download: upstream is asked whether the bytes that another signature brought are still those.
 */
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import type { Context } from './context.js'
import type { Resolver } from './resolve.js'

/** See the top of the file. */
export type SignedUrls = ReturnType<typeof createSignedUrls>

/** Makes the part of the pipeline that knows signed URLs again. */
export function createSignedUrls({ store, means }: Context, admission: Resolver) {
  const noteOf = (identity: string): string => `signed/${digestOf(Buffer.from(identity)).slice(0, 32)}`
  return {
    /** Whether two URLs are of one picture. */
    isSame: (one: string, other: string): boolean =>
      one === other || admission.identityOf(one) === admission.identityOf(other),
    /** What came by another signature of a URL, where that can be asked about. */
    relative: (url: string): Entry | undefined => {
      const identity = admission.identityOf(url)
      const known = identity === url ? undefined : means.notes.get(noteOf(identity))
      const entry = known === undefined ? undefined : store.find(known.value)
      const isAskable = entry?.etag !== undefined || entry?.lastModified !== undefined
      return entry?.isStored === true && isAskable ? entry : undefined
    },
    /** Told of what a signature has brought. */
    brought: (url: string, entry: Entry): void => {
      const identity = admission.identityOf(url)
      if (identity !== url && entry.isStored) means.notes.set(noteOf(identity), entry.key)
    },
  }
}

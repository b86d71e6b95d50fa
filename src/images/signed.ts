/**
 * URLs that are signed anew at each render: one picture, whatever the signature. It goes by the URL that it was first met
 * with, for as long as what came by that is fresh, so that a page costs no download for having been rendered again. The
 * signature stays in the name of the picture: who does not know it learns nothing of what it opens.
 */
import { digestOf } from '../model/digest.js'
import { freshnessOf, imageName } from '../model/entry.js'
import type { Admission } from './admission.js'
import type { Context } from './context.js'

/** A URL is noted no more often, ms: what was begun with one may be under way. */
const NOTED_FOR = 60_000

/** See the top of the file. */
export type Signed = ReturnType<typeof createSigned>

/** Makes the part of the pipeline that knows signed URLs again. */
export function createSigned({ settings, store, means }: Context, admission: Admission) {
  const noteOf = (identity: string): string => `signed/${digestOf(Buffer.from(identity)).slice(0, 32)}`
  /** Whether what came by a URL is still fresh. */
  const isFresh = (url: string): boolean => {
    try {
      const entry = store.find(imageName(admission.claim(url).text), 'memory')
      return entry?.held === true && freshnessOf(entry, settings.freshness, settings.now()) === 'fresh'
    } catch {
      return false
    }
  }
  return {
    /** Whether two URLs are of one picture. */
    isSame: (one: string, other: string): boolean =>
      one === other || admission.identityOf(one) === admission.identityOf(other),
    /** The URL that a picture goes by. */
    settled: (url: string): string => {
      const identity = admission.identityOf(url)
      if (identity === url) return url
      const key = noteOf(identity)
      const known = means.notes.get(key)
      if (known !== undefined) {
        const age = settings.now() - known.at
        if (known.value === url || (age >= 0 && age < NOTED_FOR) || isFresh(known.value)) return known.value
      }
      means.notes.set(key, url)
      return url
    },
  }
}

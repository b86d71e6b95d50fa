/** Pixels that are decoded once for several jobs: a picture in one size, which is encoded in more than one format. */
import type { Format } from '../model/media-type.js'
import type { RawPixels } from './preview.js'

/** Formats that come out the same of the pixels alone. */
export const SHARED_FORMATS: ReadonlySet<Format> = new Set(['webp', 'jpeg'])

/** The pixels of a job, as its child has them before and after it. */
export interface SharedPixels {
  /** Those that the job before has left, where they are the same. */
  readonly before: RawPixels | undefined
  /** Keeps them for the next job; undefined where none is to be expected. */
  readonly keep: ((pixels: RawPixels) => void) | undefined
}

/** A job that shares nothing. */
export const UNSHARED: SharedPixels = { before: undefined, keep: undefined }

/** Keeps the pixels of one job until the next has begun. */
export function createSharedPixels() {
  let kept: { readonly key: string; readonly pixels: RawPixels } | undefined
  /** Of a job that is about to begin. @param key what its pixels follow from @param isKept whether another may follow for them */
  return (key: string | undefined, isKept: boolean): SharedPixels => {
    const before = kept !== undefined && kept.key === key ? kept.pixels : undefined
    kept = undefined
    if (key === undefined || !isKept) return { before, keep: undefined }
    const keep = (pixels: RawPixels): void => {
      kept = { key, pixels }
    }
    if (before !== undefined) keep(before)
    return { before, keep }
  }
}

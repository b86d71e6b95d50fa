/** What is known not to be had, without asking anybody: a page prints no URL of it. */
import { imageKey } from '../model/entry.js'
import { isOriginalFailureActive, isUpstreamFailure } from '../model/failure.js'
import type { NoPicture } from '../model/no-picture.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Original } from './resolve-address.js'

/**
 * `upstream`: the source does not have the image, so that its URL shows nothing. `ours`: our rules or our decoder refuse
 * what a browser may well show.
 */
export type KnownFailure = 'upstream' | 'ours'

/** See {@link createKnownFailures}. */
export type KnownFailures = ReturnType<typeof createKnownFailures>

/** Makes the look-up. It never throws, and does no I/O once warm. */
export function createKnownFailures(parts: {
  readonly settings: Pick<Settings, 'now'>
  readonly store: Pick<Store, 'negativeCache' | 'find'>
  readonly run: string
  readonly noPicture: NoPicture
}) {
  const { settings, store, run, noPicture } = parts
  const failureOf = ({ text }: Pick<Original, 'text'>): KnownFailure | undefined => {
    const key = imageKey(text)
    const entry = store.find(key, 'memory')
    // What was there once is answered from what was made of it, whatever became of the last time that it was asked about.
    if (entry !== undefined)
      return noPicture({ digest: entry.digest, thumbhash: entry.traits?.preview?.thumbhash })
        ? 'upstream'
        : undefined
    const failure = store.negativeCache.get(key, 'memory')
    if (failure === undefined || !isOriginalFailureActive(failure, settings.now(), run)) return undefined
    return isUpstreamFailure(failure) ? 'upstream' : 'ours'
  }
  return {
    /** Of an original. */
    ofOriginal: failureOf,
  }
}

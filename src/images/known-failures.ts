/** What is known not to be had, without asking anybody: a page prints no URL of it. */
import { imageKey } from '../model/entry.js'
import { isOriginalFailureActive, isUpstreamFailure } from '../model/failure.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Original } from './resolve.js'

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
}) {
  const { settings, store, run } = parts
  const failureOf = ({ text }: Pick<Original, 'text'>): KnownFailure | undefined => {
    const key = imageKey(text)
    // What was there once is answered from what was made of it, whatever became of the last time that it was asked about.
    if (store.find(key, 'memory') !== undefined) return undefined
    const failure = store.negativeCache.get(key, 'memory')
    if (failure === undefined || !isOriginalFailureActive(failure, settings.now(), run)) return undefined
    return isUpstreamFailure(failure) ? 'upstream' : 'ours'
  }
  return {
    /** Of an original. */
    ofOriginal: failureOf,
  }
}

/**
 * Which keys an answer rests on: the store as the parts see it that templates ask, with a note of every key that they look up.
 * All of it is synchronous, so one note at a time is enough.
 */
import type { Store } from '../store/ports.js'

/** An answer, and the keys it rests on; undefined where it rests on more than keys. */
export interface Traced<T> {
  readonly value: T
  readonly keys: readonly string[] | undefined
}

/** See {@link createReadTrace}. */
export type ReadTrace = ReturnType<typeof createReadTrace>

/** Wraps the look-ups of a store. */
export function createReadTrace(store: Store) {
  let keys: string[] | undefined
  let isWhole = true
  const note = (key: string): void => {
    // Few are asked for, and most of them twice.
    if (keys !== undefined && !keys.includes(key)) keys.push(key)
  }
  const traced: Store = {
    ...store,
    find: (key, trust) => {
      note(key)
      return store.find(key, trust)
    },
    negativeCache: {
      ...store.negativeCache,
      get: (key, trust) => {
        note(key)
        return store.negativeCache.get(key, trust)
      },
    },
  }
  return {
    store: traced,
    /** What is being asked rests on these as well: a part of it was found out before. */
    note: (found: readonly string[]): void => {
      for (const key of found) note(key)
    },
    /** What is being asked depends on something that no key tells of. */
    isMore: (): void => {
      isWhole = false
    },
    /** Asks, and notes. A question within another counts for both. */
    run: <T>(ask: () => T): Traced<T> => {
      const [outerKeys, wasWhole] = [keys, isWhole]
      const own: string[] = []
      keys = own
      isWhole = true
      try {
        const value = ask()
        return { value, keys: isWhole ? own : undefined }
      } finally {
        keys = outerKeys
        for (const key of own) note(key)
        isWhole = wasWhole && isWhole
      }
    },
  }
}

/** Key-value pairs that were read lately, in memory: a template that asks for one again costs no look-up. */
import type { KeyValue } from './ports.js'

const MAX_CACHED = 2000
/** What another process has set is seen after this long, ms. */
const REUSED_FOR_MS = 1000

/** Wraps a key-value store. */
export function createKeyValueCache(inner: KeyValue): KeyValue {
  const cached = new Map<string, { readonly value: ReturnType<KeyValue['get']>; readonly at: number }>()
  return {
    get: (key) => {
      const known = cached.get(key)
      if (known !== undefined && performance.now() - known.at < REUSED_FOR_MS) return known.value
      const value = inner.get(key)
      if (cached.size >= MAX_CACHED) cached.clear()
      cached.set(key, { value, at: performance.now() })
      return value
    },
    set: (key, value) => {
      cached.delete(key)
      inner.set(key, value)
    },
  }
}

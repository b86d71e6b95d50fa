/** Notes that were read lately, so that a template which asks for one again costs no look-up. */
import type { KeyValue } from '../store/ports.js'

const MOST = 2000
/** What another process noted is heard of after this long, ms. */
const STANDS_FOR = 1000

/** Wraps notes. */
export function remembered(inner: KeyValue): KeyValue {
  const lately = new Map<string, { readonly note: ReturnType<KeyValue['get']>; readonly at: number }>()
  return {
    get: (key) => {
      const known = lately.get(key)
      if (known !== undefined && performance.now() - known.at < STANDS_FOR) return known.note
      const note = inner.get(key)
      if (lately.size >= MOST) lately.clear()
      lately.set(key, { note, at: performance.now() })
      return note
    },
    set: (key, value) => {
      lately.delete(key)
      inner.set(key, value)
    },
  }
}

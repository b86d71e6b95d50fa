/** The one paging loop over a store. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { Entry } from '../model/entry.js'
import type { Selection, Store } from './ports.js'

const PAGE_SIZE = 200

/** Every entry that the filter names, in the order of their keys; the event loop runs between pages. */
export async function* entries(
  store: Pick<Store, 'select'>,
  filter: Omit<Selection, 'after' | 'limit'>,
  pageSize = PAGE_SIZE,
): AsyncGenerator<Entry> {
  for (let after: string | undefined; ; ) {
    const page = store.select({ ...filter, limit: pageSize, ...(after !== undefined && { after }) })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    after = last.key
    await yieldToEventLoop()
  }
}

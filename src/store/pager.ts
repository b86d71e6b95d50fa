/** The one loop over all entries of a selection. */
import type { Entry } from '../model/entry.js'
import type { EntryQueries, Selection } from './ports.js'

/** Entries of one `select`. */
const PAGE_SIZE = 500

/** Every entry that matches, in the order of keys; entries may be deleted meanwhile. */
export async function* entries(
  store: Pick<EntryQueries, 'select'>,
  filter: Omit<Selection, 'limit' | 'after'>,
  pageSize = PAGE_SIZE,
): AsyncGenerator<Entry> {
  for (let after = ''; ; ) {
    const page = store.select({ ...filter, after, limit: pageSize })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    after = last.key
  }
}

/** Revalidates originals that are no longer fresh, the most recently used first, at so many a minute. */
import * as z from 'zod'
import { addressOfKey } from '../../model/entry.js'
import { freshnessOf } from '../../model/freshness.js'
import { entries } from '../../store/pager.js'
import { fieldsOf, type JobDefinition, type JobParts, pause } from './definition.js'

const PER_MINUTE = 600

type RefreshParts = Pick<JobParts, 'settings' | 'store' | 'images'>

const options = z.strictObject({
  perMinute: z.number().positive().optional().describe('How many at most.'),
})

/** The keys of originals that are not fresh, the most recently used first. */
async function staleOriginals({ settings, store }: RefreshParts, signal: AbortSignal) {
  const stale: { readonly key: string; readonly usedAt: number }[] = []
  for await (const entry of entries(store, { role: 'original' })) {
    if (signal.aborted) break
    if (freshnessOf(entry, settings.freshness, settings.now()) !== 'fresh')
      stale.push({ key: entry.key, usedAt: store.lastUsed(entry.key) ?? 0 })
  }
  return stale.sort((a, b) => b.usedAt - a.usedAt).map(({ key }) => key)
}

export const refresh = {
  summary: 'Ask about originals that have aged',
  options,
  body: options,
  async run(parts: RefreshParts, job, { signal, progress }) {
    const perMinute = Number(fieldsOf(job.payload).perMinute ?? PER_MINUTE)
    const stale = await staleOriginals(parts, signal)
    const count = { changed: 0, unchanged: 0, failed: 0 }
    for (const [index, key] of stale.entries()) {
      if (signal.aborted) return { state: 'cancelled' }
      try {
        const { changed } = await parts.images.refresh(addressOfKey(key) ?? '')
        count[changed ? 'changed' : 'unchanged'] += 1
      } catch (error) {
        count.failed += 1
        parts.settings.logger.info({ err: error, image: key }, 'artwork: refreshing failed')
      }
      progress(index + 1, stale.length)
      await pause(60_000 / Math.max(1, perMinute), signal)
    }
    return { state: 'done', result: count }
  },
} satisfies JobDefinition

/** Revalidates originals that are no longer fresh, the most recently used first, several at once, at so many a minute. */
import * as z from 'zod'
import { addressOfKey } from '../../model/entry.js'
import { freshnessOf } from '../../model/freshness.js'
import { entries } from '../../store/pager.js'
import { fieldsOf, type JobDefinition, type JobParts, pause } from './definition.js'

const PER_MINUTE = 3000
/** Connections that are left to what somebody waits for. */
const LEFT_FREE = 2

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

/** Paces work: each turn begins when it is due, so that there are so many a minute, and none is made up for later. */
function createPace(perMinute: number, signal: AbortSignal): () => Promise<void> {
  const interval = 60_000 / Math.max(1, perMinute)
  let next = 0
  return async () => {
    const due = Math.max(performance.now(), next)
    next = due + interval
    for (let wait = due - performance.now(); wait >= 1 && !signal.aborted; wait = due - performance.now())
      await pause(wait, signal)
  }
}

export const refresh = {
  summary: 'Ask about originals that have aged',
  options,
  body: options,
  async run(parts: RefreshParts, job, { signal, progress }) {
    const perMinute = Number(fieldsOf(job.payload).perMinute ?? PER_MINUTE)
    const stale = await staleOriginals(parts, signal)
    const count = { changed: 0, unchanged: 0, failed: 0 }
    const turn = createPace(perMinute, signal)
    let [begun, ended] = [0, 0]
    const askInTurn = async (): Promise<void> => {
      while (begun < stale.length && !signal.aborted) {
        const key = stale[begun] ?? ''
        begun += 1
        await turn()
        if (signal.aborted) return
        try {
          const { changed } = await parts.images.refresh(addressOfKey(key) ?? '')
          count[changed ? 'changed' : 'unchanged'] += 1
        } catch (error) {
          count.failed += 1
          parts.settings.logger.info({ err: error, image: key }, 'artwork: refreshing failed')
        }
        ended += 1
        progress(ended, stale.length)
      }
    }
    const { perHost, maxSockets } = parts.settings.fetch
    const atOnce = Math.max(1, Math.min(perHost, maxSockets) - LEFT_FREE)
    await Promise.all(Array.from({ length: atOnce }, askInTurn))
    return signal.aborted ? { state: 'cancelled' } : { state: 'done', result: count }
  },
} satisfies JobDefinition

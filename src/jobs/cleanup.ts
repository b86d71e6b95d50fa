/** Cleaning up: what was not used, whose entity is gone, or whose bytes are bad. Pages through names, never all at once. */
import { setImmediate as breathe } from 'node:timers/promises'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Entry } from '../model/entry.js'
import { createOrphans } from './orphans.js'

/** What cleaning up works with. */
export interface CleanupParts {
  readonly settings: Settings
  readonly store: Pick<Store, 'stats' | 'select' | 'check' | 'lastUsed' | 'delete'>
}

/** What to remove. */
export interface OptimizeOptions {
  /** Not used for this many days. @default 90 */
  readonly maxAgeDays?: number
  /** Remove nothing, report the same numbers. @default false */
  readonly dryRun?: boolean
  /** Remove the pictures of a kind of entity also where all of them, over twenty, are said to be gone. @default false */
  readonly force?: boolean
}

/** What was (or would be) removed. `freedBytes` counts each content once. */
export interface OptimizeResult {
  readonly removed: number
  readonly kept: number
  readonly freedBytes: number
  readonly expired: number
  readonly orphaned: number
  readonly corrupt: number
  /** Pictures of kinds that were said to be gone altogether: they were kept, and go in a run with `force`. */
  readonly unconfirmed?: Readonly<Record<string, number>>
}

/** Why something goes. */
export type Verdict = 'expired' | 'orphaned' | 'corrupt'

/** How a clean-up is followed, and stopped. */
export interface OptimizeWatch {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Told of everything that goes, or would. */
  readonly onGoing?: ((name: string, why: Verdict) => void) | undefined
}

const DAY = 86_400_000
const PAGE = 200

/** Removes what is not needed any more; an original stays while something that was made from it is kept. */
export async function optimize(
  context: CleanupParts,
  options: OptimizeOptions = {},
  { signal, onProgress, onGoing }: OptimizeWatch = {},
): Promise<OptimizeResult> {
  const { maxAgeDays = 90, dryRun = false, force = false } = options
  const { settings, store } = context
  const now = settings.now()
  const count = { expired: 0, orphaned: 0, corrupt: 0, kept: 0 }
  const going = new Set<string>()
  const idle: Entry[] = []
  const total = store.stats().names
  let seen = 0
  const contents = new Map<string, { size: number; kept: boolean }>()

  const judge = async (entry: Entry): Promise<Verdict | 'kept'> => {
    if (entry.isStored && (await store.check(entry, { isDryRun: dryRun })) === 'damaged') return 'corrupt'
    const unused = now - (store.lastUsed(entry.key) ?? entry.storedAt) > maxAgeDays * DAY
    return unused ? 'expired' : 'kept'
  }
  const note = (entry: Entry, verdict: Verdict | 'kept'): void => {
    count[verdict] += 1
    if (verdict !== 'kept') onGoing?.(entry.key, verdict)
    // A damaged copy was given up when it was found; the name of an artwork stays, so that it heals.
    if (verdict === 'expired' || verdict === 'orphaned') going.add(entry.key)
    const known = contents.get(entry.digest)
    contents.set(entry.digest, { size: entry.size, kept: (known?.kept ?? false) || verdict === 'kept' })
  }
  /** Whether something that stays was made from an original: without it, that would never be asked about again. */
  const isNeeded = ({ key: name }: Entry): boolean => {
    for (let after = ''; ; ) {
      const made = store.select({ original: name, after, limit: PAGE })
      if (made.some((entry) => !going.has(entry.key))) return true
      const last = made.at(-1)
      if (last === undefined || made.length < PAGE) return false
      after = last.key
    }
  }
  const orphans = createOrphans(context, force)
  for (let after: string | undefined; ; ) {
    const page = store.select({ limit: PAGE, ...(after === undefined ? {} : { after }) })
    const suspected = await orphans.suspect(page)
    for (const entry of page) {
      if (suspected.has(entry.key)) continue
      const verdict = await judge(entry)
      // Whether something needs an original is known when all has been judged.
      if (verdict === 'expired' && entry.role === 'original') idle.push(entry)
      else note(entry, verdict)
    }
    seen += page.length
    onProgress?.(Math.min(seen, total), total)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE || signal?.aborted) break
    after = last.key
    await breathe()
  }
  const { gone, spared, unconfirmed } = await orphans.decide(signal)
  for (const entry of gone) note(entry, 'orphaned')
  for (const entry of spared) note(entry, await judge(entry))
  let judged = 0
  for (const entry of idle) {
    if (signal?.aborted) break
    note(entry, isNeeded(entry) ? 'kept' : 'expired')
    judged += 1
    if (judged % PAGE === 0) await breathe()
  }
  if (!dryRun)
    for (const name of going) {
      if (signal?.aborted) break
      await store.delete(name)
    }
  const freedBytes = [...contents.values()].reduce((sum, { size, kept }) => sum + (kept ? 0 : size), 0)
  const held = Object.keys(unconfirmed).length > 0 ? { unconfirmed } : {}
  return { removed: going.size + count.corrupt, freedBytes, ...count, ...held }
}

/**
 * Gives up pictures of these kinds that nobody used for so long, ms. An original stays while something that was made
 * from it does; an entity's picture stays in any case.
 */
export async function expire(context: CleanupParts, kinds: readonly string[], maxIdle: number): Promise<number> {
  const { store, settings } = context
  const prefixes = kinds.map((kind) => `images/${kind}/`)
  const isIdle = (entry: Entry): boolean =>
    settings.now() - (store.lastUsed(entry.key) ?? entry.storedAt) > maxIdle
  let gone = 0
  for (const role of ['rendition', 'original'] as const)
    for (let after = ''; ; await breathe()) {
      const page = store.select({ role, after, limit: PAGE })
      for (const entry of page) {
        const isOurs = prefixes.some((prefix) => entry.key.startsWith(prefix))
        if (!isOurs || !isIdle(entry)) continue
        const isNeeded = role === 'original' && store.select({ original: entry.key, limit: 1 }).length > 0
        if (!isNeeded && (await store.delete(entry.key))) gone += 1
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) break
      after = last.key
    }
  return gone
}

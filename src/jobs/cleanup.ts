/** Cleaning up: images that were not used for long, whose entity is gone, or whose bytes are damaged. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { type Entry, imageKey } from '../model/entry.js'
import { entries } from '../store/pager.js'
import type { Store } from '../store/ports.js'
import { createOrphans, type OrphanSettings } from './orphans.js'

/** What to remove. */
export interface OptimizeOptions {
  /** Not used for this many days. @default 90 */
  readonly maxAgeDays?: number
  /** Remove nothing, report the same numbers. @default false */
  readonly dryRun?: boolean
  /** Remove the pictures of a kind of entity also where all of them, over twenty, are reported as gone. @default false */
  readonly force?: boolean
}

/** What was (or would be) removed. `freedBytes` counts each content once. */
export interface OptimizeResult {
  /** Images that were removed. */
  readonly removed: number
  /** Images that stay. */
  readonly kept: number
  /** Bytes that are free now; each content counts once. */
  readonly freedBytes: number
  /** Removed because nobody used them for long. */
  readonly expired: number
  /** Removed because their entity, or their original, is gone. */
  readonly orphaned: number
  /** Removed because their bytes were damaged. */
  readonly corrupt: number
  /** Pictures of kinds that were reported as gone altogether: they stay until a run with `force`. */
  readonly unconfirmed?: Readonly<Record<string, number>>
}

/** Why something is removed. */
export type RemovalReason = 'expired' | 'orphaned' | 'corrupt'

/** How a clean-up is followed, and stopped. */
export interface OptimizeWatch {
  /** Stops it when it is aborted. */
  readonly signal?: AbortSignal | undefined
  /** Called with what has been looked at, and how much there is. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Called for everything that is removed, or would be. */
  readonly onGoing?: ((key: string, why: RemovalReason) => void) | undefined
}

type CleanupStore = Pick<Store, 'select' | 'check' | 'lastUsed' | 'stats' | 'delete'>

/** What a clean-up works with. */
export interface CleanupParts {
  readonly store: CleanupStore
  readonly settings: OrphanSettings & { now(): number }
}

const DAY_MS = 86_400_000
const BATCH = 200

/** Counts, and collects what is to be deleted. */
function createReport(onGoing: OptimizeWatch['onGoing']) {
  const counts = { expired: 0, orphaned: 0, corrupt: 0, kept: 0 }
  const contents = new Map<string, { readonly size: number; readonly isKept: boolean }>()
  /** A damaged copy is deleted as it is found; the key of an entity's image stays, so that it is repaired. */
  const toDelete = new Set<string>()
  return {
    toDelete: toDelete as ReadonlySet<string>,
    record: ({ key, digest, size }: Entry, verdict: RemovalReason | 'kept'): void => {
      counts[verdict] += 1
      if (verdict !== 'kept') onGoing?.(key, verdict)
      if (verdict === 'expired' || verdict === 'orphaned') toDelete.add(key)
      const isKept = verdict === 'kept' || contents.get(digest)?.isKept === true
      contents.set(digest, { size, isKept })
    },
    result: (unconfirmed: Readonly<Record<string, number>>): OptimizeResult => ({
      removed: toDelete.size + counts.corrupt,
      freedBytes: [...contents.values()].reduce((sum, { size, isKept }) => sum + (isKept ? 0 : size), 0),
      ...counts,
      ...(Object.keys(unconfirmed).length > 0 && { unconfirmed }),
    }),
  }
}

const isUnused = (store: Pick<Store, 'lastUsed'>, entry: Entry, since: number): boolean =>
  (store.lastUsed(entry.key) ?? entry.storedAt) < since

/** Whether something that stays was made from an original: without the original it could not be revalidated. */
async function isNeeded(store: Pick<Store, 'select'>, original: string, toDelete: ReadonlySet<string>) {
  for await (const { key } of entries(store, { original })) if (!toDelete.has(key)) return true
  return false
}

/** Entries in batches. */
async function* inBatches(store: Pick<Store, 'select'>): AsyncGenerator<readonly Entry[]> {
  let batch: Entry[] = []
  for await (const entry of entries(store, {}, BATCH)) {
    batch.push(entry)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}

/**
 * Removes what is damaged, unused or orphaned. Orphans, and which originals are needed, are known when every entry has
 * been seen; an original stays while something that was made from it does.
 */
export async function optimize(
  { settings, store }: CleanupParts,
  { maxAgeDays = 90, dryRun = false, force = false }: OptimizeOptions = {},
  { signal, onProgress, onGoing }: OptimizeWatch = {},
): Promise<OptimizeResult> {
  const since = settings.now() - maxAgeDays * DAY_MS
  const report = createReport(onGoing)
  const orphans = createOrphans(settings, force)
  const unusedOriginals: Entry[] = []
  const orphaned = new Set<string>()

  const classify = async (entry: Entry): Promise<RemovalReason | 'kept'> => {
    if (entry.isStored && (await store.check(entry, { isDryRun: dryRun })) === 'damaged') return 'corrupt'
    return isUnused(store, entry, since) ? 'expired' : 'kept'
  }
  const findDamagedAndUnused = async (): Promise<void> => {
    const total = store.stats().names
    let seen = 0
    for await (const batch of inBatches(store)) {
      const suspected = await orphans.suspect(batch)
      for (const entry of batch) {
        if (suspected.has(entry.key)) continue
        const verdict = await classify(entry)
        if (verdict === 'expired' && entry.role === 'original') unusedOriginals.push(entry)
        else report.record(entry, verdict)
      }
      seen += batch.length
      onProgress?.(Math.min(seen, total), total)
      if (signal?.aborted) return
    }
  }
  const findOrphaned = async (): Promise<Readonly<Record<string, number>>> => {
    const { gone, spared, unconfirmed } = await orphans.decide(signal)
    for (const entry of gone) {
      report.record(entry, 'orphaned')
      orphaned.add(entry.key)
    }
    for (const entry of spared) report.record(entry, await classify(entry))
    return unconfirmed
  }
  const findUnusedOriginals = async (): Promise<void> => {
    for (const [index, entry] of unusedOriginals.entries()) {
      if (signal?.aborted) return
      report.record(entry, (await isNeeded(store, entry.key, report.toDelete)) ? 'kept' : 'expired')
      if (index % BATCH === BATCH - 1) await yieldToEventLoop()
    }
  }
  await findDamagedAndUnused()
  const unconfirmed = await findOrphaned()
  await findUnusedOriginals()
  for (const key of dryRun ? [] : report.toDelete) {
    if (signal?.aborted) break
    // What is not used here may be used by other nodes; what no record has is used by none.
    await store.delete(key, orphaned.has(key) ? undefined : 'node')
  }
  return report.result(unconfirmed)
}

/**
 * Deletes images of these kinds that were not used for so long, ms. An original stays while something that was made from
 * it does; an entity's image stays in any case. Returns how many keys.
 */
export async function expire(
  { store, settings }: { readonly store: CleanupStore; readonly settings: { now(): number } },
  kinds: readonly string[],
  maxIdle: number,
): Promise<number> {
  const prefixes = kinds.map((kind) => imageKey(`${kind}/`))
  let deleted = 0
  for (const role of ['rendition', 'original'] as const)
    for await (const entry of entries(store, { role })) {
      if (!prefixes.some((prefix) => entry.key.startsWith(prefix))) continue
      if (!isUnused(store, entry, settings.now() - maxIdle)) continue
      if (role === 'original' && store.select({ original: entry.key, limit: 1 }).length > 0) continue
      // Other nodes may use what this one has not used for long.
      if (await store.delete(entry.key, 'node')) deleted += 1
    }
  return deleted
}

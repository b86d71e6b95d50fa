/** Removing what does not belong: files that no entry has, and contents that are damaged. Runs beside readers and writers. */
import type { KeyLocks } from './key-locks.js'
import type { DiskParts } from './parts.js'
import { retryBusy } from './retry-busy.js'

/** See the top of the file. */
export type Sweep = ReturnType<typeof createSweep>

type Parts = Pick<
  DiskParts,
  'contents' | 'processes' | 'catalogue' | 'isClosed' | 'isCurrent' | 'changed' | 'counts'
>

const BATCH = 64
/** Where nothing is quiet within this, ms, a file that seems to belong to nobody is left for the next time. */
const QUIET_WITHIN = 500

/** Lets everything else run. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Makes the sweeps of a store. `pause` is awaited between files. */
export function createSweep(parts: Parts, locks: Pick<KeyLocks, 'withLock' | 'releaseAll'>) {
  const { contents, catalogue, processes } = parts

  /** Deletes a bucket that says nothing. While somebody writes, it may be half written: then it is left. */
  const discardBucket = async (path: string): Promise<boolean> => {
    const isQuiet = await retryBusy(
      'a quiet moment',
      () => catalogue().isQuiet() || undefined,
      QUIET_WITHIN,
    ).catch(() => false)
    const now = isQuiet ? await contents.readBucket(path).catch(() => 'unreadable') : 'busy'
    if (now !== undefined || !catalogue().isQuiet()) return false
    // One that was deleted by who had it, between two looks, was none.
    return contents.discardFile(path)
  }
  /** Deletes index entries that are not their key's own. Answers how many. */
  const sweepIndex = async (pause: () => Promise<void>): Promise<number> => {
    let count = 0
    for await (const { path, found } of contents.buckets()) {
      if (parts.isClosed()) break
      await pause()
      if (found !== undefined && catalogue().isListed(found)) continue
      if (found !== undefined && contents.bucketPath(found.entry.key, found.slot) === path) {
        // It may be under way, or have been committed, since it was read: under the lock, nothing moves.
        await locks.withLock(found.entry.key, undefined, async () => {
          const now = await contents.readBucket(path).catch(() => undefined)
          if (now !== undefined && !catalogue().isListed(now)) count += 1
        })
      } else if (await discardBucket(path)) count += 1
    }
    return count
  }
  /** Deletes contents that no entry has. Answers how many. */
  const sweepContents = async (pause: () => Promise<void>, isReadBack: boolean): Promise<number> => {
    const mine = catalogue()
    let count = 0
    let batch: string[] = []
    const sweepBatch = (): void => {
      // A catalogue that was lost meanwhile knows nothing of what is here.
      if (batch.length > 0 && parts.isCurrent(mine)) count += mine.sweep(batch, isReadBack)
      batch = []
    }
    for await (const digest of contents.digests()) {
      if (parts.isClosed() || !parts.isCurrent(mine)) return count
      batch.push(digest)
      if (batch.length < BATCH) continue
      sweepBatch()
      await pause()
    }
    sweepBatch()
    return count
  }
  return {
    sweepContents,
    /** @param isReadBack the caller has just read every entry back. Answers how many files were deleted. */
    sweep: async (pause: () => Promise<void> = yieldToEventLoop, isReadBack = false): Promise<number> => {
      const count = (await sweepIndex(pause)) + (await sweepContents(pause, isReadBack))
      parts.counts.leftovers += count
      return count
    },
    /** Discards a content that is damaged or gone. Answers the keys that had it. */
    discard: async (digest: string): Promise<readonly string[]> => {
      const isBad = () => !contents.has(digest) || contents.isDamaged(digest)
      const { names, locked } = catalogue().discard(digest, processes.id(), isBad)
      if (names.length === 0) return names
      parts.counts.badCopies += 1
      parts.changed(names)
      await locks.releaseAll(locked)
      return names
    },
  }
}

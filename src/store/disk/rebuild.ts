/** Rebuilding a lost catalogue from cacache's index. Runs beside readers and writers. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyLocks } from './key-locks.js'
import type { Leases } from './leases.js'
import type { DiskParts } from './parts.js'
import type { IndexEntry } from './recovery-index.js'
import { type Sweep, yieldToEventLoop } from './sweep.js'

const BATCH = 64
const REBUILD = ' rebuild'

/** What {@link createRebuild} works with. */
export type RebuildParts = Pick<
  DiskParts,
  'contents' | 'catalogue' | 'isClosed' | 'isCurrent' | 'changed' | 'logger' | 'counts'
> & {
  readonly leases: Pick<Leases, 'tryLease' | 'release'>
  readonly locks: Pick<KeyLocks, 'withLock'>
  readonly sweep: Sweep
  /** Evicts what is over the bounds. */
  trim(): Promise<void>
}

/** Makes the rebuilding of a store's catalogue. */
export function createRebuild(parts: RebuildParts) {
  const { contents, catalogue, leases, locks, sweep } = parts
  /** Reads one entry back: taking its lock does. */
  const restoreEntry = (name: string): Promise<void> => locks.withLock(name, undefined, async () => {})

  /** Reads everything back, for as long as `goesOn`. */
  const readBack = async (mine: ReturnType<typeof catalogue>, goesOn: () => boolean): Promise<void> => {
    let skipped = 0
    const skip = (): void => {
      skipped += 1
    }
    let batch: IndexEntry[] = []
    const restoreBatch = async (): Promise<void> => {
      const names = batch.map(({ entry }) => entry.key)
      for (const { entry } of mine.restore(batch, contents.cost)) await restoreEntry(entry.key)
      if (names.length > 0) parts.changed(names)
      batch = []
    }
    try {
      let onDisk = 0
      for await (const digest of contents.digests(skip)) onDisk += contents.sizeOf(digest)
      if (!goesOn()) return
      mine.setUnread(Math.max(0, onDisk - mine.totals().bytes))
      for await (const { found } of contents.buckets(skip)) {
        if (!goesOn()) return
        if (found !== undefined) batch.push(found)
        if (batch.length >= BATCH) await restoreBatch()
      }
      if (!goesOn()) return
      await restoreBatch()
      // With folders that cannot be read, it is unknown which files belong to no entry.
      if (skipped === 0) await sweep.sweep(yieldToEventLoop, true)
      if (!goesOn()) return
      mine.setComplete()
      // Content that changes left meanwhile stayed, for an entry that was not read back yet might have had it.
      if (skipped === 0) parts.counts.leftovers += await sweep.sweepContents(yieldToEventLoop, false)
      await parts.trim()
    } finally {
      if (skipped > 0) parts.logger.warn({ skipped }, 'artwork store: files could not be read')
    }
  }
  return {
    restoreEntry,
    /**
     * Reads a lost catalogue back. One process does it; the others wait for it. Ends where the catalogue is lost once
     * more: whoever opens it anew begins again.
     */
    rebuild: async (): Promise<void> => {
      const mine = catalogue()
      const goesOn = (): boolean => !parts.isClosed() && parts.isCurrent(mine)
      while (!mine.isComplete() && !leases.tryLease(REBUILD)) {
        if (!goesOn()) return
        await sleep(100)
      }
      try {
        if (!mine.isComplete()) await readBack(mine, goesOn)
      } finally {
        leases.release(REBUILD)
      }
    },
  }
}

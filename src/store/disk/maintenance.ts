/**
 * Putting the store in order: reading a lost catalogue back from cacache, sweeping away files that no name
 * has, and checking every byte against its digest. All of it runs beside readers and writers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { VerifyOptions, VerifyReport } from '../ports.js'
import type { IndexEntry } from './catalogue.js'
import { BadContent } from './contents.js'
import { type DiskParts, type KeyLocks, retryBusy } from './key-locks.js'
import type { Leases } from './leases.js'

/** See the top of the file. */
export type Maintenance = ReturnType<typeof createMaintenance>

const BATCH = 64
/** Where there is no quiet moment within this, ms, a file that nobody seems to name is left for the next time. */
const QUIET_WITHIN = 500
const REBUILD = ' rebuild'
const VERIFY = ' verify'
const MAX_NAMES_TOLD = 1000

/** Makes the part of the store that keeps it in order. */
export function createMaintenance(shelf: DiskParts, changes: KeyLocks, leases: Leases) {
  const { bytes, catalogue, presence } = shelf

  /** Looks a name up in cacache, for as long as the catalogue has not been read back whole: every change does. */
  const recall = (name: string): Promise<void> => changes.change(name, undefined, async () => {})

  /** Index entries that are not their name's own. Answers how many were taken away. */
  const sweepIndex = async (pause: () => Promise<void>): Promise<number> => {
    let count = 0
    for await (const { path, found } of bytes.buckets()) {
      if (shelf.isClosed()) break
      await pause()
      if (found !== undefined && catalogue().isListed(found)) continue
      if (found !== undefined && bytes.bucketPath(found.entry.key, found.slot) === path) {
        // It may be under way, or have come to count, since it was read: alone, nothing moves.
        await changes.change(found.entry.key, undefined, async () => {
          const now = await bytes.readBucket(path).catch(() => undefined)
          if (now !== undefined && !catalogue().isListed(now)) count += 1
        })
        continue
      }
      // It says nothing that makes sense. While somebody writes, it may be half written: look again when nobody does.
      const isQuiet = await retryBusy(
        'a quiet moment',
        () => catalogue().isQuiet() || undefined,
        QUIET_WITHIN,
      ).catch(() => false)
      const now = isQuiet ? await bytes.readBucket(path).catch(() => 'unreadable') : 'busy'
      if (now !== undefined || !catalogue().isQuiet()) continue
      await bytes.discardFile(path)
      count += 1
    }
    return count
  }
  /** Contents that no name has. Answers how many were taken away. */
  const sweepContents = async (pause: () => Promise<void>, isReadBack: boolean): Promise<number> => {
    const mine = catalogue()
    let count = 0
    let batch: string[] = []
    const flush = (): void => {
      // A catalogue that was lost meanwhile knows nothing of what is here.
      if (batch.length > 0 && shelf.stands(mine)) count += mine.sweep(batch, isReadBack)
      batch = []
    }
    for await (const digest of bytes.digests()) {
      if (shelf.isClosed() || !shelf.stands(mine)) return count
      batch.push(digest)
      if (batch.length < BATCH) continue
      flush()
      await pause()
    }
    flush()
    return count
  }
  const sweep = async (pause: () => Promise<void> = breathe, isReadBack = false): Promise<number> => {
    const count = (await sweepIndex(pause)) + (await sweepContents(pause, isReadBack))
    shelf.counts.leftovers += count
    return count
  }

  /** Checks the index entries of a content's names; one that is missing is written anew. Answers how many were. */
  const relist = async (digest: string): Promise<number> => {
    let count = 0
    for (const { entry } of catalogue().sharing(digest)) {
      const isListed = async () => {
        const row = catalogue().get(entry.key)
        if (!row?.entry.isStored) return true
        const found = await bytes.find(entry.key, row.slot).catch(() => undefined)
        return found?.generation === row.generation && found.entry.digest === row.entry.digest
      }
      if (await isListed()) continue
      await changes.change(entry.key, undefined, async () => {
        const row = catalogue().get(entry.key)
        if (row === undefined || (await isListed())) return
        await bytes.list(row.entry, row.generation, row.slot)
        catalogue().relist(entry.key, bytes.cost(row) ?? 0)
        count += 1
      })
    }
    return count
  }
  /** Whether a content is there and sound. What cannot be read for another reason is left for another time. */
  const check = async (digest: string, size: number): Promise<'sound' | 'bad' | 'unreadable'> => {
    try {
      await bytes.read(digest, size)
      return 'sound'
    } catch (error) {
      return error instanceof BadContent ? 'bad' : 'unreadable'
    }
  }
  /** Gives up a content that is damaged or gone, wherever it is named. */
  const discard = async (digest: string): Promise<readonly string[]> => {
    const isBad = () => !bytes.has(digest) || bytes.isDamaged(digest)
    const { names, locked } = catalogue().discard(digest, presence.id(), isBad)
    if (names.length === 0) return names
    shelf.counts.badCopies += 1
    shelf.changed(names)
    await changes.settleAll(locked)
    return names
  }

  return {
    recall,
    discard,
    sweep,
    /**
     * Reads a lost catalogue back. One process does it; the others wait for it. Ends where the catalogue is lost
     * once more: whoever opens it anew begins again.
     */
    rebuild: async (): Promise<void> => {
      const mine = catalogue()
      const goesOn = (): boolean => !shelf.isClosed() && shelf.stands(mine)
      while (!mine.isComplete() && !leases.tryLease(REBUILD)) {
        if (!goesOn()) return
        await sleep(100)
      }
      if (mine.isComplete()) return leases.end(REBUILD)
      let skipped = 0
      const skip = (): void => {
        skipped += 1
      }
      try {
        let onDisk = 0
        for await (const digest of bytes.digests(skip)) onDisk += bytes.sizeOf(digest)
        if (!goesOn()) return
        mine.setUnread(Math.max(0, onDisk - mine.totals().bytes))
        let batch: IndexEntry[] = []
        const restore = async (): Promise<void> => {
          const names = batch.map(({ entry }) => entry.key)
          for (const { entry } of mine.restore(batch, bytes.cost)) await recall(entry.key)
          if (names.length > 0) shelf.changed(names)
          batch = []
        }
        for await (const { found } of bytes.buckets(skip)) {
          if (!goesOn()) return
          if (found !== undefined) batch.push(found)
          if (batch.length >= BATCH) await restore()
        }
        if (!goesOn()) return
        await restore()
        // With folders that cannot be read, nobody knows what has no name.
        if (skipped === 0) await sweep(breathe, true)
        if (!goesOn()) return
        mine.setComplete()
        // What a change let go of meanwhile stayed, for a name that was not read back yet might have had it.
        const left = skipped === 0 ? await sweepContents(breathe, false) : 0
        shelf.counts.leftovers += left
        await changes.trim()
      } finally {
        leases.end(REBUILD)
        if (skipped > 0) shelf.logger.warn({ skipped }, 'artwork store: files could not be read')
      }
    },
    /** See {@link VerifyOptions}. */
    verify: async (options: VerifyOptions = {}): Promise<VerifyReport> => {
      const { bytesPerSecond = 32 * 1024 ** 2, restart = false, signal, onProgress } = options
      const report = { checked: 0, bytes: 0, damaged: 0, unreadable: 0, relisted: 0, leftovers: 0 }
      const names: string[] = []
      if (!leases.tryLease(VERIFY)) return { ...report, names, state: 'elsewhere' }
      const mine = catalogue()
      let owed = 0
      /** Rests for as long as the bytes that were read should have taken. */
      const pay = async (bytesRead: number): Promise<void> => {
        owed += (bytesRead * 1000) / bytesPerSecond
        if (owed < 10) return
        const rest = owed
        owed = 0
        await sleep(rest, undefined, signal && { signal }).catch(() => {})
      }
      const isOver = () => signal?.aborted === true || shelf.isClosed() || !shelf.stands(mine)
      try {
        let after = restart ? '' : (catalogue().places.get(VERIFY) ?? '')
        for (;;) {
          const batch = catalogue().digestsAfter(after, BATCH)
          for (const { digest, size } of batch) {
            if (isOver()) return { ...report, names, state: 'stopped' }
            const state = await check(digest, size)
            if (state === 'unreadable') report.unreadable += 1
            if (state === 'bad') {
              const lost = await discard(digest)
              report.damaged += lost.length > 0 ? 1 : 0
              names.push(...lost.slice(0, MAX_NAMES_TOLD - names.length))
            } else if (state === 'sound') {
              report.relisted += await relist(digest).catch((error) => {
                shelf.trouble('listing anew', error)
                report.unreadable += 1
                return 0
              })
            }
            report.checked += 1
            report.bytes += size
            after = digest
            await pay(size)
          }
          catalogue().places.set(VERIFY, after)
          onProgress?.({ ...report })
          if (batch.length < BATCH) break
        }
        report.leftovers = await sweep(() => pay(4096))
        if (isOver()) return { ...report, names, state: 'stopped' }
        catalogue().places.set(VERIFY, '')
        return { ...report, names, state: 'done' }
      } catch (error) {
        shelf.trouble('verifying', error)
        return { ...report, names, state: 'stopped' }
      } finally {
        leases.end(VERIFY)
      }
    },
  }
}

/** Lets everybody else have a turn. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

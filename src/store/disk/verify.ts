/** Verifying: every content is checked against its digest, and every index entry against its row. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { VerifyOptions, VerifyReport } from '../ports.js'
import { BadContent } from './contents.js'
import type { KeyLocks } from './key-locks.js'
import type { Leases } from './leases.js'
import type { DiskParts } from './parts.js'
import type { Sweep } from './sweep.js'

const BATCH = 64
const VERIFY = ' verify'
const MAX_NAMES = 1000
/** Bytes that a look at one file of a sweep counts as. */
const SWEPT_FILE = 4096

/** What {@link createVerify} works with. */
export type VerifyParts = Pick<DiskParts, 'contents' | 'catalogue' | 'isClosed' | 'isCurrent' | 'onError'> & {
  readonly leases: Pick<Leases, 'tryLease' | 'release'>
  readonly locks: Pick<KeyLocks, 'withLock'>
  readonly sweep: Pick<Sweep, 'sweep' | 'discard'>
}

type Progress = { -readonly [K in keyof Omit<VerifyReport, 'state' | 'names'>]: VerifyReport[K] } & {
  names: string[]
}

/** Makes a pause that lasts as long as the bytes that were read should have taken. */
function createPace(bytesPerSecond: number, signal: AbortSignal | undefined) {
  let owed = 0
  return async (bytesRead: number): Promise<void> => {
    owed += (bytesRead * 1000) / bytesPerSecond
    if (owed < 10) return
    const pause = owed
    owed = 0
    await sleep(pause, undefined, signal && { signal }).catch(() => {})
  }
}

/** Makes the verification of a store. */
export function createVerify(parts: VerifyParts) {
  const { contents, catalogue, leases, locks, sweep } = parts

  /** Checks the index entries of a content; one that is missing is written anew. Answers how many were. */
  const repairIndex = async (digest: string): Promise<number> => {
    let count = 0
    for (const { entry } of catalogue().sharing(digest)) {
      const isListed = async () => {
        const row = catalogue().get(entry.key)
        if (!row?.entry.isStored) return true
        const found = await contents.find(entry.key, row.slot).catch(() => undefined)
        return found?.generation === row.generation && found.entry.digest === row.entry.digest
      }
      if (await isListed()) continue
      await locks.withLock(entry.key, undefined, async () => {
        const row = catalogue().get(entry.key)
        if (row === undefined || (await isListed())) return
        await contents.list(row.entry, row.generation, row.slot)
        catalogue().setIndexBytes(entry.key, contents.cost(row) ?? 0)
        count += 1
      })
    }
    return count
  }
  /** Whether a content is there and sound. What cannot be read for another reason is left for another time. */
  const check = (digest: string, size: number): Promise<'sound' | 'bad' | 'unreadable'> =>
    contents.read(digest, size).then(
      () => 'sound',
      (error) => (error instanceof BadContent ? 'bad' : 'unreadable'),
    )
  const verifyContent = async (digest: string, size: number, report: Progress): Promise<void> => {
    const state = await check(digest, size)
    if (state === 'unreadable') report.unreadable += 1
    if (state === 'bad') {
      const lost = await sweep.discard(digest)
      report.damaged += lost.length > 0 ? 1 : 0
      report.names.push(...lost.slice(0, MAX_NAMES - report.names.length))
    } else if (state === 'sound') {
      report.relisted += await repairIndex(digest).catch((error) => {
        parts.onError('listing anew', error)
        report.unreadable += 1
        return 0
      })
    }
    report.checked += 1
    report.bytes += size
  }
  /** Answers whether it came to the end. */
  const verifyAll = async (options: VerifyOptions, report: Progress): Promise<boolean> => {
    const { bytesPerSecond = 32 * 1024 ** 2, restart = false, signal, onProgress } = options
    const pace = createPace(bytesPerSecond, signal)
    const mine = catalogue()
    const isOver = () => signal?.aborted === true || parts.isClosed() || !parts.isCurrent(mine)
    let after = restart ? '' : (catalogue().cursors.get(VERIFY) ?? '')
    for (;;) {
      const batch = catalogue().digestsAfter(after, BATCH)
      for (const { digest, size } of batch) {
        if (isOver()) return false
        await verifyContent(digest, size, report)
        after = digest
        await pace(size)
      }
      catalogue().cursors.set(VERIFY, after)
      const { names: _names, ...soFar } = report
      onProgress?.(soFar)
      if (batch.length < BATCH) break
    }
    report.leftovers = await sweep.sweep(() => pace(SWEPT_FILE))
    if (isOver()) return false
    catalogue().cursors.set(VERIFY, '')
    return true
  }
  /** See {@link VerifyOptions}. */
  return async (options: VerifyOptions = {}): Promise<VerifyReport> => {
    const report: Progress = {
      checked: 0,
      bytes: 0,
      damaged: 0,
      unreadable: 0,
      relisted: 0,
      leftovers: 0,
      names: [],
    }
    if (!leases.tryLease(VERIFY)) return { ...report, state: 'elsewhere' }
    try {
      const isDone = await verifyAll(options, report)
      return { ...report, state: isDone ? 'done' : 'stopped' }
    } catch (error) {
      parts.onError('verifying', error)
      return { ...report, state: 'stopped' }
    } finally {
      leases.release(VERIFY)
    }
  }
}

/** The port {@link EntryStore} on disk: bytes in cacache, keys and facts in the catalogue. */
import { digestOf } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import { ArtworkError, purgedMeanwhile } from '../../model/failure.js'
import { type EntryStore, LARGEST_SHARE } from '../ports.js'
import type { Amendments } from './amendments.js'
import type { Connection } from './connection.js'
import { BadContent } from './contents.js'
import type { Eviction } from './eviction.js'
import type { KeyLocks } from './key-locks.js'
import type { LastUse } from './last-use.js'
import type { DiskParts } from './parts.js'
import type { Sweep } from './sweep.js'
import type { WriteSuspension } from './write-suspension.js'

const NAMING_TRIES = 5

/** What {@link createEntryStore} works with. */
export type EntryStoreParts = Pick<
  DiskParts,
  'contents' | 'catalogue' | 'bounds' | 'logger' | 'counts' | 'changed'
> & {
  readonly connection: Pick<Connection, 'orDefault' | 'reopenDamaged'>
  readonly locks: Pick<KeyLocks, 'withLock'>
  readonly eviction: Pick<Eviction, 'makeRoom'>
  readonly sweep: Pick<Sweep, 'discard'>
  readonly suspension: Pick<WriteSuspension, 'reason' | 'onWriteError'>
  readonly lastUse: LastUse
  readonly amendments: Amendments
  readonly now: () => number
  isRebuilding(): boolean
  /** Reads one entry of a lost catalogue back. */
  restoreEntry(name: string): Promise<void>
}

/**
 * Stores bytes and names them; stored again where another process deleted the content meanwhile.
 * @param generation of purges: after another one nothing is named
 */
async function persist(
  parts: EntryStoreParts,
  entry: Entry,
  bytes: Buffer,
  generation: number | undefined,
): Promise<void> {
  const { contents, catalogue, locks, eviction, sweep, now } = parts
  const isBad = (): Promise<boolean> =>
    contents.read(entry.digest, entry.size).then(
      () => false,
      (error) => error instanceof BadContent,
    )
  for (let attempt = 0; attempt < NAMING_TRIES; attempt += 1) {
    const outcome = await locks.withLock(entry.key, entry, async (lock) => {
      await eviction.makeRoom(lock)
      // cacache leaves a content alone that is there already: a damaged one has to go first.
      if (contents.has(entry.digest) && (await isBad())) await sweep.discard(entry.digest)
      const slot = 1 - (lock.slot ?? 1)
      await contents.put(entry, lock.ticket, slot, bytes)
      const isNew = lock.slot === undefined
      const change = { ...lock, slot, usedAt: now(), isNew, generation }
      const current = catalogue()
      const named = await current.together(() =>
        current.commit(entry, change, () => contents.cost({ entry, slot })),
      )
      if (named === 'named') parts.amendments.forget(entry.key)
      return named
    })
    if (outcome === 'named') return
    if (outcome === 'purged') throw purgedMeanwhile()
  }
  throw new Error('content vanished while it was named')
}

/** Makes the port, and what tells whether the last write failed. */
export function createEntryStore(
  parts: EntryStoreParts,
): EntryStore & { readonly isWriteFailing: () => boolean } {
  const { contents, catalogue, connection, locks, sweep, suspension, lastUse, amendments, logger, changed } =
    parts
  const find = (name: string): Entry | undefined => {
    const entry = connection.orDefault('look-up', (current) => current.get(name)?.entry, undefined)
    return entry && amendments.over(entry)
  }
  /** Shown until a write succeeds. */
  let isWriteFailing = false

  const read: EntryStore['read'] = async (entry) => {
    if (!entry.isStored) return undefined
    try {
      return { bytes: await contents.read(entry.digest, entry.size), from: 'disk' }
    } catch (error) {
      // No entry has it any more when it was replaced or deleted meanwhile: then nothing is wrong.
      const isLost = error instanceof BadContent
      const names = isLost ? await sweep.discard(entry.digest).catch(() => []) : []
      if (!isLost || names.length > 0)
        logger.warn({ err: error, image: entry.key }, 'artwork store: a copy could not be read')
      if (isLost) changed([entry.key])
      return undefined
    }
  }
  const check: EntryStore['check'] = async (entry, { isDryRun = false } = {}) => {
    if (!entry.isStored) return 'absent'
    try {
      await contents.read(entry.digest, entry.size)
      return 'whole'
    } catch (error) {
      const now = find(entry.key)
      if (now?.digest !== entry.digest || !now.isStored) return 'absent'
      if (!(error instanceof BadContent)) return 'unreadable'
      if (isDryRun) return 'damaged'
      const names = await sweep.discard(entry.digest).catch(() => [])
      if (names.length > 0) changed(names)
      return names.length > 0 ? 'damaged' : 'absent'
    }
  }
  const write: EntryStore['write'] = async (fresh, bytes, { generation } = {}) => {
    const entry: Entry = Object.freeze({
      ...fresh,
      digest: fresh.digest ?? digestOf(bytes),
      size: bytes.length,
      isStored: true,
    })
    if (bytes.length > parts.bounds.maxBytes * LARGEST_SHARE)
      throw new ArtworkError('disk_write', 'the image is too large to be kept')
    if (suspension.reason() !== undefined)
      throw new ArtworkError('disk_write', 'nothing is kept at the moment')
    try {
      await persist(parts, entry, bytes, generation)
      isWriteFailing = false
      return entry
    } catch (error) {
      // A refusal of ours says nothing of the disk.
      if (error instanceof ArtworkError) throw error
      isWriteFailing = true
      suspension.onWriteError(error)
      parts.counts.writeFailures += 1
      logger.error({ err: error, image: entry.key }, 'artwork store: an image could not be kept')
      connection.reopenDamaged(error)
      throw new ArtworkError('disk_write', 'the image could not be kept', { cause: error })
    }
  }
  return {
    find,
    lookup: async (name) => {
      const known = find(name)
      if (known !== undefined || !parts.isRebuilding()) return known
      await parts
        .restoreEntry(name)
        .catch((error) => logger.warn({ err: error, image: name }, 'artwork store: a look-up failed'))
      return find(name)
    },
    read,
    check,
    inMemory: () => false,
    fileOf: ({ digest, isStored }) => (isStored ? contents.contentPath(digest) : undefined),
    write,
    settled: async () => {},
    record: (facts) => {
      const entry: Entry = Object.freeze({ ...facts, isStored: false })
      amendments.forget(entry.key)
      connection.orDefault(
        'recording',
        (current) => current.record(entry, parts.now(), parts.bounds.maxNames),
        undefined,
      )
      return entry
    },
    update: (entry, changes) => {
      const updated = Object.freeze({ ...entry, ...changes })
      amendments.add(updated)
      return updated
    },
    delete: async (name) => {
      try {
        return await locks.withLock(name, undefined, async (lock) => {
          lastUse.forget(name)
          amendments.forget(name)
          return catalogue().drop(lock)
        })
      } catch (error) {
        logger.error({ err: error, image: name }, 'artwork store: an image could not be removed')
        connection.reopenDamaged(error)
        return false
      }
    },
    touch: lastUse.touch,
    isWriteFailing: () => isWriteFailing,
  }
}

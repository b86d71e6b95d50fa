/**
 * Changes of keys, one at a time for each key in all processes. A change begins with a row that locks the key and
 * reserves its space, and ends when the files say what the catalogue says. The end is the same for every change, for one
 * that failed, and for one whose process died: what the catalogue does not name is deleted.
 */
import type { KeyLock } from './lock-table.js'
import type { DiskParts } from './parts.js'
import { type IndexEntry, SLOTS } from './recovery-index.js'
import { retryBusy } from './retry-busy.js'

/** See the top of the file. */
export type KeyLocks = ReturnType<typeof createKeyLocks>

type Parts = Pick<DiskParts, 'contents' | 'processes' | 'catalogue' | 'logger' | 'isClosed' | 'counts'>

/** The bytes that a change is going to write. */
interface About {
  readonly digest?: string
  readonly size: number
}

const PROBE_EVERY = 20

/**
 * Puts back an entry from its newest sound index entry, as long as a lost catalogue has not been read back whole.
 * @returns the lock, with where the entry is now
 * @param undone the generation of a write that was never committed: its index entry does not count
 */
async function restoreEntry(
  { contents, catalogue }: Pick<Parts, 'contents' | 'catalogue'>,
  lock: KeyLock,
  undone = 0,
): Promise<KeyLock> {
  if (catalogue().isComplete()) return lock
  const found: IndexEntry[] = []
  for (const slot of SLOTS) {
    const one = await contents.find(lock.name, slot).catch(() => undefined)
    if (one === undefined || (undone > 0 && one.generation === undone)) continue
    if (contents.cost(one) !== undefined) found.push(one)
  }
  const [newest] = found.sort((a, b) => b.generation - a.generation)
  if (newest !== undefined) catalogue().restore([newest], contents.cost, lock)
  return { ...lock, slot: catalogue().get(lock.name)?.slot }
}

/** Deletes temporary files whose writers are dead. */
async function removeTemporary({
  contents,
  processes,
}: Pick<Parts, 'contents' | 'processes'>): Promise<void> {
  const alive = new Map<string, boolean>()
  for await (const { path, owner } of contents.temporary()) {
    if (!alive.has(owner)) alive.set(owner, processes.isAlive(owner))
    if (alive.get(owner) !== true) await contents.discardFile(path)
  }
}

/** Makes the locks of a store. */
export function createKeyLocks(parts: Parts) {
  const { contents, processes, catalogue, logger, counts } = parts
  /** Keys that this process is changing now; a lock of ours on any other is a change that ended badly. */
  const active = new Set<string>()

  /**
   * Ends a change: index entries and content that the catalogue does not name are deleted, and then the lock. Where the
   * lock is not the owner's any more (another process adopted it, or the catalogue was lost), nothing is touched.
   */
  const release = async (name: string, owner: string): Promise<void> => {
    try {
      if (!catalogue().owns(name, owner)) return
      const row = catalogue().get(name)
      const inUse = row?.entry.isStored ? row.slot : undefined
      for (const slot of SLOTS) if (slot !== inUse) await contents.unlist(name, slot)
      catalogue().finish(name, owner)
    } catch (error) {
      logger.warn({ err: error, image: name }, 'artwork store: files stay behind for now')
    } finally {
      active.delete(name)
    }
  }
  /** Ends a change that a dead process began, or one of ours that ended badly. */
  const adopt = async (name: string, from: string): Promise<void> => {
    const owner = processes.id()
    if (active.has(name)) return
    const undone = catalogue().claim(name, owner, from)
    if (undone === undefined) return
    active.add(name)
    counts.leftovers += 1
    await restoreEntry(parts, { name, owner, ticket: 0 }, undone).catch(() => {})
    await release(name, owner)
  }
  const stuck = (): readonly string[] =>
    catalogue()
      .changingOf(processes.id())
      .filter((name) => !active.has(name))
  /** Ends changes of ours that ended badly. Answers whether none is left. */
  const releaseStuck = async (): Promise<boolean> => {
    for (const name of stuck()) await adopt(name, processes.id())
    return stuck().length === 0
  }
  /** Takes the lock if it is free. Answers a dead owner's id where one has it, undefined where it is to be waited for. */
  const tryAcquire = async (
    name: string,
    { digest, size }: About,
    turn: number,
  ): Promise<KeyLock | string | undefined> => {
    if (active.has(name)) return undefined
    const current = catalogue()
    const owner = processes.id()
    let hasBegun = false
    const begin = () => {
      const begun = current.begin(name, owner, digest, size)
      hasBegun = !('busy' in begun)
      // Not later: what is in the catalogue and not here has ended badly, to whoever looks meanwhile.
      if (hasBegun) active.add(name)
      return begun
    }
    const answer = await current.together(begin).catch((error) => {
      if (hasBegun) active.delete(name)
      throw error
    })
    if (!('busy' in answer)) return answer
    const { busy } = answer
    // Another change of ours may have begun in the same transaction.
    if (active.has(name)) return undefined
    if (busy === processes.id()) return busy
    return turn % PROBE_EVERY === 0 && !processes.isAlive(busy) ? busy : undefined
  }
  const acquire = async (name: string, about: About): Promise<KeyLock> => {
    for (;;) {
      const answer = await retryBusy('another change of this name', (turn) => tryAcquire(name, about, turn))
      if (typeof answer !== 'string') return answer
      await adopt(name, answer)
    }
  }

  return {
    /**
     * Runs a change of a key, alone.
     * @throws what `work` throws, and Error when the key is locked for too long
     */
    withLock: async <T>(
      name: string,
      about: About | undefined,
      work: (lock: KeyLock) => Promise<T>,
    ): Promise<T> => {
      const lock = await acquire(name, about ?? { size: 0 })
      try {
        return await work(await restoreEntry(parts, lock))
      } finally {
        await release(name, lock.owner)
      }
    },
    /** Ends changes that a transaction began for keys that it evicted. */
    releaseAll: async (names: readonly string[]): Promise<void> => {
      const owner = processes.id()
      for (const name of names) active.add(name)
      for (const name of names) await release(name, owner)
    },
    releaseStuck,
    /** Ends what dead processes left undone, and what ended badly here. Answers how many processes those were. */
    recover: async (): Promise<number> => {
      await releaseStuck()
      const dead = catalogue()
        .owners()
        .filter((owner) => !processes.isAlive(owner))
      for (const owner of dead) {
        for (const name of catalogue().changingOf(owner)) {
          if (parts.isClosed()) return dead.length
          await adopt(name, owner)
        }
        catalogue().unleaseAll(owner)
      }
      await removeTemporary(parts)
      return dead.length
    },
  }
}

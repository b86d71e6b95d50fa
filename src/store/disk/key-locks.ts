/**
 * Changes of names, one at a time for each name in all processes. A change begins with a row that locks the
 * name and reserves its space, and ends when the files say what the catalogue says. The end is the same for
 * every change, for one that failed, and for one whose process died: what the catalogue does not name, goes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessRegistry } from '../../database/process-registry.js'
import type { Logger } from '../../model/logger.js'
import type { Bounds } from '../ports.js'
import type { Catalogue, IndexEntry, KeyLock } from './catalogue.js'
import { type Contents, SLOTS } from './contents.js'

/** What the parts of the store on disk share. */
export interface DiskParts {
  readonly bytes: Contents
  readonly presence: ProcessRegistry
  /** The catalogue as it is now: it is opened anew when its file was lost or damaged. */
  catalogue(): Catalogue
  readonly bounds: Bounds
  readonly logger: Logger
  /** Whether a catalogue is still the one that all processes use. */
  stands(catalogue: Catalogue): boolean
  /** Told the names that changed without being asked to. */
  changed(names: readonly string[] | 'all'): void
  /** Writes last uses down, before anything is chosen by them. */
  flush(): void
  isClosed(): boolean
  /** Told what went wrong in the background; a damaged catalogue is opened anew. */
  trouble(what: string, error: unknown): void
  readonly counts: { evictions: number; badCopies: number; writeFailures: number; leftovers: number }
}

/** See the top of the file. */
export type KeyLocks = ReturnType<typeof createKeyLocks>

/** Names that are given up in one transaction. */
const BATCH = 64
const LONGEST_PAUSE = 50
const PATIENCE = 20_000
const PROBE_EVERY = 20

/** Waits until `attempt` answers something, a little longer each time. @throws Error when it never does, within ms */
export async function retryBusy<T>(
  what: string,
  attempt: (turn: number) => T | undefined,
  patience = PATIENCE,
): Promise<T> {
  let waited = 0
  for (let turn = 0; waited < patience; turn += 1) {
    const answer = attempt(turn)
    if (answer !== undefined) return answer
    const pause = Math.min(2 + turn, LONGEST_PAUSE)
    await sleep(pause)
    waited += pause
  }
  throw new Error(`${what}: waited too long`)
}

/** Makes the part of the store that changes names. */
export function createKeyLocks(shelf: DiskParts) {
  const { bytes, presence, catalogue, bounds, logger } = shelf
  /** Names that this process is changing now; a lock of ours on any other is a change that ended badly. */
  const active = new Set<string>()

  /**
   * Puts back a name from its newest sound index entry, as long as a lost catalogue has not been read back whole.
   * @param undone the generation of a write that was never committed: what it left is not what the name stands for
   */
  const recall = async (ticket: KeyLock, undone = 0): Promise<void> => {
    const { name } = ticket
    if (catalogue().isComplete()) return
    const found: IndexEntry[] = []
    for (const slot of SLOTS) {
      const one = await bytes.find(name, slot).catch(() => undefined)
      if (one === undefined || (undone > 0 && one.generation === undone)) continue
      if (bytes.cost(one) !== undefined) found.push(one)
    }
    const [newest] = found.sort((a, b) => b.generation - a.generation)
    if (newest !== undefined) catalogue().restore([newest], bytes.cost, ticket)
  }
  /**
   * Ends a change: index entries and content that the catalogue does not name go, and then its lock. Where the lock
   * is not the owner's any more (another process took it over, or the catalogue was lost), nothing is touched.
   */
  const settle = async (name: string, owner: string): Promise<void> => {
    try {
      if (!catalogue().owns(name, owner)) return
      const row = catalogue().get(name)
      const inUse = row?.entry.isStored ? row.slot : undefined
      for (const slot of SLOTS) if (slot !== inUse) await bytes.unlist(name, slot)
      catalogue().finish(name, owner)
    } catch (error) {
      logger.warn({ err: error, image: name }, 'artwork store: files stay behind for now')
    } finally {
      active.delete(name)
    }
  }
  const settleAll = async (names: readonly string[]): Promise<void> => {
    const owner = presence.id()
    for (const name of names) active.add(name)
    for (const name of names) await settle(name, owner)
  }
  /** Ends a change that a dead process began, or one of ours that ended badly. */
  const takeOver = async (name: string, from: string): Promise<void> => {
    const owner = presence.id()
    if (active.has(name)) return
    const undone = catalogue().claim(name, owner, from)
    if (undone === undefined) return
    active.add(name)
    shelf.counts.leftovers += 1
    await recall({ name, owner, ticket: 0 }, undone).catch(() => {})
    await settle(name, owner)
  }
  /** Changes of ours that ended badly: nobody is at them. */
  const stuck = (): readonly string[] =>
    catalogue()
      .changingOf(presence.id())
      .filter((name) => !active.has(name))
  const settleStuck = async (): Promise<boolean> => {
    for (const name of stuck()) await takeOver(name, presence.id())
    return stuck().length === 0
  }
  const begin = async (name: string, digest: string | undefined, size: number): Promise<KeyLock> => {
    for (;;) {
      const begun = await retryBusy('another change of this name', (turn) => {
        if (active.has(name)) return undefined
        const answer = catalogue().begin(name, presence.id(), digest, size)
        if (!('busy' in answer)) {
          active.add(name)
          return answer
        }
        const { busy } = answer
        if (busy === presence.id()) return busy
        return turn % PROBE_EVERY === 0 && !presence.isAlive(busy) ? busy : undefined
      })
      if (typeof begun !== 'string') return begun
      await takeOver(name, begun)
    }
  }
  const evict = async (choose: () => readonly string[]): Promise<number> => {
    let count = 0
    for (let gone = choose(); gone.length > 0 && !shelf.isClosed(); gone = choose()) {
      count += gone.length
      shelf.changed(gone)
      await settleAll(gone)
    }
    return count
  }
  /** Evicts down to 90 % what stands beyond a bound. Answers whether the ticket's reservation fits now. */
  const trim = async (ticket: number): Promise<boolean> => {
    const passed = catalogue().passed(ticket, bounds)
    if (!passed.bytes && !passed.names) return true
    // What ended badly, on a full disk say, is no reason to give up pictures: it is ended first.
    if (!(await settleStuck())) return false
    shelf.flush()
    shelf.counts.evictions += await evict(() => catalogue().evict(presence.id(), bounds, passed, BATCH))
    const still = catalogue().passed(ticket, bounds)
    return !still.bytes && !still.names
  }

  return {
    /**
     * Runs a change of a name, alone.
     * @param about the bytes it is going to write
     * @throws what `work` throws, and Error when the name is held for too long
     */
    change: async <T>(
      name: string,
      about: { readonly digest: string; readonly size: number } | undefined,
      work: (ticket: KeyLock) => Promise<T>,
    ): Promise<T> => {
      const ticket = await begin(name, about?.digest, about?.size ?? 0)
      try {
        await recall(ticket)
        return await work(ticket)
      } finally {
        await settle(name, ticket.owner)
      }
    },
    /**
     * Waits until the space that a change reserved is there, giving up what was used least recently. What was
     * reserved before it counts, so that the bound holds however many write at once.
     * @throws Error when there is none; while a lost catalogue is read back, nothing can be given up
     */
    makeRoom: async ({ ticket }: KeyLock): Promise<void> => {
      await retryBusy('measuring', () => catalogue().isMeasured() || undefined)
      const passed = catalogue().passed(ticket, bounds)
      if (!catalogue().isComplete() && (passed.bytes || passed.names))
        throw new Error('there is no room until the catalogue has been read back')
      for (let pause = 2; !(await trim(ticket)); pause += 2) {
        if (pause > 200) throw new Error('there is no room')
        await sleep(Math.min(pause, LONGEST_PAUSE))
      }
    },
    /** Brings a store that is beyond its bounds back within them. */
    trim: async (): Promise<void> => {
      if (catalogue().isComplete()) await trim(0)
    },
    /** Gives up a tenth of what there is, least recently used first, and the folders that stand empty. */
    shrink: async (): Promise<void> => {
      shelf.flush()
      const now = { maxBytes: catalogue().totals().bytes, maxNames: Number.MAX_SAFE_INTEGER }
      const over = { bytes: true, names: false }
      shelf.counts.evictions += await evict(() => catalogue().evict(presence.id(), now, over, BATCH))
      await bytes.prune()
    },
    /** Forgets every name. */
    clear: async (): Promise<void> => {
      await retryBusy('clearing', () => catalogue().isQuiet() || undefined).catch(() => {})
      await evict(() => catalogue().evictAny(presence.id(), BATCH))
    },
    /** Settles names that were given up. */
    settleAll,
    /** Ends what dead processes left undone, and what ended badly here. Answers how many of them there were. */
    recover: async (): Promise<number> => {
      await settleStuck()
      const dead = catalogue()
        .owners()
        .filter((owner) => !presence.isAlive(owner))
      for (const owner of dead) {
        for (const name of catalogue().changingOf(owner)) {
          if (shelf.isClosed()) return dead.length
          await takeOver(name, owner)
        }
        catalogue().unleaseAll(owner)
      }
      const alive = new Map<string, boolean>()
      for await (const { path, owner } of bytes.temporary()) {
        if (!alive.has(owner)) alive.set(owner, presence.isAlive(owner))
        if (alive.get(owner) !== true) await bytes.discardFile(path)
      }
      return dead.length
    },
  }
}

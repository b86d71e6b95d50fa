/** Leases: one process on the directory does a piece of work, and the others wait for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessRegistry } from '../../database/process-registry.js'
import { type Database, immediate, keep } from '../../database/sqlite.js'
import type { Lease } from '../ports.js'

/** The table of leases. */
export function createLeaseTable(db: Database) {
  const sql = keep({
    get: db.prepare<[string], { owner: string }>('SELECT owner FROM leases WHERE key = ?'),
    set: db.prepare<[string, string]>('INSERT OR REPLACE INTO leases VALUES (?, ?)'),
    remove: db.prepare<[string, string]>('DELETE FROM leases WHERE key = ? AND owner = ?'),
    removeAll: db.prepare<[string]>('DELETE FROM leases WHERE owner = ?'),
  })
  return {
    /** Takes a lease, also from an owner that has died. @returns undefined, or who has it */
    lease: immediate(db)((key: string, owner: string, from?: string): string | undefined => {
      const other = sql.get.get(key)?.owner
      if (other !== undefined && other !== from) return other
      sql.set.run(key, owner)
      return undefined
    }),
    unlease: (key: string, owner: string): void => void sql.remove.run(key, owner),
    unleaseAll: (owner: string): void => void sql.removeAll.run(owner),
  }
}

/** What {@link createLeases} works with. */
export interface LeaseParts {
  readonly processes: Pick<ProcessRegistry, 'id' | 'isAlive' | 'isAlone'>
  catalogue(): ReturnType<typeof createLeaseTable>
  isClosed(): boolean
  onError(what: string, error: unknown): void
}

/** See {@link createLeases}. */
export type Leases = ReturnType<typeof createLeases>

const SHORTEST_PAUSE = 10
const LONGEST_PAUSE = 100
const PROBE_EVERY = 10
/** A process that has a lease for longer than any fetch and encode may last is not waited for, ms. */
const PATIENCE = 60_000

/** Leases: one process does a piece of work, and the others wait and look at its result. */
export function createLeases({ processes, catalogue, isClosed, onError }: LeaseParts) {
  /** Leases that this process has. A row of ours for any other key is one that could not be removed. */
  const mine = new Set<string>()
  /** Those of them without a row: there was no other process to tell. */
  const untold = new Set<string>()
  const unreleased = new Set<string>()

  /** Takes a lease if it is free, or if its owner is dead. Answers who has it, undefined for us. */
  const take = (key: string, mayProbe: boolean): string | undefined => {
    const self = processes.id()
    if (mine.has(key)) return self
    const other = catalogue().lease(key, self)
    if (other === undefined) {
      mine.add(key)
      return undefined
    }
    const isAbandoned = other === self || (mayProbe && !processes.isAlive(other))
    if (!isAbandoned || catalogue().lease(key, self, other) !== undefined) return other
    mine.add(key)
    return undefined
  }
  /** As `take`, without a row while there is no other process. One that comes meanwhile does the same work once more. */
  const takeAlone = (key: string): boolean => {
    if (mine.has(key) || !processes.isAlone()) return false
    mine.add(key)
    untold.add(key)
    return true
  }
  const release = (key: string): void => {
    mine.delete(key)
    if (!untold.delete(key)) removeRow(key)
  }
  const removeRow = (key: string): void => {
    try {
      catalogue().unlease(key, processes.id())
      unreleased.delete(key)
    } catch (error) {
      unreleased.add(key)
      onError('ending a turn', error)
    }
  }
  return {
    /** Takes the lease of a key, after whoever has it. Never throws: without a catalogue, each works for itself. */
    lease: async (key: string, signal?: AbortSignal): Promise<Lease> => {
      let waited = 0
      try {
        for (let turn = 0; waited < PATIENCE && !isClosed() && !signal?.aborted; turn += 1) {
          if (takeAlone(key) || take(key, turn % PROBE_EVERY === 0) === undefined)
            return { waited: waited > 0, release: () => release(key) }
          const pause = Math.min(SHORTEST_PAUSE * (turn + 1), LONGEST_PAUSE)
          await sleep(pause)
          waited += pause
        }
      } catch (error) {
        onError('taking a turn', error)
      }
      return { waited: waited > 0, release: () => {} }
    },
    /** Takes a lease if it is free. */
    tryLease: (key: string): boolean => take(key, true) === undefined,
    release,
    /** Removes leases that could not be removed before. */
    retry: (): void => {
      for (const key of [...unreleased]) {
        if (mine.has(key) && !untold.has(key)) unreleased.delete(key)
        else removeRow(key)
      }
    },
  }
}

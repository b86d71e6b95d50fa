/** Turns: one process does a piece of work, and the others wait and look at what came of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lease } from '../ports.js'
import type { DiskParts } from './key-locks.js'

/** See the top of the file. */
export type Leases = ReturnType<typeof createLeases>

const SHORTEST_PAUSE = 10
const LONGEST_PAUSE = 100
const PROBE_EVERY = 10
/** A process that has a lease for longer than any fetch and encode may last is not waited for, ms. */
const PATIENCE = 60_000

/** Makes the part of the store that lets processes take turns. */
export function createLeases({ presence, catalogue, isClosed, trouble }: DiskParts) {
  /** Turns that this process has. A row of ours for any other key is one that could not be taken away. */
  const mine = new Set<string>()
  const left = new Set<string>()

  /** Takes a lease if it is free, or if who has it is gone. Answers who has it, undefined for us. */
  const take = (key: string, mayProbe: boolean): string | undefined => {
    const self = presence.id()
    const other = catalogue().lease(key, self)
    if (other === undefined) {
      mine.add(key)
      return undefined
    }
    const isGone = other === self ? !mine.has(key) : mayProbe && !presence.isAlive(other)
    if (!isGone || catalogue().lease(key, self, other) !== undefined) return other
    mine.add(key)
    return undefined
  }
  const end = (key: string): void => {
    mine.delete(key)
    try {
      catalogue().unlease(key, presence.id())
      left.delete(key)
    } catch (error) {
      left.add(key)
      trouble('ending a turn', error)
    }
  }
  return {
    /** Takes the turn for a key, after whoever has it. Never throws: without a catalogue, each works for itself. */
    lease: async (key: string, signal?: AbortSignal): Promise<Lease> => {
      let waited = 0
      try {
        for (let turn = 0; waited < PATIENCE && !isClosed() && !signal?.aborted; turn += 1) {
          if (take(key, turn % PROBE_EVERY === 0) === undefined)
            return { waited: waited > 0, release: () => end(key) }
          const pause = Math.min(SHORTEST_PAUSE * (turn + 1), LONGEST_PAUSE)
          await sleep(pause)
          waited += pause
        }
      } catch (error) {
        trouble('taking a turn', error)
      }
      return { waited: waited > 0, release: () => {} }
    },
    /** Takes a lease if it is free. */
    tryLease: (key: string): boolean => take(key, true) === undefined,
    end,
    /** Takes away what could not be taken away before. */
    retry: (): void => {
      for (const key of [...left]) {
        if (mine.has(key)) left.delete(key)
        else end(key)
      }
    },
  }
}

/** Turns: one process does a piece of work, and the others wait and look at what came of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Shelf } from './changes.js'
import type { Turn } from './store.js'

/** See the top of the file. */
export type Leases = ReturnType<typeof createLeases>

const SHORTEST_PAUSE = 10
const LONGEST_PAUSE = 100
const PROBE_EVERY = 10
/** A process that has a lease for longer than any fetch and encode may last is not waited for, ms. */
const PATIENCE = 60_000

/** Makes the part of the store that lets processes take turns. */
export function createLeases({ presence, catalogue, isClosed }: Shelf) {
  const end = (key: string): void => {
    try {
      catalogue().unlease(key, presence.id())
    } catch {
      // A lease goes with its process at the latest.
    }
  }
  return {
    /** Takes the turn for a key, after whoever has it. Never throws: without a catalogue, each works for itself. */
    turn: async (key: string, signal?: AbortSignal): Promise<Turn> => {
      let waited = 0
      try {
        for (let turn = 0; waited < PATIENCE && !isClosed() && !signal?.aborted; turn += 1) {
          const other = catalogue().lease(key, presence.id())
          if (other === undefined) return { waited: waited > 0, end: () => end(key) }
          if (turn % PROBE_EVERY === 0 && !presence.isAlive(other)) {
            if (catalogue().lease(key, presence.id(), other) === undefined)
              return { waited: waited > 0, end: () => end(key) }
          }
          const pause = Math.min(SHORTEST_PAUSE * (turn + 1), LONGEST_PAUSE)
          await sleep(pause)
          waited += pause
        }
      } catch {
        return { waited: waited > 0, end: () => {} }
      }
      return { waited: waited > 0, end: () => {} }
    },
    /** Takes a lease if it is free. */
    tryTurn: (key: string): boolean => {
      const other = catalogue().lease(key, presence.id())
      if (other === undefined) return true
      return !presence.isAlive(other) && catalogue().lease(key, presence.id(), other) === undefined
    },
    end,
  }
}

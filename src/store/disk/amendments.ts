/**
 * Facts that changed of entries whose bytes stay, collected in memory and written down together while no other process is
 * there to hear of them: a refresh of many pictures is few transactions. What is not written down yet is asked about again
 * after a crash, and nothing else.
 */
import type { Entry } from '../../model/entry.js'
import { withFactsOf } from '../entry-update.js'
import type { Connection } from './connection.js'

/** How many wait, and for how long, ms. */
const FLUSH_AT = 100
const FLUSH_AFTER = 500

/** See the top of the file. */
export type Amendments = ReturnType<typeof createAmendments>

/** Makes an empty collection. @param isAlone whether nobody else has the directory open */
export function createAmendments({ orDefault }: Pick<Connection, 'orDefault'>, isAlone: () => boolean) {
  const amended = new Map<string, Entry>()
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (amended.size === 0) return
    const batch = [...amended.values()]
    amended.clear()
    orDefault('amending', (catalogue) => catalogue.updateAll(batch), undefined)
  }
  return {
    /** Takes an entry as it is now. */
    add: (entry: Entry): void => {
      // In the order in which they came: what is written last counts.
      amended.delete(entry.key)
      amended.set(entry.key, entry)
      if (amended.size >= FLUSH_AT) flush()
      // Who comes while some wait hears of them when they are written down.
      else if (timer === undefined) {
        if (isAlone()) timer = setTimeout(flush, FLUSH_AFTER).unref()
        else flush()
      }
    },
    /** An entry as it is, where it was read before it was written down. */
    over: <T extends Entry>(read: T): T => {
      const entry = amended.get(read.key)
      return entry === undefined || entry.digest !== read.digest ? read : withFactsOf(read, entry)
    },
    /** The key has other bytes, or none. */
    forget: (key: string): void => void amended.delete(key),
    clear: (): void => amended.clear(),
    flush,
  }
}

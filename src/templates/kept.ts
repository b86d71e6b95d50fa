/**
 * What was printed for a subject, kept until something changes that it rests on: a page that is rendered again looks nothing
 * up. Bounded in number, and in age, since failures pass and originals become stale as time goes by.
 */
import type { ReadTrace } from '../images/read-trace.js'

/** How much is kept, and for how long, ms. */
const MAX_KEPT = 5000
const MAX_AGE = 5000
/** A longer question is answered and not kept, characters. */
const LONGEST_KEY = 4000
/** Changes that are remembered; after more of them nothing that is kept counts. */
const MAX_CHANGES = 50_000

interface Printed {
  readonly value: unknown
  readonly keys: readonly string[]
  readonly at: number
  /** How many changes there had been. */
  readonly after: number
}

/** See {@link createKept}. */
export type Kept = ReturnType<typeof createKept>

/** Makes the table. */
export function createKept(trace: Pick<ReadTrace, 'run'>, now: () => number) {
  const printed = new Map<string, Printed>()
  /** Keys of the store that have changed, and which change it was. */
  const changes = new Map<string, number>()
  let count = 0
  const isCurrent = ({ keys, at, after }: Printed): boolean =>
    Math.abs(now() - at) < MAX_AGE &&
    (after === count || keys.every((key) => (changes.get(key) ?? 0) <= after))
  const forget = (): void => {
    printed.clear()
    changes.clear()
  }
  return {
    /** The answer to a question, made where it is not kept. */
    get: <T>(question: string, make: () => T): T => {
      const known = printed.get(question)
      if (known !== undefined && isCurrent(known)) return known.value as T
      const after = count
      const { value, keys } = trace.run(make)
      printed.delete(question)
      if (keys === undefined || question.length > LONGEST_KEY) return value
      const [oldest] = printed.size < MAX_KEPT ? [] : printed.keys()
      if (oldest !== undefined) printed.delete(oldest)
      printed.set(question, { value, keys, at: now(), after })
      return value
    },
    /** Hears what has changed in the store. */
    watcher: {
      changed: (keys: readonly string[] | 'all'): void => {
        if (keys === 'all' || changes.size + keys.length > MAX_CHANGES) forget()
        else if (printed.size > 0) {
          count += 1
          for (const key of keys) changes.set(key, count)
        }
      },
      evicted: (): void => {},
    },
  }
}

/**
 * What was printed for a subject, kept until something changes that it rests on: a page that is rendered again looks nothing
 * up. Bounded in size, and in age, since failures pass and originals become stale as time goes by.
 */
import type { ReadTrace } from '../images/read-trace.js'

/** How much is kept, characters, and for how long, ms. */
const MAX_KEPT = 8_000_000
const MAX_AGE = 5000
/** What is longer, with its question, is answered and not kept, characters. */
const LONGEST = 30_000
/** Characters that an answer counts beside its own. */
const OVERHEAD = 300
/** Changes that are remembered; after more of them nothing that is kept counts. */
const MAX_CHANGES = 50_000

interface Printed {
  readonly value: unknown
  readonly keys: readonly string[]
  readonly at: number
  /** How many changes there had been. */
  readonly after: number
  /** Characters. */
  readonly size: number
}

/** See {@link createKept}. */
export type Kept = ReturnType<typeof createKept>

/** Makes the table. */
export function createKept(trace: Pick<ReadTrace, 'run'>, now: () => number) {
  const printed = new Map<string, Printed>()
  /** Keys of the store that have changed, and which change it was. */
  const changes = new Map<string, number>()
  let count = 0
  let total = 0
  const drop = (question: string): void => {
    total -= printed.get(question)?.size ?? 0
    printed.delete(question)
  }
  const keep = (question: string, answer: Printed): void => {
    printed.set(question, answer)
    total += answer.size
    // The oldest come first: those that are too old, and as many as there is no room for.
    for (const [oldest, { at }] of printed) {
      if (total <= MAX_KEPT && Math.abs(answer.at - at) < MAX_AGE) break
      drop(oldest)
    }
  }
  const isCurrent = ({ keys, at, after }: Printed): boolean =>
    Math.abs(now() - at) < MAX_AGE &&
    (after === count || keys.every((key) => (changes.get(key) ?? 0) <= after))
  const forget = (): void => {
    printed.clear()
    changes.clear()
    total = 0
  }
  return {
    /**
     * The answer to a question, made where it is not kept.
     * @param lengthOf characters of an answer
     */
    get: <T>(question: string, make: () => T, lengthOf: (value: T) => number): T => {
      const known = printed.get(question)
      if (known !== undefined && isCurrent(known)) return known.value as T
      const after = count
      const { value, keys } = trace.run(make)
      drop(question)
      const size = question.length + lengthOf(value) + OVERHEAD
      if (keys !== undefined && size <= LONGEST) keep(question, { value, keys, at: now(), after, size })
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

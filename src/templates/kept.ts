/**
 * What was printed for a subject, kept until something changes that it rests on: a page that is rendered again looks nothing
 * up. Bounded in number, and in age, since failures pass and originals become stale as time goes by.
 */
import type { ReadTrace } from '../images/read-trace.js'

/** How much is kept, and for how long, ms. */
const MAX_KEPT = 20_000
const MAX_AGE = 5000
/** A longer question is answered and not kept, characters. */
const LONGEST_KEY = 4000

interface Printed {
  readonly value: unknown
  readonly keys: ReadonlySet<string>
  readonly at: number
}

/** See {@link createKept}. */
export type Kept = ReturnType<typeof createKept>

/** Makes the table. */
export function createKept(trace: Pick<ReadTrace, 'run'>, now: () => number) {
  /** Which questions rest on a key of the store. */
  const resting = new Map<string, Set<string>>()
  const printed = new Map<string, Printed>()
  const drop = (question: string): void => {
    for (const key of printed.get(question)?.keys ?? []) {
      const questions = resting.get(key)
      questions?.delete(question)
      if (questions?.size === 0) resting.delete(key)
    }
    printed.delete(question)
  }
  const keep = (question: string, answer: Printed): void => {
    const [oldest] = printed.size < MAX_KEPT ? [] : printed.keys()
    if (oldest !== undefined) drop(oldest)
    printed.set(question, answer)
    for (const key of answer.keys) {
      const questions = resting.get(key)
      if (questions === undefined) resting.set(key, new Set([question]))
      else questions.add(question)
    }
  }
  return {
    /** The answer to a question, made where it is not kept. */
    get: <T>(question: string, make: () => T): T => {
      const known = printed.get(question)
      if (known !== undefined && Math.abs(now() - known.at) < MAX_AGE) return known.value as T
      const { value, keys } = trace.run(make)
      drop(question)
      if (keys !== undefined && question.length <= LONGEST_KEY) keep(question, { value, keys, at: now() })
      return value
    },
    /** Hears what has changed in the store. */
    watcher: {
      changed: (keys: readonly string[] | 'all'): void => {
        if (keys === 'all') {
          printed.clear()
          resting.clear()
        } else for (const key of keys) for (const question of [...(resting.get(key) ?? [])]) drop(question)
      },
      evicted: (): void => {},
    },
  }
}

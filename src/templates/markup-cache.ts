/**
 * What is known of a subject, and what was printed for it, kept until something changes that it rests on: a page that is
 * rendered again looks nothing up. Bounded in size, and in age, since failures pass and originals become stale as time goes by.
 */
import type { ReadTrace } from '../images/read-trace.js'
import { createRecent } from '../model/recent.js'

/** How much is kept, characters: of what is known of subjects, and of what was printed. */
const ROOM = { facts: 4_000_000, prints: 8_000_000 } as const
/** For how long, ms. */
const MAX_AGE = 5000
/** What is longer, with its question, is answered and not kept, characters. */
const LONGEST = 30_000
/** Characters that an answer counts beside its own. */
const OVERHEAD = 300
/** Changes that are remembered; after more of them nothing that is kept counts. */
const MAX_CHANGES = 50_000

/** What an answer is judged by. */
interface Basis {
  /** When the oldest part of it was found out. */
  at: number
  /** How many changes there had been. */
  after: number
}

interface Answer extends Basis {
  readonly value: unknown
  readonly keys: string[]
  /** Whether the keys are all that it rests on. */
  isWhole: boolean
  /** Characters. */
  readonly size: number
}

/** Finds out more about what is kept; what that rests on, the whole rests on from then on. */
export type Later = <T>(ask: () => T) => T

/** See {@link createMarkupCache}. */
export type MarkupCache = ReturnType<typeof createMarkupCache>

/** Makes the table. */
export function createMarkupCache(trace: Pick<ReadTrace, 'run' | 'note'>, now: () => number) {
  const sizeOf = ({ size }: Answer): number => size
  const tables = {
    facts: createRecent(ROOM.facts, sizeOf),
    prints: createRecent(ROOM.prints, sizeOf),
  }
  /** When the older half was forgotten last: it is too old to count by then. */
  let agedAt = now()
  /** Keys of the store that have changed, and which change it was. */
  const changes = new Map<string, number>()
  let count = 0
  const keep = (table: keyof typeof ROOM, question: string, answer: Answer): void => {
    if (Math.abs(answer.at - agedAt) >= MAX_AGE) {
      tables.facts.age()
      tables.prints.age()
      agedAt = answer.at
    }
    tables[table].set(question, answer)
  }
  const isCurrent = ({ keys, at, after, isWhole }: Answer): boolean =>
    isWhole &&
    Math.abs(now() - at) < MAX_AGE &&
    (after === count || keys.every((key) => (changes.get(key) ?? 0) <= after))
  const forget = (): void => {
    tables.facts.clear()
    tables.prints.clear()
    changes.clear()
  }
  /** The answer that is being made. */
  let making: Basis | undefined
  const restOn = ({ at, after }: Basis): void => {
    if (making === undefined) return
    making.at = Math.min(making.at, at)
    making.after = Math.min(making.after, after)
  }
  /** Finds out more about an answer that may be kept already. */
  const laterFor =
    (answer: () => Answer | undefined): Later =>
    (ask) => {
      const { value, keys } = trace.run(ask)
      const kept = answer()
      if (kept !== undefined) {
        if (keys === undefined) kept.isWhole = false
        else for (const key of keys) if (!kept.keys.includes(key)) kept.keys.push(key)
      }
      return value
    }
  return {
    /**
     * The answer to a question, made where it is not kept. One that is made of another rests on what that rests on.
     * @param lengthOf characters of an answer
     */
    get: <T>(
      table: keyof typeof ROOM,
      question: string,
      make: (later: Later) => T,
      lengthOf: (value: T) => number,
    ): T => {
      const known = tables[table].use(question)
      if (known !== undefined && isCurrent(known)) {
        if (making !== undefined) trace.note(known.keys)
        restOn(known)
        return known.value as T
      }
      const outer = making
      const basis: Basis = { at: now(), after: count }
      making = basis
      let answer: Answer | undefined
      try {
        const { value, keys } = trace.run(() => make(laterFor(() => answer)))
        const size = question.length + lengthOf(value) + OVERHEAD
        if (keys !== undefined && size <= LONGEST) {
          answer = { value, keys: [...keys], ...basis, isWhole: true, size }
          keep(table, question, answer)
        }
        return value
      } finally {
        making = outer
        restOn(basis)
      }
    },
    /** Hears what has changed in the store. */
    watcher: {
      changed: (keys: readonly string[] | 'all'): void => {
        if (keys === 'all' || changes.size + keys.length > MAX_CHANGES) forget()
        else if (!tables.facts.isEmpty() || !tables.prints.isEmpty()) {
          count += 1
          for (const key of keys) changes.set(key, count)
        }
      },
    },
  }
}

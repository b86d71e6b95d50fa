/** Answers by key, bounded in number and in bytes, that are found by what they rest on too: names, and the digests of contents. */

/** What is kept of an answer. */
interface Kept {
  readonly grounds: readonly string[]
  /** What it is counted at, bytes. */
  readonly size: number
}

/** How many are kept at most. */
export const MAX_ANSWERS = 8192

/** Makes a table. @param maxBytes what all may take together */
export function createAnswerTable<T extends Kept>(maxBytes: number) {
  const answers = new Map<string, T>()
  /** Which answers rest on a name, or on a content. */
  const resting = new Map<string, Set<string>>()
  let bytes = 0
  const drop = (key: string): void => {
    const kept = answers.get(key)
    if (kept === undefined) return
    answers.delete(key)
    bytes -= kept.size
    for (const ground of kept.grounds) {
      const keys = resting.get(ground)
      keys?.delete(key)
      if (keys?.size === 0) resting.delete(ground)
    }
  }
  return {
    get: (key: string): T | undefined => answers.get(key),
    /** Puts an answer in the place of the one before; the ones that were used longest ago make room. */
    set: (key: string, kept: T): void => {
      drop(key)
      for (const oldest of answers.keys()) {
        if (answers.size < MAX_ANSWERS && bytes + kept.size <= maxBytes) break
        drop(oldest)
      }
      answers.set(key, kept)
      bytes += kept.size
      for (const ground of kept.grounds) resting.set(ground, (resting.get(ground) ?? new Set()).add(key))
    },
    /** Notes that it was used: it is forgotten last. */
    use: (key: string, kept: T): void => {
      if (answers.get(key) !== kept) return
      answers.delete(key)
      answers.set(key, kept)
    },
    drop,
    /** Drops what rests on a name. */
    dropOn: (name: string): void => {
      for (const key of resting.get(name) ?? []) drop(key)
    },
    /** What rests on a content. */
    restingOn: (digest: string): readonly T[] =>
      [...(resting.get(digest) ?? [])].flatMap((key) => answers.get(key) ?? []),
    clear: (): void => {
      answers.clear()
      resting.clear()
      bytes = 0
    },
    size: (): number => answers.size,
  }
}

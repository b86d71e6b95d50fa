/** Turns: who is about the same thing works after who came first, and finds then what that one has left. */

/** See the top of the file. */
export interface Turns {
  /** Runs `work` when the others of the key have done theirs, well or not. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>
}

/** Makes the turns of a process. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return {
    run: async (key, work) => {
      const before = last.get(key)
      const mine = (async () => {
        await before?.catch(() => {})
        return work()
      })()
      last.set(key, mine)
      try {
        return await mine
      } finally {
        if (last.get(key) === mine) last.delete(key)
      }
    },
  }
}

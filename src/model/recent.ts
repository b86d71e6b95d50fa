/** What was learned lately: so many answers, the oldest forgotten first. */

/** Makes a table. */
export function createRecent<T>(most: number) {
  const known = new Map<string, T>()
  return {
    get: (key: string): T | undefined => known.get(key),
    set: (key: string, value: T): void => {
      known.delete(key)
      known.set(key, value)
      if (known.size <= most) return
      const [oldest] = known.keys()
      if (oldest !== undefined) known.delete(oldest)
    },
  }
}

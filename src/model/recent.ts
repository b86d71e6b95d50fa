/**
 * What was learned lately, in two generations: when the younger one is full, the older one is forgotten, and it becomes the
 * older one. So nothing has to be looked for to be forgotten, and at least half of what there is room for is the latest.
 */

/** Makes a table. @param room for so many answers, or for such a weight of them */
export function createRecent<T>(room: number, weightOf: (value: T) => number = () => 1) {
  let young = new Map<string, T>()
  let old = new Map<string, T>()
  let weight = 0
  const age = (): void => {
    old = young
    young = new Map()
    weight = 0
  }
  const set = (key: string, value: T): void => {
    weight += weightOf(value)
    if (weight > room / 2) {
      age()
      weight = weightOf(value)
    }
    young.set(key, value)
  }
  return {
    get: (key: string): T | undefined => young.get(key) ?? old.get(key),
    set,
    /** What is asked for again stays known. */
    use: (key: string): T | undefined => {
      const known = young.get(key)
      if (known !== undefined) return known
      const older = old.get(key)
      if (older !== undefined) set(key, older)
      return older
    },
    /** The older half is forgotten. */
    age,
    isEmpty: (): boolean => young.size + old.size === 0,
    clear: (): void => {
      age()
      age()
    },
  }
}

/** Locks of keys whose changes are begun in one transaction with others: who looks right after it takes none for a dead one. */
import { expect, test } from 'vitest'
import { createKeyLocks } from '#src/store/disk/key-locks.js'

/** A catalogue of locks alone, which has something done between the commit and what follows from it. */
function locksWith(afterCommit: () => void, failing: () => boolean = () => false) {
  const changing = new Map<string, string>()
  const counts = { leftovers: 0 }
  const catalogue = {
    begin: (name: string, owner: string) => {
      if (changing.has(name)) return { busy: changing.get(name) }
      changing.set(name, owner)
      return { name, owner, ticket: 1, slot: undefined }
    },
    together: async (change: () => unknown) => {
      const before = new Map(changing)
      const value = change()
      if (failing()) {
        changing.clear()
        for (const [name, owner] of before) changing.set(name, owner)
        throw new Error('the disk is full')
      }
      afterCommit()
      return value
    },
    isComplete: () => true,
    owns: (name: string, owner: string) => changing.get(name) === owner,
    get: () => undefined,
    finish: (name: string) => void changing.delete(name),
    changingOf: (owner: string) => [...changing].flatMap(([name, of]) => (of === owner ? [name] : [])),
    claim: (name: string, owner: string) => (changing.get(name) === owner ? 1 : undefined),
  }
  const parts = {
    counts,
    catalogue: () => catalogue,
    processes: { id: () => 'us', isAlive: () => true },
    contents: { unlist: async () => {} },
    logger: { warn: () => {} },
    isClosed: () => false,
  }
  return { locks: createKeyLocks(parts as never), counts, changing }
}

test('a change that has just begun is nobody’s leftover', async () => {
  let looked = 0
  const { locks, counts, changing } = locksWith(() => {
    looked += 1
    void locks.releaseStuck()
  })
  let isHeld = false
  await locks.withLock('a', undefined, async () => {
    await new Promise((resolve) => setImmediate(resolve))
    isHeld = changing.has('a')
  })
  expect([looked, isHeld, counts.leftovers]).toEqual([1, true, 0])
  expect(changing.size).toBe(0)
})
test('one whose transaction could not be committed is not held', async () => {
  let isFull = true
  const { locks, changing } = locksWith(
    () => {},
    () => isFull,
  )
  await expect(locks.withLock('a', undefined, async () => 1)).rejects.toThrow('the disk is full')
  expect(changing.size).toBe(0)
  isFull = false
  expect(await locks.withLock('a', undefined, async () => 2)).toBe(2)
})

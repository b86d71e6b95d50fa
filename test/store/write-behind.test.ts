/** What is written behind answers: there at once, stored soon, and never more than what was right. */
import { expect, test } from 'vitest'
import { onceStored } from '#src/images/image.js'
import type { Entry } from '#src/model/entry.js'
import { createMemoryCache } from '#src/store/memory-cache.js'
import { createMemoryStore } from '#src/store/memory-store.js'
import type { NewEntry, Store, WriteOptions } from '#src/store/ports.js'
import { createWriteBehind } from '#src/store/write-behind.js'
import { entryStoreContract } from '../contracts/entry-store.js'
import { entriesBy } from '../support/entries.js'
import { eventually } from '../support/eventually.js'

const clock = { now: 1_000_000 }
const entry = entriesBy(clock)
const BOUNDS = { maxBytes: 1_000_000, maxNames: 1000, now: () => clock.now }
const BEHIND = { isBehind: true }

entryStoreContract('behind nothing', async (bounds) =>
  createWriteBehind(createMemoryStore(bounds), { changed: () => {} }),
)
entryStoreContract('all behind', async (bounds) => {
  const store = createWriteBehind(createMemoryStore(bounds), { changed: () => {} })
  // Whoever needs it stored waits: then it is as if it had been written at once.
  const write = async (fresh: NewEntry, bytes: Buffer, options?: WriteOptions): Promise<Entry> => {
    const written = await store.write(fresh, bytes, { ...options, ...BEHIND })
    await store.settled(fresh.key)
    return store.find(fresh.key)?.digest === written.digest ? written : store.write(fresh, bytes, options)
  }
  return { ...store, write }
})

/** A store whose writes begin when they are let, and those of some names fail. */
function setUp(options: { readonly maxBytes?: number } = {}) {
  const inner = createMemoryStore(BOUNDS)
  const order: string[] = []
  const failing = new Set<string>()
  const changed: string[] = []
  let open = (): void => {}
  let gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const slow: Store = {
    ...inner,
    write: async (fresh, bytes, writeOptions) => {
      await gate
      order.push(fresh.key)
      if (failing.has(fresh.key)) throw new Error('the disk is full')
      return inner.write(fresh, bytes, writeOptions)
    },
  }
  const store = createWriteBehind(slow, { ...options, changed: (names) => void changed.push(...names) })
  const close = (): void => {
    gate = new Promise((resolve) => {
      open = resolve
    })
  }
  return { store, inner, order, failing, changed, open: () => open(), close }
}
const bytes = Buffer.from('bytes')

test('it is there before it is stored: by name, by selection, in numbers, with its bytes', async () => {
  const { store, inner, open } = setUp()
  const written = await store.write(entry('a'), bytes, BEHIND)
  expect(inner.find('a')).toBeUndefined()
  expect(written).toMatchObject({ key: 'a', size: 5, isStored: true })
  expect([store.find('a'), await store.lookup('a')]).toEqual([written, written])
  expect(await store.read(written)).toEqual({ bytes, from: 'memory' })
  expect(store.inMemory(written.digest)).toBe(true)
  expect(store.select({ limit: 10 })).toEqual([written])
  expect(store.stats()).toMatchObject({ names: 1, bytes: 5, waitingBytes: 5, byRole: { original: 1 } })
  open()
  await store.settled('a')
  expect(inner.find('a')).toEqual(written)
  expect(store.stats()).toMatchObject({ names: 1, bytes: 5, waitingBytes: 0 })
})

test('who needs it stored waits, as long as it takes or for a moment, and hears what came of it', async () => {
  const { store, inner, failing, open } = setUp()
  failing.add('b')
  for (const name of ['a', 'b']) await store.write(entry(name), bytes, BEHIND)
  await store.settled('a', 1)
  expect(inner.find('a')).toBeUndefined()
  const settled = ['a', 'b', 'nothing'].map((name) => store.settled(name))
  open()
  await Promise.all(settled)
  expect(['a', 'b'].map((name) => inner.find(name)?.isStored)).toEqual([true, undefined])
})

test('a write that fails is a miss, and is told of', async () => {
  const { store, failing, changed, open } = setUp()
  failing.add('a')
  await store.write(entry('a'), bytes, BEHIND)
  open()
  await store.settled('a')
  expect([store.find('a'), changed, store.stats().waitingBytes]).toEqual([undefined, ['a', 'a'], 0])
})

test('a picture that was refused at once is none that is stored, however late that is asked', async () => {
  const inner = createMemoryStore({ ...BOUNDS, maxBytes: 20 })
  const store = createWriteBehind(inner, { changed: () => {} })
  const written = await store.write(entry('a'), bytes, BEHIND)
  await eventually(() => expect(store.find('a')).toBeUndefined())
  const parts = {
    store,
    settings: { disk: { required: false, maxBytes: 1, maxNames: 1, writeTimeout: 250 } },
  }
  expect(await onceStored(parts, { entry: written })).toEqual({ entry: { ...written, isStored: false } })
  expect(await onceStored(parts, { entry: written }, true)).toEqual({
    entry: { ...written, isStored: false },
  })
})

test('where too much waits, writers wait again', async () => {
  const { store, inner, open } = setUp({ maxBytes: 12 })
  await store.write(entry('a'), bytes, BEHIND)
  await store.write(entry('b'), bytes, BEHIND)
  let isDone = false
  const third = store.write(entry('c'), bytes, BEHIND).then(() => {
    isDone = true
  })
  expect([store.find('c'), isDone]).toEqual([undefined, false])
  open()
  await third
  expect(inner.find('c')?.isStored).toBe(true)
})

test('what is made of a picture is named after it, and one name has one write at a time', async () => {
  const { store, order, open } = setUp()
  await store.write(entry('original'), bytes, BEHIND)
  await store.write({ ...entry('small'), role: 'rendition', original: 'original' }, Buffer.from('s'), BEHIND)
  const again = store.write(entry('original'), Buffer.from('other'), BEHIND)
  open()
  await again
  await store.settled('original')
  await store.settled('small')
  expect(order).toEqual(['original', 'small', 'original'])
  expect(store.find('original')?.size).toBe(5)
})

test('what it replaces is not listed beside it, also where it is not selected itself', async () => {
  const { store, inner, open } = setUp()
  const [old, now] = ['a'.repeat(64), 'b'.repeat(64)]
  await inner.write(entry('made', { role: 'rendition', original: 'o', madeFrom: old }), bytes)
  const stale = () => store.select({ original: 'o', notMadeFrom: now, limit: 9 }).map(({ key }) => key)
  expect(stale()).toEqual(['made'])
  await store.write(
    entry('made', { role: 'rendition', original: 'o', madeFrom: now }),
    Buffer.from('new'),
    BEHIND,
  )
  expect(stale()).toEqual([])
  open()
  await store.settled('made')
  expect(stale()).toEqual([])
})

test('what was stored behind is known to the memory layer without a look-up', async () => {
  const inner = createMemoryStore(BOUNDS)
  let lookUps = 0
  const find: Store['find'] = (...given) => {
    lookUps += 1
    return inner.find(...given)
  }
  const layer = createMemoryCache({ ...inner, find }, { maxBytes: 0 })
  const store = createWriteBehind(layer.store, { changed: (names) => layer.forget(names) })
  const written = await store.write(entry('a'), bytes, BEHIND)
  await store.settled('a')
  expect(store.find('a')).toEqual(written)
  expect(lookUps).toBe(0)
})

test('what is deleted while it waits, or while it is being written, is gone', async () => {
  const { store, inner, open } = setUp()
  await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map((name) => store.write(entry(name), Buffer.from(name), BEHIND)),
  )
  const deleted = ['a', 'e'].map((name) => store.delete(name))
  open()
  expect(await Promise.all(deleted)).toEqual([true, true])
  for (const name of ['b', 'c', 'd']) await store.settled(name)
  expect(inner.select({ limit: 9 }).map(({ key }) => key)).toEqual(['b', 'c', 'd'])
  expect(await store.delete('nowhere')).toBe(false)
})

test('a purge in between wins; what was asked for after it stays', async () => {
  const { store, changed, open } = setUp()
  const generation = store.generation()
  await store.write(entry('a'), bytes, { ...BEHIND, generation })
  store.advanceGeneration()
  await store.write(entry('b'), bytes, { ...BEHIND, generation: store.generation() })
  open()
  for (const name of ['a', 'b']) await store.settled(name)
  expect([store.find('a'), store.find('b')?.isStored, changed]).toEqual([undefined, true, ['a', 'b', 'a']])
})

test('what becomes known of it meanwhile is stored with it', async () => {
  const { store, inner, open } = setUp()
  const written = await store.write(entry('a'), bytes, BEHIND)
  const updated = store.update(written, { etag: '"new"' })
  expect([store.find('a'), updated.etag]).toEqual([updated, '"new"'])
  open()
  await store.settled('a')
  expect(inner.find('a')?.etag).toBe('"new"')
})

test('a store that is closed has stored all; one that is cleared has nothing', async () => {
  const { store, inner, open, close } = setUp()
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await store.write(entry(name), Buffer.from(name), BEHIND)
  const closed = store.close()
  open()
  await closed
  expect(inner.select({ limit: 9 })).toHaveLength(6)
  close()
  for (const name of ['g', 'h', 'i', 'j', 'k', 'l']) await store.write(entry(name), Buffer.from(name), BEHIND)
  const cleared = store.clear()
  open()
  await cleared
  expect(inner.select({ limit: 9 })).toEqual([])
  await eventually(() => expect(store.stats()).toMatchObject({ names: 0, waitingBytes: 0 }))
})

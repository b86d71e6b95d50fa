/** What every implementation of the store does. */
import { describe, expect, test } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import type { Store } from '#src/store/ports.js'
import { entriesBy } from '../support/entries.js'

/** What a store is opened with. */
export interface StoreBounds {
  readonly maxBytes: number
  readonly maxNames: number
  readonly now: () => number
}

const BOUNDS = { maxBytes: 1_000_000, maxNames: 1000 }

/** Holds an implementation to the contract. @param open an empty store, which is closed after the test */
export function entryStoreContract(name: string, open: (bounds: StoreBounds) => Promise<Store>): void {
  const clock = { now: 1_000_000 }
  const now = () => clock.now
  const entry = entriesBy(clock)

  describe(`the store: ${name}`, () => {
    test('what is written is found and read, facts and bytes', async () => {
      const store = await open({ ...BOUNDS, now })
      const written = await store.write(
        entry('a', { etag: '"x"', sourceUrl: 'http://x/' }),
        Buffer.from('hello'),
      )
      expect(written).toMatchObject({ key: 'a', size: 5, isStored: true })
      expect(written.digest).toMatch(/^[0-9a-f]{64}$/)
      expect(store.find('a')).toMatchObject({
        etag: '"x"',
        sourceUrl: 'http://x/',
        digest: written.digest,
        isStored: true,
      })
      expect((await store.read(written))?.bytes.toString()).toBe('hello')
      expect(store.find('b')).toBeUndefined()
    })

    test('a name that is replaced has the new bytes only', async () => {
      const store = await open({ ...BOUNDS, now })
      const first = await store.write(entry('a'), Buffer.from('one'))
      await store.write(entry('a'), Buffer.from('two!'))
      const found = store.find('a')
      expect(found?.size).toBe(4)
      expect(found && (await store.read(found))?.bytes.toString()).toBe('two!')
      expect(found?.digest).not.toBe(first.digest)
      expect(store.stats()).toMatchObject({ names: 1, bytes: 4 })
    })

    test('facts are recorded of what lies elsewhere, and take no bytes', async () => {
      const store = await open({ ...BOUNDS, now })
      const facts = { ...entry('a', { etag: '"1"' }), digest: 'a'.repeat(64), size: 7 }
      expect(store.record(facts)).toMatchObject({ key: 'a', isStored: false, size: 7 })
      const found = store.find('a')
      expect(found).toMatchObject({ digest: facts.digest, etag: '"1"', isStored: false })
      expect([found && (await store.read(found)), found && (await store.check(found))]).toEqual([
        undefined,
        'absent',
      ])
      expect(store.stats()).toMatchObject({ names: 1, bytes: 0 })
      // Recorded anew, made from, evicted and deleted as any other entry.
      store.record({ ...facts, digest: 'b'.repeat(64), etag: '"2"' })
      expect(store.find('a')).toMatchObject({ digest: 'b'.repeat(64), etag: '"2"' })
      expect(store.update({ ...facts, digest: 'b'.repeat(64), isStored: false }, { etag: '"3"' }).etag).toBe(
        '"3"',
      )
      await store.write(entry('made', { original: 'a', role: 'rendition' }), Buffer.from('made'))
      expect(store.stats()).toMatchObject({ names: 2, bytes: 4 })
      expect(await store.delete('a')).toBe(true)
      expect([store.find('a'), store.stats().names, store.stats().bytes]).toEqual([undefined, 1, 4])
    })

    test('no more is recorded than there may be names', async () => {
      const store = await open({ ...BOUNDS, maxNames: 20, now })
      for (let index = 0; index < 60; index += 1)
        store.record({ ...entry(`a${index}`), digest: 'a'.repeat(64), size: 7 })
      expect(store.stats().names).toBeLessThanOrEqual(20)
      await store.write(entry('b'), Buffer.from('one'))
      expect([store.find('b')?.isStored, store.stats().names <= 20]).toEqual([true, true])
    })

    test('what has bytes is not recorded over', async () => {
      const store = await open({ ...BOUNDS, now })
      const written = await store.write(entry('a'), Buffer.from('one'))
      store.record({ ...written, digest: 'c'.repeat(64), size: 1 })
      expect(store.find('a')).toMatchObject({ digest: written.digest, isStored: true })
      expect(store.stats()).toMatchObject({ names: 1, bytes: 3 })
    })

    test('what was asked for before a purge is not stored after it, and what was there stays', async () => {
      const store = await open({ ...BOUNDS, now })
      const generation = store.generation()
      await store.write(entry('a'), Buffer.from('one'), { generation })
      store.advanceGeneration()
      const late = store.write(entry('a'), Buffer.from('late'), { generation })
      await expect(late).rejects.toMatchObject({ code: 'disk_write' })
      expect(store.find('a')?.size).toBe(3)
      expect(store.stats()).toMatchObject({ names: 1, bytes: 3, writeFailures: 0 })
      await store.write(entry('a'), Buffer.from('two!'), { generation: store.generation() })
      expect(store.find('a')?.size).toBe(4)
    })

    test('two names of the same bytes count once, and one outlives the other', async () => {
      const store = await open({ ...BOUNDS, now })
      await store.write(entry('a'), Buffer.from('same'))
      const b = await store.write(entry('b'), Buffer.from('same'))
      expect(store.stats()).toMatchObject({ names: 2, bytes: 4 })
      expect(await store.delete('a')).toBe(true)
      expect(await store.delete('a')).toBe(false)
      expect((await store.read(b))?.bytes.toString()).toBe('same')
      await store.delete('b')
      expect(store.stats()).toMatchObject({ names: 0, bytes: 0 })
    })

    test('a name that memory took for absent is found once it is written', async () => {
      const store = await open({ ...BOUNDS, now })
      expect(store.find('a', 'memory')).toBeUndefined()
      await store.write(entry('a'), Buffer.from('x'))
      expect(store.find('a', 'memory')).toBeDefined()
      await store.delete('a')
      expect(store.find('a', 'memory')).toBeUndefined()
    })

    test('amending moves the facts it names and leaves the bytes', async () => {
      const store = await open({ ...BOUNDS, now })
      const written = await store.write(entry('a', { etag: '"x"' }), Buffer.from('hello'))
      store.update(written, { validatedAt: 5_000_000, freshnessLifetime: 7 })
      expect(store.find('a')).toMatchObject({
        validatedAt: 5_000_000,
        freshnessLifetime: 7,
        etag: '"x"',
        digest: written.digest,
      })
    })

    test('amending an earlier state of a name with the same bytes changes nothing else of it', async () => {
      const store = await open({ ...BOUNDS, now })
      const made = { role: 'rendition', original: 'o' } as const
      await store.write(entry('o'), Buffer.from('original'))
      const one = await store.write(entry('a', { ...made, recipe: 'one' }), Buffer.from('hello'))
      await store.write(entry('a', { ...made, recipe: 'two' }), Buffer.from('hello'))
      store.update(one, { etag: '"x"' })
      expect(store.find('a')).toMatchObject({ recipe: 'two', etag: '"x"' })
      expect(store.select({ limit: 9, role: 'rendition' })).toMatchObject([{ recipe: 'two', etag: '"x"' }])
    })

    test('selects by role, original and name, page by page', async () => {
      const store = await open({ ...BOUNDS, now })
      await store.write(entry('a'), Buffer.from('1'))
      await store.write(entry('b', { role: 'rendition', original: 'a', madeFrom: 'x' }), Buffer.from('2'))
      await store.write(
        entry('c', { role: 'artwork', original: 'a', ownerKind: 'artist', ownerId: '7' }),
        Buffer.from('3'),
      )
      const names = (selection: Parameters<Store['select']>[0]) =>
        store.select(selection).map(({ key: name }) => name)
      expect(names({ limit: 2 })).toEqual(['a', 'b'])
      expect(names({ limit: 9, after: 'a' })).toEqual(['b', 'c'])
      expect(names({ limit: 9, original: 'a' })).toEqual(['b', 'c'])
      expect(names({ limit: 9, role: 'artwork' })).toEqual(['c'])
      await store.write(
        entry('d', { original: 'a', madeFrom: digestOf(Buffer.from('now')) }),
        Buffer.from('4'),
      )
      expect(names({ limit: 9, original: 'a', notMadeFrom: digestOf(Buffer.from('now')) })).toEqual([
        'b',
        'c',
      ])
      expect(names({ limit: 9, original: 'a', notMadeFrom: digestOf(Buffer.from('other')) })).toEqual([
        'b',
        'c',
        'd',
      ])
      expect(names({ limit: 9, original: 'd', notMadeFrom: digestOf(Buffer.from('now')) })).toEqual([])
      expect(names({ limit: 9, ownerKind: 'artist' })).toEqual(['c'])
    })

    test('failures are remembered, and gone when the name is written', async () => {
      const store = await open({ ...BOUNDS, now })
      const failure = { code: 'not_found' as const, message: 'no', at: 1, until: 2, count: 1 }
      store.negativeCache.set('a', failure)
      expect(store.negativeCache.get('a')).toEqual(failure)
      await store.write(entry('a'), Buffer.from('x'))
      expect(store.negativeCache.get('a')).toBeUndefined()
    })

    test('clearing forgets every name and every failure', async () => {
      const store = await open({ ...BOUNDS, now })
      for (let index = 0; index < 100; index += 1)
        await store.write(entry(`n${index}`), Buffer.from(String(index)))
      store.negativeCache.set('z', { code: 'gone', message: '', at: 1, until: 2, count: 1 })
      await store.clear()
      expect(store.stats()).toMatchObject({ names: 0, bytes: 0 })
      expect([store.find('n1'), store.find('n1', 'memory'), store.negativeCache.get('z')]).toEqual([
        undefined,
        undefined,
        undefined,
      ])
    })

    test('stays within its bounds, least recently used first, and refuses what is over a tenth of it', async () => {
      const store = await open({ maxBytes: 10_000, maxNames: 1000, now })
      for (let index = 0; index < 50; index += 1) {
        clock.now += 1000
        await store.write(entry(`n${index}`), Buffer.alloc(900, index))
        store.touch('n0')
        expect(store.stats().bytes).toBeLessThanOrEqual(10_000)
      }
      const held = (name: string) => store.find(name)?.isStored ?? false
      expect([held('n0'), held('n1'), held('n49')]).toEqual([true, false, true])
      await expect(store.write(entry('large'), Buffer.alloc(1001))).rejects.toMatchObject({
        reason: 'disk_write',
      })
      expect(held('n49')).toBe(true)
    })

    test('stays within its bound of names', async () => {
      const store = await open({ maxBytes: 1_000_000, maxNames: 20, now })
      for (let index = 0; index < 60; index += 1) {
        clock.now += 1000
        await store.write(entry(`n${index}`), Buffer.from(String(index)))
        expect(store.stats().names).toBeLessThanOrEqual(20)
      }
      expect(store.find('n59')).toBeDefined()
    })
  })
}

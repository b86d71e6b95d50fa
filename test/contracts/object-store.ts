/** What every object store that nodes share does alike. */
import { describe, expect, test } from 'vitest'
import type { ObjectStore } from '#src/model/object-store.js'

const collect = async <T>(all: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = []
  for await (const one of all) found.push(one)
  return found
}

/** Runs the contract. @param open opens an empty store, the same for all tests of a call */
export function objectStoreContract(
  name: string,
  open: () => Promise<ObjectStore>,
  { isConditional }: { readonly isConditional: boolean },
): void {
  describe(`objects: ${name}`, () => {
    test('bytes and metadata come back as they were put; what is not there is undefined', async () => {
      const store = await open()
      expect(await store.get('a/absent')).toBeUndefined()
      expect(await store.head('a/absent')).toBeUndefined()
      const bytes = Buffer.from([0, 1, 2, 255, 10, 13])
      expect(await store.put('a/b c+ü', bytes, { metadata: { format: '7' }, type: 'image/webp' })).toBe(true)
      const found = await store.get('a/b c+ü')
      expect(found?.bytes.equals(bytes)).toBe(true)
      expect(found?.metadata).toMatchObject({ format: '7' })
      expect(await store.head('a/b c+ü')).toMatchObject({ etag: found?.etag, metadata: { format: '7' } })
      expect(await store.put('a/empty', Buffer.alloc(0))).toBe(true)
      expect((await store.get('a/empty'))?.bytes.length).toBe(0)
      await store.delete(['a/b c+ü', 'a/empty', 'a/absent'])
      expect(await store.get('a/b c+ü')).toBeUndefined()
    })
    test('another object takes the place of one', async () => {
      const store = await open()
      await store.put('b', Buffer.from('one'))
      const before = await store.head('b')
      await store.put('b', Buffer.from('two'))
      expect((await store.get('b'))?.bytes.toString()).toBe('two')
      expect((await store.head('b'))?.etag).not.toBe(before?.etag)
      await store.delete(['b'])
    })
    test('a list has all below a prefix, in order, page by page', async () => {
      const store = await open()
      const keys = Array.from({ length: 1100 }, (_, index) => `c/${String(index).padStart(4, '0')}`)
      for (let at = 0; at < keys.length; at += 50)
        await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, Buffer.from(key))))
      await store.put('d', Buffer.from('d'))
      const found = await collect(store.list('c/'))
      expect(found.map(({ key }) => key)).toEqual(keys)
      expect(found[0]?.size).toBe(6)
      expect((await collect(store.list('c/', 'c/1090'))).map(({ key }) => key)).toEqual(keys.slice(1091))
      await store.delete([...keys, 'd'])
      expect(await collect(store.list('c/'))).toEqual([])
    })
    test('it knows whether it has conditions, and keeps those that it has', async () => {
      const store = await open()
      expect(await store.conditional()).toBe(isConditional)
      expect((await collect(store.list(''))).filter(({ key }) => key.includes('probe'))).toEqual([])
      await store.put('e', Buffer.from('one'))
      const { etag = '' } = (await store.head('e')) ?? {}
      expect(await store.put('e', Buffer.from('two'), { only: 'absent' })).toBe(!isConditional)
      if (!isConditional) return
      expect(await store.put('e', Buffer.from('two'), { only: { etag: '"another"' } })).toBe(false)
      expect(await store.put('e', Buffer.from('three'), { only: { etag } })).toBe(true)
      expect(await store.put('e', Buffer.from('four'), { only: { etag } })).toBe(false)
      expect((await store.get('e'))?.bytes.toString()).toBe('three')
      expect(await store.put('absent', Buffer.from('x'), { only: { etag } })).toBe(false)
    })
    test('of many who put what must be absent, one does', async () => {
      const store = await open()
      const puts = Array.from({ length: 10 }, (_, index) =>
        store.put('f', Buffer.from(String(index)), { only: 'absent' }),
      )
      const written = (await Promise.all(puts)).filter(Boolean)
      if (isConditional) expect(written).toHaveLength(1)
      expect((await store.get('f'))?.bytes.length).toBe(1)
    })
  })
}

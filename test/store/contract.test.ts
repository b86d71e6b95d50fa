/** One contract, run over every implementation of the store. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import cacache from 'cacache'
import { describe, expect, test, vi } from 'vitest'
import { imageKey } from '#src/model/entry.js'
import { createContents } from '#src/store/disk/contents.js'
import { createDiskStore } from '#src/store/disk/store.js'
import { createMemoryCache } from '#src/store/memory-cache.js'
import { createMemoryStore } from '#src/store/memory-store.js'
import type { Store } from '#src/store/ports.js'
import { entriesBy } from '../support/entries.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const bounds = { maxBytes: 1_000_000, maxNames: 1000 }
const clock = { now: 1_000_000 }
const now = () => clock.now

const disk = async (
  given: {
    directory?: string
    maxBytes?: number
    maxNames?: number
    onChange?: (changed: readonly string[] | 'all') => void
  } = {},
): Promise<Store> => {
  const { directory = await temporaryFolder(), ...rest } = given
  const store = await createDiskStore({ ...bounds, directory, now, logger: quietLogger(), ...rest })
  atEnd(store.close)
  return store
}
const implementations: Readonly<
  Record<string, (limits?: { maxBytes?: number; maxNames?: number }) => Promise<Store>>
> = {
  disk,
  memory: async (limits) => createMemoryStore({ ...bounds, ...limits, now }),
  'layer over disk': async (limits) => {
    const layer = createMemoryCache(await disk({ ...limits, onChange: (changed) => layer.forget(changed) }), {
      maxBytes: 100_000,
    })
    return layer.store
  },
}

const entry = entriesBy(clock)
const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((file) => file.isFile())
        .map((file) => file.name)
    : []

describe.each(Object.entries(implementations))('the store: %s', (_name, open) => {
  test('what is written is found and read, facts and bytes', async () => {
    const store = await open()
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
    const store = await open()
    const first = await store.write(entry('a'), Buffer.from('one'))
    await store.write(entry('a'), Buffer.from('two!'))
    const found = store.find('a')
    expect(found?.size).toBe(4)
    expect(found && (await store.read(found))?.bytes.toString()).toBe('two!')
    expect(found?.digest).not.toBe(first.digest)
    expect(store.stats()).toMatchObject({ names: 1, bytes: 4 })
  })

  test('two names of the same bytes count once, and one outlives the other', async () => {
    const store = await open()
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
    const store = await open()
    expect(store.find('a', 'memory')).toBeUndefined()
    await store.write(entry('a'), Buffer.from('x'))
    expect(store.find('a', 'memory')).toBeDefined()
    await store.delete('a')
    expect(store.find('a', 'memory')).toBeUndefined()
  })

  test('amending moves the facts it names and leaves the bytes', async () => {
    const store = await open()
    const written = await store.write(entry('a', { etag: '"x"' }), Buffer.from('hello'))
    store.update(written, { validatedAt: 5_000_000, freshnessLifetime: 7 })
    expect(store.find('a')).toMatchObject({
      validatedAt: 5_000_000,
      freshnessLifetime: 7,
      etag: '"x"',
      digest: written.digest,
    })
  })

  test('selects by role, original and name, page by page', async () => {
    const store = await open()
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
    expect(names({ limit: 9, ownerKind: 'artist' })).toEqual(['c'])
  })

  test('failures are remembered, and gone when the name is written', async () => {
    const store = await open()
    const failure = { code: 'not_found' as const, message: 'no', at: 1, until: 2, count: 1 }
    store.negativeCache.set('a', failure)
    expect(store.negativeCache.get('a')).toEqual(failure)
    await store.write(entry('a'), Buffer.from('x'))
    expect(store.negativeCache.get('a')).toBeUndefined()
  })

  test('clearing forgets every name and every failure', async () => {
    const store = await open()
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
    const store = await open({ maxBytes: 10_000, maxNames: 1000 })
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
    const store = await open({ maxBytes: 1_000_000, maxNames: 20 })
    for (let index = 0; index < 60; index += 1) {
      clock.now += 1000
      await store.write(entry(`n${index}`), Buffer.from(String(index)))
      expect(store.stats().names).toBeLessThanOrEqual(20)
    }
    expect(store.find('n59')).toBeDefined()
  })
})

describe('the store on disk', () => {
  test('our paths of contents and index entries are cacache’s own', async () => {
    const directory = await temporaryFolder()
    const bytes = createContents(directory, () => 'x')
    await cacache.put(directory, 'key#1', 'hello', { algorithms: ['sha256'] })
    const info = await cacache.get.info(directory, 'key#1')
    expect(info?.path).toBe(
      bytes.contentPath(Buffer.from(info?.integrity.split('-')[1] ?? '', 'base64').toString('hex')),
    )
    expect(existsSync(bytes.bucketPath('key', 1))).toBe(true)
  })

  test('100 replacements of one name leave one content, one index entry, and no leftovers', async () => {
    const directory = await temporaryFolder()
    const store = await disk({ directory })
    for (let index = 0; index < 100; index += 1) await store.write(entry('a'), Buffer.from(`bytes ${index}`))
    expect(filesBelow(join(directory, 'store-v2', 'content-v2'))).toHaveLength(1)
    expect(filesBelow(join(directory, 'store-v2', 'index-v5'))).toHaveLength(1)
    await store.delete('a')
    expect(filesBelow(join(directory, 'store-v2', 'content-v2'))).toHaveLength(0)
    expect(filesBelow(join(directory, 'store-v2', 'index-v5'))).toHaveLength(0)
  })

  test('damaged bytes are a miss before any of them is used, for every name that has them, and can be written again', async () => {
    const directory = await temporaryFolder()
    const changed: unknown[] = []
    const store = await disk({ directory, onChange: (names) => changed.push(names) })
    const a = await store.write(entry('a'), Buffer.from('hello'))
    await store.write(entry('b'), Buffer.from('hello'))
    writeFileSync(createContents(join(directory, 'store-v2'), () => 'x').contentPath(a.digest), 'hellp')
    expect(await store.read(a)).toBeUndefined()
    expect(changed.flat()).toEqual(['a', 'b', 'a'])
    expect(store.stats()).toMatchObject({ bytes: 0, badCopies: 1 })
    expect(store.find('b')).toBeUndefined()
    const again = await store.write(entry('a'), Buffer.from('hello'))
    expect((await store.read(again))?.bytes.toString()).toBe('hello')
    expect(store.stats().bytes).toBe(5)
  })

  test('an original that a rendition needs keeps its row when its bytes go; artwork keeps its row too', async () => {
    const store = await disk({ maxBytes: 10_000 })
    await store.write(entry(imageKey('o')), Buffer.alloc(900, 1))
    clock.now += 1000
    await store.write(
      entry('local/x.webp', { role: 'artwork', original: imageKey('o'), ownerKind: 'album', ownerId: 'x' }),
      Buffer.alloc(900, 2),
    )
    for (let index = 0; index < 30; index += 1) {
      clock.now += 1000
      await store.write(entry(`n${index}`), Buffer.alloc(900, index + 3))
    }
    expect(store.find(imageKey('o'))).toMatchObject({ isStored: false })
    expect(store.find('local/x.webp')).toMatchObject({ isStored: false })
    expect(store.stats().bytes).toBeLessThanOrEqual(10_000)
  })

  test('a catalogue that is lost or damaged is rebuilt from cacache', async () => {
    const directory = await temporaryFolder()
    const first = await disk({ directory })
    await first.write(entry('a', { etag: '"x"' }), Buffer.from('hello'))
    await first.write(entry('a', { etag: '"y"' }), Buffer.from('hello again'))
    await first.write(entry('b'), Buffer.from('gone'))
    await first.delete('b')
    await first.close()
    for (const harm of [
      () => rmSync(join(directory, 'catalogue-v2.sqlite')),
      () => writeFileSync(join(directory, 'catalogue-v2.sqlite'), 'no database at all'.repeat(500)),
    ]) {
      harm()
      const again = await disk({ directory })
      await again.ready()
      const found = again.find('a')
      expect(found).toMatchObject({ etag: '"y"', isStored: true })
      expect(found && (await again.read(found))?.bytes.toString()).toBe('hello again')
      expect(again.find('b')).toBeUndefined()
      expect(again.stats()).toMatchObject({ names: 1, bytes: 11, rebuilding: false })
      await again.close()
    }
  })

  test('what another process on the directory changes is told', async () => {
    const directory = await temporaryFolder()
    const changed: string[] = []
    await disk({ directory, onChange: (names) => changed.push(...(names === 'all' ? ['all'] : names)) })
    const other = await disk({ directory })
    await other.write(entry('a'), Buffer.from('x'))
    await vi.waitFor(() => expect(changed).toContain('a'), { timeout: 5000 })
  })
})

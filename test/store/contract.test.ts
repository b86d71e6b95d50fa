/** Every implementation of the store keeps the contract; and what is the disk's alone. */

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import cacache from 'cacache'
import { describe, expect, test } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import { type Entry, imageKey } from '#src/model/entry.js'
import { createContents } from '#src/store/disk/contents.js'
import { inFolder, writeOut } from '#src/store/disk/files.js'
import { createDiskStore } from '#src/store/disk/store.js'
import { createMemoryCache } from '#src/store/memory-cache.js'
import { createMemoryStore } from '#src/store/memory-store.js'
import type { Store } from '#src/store/ports.js'
import { createUploadStore } from '#src/uploads/upload-store.js'
import { withUploads } from '#src/uploads/with-uploads.js'
import { entryStoreContract, type StoreBounds } from '../contracts/entry-store.js'
import { entriesBy } from '../support/entries.js'
import { eventually } from '../support/eventually.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const clock = { now: 1_000_000 }
const now = () => clock.now
const BOUNDS: StoreBounds = { maxBytes: 1_000_000, maxNames: 1000, now }

const disk = async (
  given: Partial<StoreBounds> & {
    directory?: string
    onChange?: (changed: readonly string[] | 'all') => void
  } = {},
): Promise<Store> => {
  const { directory = await temporaryFolder(), ...rest } = given
  const store = await createDiskStore({ ...BOUNDS, directory, logger: quietLogger(), ...rest })
  atEnd(store.close)
  return store
}

entryStoreContract('disk', disk)
entryStoreContract('memory', async (bounds) => createMemoryStore(bounds))
entryStoreContract('layer over disk', async (bounds) => {
  const store = await disk({ ...bounds, onChange: (changed) => layer.forget(changed) })
  const layer = createMemoryCache(store, { maxBytes: 100_000 })
  return layer.store
})
entryStoreContract('uploads beside memory', async (bounds) => {
  const uploads = createUploadStore({
    directory: await temporaryFolder(),
    owns: (kind) => kind === 'avatars',
    logger: quietLogger(),
    now: bounds.now,
    onChange: () => {},
  })
  atEnd(uploads.close)
  return withUploads(createMemoryStore(bounds), uploads)
})

const entry = entriesBy(clock)
const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((file) => file.isFile())
        .map((file) => file.name)
    : []

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

  test('what is put and what is listed anew are the lines that cacache writes, in folders of our own alone', async () => {
    const directory = await temporaryFolder()
    const contents = createContents(directory, () => 'x')
    const bytes = Buffer.from('some bytes')
    const one: Entry = { ...entry('key'), digest: digestOf(bytes), size: bytes.length, isStored: true }
    const bucket = contents.bucketPath('key', 0)
    const line = () => {
      const [hash, text = ''] = readFileSync(bucket, 'utf8').trim().split('\t')
      expect(hash).toBe(createHash('sha1').update(text).digest('hex'))
      return { ...JSON.parse(text), time: 0 }
    }
    await contents.put(one, 5, 0, bytes)
    const put = line()
    expect(put).toMatchObject({ key: 'key#0', size: bytes.length, metadata: { generation: 5 } })
    for (const folder of [dirname(bucket), dirname(dirname(bucket))])
      expect(statSync(folder).mode & 0o777).toBe(0o700)
    rmSync(join(directory, 'index-v5'), { recursive: true })
    await contents.list(one, 5, 0)
    expect(line()).toEqual(put)
    for (const folder of [dirname(bucket), dirname(dirname(bucket))])
      expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect((await cacache.get(directory, 'key#0')).data).toEqual(bytes)
  })

  test('a folder that is pruned while something is written into it is made again', async () => {
    const path = join(await temporaryFolder(), 'a', 'b', 'file')
    let times = 0
    await inFolder(path, 0o700, async () => {
      times += 1
      if (times === 1) rmSync(dirname(dirname(path)), { recursive: true })
      await writeOut(path, 'wx', Buffer.from('whole'), 0o600)
    })
    expect([times, readFileSync(path, 'utf8')]).toEqual([2, 'whole'])
    await writeOut(path, 'a', Buffer.alloc(0), 0o600)
    await expect(writeOut(path, 'wx', Buffer.from('other'), 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
    const below = join(path, 'c', 'file')
    const work = () => writeOut(below, 'wx', Buffer.from('other'), 0o600)
    await expect(inFolder(below, 0o700, work)).rejects.toMatchObject({ code: 'ENOTDIR' })
    expect(readFileSync(path, 'utf8')).toBe('whole')
  })

  test('facts that change are there at once, in lists and for a process that comes, and after the end', async () => {
    const directory = await temporaryFolder()
    const one = await disk({ directory })
    const names = Array.from({ length: 300 }, (_, index) => `n${index}`)
    for (const name of names) await one.write(entry(name), Buffer.from(name))
    for (const name of names) {
      const found = one.find(name)
      if (found !== undefined) one.update(found, { etag: `"${name}"`, validatedAt: 7 })
    }
    expect(one.find('n299')).toMatchObject({ etag: '"n299"', validatedAt: 7, isStored: true })
    const etags = (store: Store) => store.select({ limit: 1000 }).map(({ key, etag }) => etag === `"${key}"`)
    expect(etags(one)).toEqual(names.map(() => true))
    // Bytes that replace others have facts of their own.
    await one.write(entry('n0'), Buffer.from('others'))
    expect(one.find('n0')?.etag).toBeUndefined()
    await one.close()
    const two = await disk({ directory })
    expect(etags(two).filter((isNew) => !isNew)).toHaveLength(1)
    const three = await disk({ directory })
    const found = two.find('n5')
    if (found !== undefined) two.update(found, { etag: '"later"' })
    expect(three.find('n5')?.etag).toBe('"later"')
  })

  test('cacache reads, lists and verifies what is stored', async () => {
    const directory = await temporaryFolder()
    const store = await disk({ directory })
    const texts = ['one', 'two', 'three', 'one']
    for (const [index, text] of texts.entries()) await store.write(entry(`n${index}`), Buffer.from(text))
    await store.write(entry('n0'), Buffer.from('replaced'))
    const place = join(directory, 'store-v2')
    const listed = Object.values(await cacache.ls(place))
    expect(listed.map(({ key }) => key.split('#')[0]).sort()).toEqual(['n0', 'n1', 'n2', 'n3'])
    const found = await Promise.all(
      listed.map(async ({ key }) => (await cacache.get(place, key)).data.toString()),
    )
    expect(found.sort()).toEqual(['one', 'replaced', 'three', 'two'])
    expect(await cacache.verify(place)).toMatchObject({
      badContentCount: 0,
      missingContent: 0,
      totalEntries: 4,
    })
    await store.close()
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

  test('what another process on the directory changes is heard of', async () => {
    const directory = await temporaryFolder()
    const changed: string[] = []
    await disk({ directory, onChange: (names) => changed.push(...(names === 'all' ? ['all'] : names)) })
    const other = await disk({ directory })
    await other.write(entry('a'), Buffer.from('x'))
    await eventually(() => expect(changed).toContain('a'))
  })
})

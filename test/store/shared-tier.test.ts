/** The shared store of several nodes: what one has, the others read; what one removes is gone everywhere; a failure is a miss. */
import { describe, expect, test } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import { createDiskStore } from '#src/store/disk/store.js'
import type { Store } from '#src/store/ports.js'
import { checkSharedStore } from '#src/store/shared/maintain.js'
import { INLINE_BYTES } from '#src/store/shared/names.js'
import { openSharedTier, type SharedTier } from '#src/store/shared/shared-tier.js'
import { entryStoreContract } from '../contracts/entry-store.js'
import { entriesBy } from '../support/entries.js'
import { eventually } from '../support/eventually.js'
import { type MemoryObjects, memoryObjects } from '../support/objects.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const clock = { now: 1_000_000 }
const now = () => clock.now
const entry = entriesBy(clock)
const BOUNDS = { maxBytes: 100_000_000, maxNames: 1000, now }

/** A node with a directory of its own. */
async function node(
  objects: MemoryObjects,
  given: { directory?: string; maxBytes?: number } = {},
): Promise<SharedTier> {
  const { directory = await temporaryFolder(), ...bounds } = given
  const local = await createDiskStore({ ...BOUNDS, ...bounds, directory, logger: quietLogger() })
  const tier = await openSharedTier(local, {
    ...{ source: objects, directory, logger: quietLogger(), now },
    ...{ retryEvery: 20, openFor: 50 },
  })
  atEnd(tier.store.close)
  return tier
}
const written = async (...nodes: SharedTier[]): Promise<void> => {
  for (const one of nodes) await eventually(() => expect(one.pending()).toBe(0))
}
const original = (key: string) => entry(key, { role: 'original' })
const rendition = (key: string, of: string, bytes: Buffer) =>
  entry(key, { role: 'rendition', original: of, madeFrom: digestOf(bytes), recipe: 'r' })
const text = async (store: Store, key: string, of = key): Promise<string | undefined> => {
  const found = await store.lookup(key, of)
  return found && (await store.read(found))?.bytes.toString()
}

entryStoreContract('disk with a shared store', async (bounds) => {
  const directory = await temporaryFolder()
  const local = await createDiskStore({ ...bounds, directory, logger: quietLogger() })
  const { store } = await openSharedTier(local, {
    source: memoryObjects(),
    directory,
    logger: quietLogger(),
    now,
  })
  atEnd(store.close)
  return store
})

describe.each([
  ['with conditions', true],
  ['without conditions', false],
])('nodes that share a store %s', (_name, isConditional) => {
  test('what one has written another reads: facts, small bytes and large ones, and keeps it', async () => {
    const objects = memoryObjects(isConditional)
    const [one, two] = [await node(objects), await node(objects)]
    const large = Buffer.alloc(INLINE_BYTES + 1, 'x')
    await one.store.write(original('big'), large)
    await one.store.write(rendition('small', 'big', large), Buffer.from('made'))
    await written(one)
    expect(two.store.find('small')).toBeUndefined()
    expect(await text(two.store, 'small', 'big')).toBe('made')
    // Facts of what it was made from came along: an answer needs one request.
    expect(objects.counts.get).toBe(1)
    expect(two.store.find('big')).toMatchObject({ digest: digestOf(large), isStored: false })
    expect(two.store.find('small')).toMatchObject({ role: 'rendition', recipe: 'r', isStored: true })
    const found = two.store.find('big')
    expect(found && (await two.store.read(found))?.bytes.equals(large)).toBe(true)
    const { get } = objects.counts
    expect(await text(two.store, 'small', 'big')).toBe('made')
    expect(objects.counts.get).toBe(get)
  })
  test('a removal goes everywhere, with everything that was made from it', async () => {
    const objects = memoryObjects(isConditional)
    const [one, two, three] = [await node(objects), await node(objects), await node(objects)]
    const bytes = Buffer.from('original')
    await one.store.write(original('o'), bytes)
    await one.store.write(rendition('r1', 'o', bytes), Buffer.from('1'))
    await two.store.write(rendition('r2', 'o', bytes), Buffer.from('2'))
    await one.store.write(entry('local/artist/1.webp', { role: 'artwork', original: 'o' }), Buffer.from('1'))
    await one.store.write(original('other'), Buffer.from('stays'))
    await written(one, two)
    await three.store.delete('o')
    expect(await text(three.store, 'r1', 'o')).toBeUndefined()
    expect(await text(three.store, 'r2', 'o')).toBeUndefined()
    expect(await text(three.store, 'local/artist/1.webp')).toBeUndefined()
    expect(await text(three.store, 'other')).toBe('stays')
    expect([...objects.objects.keys()].filter((key) => key.includes('/names/'))).toHaveLength(1)
  })
  test('an original that was replaced takes with it what was made from it', async () => {
    const objects = memoryObjects(isConditional)
    const [one, two] = [await node(objects), await node(objects)]
    const before = Buffer.from('before')
    await one.store.write(original('o'), before)
    await one.store.write(rendition('r', 'o', before), Buffer.from('made before'))
    await written(one)
    await one.store.write(original('o'), Buffer.from('after'))
    await written(one)
    expect(await text(two.store, 'r', 'o')).toBeUndefined()
    expect(await text(two.store, 'o')).toBe('after')
  })
  test('a node that was emptied reads everything back, and one that evicted bytes fetches them there', async () => {
    const objects = memoryObjects(isConditional)
    const one = await node(objects)
    for (let index = 0; index < 20; index += 1)
      await one.store.write(original(`n${index}`), Buffer.from(`bytes ${index}`))
    await written(one)
    const two = await node(objects)
    for (let index = 0; index < 20; index += 1)
      expect(await text(two.store, `n${index}`)).toBe(`bytes ${index}`)
    expect(await checkSharedStore(objects)).toMatchObject({
      names: 20,
      missing: [],
      unreadable: [],
      unnamed: 0,
    })
  })
  test('what is being written while everything is cleared does not come back', async () => {
    const objects = memoryObjects(isConditional)
    const one = await node(objects)
    let letThrough = (): void => {}
    const isLet = new Promise<void>((resolve) => {
      letThrough = resolve
    })
    let isPutting = false
    objects.before = async (verb) => {
      if (verb !== 'put') return
      isPutting = true
      await isLet
    }
    await one.store.write(original('a'), Buffer.from('old'))
    await eventually(() => expect(isPutting).toBe(true))
    const clearing = one.store.clear()
    letThrough()
    await clearing
    await written(one)
    expect([...objects.objects.keys()]).toEqual([])
    expect(await text(one.store, 'a')).toBeUndefined()
  })
  test('clearing one clears the shared store', async () => {
    const objects = memoryObjects(isConditional)
    const [one, two] = [await node(objects), await node(objects)]
    await one.store.write(original('a'), Buffer.from('a'))
    await one.store.write(original('b'), Buffer.alloc(INLINE_BYTES * 2))
    await written(one)
    await one.store.clear()
    expect(objects.objects.size).toBe(0)
    expect(await text(two.store, 'a')).toBeUndefined()
  })
})

describe('a shared store that fails', () => {
  test('is a miss, and what was written meanwhile is there afterwards', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    objects.isFailing = true
    for (let index = 0; index < 10; index += 1)
      await one.store.write(original(`n${index}`), Buffer.from(`bytes ${index}`))
    expect(await text(one.store, 'n3')).toBe('bytes 3')
    expect(await text(two.store, 'n3')).toBeUndefined()
    await eventually(() => expect(one.trouble()).toContain('does not answer'))
    const asked = Object.values(objects.counts).reduce((sum, count) => sum + count, 0)
    for (let index = 0; index < 50; index += 1) await one.store.lookup(`absent ${index}`, `absent ${index}`)
    const more = Object.values(objects.counts).reduce((sum, count) => sum + count, 0) - asked
    expect(more).toBeLessThan(20)
    objects.isFailing = false
    await written(one)
    expect(one.trouble()).toBeUndefined()
    await eventually(async () => expect(await text(two.store, 'n3')).toBe('bytes 3'))
  })
  test('that it answers again is found out, though nobody asks for anything', async () => {
    const objects = memoryObjects()
    const one = await node(objects)
    objects.isFailing = true
    for (const key of ['a', 'b', 'c', 'd']) await one.store.lookup(key, key)
    expect(one.trouble()).toContain('does not answer')
    expect(one.pending()).toBe(0)
    objects.isFailing = false
    await eventually(() => expect(one.trouble()).toBeUndefined())
  })
  test('one that answers and takes nothing is in trouble for as long as that', async () => {
    const objects = memoryObjects()
    const one = await node(objects)
    objects.before = async (verb) => {
      if (verb === 'put') throw new Error('no room')
    }
    for (const key of ['a', 'b', 'c', 'd']) await one.store.write(original(key), Buffer.from(key))
    await eventually(() => expect(one.trouble()).toContain('no room'))
    const { get, put = 0 } = objects.counts
    await eventually(() => expect(objects.counts.put).toBeGreaterThan(put + 3))
    expect(one.trouble()).toContain('no room')
    // It is not asked for what says nothing of that.
    expect(objects.counts.get).toBe(get)
    objects.before = async () => {}
    await written(one)
    expect(one.trouble()).toBeUndefined()
  })
  test('a removal outlives the process, and nothing removed is read meanwhile', async () => {
    const objects = memoryObjects()
    const directory = await temporaryFolder()
    const one = await node(objects, { directory })
    await one.store.write(original('gone'), Buffer.from('gone'))
    await written(one)
    objects.isFailing = true
    await one.store.delete('gone')
    await one.store.close()
    const again = await node(objects, { directory })
    expect(again.pending()).toBe(1)
    objects.isFailing = false
    expect(await text(again.store, 'gone')).toBeUndefined()
    await written(again)
    expect([...objects.objects.keys()]).toEqual([])
  })
  test('bytes that were damaged there are none', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    await one.store.write(original('small'), Buffer.from('small'))
    await one.store.write(original('large'), Buffer.alloc(INLINE_BYTES * 2, 'y'))
    await written(one)
    for (const { bytes } of objects.objects.values()) if (bytes.length > 0) bytes[bytes.length - 1] = 0
    expect(objects.objects.size).toBe(3)
    expect(await text(two.store, 'small')).toBeUndefined()
    expect(await text(two.store, 'large')).toBeUndefined()
  })
  test('what a later version wrote is left alone', async () => {
    const objects = memoryObjects()
    const one = await node(objects)
    await one.store.write(original('n'), Buffer.from('ours'))
    await written(one)
    const [[key = '', object] = []] = [...objects.objects]
    if (object === undefined) throw new Error('nothing was written')
    const later = Buffer.from(object.bytes.toString().replace('"format":1', '"format":2'))
    objects.objects.set(key, { ...object, bytes: later, etag: '"later"', metadata: { format: '2' } })
    const two = await node(objects)
    expect(await text(two.store, 'n')).toBeUndefined()
    await two.store.write(original('n'), Buffer.from('another'))
    await written(two)
    expect(objects.objects.get(key)?.bytes.equals(later)).toBe(true)
    expect(await text(two.store, 'n')).toBe('another')
  })
  test('facts that change are changed there, where the bytes are the same', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    const found = await one.store.write(original('n'), Buffer.from('n'))
    await written(one)
    one.store.update(found, { validatedAt: 2_000_000 })
    await written(one)
    await eventually(() => expect(objects.counts.put).toBe(2))
    expect(await two.store.lookup('n', 'n')).toMatchObject({ validatedAt: 2_000_000 })
  })
})

test('what is in use is written anew at half of the time after which it expires, with its bytes, and nothing else is', async () => {
  const objects = Object.assign(memoryObjects(), { days: 30, now })
  const DAY = 86_400_000
  const startedAt = clock.now
  const one = await node(objects)
  const large = Buffer.alloc(INLINE_BYTES * 2, 'z')
  await one.store.write(original('used'), large)
  await one.store.write(original('unused'), Buffer.from('unused'))
  await written(one)
  const ages = () =>
    [...objects.objects.values()].map(({ modifiedAt }) => (clock.now - modifiedAt) / DAY).sort()
  for (const days of [1, 10, 14]) {
    clock.now = startedAt + days * DAY
    one.store.touch('used')
    await written(one)
    expect(ages()).toEqual([days, days, days])
  }
  clock.now = startedAt + 20 * DAY
  one.store.touch('used')
  await written(one)
  await eventually(() => expect(ages()).toEqual([0, 0, 20]))
  const { put } = objects.counts
  one.store.touch('used')
  await written(one)
  expect(objects.counts.put).toBe(put)
  clock.now = startedAt
})

test('a check says what is missing, damaged, of a later version, or without a name', async () => {
  const objects = memoryObjects()
  const one = await node(objects)
  const large = (text: string) => Buffer.alloc(INLINE_BYTES * 2, text)
  for (const name of ['a', 'b']) await one.store.write(original(name), large(name))
  for (const name of ['c', 'd', 'e']) await one.store.write(original(name), Buffer.from(name))
  await written(one)
  const under = (text: string) => [...objects.objects].find(([, { bytes }]) => bytes.includes(`"${text}"`))
  objects.objects.delete(`site/cache/contents/${digestOf(large('a'))}`)
  const [c, d, b] = [under('c'), under('d'), under('b')]
  if (c === undefined || d === undefined || b === undefined) throw new Error('a name is not there')
  objects.objects.set(c[0], { ...c[1], bytes: Buffer.from('garbage') })
  objects.objects.set(d[0], { ...d[1], bytes: Buffer.from('{"format":2}\n'), metadata: { format: '2' } })
  objects.objects.delete(b[0])
  expect(await checkSharedStore(objects)).toMatchObject({
    names: 2,
    contents: 1,
    missing: ['a'],
    unreadable: [c[0]],
    later: 1,
    unnamed: 1,
    uploads: 0,
  })
})

/** The memory layer: what was written or changed through it is known without asking the store, unless something overtook it. */
import { describe, expect, test, vi } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import type { Entry } from '#src/model/entry.js'
import { createMemoryCache } from '#src/store/memory-cache.js'
import { createMemoryStore } from '#src/store/memory-store.js'
import type { Store } from '#src/store/ports.js'
import { entriesBy } from '../support/entries.js'

const entry = entriesBy({ now: 1000 })

/** A layer over a store in memory whose writes report only when they are let go, and the look-ups that reach that store. */
function layered() {
  const memory = createMemoryStore({ maxBytes: 1_000_000, maxNames: 100, now: () => 1000 })
  const ends: (() => void)[] = []
  const find = vi.fn(memory.find)
  let held = Promise.resolve()
  const lookup = vi.fn(async (...given: Parameters<Store['lookup']>) => {
    const known = await memory.lookup(...given)
    await held
    return known
  })
  const inner: Store = {
    ...memory,
    find,
    lookup,
    write: async (...given) => {
      const written = await memory.write(...given)
      await new Promise<void>((resolve) => void ends.push(resolve))
      return written
    },
  }
  const layer = createMemoryCache(inner, { maxBytes: 0 })
  const begin = async (text: string): Promise<{ end: () => Promise<Entry> }> => {
    const written = layer.store.write(entry('a'), Buffer.from(text))
    const at = ends.length
    await vi.waitFor(() => expect(ends).toHaveLength(at + 1))
    const end = async () => {
      ends[at]?.()
      return written
    }
    return { end }
  }
  /** Looks up what the store has now, and reports it when it is let go. */
  const lookUpSlowly = () => {
    let letGo = (): void => {}
    held = new Promise((resolve) => {
      letGo = resolve
    })
    const found = layer.store.lookup('a')
    const end = async () => {
      letGo()
      return found
    }
    return { end }
  }
  const sizes = () => [layer.store.find('a')?.size, memory.find('a')?.size]
  return { memory, layer, find, lookup, begin, lookUpSlowly, sizes }
}

describe('the memory layer', () => {
  test('what was written is known without a look-up', async () => {
    const { layer, find, begin } = layered()
    const written = await (await begin('one')).end()
    expect(layer.store.find('a')).toEqual(written)
    expect(find).not.toHaveBeenCalled()
  })

  test.each<[string, (given: ReturnType<typeof layered>) => Promise<unknown>]>([
    [
      'another process replaced it, and was heard of',
      async ({ memory, layer }) => {
        await memory.write(entry('a'), Buffer.from('replaced'))
        layer.forget(['a'])
      },
    ],
    [
      'everything may have changed',
      async ({ memory, layer }) => {
        await memory.write(entry('a'), Buffer.from('replaced'))
        layer.forget('all')
      },
    ],
    ['it was removed', ({ layer }) => layer.store.delete('a')],
    ['everything was removed', ({ layer }) => layer.store.clear()],
  ])('a write that reports after %s: what is there counts', async (_what, happen) => {
    const given = layered()
    const one = await given.begin('one')
    await happen(given)
    await one.end()
    const [known, there] = given.sizes()
    expect(known).toBe(there)
  })

  test.each([
    ['the first', [0, 1]],
    ['the second', [1, 0]],
  ])(
    'of two writes of a name at once, of which %s reports first, the later one counts',
    async (_which, order) => {
      const { begin, sizes } = layered()
      const writes = [await begin('one'), await begin('second')]
      for (const index of order) {
        await writes[index]?.end()
        if (index === order[1]) expect(sizes()).toEqual([6, 6])
      }
    },
  )

  test.each<[string, (given: ReturnType<typeof layered>) => Promise<unknown>]>([
    ['written here', async ({ begin }) => (await begin('second')).end()],
    [
      'replaced by another process, which was heard of',
      async ({ memory, layer }) => {
        await memory.write(entry('a'), Buffer.from('second'))
        layer.forget(['a'])
      },
    ],
  ])('what a look-up brings that was begun before it was %s is not remembered', async (_what, happen) => {
    const given = layered()
    const looked = given.lookUpSlowly()
    expect(given.layer.store.find('a', 'memory')).toBeUndefined()
    await happen(given)
    expect(await looked.end()).toBeUndefined()
    expect(given.layer.store.find('a', 'memory')?.size).toBe(6)
  })

  test('what was changed is known without a look-up, but not what was changed of an earlier state', async () => {
    const { layer, find, begin } = layered()
    const one = await (await begin('one')).end()
    layer.store.update(one, { etag: '"1"' })
    expect(layer.store.find('a')).toEqual({ ...one, etag: '"1"' })
    expect(find).not.toHaveBeenCalled()
    const two = await (await begin('second')).end()
    layer.store.update(one, { etag: '"2"' })
    expect(layer.store.find('a')).toEqual(two)
  })

  test('a row without bytes is what a look-up brings: nobody fetches them for it', async () => {
    const { layer, memory, lookup } = layered()
    const row = memory.record({ ...entry('a'), digest: 'd', size: 7 })
    expect(await layer.store.lookup('a')).toEqual(row)
    expect(lookup).not.toHaveBeenCalled()
  })

  test('bytes that come below it are not hidden by facts that change meanwhile, nor is what else the name has', async () => {
    const { layer, memory } = layered()
    const bytes = Buffer.from('bytes')
    const row = memory.record({ ...entry('a'), digest: digestOf(bytes), size: bytes.length })
    expect(layer.store.find('a')).toEqual(row)
    await memory.write(entry('a', { recipe: 'one' }), bytes)
    layer.store.update(row, { etag: '"1"' })
    expect(layer.store.find('a')).toMatchObject({ etag: '"1"', isStored: true, recipe: 'one' })
    const one = await memory.write(entry('a', { recipe: 'one' }), bytes)
    layer.forget(['a'])
    expect(layer.store.find('a')).toEqual(one)
    const two = await memory.write(entry('a', { recipe: 'two', madeFrom: 'm' }), bytes)
    layer.forget(['a'])
    expect(layer.store.find('a')).toEqual(two)
    layer.store.update(one, { etag: '"2"' })
    expect(layer.store.find('a')).toEqual({ ...two, etag: '"2"' })
  })
})

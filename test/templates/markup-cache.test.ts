import { expect, test } from 'vitest'
import { createReadTrace } from '#src/images/read-trace.js'
import type { Store } from '#src/store/ports.js'
import { createMarkupCache } from '#src/templates/markup-cache.js'

/** A table over a store whose look-ups are counted by what made them. */
function stage() {
  const clock = { now: 1_000_000 }
  const trace = createReadTrace({ find: () => undefined, negativeCache: {} } as unknown as Store)
  const kept = createMarkupCache(trace, () => clock.now)
  const made: string[] = []
  const lookUp = (key: string): void => void trace.store.find(key, 'memory')
  return { clock, trace, kept, made, lookUp }
}
const one = () => 1

test('an answer is made again when a key that it rests on changes, and not for others', () => {
  const { kept, made, lookUp } = stage()
  const ask = () =>
    kept.get(
      'prints',
      'q',
      () => {
        lookUp('a')
        return made.push('q')
      },
      one,
    )
  expect([ask(), ask()]).toEqual([1, 1])
  kept.watcher.changed(['b'])
  expect(ask()).toBe(1)
  kept.watcher.changed(['a'])
  expect([ask(), ask()]).toEqual([2, 2])
  kept.watcher.changed('all')
  expect(ask()).toBe(3)
})

test('a print that is made of facts rests on what those rest on, also when they were known before', () => {
  const { kept, made, lookUp } = stage()
  const facts = () =>
    kept.get(
      'facts',
      'f',
      () => {
        lookUp('a')
        return made.push('f')
      },
      one,
    )
  const print = (form: string) => kept.get('prints', form, () => `${form}${facts()}`, one)
  expect([print('img'), print('picture')]).toEqual(['img1', 'picture1'])
  kept.watcher.changed(['a'])
  expect([print('picture'), print('img')]).toEqual(['picture2', 'img2'])
})

test('what is found out later about facts, they and all prints of them rest on', () => {
  const { kept, made, lookUp } = stage()
  const facts = () =>
    kept.get(
      'facts',
      'f',
      (later) => {
        made.push('f')
        let known: number | undefined
        return () => {
          known ??= later(() => {
            lookUp('candidate')
            return made.length
          })
          return known
        }
      },
      one,
    )
  const print = (form: string) => kept.get('prints', form, () => `${form}${facts()()}`, one)
  expect([print('a'), print('b')]).toEqual(['a1', 'b1'])
  kept.watcher.changed(['candidate'])
  expect([print('a'), print('b'), print('c')]).toEqual(['a2', 'b2', 'c2'])
})

test('a print is as old as the facts that it is made of', () => {
  const { clock, kept, made } = stage()
  const facts = () => kept.get('facts', 'f', () => made.push('f'), one)
  const print = (form: string) => kept.get('prints', form, () => `${form}${facts()}`, one)
  expect(print('a')).toBe('a1')
  clock.now += 4000
  expect(print('b')).toBe('b1')
  clock.now += 2000
  expect([print('a'), print('b')]).toEqual(['a2', 'b2'])
})

test('what rests on more than keys is not kept, nor what is made of it', () => {
  const { kept, made, trace } = stage()
  const facts = () =>
    kept.get(
      'facts',
      'f',
      () => {
        trace.isMore()
        return made.push('f')
      },
      one,
    )
  const print = () => kept.get('prints', 'p', facts, one)
  expect([print(), print()]).toEqual([1, 2])
})

test('facts that turn out later to rest on more than keys are found out anew', () => {
  const { kept, made, trace } = stage()
  const facts = () =>
    kept.get(
      'facts',
      'f',
      (later) => {
        made.push('f')
        return () => later(() => trace.isMore())
      },
      one,
    )
  facts()()
  facts()()
  expect(made).toEqual(['f', 'f'])
})

test('an answer that throws leaves nothing behind', () => {
  const { kept } = stage()
  const broken = () =>
    kept.get(
      'prints',
      'q',
      () => {
        throw new Error('no')
      },
      one,
    )
  expect(broken).toThrow('no')
  expect(kept.get('prints', 'q', () => 'fine', one)).toBe('fine')
})

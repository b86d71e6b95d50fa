import { describe, expect, test } from 'vitest'
import { createRecent } from '#src/model/recent.js'

describe('what was learned lately', () => {
  test('never more than there is room for, and at least half as much of the latest', () => {
    const recent = createRecent<number>(10)
    for (let index = 0; index < 1000; index += 1) {
      recent.set(String(index), index)
      const known = Array.from({ length: index + 1 }, (_, back) => recent.get(String(index - back)))
      const count = known.filter((value) => value !== undefined).length
      expect(count).toBeLessThanOrEqual(10)
      expect(
        known.slice(0, 5).every((value, back) => value === (index >= back ? index - back : undefined)),
      ).toBe(true)
    }
  })

  test('by weight', () => {
    const recent = createRecent<string>(100, (text) => text.length)
    for (let index = 0; index < 50; index += 1) recent.set(`k${index}`, 'x'.repeat(20))
    const known = Array.from({ length: 50 }, (_, index) => recent.get(`k${index}`)).filter(Boolean)
    expect(known.length).toBeLessThanOrEqual(5)
    expect(recent.get('k49')).toHaveLength(20)
  })

  test('what is asked for again stays', () => {
    const recent = createRecent<string>(10)
    recent.set('often', 'here')
    for (let index = 0; index < 500; index += 1) {
      recent.set(String(index), '')
      expect(recent.use('often')).toBe('here')
    }
  })

  test('the newest value counts, and nothing is left after clear', () => {
    const recent = createRecent<number>(6)
    recent.set('a', 1)
    recent.age()
    recent.set('a', 2)
    expect(recent.get('a')).toBe(2)
    expect(recent.isEmpty()).toBe(false)
    recent.clear()
    expect([recent.get('a'), recent.isEmpty()]).toEqual([undefined, true])
  })
})

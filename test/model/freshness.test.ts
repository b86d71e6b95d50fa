import { describe, expect, test } from 'vitest'
import { boundedFreshness, freshnessOf } from '#src/model/freshness.js'

describe('freshness', () => {
  const policy = { maxAge: 100, staleWhileRevalidate: 10, staleIfError: 50 }
  test.each([
    [0, 'fresh'],
    [99, 'fresh'],
    [100, 'stale'],
    [110, 'stale'],
    [111, 'overdue'],
    [150, 'overdue'],
    [151, 'dead'],
    [-10, 'fresh'],
    [-100_000, 'stale'],
  ])('%i ms after the check: %s', (age, wanted) =>
    expect(freshnessOf({ validatedAt: 1_000_000, freshnessLifetime: 100 }, policy, 1_000_000 + age)).toBe(
      wanted,
    ),
  )
  test('bounded: between an hour and the maximum', () => {
    const week = 7 * 864e5
    expect([undefined, 0, 1, 7200, 1e9].map((seconds) => boundedFreshness(seconds, week))).toEqual([
      week,
      36e5,
      36e5,
      72e5,
      week,
    ])
  })
})

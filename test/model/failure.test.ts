import { describe, expect, test } from 'vitest'
import { ArtworkError, isFailureActive, recordFailure } from '#src/model/failure.js'

describe('failures', () => {
  test('404 is remembered 5 min, 410 an hour, 5xx from 10 s doubling to 300 s, 429 as it says within 1–300 s', () => {
    const last = (code: ConstructorParameters<typeof ArtworkError>[0], about = {}) =>
      recordFailure(new ArtworkError(code, ''), undefined, 0) &&
      recordFailure(new ArtworkError(code, '', about), undefined, 0)?.until
    expect([last('not_found'), last('gone'), last('connection'), last('invalid')]).toEqual([
      3e5,
      36e5,
      6e4,
      undefined,
    ])
    expect([last('throttled', { retryAfter: 20 }), last('throttled', { retryAfter: 9999 })]).toEqual([
      2e4, 3e5,
    ])
    let failure = recordFailure(new ArtworkError('upstream_failed', ''), undefined, 0)
    const lengths = []
    for (let time = 0; time < 7; time += 1) {
      lengths.push(failure?.until)
      failure = recordFailure(new ArtworkError('upstream_failed', ''), failure, 0)
    }
    expect(lengths).toEqual([1e4, 2e4, 4e4, 8e4, 16e4, 3e5, 3e5])
  })
  test('one from the future does not stand: the clock was set back', () => {
    const failure = recordFailure(new ArtworkError('gone', ''), undefined, 1e9)
    if (failure === undefined) throw new Error('not remembered')
    expect([
      isFailureActive(failure, 1e9 + 1),
      isFailureActive(failure, 1e9 + 36e5),
      isFailureActive(failure, 1e9 - 1e8),
    ]).toEqual([true, false, false])
  })
})

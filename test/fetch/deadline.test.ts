/** The deadline of a request: what ends it, why, and that nothing of it stays with signals that go on. */
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createDeadline } from '#src/fetch/retry.js'
import { ArtworkError } from '#src/model/failure.js'

/** What a signal keeps of others: listeners, and those that follow from it, which Node 20 never lets go of. */
function kept(signal: AbortSignal): number {
  const symbol = Object.getOwnPropertySymbols(signal).find((one) => String(one).includes('kDependantSignals'))
  const dependants: unknown = symbol === undefined ? undefined : Reflect.get(signal, symbol)
  return getEventListeners(signal, 'abort').length + (dependants instanceof Set ? dependants.size : 0)
}

describe('the deadline of a request', () => {
  test('keeps nothing in a signal that outlives it', () => {
    const closing = new AbortController()
    for (let round = 0; round < 5; round += 1) {
      // Node warns of more than ten listeners.
      const many = Array.from({ length: 20 }, () => createDeadline(60_000, [closing.signal]))
      expect(kept(closing.signal)).toBe(1)
      for (const { clear } of many) clear()
      expect(kept(closing.signal)).toBe(1)
    }
    const [one, other] = [createDeadline(60_000, [closing.signal]), createDeadline(60_000, [closing.signal])]
    one.clear()
    closing.abort()
    expect([one.signal.aborted, other.signal.aborted]).toEqual([false, true])
    other.clear()
  })

  test('ends with each of its signals, for the same reason, also where that has ended before', () => {
    const reason = new ArtworkError('unavailable', 'shutting down')
    for (const isEarlier of [true, false])
      for (const which of [0, 1]) {
        const controllers = [new AbortController(), new AbortController()]
        const abort = (): void => controllers[which]?.abort(reason)
        if (isEarlier) abort()
        const deadline = createDeadline(
          60_000,
          controllers.map(({ signal }) => signal),
        )
        if (!isEarlier) {
          expect(deadline.signal.aborted).toBe(false)
          abort()
        }
        expect([deadline.signal.aborted, deadline.signal.reason]).toEqual([true, reason])
        expect(deadline.explain(new Error('cut'))).toBe(reason)
        deadline.clear()
      }
  })
})

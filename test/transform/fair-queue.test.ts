/** Whose turn it is: mended 19. */
import { describe, expect, test } from 'vitest'
import { createFairQueue, type QueuePosition } from '#src/transform/fair-queue.js'

const turn = (client: string, host = 'h', about: Partial<QueuePosition> = {}): QueuePosition => ({
  client,
  host,
  isBackground: false,
  isHeavy: false,
  isAlone: false,
  ...about,
})
const filled = (turns: readonly QueuePosition[]) => {
  const queue = createFairQueue<{ n: number }>()
  turns.forEach((one, n) => void queue.add({ ...one, n }))
  return queue
}
const order = (turns: readonly QueuePosition[], may?: (one: QueuePosition) => boolean): number[] => {
  const queue = filled(turns)
  const found: number[] = []
  for (let job = queue.next(may); job !== undefined; job = queue.next(may)) found.push(job.n)
  return found
}

describe('turns (mended 19)', () => {
  test('clients take turns, however much one of them has waiting', () =>
    expect(order([...Array(5).fill(turn('a')), turn('b'), turn('c')])).toEqual([0, 5, 6, 1, 2, 3, 4]))
  test('of one client, hosts take turns', () =>
    expect(order([turn('', 'x'), turn('', 'x'), turn('', 'x'), turn('', 'y'), turn('', 'z')])).toEqual([
      0, 3, 4, 1, 2,
    ]))
  test('what nobody waits for comes after all that somebody does', () =>
    expect(order([turn('a', 'h', { isBackground: true }), turn('a'), turn('b')])).toEqual([1, 2, 0]))
  test('what may not be begun waits, and holds nobody up', () => {
    const heavy = turn('a', 'h', { isHeavy: true })
    expect(order([heavy, heavy, turn('a'), turn('b')], ({ isHeavy }) => !isHeavy)).toEqual([2, 3])
  })
  test('a full queue is full for who fills it', () => {
    const queue = filled([turn('a'), turn('a'), turn('a'), turn('b')])
    expect(queue.crowdOut('a')).toBeUndefined()
    expect(queue.crowdOut('c')?.n).toBe(2)
    expect(queue.crowdOut('b')).toBeUndefined()
    expect(queue.size()).toBe(3)
  })
  test('what was taken out is gone, and what is put back comes next of its host', () => {
    const queue = filled([turn('a'), turn('a')])
    const first = queue.next()
    expect(first?.n).toBe(0)
    if (first !== undefined) queue.add(first, true)
    expect(queue.next()?.n).toBe(0)
    const last = queue.next()
    expect([last?.n, last !== undefined && queue.remove(last), queue.size()]).toEqual([1, false, 0])
    expect(filled([turn('a'), turn('b', 'x', { isBackground: true })]).drain()).toHaveLength(2)
  })
})

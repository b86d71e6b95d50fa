/** The limiter, single flight and serial work: what runs at once, in which order, and who is refused. */
import { describe, expect, test } from 'vitest'
import { createKeyedLimiter, createLimiter, createSerial, createSingleFlight } from '#src/concurrency.js'
import { ArtworkError } from '#src/model/failure.js'

/** Work that ends when it is told to, and writes down when it began. */
function createWork() {
  const began: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  return {
    began,
    of: (name: string) => () =>
      new Promise<string>((resolve, reject) => {
        began.push(name)
        ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)))
      }),
    end: async (name: string, error?: Error) => {
      ends.get(name)?.(error)
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
    },
  }
}

describe('limiter', () => {
  test('so much runs at once, the others begin in their order as room becomes free', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 2 })
    const all = ['a', 'b', 'c', 'd'].map((name) => limiter.run(of(name)))
    expect([began, limiter.load()]).toEqual([['a', 'b'], { running: 2, waiting: 2 }])
    await end('b')
    expect(began).toEqual(['a', 'b', 'c'])
    for (const name of ['a', 'c', 'd']) await end(name)
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd'])
    expect(limiter.load()).toEqual({ running: 0, waiting: 0 })
  })
  test('heavy work waits for all of its room, and nothing light overtakes it', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 10 })
    void limiter.run(of('light'), { weight: 4 })
    void limiter.run(of('heavy'), { weight: 8 })
    void limiter.run(of('late'), { weight: 1 })
    expect(began).toEqual(['light'])
    await end('light')
    expect(began).toEqual(['light', 'heavy', 'late'])
  })
  test('what weighs more than there is takes all of it', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 3 })
    void limiter.run(of('huge'), { weight: 100 })
    void limiter.run(of('next'))
    expect(began).toEqual(['huge'])
    await end('huge')
    expect(began).toEqual(['huge', 'next'])
  })
  test('when too many wait, the next is refused with 503 and when to come again', async () => {
    const { of } = createWork()
    const limiter = createLimiter({ capacity: 1, maxWaiting: 1, overloaded: 'too much' })
    void limiter.run(of('a'))
    void limiter.run(of('b'))
    await expect(limiter.run(of('c'))).rejects.toMatchObject({
      status: 503,
      message: 'too much',
      retryAfter: 2,
    })
  })
  test('work that fails gives its room back', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 1 })
    const failing = limiter.run(of('a'))
    void limiter.run(of('b'))
    const refused = expect(failing).rejects.toThrow('bad')
    await end('a', new Error('bad'))
    await refused
    expect(began).toEqual(['a', 'b'])
  })
  test('who is aborted while waiting leaves at once, with the reason, and makes room in the queue', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 4, maxWaiting: 2 })
    void limiter.run(of('a'), { weight: 3 })
    const [gone, closing] = [new AbortController(), new AbortController()]
    const heavy = limiter.run(of('heavy'), { weight: 4, signal: gone.signal })
    const other = limiter.run(of('other'), { weight: 4, signal: closing.signal })
    const [left, closed] = [
      expect(heavy).rejects.toMatchObject({ code: 'cancelled' }),
      expect(other).rejects.toMatchObject({ code: 'unavailable', message: 'shutting down' }),
    ]
    gone.abort()
    closing.abort(new ArtworkError('unavailable', 'shutting down'))
    await Promise.all([left, closed])
    void limiter.run(of('light'), { weight: 1 })
    expect(began).toEqual(['a', 'light'])
    await end('a')
    expect(limiter.load()).toEqual({ running: 1, waiting: 0 })
  })
  test('who was aborted before does not begin', async () => {
    const { began, of } = createWork()
    const signal = AbortSignal.abort()
    await expect(createLimiter({ capacity: 1 }).run(of('a'), { signal })).rejects.toMatchObject({
      code: 'cancelled',
    })
    expect(began).toEqual([])
  })
  test('idle waits for what runs and what waits; cleared, what waits never begins', async () => {
    const { began, of, end } = createWork()
    const limiter = createLimiter({ capacity: 1 })
    void limiter.run(of('a'))
    void limiter.run(of('b'))
    let isIdle = false
    const idle = limiter.idle().then(() => {
      isIdle = true
    })
    limiter.clear()
    expect(isIdle).toBe(false)
    await end('a')
    await idle
    expect(began).toEqual(['a'])
    await limiter.idle()
  })
})

describe('keyed limiter and serial work', () => {
  test('each key has a limiter of its own', async () => {
    const { began, of, end } = createWork()
    const limiter = createKeyedLimiter({ capacity: 1 })
    const all = [limiter.run('x', of('x1')), limiter.run('x', of('x2')), limiter.run('y', of('y1'))]
    expect(began).toEqual(['x1', 'y1'])
    await end('x1')
    expect(began).toEqual(['x1', 'y1', 'x2'])
    for (const name of ['y1', 'x2']) await end(name)
    expect(await Promise.all(all)).toEqual(['x1', 'x2', 'y1'])
  })
  test('serial work of a key goes on after one that failed', async () => {
    const serial = createSerial()
    const order: string[] = []
    const first = serial.run('k', async () => {
      order.push('first')
      throw new Error('bad')
    })
    const second = serial.run('k', async () => void order.push('second'))
    await expect(first).rejects.toThrow('bad')
    await second
    expect(order).toEqual(['first', 'second'])
  })
})

describe('single flight', () => {
  test('twenty callers, one piece of work', async () => {
    const flight = createSingleFlight()
    let count = 0
    const work = async () => {
      count += 1
      return count
    }
    const all = await Promise.all(Array.from({ length: 20 }, () => flight.run('k', work)))
    expect([new Set(all), count, flight.has('k')]).toEqual([new Set([1]), 1, false])
  })
  test('one caller that leaves leaves the work to the others; the last one aborts it', async () => {
    const flight = createSingleFlight()
    let aborted = false
    const work = (signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true
          reject(new Error('aborted'))
        })
      })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = expect(flight.run('k', work, one.signal)).rejects.toMatchObject({ code: 'cancelled' })
    const second = expect(flight.run('k', work, two.signal)).rejects.toMatchObject({ code: 'cancelled' })
    one.abort()
    await first
    expect([aborted, flight.has('k')]).toEqual([false, true])
    two.abort()
    await second
    expect([aborted, flight.has('k')]).toEqual([true, false])
    await flight.idle()
  })
})

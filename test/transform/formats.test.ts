import { afterAll, describe, expect, test } from 'vitest'
import { createInProcess } from '#src/transform/in-process.js'
import { createWorkerPool } from '#src/transform/worker-pool.js'
import { expectQuarters, LIMITS, make, transformerContract } from '../contracts/transformer.js'
import { quarters } from '../support/images.js'
import { quietLogger } from '../support/toolkit.js'

const bounds = {
  ...LIMITS,
  concurrency: 2,
  queue: 64,
  timeout: 10_000,
  maxMemory: 768 * 1024 ** 2,
  sandbox: [],
  waitTimeout: 60_000,
  logger: quietLogger(),
}

transformerContract('in child processes', (limits) => createWorkerPool({ ...bounds, ...limits }))
transformerContract('in this process', (limits) =>
  createInProcess({ ...limits, concurrency: 2, queue: 64, waitTimeout: 60_000 }),
)

const pool = createWorkerPool(bounds)
afterAll(() => pool.close())

describe('child processes', () => {
  test('a job that takes too long is ended with 504, and the next one works', async () => {
    const hasty = createWorkerPool({ ...bounds, timeout: 40 })
    const large = await quarters(5000, 5000).jpeg().toBuffer()
    await expect(make(hasty, large, { width: 4900, format: 'webp' })).rejects.toMatchObject({
      status: 504,
      reason: 'timeout',
    })
    await hasty.close()
    await expectQuarters(
      (await make(pool, await quarters(80, 60).png().toBuffer(), { format: 'webp' })).bytes,
    )
  })

  test('a full queue refuses at once with 503 and Retry-After', async () => {
    const narrow = createWorkerPool({ ...bounds, concurrency: 1, queue: 1 })
    const bytes = await quarters(800, 800).jpeg().toBuffer()
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => make(narrow, bytes, { width: 700, format: 'webp' })),
    )
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
    expect(refused.length).toBeGreaterThan(0)
    for (const error of refused)
      expect(error).toMatchObject({ status: 503, reason: 'unavailable', retryAfter: 2 })
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true)
    await narrow.close()
  })

  test('in the own process the same pixels come out, and its line is bounded too', async () => {
    const jpeg = await quarters(160, 120).jpeg({ quality: 95 }).toBuffer()
    const own = createInProcess({ ...LIMITS, concurrency: 1, queue: 0, waitTimeout: 60_000 })
    const [one, two] = await Promise.allSettled([
      make(own, jpeg, { width: 80, format: 'webp' }),
      make(own, jpeg, { width: 80, format: 'webp' }),
    ])
    expect(two).toMatchObject({ status: 'rejected', reason: { status: 503 } })
    const child = await make(pool, jpeg, { width: 80, format: 'webp' })
    expect(one.status === 'fulfilled' && one.value.bytes.equals(child.bytes)).toBe(true)
  })
})

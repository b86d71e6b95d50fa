import { describe, expect, test } from 'vitest'
import type { DownloadRequest, SaveImageResult } from '#src/images/download.js'
import { mergePayload } from '#src/jobs/downloads.js'
import { createRefresher } from '#src/jobs/refresher.js'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { quietLogger } from '../support/toolkit.js'

const HOUR = 3_600_000

const setUp = (
  answer: (request: DownloadRequest) => SaveImageResult['reason'] | undefined = () => undefined,
  concurrency = 1,
) => {
  const clock = { now: 1_000_000 }
  const downloads: string[] = []
  const refreshed: string[] = []
  const refresher = createRefresher(
    {
      download: async (request) => {
        downloads.push(String(request.entityId))
        const reason = answer(request)
        return {
          status: reason === undefined ? 'downloaded' : 'failed',
          repository: 'none',
          ...(reason && { reason }),
        }
      },
      refresh: async (address) => void refreshed.push(address),
      heal: async (path) => void refreshed.push(path),
    },
    {
      concurrency,
      paramsOf: () => ({}),
      retryDelays: [],
      jobs: createJobQueue({
        directory: undefined,
        merge: mergePayload,
        now: () => clock.now,
        logger: quietLogger(),
      }),
      now: () => clock.now,
      logger: quietLogger(),
    },
  )
  const ask = (entityId: string, priority: 'high' | 'normal' | 'low' = 'normal', sourceUrl = 'http://x/') =>
    refresher.request({ sourceUrl, entityType: 'artist', entityId }, priority)
  return { refresher, ask, downloads, refreshed, clock }
}

describe('the queue', () => {
  test('high before normal before low, first in first out inside; a duplicate is refused and may move up (parity 18)', async () => {
    const { refresher, ask, downloads } = setUp()
    ask('low1', 'low')
    ask('n1')
    ask('n2')
    ask('late', 'low')
    ask('h1', 'high')
    expect(ask('n1')).toMatchObject({ accepted: false, reason: 'duplicate' })
    expect(ask('late', 'high')).toMatchObject({ accepted: false, reason: 'duplicate' })
    expect(refresher.status()).toMatchObject({ started: false, queued: 5 })
    refresher.start()
    await refresher.idle()
    expect(downloads).toEqual(['h1', 'late', 'n1', 'n2', 'low1'])
    expect(refresher.status()).toMatchObject({ queued: 0, running: 0, done: 5 })
  })
  test('a full queue refuses with a clear result (parity 18)', () => {
    const { ask } = setUp()
    for (let index = 0; index < 10_000; index += 1) expect(ask(`e${index}`).accepted).toBe(true)
    expect(ask('one more')).toEqual({ accepted: false, reason: 'full' })
  })
  test('a failed URL is not tried again for 24 h, a new URL is at once (parity 17)', async () => {
    const { refresher, ask, downloads, clock } = setUp(() => 'http_404')
    refresher.start()
    ask('a')
    await refresher.idle()
    expect(ask('a')).toEqual({ accepted: false, reason: 'recently failed' })
    expect(ask('a', 'normal', 'http://new/').accepted).toBe(true)
    await refresher.idle()
    clock.now += 25 * HOUR
    expect(ask('a').accepted).toBe(true)
    await refresher.idle()
    expect(downloads).toEqual(['a', 'a', 'a'])
  })
  test('trouble that may pass is tried again after 5 min, then 10, up to a day; forgetting lets it at once', async () => {
    const { refresher, ask, clock } = setUp(() => 'unavailable')
    const attempt = async () => {
      const { accepted } = ask('a')
      await refresher.idle()
      return accepted
    }
    refresher.start()
    expect(await attempt()).toBe(true)
    clock.now += 4 * 60_000
    expect(await attempt()).toBe(false)
    clock.now += 2 * 60_000
    expect(await attempt()).toBe(true)
    clock.now += 6 * 60_000
    expect(await attempt()).toBe(false)
    refresher.forgetFailures()
    expect(await attempt()).toBe(true)
    await refresher.close()
  })
  test('an entity without a URL is refused, and so is everything after close', async () => {
    const { refresher, ask } = setUp()
    expect(ask('a', 'normal', '')).toEqual({ accepted: false, reason: 'no_url' })
    await refresher.close()
    expect(ask('a')).toEqual({ accepted: false, reason: 'closed' })
  })
  test('what a request found stale is asked about once, started or not', async () => {
    const { refresher, refreshed } = setUp()
    for (let time = 0; time < 5; time += 1) refresher.originalStale('poster/w342/a.jpg')
    refresher.imageMissing('artists/ab/abc.webp')
    await refresher.idle()
    expect(refreshed).toEqual(['poster/w342/a.jpg', 'artists/ab/abc.webp'])
  })
  test('trouble that may pass is tried again within the same job, after 2 and 10 seconds', async () => {
    const clock = { now: 1_000_000.5 }
    const asked: number[] = []
    const jobs = createJobQueue({
      directory: undefined,
      merge: mergePayload,
      now: () => clock.now,
      logger: quietLogger(),
    })
    const refresher = createRefresher(
      {
        download: async () => {
          asked.push(clock.now)
          return { status: 'failed', reason: 'connection', repository: 'none' }
        },
        refresh: async () => {},
        heal: async () => {},
      },
      { concurrency: 1, jobs, paramsOf: () => ({}), now: () => clock.now, logger: quietLogger() },
    )
    refresher.start()
    const queued = refresher.request({ sourceUrl: 'http://x/', entityType: 'artist', entityId: 'a' })
    await refresher.idle()
    expect(asked.length).toBe(1)
    clock.now += 3000
    await refresher.idle()
    await expect.poll(() => asked.length).toBe(2)
    clock.now += 13_000
    await expect.poll(() => asked.length).toBe(3)
    await refresher.idle()
    expect(refresher.get(Number(queued.accepted && queued.id))).toMatchObject({
      state: 'failed',
      reason: 'connection',
      attempts: 3,
    })
    expect(refresher.status()).toMatchObject({ queued: 0, running: 0, failed: 1 })
    await refresher.close()
  })
})

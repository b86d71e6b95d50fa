/** Jobs that begin by themselves, and what is reported of those under way: with a clock that the tests move. */

import { describe, expect, test } from 'vitest'
import { createRefresher, type RefresherEvent } from '#src/jobs/refresher.js'
import { checkSchedules, type ScheduleRules } from '#src/jobs/schedules.js'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import type { Handler } from '#src/model/job-queue.js'
import { eventually } from '../support/eventually.js'
import { atEnd, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

const MINUTE = 60_000
const DAY = 864e5
const at = (text: string): number => Date.parse(`${text}Z`)
const daily = (cron: string, jitter = 0) => ({ cron, jitter, timezone: 'UTC', options: {} })

function setUp(
  schedules: ScheduleRules,
  kinds: Record<string, Handler>,
  {
    directory,
    clock = { now: at('2026-03-01T12:00:00') },
  }: { directory?: string; clock?: { now: number } } = {},
) {
  const now = () => clock.now
  const refresher = createRefresher(
    {
      download: async () => ({ status: 'downloaded', repository: 'none' }),
      refresh: async () => {},
      heal: async () => {},
    },
    {
      concurrency: 1,
      paramsOf: () => ({}),
      jobs: createJobQueue({ directory, now, logger: quietLogger() }),
      handlers: () => kinds,
      schedules,
      now,
      logger: quietLogger(),
    },
  )
  atEnd(refresher.close)
  return { refresher, clock }
}

describe('schedules', () => {
  test('a job begins at its time, once, and its last and next run are shown (parity 16)', async () => {
    const runs: number[] = []
    const clock = { now: at('2026-03-01T12:00:00') }
    const cleanup: Handler = async () => {
      runs.push(clock.now)
      return { state: 'done' }
    }
    const { refresher } = setUp({ cleanup: daily('0 3 * * *') }, { cleanup }, { clock })
    expect(refresher.status().schedules).toEqual([
      {
        kind: 'cleanup',
        cron: '0 3 * * *',
        timezone: 'UTC',
        nextRun: at('2026-03-02T03:00:00'),
        lastRun: undefined,
        lastJob: undefined,
        refused: 0,
      },
    ])
    refresher.start()
    for (let day = 2; day <= 5; day += 1) {
      clock.now = at(`2026-03-0${day}T03:00:01`)
      await eventually(() => expect(runs).toHaveLength(day - 1))
      await refresher.idle()
    }
    const [shown] = refresher.status().schedules
    expect(shown).toMatchObject({ lastRun: clock.now, nextRun: at('2026-03-06T03:00:00') })
    expect(refresher.get(Number(shown?.lastJob))).toMatchObject({ kind: 'cleanup', state: 'done' })
  })
  test('two processes on one directory begin it once; what was due while nobody ran is made up for once', async () => {
    const directory = await temporaryFolder()
    const clock = { now: at('2026-03-01T12:00:00') }
    const runs: string[] = []
    const kinds = (who: string): Record<string, Handler> => ({
      sync: async () => {
        runs.push(who)
        return { state: 'done' }
      },
    })
    const rules = { sync: daily('*/10 * * * *') }
    const one = setUp(rules, kinds('one'), { directory, clock }).refresher
    one.start()
    await eventually(() => expect(one.status().schedules[0]?.nextRun).toBe(at('2026-03-01T12:10:00')))
    await one.close()
    clock.now += 3 * DAY
    const two = setUp(rules, kinds('two'), { directory, clock }).refresher
    const three = setUp(rules, kinds('three'), { directory, clock }).refresher
    two.start()
    three.start()
    for (let round = 1; round <= 5; round += 1) {
      await eventually(() => expect(runs).toHaveLength(round))
      await two.idle()
      clock.now += 10 * MINUTE
    }
    await eventually(() => expect(runs).toHaveLength(6))
    expect(two.list({ lane: 'job', limit: 50 })).toHaveLength(6)
  })
  test('a run that is due while the one before has not ended is refused, and reported', async () => {
    let end = (): void => {}
    const sync: Handler = () =>
      new Promise((resolve) => {
        end = () => resolve({ state: 'done' })
      })
    const { refresher, clock } = setUp({ sync: daily('*/10 * * * *') }, { sync })
    refresher.start()
    await eventually(() => expect(refresher.status().schedules[0]?.nextRun).toBeGreaterThan(clock.now))
    clock.now += 11 * MINUTE
    await eventually(() => expect(refresher.status().running).toBe(1))
    clock.now += 10 * MINUTE
    await eventually(() => expect(refresher.status().schedules[0]?.refused).toBe(1))
    expect(refresher.list({ lane: 'job', limit: 50 })).toHaveLength(1)
    end()
    await refresher.idle()
    clock.now += 10 * MINUTE
    await eventually(() => expect(refresher.list({ lane: 'job', limit: 50 })).toHaveLength(2))
    end()
  })
  test('not everything begins at the full hour, and never later than a tenth of the time between two runs', () => {
    const clock = { now: at('2026-03-01T12:00:00') }
    const delays = Array.from({ length: 40 }, () => {
      const rules = { sync: daily('0 * * * *', DAY) }
      const { refresher } = setUp(rules, { sync: async () => ({ state: 'done' }) }, { clock })
      refresher.start()
      return refresher
    })
    return eventually(() => {
      const next = delays.map((one) => (one.status().schedules[0]?.nextRun ?? 0) - at('2026-03-01T13:00:00'))
      expect(Math.min(...next)).toBeGreaterThanOrEqual(0)
      expect(Math.max(...next)).toBeLessThanOrEqual(6 * MINUTE)
      expect(new Set(next).size).toBeGreaterThan(10)
    })
  })
  test('a clock that was ahead puts nothing off for ever', async () => {
    const clock = { now: at('2031-01-01T00:00:00') }
    const directory = await temporaryFolder()
    const runs: number[] = []
    const cleanup: Handler = async () => {
      runs.push(clock.now)
      return { state: 'done' }
    }
    const ahead = setUp({ cleanup: daily('0 3 * * *') }, { cleanup }, { directory, clock }).refresher
    ahead.start()
    await eventually(() => expect(ahead.status().schedules[0]?.nextRun).toBe(at('2031-01-01T03:00:00')))
    await ahead.close()
    clock.now = at('2026-03-01T12:00:00')
    const { refresher } = setUp({ cleanup: daily('0 3 * * *') }, { cleanup }, { directory, clock })
    refresher.start()
    await eventually(() => expect(refresher.status().schedules[0]?.nextRun).toBe(at('2026-03-02T03:00:00')))
    clock.now = at('2026-03-02T03:00:01')
    await eventually(() => expect(runs).toEqual([clock.now]))
  })
  test.each([
    ['nonsense', /^schedules\.sync must be a cron expression .* got "nonsense"/],
    ['0 0 31 2 *', /^schedules\.sync must be a cron expression that some time comes/],
  ])('%s is a start-up error that names it', async (cron, message) => {
    await expect(startApp({ schedules: { sync: cron } })).rejects.toThrow(message)
    expect(() =>
      checkSchedules({ sync: { cron: '@daily', timezone: 'Moon/Base', jitter: 0, options: {} } }, () => true),
    ).toThrow(/Moon\/Base/)
  })
  test('what needs a repository is refused where there is none: as a schedule at the start; as a job it fails at once', async () => {
    for (const kind of ['sync', 'validate'] as const) {
      await expect(startApp({ schedules: { [kind]: '@daily' } })).rejects.toThrow(
        `schedules.${kind} needs a repository that lists entities, got "@daily" without one`,
      )
      const { artwork } = await startApp()
      const id = artwork.refresher.run(kind).id ?? ''
      const failed = { state: 'failed', error: 'the repository cannot list entities' }
      expect(artwork.refresher.job(id)).toMatchObject(failed)
      expect(artwork.refresher.retry(id)).toBe(true)
      expect(artwork.refresher.job(id)).toMatchObject(failed)
      expect(artwork.refresher.status()).toMatchObject({ failed: 2, queued: 0 })
      await artwork.refresher.idle()
      expect(() => artwork.refresher.run('cleanup', { dryrun: true })).toThrow(
        /cleanup: dryrun is no option of this job: there are .*dryRun/,
      )
      expect(() => artwork.refresher.run('nonsense' as 'sync')).toThrow(
        /^kind must be one of sync, .*nonsense/,
      )
    }
  })
  test('clean-up is scheduled by itself, and can be switched off', async () => {
    const { artwork } = await startApp()
    expect(artwork.refresher.status().schedules).toMatchObject([{ kind: 'cleanup', cron: '0 3 * * *' }])
    const off = await startApp({ schedules: { cleanup: false, verify: '@weekly' } })
    expect(off.artwork.refresher.status().schedules).toMatchObject([{ kind: 'verify', cron: '@weekly' }])
  })
})

describe('what is reported of work under way', () => {
  test('progress has a rate and the time that is left', async () => {
    const clock = { now: 1_000_000 }
    let step = (_done: number): void => {}
    let end = (): void => {}
    const verify: Handler = (_job, { progress }) =>
      new Promise((resolve) => {
        step = (done) => progress(done, 100)
        end = () => {
          progress(100, 100)
          resolve({ state: 'done' })
        }
      })
    const { refresher } = setUp({}, { verify }, { clock })
    refresher.start()
    const queued = refresher.run('verify', {})
    const id = Number(queued.accepted && queued.id)
    await eventually(async () => expect((await refresher.get(id))?.state).toBe('running'))
    step(10)
    await eventually(() => expect(refresher.get(id)).toMatchObject({ done: 10, total: 100, rate: undefined }))
    clock.now += 20_000
    await eventually(() => {
      step(50)
      expect(refresher.get(id)).toMatchObject({ done: 50, rate: 2, eta: 25_000 })
    })
    end()
    await refresher.idle()
    expect(refresher.get(id)).toMatchObject({ state: 'done', eta: undefined })
  })
  test('events tell how it stands, and of every long job that comes on; they end with the signal', async () => {
    const { refresher } = setUp({}, { verify: async () => ({ state: 'done', result: 1 }) })
    const controller = new AbortController()
    const events: RefresherEvent[] = []
    const ended = (async () => {
      for await (const event of refresher.events(controller.signal)) events.push(event)
    })()
    await eventually(() => expect(events).toMatchObject([{ type: 'status', status: { started: false } }]))
    refresher.start()
    refresher.run('verify', {})
    await eventually(() =>
      expect(events).toContainEqual({ type: 'job', job: expect.objectContaining({ state: 'done' }) }),
    )
    controller.abort()
    await ended
  })
  test('paused by one process is paused for all, and stays so; resumed, it goes on', async () => {
    const directory = await temporaryFolder()
    const runs: string[] = []
    const kinds: Record<string, Handler> = {
      verify: async () => {
        runs.push('verify')
        return { state: 'done' }
      },
    }
    const one = setUp({}, kinds, { directory }).refresher
    const two = setUp({}, kinds, { directory }).refresher
    one.pause()
    await one.close()
    two.start()
    expect(two.status().paused).toBe(true)
    two.run('verify', {})
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect([runs, two.status().queued]).toEqual([[], 1])
    two.resume()
    await two.idle()
    expect(runs).toEqual(['verify'])
  })
  test('what a process cannot do is left to one that can, and it does not wait for that', async () => {
    const directory = await temporaryFolder()
    const runs: string[] = []
    const verify: Handler = async () => {
      runs.push('verify')
      return { state: 'done' }
    }
    const sync: Handler = async () => {
      runs.push('sync')
      return { state: 'done' }
    }
    const without = setUp({}, { verify }, { directory }).refresher
    const able = setUp({}, { verify, sync }, { directory }).refresher
    without.start()
    expect(able.run('sync', {}).accepted).toBe(true)
    expect(able.run('verify', {}).accepted).toBe(true)
    await without.idle()
    expect(await without.drain()).toBe(1)
    expect(runs).toEqual(['verify'])
    able.start()
    await able.idle()
    expect(runs).toEqual(['verify', 'sync'])
  })
  test('drained: what is queued is done, nothing new is taken until it is resumed', async () => {
    const { refresher } = setUp({}, {})
    const ask = (entityId: string) =>
      refresher.request({ sourceUrl: `http://x/${entityId}`, entityType: 'artist', entityId })
    for (let index = 0; index < 30; index += 1) expect(ask(`a${index}`).accepted).toBe(true)
    expect(await refresher.drain()).toBe(30)
    refresher.start()
    expect(await refresher.drain()).toBe(0)
    expect(refresher.status()).toMatchObject({ queued: 0, done: 30, draining: true })
    expect(ask('late')).toEqual({ accepted: false, reason: 'draining' })
    expect(refresher.run('verify', {})).toEqual({ accepted: false, reason: 'draining' })
    refresher.resume()
    expect(ask('late').accepted).toBe(true)
    await refresher.idle()
  })
  test('who is drained begins nothing by itself; a plan that is over is no trouble', async () => {
    const once = new Date(Date.now() + 30 * DAY).toISOString().slice(0, 19)
    const { refresher, clock } = setUp(
      { sync: daily(once), cleanup: daily('0 3 * * *') },
      { sync: async () => ({ state: 'done' }), cleanup: async () => ({ state: 'done' }) },
      { clock: { now: Date.now() } },
    )
    refresher.start()
    await refresher.drain()
    clock.now += 2 * DAY
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(refresher.list({ lane: 'job', limit: 9 })).toEqual([])
    refresher.resume()
    clock.now += 29 * DAY
    // Both were due while nothing ran: neither is forgotten for the other.
    await eventually(() => expect(refresher.list({ lane: 'job', limit: 9 })).toHaveLength(2))
    await refresher.idle()
    expect(refresher.status().schedules[0]).toMatchObject({ kind: 'sync', lastRun: clock.now })
  })
})

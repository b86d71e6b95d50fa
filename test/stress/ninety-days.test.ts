/**
 * Ninety days of an app with 5,000 entities (`SOAK_ENTITIES`), in the tests' own time: pictures change, move and break, hosts come and
 * go, entities are deleted and added, room is short, and the process is closed, or killed by SIGKILL in the middle of
 * its work. Every day, and at the end, what should be there is there, and what should not is not.
 * `SOAK_SEED` plays another ninety days, `SOAK_VERBOSE` prints each of them.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { afterAll, expect, test } from 'vitest'
import { keep } from '#src/database/sqlite.js'
import { beside, createFleet, type OrderedProcess } from '../support/child-process.js'
import { bytesOnDisk, differences, type NameRow, rowsOf } from '../support/entries.js'
import { atEnd, temporaryFolder } from '../support/toolkit.js'
import type { Opening, SoakOrders } from './soak-app.js'
import {
  type Fault,
  LARGEST_PICTURE,
  type Picture,
  readPicture,
  startPictureHost,
  type Weather,
} from './soak-cdn.js'

const DAYS = 90
const ENTITIES = Number(process.env.SOAK_ENTITIES ?? 5000)
/** What follows from how many there are. */
const SCALE = ENTITIES / 5000
const KINDS = ['artist', 'album', 'category'] as const
const SEED = Number(process.env.SOAK_SEED ?? 1)
const HOUR = 3_600_000
const DAY = 24 * HOUR
const BEGIN = Date.UTC(2026, 0, 1)
/** Originals are asked about again after this; what nobody used for longer than `MAX_IDLE` days goes. */
const MAX_AGE = 60 * DAY
const MAX_IDLE = 30
/** Bounds: with room for all, with room for the pictures and for some of their originals, with room for neither. */
const AMPLE = 50_000_000
const SHORT = 5_000_000 * SCALE
const TIGHT = 1_500_000 * SCALE
/** So many, but of few entities no larger share than this. */
const atMost = (most: number, share: number): number => Math.min(most, Math.ceil(ENTITIES * share))
/** Entities on the pages of a third of a day, and what happens to pictures and entities in a day. */
const PRINTED = atMost(200, 0.2)
const CHANGED = atMost(30, 0.05)
const MOVED = atMost(10, 0.02)
const DELETED = atMost(10, 0.02)
const BROKEN = 3
const WAVE = atMost(120, 0.2)
/** The bytes on disk are looked at in the middle of work, at one of so many requests. */
const SAMPLED = atMost(60, 0.03)
/** Until what must come has come, ms of the real time; it is never waited out where all is well. */
const PATIENCE = 60_000

const CODES: Readonly<Record<Fault, string | readonly string[]>> = {
  missing: 'not_found',
  gone: 'gone',
  denied: 'upstream_denied',
  // What is recorded is read back, after a restart, by the code that earlier versions know.
  page: ['no_image', 'unsupported'],
  torn: 'invalid_image',
}
const FAULTS = Object.keys(CODES) as Fault[]
/** How long a source is waited for, ms: in days of trouble not long, where everything has to come as long as it takes. */
const HASTY = 150
const PATIENT = 20_000
const TROUBLES: readonly Weather[] = ['failing', 'failing', 'resetting', 'hanging']

interface Entity {
  readonly kind: (typeof KINDS)[number]
  readonly id: string
  picture: Picture
}
const keyOf = ({ kind, id }: Pick<Entity, 'kind' | 'id'>): string => `${kind}/${id}`

/** What was made from other bytes than its original has. */
function madeFromOther(rows: readonly NameRow[]): readonly string[] {
  const digests = new Map(rows.map((row) => [row.name, row.digest]))
  return rows
    .filter(({ original, madeFrom }) => original !== null && (digests.get(original) ?? madeFrom) !== madeFrom)
    .map(({ name }) => name)
}

/** A small generator of repeatable numbers (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const fleet = createFleet<SoakOrders>(1, beside('test/stress/soak-app.ts'))
afterAll(fleet.end)

test(`${DAYS} days of ${ENTITIES} entities, seed ${SEED}: nothing alive is lost, nothing dead is kept, every failure is explained`, async () => {
  const random = numbers(SEED)
  const chance = (percent: number): boolean => random(100) < percent
  const one = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const count = {
    kills: 0,
    interruptions: {} as Record<string, number>,
    closings: 0,
    evictions: 0,
    leftovers: 0,
    changedSeen: 0,
    changedAtSource: 0,
    moved: 0,
    deleted: 0,
    orphaned: 0,
    expired: 0,
    scheduled: 0,
    corrupt: 0,
    healed: 0,
    samples: 0,
    outdated: 0,
    broughtBack: 0,
    badHours: {} as Record<string, number>,
  }
  const troubles: Record<string, number> = {}
  const spent: Record<string, number> = {}
  const timed = async <T>(what: string, doing: Promise<T>): Promise<T> => {
    const from = performance.now()
    return doing.finally(() => {
      spent[what] = Math.round((spent[what] ?? 0) + performance.now() - from)
    })
  }

  // What there is: the world, as the sources and the app's records know it.
  const pictures = new Map<number, Picture>()
  const entities = new Map<string, Entity>()
  /** Does something as a source is asked for the n-th time from now. */
  let onRequest: { at: number; work: () => void }[] = []
  let requests = 0
  const hear = (): void => {
    requests += 1
    const due = onRequest.filter(({ at }) => at <= requests)
    onRequest = onRequest.filter(({ at }) => at > requests)
    for (const { work } of due) work()
  }
  const hosts = await Promise.all([0, 1, 2].map(() => startPictureHost(pictures, hear)))
  for (const host of hosts) atEnd(host.close)
  const hostOf = ({ number }: Picture) => hosts[number % hosts.length] as (typeof hosts)[number]
  const urlOf = (picture: Picture): string => hostOf(picture).urlOf(picture)
  const directory = await temporaryFolder()
  const records = join(directory, 'app.sqlite')
  const db = keep(new Database(records, { timeout: 10_000 }))
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
    CREATE TABLE entities (kind TEXT, id TEXT, image_url TEXT, image_path TEXT, PRIMARY KEY (kind, id))`)
  const sql = keep({
    insert: db.prepare('INSERT INTO entities (kind, id, image_url) VALUES (?, ?, ?)'),
    move: db.prepare('UPDATE entities SET image_url = ? WHERE kind = ? AND id = ?'),
    remove: db.prepare('DELETE FROM entities WHERE kind = ? AND id = ?'),
  })
  const transact = (work: () => void): void => db.transaction(work).immediate()
  const newPicture = (): Picture => {
    const picture: Picture = {
      number: pictures.size + 1,
      version: 1,
      ...(chance(2) && { fault: one(FAULTS) }),
    }
    pictures.set(picture.number, picture)
    return picture
  }
  let born = 0
  const add = (): void => {
    born += 1
    const kind = KINDS[born % KINDS.length] as Entity['kind']
    // Names of categories are slugged, and some of them to the same text.
    const id =
      kind === 'category'
        ? `${chance(10) ? 'Games' : 'games'} No ${born - (born % 2)}${chance(50) ? '!' : ''}`
        : `e${born}`
    if (entities.has(`${kind}/${id}`)) {
      add()
      return
    }
    // Some entities share a picture.
    const picture = chance(2) && entities.size > 0 ? anEntity().picture : newPicture()
    entities.set(`${kind}/${id}`, { kind, id, picture })
    sql.insert.run(kind, id, urlOf(picture))
  }
  let listed: Entity[] = []
  const all = (): readonly Entity[] => {
    if (listed.length !== entities.size) listed = [...entities.values()]
    return listed
  }
  function anEntity(): Entity {
    return one(all())
  }
  const remove = (entity: Entity): void => {
    entities.delete(keyOf(entity))
    listed = []
    sql.remove.run(entity.kind, entity.id)
    count.deleted += 1
  }
  transact(() => {
    while (entities.size < ENTITIES) add()
  })
  /** A third of what a day does to pictures and entities. */
  const live = (share: number, wave: number): void =>
    transact(() => {
      for (let n = 0; n < CHANGED * share; n += 1) {
        anEntity().picture.version += 1
        count.changedAtSource += 1
      }
      for (let n = 0; n < MOVED * share; n += 1) {
        const entity = anEntity()
        entity.picture = newPicture()
        sql.move.run(urlOf(entity.picture), entity.kind, entity.id)
        count.moved += 1
      }
      for (let n = 0; n < BROKEN * share; n += 1) {
        anEntity().picture.fault = one(FAULTS)
        for (const picture of [...pictures.values()].filter(({ fault }) => fault !== undefined).slice(0, 40))
          if (chance(4)) picture.fault = undefined
      }
      for (let n = 0; n < DELETED * share + wave; n += 1) remove(anEntity())
      while (entities.size < ENTITIES) add()
    })

  // The app's process.
  let maxBytes = AMPLE
  let firstByteTimeout = PATIENT
  let clock = BEGIN
  let app = await fleet.take()
  atEnd(() => app.kill())
  let url = ''
  let evictionsBefore = 0
  const opening = (): Opening => ({
    directory,
    records,
    now: clock,
    maxBytes,
    firstByteTimeout,
    hosts: hosts.map(({ host }) => host),
    maxAge: MAX_AGE,
    maxIdle: MAX_IDLE,
  })
  const setClock = async (to: number): Promise<void> => {
    clock = Math.max(clock, to)
    await app.order('setClock', clock)
  }
  const tell = async (): Promise<void> => {
    const { evictions, leftovers } = await app.order('stats')
    count.evictions += evictions - evictionsBefore
    evictionsBefore = evictions
    count.leftovers = Math.max(count.leftovers, leftovers)
    for (const [text, times] of Object.entries(await app.order('troubles')))
      troubles[text] = (troubles[text] ?? 0) + times
  }
  /** Opens the app in a new process; what the one before left behind is tidied up before it begins to work. */
  const start = async (next?: OrderedProcess<SoakOrders>): Promise<void> => {
    app = next ?? (await fleet.take())
    const opened = await app.order('open', opening())
    url = opened.url
    evictionsBefore = 0
    for (const kind of new Set(opened.interrupted.map((job) => job.kind)))
      count.interruptions[kind] = (count.interruptions[kind] ?? 0) + 1
    let found = differences(directory)
    for (const until = performance.now() + PATIENCE; found.length > 0 && performance.now() < until; ) {
      await sleep(200)
      found = differences(directory)
    }
    expect(found, 'files and rows after a start').toEqual([])
    expect(bytesOnDisk(directory), 'bytes after a start').toBeLessThanOrEqual(maxBytes)
    await app.order('start')
  }
  const stop = async (): Promise<void> => {
    await tell()
    await app.order('close')
    await app.kill()
    count.closings += 1
    expect(differences(directory), 'files and rows after closing').toEqual([])
  }
  const kill = (): void => {
    count.kills += 1
    void app.kill()
  }
  let isOwed = false
  /**
   * Has jobs done, and all else that waits; where the process is killed meanwhile, by the next one. Work that was too little to be
   * killed in leaves that to the next.
   * @param doom when to kill it: at a request to a source, or at a question to the records
   */
  const work = async (
    jobs: readonly (readonly [kind: Parameters<SoakOrders['run']>[0], options: Record<string, unknown>])[],
    doom: { readonly request?: number; readonly asked?: number; readonly after?: number } = {},
  ): Promise<void> => {
    onRequest = []
    const before = count.kills
    const killedAt = doom.request ?? (isOwed && doom.asked === undefined ? 1 : undefined)
    if (killedAt !== undefined) onRequest.push({ at: requests + killedAt, work: kill })
    isOwed ||= killedAt !== undefined || doom.asked !== undefined
    if (maxBytes < AMPLE && chance(40)) onRequest.push({ at: requests + 1 + random(SAMPLED), work: sample })
    if (doom.asked !== undefined) await app.order('dieAt', doom.asked, doom.after ?? 0)
    const ids: string[] = []
    try {
      for (const [kind, options] of jobs) ids.push(await app.order('run', kind, options))
      clock = Math.max(clock, await app.order('drain'))
      if (doom.asked !== undefined) await app.order('dieAt', 0, 0)
    } catch (error) {
      if (!/the process is gone|EPIPE|channel closed/i.test(String(error))) throw error
      if (doom.asked !== undefined) count.kills += 1
      await start()
      for (const [kind, options] of jobs.slice(ids.length)) ids.push(await app.order('run', kind, options))
      clock = Math.max(clock, await app.order('drain'))
    }
    onRequest = []
    if (count.kills > before) isOwed = false
    for (const id of ids) {
      const job = await app.order('job', id)
      expect(job, `job ${id}`).toMatchObject({ state: 'done' })
      const result = (job?.result ?? {}) as Record<string, number>
      count.changedSeen += job?.kind === 'refresh' ? (result.changed ?? 0) : 0
      count.orphaned += result.orphaned ?? 0
      count.expired += result.expired ?? 0
      count.corrupt += result.corrupt ?? 0
    }
  }
  /** Looks at the bytes on disk while the process stands still in the middle of its work. */
  const sample = (): void => {
    app.freeze()
    const bytes = bytesOnDisk(directory)
    app.thaw()
    count.samples += 1
    if (bytes > maxBytes + LARGEST_PICTURE) passed.push(bytes)
  }
  const passed: number[] = []
  const print = async (some: readonly Entity[]) =>
    app.order(
      'render',
      some.map(({ kind, id }) => [kind, id] as const),
    )

  /** What the catalogue says of entities, when nothing is under way. */
  const had = new Map<string, number>()
  let unneeded = new Set<string>()
  let goneBefore = new Set<string>()
  const checkDay = (day: number): void => {
    const from = performance.now()
    const rows = rowsOf(directory)
    const pictured = new Map<string, number>(
      rows
        .filter((row) => row.role === 'artwork')
        .map((row) => [`${row.ownerKind}/${row.ownerId}`, row.usedAt] as const),
    )
    // What was under way for an entity while it was deleted may bring its name back; the next clean-up takes it.
    const gone = [...pictured.keys()].filter((key) => !entities.has(key))
    expect(
      day === DAYS ? gone : gone.filter((key) => goneBefore.has(key)),
      `day ${day}: names of entities that are gone`,
    ).toEqual([])
    goneBefore = new Set(gone)
    count.broughtBack += gone.length
    const idle = rows.filter(
      (row) => row.role === 'original' && row.dependents === 0 && clock - row.usedAt > MAX_IDLE * DAY,
    )
    // What came to be so since the last clean-up goes with the next one.
    expect(
      idle.filter(({ name }) => unneeded.has(name)),
      `day ${day}: originals that nobody needs`,
    ).toEqual([])
    unneeded = new Set(idle.map(({ name }) => name))
    count.outdated = Math.max(count.outdated, madeFromOther(rows).length)
    const lost = [...had].filter(
      ([key, usedAt]) => entities.has(key) && !pictured.has(key) && clock - usedAt <= MAX_IDLE * DAY,
    )
    expect(lost, `day ${day}: entities whose pictures are gone`).toEqual([])
    had.clear()
    for (const [key, usedAt] of pictured) had.set(key, usedAt)
    expect(bytesOnDisk(directory), `day ${day}: bytes on disk`).toBeLessThanOrEqual(maxBytes)
    expect(passed, `day ${day}: bytes on disk, in the middle of work`).toEqual([])
    spent.check = Math.round((spent.check ?? 0) + performance.now() - from)
    if (process.env.SOAK_VERBOSE)
      console.log(
        `day ${day}: ${Math.round(performance.now() / 1000)} s, ${rows.length} rows, ${bytesOnDisk(directory)} bytes, ${requests} requests, ${JSON.stringify({ count, spent })}`,
      )
  }

  const sync = ['sync', {}] as const
  const refresh = ['refresh', { perMinute: 1e9 }] as const
  const cleanup = ['cleanup', { maxAgeDays: MAX_IDLE }] as const
  const verify = ['verify', {}] as const

  await start(app)
  for (let day = 0; day < DAYS; day += 1) {
    const begin = BEGIN + day * DAY
    // How this day ends, and what becomes of the hosts.
    const killedAt =
      day === 0 ? 'sync' : chance(30) ? one(['sync', 'cleanup', 'cleanup', 'pages', 'rest']) : undefined
    const isTight = day >= 45 && day < 48
    const weather = (): void => {
      for (const host of hosts) {
        const next = day > 0 && chance(12) ? one(TROUBLES) : 'fine'
        host.setWeather(next)
        if (next !== 'fine') count.badHours[next] = (count.badHours[next] ?? 0) + 1
      }
    }

    await setClock(begin)
    weather()
    if (day > 0) live(0.5, 0)
    await print(Array.from({ length: PRINTED }, anEntity))
    await timed('pages', work([], killedAt === 'pages' ? { request: 1 + random(atMost(10, 0.05)) } : {}))

    await setClock(begin + 8 * HOUR)
    weather()
    await print(Array.from({ length: PRINTED }, anEntity))
    const first = day === 0 ? Math.round((500 + random(4000)) * SCALE) : 1 + random(atMost(40, 0.05))
    if (isTight) await work([])
    else await timed('sync', work([sync, refresh], killedAt === 'sync' ? { request: first } : {}))

    await setClock(begin + 16 * HOUR)
    weather()
    if (day > 0) live(0.5, killedAt === 'cleanup' ? WAVE : 0)
    await print(Array.from({ length: PRINTED }, anEntity))
    await timed(
      'cleanup',
      work(
        day === 30 ? [cleanup, verify] : [cleanup],
        killedAt === 'cleanup'
          ? {
              asked: chance(50) ? 1 + random(atMost(30, 0.06)) : atMost(60, 0.2),
              after: random(atMost(60, 0.2)),
            }
          : {},
      ),
    )
    if (day === 0) {
      const { local } = await print(all())
      expect(local).toBeGreaterThan(ENTITIES * 0.9)
    }
    const cleanups = await app.order('jobs', { kind: 'cleanup', limit: 3 })
    count.scheduled += cleanups.filter(
      ({ state, createdAt }) => state === 'done' && createdAt >= begin && createdAt < begin + 16 * HOUR,
    ).length
    checkDay(day)

    const next = day + 1 >= 45 && day + 1 < 48 ? TIGHT : SHORT
    if (killedAt === 'rest') {
      await tell()
      kill()
      await start()
    } else if (next !== maxBytes || chance(8)) {
      await timed('stop', stop())
      maxBytes = next
      firstByteTimeout = HASTY
      await timed('start', start())
    } else await tell()
  }

  // Days without trouble: whatever the sources have comes.
  for (const host of hosts) host.setWeather('fine')
  await stop()
  firstByteTimeout = PATIENT
  await start()
  const read = async (path: string) => {
    const answer = await fetch(url + path, { redirect: 'manual' })
    if (answer.status !== 200) await answer.arrayBuffer()
    return answer.status === 200 ? readPicture(Buffer.from(await answer.arrayBuffer())) : answer.status
  }
  /** Which entities are not shown as they should be. One whose bytes had to go for others is there when it is asked for again. */
  const look = async (): Promise<string[]> => {
    const problems: string[] = []
    const living = all()
    for (let from = 0; from < living.length; from += 100) {
      const some = living.slice(from, from + 100)
      for (let turn = 0, left = some; left.length > 0 && turn < 3; turn += 1) {
        const { urls } = await print(left)
        const again: Entity[] = []
        await Promise.all(
          left.map(async (entity) => {
            const { picture } = entity
            if (picture.fault !== undefined) return
            const path = urls[keyOf(entity)] ?? ''
            const shown = path.startsWith('/artwork/') ? await read(path) : 0
            if (
              typeof shown === 'object' &&
              shown.number === picture.number &&
              shown.version === picture.version
            )
              return
            if (turn < 2) again.push(entity)
            else
              problems.push(
                `${keyOf(entity)}: ${path} shows ${JSON.stringify(shown)} for ${JSON.stringify(picture)}`,
              )
          }),
        )
        if (again.length > 0) {
          count.healed += again.length
          await work([])
        }
        left = again
      }
    }
    return problems
  }
  let problems: string[] = []
  for (let calm = 0; calm < 5; calm += 1) {
    // Once everything has aged, and so is asked about.
    await setClock(clock + (calm === 1 ? MAX_AGE + DAY : DAY))
    await print(all())
    await timed('calm', work([sync, refresh]))
    await timed('calm', work([cleanup]))
    if (calm < 1) continue
    problems = await timed('look', look())
    if (problems.length === 0) break
  }
  expect(problems, 'living entities that are not shown as they are').toEqual([])

  // Who has no picture, or an old one, has a reason.
  const broken = all().filter(({ picture }) => picture.fault !== undefined)
  const explained = await app.order(
    'explain',
    broken.map(({ picture }) => urlOf(picture)),
  )
  const unexplained = broken.flatMap((entity, index) => {
    const failure = explained[index]?.failure
    const codes = [CODES[entity.picture.fault ?? 'missing']].flat()
    const isExplained = failure !== undefined && codes.includes(failure.code) && failure.nextTry > failure.at
    return isExplained ? [] : [{ ...entity, failure }]
  })
  expect(unexplained, 'failures without their reason').toEqual([])
  const failed = await app.order('jobs', { state: 'failed', limit: 3000 })
  expect(failed.filter(({ reason }) => reason === undefined || reason === 'unknown')).toEqual([])
  // Nothing waits, nothing hangs.
  await setClock(clock + DAY)
  await app.order('drain')
  expect(await app.order('jobs', { state: 'running', limit: 10 })).toEqual([])
  expect(await app.order('jobs', { state: 'queued', limit: 10 })).toEqual([])
  await work([cleanup, verify])
  checkDay(DAYS)
  const [checked] = await app.order('jobs', { kind: 'verify', limit: 1 })
  expect(checked?.result).toMatchObject({ damaged: 0, unreadable: 0, relisted: 0, leftovers: 0 })
  const outdated = madeFromOther(rowsOf(directory))
  await stop()
  expect(outdated, 'pictures made from what is not their original any more').toEqual([])

  const given = hosts.map((host) => host.count)
  console.log(
    JSON.stringify(
      { count, spent, given, broken: broken.length, failed: failed.length, troubles },
      undefined,
      1,
    ),
  )
  // All of it did happen.
  const sum = (name: keyof (typeof given)[number]): number =>
    given.reduce((total, host) => total + host[name], 0)
  expect(count.kills).toBeGreaterThanOrEqual(6)
  expect(Object.values(count.interruptions).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(4)
  expect(count.evictions).toBeGreaterThan(1000 * SCALE)
  expect(count.changedSeen).toBeGreaterThan(300 * SCALE)
  expect(count.orphaned).toBeGreaterThan((DAYS * DELETED) / 4)
  expect(count.scheduled).toBeGreaterThan(DAYS * 0.8)
  expect(count.closings).toBeGreaterThan(3)
  expect(count.samples).toBeGreaterThan(30)
  // Of few entities few are broken.
  const some = Math.min(20, ENTITIES / 50)
  expect(broken.length).toBeGreaterThan(some)
  expect(sum('unchanged')).toBeGreaterThan(ENTITIES)
  for (const kind of ['failing', 'resetting', 'hanging', 'faults'] as const)
    expect(sum(kind), kind).toBeGreaterThan(some)
})

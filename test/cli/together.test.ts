/** Two servers and the command line, each a process of its own, on one directory: each piece of work is done once. */
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCli, type Service, startServer, toolkitModule } from '../support/child-process.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, remoteAddress, temporaryFolder } from '../support/toolkit.js'

const toolkit = toolkitModule()
const LOOKS = 64
/** Entities that have a picture in common. */
const SHARING = 2
/** Tasks that a process is at, at most. */
const AT_ONCE = 4
/** For a state that is bound to come: never a matter of speed. */
const IN_THE_END = { timeout: 240_000, interval: 100 }

/** A picture of one's own: the same to the eye, other bytes. */
function withComment(picture: Buffer, text: string): Buffer {
  const head = Buffer.from([0xff, 0xfe, 0, text.length + 2])
  return Buffer.concat([picture.subarray(0, 2), head, Buffer.from(text), picture.subarray(2)])
}

/** What one process said of one entity: `saveImage` was called. */
interface Line {
  readonly id: number
  readonly pid: number
  readonly path: string
}

/** So many entities, two and two with one picture, at two upstreams; and the config module that all processes share. */
async function stage(count: number) {
  const origins = [await anOrigin(), await anOrigin()] as const
  const directory = await temporaryFolder()
  const folder = await temporaryFolder()
  const looks: Buffer[] = []
  for (let seed = 0; seed < LOOKS; seed += 1) looks.push(await jpeg(16, 12, seed))
  const urls: string[] = []
  for (let index = 0; index < count / SHARING; index += 1) {
    const origin = origins[index % 2 === 0 ? 0 : 1]
    const picture = withComment(looks[index % LOOKS] ?? Buffer.of(), String(index))
    origin.serve(`/a${index}.jpg`, image(picture))
    urls.push(`${origin.url}/a${index}.jpg`)
  }
  const urlOf = (id: number): string => urls[Math.floor((id - 1) / SHARING)] ?? ''
  const [log, held] = [join(folder, 'saved.log'), join(folder, 'held.log')]
  const config = join(folder, 'artwork.config.mjs')
  // HOLD_AFTER: this process is held in `saveImage` after so many, half of them before it noted the picture.
  await writeFile(
    config,
    `import { appendFileSync } from 'node:fs'
     import { remote } from '${toolkit}'
     const urls = ${JSON.stringify(urls)}
     const holdAfter = Number(process.env.HOLD_AFTER ?? Infinity)
     let saved = 0
     const list = async (kind, cursor = '1') => {
       if (kind !== 'artist') return { entities: [] }
       const start = Number(cursor)
       const end = Math.min(start + 1000, ${count + 1})
       const entities = Array.from({ length: end - start }, (_, index) => start + index)
         .map((id) => ({ id, image_url: urls[Math.floor((id - 1) / ${SHARING})] }))
       return { entities, ...(end <= ${count} && { next: String(end) }) }
     }
     const saveImage = async (_kind, id, { imagePath }) => {
       const isHeld = saved >= holdAfter
       saved += 1
       if (!isHeld || saved % 2 === 0) appendFileSync('${log}', id + ' ' + process.pid + ' ' + imagePath + '\\n')
       if (!isHeld) return
       appendFileSync('${held}', id + '\\n')
       await new Promise(() => {})
     }
     export default () => ({
       directory: '${directory}',
       sources: [remote({ hosts: ['127.0.0.1'] })],
       fetch: { allowPrivate: ${JSON.stringify(origins.map(({ host }) => host))} },
       transform: { isolate: false },
       repository: { list, saveImage },
     })`,
  )
  const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  const linesOf = (file: string): readonly string[] => textOf(file).split('\n').slice(0, -1)
  const toLine = (line: string): Line => {
    const [id, pid, path = ''] = line.split(' ')
    return { id: Number(id), pid: Number(pid), path }
  }
  const run = (command: string) => runCli([command, '--config', config, '--json'])
  return {
    urlOf,
    hits: () => origins[0].hits() + origins[1].hits(),
    /** What was saved so far, oldest first. */
    saved: (): readonly Line[] => linesOf(log).map(toLine),
    latest: (): Line | undefined => linesOf(log).slice(-1).map(toLine)[0],
    /** The entities that a held process is at. */
    held: (): readonly number[] => linesOf(held).map(Number),
    serve: (env: Readonly<Record<string, string>> = {}) => startServer(config, env),
    run,
    /** Runs the command line, and reads the last line that it prints. */
    cli: async (command: string) => {
      const { code, out, err } = await run(command)
      const last: unknown = JSON.parse(out.trim().split('\n').at(-1) ?? '')
      return { code, err, last }
    },
  }
}

type Stage = Awaited<ReturnType<typeof stage>>

/** Asks the servers for pictures until the work has ended: artwork just saved, by whomever, and images of upstream. */
async function askMeanwhile(place: Stage, servers: readonly Service[], work: Promise<unknown>) {
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  const counts = { asked: 0, answered: 0 }
  const problems: string[] = []
  while (!isOver) {
    const latest = place.latest()
    for (const server of servers) {
      if (latest === undefined || isOver) continue
      for (const path of [
        `/artwork/local/${latest.path}`,
        `/images/${remoteAddress(place.urlOf(latest.id))}`,
      ]) {
        counts.asked += 1
        const response = await fetch(server.url + path)
        const { length } = Buffer.from(await response.arrayBuffer())
        if (response.status === 200 && length > 0) counts.answered += 1
        else problems.push(`${response.status} ${path}`)
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await over
  return { ...counts, problems }
}

const idsTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1)
const idsOf = (lines: readonly Line[]): readonly number[] =>
  [...new Set(lines.map(({ id }) => id))].sort((a, b) => a - b)
/** Entities that were saved more than once, with who did. */
function twice(lines: readonly Line[]): readonly { id: number; pids: readonly number[] }[] {
  const pidsOf = new Map<number, number[]>()
  for (const { id, pid } of lines) pidsOf.set(id, [...(pidsOf.get(id) ?? []), pid])
  return [...pidsOf].filter(([, pids]) => pids.length > 1).map(([id, pids]) => ({ id, pids }))
}
/** What is held is what was asked for, nothing waits, and another sync finds nothing to do. */
async function expectDone(place: Stage, count: number): Promise<void> {
  expect(await place.cli('stats')).toMatchObject({
    code: 0,
    err: '',
    last: { byRole: { artwork: count, original: count / SHARING }, queue: { queued: 0, running: 0 } },
  })
  const before = place.saved().length
  expect(await place.cli('sync')).toEqual({
    code: 0,
    err: '',
    last: { state: 'done', result: { seen: count, queued: 0, done: 0, failed: 0, cancelled: 0 } },
  })
  expect(place.saved().length).toBe(before)
}
/** Tells the servers to end: they do, and had nothing to complain of. */
async function expectEnd(servers: readonly Service[]): Promise<void> {
  for (const { child } of servers) child.kill('SIGTERM')
  for (const { ended, err } of servers) expect([await ended, err()]).toEqual([0, ''])
}

/** `JOBS=10000` for more. */
const JOBS = Number(process.env.JOBS ?? 2000)
test(`two server processes and the command line, ${JOBS} jobs: each is done once, and the servers answer meanwhile`, async () => {
  const count = JOBS
  const place = await stage(count)
  const servers = [await place.serve(), await place.serve()]
  const sync = place.cli('sync')
  const { asked, answered, problems } = await askMeanwhile(place, servers, sync)
  expect(await sync).toEqual({
    code: 0,
    err: '',
    last: { state: 'done', result: { seen: count, queued: count, done: count, failed: 0, cancelled: 0 } },
  })
  const lines = place.saved()
  expect(twice(lines)).toEqual([])
  expect(idsOf(lines)).toEqual(idsTo(count))
  expect(place.hits()).toBe(count / SHARING)
  const pids = [...new Set(lines.map(({ pid }) => pid))]
  expect(pids).toEqual(expect.arrayContaining(servers.map(({ child }) => child.pid)))
  expect(pids.length).toBe(3)
  expect(problems).toEqual([])
  expect(answered).toBe(asked)
  expect(asked).toBeGreaterThan(10)
  await expectDone(place, count)
  await expectEnd(servers)
}, 1_200_000)

/**
 * What was done is all of it, by the repository's own account. What was done twice is what the killed process was at,
 * and nothing else.
 */
function expectAllSaved(lines: readonly Line[], count: number, killed: number | undefined): void {
  expect(idsOf(lines)).toEqual(idsTo(count))
  const again = twice(lines)
  for (const { pids } of again) expect(pids).toEqual([killed, expect.any(Number)])
  expect(again.length).toBeLessThanOrEqual(AT_ONCE)
}

/** Of which a process is killed. */
const SOME = Math.min(1000, JOBS)

test('a server is killed in mid-work: everything is done in the end, and twice only what it was at', async () => {
  const count = SOME
  const place = await stage(count)
  const [victim, other] = [await place.serve({ HOLD_AFTER: String(SOME / 10) }), await place.serve()]
  const sync = place.cli('sync')
  const meanwhile = askMeanwhile(place, [other], sync)
  // All that it is at has been kept already; of half of it the repository knows.
  await expect.poll(() => place.held().length, IN_THE_END).toBe(AT_ONCE)
  expect(idsOf(place.saved()).length).toBeLessThan(count)
  victim.child.kill('SIGKILL')
  await victim.ended
  expect(await sync).toMatchObject({
    code: 0,
    err: '',
    last: { state: 'done', result: { seen: count, queued: count, done: count, failed: 0, cancelled: 0 } },
  })
  expect((await meanwhile).problems).toEqual([])
  expectAllSaved(place.saved(), count, victim.child.pid)
  for (const { id } of twice(place.saved())) expect(place.held()).toContain(id)
  await expectDone(place, count)
  await expectEnd([other])
}, 1_200_000)

test('the command line is killed in mid-work: the servers go on with it, and who asks anew waits for them', async () => {
  const count = SOME
  const place = await stage(count)
  const servers = [await place.serve(), await place.serve()]
  const sync = place.run('sync')
  const pidOfCli = (): number | undefined =>
    place.saved().find(({ pid }) => servers.every(({ child }) => child.pid !== pid))?.pid
  await expect.poll(pidOfCli, IN_THE_END).toBeGreaterThan(0)
  const killed = pidOfCli()
  if (killed !== undefined) process.kill(killed, 'SIGKILL')
  expect((await sync).code).toBe(null)
  expect(idsOf(place.saved()).length).toBeLessThan(count)
  const anew = await place.cli('sync')
  expect(anew).toMatchObject({
    code: 0,
    err: '',
    last: { state: 'done', result: { seen: count, queued: count, done: count, failed: 0, cancelled: 0 } },
  })
  expectAllSaved(place.saved(), count, killed)
  await expectDone(place, count)
  await expectEnd(servers)
}, 1_200_000)

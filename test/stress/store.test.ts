/**
 * The store under stress: processes that are killed, two processes at once, a model, and the bound looked at
 * from outside. `npm test` runs a few rounds of each; `npm run test:stress` (and CI) as many as are promised.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, expect, test, vi } from 'vitest'
import { createFleet, type StoreProcess } from '../support/child-process.js'
import { bytesOnDisk, differences, indexEntriesOnDisk } from '../support/entries.js'
import { atEnd, temporaryFolder } from '../support/toolkit.js'

const isFull = process.env.STRESS === 'full'
/** CI runs a share of the longest ones: they take most of its time. */
const SHARE = Number(process.env.STRESS_SHARE ?? 1)
const many = (few: number, full: number, share = 1): number => (isFull ? Math.ceil(full * share) : few)
const fleet = createFleet(2)
afterAll(fleet.end)

const namesOf = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

/** A process that is gone after the test. */
const take = async (): Promise<StoreProcess> => {
  const one = await fleet.take()
  atEnd(one.kill)
  return one
}

const KILLS = many(15, 200, SHARE)
test(`kill -9 at ${KILLS} random moments of a mixed load: every answer is right or a miss, and the files are the catalogue’s`, async () => {
  const directory = await temporaryFolder()
  const opening = { directory, maxBytes: 1_500_000, maxNames: 120 }
  const names = [...namesOf('o/', 100), ...namesOf('r/', 100)]
  const log = join(directory, 'operations.log')
  /** What a name may answer beside a miss. */
  const allowed = new Map<string, Set<string>>()
  let held = 0
  let interrupted = 0
  let random = 7
  for (let round = 0; round <= KILLS; round += 1) {
    const one = await fleet.take()
    await one.order('open', opening)
    const answers = await one.order('readAll', names)
    for (const [index, name] of names.entries()) {
      const answer = answers[index]
      if (typeof answer !== 'string') {
        allowed.delete(name)
        continue
      }
      expect([...(allowed.get(name) ?? [])], `round ${round}: ${name}`).toContain(answer)
      allowed.set(name, new Set([answer]))
      held += 1
    }
    await one.order('settled')
    expect(differences(directory), `round ${round}`).toEqual([])
    expect(bytesOnDisk(directory)).toBeLessThanOrEqual(opening.maxBytes)
    if (round === KILLS) {
      await one.order('close')
      await one.kill()
      break
    }
    rmSync(log, { force: true })
    const load = { seed: round + 1, names, concurrency: 8, operations: 1_000_000, maxSize: 60_000, log }
    const loading = one.order('load', load).catch(() => {})
    random = (random * 16_807) % 2_147_483_647
    // After so much of it, however long that takes: a line is some 20 bytes.
    const noted = (): number => statSync(log, { throwIfNoEntry: false })?.size ?? 0
    await vi.waitUntil(() => noted() > random % 3000, { timeout: 60_000, interval: 2 })
    await one.kill()
    await loading
    const begun = new Map<string, { name: string; content: string | undefined }>()
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const [id = '', verb, name = '', ...content] = line.split(' ')
      if (verb === 'done') {
        const done = begun.get(id)
        if (done !== undefined) allowed.set(name, new Set(done.content === undefined ? [] : [done.content]))
        begun.delete(id)
      } else if (verb === 'write') begun.set(id, { name, content: content.join(' ') })
      else if (verb === 'remove') begun.set(id, { name, content: undefined })
    }
    interrupted += begun.size
    for (const { name, content } of begun.values())
      if (content !== undefined) allowed.set(name, new Set([...(allowed.get(name) ?? []), content]))
  }
  expect(held).toBeGreaterThan(KILLS * 5)
  expect(interrupted).toBeGreaterThan(KILLS)
})

/** What the model knows: the content of every name. */
type Model = Map<string, string>
interface Real {
  readonly directory: string
  readonly processes: StoreProcess[]
  written: number
}
const opening = (directory: string) => ({ directory, maxBytes: 50_000_000, maxNames: 10_000 })
const at = (real: Real, index: number): StoreProcess => {
  const one = real.processes[index]
  if (one === undefined) throw new Error('no process')
  return one
}
const command = (
  text: string,
  run: (model: Model, real: Real) => Promise<void>,
): fc.AsyncCommand<Model, Real> => ({
  check: () => true,
  run,
  toString: () => text,
})
const aName = fc.constantFrom('a', 'b', 'c', 'd', 'o/1', 'r/1')
const aProcess = fc.constantFrom(0, 1)
const aContent = fc.constantFrom('own', 'shared 1', 'shared 2')
const contentFor = (real: Real, name: string, kind: string): string => {
  real.written += 1
  return kind === 'own' ? `${name} ${real.written}` : kind
}
const commands = [
  fc.tuple(aProcess, aName, aContent).map(([by, name, kind]) =>
    command(`write ${name} (${kind}) by ${by}`, async (model, real) => {
      const content = contentFor(real, name, kind)
      await at(real, by).order('write', name, content, 5000)
      model.set(name, content)
    }),
  ),
  fc.tuple(aProcess, aName).map(([by, name]) =>
    command(`read ${name} by ${by}`, async (model, real) => {
      expect(await at(real, by).order('read', name)).toBe(model.get(name))
    }),
  ),
  fc.tuple(aProcess, aName).map(([by, name]) =>
    command(`remove ${name} by ${by}`, async (model, real) => {
      expect(await at(real, by).order('remove', name)).toBe(model.delete(name))
    }),
  ),
  fc.tuple(aName, aContent).map(([name, kind]) =>
    command(`write ${name} (${kind}) by both at once`, async (model, real) => {
      const contents = [contentFor(real, name, kind), contentFor(real, name, 'own')]
      await Promise.all(contents.map((content, by) => at(real, by).order('write', name, content, 5000)))
      const now = await at(real, 0).order('read', name)
      expect(contents).toContain(now)
      model.set(name, now ?? '')
    }),
  ),
  fc.tuple(aName, aName).map(([written, removed]) =>
    command(`write ${written} by 0 while 1 removes ${removed}`, async (model, real) => {
      const content = contentFor(real, written, 'shared 1')
      await Promise.all([
        at(real, 0).order('write', written, content, 5000),
        at(real, 1).order('remove', removed),
      ])
      const now = await at(real, 1).order('read', written)
      if (written !== removed) model.delete(removed)
      else if (now === undefined) return void model.delete(written)
      expect(now).toBe(content)
      model.set(written, content)
    }),
  ),
  aProcess.map((by) =>
    command(`clear by ${by}`, async (model, real) => {
      await at(real, by).order('clear')
      model.clear()
    }),
  ),
  fc
    .tuple(
      aProcess,
      aName,
      fc.constantFrom('own', 'shared 1', 'remove', 'nothing'),
      fc.integer({ min: 0, max: 12 }),
    )
    .map(([by, name, kind, after]) =>
      command(`kill ${by} ${after} ms into: ${kind} of ${name}`, async (model, real) => {
        const content = contentFor(real, name, kind)
        const victim = at(real, by)
        const work =
          kind === 'nothing'
            ? Promise.resolve()
            : kind === 'remove'
              ? victim.order('remove', name)
              : victim.order('write', name, content, 5000)
        const ended = work.then(
          () => true,
          () => false,
        )
        await sleep(after)
        await victim.kill()
        const isDone = await ended
        const before = model.get(name)
        const now = await at(real, 1 - by).order('read', name)
        const wanted = kind === 'remove' ? undefined : content
        if (kind !== 'nothing') expect(isDone ? [wanted] : [before, wanted]).toContain(now)
        if (now === undefined) model.delete(name)
        else model.set(name, now)
        real.processes[by] = await fleet.take()
        await at(real, by).order('open', opening(real.directory))
      }),
    ),
  fc.constant(
    command('lose the catalogue', async (_model, real) => {
      // The note of a change that a crash cut short is in the catalogue, too: lost before it is acted on, a removal that
      // was never answered may be undone.
      for (const one of real.processes) await one.order('settled')
      for (const one of real.processes) await one.order('close')
      for (const suffix of ['', '-wal', '-shm'])
        rmSync(join(real.directory, `catalogue-v2.sqlite${suffix}`), { force: true })
      for (const one of real.processes) await one.order('open', opening(real.directory))
    }),
  ),
]

const RUNS = many(20, 400, SHARE)
test(`${RUNS} runs of commands by two processes, with crashes and lost catalogues, agree with a plain Map`, async () => {
  const property = fc.asyncProperty(fc.commands(commands, { maxCommands: 25 }), async (run) => {
    const directory = await mkdtemp(join(tmpdir(), 'artwork-model-'))
    const processes = await Promise.all([idle.pop() ?? fleet.take(), idle.pop() ?? fleet.take()])
    try {
      for (const one of processes) await one.order('open', opening(directory))
      const model: Model = new Map()
      await fc.asyncModelRun(() => ({ model, real: { directory, processes, written: 0 } }), run)
      for (const one of processes) await one.order('settled')
      for (const one of processes)
        for (const name of ['a', 'b', 'c', 'd', 'o/1', 'r/1'])
          expect(await one.order('read', name)).toBe(model.get(name))
      for (const one of processes) await one.order('close')
      expect(differences(directory)).toEqual([])
      idle.push(...processes.splice(0))
    } finally {
      for (const one of processes) await one.kill()
      await rm(directory, { recursive: true, force: true })
    }
  })
  const idle: StoreProcess[] = []
  await fc.assert(property, {
    numRuns: RUNS,
    endOnFailure: !isFull,
    includeErrorInReport: true,
  })
})

const SAMPLES = many(40, 300)
const LARGEST = 200_000
test(`a load of five times the bound by two processes: none of ${SAMPLES} samples passes it`, async () => {
  const directory = await temporaryFolder()
  const bounds = { maxBytes: 6_000_000, maxNames: 300 }
  const processes = [await take(), await take()]
  for (const one of processes) await one.order('open', { directory, ...bounds })
  // Contents of 100 KB in the mean.
  const names = [...namesOf('o/', 200), ...namesOf('r/', 200)]
  const loads = processes.map((one, index) =>
    one
      .order('load', { seed: 11 + index, names, concurrency: 6, operations: 1e9, maxSize: LARGEST })
      .catch(() => undefined),
  )
  const samples: number[] = []
  const entries: number[] = []
  const isHalfFull = (): boolean => bytesOnDisk(directory) > bounds.maxBytes / 2
  await vi.waitUntil(isHalfFull, { timeout: 120_000, interval: 50 })
  while (samples.length < SAMPLES) {
    await sleep(20)
    for (const one of processes) one.freeze()
    samples.push(bytesOnDisk(directory))
    entries.push(indexEntriesOnDisk(directory))
    for (const one of processes) one.thaw()
  }
  // Never over by more than one object: a process may be stopped between two steps of taking one away.
  expect(Math.max(...samples)).toBeLessThanOrEqual(bounds.maxBytes + LARGEST)
  // A name that is being replaced has two entries for a moment; twelve may be at it.
  expect(Math.max(...entries)).toBeLessThanOrEqual(bounds.maxNames + 12)
  for (const one of processes) await one.kill()
  await Promise.all(loads)
})

const OPERATIONS = many(2000, 20_000)
test(`${OPERATIONS} operations by two processes on 500 names, half of them the same: no error, no torn read, no orphan`, async () => {
  const directory = await temporaryFolder()
  const processes = [await take(), await take()]
  for (const one of processes) await one.order('open', { directory, maxBytes: 20_000_000, maxNames: 450 })
  const common = namesOf('o/', 250)
  const own = [namesOf('r/', 125), namesOf('p/', 125)]
  const reports = await Promise.all(
    processes.map((one, index) =>
      one.order('load', {
        seed: 21 + index,
        names: [...common, ...(own[index] ?? [])],
        concurrency: 8,
        operations: OPERATIONS / 2,
        maxSize: 40_000,
      }),
    ),
  )
  expect(reports.flatMap((report) => report.errors)).toEqual([])
  expect(reports.reduce((sum, report) => sum + report.done, 0)).toBeGreaterThan(OPERATIONS * 0.9)
  expect(reports.reduce((sum, report) => sum + report.held, 0)).toBeGreaterThan(OPERATIONS / 20)
  expect(await processes[0]?.order('verify')).toMatchObject({
    state: 'done',
    damaged: 0,
    unreadable: 0,
    relisted: 0,
    leftovers: 0,
  })
  for (const one of processes) await one.order('close')
  expect(differences(directory)).toEqual([])
})

const ROUNDS = many(2, 20, SHARE)
test(`four processes open a damaged catalogue at once, ${ROUNDS} times: each finds everything`, async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const directory = await temporaryFolder()
    const processes = [await fleet.take(), await fleet.take(), await fleet.take(), await fleet.take()]
    const [first] = processes
    await first?.order('open', opening(directory))
    for (let index = 0; index < 20; index += 1) await first?.order('write', `n${index}`, `n${index} 1`, 3000)
    await first?.order('close')
    for (const suffix of ['-wal', '-shm'])
      rmSync(join(directory, `catalogue-v2.sqlite${suffix}`), { force: true })
    writeFileSync(join(directory, 'catalogue-v2.sqlite'), 'nonsense '.repeat(9000))
    await Promise.all(processes.map((one) => one.order('open', opening(directory))))
    for (const one of processes) {
      await one.order('settled')
      expect(await one.order('read', 'n7')).toBe('n7 1')
      expect((await one.order('stats')).names).toBe(20)
    }
    for (const one of processes) await one.order('close')
    expect(differences(directory)).toEqual([])
    for (const one of processes) await one.kill()
  }
})

/** The pool of child processes: what a killed, hung, grown or crashing child costs, and whom. */

import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { findScript, IS_BROAD } from '#src/transform/child-command.js'
import { createWorkerPool, type PoolOptions } from '#src/transform/worker-pool.js'
import { eventually } from '../support/eventually.js'
import { jpeg, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, listen, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

const bounds: PoolOptions = {
  maxPixels: 50e6,
  maxAvifPixels: 16e6,
  maxFrames: 100,
  formats: ['jpeg', 'png', 'gif', 'webp', 'avif'],
  concurrency: 2,
  queue: 64,
  timeout: 20_000,
  maxMemory: 768 * 1024 ** 2,
  sandbox: [],
  waitTimeout: 60_000,
  logger: quietLogger(),
}
const pool = (changes: Partial<PoolOptions> = {}) => {
  const made = createWorkerPool({ ...bounds, ...changes })
  atEnd(made.close)
  return made
}
/** Fields of a process by Linux's count, from its state on; undefined for one that has gone. */
const statOf = (pid: number | string): readonly string[] | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
/** The decoding children of a process, this one. Tests of this file run one after the other. */
const children = (of: number | undefined = process.pid): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(statOf(name)?.[1]) === of)
    .filter((name) => readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('/transform/worker'))
    .map(Number)
const slowRecipe = {
  width: 1500,
  fit: 'inside',
  enlarge: false,
  quality: 85,
  effort: 4,
  format: 'avif',
} as const
const quick = { width: 20, fit: 'inside', enlarge: false, quality: 85, effort: 4, format: 'webp' } as const
const grain = (width: number, height: number) =>
  sharp(randomBytes(width * height * 3), { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer()
const large = () => quarters(1600, 1600).jpeg().toBuffer()

describe('the pool', () => {
  test('a child that is killed in mid-encode costs its own job 502, and the pool is whole after it', async () => {
    const one = pool({ concurrency: 2 })
    const bytes = await large()
    // A child that is there already: what is killed while it starts is tried once more, and succeeds.
    await one.transform(bytes, 'jpeg', quick)
    // Grain at the highest effort: many times the pause below, on a busy machine as on an idle one.
    const victim = one.transform(await grain(1600, 1600), 'jpeg', { ...slowRecipe, effort: 9 })
    victim.catch(() => {})
    await eventually(() => expect(children()).toHaveLength(1))
    const [pid = 0] = children()
    const other = one.transform(bytes, 'jpeg', quick)
    await sleep(700)
    process.kill(pid, 'SIGSEGV')
    await expect(victim).rejects.toMatchObject({ status: 502, reason: 'processing' })
    expect((await other).format).toBe('webp')
    const again = await Promise.all([1, 2, 3].map(() => one.transform(bytes, 'jpeg', quick)))
    expect(again).toHaveLength(3)
    expect(children()).toHaveLength(2)
  })

  test('a child that hangs is killed when its time is up: 504 for its job, the others unharmed', async () => {
    const one = pool({ concurrency: 2, timeout: 8000 })
    const bytes = await large()
    await one.transform(bytes, 'jpeg', quick)
    const [pid = 0] = children()
    process.kill(pid, 'SIGSTOP')
    const hung = one.transform(bytes, 'jpeg', quick)
    hung.catch(() => {})
    const others = await Promise.all([1, 2].map(() => one.transform(bytes, 'jpeg', quick)))
    expect(others).toHaveLength(2)
    await expect(hung).rejects.toMatchObject({ status: 504, reason: 'timeout' })
    await eventually(() => expect(children()).not.toContain(pid))
    expect((await one.transform(bytes, 'jpeg', quick)).format).toBe('webp')
  })

  test('a child that grows over its bound ends with its job: 413', async () => {
    const one = pool({ maxMemory: 150 * 1024 ** 2, timeout: 600_000 })
    const bytes = await quarters(5000, 5000).png().toBuffer()
    const recipe = {
      width: 4900,
      fit: 'inside',
      enlarge: false,
      quality: 85,
      effort: 4,
      format: 'webp',
    } as const
    await expect(one.transform(bytes, 'png', recipe)).rejects.toMatchObject({
      status: 413,
      reason: 'too_large',
    })
    const small = await quarters(60, 60).png().toBuffer()
    expect((await one.transform(small, 'png', quick)).format).toBe('webp')
  })

  test('a child that has grown makes way for a new one after its job', async () => {
    const one = pool({ concurrency: 1, maxMemory: 100 * 1024 ** 2 })
    const small = await quarters(60, 60).png().toBuffer()
    const seen = new Set<number>()
    for (let index = 0; index < 4; index += 1) {
      const job = one.transform(small, 'png', quick)
      await eventually(() => expect(children()).toHaveLength(1))
      for (const pid of children()) seen.add(pid)
      await job
    }
    // A child that has just started is over six tenths of this bound already.
    expect(seen.size).toBeGreaterThan(1)
  })

  test('children that crash again and again are not started without end; who waits is served later', async () => {
    const one = pool({ concurrency: 1, queue: 100 })
    const bytes = await quarters(60, 60).png().toBuffer()
    const started = new Set<number>()
    let isOver = false
    const killer = (async () => {
      while (!isOver) {
        for (const pid of children()) {
          started.add(pid)
          process.kill(pid, 'SIGKILL')
        }
        await sleep(5)
      }
    })()
    const jobs = Array.from({ length: 60 }, () =>
      one.transform(bytes, 'png', quick).then(String, (error) => error.status),
    )
    await sleep(3000)
    const count = started.size
    isOver = true
    await killer
    expect(count).toBeLessThanOrEqual(24 + 4 * 8)
    const answers = await Promise.all(jobs)
    expect(answers.filter((answer) => answer === 502).length).toBeLessThanOrEqual(started.size)
    expect((await one.transform(bytes, 'png', quick)).format).toBe('webp')
  })

  test('a job that nobody waits for any more is not begun; one in the background waits for the others', async () => {
    const one = pool({ concurrency: 1 })
    const [slow, small] = [await large(), await quarters(60, 60).png().toBuffer()]
    const order: string[] = []
    const note = (name: string) => () => void order.push(name)
    const first = one.transform(slow, 'jpeg', quick).then(note('first'))
    const gone = new AbortController()
    const cancelled = one.transform(small, 'png', quick, { signal: gone.signal })
    const background = one.transform(small, 'png', quick, { isBackground: true }).then(note('background'))
    const foreground = one.transform(small, 'png', quick).then(note('foreground'))
    gone.abort()
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' })
    await Promise.all([first, background, foreground])
    expect(order).toEqual(['first', 'foreground', 'background'])
  })

  test('a child that has nothing to do ends after a while, and the next job has another', async () => {
    const one = pool({ idleTimeout: 50 })
    const bytes = await large()
    for (let time = 0; time < 2; time += 1) {
      await Promise.all([one.transform(bytes, 'jpeg', quick), one.transform(bytes, 'jpeg', quick)])
      await eventually(() => expect(children()).toHaveLength(0))
    }
    expect(one.trouble()).toBeUndefined()
  })

  test('closing ends what runs and what waits, and leaves no child', async () => {
    const one = pool({ concurrency: 1 })
    const bytes = await large()
    const jobs = [1, 2, 3].map(() => one.transform(bytes, 'jpeg', slowRecipe))
    const settled = Promise.allSettled(jobs)
    await eventually(() => expect(children()).toHaveLength(1))
    await one.close()
    for (const result of await settled)
      expect(result).toMatchObject({ status: 'rejected', reason: { status: 503, reason: 'unavailable' } })
    expect(children()).toEqual([])
    await expect(one.transform(bytes, 'jpeg', quick)).rejects.toMatchObject({ status: 503 })
  })

  test('children are nice, have a bound of their own for AVIF, and go when their parent is killed', async () => {
    const one = pool({ maxAvifPixels: 10_000 })
    const bytes = await quarters(200, 200).png().toBuffer()
    await expect(one.transform(bytes, 'png', { ...slowRecipe, width: 190 })).rejects.toMatchObject({
      status: 413,
    })
    expect((await one.transform(bytes, 'png', { ...slowRecipe, width: 90 })).format).toBe('avif')
    const avif = await quarters(200, 200).avif().toBuffer()
    await expect(one.inspect(avif, 'avif')).rejects.toMatchObject({ status: 413 })
    for (const pid of children()) expect(statOf(pid)?.[16]).toBe('10')
    const program = `import { createWorkerPool } from '#src/transform/worker-pool.js'
      const one = createWorkerPool(${JSON.stringify(bounds)})
      await one.inspect(Buffer.from('${(await quarters(9, 9).png().toBuffer()).toString('base64')}', 'base64'), 'png')
      console.log('done')
      if (process.argv[1] === 'stay') setInterval(() => {}, 1000)`
    const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
    // With nothing to do, a pool that nobody closed lets its process end.
    expect(execFileSync(process.execPath, args).toString()).toContain('done')
    const parent = spawn(process.execPath, [...args, '--', 'stay'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => parent.stdout.once('data', resolve))
    const [pid = 0] = children(parent.pid)
    expect(pid).toBeGreaterThan(0)
    parent.kill('SIGKILL')
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow())
  })
})

describe('what a child has of its surroundings (mended 15)', () => {
  /** The command line of the only child, its script exchanged for a question. */
  async function askChild(question: string): Promise<unknown> {
    const one = pool({ concurrency: 1 })
    await one.inspect(await jpeg(20, 20), 'jpeg')
    const [pid = 0] = children()
    const [command = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    const script = args.findIndex((arg) => arg.includes('/transform/worker'))
    const asked = [...args.slice(0, script), '--input-type=module', '--eval', question]
    const said = execFileSync(command, asked, { env: {}, cwd: '/', stdio: ['ignore', 'pipe', 'ignore'] })
    return JSON.parse(said.toString())
  }
  test('nothing of the app’s environment, no descriptor but the channel and the pipe of images, an empty folder of its own', async () => {
    process.env.ARTWORK_TEST_SECRET = 'a-token-of-the-app'
    const one = pool({ concurrency: 1 })
    await one.inspect(await jpeg(20, 20), 'jpeg')
    const [pid = 0] = children()
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    const names = environment.map((text) => text.split('=')[0] ?? '').filter((name) => name !== '')
    // What Node itself adds for the channel.
    const allowed = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'LD_LIBRARY_PATH', 'TZ']
    expect(names.filter((name) => !allowed.includes(name))).toEqual([])
    expect(environment.join()).not.toContain('a-token-of-the-app')
    delete process.env.ARTWORK_TEST_SECRET
    const folder = readlinkSync(`/proc/${pid}/cwd`)
    expect([folder.includes('artwork-decoder-'), readdirSync(folder)]).toEqual([true, []])
    const others = (): readonly string[] => {
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
      return open.filter((target) => !/^(?:\/dev\/null|anon_inode:|pipe:)/.test(target))
    }
    // Of those that this process has, one end each. What the child reads while it starts is closed again.
    await eventually(() =>
      expect(others()).toEqual([expect.stringMatching(/^socket:/), expect.stringMatching(/^socket:/)]),
    )
  })
  test('it may read its script and sharp, write nothing, and start nothing', async () => {
    const found = await askChild(`
      const may = (scope, path) => process.permission.has(scope, path)
      console.log(JSON.stringify({
        sharp: may('fs.read', ${JSON.stringify(new URL('../../node_modules/sharp/package.json', import.meta.url).pathname)}),
        others: may('fs.read', ${JSON.stringify(new URL('../../node_modules/express/package.json', import.meta.url).pathname)}),
        app: may('fs.read', ${JSON.stringify(new URL('../../package.json', import.meta.url).pathname)}),
        passwords: may('fs.read', '/etc/passwd'),
        write: may('fs.write', '/tmp/x'),
        child: may('child'),
        worker: may('worker'),
      }))`)
    expect(found).toEqual({
      sharp: true,
      // The first versions of Node 20 that have the model cannot tell a folder from what is in it.
      others: IS_BROAD,
      app: false,
      passwords: false,
      write: false,
      child: false,
      worker: false,
    })
  })
  test('transform.sandbox is a command before its own', async () => {
    const one = pool({ concurrency: 1, sandbox: ['setpriv', '--no-new-privs', '--'] })
    await one.inspect(await jpeg(20, 20), 'jpeg')
    const [pid = 0] = children()
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^NoNewPrivs:\s1$/m)
    await one.close()
    expect(children()).toEqual([])
  })
  test('one that stays beside its child goes with it', async () => {
    const one = pool({ concurrency: 1, sandbox: ['/bin/sh', '-c', '"$0" "$@"; exit $?'] })
    await one.inspect(await jpeg(20, 20), 'jpeg')
    const beside = (): number =>
      readdirSync('/proc').filter((name) => {
        try {
          return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('/transform/worker')
        } catch {
          return false
        }
      }).length
    expect(beside()).toBeGreaterThanOrEqual(2)
    const before = beside()
    await one.close()
    await eventually(() => expect(beside()).toBeLessThanOrEqual(before - 2))
  })
  test.each([
    ['a command that is not there', ['/nowhere/bwrap']],
    ['one that refuses', ['/bin/sh', '-c', 'echo "no such luck" >&2; exit 3']],
  ])('%s: reported at the start, and on /ready', async (_name, sandbox) => {
    const logger = quietLogger()
    const { artwork, get, origin } = await startApp({ logger, transform: { isolate: true, sandbox } })
    await eventually(() => expect(logger.lines.join()).toMatch(/transform\.sandbox does not work/))
    if (sandbox.length > 1) expect(logger.lines.join()).toMatch(/exit code 3: no such luck/)
    const { url } = await listen(express().use(artwork.healthRouter))
    const ready = await fetch(`${url}/ready`)
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'failing', reasons: ['pictures cannot be decoded: transform.sandbox does not work'] },
    ])
    origin.serve('/t/p/w92/a.jpg', image(await jpeg(92, 138)))
    expect((await get('/images/poster/w92/a.jpg')).status).toBe(502)
  })
})

test('where no folder can be made, pictures are decoded all the same (mended 15)', async () => {
  const program = `import { createWorkerPool } from '#src/transform/worker-pool.js'
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const one = createWorkerPool({ ...${JSON.stringify({ ...bounds, logger: undefined })}, logger })
    const { width } = await one.inspect(Buffer.from('${(await quarters(9, 9).png().toBuffer()).toString('base64')}', 'base64'), 'png')
    console.log('done', width)`
  const said = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    env: { ...process.env, TMPDIR: '/nowhere' },
  })
  expect(said.toString()).toContain('done 9')
})

describe('the script of the child (mended 40)', () => {
  test('where it is not, that is reported at the start, on /ready, and pictures fail at once', async () => {
    const logger = quietLogger()
    const one = pool({ logger, script: undefined })
    expect(logger.lines.join()).toMatch(/script of the decoder is missing.*--external:express-artwork/)
    expect(one.trouble()).toMatch(/script of the decoder is missing/)
    await expect(one.inspect(await jpeg(20, 20), 'jpeg')).rejects.toMatchObject({ status: 502 })
  })
  test.each([
    ['throws', 'throw new Error("out of luck")', /exit code 1: [\s\S]*out of luck/],
    ['ends', 'process.exit(7)', /exit code 7/],
  ])('one that %s is logged with its exit code and what it said, once', async (_name, text, expected) => {
    const logger = quietLogger()
    const path = join(await temporaryFolder(), 'worker.mjs')
    writeFileSync(path, text)
    const one = pool({ logger, script: { path, execArgv: [], isConfinable: false } })
    const tries = [1, 2, 3].map(async () =>
      one.inspect(await jpeg(20, 20), 'jpeg').catch((error) => error.status),
    )
    expect(await Promise.all(tries)).toEqual([502, 502, 502])
    expect(logger.lines.filter((line) => /decoders do not start/.test(line))).toEqual([
      expect.stringMatching(expected),
    ])
    expect(one.trouble()).toBe('decoders do not start')
  })
  test('one whose packages are elsewhere runs unconfined, with a warning', async () => {
    const logger = quietLogger()
    const folder = await temporaryFolder()
    mkdirSync(join(folder, 'a', 'b'), { recursive: true })
    writeFileSync(join(folder, 'elsewhere.mjs'), 'export const here = true')
    const path = join(folder, 'a', 'b', 'worker.mjs')
    const real = findScript()?.path
    writeFileSync(path, `import '../../elsewhere.mjs'\nawait import(${JSON.stringify(real)})`)
    const one = pool({ logger, script: { path, execArgv: [], isConfinable: true } })
    expect((await one.inspect(await jpeg(20, 20), 'jpeg')).width).toBe(20)
    expect(logger.lines.filter((line) => /without the permission model/.test(line))).toHaveLength(1)
  })
})

test('over HTTP: a killed decoder and a hanging one cost their own requests a clear status, and no others', async () => {
  // Time for the others on a busy machine.
  const app = await startApp({ transform: { isolate: true, timeout: '8 s', concurrency: 2 } })
  // The same bytes would be made once, whatever they are called.
  for (let index = 0; index < 8; index += 1)
    app.origin.serve(`/t/p/w342/${index}.jpg`, image(await jpeg(900 + index, 900)))
  const get = (index: number) => app.get(`/images/poster/w342-webp/${index}.jpg`)
  expect((await get(0)).status).toBe(200)
  const [pid = 0] = children()
  process.kill(pid, 'SIGSTOP')
  const [hung, ...others] = await Promise.all([get(1), get(2), get(3), get(4)])
  const statuses = [hung, ...others].map((answer) => answer?.status)
  expect(statuses.filter((status) => status === 504)).toHaveLength(1)
  expect(statuses.filter((status) => status === 200)).toHaveLength(3)
  for (const child of children()) process.kill(child, 'SIGKILL')
  // Each of the two that were killed costs one job at most: the one that it was given before its end was heard of.
  for (const index of [5, 6]) expect([200, 502]).toContain((await get(index)).status)
  expect((await get(7)).status).toBe(200)
})

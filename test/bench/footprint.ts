/**
 * What an app with the toolkit costs before anybody asks for much: from spawn to the first answer beside an app with
 * Express, Nunjucks and sharp; how long a decoder takes to start beside a bare Node; CPU at rest; and the memory of all its
 * processes. Linux alone: memory and CPU are read from /proc. The package is measured as it is built.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createArtwork, tmdb } from 'express-artwork'
import { cpuMs, memory, started } from './processes.js'
import { median, PICTURE_PATH, webp16k } from './support.js'

const ROUNDS = 15
const SERVER = fileURLToPath(new URL('./footprint-server.mjs', import.meta.url))
const ORIGIN = fileURLToPath(new URL('./origin-server.ts', import.meta.url))
const WORKER = fileURLToPath(new URL('../../dist/transform/worker.js', import.meta.url))
/** Seconds for which CPU at rest is counted, after as many. */
const REST_SECONDS = Number(process.env.REST_SECONDS ?? 20)
/** A decoder without work ends after a minute. */
const UNTIL_DECODERS_END = 65_000

const folders: string[] = []
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  folders.push(folder)
  return folder
}

/** Starts an app, and resolves with its port when it says it. */
async function start(...args: readonly string[]): Promise<{ child: ChildProcess; port: number }> {
  const { child, line } = await started([SERVER, ...args])
  return { child, port: Number(line) }
}
const ask = (port: number, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path }, (res) => {
      res.resume()
      res.on('end', () => resolve(res.statusCode ?? 0))
    }).on('error', reject)
  })

/** Ms from spawn to the whole first answer. */
async function firstAnswer(path: string, ...args: readonly string[]): Promise<number> {
  const before = performance.now()
  const { child, port } = await start(...args)
  if ((await ask(port, path)) !== 200) throw new Error(`${path} was not answered: nothing is printed`)
  const ms = performance.now() - before
  child.kill('SIGKILL')
  await once(child, 'exit')
  return ms
}

async function benchFirstAnswer(): Promise<void> {
  const [empty, stored] = [await makeFolder(), await makeFolder()]
  const artwork = await createArtwork({ directory: stored, sources: [tmdb()] })
  await artwork.images.put('poster/w342/abc.webp', await webp16k())
  await artwork.close()
  const rounds: Record<'plain' | 'page' | 'picture', number[]> = { plain: [], page: [], picture: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.plain.push(await firstAnswer('/', 'plain', empty))
    rounds.page.push(await firstAnswer('/', 'toolkit', await makeFolder()))
    rounds.picture.push(await firstAnswer(PICTURE_PATH, 'toolkit', stored))
  }
  const plain = median(rounds.plain)
  const ratio = (name: 'page' | 'picture'): string => (median(rounds[name]) / plain).toFixed(2)
  console.log(
    `footprint: from spawn to the first answer: Express, Nunjucks and sharp ${Math.round(plain)} ms; a page of an app with the toolkit ${ratio('page')} of it; a stored picture ${ratio('picture')}`,
  )
}

/** Ms until a bare Node has ended, and until a decoder says that it is ready. */
async function benchDecoderStart(): Promise<void> {
  const rounds: { bare: number; decoder: number }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = performance.now()
    await once(spawn(process.execPath, ['-e', '0']), 'exit')
    const bare = performance.now() - before
    const child = fork(WORKER, [String(768 * 1024 ** 2)], { serialization: 'advanced', execArgv: [] })
    await once(child, 'message')
    rounds.push({ bare, decoder: performance.now() - before - bare })
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const ratio = median(rounds.map(({ bare, decoder }) => decoder / bare))
  console.log(`footprint: a decoder is ready after ${ratio.toFixed(1)} times what a bare node -e 0 takes`)
}

async function benchRest(): Promise<void> {
  const apps = [await start('plain', await makeFolder()), await start('toolkit', await makeFolder())]
  await sleep(REST_SECONDS * 1000)
  const before = apps.map(({ child }) => cpuMs(child.pid ?? 0))
  await sleep(REST_SECONDS * 1000)
  const [plain = 0, toolkit = 0] = apps.map(
    ({ child }, index) => (cpuMs(child.pid ?? 0) - (before[index] ?? 0)) / REST_SECONDS,
  )
  for (const { child } of apps) child.kill('SIGKILL')
  console.log(`footprint: CPU at rest: ${toolkit.toFixed(1)} ms a second, the plain app ${plain.toFixed(1)}`)
}

/** Asks for paths, so many at once, for some seconds, while memory is looked at. */
async function under(pid: number, port: number, seconds: number, pathOf: (index: number) => string) {
  const end = performance.now() + seconds * 1000
  let [count, most] = [0, memory(pid)]
  const one = async (): Promise<void> => {
    while (performance.now() < end) {
      count += 1
      const status = await ask(port, pathOf(count))
      if (status !== 200 && status !== 503) throw new Error(`an answer was ${status}: nothing is printed`)
    }
  }
  const watch = async (): Promise<void> => {
    while (performance.now() < end) {
      await sleep(250)
      const now = memory(pid)
      if (now.pss > most.pss) most = now
    }
  }
  await Promise.all([...Array.from({ length: 8 }, one), watch()])
  return most
}

async function benchMemory(): Promise<void> {
  const { child: origin, line: originPort } = await started(['--import', 'tsx', ORIGIN])
  const host = `127.0.0.1:${originPort}`
  const print = (what: string, { rss, pss, processes }: ReturnType<typeof memory>): void =>
    console.log(
      `footprint: ${what}: RSS ${Math.round(rss)} MB, PSS ${Math.round(pss)} MB, ${processes} processes`,
    )
  const plain = await start('plain', await makeFolder())
  await ask(plain.port, '/')
  await sleep(2000)
  print('Express, Nunjucks and sharp', memory(plain.child.pid ?? 0))
  plain.child.kill('SIGKILL')
  for (const workers of [1, 2]) {
    const { child, port } = await start('toolkit', await makeFolder(), String(workers), host)
    const pid = child.pid ?? 0
    const name = workers === 1 ? 'one process' : 'a cluster of two'
    await ask(port, '/')
    await sleep(2000)
    print(`${name}, idle`, memory(pid))
    const path = (index: number): string =>
      `/images/remote/w320-webp/${Buffer.from(`http://${host}/${workers}-${index}.jpg`).toString('base64url')}`
    print(`${name}, encoding`, await under(pid, port, 8, path))
    print(`${name}, serving`, await under(pid, port, 5, () => path(1)))
    await sleep(UNTIL_DECODERS_END)
    print(`${name}, at rest a minute later`, memory(pid))
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  origin.kill('SIGKILL')
}

/** Prints all of it. */
export async function benchFootprint(): Promise<void> {
  try {
    await benchFirstAnswer()
    await benchDecoderStart()
    await benchRest()
    await benchMemory()
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  }
}

/** Processes that tests start: what they print, where they serve, what they are ordered, and how they end. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'
import type { Orders } from '../fixtures/store.js'
import { atEnd, temporaryFolder } from './toolkit.js'

const root = new URL('../../', import.meta.url).pathname
const tsx = createRequire(import.meta.url).resolve('tsx')
type Environment = Readonly<Record<string, string>>

/** A process that was started. */
export interface Started {
  readonly child: ChildProcess
  /** What it wrote so far. */
  out(): string
  err(): string
  /** Its exit code, once it has ended and its output is read. */
  readonly ended: Promise<number | null>
  /** Sends a signal, SIGTERM unless another is named, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

const SERVER = 'test/fixtures/server.ts'
const EXAMPLE = 'example-app/main.ts'
let built: string | undefined

const BUILT = /^express-artwork-(\d+)$/
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
/** A worker of the test runner may be killed where it is done: what it left goes with the next one. */
function removeOld(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = BUILT.exec(name) ?? []
    if (pid !== undefined && !isRunning(Number(pid)))
      rmSync(join(folder, name), { recursive: true, force: true })
  }
}

/**
 * A package as the build makes it, of the sources as they are: what starts often starts from it, in a third of the time.
 * @returns its folder, which goes with this process
 */
function builtPackage(): string {
  if (built !== undefined) return built
  built = join(root, 'node_modules', '.cache', `express-artwork-${process.pid}`)
  const folder = built
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(folder, { recursive: true })
  removeOld(dirname(folder))
  execFileSync(process.execPath, ['.ci/bundle.mjs', join(folder, 'dist'), SERVER, EXAMPLE], { cwd: root })
  for (const name of ['package.json', 'views']) symlinkSync(join(root, name), join(folder, name))
  // What the example finds beside its script.
  for (const name of ['public', 'views'])
    symlinkSync(join(root, dirname(EXAMPLE), name), join(folder, 'dist', name))
  return folder
}

/** A script of the tests and all that it imports from here as one file of JavaScript, which starts in a quarter of the time. */
function bundle(script: string, outfile: string): string {
  buildSync({
    entryPoints: [join(root, script)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile,
  })
  return outfile
}

/** Such a file beside a built package, which is the toolkit that it imports. */
export const beside = (script: string): string =>
  bundle(script, join(builtPackage(), 'dist', `${basename(script, '.ts')}.js`))

/** What an import of the toolkit names in a module that such a process loads. */
export const toolkitModule = (): string => pathToFileURL(join(builtPackage(), 'dist', 'index.js')).href

/**
 * Runs a script from the root of the repository.
 * @param script its path: of sources from there, or of JavaScript
 * @param env the whole environment
 */
export function startScript(script: string, args: readonly string[], env: NodeJS.ProcessEnv): Started {
  const loaded = script.endsWith('.ts') ? ['--import', tsx] : []
  const child = spawn(process.execPath, [...loaded, resolve(root, script), ...args], { cwd: root, env })
  let [out, err] = ['', '']
  child.stdout.on('data', (piece) => {
    out += piece
  })
  child.stderr.on('data', (piece) => {
    err += piece
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return ended
  }
  return { child, out: () => out, err: () => err, ended, stop }
}

/** Where a process serves, from the line that says so. @throws Error when it ends before */
function urlOf({ child, out, err, ended }: Started, line: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', () => {
      const [, url] = line.exec(out()) ?? []
      if (url !== undefined) resolve(url)
    })
    void ended.then(() => reject(new Error(`the process ended: ${out()}${err()}`)))
  })
}

const withPath = (env: Environment): Environment => ({ PATH: process.env.PATH ?? '', ...env })
const SERVES = /serves at (http:\S+)\n/

const cliScript = (): string => join(builtPackage(), 'dist', 'cli', 'main.js')

/** Runs the command line until it ends. */
export async function runCli(
  args: readonly string[],
  env: Environment = {},
): Promise<{ code: number | null; out: string; err: string }> {
  const started = startScript(cliScript(), args, withPath(env))
  const code = await started.ended
  return { code, out: started.out(), err: started.err() }
}

/** A process that serves. */
export interface Service extends Started {
  readonly url: string
}

/** Starts `express-artwork serve`; it ends with the test. */
export async function startService(
  env: Environment = {},
  args: readonly string[] = [],
): Promise<Service & { readonly directory: string }> {
  const directory = env.ARTWORK_DIRECTORY ?? (await temporaryFolder())
  const own = { ARTWORK_DIRECTORY: directory, PORT: '0', HOST: '127.0.0.1', ...env }
  return { ...(await serving(cliScript(), ['serve', ...args], own)), directory }
}

/** Starts an app on a module of options; it ends with the test. */
export const startServer = (config: string, env: Environment): Promise<Service> =>
  serving(join(builtPackage(), 'dist', 'server.js'), [config], env)

async function serving(script: string, args: readonly string[], env: Environment): Promise<Service> {
  const started = startScript(script, args, withPath(env))
  atEnd(() => started.stop('SIGKILL'))
  return { ...started, url: await urlOf(started, SERVES) }
}

/** Pictures of the example that it draws at its first start, which takes several seconds. */
const DRAWN = ['cdn', 'house']

/** Starts the example app, with pictures that an earlier one has drawn, and quick AVIFs. A second signal ends it at once. */
export async function startExample(env: Environment & { readonly DATA_DIR: string }): Promise<Service> {
  const [from, to] = [join(builtPackage(), 'drawn'), env.DATA_DIR]
  const copy = (source: string, target: string): void => {
    if (existsSync(target) || !existsSync(source)) return
    cpSync(source, target, { recursive: true, preserveTimestamps: true })
  }
  for (const name of DRAWN) copy(join(from, name), join(to, name))
  const started = startScript(join(builtPackage(), 'dist', 'main.js'), [], {
    ...process.env,
    AVIF_EFFORT: '0',
    ...env,
  })
  const url = await urlOf(started, /An evening in: (http:\/\/\S+)/)
  for (const name of DRAWN) copy(join(to, name), join(from, name))
  return { ...started, url }
}

/** A port that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

/** What a process can be ordered to do. */
type Verbs<O> = { readonly [K in keyof O]: (...args: never[]) => Promise<unknown> }

/** A process that does what it is ordered. */
export interface OrderedProcess<O extends Verbs<O>> {
  /** Gives an order. @throws Error when it fails, or the process dies over it */
  order<K extends keyof O>(verb: K, ...args: Parameters<O[K]>): Promise<Awaited<ReturnType<O[K]>>>
  /** Stops it where it stands, and lets it go on. */
  freeze(): void
  thaw(): void
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
}

/** One with a store. */
export type StoreProcess = OrderedProcess<Orders>

/** Such a file where it finds its packages. */
const bundled = (script: string): string =>
  bundle(script, join(root, 'node_modules', '.cache', `${basename(script, '.ts')}-${process.pid}.mjs`))

function startOrdered<O extends Verbs<O>>(script: string): Promise<OrderedProcess<O>> {
  const child = fork(script, [], {
    execArgv: script.endsWith('.ts') ? ['--import', tsx] : [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  const gone = once(child, 'exit')
  let count = 0
  const died = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('the process is gone'))
    waiting.clear()
  }
  void gone.then(died)
  const self: OrderedProcess<O> = {
    order: (verb, ...args) =>
      new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error('the process is gone'))
        count += 1
        waiting.set(count, { resolve, reject })
        child.send({ id: count, verb, args }, (error) => error && reject(error))
      }),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: async () => {
      child.kill('SIGKILL')
      await gone
      died()
    },
  }
  return new Promise((resolve, reject) => {
    void gone.then(() => reject(new Error('the process did not start')))
    child.on('message', (message: { id: number; result?: unknown; error?: string }) => {
      if (message.id === 0) return resolve(self)
      const order = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.error === undefined) order?.resolve(message.result as never)
      else order?.reject(new Error(message.error))
    })
  })
}

/**
 * Hands out processes that do what they are ordered (see `test/fixtures/handle-orders.ts`), and keeps some started
 * beforehand.
 * @param script what they run, sources by their path from the root, or JavaScript; a store, where none is named
 */
export function createFleet<O extends Verbs<O> = Orders>(standby: number, script?: string) {
  const file = script === undefined ? bundled('test/fixtures/store.ts') : resolve(root, script)
  const ready: Promise<OrderedProcess<O>>[] = []
  const all: Promise<OrderedProcess<O>>[] = []
  let ended = false
  const begin = (): Promise<OrderedProcess<O>> => {
    const one = startOrdered<O>(file)
    one.catch(() => {})
    all.push(one)
    return one
  }
  const fill = (): void => {
    while (!ended && ready.length < standby) ready.push(begin())
  }
  fill()
  return {
    take: async (): Promise<OrderedProcess<O>> => {
      fill()
      const one = ready.shift() ?? begin()
      fill()
      return one
    },
    end: async (): Promise<void> => {
      ended = true
      await Promise.allSettled(all.map(async (one) => (await one).kill()))
      if (script === undefined) await rm(file, { force: true })
    },
  }
}

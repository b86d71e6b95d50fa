/**
 * How a decoding child is started: with which script, what it may read, and what it knows of its surroundings. A child that
 * ends before it is there is started once more to be listened to, since the others have nothing to speak to.
 */
import { type ChildProcess, fork } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { digestOf } from '../model/digest.js'

/** How children are started. */
export interface ChildOptions {
  /** A command before the child's own, with its arguments; empty for none. */
  readonly sandbox: readonly string[]
  /** Bytes of memory that a child may have. */
  readonly maxMemory: number
}

/** What there is to start. */
export interface Script {
  readonly path: string
  readonly execArgv: readonly string[]
  /** Whether what it needs can be told, so that it may be confined to that. */
  readonly isConfinable: boolean
}

/**
 * All that a child knows of its surroundings: nothing of the app's environment, in which there are tokens, keys and
 * passwords. Systems need a few names to start a process at all.
 */
const ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  ['SystemRoot', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'FONTCONFIG_PATH', 'TZ']
    .map((name) => [name, process.env[name]] as const)
    .filter(([, value]) => value !== undefined),
)
/** What of esbuild is used, which is there where the sources are. */
interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): {
    readonly outputFiles: readonly { readonly contents: Uint8Array }[]
  }
}

/** Packages that the script needs. */
const NEEDED = ['sharp', 'mime-types']
/** So much is kept of what a child says, characters. */
const MOST_WORDS = 4000
/** A child that is listened to has said what it has to say by then, ms. */
const LISTEN_FOR = 15_000

/**
 * The script of the child; undefined where it is not beside this file, as in a bundle. Built, it is JavaScript; from sources
 * (tests, the example) it is put together first, so that it is as confined there.
 */
export function findScript(url: string | undefined = import.meta.url): Script | undefined {
  if (url === undefined || !url.startsWith('file:')) return undefined
  const own = fileURLToPath(url)
  // What else is called so is somebody else's.
  if (!/^child-command\.[jt]s$/.test(basename(own)) || basename(dirname(own)) !== 'transform')
    return undefined
  const isBuilt = own.endsWith('.js')
  const path = join(dirname(own), isBuilt ? 'worker.js' : 'worker.ts')
  if (!existsSync(path)) return undefined
  if (isBuilt) return { path, execArgv: [], isConfinable: true }
  const made = fromSources(path)
  if (made !== undefined) return { path: made, execArgv: [], isConfinable: true }
  const loader = pathToFileURL(createRequire(url).resolve('tsx')).href
  return { path, execArgv: ['--import', loader], isConfinable: false }
}

/** The script made of its sources, beside the packages that it needs; undefined where that cannot be. */
function fromSources(path: string): string | undefined {
  try {
    const require = createRequire(path)
    const { buildSync } = require('esbuild') as Bundler
    const { outputFiles } = buildSync({
      entryPoints: [path],
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      packages: 'external',
    })
    const text = outputFiles[0]?.contents ?? new Uint8Array()
    const hash = digestOf(text).slice(0, 16)
    const packages = join(placesOf('esbuild', path).at(-1) ?? '', '..')
    const folder = join(packages, '.cache', 'express-artwork', 'transform')
    const file = join(folder, `worker-${hash}.mjs`)
    if (existsSync(file)) return file
    mkdirSync(folder, { recursive: true })
    writeFileSync(`${file}.${process.pid}`, text)
    renameSync(`${file}.${process.pid}`, file)
    return file
  } catch {
    return undefined
  }
}

/** Where a package is, by the rules of Node, and before it where it is looked for in vain; empty where it is not. */
function placesOf(name: string, from: string): readonly string[] {
  const places: string[] = []
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    places.push(place)
    if (existsSync(join(place, 'package.json'))) return places
    if (folder === dirname(folder)) return []
  }
}

/** Where packages, and everything that they need, are looked for and found, by the names that they are reached by. */
function foldersOf(names: readonly string[], from: string, found = new Set<string>()): ReadonlySet<string> {
  for (const name of names) {
    const places = placesOf(name, from)
    const folder = places.at(-1)
    // Of the builds for other systems only one is there.
    if (folder === undefined) continue
    const isNew = !found.has(folder)
    // Node 20 may not even look where nothing is.
    for (const place of places) found.add(place)
    if (!isNew) continue
    const real = realpathSync(folder)
    found.add(real)
    const manifest = join(real, 'package.json')
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'))
    foldersOf([...Object.keys(dependencies), ...Object.keys(optionalDependencies)], manifest, found)
  }
  return found
}

/**
 * The flags of Node's permission model (`--permission`, experimental in Node 20) for a script: it reads itself and the
 * packages that it needs, writes nothing, starts nothing. It binds JavaScript and not what libvips does.
 * @param isBroad also what lies beside those packages: early versions of Node 20 find none otherwise
 */
export function confinement(script: Script, isBroad = false): readonly string[] {
  const flag = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission'
  const own = dirname(dirname(script.path))
  const needed = [...foldersOf(NEEDED, script.path)]
  const beside = isBroad ? needed.map((path) => path.replace(/([\\/]node_modules)[\\/].*$/, '$1')) : []
  const folders = [own, realpathSync(own), ...needed, ...beside]
  // Node 20 cannot hold a path and what it begins with.
  const sorted = [...new Set(folders)].sort((a, b) => a.length - b.length)
  const least = sorted.filter(
    (path, index) => !sorted.slice(0, index).some((other) => path.startsWith(other)),
  )
  return [flag, '--allow-addons', '--no-warnings', ...least.map((path) => `--allow-fs-read=${path}*`)]
}

/** Whether this Node cannot tell a folder from what is in it: its first versions with the model. */
export const IS_BROAD = /^20\.1\d\./.test(process.versions.node)

/** An empty folder of our own, that goes with this process. */
function makeEmptyFolder(script: Script): string {
  let folder: string
  try {
    folder = mkdtempSync(join(tmpdir(), 'artwork-decoder-'))
  } catch {
    // Where nothing can be written, it is where it may read anyway.
    return dirname(script.path)
  }
  process.once('exit', () => {
    try {
      rmdirSync(folder)
    } catch {
      // It is not ours any more.
    }
  })
  return folder
}
let emptyFolder: string | undefined

/** A command as our own environment finds it: the child's has no search path. */
function commandOf(name: string): string {
  if (name.includes('/')) return name
  const places = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, name))
  return places.find((place) => existsSync(place)) ?? name
}

/** Starts a child. @param flags what confines it @param isHeard whether what it says to its error output is read */
export function startChild(
  script: Script,
  { sandbox, maxMemory }: ChildOptions,
  flags: readonly string[],
  isHeard = false,
): ChildProcess {
  if (emptyFolder === undefined || !existsSync(emptyFolder)) emptyFolder = makeEmptyFolder(script)
  const [name, ...args] = sandbox
  const command = name === undefined ? undefined : commandOf(name)
  return fork(script.path, [String(maxMemory)], {
    ...(command !== undefined && { execPath: command, detached: true }),
    execArgv: [...(command === undefined ? [] : [...args, process.execPath]), ...flags, ...script.execArgv],
    env: ENVIRONMENT,
    // Relative paths lead to nothing.
    cwd: emptyFolder,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', isHeard ? 'pipe' : 'ignore', 'ipc'],
  })
}

/** Kills a child, with whatever its sandbox has put around it. */
export function killChild(child: ChildProcess, { sandbox }: Pick<ChildOptions, 'sandbox'>): void {
  try {
    if (sandbox.length > 0 && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has gone, or has a group of its own.
  }
  child.kill('SIGKILL')
}

/** What becomes of a start: `ready`, or how it ended and what it said. */
export type Outcome = 'ready' | { readonly ended: string; readonly said: string }

/** Starts a child to see what becomes of it; it does nothing else. */
export function tryStart(script: Script, options: ChildOptions, flags: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = startChild(script, options, flags, true)
    let said = ''
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer)
      killChild(child, options)
      resolve(outcome)
    }
    const timer = setTimeout(() => settle({ ended: 'it did not say that it is there', said }), LISTEN_FOR)
    child.stderr?.on('data', (piece) => {
      said = `${said}${piece}`.slice(0, MOST_WORDS)
    })
    child.on('message', (message) => message === 'ready' && settle('ready'))
    child.on('error', (error) => settle({ ended: error.message, said }))
    // Its output may come later than its end.
    child.on('close', (code, signal) => settle({ ended: `exit code ${code ?? signal}`, said: said.trim() }))
  })
}

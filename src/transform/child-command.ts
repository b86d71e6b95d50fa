/**
 * How a decoding child is started: with which script, what it may read, and in which environment. After a failed start one
 * more child is started with its error output read.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ArtworkError } from '../model/failure.js'
import { type ChildScript, findChildScript } from '../package-files.js'
import { killWorker } from './kill-worker.js'

/** How children are started. */
export interface ChildOptions {
  /** A command before the child's own, with its arguments; empty for none. */
  readonly sandbox: readonly string[]
  /** Bytes of memory that a child may have. */
  readonly maxMemory: number
}

/** A child's environment: without the app's variables, which hold secrets, and with those that systems need to start it. */
const ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  ['SystemRoot', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'FONTCONFIG_PATH', 'TZ']
    .map((name) => [name, process.env[name]] as const)
    .filter(([, value]) => value !== undefined),
)
/** Packages that the script needs. */
const NEEDED = ['sharp', 'mime-types', 'thumbhash']
/** Characters of a child's error output that are read. */
const MAX_OUTPUT = 4000
/** Ms in which a diagnosed child must be ready. */
const DIAGNOSE_FOR = 15_000

/** The script of the child; undefined where it is not beside this code, as in a bundle. */
export const findScript = (): ChildScript | undefined => findChildScript('transform/worker')

/** Every path at which Node looks for a package, the last where it is; empty where it is not installed. */
function placesOf(name: string, from: string): readonly string[] {
  const places: string[] = []
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    places.push(place)
    if (existsSync(join(place, 'package.json'))) return places
    if (folder === dirname(folder)) return []
  }
}

/** The folders of packages and of all that they depend on, with every path at which Node looks for them. */
function foldersOf(names: readonly string[], from: string, found = new Set<string>()): ReadonlySet<string> {
  for (const name of names) {
    const places = placesOf(name, from)
    const folder = places.at(-1)
    // Of the builds for other systems only one is there.
    if (folder === undefined) continue
    const isNew = !found.has(folder)
    // Node 20 needs permission to look even where nothing is.
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
export function confinement(script: ChildScript, isBroad = false): readonly string[] {
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

/** Whether this Node needs the broad flags: the first versions with the model. */
export const IS_BROAD = /^20\.1\d\./.test(process.versions.node)

/** An empty folder, removed with this process. */
function makeEmptyFolder(script: ChildScript): string {
  let folder: string
  try {
    folder = mkdtempSync(join(tmpdir(), 'artwork-decoder-'))
  } catch {
    // Where nothing can be written: a folder that it may read anyway.
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

/** A command found by our own PATH: the child has none. */
function commandOf(name: string): string {
  if (name.includes('/')) return name
  const places = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, name))
  return places.find((place) => existsSync(place)) ?? name
}

/**
 * Starts a child. @param flags of the permission model @param isHeard whether its error output is read
 * @throws ArtworkError `unavailable` (503) while no file can be opened
 */
export function startChild(
  script: ChildScript,
  { sandbox, maxMemory }: ChildOptions,
  flags: readonly string[],
  isHeard = false,
): ChildProcess {
  if (emptyFolder === undefined || !existsSync(emptyFolder)) emptyFolder = makeEmptyFolder(script)
  const [name, ...args] = sandbox
  const command = name === undefined ? undefined : commandOf(name)
  const child = fork(script.path, [String(maxMemory)], {
    ...(command !== undefined && { execPath: command, detached: true }),
    execArgv: [...(command === undefined ? [] : [...args, process.execPath]), ...flags, ...script.execArgv],
    env: ENVIRONMENT,
    // Relative paths lead to nothing.
    cwd: emptyFolder,
    serialization: 'advanced',
    // The last one is INPUT_PIPE.
    stdio: ['ignore', 'ignore', isHeard ? 'pipe' : 'ignore', 'ipc', 'pipe'],
  })
  // Without descriptors for its pipes Node gives a child that was never started, and says so later.
  if (child.stdio === undefined) {
    child.on('error', () => {})
    throw new ArtworkError('unavailable', 'too many files are open', { retryAfter: 2 })
  }
  return child
}

/** The outcome of a start: `ready`, or how it ended and its error output. */
export type Outcome = 'ready' | { readonly ended: string; readonly said: string }

/** Starts a child for diagnosis only. */
export function tryStart(
  script: ChildScript,
  options: ChildOptions,
  flags: readonly string[],
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = startChild(script, options, flags, true)
    let said = ''
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer)
      killWorker(child, options)
      resolve(outcome)
    }
    const timer = setTimeout(() => settle({ ended: 'it did not say that it is there', said }), DIAGNOSE_FOR)
    child.stderr?.on('data', (piece) => {
      said = `${said}${piece}`.slice(0, MAX_OUTPUT)
    })
    child.on('message', (message) => message === 'ready' && settle('ready'))
    child.on('error', (error) => settle({ ended: error.message, said }))
    // Its output may come later than its end.
    child.on('close', (code, signal) => settle({ ended: `exit code ${code ?? signal}`, said: said.trim() }))
  })
}

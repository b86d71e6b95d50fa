/** Where files of this package lie beside its code: templates, and the scripts of child processes. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { digestOf } from './model/digest.js'
import { ArtworkError, codeOf } from './model/failure.js'

/** Code lies one folder below the package, as sources and as built. Undefined in a bundle that does not know its file. */
const ownUrl: string | undefined = import.meta.url

/** Descriptors that must be free before a package is loaded. */
const FREE_FILES = 8

/**
 * @throws ArtworkError `unavailable` (503) while files cannot be opened: what Node could not read then, it takes for missing
 * ever after
 */
export function checkFreeFiles(): void {
  const opened: number[] = []
  try {
    for (let count = 0; count < FREE_FILES; count += 1)
      opened.push(openSync(packagePath('package.json'), 'r'))
  } catch (error) {
    if (codeOf(error) === 'EMFILE' || codeOf(error) === 'ENFILE')
      throw new ArtworkError('unavailable', 'too many files are open', { retryAfter: 2, cause: error })
  } finally {
    for (const file of opened) closeSync(file)
  }
}

/**
 * Loads a package when it is needed first, and synchronously, so that nothing else can take the last descriptor meanwhile.
 * A bundler does not see it.
 * @throws ArtworkError `unavailable` (503) while files cannot be opened, else what `require` throws
 */
export function requirePackage<T>(name: string): T {
  const known = required.get(name)
  if (known !== undefined) return known as T
  checkFreeFiles()
  const loaded: unknown = createRequire(packagePath('package.json'))(name)
  required.set(name, loaded)
  return loaded as T
}
const required = new Map<string, unknown>()

/** Ms after which packages are loaded that the first miss needs: neither the first answer nor a miss waits for them. */
const LOAD_AFTER = 1000
/** What fetching needs. */
const NEEDED_LATER = ['cockatiel', 'http-cache-semantics']

/** Loads them when the app has started; what cannot be loaded is tried again when it is needed. */
export function loadPackagesLater(): void {
  setTimeout(() => {
    for (const name of NEEDED_LATER)
      try {
        requirePackage(name)
      } catch {
        // Whoever needs it says so.
      }
  }, LOAD_AFTER).unref()
}

/** @throws Error in a bundle that does not know where it is */
export function packagePath(path: string): string {
  if (ownUrl !== undefined) return fileURLToPath(new URL(`../${path}`, ownUrl))
  throw new Error(
    'express-artwork cannot be part of a CommonJS bundle: leave it out (esbuild: --external:express-artwork)',
  )
}

/** What package.json says; undefined where the file that lies there is not ours, as in a bundle. */
export function readManifest(): Readonly<Record<string, unknown>> | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(packagePath('package.json'), 'utf8'))
    const isOurs =
      typeof manifest === 'object' &&
      manifest !== null &&
      'name' in manifest &&
      manifest.name === 'express-artwork'
    return isOurs ? (manifest as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** The version of this package; 0 in a bundle that does not know it. */
export const packageVersion = (): string => String(readManifest()?.version ?? '0')

/** A script of this package for a child process. */
export interface ChildScript {
  readonly path: string
  readonly execArgv: readonly string[]
  /** Whether the files that it needs are known, so that it may be confined to them. */
  readonly isConfinable: boolean
}

/**
 * Finds a script by its path without extension; undefined where it is not beside this code, as in a bundle. From sources
 * (tests, the example) it is bundled first, so that it starts as fast, and may be confined, as what is built.
 */
export function findChildScript(name: string): ChildScript | undefined {
  if (ownUrl === undefined || !ownUrl.startsWith('file:') || readManifest() === undefined) return undefined
  const isBuilt = !ownUrl.endsWith('.ts')
  const path = fileURLToPath(new URL(`./${name}.${isBuilt ? 'js' : 'ts'}`, ownUrl))
  if (!existsSync(path)) return undefined
  const whole = isBuilt ? path : bundledScript(name, path)
  if (whole !== undefined) return { path: whole, execArgv: [], isConfinable: true }
  const loader = createRequire(packagePath('package.json')).resolve('tsx')
  return { path, execArgv: ['--import', pathToFileURL(loader).href], isConfinable: false }
}

/** The part of esbuild that is used; it is installed where the sources are. */
interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): {
    readonly outputFiles: readonly { readonly contents: Uint8Array }[]
  }
}

/** Scripts that this process has bundled, by their sources. */
const bundled = new Map<string, string>()

/** A script made of its sources, beside the packages that it needs; undefined where that cannot be. */
function bundledScript(name: string, path: string): string | undefined {
  const known = bundled.get(path)
  if (known !== undefined && existsSync(known)) return known
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
    const packages = join(dirname(require.resolve('esbuild/package.json')), '..')
    const file = join(packages, '.cache/express-artwork', `${name}-${digestOf(text).slice(0, 16)}.mjs`)
    if (!existsSync(file)) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(`${file}.${process.pid}`, text)
      renameSync(`${file}.${process.pid}`, file)
    }
    bundled.set(path, file)
    return file
  } catch {
    return undefined
  }
}

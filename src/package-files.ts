/** Where files of this package lie beside its code: templates, and the scripts of child processes. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
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
/** What fetching and storing need. */
const NEEDED_LATER = ['cockatiel', 'http-cache-semantics', 'cacache']

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

/** A script of this package for a child process. */
export interface OwnScript {
  readonly path: string
  /** Whether it is JavaScript. From sources it needs a loader, or to be bundled. */
  readonly isBuilt: boolean
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

/** Finds a script by its path without extension; undefined where it is not beside this code, as in a bundle. */
export function findOwnScript(name: string): OwnScript | undefined {
  if (ownUrl === undefined || !ownUrl.startsWith('file:') || readManifest() === undefined) return undefined
  const isBuilt = !ownUrl.endsWith('.ts')
  const path = fileURLToPath(new URL(`./${name}.${isBuilt ? 'js' : 'ts'}`, ownUrl))
  return existsSync(path) ? { path, isBuilt } : undefined
}

/** What Node needs to run scripts from their sources. */
export const sourceLoader = (): readonly string[] => [
  '--import',
  pathToFileURL(createRequire(packagePath('package.json')).resolve('tsx')).href,
]

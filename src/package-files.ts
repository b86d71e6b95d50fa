/** Where files of this package lie beside its code: templates, and the scripts of child processes. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Code lies one folder below the package, as sources and as built. Undefined in a bundle that does not know its file. */
const ownUrl: string | undefined = import.meta.url

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

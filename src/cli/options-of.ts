/** The options of the app that a command is about: from a module, or from the environment. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import type { ArtworkOptions } from '../options/artwork-options.js'
import { optionsFromEnv } from '../options/env.js'
import { clusterFromEnv } from './cluster-options.js'

/** What every command takes. */
export interface Common {
  /** A module whose default export is the app's options, or a function that gives them. */
  readonly config?: string | undefined
  readonly envFile?: string | undefined
  readonly json?: boolean | undefined
}

/** The variables of a file under those of the environment. @throws Error when the file cannot be read */
export function environment(
  envFile: string | undefined,
  own: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, string | undefined>> {
  if (envFile === undefined) return own
  let text: string
  try {
    text = readFileSync(envFile, 'utf8')
  } catch (error) {
    throw new Error(`--env-file must be a file that can be read, got ${JSON.stringify(envFile)}`, {
      cause: error,
    })
  }
  return { ...parseEnv(text), ...own }
}

/** The options of the app that the command is about. @throws Error that names what cannot be read */
export async function optionsOf(
  { config, envFile }: Common,
  own: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ArtworkOptions> {
  if (config === undefined) {
    const env = environment(envFile, own)
    return { ...optionsFromEnv(env), ...(await clusterFromEnv(env)) }
  }
  const loaded: unknown = await import(pathToFileURL(resolve(config)).href).catch((error: unknown) => {
    throw new Error(
      `--config must be a module that can be loaded, got ${JSON.stringify(config)}: ${String(error)}`,
    )
  })
  const given =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined
  const options: unknown = typeof given === 'function' ? await given() : given
  if (typeof options !== 'object' || options === null)
    throw new Error(`--config must have a default export: the options, or a function that gives them`)
  return options as ArtworkOptions
}

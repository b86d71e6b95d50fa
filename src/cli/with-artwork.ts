/** The toolkit as a command uses it: with the app's options, beside its servers or without one. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Artwork, type ArtworkOptions, createArtwork, optionsFromEnv } from '../index.js'
import { SCHEDULED_KINDS } from '../model/job-kinds.js'
import { printError } from './output.js'
import { environment } from './serve.js'

/** What every command takes. */
export interface Common {
  /** A module whose default export is the app's options, or a function that gives them. */
  readonly config?: string | undefined
  readonly envFile?: string | undefined
  readonly json?: boolean | undefined
}

const quiet = {
  debug() {},
  info() {},
  warn() {},
  error: (fields: object, message?: string) =>
    printError(`${message ?? ''} ${'err' in fields ? String(fields.err) : ''}`),
}
/** The options of the app that the command is about. @throws Error that names what cannot be read */
async function optionsOf({ config, envFile }: Common): Promise<ArtworkOptions> {
  if (config === undefined) return optionsFromEnv(environment(envFile))
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

/** What a command needs beside the toolkit. */
interface Needs {
  /** Schedules are to be shown. They begin nothing: only what is started does. */
  readonly withSchedules?: boolean
}

/** Runs a command with the toolkit, and closes it. */
export async function withArtwork<T>(
  common: Common,
  work: (artwork: Artwork, options: ArtworkOptions) => Promise<T>,
  { withSchedules = false }: Needs = {},
): Promise<T> {
  // Schedules, and the export that follows the store, are the servers'.
  const schedules = Object.fromEntries(SCHEDULED_KINDS.map((kind) => [kind, false]))
  const options = await optionsOf(common)
  const artwork = await createArtwork({
    logger: quiet,
    ...options,
    ...(!withSchedules && { schedules }),
    export: {},
  })
  try {
    return await work(artwork, options)
  } finally {
    await artwork.close()
  }
}

/** The toolkit as a command uses it: with the app's options, beside its servers or without one. */
import { type Artwork, type ArtworkOptions, createArtwork } from '../index.js'
import { SCHEDULED_KINDS } from '../model/job-kinds.js'
import { type Common, optionsOf } from './options-of.js'
import { printError } from './output.js'

const quiet = {
  debug() {},
  info() {},
  warn() {},
  error: (fields: object, message?: string) =>
    printError(`${message ?? ''} ${'err' in fields ? String(fields.err) : ''}`),
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

/** What `doctor` looks at: the options of an app, its directory, and the machine. */
import { existsSync, type StatsFs } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import type { ArtworkOptions } from '../../options/artwork-options.js'
import { type Settings, settleOptions } from '../../options/settings.js'
import { isUploadSource } from '../../sources/uploads.js'
import { type Common, environment, optionsOf } from '../options-of.js'
import { type Finding, findings, reasonOf, within } from './finding.js'

/** Ms in which a module of options must have come. */
const LOAD_WITHIN = 15_000

/** What the command takes. */
export interface DoctorOptions extends Common {
  /** In place of the directory of the options. */
  readonly directory?: string | undefined
  readonly offline?: boolean | undefined
}

/** A file system, as `statfs` has it. */
export type FileSystem = Pick<StatsFs, 'type' | 'bsize' | 'bavail' | 'files' | 'ffree'>

/** What is asked of the machine. */
export interface Machine {
  readonly nodeVersion: string
  readonly cores: number
  /** Bytes that this process may have. */
  readonly memory: number
  readonly env: Readonly<Record<string, string | undefined>>
  now(): number
  fileSystem(path: string): Promise<FileSystem>
}

/** The memory of the machine, or of the container where that has less. */
function memoryOf(): number {
  const bound = process.constrainedMemory()
  return bound !== undefined && bound > 0 ? Math.min(bound, totalmem()) : totalmem()
}

/** This machine. */
export const thisMachine = (): Machine => ({
  nodeVersion: process.versions.node,
  cores: availableParallelism(),
  memory: memoryOf(),
  env: process.env,
  now: Date.now,
  fileSystem: (path) => statfs(path),
})

/** See the top of the file. */
export interface Subject {
  /** The app's; where those are wrong, the defaults. */
  readonly settings: Settings
  /** Whether the settings are the app's. */
  readonly isSettled: boolean
  /** Undefined where nobody says which. */
  readonly directory: string | undefined
  /** Where uploads are stored, and whether that folder is the toolkit's own; undefined where there are none. */
  readonly uploads: { readonly directory: string; readonly isOwn: boolean } | undefined
  readonly machine: Machine
}

/** Reads the options. What is wrong with them is a finding, and the rest is looked at all the same. */
export async function findSubject(
  options: DoctorOptions,
  machine: Machine,
): Promise<{ readonly subject: Subject; readonly found: readonly Finding[] }> {
  const { ok, error } = findings('options')
  const from = options.config ?? (options.envFile === undefined ? 'the environment' : options.envFile)
  let given: ArtworkOptions | undefined
  let settings: Settings | undefined
  let found: Finding
  try {
    given = await within(LOAD_WITHIN, () => optionsOf(options, machine.env))
    settings = settleOptions(given)
    found = ok(`read from ${from}`)
  } catch (thrown) {
    found = error(reasonOf(thrown), `correct what is named here, in ${from}; the app does not start with it`)
  }
  const directory = options.directory ?? directoryIn(given, options, machine)
  const settled = settings ?? settleOptions()
  return {
    found: [found],
    subject: {
      settings: settled,
      isSettled: settings !== undefined,
      directory: directory === undefined ? undefined : resolve(directory),
      uploads: directory === undefined ? undefined : uploadsOf(settled, resolve(directory)),
      machine,
    },
  }
}

/** The directory that the options name, also where something else in them is wrong. */
function directoryIn(
  given: ArtworkOptions | undefined,
  { config, envFile }: DoctorOptions,
  { env }: Machine,
): string | undefined {
  const usual = settleOptions().directory
  if (given !== undefined)
    return typeof given.directory === 'string' && given.directory !== '' ? given.directory : usual
  if (config !== undefined) return undefined
  try {
    return environment(envFile, env).ARTWORK_DIRECTORY || usual
  } catch {
    return undefined
  }
}

function uploadsOf({ sources }: Settings, directory: string): Subject['uploads'] {
  const source = sources.find(isUploadSource)
  const inside = join(directory, 'uploads')
  const given = source?.uploads.directory
  if (given !== undefined) return { directory: resolve(given), isOwn: false }
  // What is there is looked at, whatever the options say.
  return source === undefined && !existsSync(inside) ? undefined : { directory: inside, isOwn: true }
}

/** The command of each job kind: its arguments, its options and its help. */
import { resolve } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { JobKind } from '../index.js'

/** How a job is started at the command line. */
export interface JobCommand {
  readonly argument?: string
  readonly description: string
  readonly examples: readonly string[]
  readonly options?: readonly Option[]
  /** The options of the job, by the arguments; those of the command are added. */
  payload?(given: readonly string[]): object
}

const number = (text: string): number => {
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new InvalidArgumentError('must be a number')
  return Number(text)
}
const kinds = (given: readonly string[]): object => (given.length > 0 ? { kinds: given } : {})
const directory = ([given = '']: readonly string[]): object => ({ directory: resolve(given) })

/** By the kind of job. */
export const JOB_COMMANDS: Readonly<Record<JobKind, JobCommand>> = {
  sync: {
    argument: '[kinds...]',
    description:
      "Fetch the pictures of the repository's entities that are missing, changed, or failed and due",
    examples: ['sync --config artwork.config.mjs', 'sync artist album --config artwork.config.mjs'],
    options: [new Option('--force', 'also what is stored and unchanged')],
    payload: kinds,
  },
  refresh: {
    description: 'Ask about originals that have aged, those used most lately first',
    examples: ['refresh --per-minute 60'],
    options: [new Option('--per-minute <number>', 'how many at most').argParser(number)],
  },
  validate: {
    argument: '[kinds...]',
    description: 'Ask whether the source URLs of entities still answer with an image',
    examples: ['validate artist --config artwork.config.mjs'],
    payload: kinds,
  },
  warm: {
    argument: '<addresses...>',
    description: 'Make variants of pictures before anybody asks',
    examples: [
      'warm poster/abc.jpg --variant w342-webp w780-webp',
      'warm https://cdn.example.com/abc.jpg --variant w320-webp --config artwork.config.mjs',
    ],
    options: [new Option('--variant <variants...>', 'variants of each; without, the addresses are whole')],
    payload: (addresses) => ({ addresses }),
  },
  cleanup: {
    description: 'Remove what was not used for long, orphans and damaged copies',
    examples: ['cleanup --dry-run', 'cleanup --max-age-days 30'],
    options: [
      new Option('--dry-run', 'remove nothing, and say the same'),
      new Option('--max-age-days <number>', 'days without use (90)').argParser(number),
      new Option('--force', 'also the pictures of a kind of which no entity is left'),
    ],
  },
  verify: {
    description: 'Read everything that is stored against its digest, and repair what is found',
    examples: ['verify'],
  },
  export: {
    argument: '<directory>',
    description: "Put entities' pictures below a directory as named files, for media servers",
    examples: ['export /media/recordings --config artwork.config.mjs'],
    options: [new Option('--overwrite', 'replace files of the same name that are not from here')],
    payload: directory,
  },
  import: {
    argument: '<directory>',
    description:
      "Take entities' pictures in that are files already: an export, or what another service stored",
    examples: ['import /media/recordings --config artwork.config.mjs'],
    options: [new Option('--overwrite', 'also where another picture of the entity is stored')],
    payload: directory,
  },
}

/** Names of options at the command line that are other ones in the job. */
const JOB_OPTION: Readonly<Record<string, string>> = { variant: 'variants' }

/** The options of a job, by the arguments and the options of its command. */
export const jobPayload = (
  { payload }: JobCommand,
  given: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> => ({
  ...payload?.(given),
  ...Object.fromEntries(Object.entries(options).map(([name, value]) => [JOB_OPTION[name] ?? name, value])),
})

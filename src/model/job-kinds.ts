/** What long jobs are known by. */
import { createHash } from 'node:crypto'

/** Long jobs by their name. */
export const JOB_KINDS = [
  'sync',
  'refresh',
  'validate',
  'warm',
  'cleanup',
  'verify',
  'export',
  'import',
] as const

/** See `JOB_KINDS`. */
export type JobKind = (typeof JOB_KINDS)[number]

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')
const isFlag = (value: unknown): boolean => typeof value === 'boolean'
const isPositive = (value: unknown): boolean =>
  typeof value === 'number' && value > 0 && Number.isFinite(value)
const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

type Rule = readonly [holds: (value: unknown) => boolean, words: string]
const TEXTS: Rule = [isTexts, 'a list of texts']
const FLAG: Rule = [isFlag, 'true or false']
const POSITIVE: Rule = [isPositive, 'a number over 0']
const TEXT: Rule = [isText, 'a text']
/** What each job can be told. */
const JOB_OPTIONS: Readonly<Record<JobKind, Readonly<Record<string, Rule>>>> = {
  sync: { kinds: TEXTS, force: FLAG },
  refresh: { perMinute: POSITIVE },
  validate: { kinds: TEXTS },
  warm: { addresses: TEXTS, variants: TEXTS },
  cleanup: { maxAgeDays: POSITIVE, dryRun: FLAG, force: FLAG },
  verify: {},
  export: { directory: TEXT, overwrite: FLAG },
  import: { directory: TEXT, overwrite: FLAG },
}

/** What is wrong with the options of a job: the option and its rule; undefined where all is well. */
export function jobOptionProblem(
  kind: JobKind,
  options: Readonly<Record<string, unknown>>,
): { readonly name: string; readonly rule: string } | undefined {
  const known = JOB_OPTIONS[kind]
  for (const [name, value] of Object.entries(options)) {
    const names = Object.keys(known).join(', ') || 'none'
    const rule = Object.hasOwn(known, name) ? known[name] : undefined
    if (rule === undefined) return { name, rule: `is no option of this job: there are ${names}` }
    const [holds, words] = rule
    if (value !== undefined && !holds(value)) return { name, rule: `must be ${words}` }
  }
  return undefined
}

/** Whether a job goes through the app's entities, and so needs a `repository` with `list`. */
export const needsRepository = (kind: JobKind): boolean => kind === 'sync' || kind === 'validate'

/** What a long job is known by: the same of the same is queued once. */
export const jobKey = (kind: string, payload: object): string => {
  const sorted = Object.entries(payload).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${kind} ${createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16)}`
}

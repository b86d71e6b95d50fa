/** The job kinds. A new one is a file in `kinds/`, its name in `model/job-kinds.ts`, and a line here. */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { JOB_KINDS, type JobKind } from '../model/job-kinds.js'
import type { Handler, NewJob } from '../model/job-queue.js'
import { PRIORITIES } from './downloads.js'
import { cleanup } from './kinds/cleanup.js'
import type { JobDefinition, JobParts } from './kinds/definition.js'
import { exportFiles } from './kinds/export.js'
import { importFiles } from './kinds/import.js'
import { refresh } from './kinds/refresh.js'
import { sync } from './kinds/sync.js'
import { validate } from './kinds/validate.js'
import { verify } from './kinds/verify.js'
import { warm } from './kinds/warm.js'

const definitions = {
  sync,
  refresh,
  validate,
  warm,
  cleanup,
  verify,
  export: exportFiles,
  import: importFiles,
} satisfies Record<JobKind, JobDefinition>

const JOBS: Readonly<Record<JobKind, JobDefinition>> = definitions

/** A kind that can be started over HTTP. */
export type HttpJobKind = {
  [Kind in JobKind]: (typeof definitions)[Kind] extends { readonly body: z.ZodObject } ? Kind : never
}[JobKind]

/** Whether there is such a kind. */
export const isJobKind = (name: string): name is JobKind => Object.hasOwn(JOBS, name)
/** Whether there is such a kind, for HTTP. */
export const isHttpJobKind = (name: string): name is HttpJobKind =>
  isJobKind(name) && JOBS[name].body !== undefined
/** The kinds that can be started over HTTP. */
export const HTTP_JOB_KINDS: readonly HttpJobKind[] = JOB_KINDS.filter(isHttpJobKind)
/** The options of a kind over HTTP, and its summary. */
export const httpJob = (kind: HttpJobKind): Pick<(typeof definitions)[HttpJobKind], 'summary' | 'body'> =>
  definitions[kind]

/** Whether a job goes through the app's entities, and so needs a `repository` with `list`. */
export const needsRepository = (kind: JobKind): boolean => JOBS[kind].needsRepository === true

/** The handlers of this process. Kinds that need a repository are left to processes that have one. */
export function jobHandlers(parts: JobParts): Readonly<Record<string, Handler>> {
  const isListed = parts.settings.repository?.list !== undefined
  const kinds = JOB_KINDS.filter((kind) => isListed || !needsRepository(kind))
  return Object.fromEntries(
    kinds.map((kind): [string, Handler] => [kind, (job, context) => JOBS[kind].run(parts, job, context)]),
  )
}

/** A job of a kind as it is queued: the same options are queued once. */
export function newJob(kind: JobKind, payload: object): NewJob {
  const sorted = Object.entries(payload).sort(([a], [b]) => (a < b ? -1 : 1))
  const digest = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16)
  return { key: `job:${kind} ${digest}`, kind, lane: 'job', priority: PRIORITIES.normal, payload }
}

type Rule = readonly [isValid: (value: unknown) => boolean, must: string]
const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
/** The rule of an option in a schedule, by the type of its schema. */
function ruleOf(schema: unknown): Rule {
  const type = schema instanceof z.ZodOptional ? schema.unwrap() : schema
  if (type instanceof z.ZodArray)
    return [(value) => Array.isArray(value) && value.every(isText), 'a list of texts']
  if (type instanceof z.ZodBoolean) return [(value) => typeof value === 'boolean', 'true or false']
  if (type instanceof z.ZodNumber)
    return [(value) => typeof value === 'number' && value > 0 && Number.isFinite(value), 'a number over 0']
  return [isText, 'a text']
}

/** What is wrong with an option of a job. */
interface OptionProblem {
  readonly name: string
  readonly rule: string
}

/** What is wrong with the names and types of a job's options; undefined where all is well. */
export function jobTypeProblem(
  kind: JobKind,
  options: Readonly<Record<string, unknown>>,
): OptionProblem | undefined {
  const { shape } = JOBS[kind].options
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(shape, name))
  if (unknown !== undefined) {
    const names = Object.keys(shape).join(', ') || 'none'
    return { name: unknown, rule: `is no option of this job: there are ${names}` }
  }
  const [issue] = JOBS[kind].options.safeParse(options).error?.issues ?? []
  return issue && { name: issue.path.join('.'), rule: `cannot be that: ${issue.message}` }
}

/** The same for a schedule, whose options run without anybody who sees what comes of them. */
export function jobOptionProblem(
  kind: JobKind,
  options: Readonly<Record<string, unknown>>,
): OptionProblem | undefined {
  const { shape } = JOBS[kind].options
  const problem = jobTypeProblem(kind, options)
  if (problem !== undefined && !Object.hasOwn(shape, problem.name)) return problem
  for (const [name, value] of Object.entries(options)) {
    const [isValid, must] = ruleOf(shape[name])
    if (value !== undefined && !isValid(value)) return { name, rule: `must be ${must}` }
  }
  return undefined
}

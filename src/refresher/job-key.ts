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

/** Whether a job goes through the app's entities, and so needs a `repository` with `list`. */
export const needsRepository = (kind: JobKind): boolean => kind === 'sync' || kind === 'validate'

/** What a long job is known by: the same of the same is queued once. */
export const jobKey = (kind: string, payload: object): string => {
  const sorted = Object.entries(payload).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${kind} ${createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16)}`
}

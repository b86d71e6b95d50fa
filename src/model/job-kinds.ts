/** The names of the job kinds: the one list. A new name fails to compile until `jobs/kinds.ts` and the forms know it. */

/** Kinds of long jobs. */
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

/** A kind that `schedules` may name: an import reads a directory that somebody names at the time. */
export type ScheduledKind = Exclude<JobKind, 'import'>

/** See `ScheduledKind`. */
export const SCHEDULED_KINDS: readonly ScheduledKind[] = JOB_KINDS.filter((kind) => kind !== 'import')

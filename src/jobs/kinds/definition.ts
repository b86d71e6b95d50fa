/** What a job kind is: a summary, options, and a handler that names the parts it takes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { z } from 'zod'
import type { Images } from '../../images/images.js'
import type { Exporter } from '../../library/export.js'
import type { ImportOptions, ImportReport } from '../../library/import.js'
import type { Job, JobContext, JobQueries, JobQueue, Outcome } from '../../model/job-queue.js'
import type { Settings } from '../../options/settings.js'
import type { Store, VerifyOptions, VerifyReport } from '../../store/ports.js'
import type { OptimizeOptions, OptimizeResult, OptimizeWatch } from '../cleanup.js'
import type { Downloads } from '../downloads.js'

/** Verbs over everything that is stored. */
export interface Maintenance {
  optimizeCache(options?: OptimizeOptions, watch?: OptimizeWatch): Promise<OptimizeResult>
  importFolder(folder: string, options?: ImportOptions): Promise<ImportReport>
  verify(options?: VerifyOptions): Promise<VerifyReport>
}

/** Everything that handlers work with; each names what it takes. */
export interface JobParts {
  readonly settings: Settings
  readonly store: Pick<Store, 'select' | 'lastUsed' | 'find' | 'stats'>
  readonly images: Pick<
    Images,
    'display' | 'entityImages' | 'downloads' | 'resolver' | 'refresh' | 'validateImage' | 'getImage'
  >
  readonly maintenance: Maintenance
  readonly jobs: JobQueue & JobQueries
  readonly exporter: Pick<Exporter, 'run'>
  readonly downloads: Pick<Downloads, 'prepare' | 'isResting'>
}

/** A job kind. */
export interface JobDefinition {
  /** One line of the OpenAPI document. */
  readonly summary: string
  /** Whether it goes through the app's entities: `repository.list`. */
  readonly needsRepository?: boolean
  /** Options, as the app and its schedules give them. */
  readonly options: z.ZodObject
  /** Options over HTTP, which name no directory of this machine; left out: it cannot be started over HTTP. */
  readonly body?: z.ZodObject
  /** Stops at the signal, and is harmless to repeat. */
  run(parts: JobParts, job: Job, context: JobContext): Promise<Outcome>
}

/** The fields of a payload, which was JSON. */
export const fieldsOf = (payload: unknown): Readonly<Record<string, unknown>> =>
  typeof payload === 'object' && payload !== null ? { ...payload } : {}

/** The texts of a list; undefined where there is no list. */
export const textsOf = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined

/** Waits up to a minute, or until the signal. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(Math.min(ms, 60_000), undefined, { ref: false, signal }).catch(() => {})

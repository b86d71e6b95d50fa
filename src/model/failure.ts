/**
 * Failures are a closed table: what happened, the status and reason a client may read, whether another
 * attempt can help, and for how long the failure is remembered so that asking again costs nothing.
 */

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Why an image could not be had. The closed list that results, logs and the management API use. */
export type Reason =
  | 'no_url'
  | 'invalid_url'
  | 'refused'
  | 'http_404'
  | 'http_403'
  | 'http_5xx'
  | 'timeout'
  | 'connection'
  | 'too_large'
  | 'unsupported'
  | 'invalid_image'
  | 'processing'
  | 'disk_write'
  | 'unavailable'
  | 'unknown'

interface Row {
  readonly status: number
  readonly reason: Reason
  /** May another attempt within the same call help? */
  readonly retried: boolean
  /** How long the failure is remembered, ms: first time, and the ceiling it doubles to. 0 = never. */
  readonly remember: readonly [first: number, ceiling: number]
}

const NEVER = [0, 0] as const
const once = (ms: number) => [ms, ms] as const
const doubling = [10 * SECOND, 300 * SECOND] as const

const table = {
  no_url: { status: 422, reason: 'no_url', retried: false, remember: NEVER },
  invalid: { status: 400, reason: 'invalid_url', retried: false, remember: NEVER },
  unauthenticated: { status: 401, reason: 'refused', retried: false, remember: NEVER },
  refused: { status: 403, reason: 'refused', retried: false, remember: NEVER },
  /** An address or a port of a host that may be asked may not be dialled. */
  undialable: { status: 403, reason: 'refused', retried: false, remember: once(MINUTE) },
  not_found: { status: 404, reason: 'http_404', retried: false, remember: once(5 * MINUTE) },
  gone: { status: 404, reason: 'http_404', retried: false, remember: once(HOUR) },
  unknown_image: { status: 404, reason: 'http_404', retried: false, remember: NEVER },
  method: { status: 405, reason: 'refused', retried: false, remember: NEVER },
  slow_request: { status: 408, reason: 'timeout', retried: false, remember: NEVER },
  too_large: { status: 413, reason: 'too_large', retried: false, remember: once(HOUR) },
  unsupported: { status: 415, reason: 'unsupported', retried: false, remember: once(HOUR) },
  /** A page, or text, in the place of an image. */
  no_image: { status: 415, reason: 'unsupported', retried: false, remember: once(HOUR) },
  invalid_image: { status: 422, reason: 'invalid_image', retried: false, remember: once(HOUR) },
  /** A form without the image that it should have, or with more. */
  bad_form: { status: 422, reason: 'invalid_image', retried: false, remember: NEVER },
  connection: { status: 502, reason: 'connection', retried: true, remember: once(MINUTE) },
  bad_answer: { status: 502, reason: 'connection', retried: false, remember: once(MINUTE) },
  upstream_denied: { status: 502, reason: 'http_403', retried: false, remember: once(MINUTE) },
  upstream_failed: { status: 502, reason: 'http_5xx', retried: true, remember: doubling },
  throttled: { status: 502, reason: 'http_5xx', retried: true, remember: once(MINUTE) },
  processing: { status: 502, reason: 'processing', retried: false, remember: once(MINUTE) },
  timeout: { status: 504, reason: 'timeout', retried: true, remember: doubling },
  not_held: { status: 504, reason: 'timeout', retried: false, remember: NEVER },
  decode_timeout: { status: 504, reason: 'timeout', retried: false, remember: doubling },
  disk_write: { status: 503, reason: 'disk_write', retried: false, remember: NEVER },
  unavailable: { status: 503, reason: 'unavailable', retried: false, remember: NEVER },
  cancelled: { status: 503, reason: 'unavailable', retried: false, remember: NEVER },
  unknown: { status: 500, reason: 'unknown', retried: false, remember: NEVER },
} as const satisfies Record<string, Row>

/** The name of a row in the table of errors. */
export type ErrorCode = keyof typeof table

/** The names of all rows. */
export const ERROR_CODES = Object.keys(table) as readonly ErrorCode[]

/** Whether a text names a row. */
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(table, text)

/** The reason that a row of the table is reported with. */
const reasonOf = (code: ErrorCode): Reason => table[code].reason

const REASONS: ReadonlySet<unknown> = new Set(Object.values(table).map(({ reason }) => reason))

/** Whether a value is a reason, as texts of elsewhere say it. */
export const isReason = (value: unknown): value is Reason => REASONS.has(value)

/** Reasons that settings decide: another host, bound or format in the options, and there is none. */
const BY_SETTINGS: ReadonlySet<Reason> = new Set(['refused', 'invalid_url', 'too_large', 'unsupported'])

/** Whether a failure follows from our own rules, so that it says nothing once these are other ones. */
export const isBySettings = (reason: Reason): boolean => BY_SETTINGS.has(reason)

/** Whether a failure follows from the bytes alone, and not from how the machine fared with them this time. */
export const isOfBytes = ({ code }: { readonly code: ErrorCode }): boolean =>
  code === 'invalid_image' || code === 'too_large' || code === 'unsupported' || code === 'no_image'

/** Whether upstream could not be asked, so that what is stored may stand in for it (RFC 5861 §4). */
export const isUnreachable = ({ code }: { readonly code: ErrorCode }): boolean =>
  code === 'connection' ||
  code === 'bad_answer' ||
  code === 'timeout' ||
  code === 'upstream_failed' ||
  code === 'unavailable'

/** Whether a failure is the host's own, and counts for its circuit breaker. */
export const isHostFailure = ({ code }: { readonly code: ErrorCode }): boolean =>
  code === 'connection' || code === 'upstream_failed' || code === 'timeout'

/** Failures of our own rules and of our decoder: a browser may well show what the source has. */
const OURS: ReadonlySet<ErrorCode> = new Set([
  'refused',
  'invalid',
  'too_large',
  'unsupported',
  'processing',
  'decode_timeout',
])
/** Whether the source itself does not have the image, so that its URL shows nobody anything. */
export const isUpstreamFailure = ({ code }: { readonly code: ErrorCode }): boolean => !OURS.has(code)

/** Whether a fetch was refused by a rule of ours about hosts, ports and addresses: nothing else would come of it. */
export const isRefusal = ({ code }: { readonly code: ErrorCode }): boolean =>
  code === 'refused' || code === 'undialable'

/** Whether a reason may pass within minutes. */
export const isTransient = (reason: string): boolean =>
  reason === 'timeout' || reason === 'connection' || reason === 'http_5xx' || reason === 'unavailable'

/**
 * The one error class of the toolkit. `message` is safe to show to a client: it never holds a path, a
 * stack, an upstream's body or a resolved address. What led to it is in `cause`, for logs only.
 */
export class ArtworkError extends Error {
  override readonly name = 'ArtworkError'
  /** Row of the table of errors. */
  readonly code: ErrorCode
  /** HTTP status the row answers with. */
  readonly status: number
  /** The reason that results and the management API print. */
  readonly reason: Reason
  /** Whether another attempt can help. */
  readonly retried: boolean
  /** Seconds after which asking again makes sense, where that is known. */
  readonly retryAfter: number | undefined
  /** The status that an upstream answered with, where it answered. */
  readonly upstreamStatus: number | undefined
  /** Whether it comes from the negative cache: upstream was not asked. */
  readonly isRecalled: boolean

  constructor(
    code: ErrorCode,
    message: string,
    about: {
      readonly cause?: unknown
      readonly retryAfter?: number | undefined
      readonly upstreamStatus?: number
      readonly isRecalled?: boolean
    } = {},
  ) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause })
    const row = table[code]
    this.code = code
    this.status = row.status
    this.reason = row.reason
    this.retried = row.retried
    this.retryAfter = about.retryAfter
    this.upstreamStatus = about.upstreamStatus
    this.isRecalled = about.isRecalled ?? false
  }
}

/** A failure as it is remembered: plain data, so that it can be kept in a database. */
export interface Failure {
  /** Its row of the table of errors. */
  readonly code: ErrorCode
  /** In words. */
  readonly message: string
  /** When it happened, ms since the epoch. */
  readonly at: number
  /** Until when asking again answers with it at once, ms since the epoch. */
  readonly until: number
  /** How many times in a row it has happened. */
  readonly count: number
  /**
   * What it is about beside its name, and says nothing of others: of a rendition, its bytes and recipe; of a failure by our
   * own rules, the run whose settings they were.
   */
  readonly about?: string
}

/**
 * The failure to remember for `error`, or undefined where the table says it is not remembered.
 * @param before what was remembered so far, for the doubling
 * @param about what it is about, where the name alone does not say so
 */
export function recordFailure(
  error: ArtworkError,
  before: Failure | undefined,
  now: number,
  about?: string,
): Failure | undefined {
  const [first, ceiling] = table[error.code].remember
  if (first === 0) return undefined
  const isSame = before?.code === error.code && before.about === about
  const count = (isSame ? before.count : 0) + 1
  const retryAfterMs =
    error.retryAfter === undefined ? undefined : Math.min(Math.max(error.retryAfter, 1), 300) * SECOND
  const lasts = retryAfterMs ?? Math.min(first * 2 ** Math.min(count - 1, 16), ceiling)
  const failure = { code: error.code, message: error.message, at: now, until: now + lasts, count }
  return about === undefined ? failure : { ...failure, about }
}

/** The refusal of bytes that were asked for before a purge: they are not stored after it. */
export const purgedMeanwhile = (): ArtworkError =>
  new ArtworkError('disk_write', 'the image was purged meanwhile')

/** The error that a remembered failure stands for, with the seconds that are left of it. */
export function failureError(failure: Failure, now: number): ArtworkError {
  return new ArtworkError(failure.code, failure.message, {
    retryAfter: Math.max(1, Math.ceil((failure.until - now) / SECOND)),
    isRecalled: true,
  })
}

/**
 * Whether a remembered failure still stands. One from the future (the clock was set back) does not.
 * @param about what is asked about, as it was remembered
 */
export function isFailureActive(failure: Failure, now: number, about?: string): boolean {
  return failure.about === about && now < failure.until && now >= failure.at - MINUTE
}

/** What a failure to get an original is about: where our own rules caused it, the run whose settings those are. */
export const originalScope = ({ code }: { readonly code: ErrorCode }, run: string): string | undefined =>
  isBySettings(reasonOf(code)) ? run : undefined

/** `isFailureActive` for an original. One without `about` was recorded by an earlier version. */
export const isOriginalFailureActive = (failure: Failure, now: number, run: string): boolean =>
  isFailureActive(failure, now, failure.about === undefined ? undefined : originalScope(failure, run))

/** The code that a library or the system gave an error: `ENOENT`, `SQLITE_BUSY`; '' where there is none. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** Any thrown thing as an ArtworkError: what is not one already becomes `unknown`, its text kept to the logs. */
export function asArtworkError(thrown: unknown): ArtworkError {
  if (thrown instanceof ArtworkError) return thrown
  return new ArtworkError('unknown', 'internal error', { cause: thrown })
}

/** An error from its code as text, as a child process or a database hands it over. */
export function errorFromCode(code: string, message: string): ArtworkError {
  return isErrorCode(code) ? new ArtworkError(code, message) : new ArtworkError('unknown', 'internal error')
}

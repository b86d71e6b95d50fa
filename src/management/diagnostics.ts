/**
 * Mistakes in how the toolkit is used that would otherwise be silent: an image is printed all the same, only not as well as
 * it could be. Each cause is logged once in development; in production one warning an hour at most; all of them are listed
 * for the dashboard and the API, each with the option or the call that mends it.
 */
import type { Diagnosed, DiagnosticCode } from '../model/diagnostic.js'
import type { Logger } from '../model/logger.js'

/** A mistake, and how often it was met. Times in ms since the epoch. */
export interface Diagnostic {
  /** Which mistake it is. */
  readonly code: DiagnosticCode
  /** What it is about: a host, a kind, a width. */
  readonly about: string
  /** What is wrong, and which option or call mends it. */
  readonly message: string
  /** How often it was made since start. */
  readonly times: number
  /** When it was made first, ms since the epoch. */
  readonly firstAt: number
  /** When it was made last, ms since the epoch. */
  readonly lastAt: number
}

/** Causes that are remembered; what comes after so many is counted nowhere. */
const MAX_CAUSES = 200
const LOG_EVERY = 3_600_000
const LONGEST = 200

/** See {@link createDiagnostics}. */
export type Diagnostics = ReturnType<typeof createDiagnostics>

/** Makes the list. @param isDevelopment each cause is logged at once */
export function createDiagnostics(parts: {
  readonly logger: Pick<Logger, 'warn'>
  readonly now: () => number
  readonly isDevelopment: boolean
}) {
  const { logger, now, isDevelopment } = parts
  const known = new Map<string, Diagnostic>()
  let loggedAt: number | undefined
  let unlogged = 0
  const log = ({ code, message }: Diagnostic): void => {
    const isDue = loggedAt === undefined || Math.abs(now() - loggedAt) >= LOG_EVERY
    if (!isDevelopment && !isDue) {
      unlogged += 1
      return
    }
    const others = unlogged > 0 ? { others: unlogged } : {}
    loggedAt = now()
    unlogged = 0
    logger.warn({ code, ...others }, `artwork: ${message}`)
  }
  return {
    /** Notes a mistake. */
    note: ({ code, about, message }: Diagnosed): void => {
      const what = about.slice(0, LONGEST)
      const key = `${code}\n${what}`
      const before = known.get(key)
      if (before === undefined && known.size >= MAX_CAUSES) return
      const at = now()
      const found: Diagnostic = {
        code,
        about: what,
        message,
        times: (before?.times ?? 0) + 1,
        firstAt: before?.firstAt ?? at,
        lastAt: at,
      }
      known.set(key, found)
      if (before === undefined) log(found)
    },
    /** All causes, the latest first. */
    list: (): readonly Diagnostic[] => [...known.values()].sort((a, b) => b.lastAt - a.lastAt),
  }
}

/** How children start: with which flags, how often, and why they do not where they do not. */
import type { ChildProcess } from 'node:child_process'
import { ArtworkError } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import type { ChildScript } from '../package-files.js'
import { type ChildOptions, confinement, IS_BROAD, startChild, tryStart } from './child-command.js'
import { processingFailed } from './worker-process.js'

/** Starts that may follow each other at once, and how many more a second. */
const BURST = 24
const STARTS_PER_SECOND = 4
/** How often a failing start is diagnosed, ms. */
const DIAGNOSE_EVERY = 30_000
const UNCONFINED =
  'artwork: decoders run without the permission model of Node, which does not know this layout of packages'

/** A token bucket: how many may start at once, then so many a second. */
function createAllowance() {
  let left = BURST
  let at = performance.now()
  return {
    /** Takes one. @returns ms until there is one, 0 where it was taken */
    take: (): number => {
      const now = performance.now()
      left = Math.min(BURST, left + ((now - at) / 1000) * STARTS_PER_SECOND)
      at = now
      if (left < 1) return Math.ceil(((1 - left) / STARTS_PER_SECOND) * 1000)
      left -= 1
      return 0
    },
  }
}

/** Makes the starter of a script. */
export function createWorkerStarter(script: ChildScript, options: ChildOptions, logger: Logger) {
  let flags: readonly string[] = []
  let hasWorked = false
  let trouble: string | undefined
  let isClosed = false
  let diagnosing: Promise<void> | undefined
  let diagnoseAfter = 0
  try {
    if (script.isConfinable) flags = confinement(script, IS_BROAD)
  } catch (error) {
    logger.warn({ err: error }, UNCONFINED)
  }
  /** Finds out why children do not start: chooses flags that work, or logs the trouble once. */
  const diagnose = async (): Promise<void> => {
    if (performance.now() < diagnoseAfter) return
    diagnoseAfter = performance.now() + DIAGNOSE_EVERY
    const outcome = await tryStart(script, options, flags).catch(() => undefined)
    if (outcome === undefined || outcome === 'ready' || isClosed) return
    const withSandbox = options.sandbox.length > 0
    if (flags.length > 0)
      for (const other of withSandbox ? [confinement(script, true)] : [confinement(script, true), []]) {
        if ((await tryStart(script, options, other).catch(() => undefined)) !== 'ready') continue
        if (other.length === 0) logger.warn(outcome, UNCONFINED)
        flags = other
        return
      }
    const what = withSandbox ? 'transform.sandbox does not work' : 'decoders do not start'
    if (trouble === undefined) logger.error(outcome, `artwork: ${what}: ${outcome.ended}: ${outcome.said}`)
    trouble = what
  }
  return {
    /** Ms until the next start is allowed; 0: it is taken. */
    takeStart: createAllowance().take,
    /** Starts a child. */
    start: (): ChildProcess | ArtworkError => {
      try {
        return startChild(script, options, flags)
      } catch (error) {
        // It may be otherwise in a moment.
        if (error instanceof ArtworkError) return error
        if (trouble === undefined) logger.error({ err: error }, 'artwork: decoders do not start')
        trouble = 'decoders do not start'
        return processingFailed(error)
      }
    },
    /** A child has started and said so. */
    worked: (): void => {
      hasWorked = true
      trouble = undefined
    },
    /** Whether any child has started so far. */
    hasWorked: (): boolean => hasWorked,
    /** Diagnoses failing starts, once for all that wait. Answers whether another start may succeed. */
    diagnose: async (): Promise<boolean> => {
      diagnosing ??= diagnose().finally(() => {
        diagnosing = undefined
      })
      await diagnosing
      return trouble === undefined && !isClosed
    },
    trouble: (): string | undefined => trouble,
    close: (): void => {
      isClosed = true
    },
  }
}

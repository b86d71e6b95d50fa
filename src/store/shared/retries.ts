/** Retries now and then what is in the journal of the outbox, or finds out whether a store that failed answers again. */
import type { Logger } from '../../model/logger.js'
import type { Breaker } from './breaker.js'
import type { Journal } from './journal.js'
import type { SharedNames } from './names.js'

/** What it works with. */
export interface RetryParts {
  readonly names: Pick<SharedNames, 'find'>
  readonly journal: Pick<Journal, 'size'>
  readonly breaker: Breaker
  readonly logger: Pick<Logger, 'error'>
  /** Ms between two looks into the journal. @default 5 s */
  readonly every?: number
}

const EVERY = 5000
/** A key that is never stored. */
const PROBE_KEY = 'probe'

/** Starts it. @param retry does what is in the journal */
export function retryRegularly(
  { names, journal, breaker, logger, every = EVERY }: RetryParts,
  retry: () => Promise<void>,
): { readonly stop: () => void; readonly idle: () => Promise<void> } {
  let running: Promise<void> | undefined
  const probe = async (): Promise<void> => {
    await breaker.run(() => names.find(PROBE_KEY)).catch(() => {})
  }
  const timer = setInterval(() => {
    if (breaker.isOpen()) return
    // A change that waits says more than a question: a store may answer and take nothing.
    const isWaiting = journal.size() > 0
    if (!isWaiting && breaker.reason() === undefined) return
    running ??= (isWaiting ? retry() : probe())
      .catch((error) => logger.error({ err: error }, 'artwork shared store: the journal cannot be read'))
      .finally(() => {
        running = undefined
      })
  }, every).unref()
  return {
    stop: () => clearInterval(timer),
    idle: async () => {
      await running
    },
  }
}

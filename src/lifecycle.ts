/** How the toolkit closes, and the sweeps that run until then. */
import { type CleanupParts, expire } from './jobs/cleanup.js'
import type { Settings } from './options/settings.js'

const CLOSE_WITHIN_MS = 20_000
/** Longest time that a timer takes, ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What is ended. */
export interface LifecycleParts {
  readonly store: CleanupParts['store']
  /** Ends what runs, one after another; it is waited for 20 s. */
  readonly finish: readonly (() => unknown)[]
  /** Closes what is open, one after another. */
  readonly close: readonly (() => unknown)[]
}

/** Begins the sweeps of sources that give up what nobody uses. */
export function createLifecycle(settings: Settings, parts: LifecycleParts) {
  const sweeps = startSweeps(settings, parts.store)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    for (const sweep of sweeps) clearInterval(sweep)
    await within(CLOSE_WITHIN_MS, inOrder(parts.finish))
    await inOrder(parts.close)
  }
  return {
    isClosing: (): boolean => closing !== undefined,
    close: (): Promise<void> => {
      closing ??= close()
      return closing
    },
  }
}

function startSweeps(settings: Settings, store: CleanupParts['store']): readonly NodeJS.Timeout[] {
  const sweep = (kinds: readonly string[], maxIdle: number): void => {
    expire({ settings, store }, kinds, maxIdle).catch((error) =>
      settings.logger.error({ err: error }, 'artwork: looking for what nobody uses failed'),
    )
  }
  const idle = settings.sources.flatMap((source) =>
    source.idle === undefined ? [] : [{ kinds: source.kinds, ...source.idle }],
  )
  return idle
    .filter(({ maxIdle, sweepEvery }) => maxIdle > 0 && sweepEvery > 0)
    .map(({ kinds, maxIdle, sweepEvery }) =>
      setInterval(() => sweep(kinds, maxIdle), Math.min(sweepEvery, LONGEST_TIMER_MS)).unref(),
    )
}

async function inOrder(steps: readonly (() => unknown)[]): Promise<void> {
  for (const step of steps) await step()
}

/** Waits for the work, but not for longer than this, ms. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

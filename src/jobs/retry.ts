/** When a failed download is tried again: within its job, and after that for the URL of its entity. */
import { isBySettings, isTransient, type Reason } from '../model/failure.js'
import type { BackOffs } from '../model/job-queue.js'

/** Before each further attempt within a job, ms. */
export const RETRY_DELAYS: readonly number[] = [2000, 10_000]
/** Back-off of a URL that failed for good; a transient failure doubles from the first value up to this, ms. */
const MAX_BACK_OFF_MS = 24 * 3_600_000
const FIRST_BACK_OFF_MS = 5 * 60_000
const MAX_REFUSED = 20_000

/** After how many ms a job is tried again, with jitter; undefined where it has failed. */
export function retryDelay(reason: Reason, attempts: number, delays: readonly number[]): number | undefined {
  const delay = isTransient(reason) ? delays[attempts - 1] : undefined
  return delay === undefined ? undefined : delay * (0.75 + Math.random() / 2)
}

const backOffMs = (reason: Reason, times: number): number =>
  isTransient(reason)
    ? Math.min(FIRST_BACK_OFF_MS * 2 ** Math.min(times - 1, 16), MAX_BACK_OFF_MS)
    : MAX_BACK_OFF_MS

/** What URLs are backed off by. */
export interface RetryParts {
  readonly backOffs: Pick<BackOffs, 'get' | 'set'>
  /** Whether two URLs are of one picture, signed at two times. */
  isSame(url: string, other: string): boolean
  readonly now: () => number
}

/** Backs off the URLs of entities that failed. */
export function createUrlBackOff({ backOffs, isSame, now }: RetryParts) {
  /** URLs that the settings of this run refused: another run judges them anew. */
  const refused = new Map<string, string>()
  return {
    record: (key: string, url: string, reason: Reason): void => {
      const before = backOffs.get(key)
      const times = before !== undefined && isSame(before.url, url) ? before.times + 1 : 1
      backOffs.set(key, { url, until: now() + backOffMs(reason, times), times, reason })
      if (!isBySettings(reason)) return
      if (refused.size >= MAX_REFUSED) refused.clear()
      refused.set(key, url)
    },
    /** Whether a URL failed, and is not tried again yet. */
    isActive: (key: string, url: string): boolean => {
      const found = backOffs.get(key)
      if (found === undefined || !isSame(found.url, url)) return false
      const left = found.until - now()
      // A longer one was recorded by a clock that was ahead.
      if (left <= 0 || left > MAX_BACK_OFF_MS) return false
      // An expired signature says nothing of the next one.
      const isRecent = left > MAX_BACK_OFF_MS - FIRST_BACK_OFF_MS || isTransient(found.reason)
      if (found.url !== url && !isRecent) return false
      return !isBySettings(found.reason as Reason) || isSame(refused.get(key) ?? '', url)
    },
  }
}

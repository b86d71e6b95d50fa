/** How long fetching and transforming take, and what becomes of it: measured once, for whoever counts. */
import type { Fetcher } from '../fetch/fetcher.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import type { Transformer } from '../transform/transformer.js'

/** What was done. */
export interface Work {
  /** `ok`, or the reason of the failure. */
  readonly outcome: string
  readonly ms: number
}
/** Hears of work that has ended. */
export interface WorkObserver {
  /** @param work with the URL that was fetched, and the bytes that came */
  fetched(work: Work & { readonly url: string; readonly bytes: number }): void
  transformed(work: Work): void
}

/** Runs work, and says how it went. */
async function measured<T>(run: () => Promise<T>, ended: (work: Work, result?: T) => void): Promise<T> {
  const start = performance.now()
  const ms = (): number => performance.now() - start
  try {
    const result = await run()
    ended({ outcome: 'ok', ms: ms() }, result)
    return result
  } catch (error) {
    ended({ outcome: asArtworkError(error).reason, ms: ms() })
    throw error
  }
}

/** The same fetcher, observed. */
export const observedFetcher = (fetcher: Fetcher, observers: readonly WorkObserver[]): Fetcher => ({
  ...fetcher,
  fetch: (request, ...rest) =>
    measured(
      () => fetcher.fetch(request, ...rest),
      (work, result) => {
        const bytes = result !== undefined && 'bytes' in result ? result.bytes.length : 0
        for (const observer of observers) observer.fetched({ ...work, url: request.url, bytes })
      },
    ),
})

const transformed =
  (observers: readonly WorkObserver[]) =>
  (work: Work): void => {
    for (const observer of observers) observer.transformed(work)
  }

/** The same transformer, observed. */
export const observedTransformer = (
  transformer: Transformer,
  observers: readonly WorkObserver[],
): Transformer => ({
  ...transformer,
  transform: (...args) => measured(() => transformer.transform(...args), transformed(observers)),
  look: (...args) =>
    measured(
      () => transformer.look(...args),
      (work, looked) => {
        const made = looked?.made
        // An original that is refused, or that moves, is not made into anything.
        if (made === undefined) return
        transformed(observers)(made instanceof ArtworkError ? { ...work, outcome: made.reason } : work)
      },
    ),
})

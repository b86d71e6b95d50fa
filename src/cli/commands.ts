/** The short commands: each prints what it finds or did in a directory, beside a running server or without one. */
import { isWebUrl } from '../model/web-url.js'
import type { Common } from './options-of.js'
import { print, show } from './output.js'
import { withArtwork } from './with-artwork.js'

/** Prints the numbers of a directory. */
export const stats = (common: Common): Promise<number> =>
  withArtwork(common, async (artwork) => {
    show({ ...artwork.images.stats(), queue: artwork.refresher.status() }, common)
    return 0
  })

/** Pauses or resumes the queue of a directory, for all its processes. */
export const setPaused = (isPaused: boolean, common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    if (isPaused) refresher.pause()
    else refresher.resume()
    show({ paused: refresher.status().paused }, common)
    return 0
  })

/** Prints failures, their reasons, and when each is tried again. */
export const failures = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    for (let after: string | undefined; ; ) {
      const { failures: some, next } = refresher.failures({
        limit: 200,
        ...(after !== undefined && { after }),
      })
      for (const { of, name, reason, times, nextTry, url } of some) {
        const row = {
          of,
          name,
          reason,
          times,
          nextTry: new Date(nextTry).toISOString(),
          ...(url !== undefined && { url }),
        }
        print(
          common.json ? JSON.stringify(row) : `${name}: ${reason}, ${times} times, next try ${row.nextTry}`,
        )
      }
      if (next === undefined) return 0
      after = next
    }
  })

/** Prints long jobs, the newest first. */
export const jobs = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    for (const { id, kind, state, done, total, error } of refresher.jobs({ lane: 'job', limit: 50 })) {
      const row = { id: String(id), kind, state, done, total, ...(error !== undefined && { error }) }
      print(
        common.json
          ? JSON.stringify(row)
          : `${id} ${kind} ${state} ${done}/${total}${error === undefined ? '' : `: ${error}`}`,
      )
    }
    return 0
  })

/** Prints why a picture is answered as it is. */
export const explain = (target: string, common: Common): Promise<number> =>
  withArtwork(common, async (artwork) => {
    show(artwork.images.explain(isWebUrl(target) ? { url: target } : { address: target }), common)
    return 0
  })

/** Removes pictures: by URL, address, tag, or entity (`kind:id`). */
export const purge = (
  target: string,
  {
    tag,
    entity,
    ...common
  }: Common & { readonly tag?: boolean | undefined; readonly entity?: boolean | undefined },
): Promise<number> =>
  withArtwork(common, async (artwork) => {
    const [kind = '', id = ''] = target.split(/:(.*)/s)
    const purged = await artwork.images.purge(
      tag
        ? { tag: target }
        : entity
          ? { entity: { kind, id } }
          : isWebUrl(target)
            ? { url: target }
            : { address: target },
    )
    show(purged, common)
    return 0
  })

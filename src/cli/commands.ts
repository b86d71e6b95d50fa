/** The short commands: each prints what it finds or did in a directory, beside a running server or without one. */
import { checkSharedStore, setUpSharedStore } from '../index.js'
import { readableCount, utcTime } from '../model/readable.js'
import { isWebUrl } from '../model/web-url.js'
import { type Common, optionsOf } from './options-of.js'
import { print, show } from './output.js'
import { printSchedules } from './stats.js'
import { withArtwork } from './with-artwork.js'

/** Pauses or resumes the queue of a directory, for all its processes. */
export const setPaused = (isPaused: boolean, common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    if (isPaused) await refresher.pause()
    else await refresher.resume()
    show({ paused: refresher.status().paused }, common)
    return 0
  })

/** Prints failures, their reasons, and when each is tried again. */
export const failures = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    let isNone = true
    for (let after: string | undefined; ; ) {
      const { failures: some, next } = refresher.failures({
        limit: 200,
        ...(after !== undefined && { after }),
      })
      for (const { of, name, reason, times, nextTry, url } of some) {
        isNone = false
        if (common.json) show({ of, name, reason, times, nextTry, url }, common)
        else {
          const often = times === 1 ? 'once' : `${readableCount(times)} times`
          print(`${url ?? name}: ${reason}, ${often}, next try ${utcTime(nextTry)}`)
        }
      }
      if (next === undefined) break
      after = next
    }
    if (isNone && !common.json) print('Nothing has failed: no picture waits to be tried again.')
    return 0
  })

/** Prints the nodes that share the queue. */
export const nodes = (common: Common): Promise<number> =>
  withArtwork(common, async ({ refresher }) => {
    const found = await refresher.nodes()
    for (const { name, version, running, reasons, startedAt } of found) {
      const health = reasons.length === 0 ? 'ready' : 'degraded'
      if (common.json) show({ name, version, health, running, reasons, startedAt }, common)
      else {
        const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`
        print(`${name} ${version} ${health}, ${running} under way, since ${utcTime(startedAt)}${why}`)
      }
    }
    if (found.length === 0 && !common.json)
      print('No node shares its queue: the options have no `jobs`, or its Redis cannot be reached.')
    return 0
  })

/** Prints long jobs, the newest first, and when others begin by themselves. */
export const jobs = (common: Common): Promise<number> =>
  withArtwork(
    common,
    async ({ refresher }) => {
      const found = await refresher.jobs({ lane: 'job', limit: 50 })
      for (const { id, kind, state, done, total, error, createdAt, endedAt } of found) {
        const row = { id: String(id), kind, state, done, total, error, createdAt, endedAt }
        if (common.json) show(row, common)
        else {
          const ended = endedAt === undefined ? '' : `, ended ${utcTime(endedAt)}`
          const why = error === undefined ? '' : `: ${error}`
          print(`${id} ${kind} ${state} ${done}/${total}, asked for ${utcTime(createdAt)}${ended}${why}`)
        }
      }
      if (common.json) return 0
      if (found.length === 0) print('No long job has been asked for yet.')
      printSchedules(refresher.status().schedules)
      return 0
    },
    { withSchedules: true },
  )

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
    if (entity && (kind === '' || id === ''))
      throw new Error(`--entity takes a kind and an id, such as artist:7, got ${JSON.stringify(target)}`)
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

/** Sets up, or checks, the store that nodes share. */
export async function shared(
  what: string,
  { days, ...common }: Common & { readonly days?: string | undefined },
): Promise<number> {
  const { shared: source } = await optionsOf(common)
  if (source === undefined) throw new Error('the options have no `shared`: give them by --config')
  if (what === 'setup') {
    show(await setUpSharedStore(source, { days: Number(days ?? source.days) }), common)
    return 0
  }
  if (what !== 'check') throw new Error(`shared ${what}: there are setup and check`)
  const report = await checkSharedStore(source)
  show(report, common)
  return report.missing.length + report.unreadable.length === 0 ? 0 : 1
}

/** The numbers of a directory, in groups. */
import type { Artwork, ScheduleStatus } from '../index.js'
import { isCalendarTime, readableBytes, readableCount, utcTime, zonedTime } from '../model/readable.js'
import type { Common } from './options-of.js'
import { print, printGroup, show } from './output.js'
import { withArtwork } from './with-artwork.js'

type Rows = Parameters<typeof printGroup>[1]
type Stats = ReturnType<Artwork['images']['stats']>
type Status = ReturnType<Artwork['refresher']['status']>

/** Prints when jobs begin by themselves, each in the time zone of its schedule. */
export function printSchedules(schedules: readonly ScheduleStatus[]): void {
  if (schedules.length === 0) {
    print('No job begins by itself: there are no schedules.')
    return
  }
  const rows = schedules.map(({ kind, cron, timezone, nextRun, lastRun }) => {
    const next = isCalendarTime(nextRun) ? zonedTime(nextRun, timezone) : `never (${timezone})`
    return [
      kind,
      `${cron}, next ${next}, last ${lastRun === undefined ? 'never' : utcTime(lastRun)}`,
    ] as const
  })
  printGroup('Schedules', rows)
}

const storeRows = (stats: Stats): Rows => {
  const { names, byRole, bytes, catalogueBytes, indexBytes, bytesPerName } = stats
  const state = [
    stats.durable ? 'on disk' : 'the directory cannot be used: in memory only',
    ...(stats.rebuilding ? ['a lost catalogue is being read back'] : []),
    ...(stats.paused === undefined ? [] : [`nothing new is stored: ${stats.paused}`]),
  ]
  const roles = `${readableCount(byRole.original)} originals, ${readableCount(byRole.rendition)} renditions, ${readableCount(byRole.artwork)} of entities`
  return [
    ['images', `${readableCount(names)} (${roles})`],
    ['bytes of images', readableBytes(bytes)],
    ['catalogue', `${readableBytes(catalogueBytes)}, with its log`],
    ['index', readableBytes(indexBytes)],
    ['for each image', names === 0 ? '–' : `${readableBytes(bytesPerName)} in catalogue and index`],
    ['stored', state.join('; ')],
    ['processes', `${readableCount(stats.processes)} with the directory open, this command among them`],
  ]
}

const queueRows = ({ queued, running, paused }: Status): Rows => [
  ['waiting', readableCount(queued)],
  ['under way', readableCount(running)],
  ['paused', paused ? 'yes: express-artwork resume begins again' : 'no'],
]

/** Prints the numbers of a directory. Those since a start are of the servers, which print them at `/metrics`. */
export const stats = (common: Common): Promise<number> =>
  withArtwork(
    common,
    async ({ images, refresher }) => {
      const [found, status] = [images.stats(), refresher.status()]
      if (common.json) {
        show({ ...found, queue: status }, common)
        return 0
      }
      printGroup('Store', storeRows(found))
      const { uploads } = found
      if (uploads !== undefined)
        printGroup('Uploads', [
          ['images', readableCount(uploads.images)],
          ['bytes of images', readableBytes(uploads.bytes)],
        ])
      printGroup('Queue', queueRows(status))
      printSchedules(status.schedules)
      return 0
    },
    { withSchedules: true },
  )

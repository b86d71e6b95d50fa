/** How the dashboard words numbers and times. */

import type { Job } from '../../jobs/ports.js'
import type { StoredImage } from '../../management/image-details.js'
import { isCalendarTime, readableBytes, readableCount, utcTime } from '../../model/readable.js'

const html = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
const duration = (ms: number): string => {
  const seconds = Math.round(ms / 1000)
  if (seconds < 90) return `${seconds} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}
const time = (at: number | undefined | null): string =>
  isCalendarTime(at) ? `${utcTime(at).slice(0, -1).replace('T', ' ')} UTC` : 'never'

/** The words, at a moment; templates have them as `fmt`. */
export function formatterAt(now: number) {
  return {
    bytes: readableBytes,
    count: readableCount,
    time,
    percent: (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`,
    ms: (value: number): string =>
      value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`,
    /** A moment told from now, as HTML. */
    ago: (at: number | undefined | null): string => {
      if (!isCalendarTime(at)) return 'never'
      const past = now - at
      const words =
        Math.abs(past) < 1500 ? 'now' : past < 0 ? `in ${duration(-past)}` : `${duration(past)} ago`
      return `<time datetime="${new Date(at).toISOString()}" title="${html(time(at))}">${words}</time>`
    },
    /** What a picture is called: its entity, its path, or the variant and URL that it is of. */
    name: ({ key: name, ownerKind, ownerId }: Pick<StoredImage, 'key' | 'ownerKind' | 'ownerId'>): string => {
      if (ownerKind !== undefined && ownerId !== undefined) return `${ownerKind} ${ownerId}`
      const [, kind = '', variant = '', id = ''] = name.split('/')
      if (kind !== 'remote') return name.slice(name.indexOf('/') + 1)
      const url = Buffer.from(id, 'base64url').toString('utf8')
      return variant === 'original' ? url : `${variant} of ${url}`
    },
    progress: ({ done, total, rate, eta, state }: Job): string =>
      [
        total > 0 ? `${readableCount(done)} of ${readableCount(total)}` : '',
        state === 'running' && rate !== undefined
          ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second`
          : '',
        eta === undefined ? '' : `${Math.ceil(eta / 1000)} s left`,
      ]
        .filter((part) => part !== '')
        .join(', '),
  }
}

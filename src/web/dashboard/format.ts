/** How the dashboard words numbers and times. */

import type { StoredImage } from '../../management/image-details.js'
import { adviceForReason } from '../../model/failure-advice.js'
import type { Job } from '../../model/job-queue.js'
import { isCalendarTime, readableBytes, readableCount, utcTime, zonedTime } from '../../model/readable.js'
import { remoteUrlOf, withRemoteUrls } from '../../model/remote-url.js'
import { JOB_WORDS, REASON_WORDS, STATE_WORDS, sentence } from './words.js'

const html = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
const duration = (ms: number): string => {
  const seconds = Math.round(ms / 1000)
  if (seconds < 90) return `${seconds} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}
const time = (at: number | undefined | null): string =>
  isCalendarTime(at) ? `${utcTime(at).slice(0, -1).replace('T', ' ')} UTC` : 'never'

/** `artist:7` → `artist 7`. */
const entityName = (key: string): string => key.replace(':', ' ')

/** The words, at a moment; templates have them as `fmt`. */
export function formatterAt(now: number) {
  return {
    bytes: readableBytes,
    count: readableCount,
    time,
    /** A share; `–` for that of nothing. */
    percent: (share: number): string =>
      Number.isFinite(share) ? `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %` : '–',
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
      const url = remoteUrlOf(name)
      if (url === undefined) return name.slice(name.indexOf('/') + 1)
      const [, , variant = ''] = name.split('/')
      return variant === 'original' ? url : `${variant} of ${url}`
    },
    /** A text with the URLs that addresses in it stand for. */
    plain: (text: unknown): string => withRemoteUrls(String(text ?? '')),
    /** A moment in a time zone, which is named. */
    zoned: (at: number, timeZone: string): string =>
      isCalendarTime(at) ? zonedTime(at, timeZone).replace('T', ' ') : 'never',
    state: (state: string): string => STATE_WORDS[state] ?? state,
    reason: (reason: string | undefined): string => REASON_WORDS[reason ?? ''] ?? '',
    /** What to do about a reason. */
    advice: (reason: string | undefined): string => {
      const advice = adviceForReason(reason ?? '')
      return advice === undefined ? '' : sentence(advice)
    },
    sentence,
    /** What a job is called: by its kind and number, or by the entity whose picture it fetches. */
    job: ({ kind, id, lane, key }: Pick<Job, 'kind' | 'id' | 'lane' | 'key'>): string =>
      lane === 'task' ? `Picture of ${entityName(key)}` : `${sentence(kind).slice(0, -1)} ${id}`,
    jobWords: (kind: string): string => JOB_WORDS[kind] ?? '',
    entity: entityName,
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

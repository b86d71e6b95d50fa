/** Sizes, counts and times as people read them, on pages and at the command line. */
import { SIZES } from './units.js'

const UNITS = Object.keys(SIZES)

/** A size: `512 B`, `1.5 MiB`. */
export function readableBytes(value: number): string {
  let size = value
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`
}

/** A number: `12,345`. */
export const readableCount = (value: number): string => Math.round(value).toLocaleString('en')

/** Whether a time, ms since the epoch, is one that a calendar has. */
export const isCalendarTime = (at: unknown): at is number =>
  typeof at === 'number' && Number.isFinite(at) && Math.abs(at) < 8.64e15

/** A time in ISO 8601, to the second, in UTC: `2026-01-31T03:00:00Z`. */
export const utcTime = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`

/** The time zone of the machine, by its IANA name. */
export const machineZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/** A time in ISO 8601 in a time zone, which is named: `2026-01-31T03:00:00+01:00 Europe/Berlin`. */
export function zonedTime(at: number, timeZone: string): string {
  const numbers = {
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  } as const
  const format = new Intl.DateTimeFormat('en', {
    ...{ ...numbers, year: 'numeric', hourCycle: 'h23', timeZone, timeZoneName: 'longOffset' },
  })
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? ''
  const offset = part('timeZoneName').replace('GMT', '').replace('\u2212', '-')
  const date = `${part('year')}-${part('month')}-${part('day')}`
  return `${date}T${part('hour')}:${part('minute')}:${part('second')}${offset || 'Z'} ${timeZone}`
}

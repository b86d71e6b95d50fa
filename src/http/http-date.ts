/**
 * Dates of HTTP (RFC 9110 §5.6.7): the three grammars, in any case (RFC 9111 §4.2), and nothing else that a date parser would
 * take for one.
 */

const DAYS = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAYS = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTHS = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)'
const TIME = '\\d{2}:\\d{2}:\\d{2}'
const IMF = new RegExp(`^${DAYS}, \\d{2} ${MONTHS} \\d{4} ${TIME} GMT$`, 'i')
const RFC_850 = new RegExp(`^${LONG_DAYS}, (\\d{2})-(${MONTHS})-(\\d{2}) (${TIME}) GMT$`, 'i')
const ASCTIME = new RegExp(`^${DAYS} ${MONTHS} [ \\d]\\d ${TIME} \\d{4}$`, 'i')
const CENTURY = 100

/** A year of two digits is the one that is not more than fifty years ahead. */
function fullYear(digits: string): number {
  const now = new Date().getUTCFullYear()
  const year = now - (now % CENTURY) + Number(digits)
  return year > now + 50 ? year - CENTURY : year
}

/** An HTTP date in ms since the epoch; undefined for text that is none. */
export function httpDate(text: string): number | undefined {
  const bare = text.trim()
  const [, day, month, year = '', time] = RFC_850.exec(bare) ?? []
  const ms = IMF.test(bare)
    ? Date.parse(bare)
    : day !== undefined
      ? Date.parse(`${day} ${month} ${fullYear(year)} ${time} GMT`)
      : ASCTIME.test(bare)
        ? Date.parse(`${bare} GMT`)
        : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

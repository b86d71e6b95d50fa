/** What commands print: results to standard output, all else to standard error. */
import { isCalendarTime, readableBytes, utcTime } from '../model/readable.js'

/** A line for people, beside the result. */
export const printError = (line: string): void => void process.stderr.write(`${line.trim()}\n`)
export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Fields that are times in ms since the epoch. */
const TIME = /^(?:at|until|lastUsed|lastRun|nextRun|nextTry)$|[a-z](?:At|Until)$/
/** Fields that are sizes. */
const SIZE = /^(?:bytes|size)$|[a-z](?:Bytes|BytesPerName)$/

/** The same with its times in ISO 8601; what no calendar has is left out. */
function withDates(value: unknown, name = ''): unknown {
  if (typeof value === 'number' && TIME.test(name)) return isCalendarTime(value) ? utcTime(value) : undefined
  if (Array.isArray(value)) return value.map((one) => withDates(one))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withDates(inner, key)]))
}

const isPlain = (value: unknown): boolean => typeof value !== 'object' || value === null

/** Values as lines of `name: value`, however deep; sizes in units. */
function lines(value: unknown, prefix = '', name = ''): readonly string[] {
  if (typeof value === 'number' && SIZE.test(name)) return [`${prefix}: ${readableBytes(value)}`]
  if (typeof value !== 'object' || value === null) return [`${prefix}: ${String(value)}`]
  if (Array.isArray(value)) {
    if (value.every(isPlain)) return [`${prefix}: ${value.join(', ') || 'none'}`]
    return value.flatMap((one, index) => lines(one, `${prefix}.${index + 1}`))
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : lines(inner, prefix === '' ? key : `${prefix}.${key}`, key),
  )
}
/** Prints a result, with its times as dates: as JSON, or as lines. */
export const show = (value: unknown, { json }: { readonly json?: boolean | undefined }): void => {
  const dated = withDates(value)
  if (json) print(JSON.stringify(dated))
  else for (const line of lines(dated)) print(line)
}

/** Prints a heading, and rows of a name and its value below it. */
export function printGroup(heading: string, rows: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  print(heading)
  for (const [name, value] of rows) print(`  ${name.padEnd(width)}  ${value}`)
}

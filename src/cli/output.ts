/** What commands print: results to standard output, all else to standard error. */

/** A line for people, beside the result. */
export const printError = (line: string): void => void process.stderr.write(`${line.trim()}\n`)
export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Values as lines of `name: value`, however deep. */
function lines(value: unknown, prefix = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [`${prefix}: ${String(value)}`]
  if (Array.isArray(value))
    return [
      `${prefix}: ${value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one))).join(', ')}`,
    ]
  return Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : lines(inner, prefix === '' ? key : `${prefix}.${key}`),
  )
}
/** Prints a result: as JSON, or as lines. */
export const show = (value: unknown, { json }: { readonly json?: boolean | undefined }): void => {
  if (json) print(JSON.stringify(value))
  else for (const line of lines(value)) print(line)
}

/** What a bench found: lines for people, and the same as JSON, out of which the chart of the documentation is drawn. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'

/** One contender: its name and its figures, each named with its unit. */
export type Row = Readonly<Record<string, string | number>> & { readonly name: string }

/** What a bench found. */
export interface Findings {
  /** What was measured how, in words. */
  readonly title: string
  readonly rows: readonly Row[]
}

/** On what it was measured. */
export const machine = (): Readonly<Record<string, string | number>> => ({
  node: process.versions.node,
  sharp: sharp.versions.sharp ?? 'unknown',
  cores: cpus().length,
  processor: cpus()[0]?.model ?? 'unknown',
})

/** Whether a short run is wanted: fewer rounds, fewer pictures, the same contenders. */
export const isQuick = process.argv.includes('--quick')

/** A number that an environment variable sets; without it one for a whole run, one for a short one. */
export const amount = (variable: string, whole: number, quick: number): number =>
  Number(process.env[variable] ?? (isQuick ? quick : whole))

/** A number as the lines show it: three digits that count. */
const plain = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

/** Prints what was found as a table. */
export function printFindings(bench: string, { title, rows }: Findings): void {
  const { node, cores, processor } = machine()
  console.log(`${bench}: ${title}; Node ${node}, ${cores} × ${processor}`)
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = rows.map((row) =>
    columns.map((column) => {
      const value = row[column] ?? ''
      return typeof value === 'number' ? plain(value) : value
    }),
  )
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((line) => (line[index] ?? '').length)),
  )
  const pad = (line: readonly string[]): string =>
    line
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ')
  for (const line of [columns, ...cells]) console.log(`${bench}: ${pad(line)}`)
}

/** Writes what was found, with the machine, as JSON into a folder. */
export function writeFindings(folder: string, bench: string, findings: Findings): void {
  mkdirSync(folder, { recursive: true })
  const text = JSON.stringify({ bench, ...findings, machine: machine() }, undefined, 2)
  writeFileSync(join(folder, `${bench}.json`), `${text}\n`)
}

/** The README as tests read it. */
import { readFileSync } from 'node:fs'

/** The root of the repository. */
export const root = new URL('../../', import.meta.url).pathname
/** Its text. */
export const readme = readFileSync(`${root}README.md`, 'utf8')

/** The rows of the first table under a heading, `## Options` or `### …`, cell by cell. */
export function table(heading: string): string[][] {
  const chapter = readme.split(`\n${heading}\n`)[1]?.split(/\n#{2,3} /)[0] ?? ''
  return chapter
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

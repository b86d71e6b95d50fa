/** Tables of Markdown. */

/** A text in a cell: on one line, and without what would end it. */
export const cell = (text: string): string =>
  text
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('|', '\\|')
    .trim()

/** A table. */
export const tableOf = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => '---'), ...rows.map((row) => row.map(cell))]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')

/** A page: its title, what it answers, and its parts. */
export const page = (title: string, about: string, ...parts: readonly string[]): string =>
  `${[`# ${title}`, about, ...parts].join('\n\n')}\n`

/** The README and the pages of the documentation as tests read them. */
import { readdirSync, readFileSync } from 'node:fs'

/** The root of the repository. */
export const root = new URL('../../', import.meta.url).pathname

/** A page: its path from the root, and its text. */
export interface Page {
  readonly path: string
  readonly text: string
}

/** A page by its path from the root. */
export const pageAt = (path: string): Page => ({ path, text: readFileSync(`${root}${path}`, 'utf8') })

/** Every page: the README, what lies beside it, and all below `docs/`. */
export const PAGES: readonly Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...['docs/', 'docs/reference/'].flatMap((folder) =>
    readdirSync(`${root}${folder}`)
      .filter((name) => name.endsWith('.md'))
      .map((name) => folder + name),
  ),
].map(pageAt)

/** A fenced block. */
export interface Block {
  readonly page: string
  readonly language: string
  readonly code: string
  /** Line of its fence, from 1. */
  readonly line: number
}

/** The fenced blocks of a page, in order. */
export const blocksOf = ({ path, text }: Page): readonly Block[] =>
  [...text.matchAll(/^```([a-z]*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: code = '', index }) => ({
    page: path,
    language,
    code,
    line: text.slice(0, index).split('\n').length,
  }))

/** The rows of the first table under a heading, `## Options`, cell by cell. */
export function table({ text }: Page, heading: string): string[][] {
  const chapter = `\n${text}`.split(`\n${heading}\n`)[1]?.split(/\n#{1,3} /)[0] ?? ''
  return chapter
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    )
}

/** The anchors of a page's headings, as hosts of repositories make them. */
export const anchorsOf = ({ text }: Page): ReadonlySet<string> =>
  new Set(
    [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
      heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  )

/** The words of `docs/glossary.md` that are never right: in no name, log line, metric or view. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const root = new URL('../', import.meta.url).pathname
const never = (() => {
  const chapter =
    readFileSync(`${root}docs/glossary.md`, 'utf8').split('## Words that are never right')[1] ?? ''
  return [...chapter.matchAll(/`([a-z]+)`/g)]
    .map(([, word = '']) => word)
    .filter((word) => !['src', 'test'].includes(word))
})()
/** What lies on disk, or in another's protocol, under such a name. */
const ALLOWED = new Set(['src/jobs/sqlite/tables.ts: told'])

const filesBelow = (folder: string, ending: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => ending.test(file) && !/node_modules|bench\/peers|^data\//.test(file))
    .map((file) => `${folder}/${file}`)

/** `isToldByCDN` → is, told, by, cdn */
const wordsOf = (text: string): readonly string[] =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)

/** Identifiers, names of files, and the texts that are logged. */
function namesIn(file: string, text: string): readonly string[] {
  const found = [file]
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) found.push(node.text)
    if (ts.isStringLiteralLike(node) && /^artwork\b|^artwork_/.test(node.text)) found.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest))
  return found
}
const wrong = (file: string, names: readonly string[]): readonly string[] => [
  ...new Set(
    names
      .flatMap(wordsOf)
      .filter((word) => never.includes(word))
      .map((word) => `${file}: ${word}`),
  ),
]

test('the words that are never right are nowhere', () => {
  expect(never.length).toBeGreaterThan(10)
  const sources = ['src', 'test', 'example-app'].flatMap((folder) => filesBelow(folder, /\.ts$/))
  expect(sources.length).toBeGreaterThan(200)
  const read = (file: string): string => readFileSync(join(root, file), 'utf8')
  const found = [
    ...sources.flatMap((file) => wrong(file, namesIn(file, read(file)))),
    ...filesBelow('views', /\.(?:njk|js|css)$/).flatMap((file) => wrong(file, [read(file)])),
  ]
  expect(found.filter((one) => !ALLOWED.has(one))).toEqual([])
})

test.each([
  ['an identifier', 'const toldBy = 1', 'a.ts: told'],
  ['a property', 'export interface X { readonly isShelved: boolean }', 'a.ts: shelved'],
  ['a log line', "logger.warn({}, 'artwork: something is amiss')", 'a.ts: amiss'],
])('%s is found', (_what, text, found) => {
  expect(wrong('a.ts', namesIn('a.ts', text))).toEqual([found])
})

/**
 * Figures of the code in src, or in the folder that is named: lines of files and functions, and import cycles.
 * `--check` fails where they are over their bounds, and prints those alone.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import ts from 'typescript'

const isCheck = process.argv.includes('--check')
const root = resolve(process.argv.slice(2).find((one) => !one.startsWith('--')) ?? 'src')
/** Lines. */
const BOUNDS = { fileP90: 220, functionP90: 30, functionMax: 120 }
/** Functions and files over these are named. */
const LONG_FUNCTION = 60
const LONG_FILE = 220

const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('node_modules'))
  .sort()
const at = (share, sorted) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const summary = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b)
  return { median: at(0.5, sorted), p90: at(0.9, sorted), max: sorted.at(-1) ?? 0 }
}

const files = []
const functions = []
const imports = new Map()
for (const file of sources) {
  const text = readFileSync(join(root, file), 'utf8')
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  files.push({ what: file, lines: text.split('\n').length - 1 })
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body !== undefined) {
      const lineOf = (position) => tree.getLineAndCharacterOfPosition(position).line
      const name = node.name?.getText() ?? node.parent?.name?.getText() ?? '(no name)'
      functions.push({ what: `${file} ${name}`, lines: lineOf(node.end) - lineOf(node.getStart()) + 1 })
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  imports.set(
    file,
    ts
      .preProcessFile(text, true, true)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName }) => join(dirname(file), fileName).replace(/\.js$/, '.ts'))
      .filter((target) => sources.includes(target)),
  )
}

const cycles = []
const done = new Set()
const follow = (file, path) => {
  if (path.includes(file)) return void cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
  if (done.has(file)) return
  for (const target of imports.get(file) ?? []) follow(target, [...path, file])
  done.add(file)
}
for (const file of sources) follow(file, [])

const total = files.reduce((sum, { lines }) => sum + lines, 0)
const row = (name, { median, p90, max }) => `${name}: median ${median}, p90 ${p90}, max ${max} lines`
const ofFiles = summary(files.map(({ lines }) => lines))
const ofFunctions = summary(functions.map(({ lines }) => lines))
if (isCheck) {
  const over = [
    ofFiles.p90 > BOUNDS.fileP90 && `a tenth of the files has over ${BOUNDS.fileP90} lines: ${ofFiles.p90}`,
    ofFunctions.p90 > BOUNDS.functionP90 &&
      `a tenth of the functions has over ${BOUNDS.functionP90} lines: ${ofFunctions.p90}`,
    ...functions
      .filter(({ lines }) => lines > BOUNDS.functionMax)
      .map(({ what, lines }) => `${what} has ${lines} lines, over ${BOUNDS.functionMax}`),
    ...cycles,
  ].filter(Boolean)
  for (const one of over) console.error(one)
  process.exit(over.length === 0 ? 0 : 1)
}
console.log(`${files.length} files, ${total} lines`)
console.log(row('files', ofFiles))
console.log(row(`${functions.length} functions`, ofFunctions))
console.log(`import cycles, types included: ${cycles.length === 0 ? 'none' : cycles.join('; ')}`)
const list = (title, all, bound) => {
  const long = all.filter(({ lines }) => lines > bound).sort((a, b) => b.lines - a.lines)
  console.log(`\n${title} over ${bound} lines: ${long.length}`)
  for (const { what, lines } of long) console.log(`  ${lines}  ${what}`)
}
list('functions', functions, LONG_FUNCTION)
list('files', files, LONG_FILE)

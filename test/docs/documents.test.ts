/** The README and the documentation are true: their code has the right types, their tables are those of the code, their links lead somewhere. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runInNewContext } from 'node:vm'
import * as artwork from 'express-artwork'
import nunjucks from 'nunjucks'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { environmentNames } from '#src/options/env-variables.js'
import { optionsSchema } from '#src/options/schema.js'
import { settleOptions } from '#src/options/settings.js'
import { CHART, drawChart } from '../../docs/generate/figures.js'
import { describedOptions } from '../../docs/generate/options.js'
import { referencePages } from '../../docs/generate/reference.js'
import { anchorsOf, blocksOf, PAGES, pageAt, root, table } from '../support/documents.js'

const readme = pageAt('README.md')
const blocks = PAGES.flatMap(blocksOf)

const manifest: { scripts: Record<string, string> } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

const flatten = (value: object, prefix = ''): Record<string, unknown> =>
  Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]) => {
      const name = prefix + key
      const nested = [
        'display',
        'urls',
        'memory',
        'disk',
        'freshness',
        'fetch',
        'transform',
        'signing',
        'manage',
        'export',
      ].includes(name)
      return nested ? flatten(inner, `${name}.`) : { [name]: inner }
    }),
  )

test('the README is read in three minutes', () => {
  expect(readme.text.split('\n').length).toBeLessThanOrEqual(181)
  const prose = readme.text.replace(/^```[\s\S]*?^```$/gm, '')
  expect(prose.split(/\s+/).length).toBeLessThanOrEqual(1500)
})

test('the pages of the reference that follow from the code are current (npm run docs:reference)', async () => {
  for (const [file, text] of Object.entries(await referencePages()))
    expect(pageAt(`docs/reference/${file}`).text, file).toBe(text)
}, 120_000)

test('the chart is drawn from the figures of the bench (npx tsx docs/generate/figures.ts)', () => {
  expect(readFileSync(CHART, 'utf8')).toBe(drawChart())
})

test('every link leads somewhere, also to a heading, and every page can be reached from the README', () => {
  const reached = new Set(['README.md'])
  const broken: string[] = []
  for (const { path, text } of PAGES) {
    const bare = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
    const links = [...bare.matchAll(/\]\(([^)\s]+)\)/g), ...bare.matchAll(/(?:src|srcset)="([^"]+)"/g)]
    for (const [, link = ''] of links) {
      if (/^[a-z]+:/.test(link)) continue
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      reached.add(target)
      const linked = PAGES.find((page) => page.path === target)
      if (!existsSync(root + target)) broken.push(`${path}: ${link}`)
      else if (anchor !== undefined && linked !== undefined && !anchorsOf(linked).has(anchor))
        broken.push(`${path}: ${link} (no such heading)`)
    }
  }
  expect(broken).toEqual([])
  expect(PAGES.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
})

test('every template is one, and every JSON is', () => {
  const environment = new nunjucks.Environment(null)
  environment.addFilter('dump', String)
  for (const { page, language, code, line } of blocks) {
    if (language === 'njk')
      expect(() => new nunjucks.Template(code, environment, page, true), `${page}:${line}`).not.toThrow()
    if (language === 'json') expect(() => JSON.parse(code), `${page}:${line}`).not.toThrow()
  }
})

/** A default as a docstring says it, as the value that it is. */
function defaultOf(said: string, type: string): unknown {
  if (said === 'none') return []
  const [, count = '', unit = ''] = /^([\d.]+) (ms|s|min|h|d|KiB|MiB|GiB)$/.exec(said) ?? []
  const units = {
    ms: 1,
    s: 1000,
    min: 60_000,
    h: 3_600_000,
    d: 86_400_000,
    KiB: 1024,
    MiB: 1024 ** 2,
    GiB: 1024 ** 3,
  }
  if (unit in units) return Number(count) * units[unit as keyof typeof units]
  return runInNewContext(`(${type === 'number' ? said.replaceAll(',', '') : said})`)
}

describe('the documentation', () => {
  test('its table of options names every option with its default', () => {
    const {
      kinds: _kinds,
      areWidthsDefault: _isDefault,
      isTemporary: _isTemporary,
      ...settled
    } = settleOptions()
    const { pathKinds: _pathKinds, ...urls } = settled.urls
    const settings = { ...settled, urls }
    const actual = flatten(settings)
    // What has no default, one that is no value, or options of its own.
    const words = [
      'entities',
      'shared',
      'coordination',
      'jobs',
      'repository',
      'onPurge',
      'fetch.lookup',
      'fetch.proxies',
      'manage.authorize',
      'manage.templates',
      'kindOf',
      'clientOf',
      'schedules',
      'presets',
      'export.directory',
      'export.seenAs',
      'export.mode',
      'logger',
      'now',
      'transform.concurrency',
    ]
    const options = describedOptions()
    const names = options.map(({ name }) => name)
    expect(names.slice().sort()).toEqual([...new Set([...Object.keys(actual), ...words])].sort())
    for (const { name, type, default: said, meaning } of options) {
      expect(meaning, name).toMatch(/^.{5,}[.`)]$/)
      if (!words.includes(name)) expect([name, defaultOf(said, type)]).toEqual([name, actual[name]])
    }
  })

  test('its table of variables names every one that has a name of its own', () => {
    const named = new Set(
      table(pageAt('docs/reference/environment.md'), '# Environment variables').flatMap(([names = '']) =>
        [...names.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name),
      ),
    )
    const options = Object.keys(flatten(optionsSchema.parse({}))).map(
      (name) =>
        `ARTWORK_${name
          .replace(/[A-Z]/g, (letter) => `_${letter}`)
          .replaceAll('.', '_')
          .toUpperCase()}`,
    )
    const own = environmentNames().filter((name) => !options.includes(name))
    expect([...named].sort()).toEqual([...own, 'PORT', 'HOST'].sort())
  })

  test('its chapter on security names tests that exist', () => {
    const named = table(
      pageAt('docs/security.md'),
      '## What is defended, and the test that shows it',
    ).flatMap(([, shown = '']) => [...shown.matchAll(/`(test\/[^`]+)`/g)])
    expect(named.length).toBeGreaterThan(9)
    for (const [, file = ''] of named) expect(existsSync(`${root}${file}`), file).toBe(true)
    for (const [, shown = ''] of table(
      pageAt('docs/security.md'),
      '## What is defended, and the test that shows it',
    )) {
      const [, file = ''] = /`(test\/[^`]+)`/.exec(shown) ?? []
      const text = readFileSync(`${root}${file}`, 'utf8')
      for (const [id] of shown.matchAll(/\b[FHP]\d\d\b/g)) expect(text, id).toContain(`${id}:`)
    }
  })

  test('its commands are scripts of the package', () => {
    let count = 0
    for (const { path, text } of PAGES)
      for (const [, run, short] of text.matchAll(/npm (?:run ([a-z0-9:]+)|(test|start)\b)/g)) {
        count += 1
        expect(Object.keys(manifest.scripts), `${path}: ${run ?? short}`).toContain(run ?? short ?? '')
      }
    expect(count).toBeGreaterThan(20)
  })

  test('every filter it names exists, and every filter that exists is named', () => {
    const added: string[] = []
    const source = readFileSync(`${root}src/templates/nunjucks.ts`, 'utf8')
    for (const [, name = ''] of source.matchAll(/addFilter\('([a-z_]+)'/g))
      if (name !== 'image_alt') added.push(name)
    const named = [...pageAt('docs/filters.md').text.matchAll(/^\| `(image_[a-z_]+)\(/gm)].map(
      ([, name]) => name,
    )
    expect(named).toEqual(added)
  })

  test('the files that it names are there', () => {
    const missing: string[] = []
    const { text } = pageAt('docs/architecture.md')
    const rooms =
      '(?:model|http|database|store|fetch|transform|sources|options|images|uploads|library|jobs|metrics|management|web|templates|cli)'
    for (const [, file = ''] of text.matchAll(new RegExp(`\`(${rooms}/[a-z0-9/-]+\\.ts)`, 'g')))
      if (!existsSync(`${root}src/${file}`)) missing.push(file)
    for (const { path, text: page } of PAGES)
      for (const [, file = ''] of page.matchAll(/`((?:src|test|example-app|docs)\/[a-zA-Z0-9/._-]+)`/g))
        if (!existsSync(root + file)) missing.push(`${path}: ${file}`)
    expect(missing).toEqual([])
  })

  test('its TypeScript has no type error', () => {
    const modules = blocks.filter(({ language }) => language === 'ts')
    expect(modules.length).toBeGreaterThan(60)
    const files = new Map(
      modules.map(({ page, line, code }) => [
        `${root}test/${page.replace(/\W/g, '-')}-${line}.ts`,
        // Each is a module of its own.
        `${code}\nexport {}\n`,
      ]),
    )
    const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
    const host = ts.createCompilerHost(options)
    const { fileExists, readFile, getSourceFile } = host
    host.fileExists = (file) => files.has(file) || fileExists(file)
    host.readFile = (file) => files.get(file) ?? readFile(file)
    host.getSourceFile = (file, target, ...rest) => {
      const code = files.get(file)
      return code === undefined
        ? getSourceFile(file, target, ...rest)
        : ts.createSourceFile(file, code, target)
    }
    const program = ts.createProgram([...files.keys()], options, host)
    const problems = [...files.keys()].flatMap((file) => {
      const source = program.getSourceFile(file)
      return [...program.getSemanticDiagnostics(source), ...program.getSyntacticDiagnostics(source)]
    })
    expect(
      problems.map(
        ({ file, messageText }) =>
          `${file?.fileName.replace(root, '')}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      ),
    ).toEqual([])
  }, 120_000)

  test('what it imports from the package is exported', () => {
    for (const { text } of PAGES)
      for (const [, names = ''] of text.matchAll(/import \{([^}]+)\} from 'express-artwork'/g))
        for (const name of names.split(',').map((one) => one.trim()))
          if (name !== '' && !name.startsWith('type ')) expect(Object.keys(artwork)).toContain(name)
  })
})

test('every public function and type has a docstring', () => {
  const missing: string[] = []
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const program = ts.createProgram([`${root}src/index.ts`], options)
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(`${root}src/index.ts`)
  const symbol = source && checker.getSymbolAtLocation(source)
  const names = symbol === undefined ? [] : checker.getExportsOfModule(symbol)
  for (const exported of names) {
    const original = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    if (original.getDocumentationComment(checker).length === 0) missing.push(exported.name)
  }
  expect(names.length).toBeGreaterThan(20)
  expect(missing).toEqual([])
})

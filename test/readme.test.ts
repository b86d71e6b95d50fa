/** The README is true: its code has the right types, its tables are those of the code, its names exist. */
import { existsSync, readFileSync } from 'node:fs'
import * as artwork from 'express-artwork'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { ArtworkError, type ErrorCode } from '#src/model/failure.js'
import { environmentNames } from '#src/options/env-variables.js'
import { optionsSchema } from '#src/options/schema.js'
import { settleOptions } from '#src/options/settings.js'
import { readme, root, table } from './support/readme.js'

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

describe('the README', () => {
  test('its table of options names every option with its default', () => {
    const { kinds: _kinds, areWidthsDefault: _isDefault, ...settings } = settleOptions()
    const actual = flatten(settings)
    const rows = new Map(
      table('## Options').map(([name = '', value = '']) => [name.replaceAll('`', ''), value]),
    )
    const words = [
      'entities',
      'repository',
      'onPurge',
      'fetch.lookup',
      'fetch.proxies',
      'manage.authorize',
      'kindOf',
      'clientOf',
      'schedules',
      'export.directory',
      'export.seenAs',
      'export.mode',
      'logger',
      'now',
      'transform.concurrency',
    ]
    expect([...rows.keys()].sort()).toEqual([...new Set([...Object.keys(actual), ...words])].sort())
    for (const [name, value] of rows) {
      if (!words.includes(name)) expect(value.replaceAll('`', ''), name).toBe(JSON.stringify(actual[name]))
    }
  })

  test('its table of variables names every one that has a name of its own', () => {
    const named = new Set(
      table('### As a service').flatMap(([names = '']) =>
        [...names.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name),
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
    const named = table('## Security').flatMap(([, shown = '']) => [...shown.matchAll(/`(test\/[^`]+)`/g)])
    expect(named.length).toBeGreaterThan(9)
    for (const [, file = ''] of named) expect(existsSync(`${root}${file}`), file).toBe(true)
    for (const [, shown = ''] of table('## Security')) {
      const [, file = ''] = /`(test\/[^`]+)`/.exec(shown) ?? []
      const text = readFileSync(`${root}${file}`, 'utf8')
      for (const [id] of shown.matchAll(/\b[FHP]\d\d\b/g)) expect(text, id).toContain(`${id}:`)
    }
  })

  test('its table of errors is the table of the code', () => {
    const codes: ErrorCode[] = [
      'invalid',
      'refused',
      'not_found',
      'slow_request',
      'too_large',
      'unsupported',
      'invalid_image',
      'connection',
      'upstream_denied',
      'upstream_failed',
      'throttled',
      'processing',
      'timeout',
      'unavailable',
    ]
    const rows = table('## Errors').map(([, status = '', reasons = '']) => ({
      status: Number.parseInt(status, 10),
      reasons: reasons.replaceAll('`', '').split(', '),
    }))
    for (const code of codes) {
      const { status, reason } = new ArtworkError(code, '')
      expect(rows.find((row) => row.status === status)?.reasons, code).toContain(reason)
    }
  })

  test('its commands are scripts of the package', () => {
    for (const [, run, short] of readme.matchAll(/npm (?:run ([a-z:]+)|(test|start)\b)/g)) {
      const name = run ?? short ?? ''
      expect(Object.keys(manifest.scripts), name).toContain(name)
    }
  })

  test('every filter it names exists, and every filter that exists is named', () => {
    const added: string[] = []
    const source = readFileSync(`${root}src/templates/nunjucks.ts`, 'utf8')
    for (const [, name = ''] of source.matchAll(/addFilter\('([a-z_]+)'/g))
      if (name !== 'image_alt') added.push(name)
    const named = [...readme.matchAll(/^\| `(image_[a-z_]+)\(/gm)].map(([, name]) => name)
    expect(named).toEqual(added)
  })

  test('the tree it draws is the tree', () => {
    const chapter = readme.split('```text\n')[1]?.split('```')[0] ?? ''
    const names = [...chapter.matchAll(/^ {2}([a-z./]+) /gm)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(8)
    for (const name of names) expect(existsSync(`${root}src/${name}`), name).toBe(true)
  })

  test('its TypeScript has no type error', () => {
    const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code)
    expect(blocks.length).toBeGreaterThan(1)
    const files = new Map(blocks.map((code, index) => [`${root}test/readme-block-${index}.ts`, code]))
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
    expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual([])
  })

  test('what it imports from the package is exported', () => {
    for (const [, names = ''] of readme.matchAll(/import \{([^}]+)\} from 'express-artwork'/g))
      for (const name of names.split(',')) expect(Object.keys(artwork)).toContain(name.trim())
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

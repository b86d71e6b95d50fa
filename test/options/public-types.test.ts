/** The types that an app writes against: each member says what it is, and mistakes do not compile. */

import type { ArtworkOptions } from 'express-artwork'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { optionsSchema } from '#src/options/schema.js'

const root = new URL('../../', import.meta.url).pathname

/** A program over the sources as they are, with one more file. */
function compile(text: string): { readonly program: ts.Program; readonly file: ts.SourceFile } {
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const name = `${root}test/options/written.ts`
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => path === name || fileExists(path)
  host.readFile = (path) => (path === name ? text : readFile(path))
  host.getSourceFile = (path, target, ...rest) =>
    path === name ? ts.createSourceFile(path, text, target) : getSourceFile(path, target, ...rest)
  const program = ts.createProgram([name], options, host)
  const file = program.getSourceFile(name)
  if (file === undefined) throw new Error('the file is not in the program')
  return { program, file }
}

/** Every member that can be reached from a type, and is declared by us, without a word of what it is. */
function undocumented(checker: ts.TypeChecker, start: ts.Type, name: string) {
  const missing = new Set<string>()
  const seen = new Set<ts.Type>()
  let count = 0
  const isOurs = (symbol: ts.Symbol): boolean =>
    (symbol.declarations ?? []).some((one) => one.getSourceFile().fileName.startsWith(`${root}src/`))
  const visitSignatures = (type: ts.Type, path: string): void => {
    for (const signature of type.getCallSignatures()) {
      if (signature.declaration && !isOurs(type.symbol)) continue
      for (const parameter of signature.getParameters())
        visit(checker.getTypeOfSymbol(parameter), `${path}(${parameter.name})`)
      visit(signature.getReturnType(), `${path}()`)
    }
  }
  const visit = (type: ts.Type, path: string): void => {
    if (seen.has(type)) return
    seen.add(type)
    if (type.isUnionOrIntersection()) for (const one of type.types) visit(one, path)
    for (const argument of checker.getTypeArguments(type as ts.TypeReference)) visit(argument, path)
    for (const argument of type.aliasTypeArguments ?? []) visit(argument, path)
    const index = type.getStringIndexType() ?? type.getNumberIndexType()
    if (index !== undefined) visit(index, `${path}[]`)
    visitSignatures(type, path)
    for (const member of type.getProperties()) {
      if (!isOurs(member)) continue
      count += 1
      const at = `${path}.${member.name}`
      if (member.getDocumentationComment(checker).length === 0) missing.add(at)
      visit(checker.getTypeOfSymbol(member), at)
    }
  }
  visit(start, name)
  return { missing: [...missing], count }
}

describe('what an editor shows', () => {
  const names = [
    'Artwork',
    'ArtworkOptions',
    'UploadFormOptions',
    'UploadsOptions',
    'RemoteOptions',
    'TmdbOptions',
    'AtprotoOptions',
    'Given',
  ]
  const { program, file } = compile(
    `import { createArtwork, ${names.map((one) => (one === 'Given' ? '' : `type ${one}`)).join(', ')} } from 'express-artwork'\ntype Given = Parameters<typeof createArtwork>[0]\n${names.map((one) => `export type Of${one} = ${one}`).join('\n')}`,
  )
  const checker = program.getTypeChecker()
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file) ?? expect.fail())
  test.each(names)('every member of %s has a docstring, and all that it leads to', (name) => {
    const symbol = exported.find((one) => one.name === `Of${name}`) ?? expect.fail(name)
    const { missing, count } = undocumented(checker, checker.getDeclaredTypeOfSymbol(symbol), name)
    expect(missing).toEqual([])
    expect(count).toBeGreaterThan(1)
  })
})

/** A type as it may be written: arrays and objects that may be changed, at any depth. */
type Writable<T> = T extends (...given: never[]) => unknown
  ? T
  : T extends object
    ? { -readonly [Key in keyof T]: Writable<T[Key]> }
    : T
/** Names of options, with those of their groups. */
type Names<T> = {
  [Key in keyof T & string]: string extends keyof NonNullable<T[Key]>
    ? Key
    : NonNullable<T[Key]> extends
          | readonly unknown[]
          | string
          | number
          | boolean
          | ((...given: never[]) => unknown)
      ? Key
      : Key | `${Key}.${keyof NonNullable<T[Key]> & string}`
}[keyof T & string]
/** What the schema takes as it is, and what it says of a type in its own way. */
type Checked = z.input<typeof optionsSchema>
type OwnWay = 'entities' | 'presets' | 'sources' | 'repository' | 'logger' | 'fetch'
type Groups =
  | 'urls'
  | 'memory'
  | 'disk'
  | 'freshness'
  | 'fetch'
  | 'transform'
  | 'manage'
  | 'export'
  | 'display'
  | 'signing'
type Same<One, Other> = [One] extends [Other] ? ([Other] extends [One] ? true : false) : false
/** Compiles where it is given true alone. */
const holds = (..._all: readonly true[]): void => {}

describe('the options and their schema', () => {
  test('say the same, which is checked when this is compiled', () => {
    holds(
      // All that is declared is taken, and all that is taken is declared.
      true satisfies Same<keyof ArtworkOptions, keyof Checked>,
      true satisfies Same<Names<Pick<ArtworkOptions, Groups>>, Names<Pick<Checked, Groups>>>,
      true satisfies Writable<Omit<ArtworkOptions, OwnWay>> extends Omit<Checked, OwnWay> ? true : false,
      true satisfies Checked extends Omit<ArtworkOptions, OwnWay> ? true : false,
      true satisfies Writable<Omit<NonNullable<ArtworkOptions['fetch']>, 'proxies'>> extends NonNullable<
        Checked['fetch']
      >
        ? true
        : false,
    )
    expect(Object.keys(optionsSchema.shape)).toContain('directory')
  })
})

describe('what compiles', () => {
  /** Lines of a text that do not compile, by their comments. */
  const mistakes = (lines: readonly string[]): readonly string[] => {
    const { program, file } = compile(lines.join('\n'))
    const wrong = program
      .getSemanticDiagnostics(file)
      .map(({ start = 0 }) => lines[file.getLineAndCharacterOfPosition(start).line] ?? '')
    return [...new Set(wrong)]
  }
  const MISTAKE = '// wrong'
  test('uploads are there where they are listed, and a purge is said in one way', {
    timeout: 120_000,
  }, () => {
    const lines = [
      "import { type ArtworkOptions, type ArtworkUploads, createArtwork, remote, type Source, tmdb, uploads } from 'express-artwork'",
      "import type { EntityLike, PurgeTarget } from 'express-artwork'",
      'declare const others: Source[]',
      'declare const options: ArtworkOptions',
      'declare const isOpen: boolean',
      'const take = (verbs: ArtworkUploads): void => void verbs',
      'const listed = await createArtwork({ sources: [tmdb(), uploads(), remote({ hosts: [] })] })',
      'take(listed.uploads)',
      'take((await createArtwork({ sources: [...others, uploads({ maxAge: 1 })], widths: [320] })).uploads)',
      'take((await createArtwork({ sources: [uploads(), ...others] })).uploads)',
      `take((await createArtwork({ sources: [tmdb()] })).uploads) ${MISTAKE}`,
      `take((await createArtwork({ sources: isOpen ? [uploads()] : [] })).uploads) ${MISTAKE}`,
      `take((await createArtwork({ sources: [isOpen ? uploads() : tmdb()] })).uploads) ${MISTAKE}`,
      `take((await createArtwork({ sources: others })).uploads) ${MISTAKE}`,
      `take((await createArtwork(options)).uploads) ${MISTAKE}`,
      `take((await createArtwork()).uploads) ${MISTAKE}`,
      `await createArtwork({ sources: [tmdb()], wdths: [320] }) ${MISTAKE}`,
      `await createArtwork({ sources: [tmdb()], fetch: { maxByte: 1 } }) ${MISTAKE}`,
      `await createArtwork({ fetch: { maxBytes: '10 MiB', proxies: { foreign: ['http://p1.example.com'] } } })`,
      'class Album { #id = 7; get id(): number { return this.#id }; get image_url(): string { return "" } }',
      'interface Film { id: string; poster_url: string }',
      'declare const film: Film',
      "listed.refresher.enqueue('album', new Album())",
      "listed.refresher.enqueue('film', film)",
      "listed.refresher.enqueue('album', { id: 1n, image_url: null, anything: {} })",
      `listed.refresher.enqueue('album', { image_url: '' }) ${MISTAKE}`,
      'const entities: EntityLike[] = [new Album(), film, { id: 1, name: "" }]',
      "await listed.images.purge({ url: 'https://cdn.example.com/a.jpg' })",
      "await listed.images.purge({ address: 'poster/w342/abc.jpg' })",
      "await listed.images.purge({ entity: { kind: 'film', id: 7 } })",
      "await listed.images.purge({ tag: 'kind-poster' })",
      `await listed.images.purge({ url: 'https://cdn.example.com/a.jpg', tag: 'kind-poster' }) ${MISTAKE}`,
      `const target: PurgeTarget = { address: 'poster/w342/abc.jpg', entity: { kind: 'film', id: 7 } } ${MISTAKE}`,
      `await listed.images.purge({}) ${MISTAKE}`,
      `listed.images.explain({ url: '', address: '' }) ${MISTAKE}`,
      'export { entities, target }',
    ]
    expect(mistakes(lines)).toEqual(lines.filter((line) => line.endsWith(MISTAKE)))
  })
})

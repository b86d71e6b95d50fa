/** The direction of imports, held by a test. Each rule has its reason; each is shown to fail on a planted breach. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

type Tree = Readonly<Record<string, string>>

const root = new URL('../src/', import.meta.url).pathname
const exampleApp = new URL('../example-app/', import.meta.url).pathname

const readTree = (root: string): Tree =>
  Object.fromEntries(
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
  )

/** What a file imports: our own files as paths below src, packages by their name. */
function importsOf(file: string, text: string): { own: string[]; packages: string[] } {
  const { importedFiles } = ts.preProcessFile(text, true, true)
  const own: string[] = []
  const packages: string[] = []
  for (const { fileName } of importedFiles) {
    if (fileName.startsWith('.'))
      own.push(relative(root, resolve(root, dirname(file), fileName)).replace(/\.js$/, '.ts'))
    else if (!fileName.startsWith('node:')) packages.push(fileName.replace(/^((?:@[^/]+\/)?[^/]+).*$/, '$1'))
  }
  return { own, packages }
}

/** The room of a file: its folder, or its name for the files at the top. The doctor is one of its own in the command line. */
const roomOf = (file: string): string => {
  if (/^cli\/doctor(?:\/|\.ts$)/.test(file)) return 'doctor'
  return file.includes('/') ? (file.split('/')[0] ?? '') : file.replace(/\.ts$/, '')
}

const LEAVES = ['model', 'http', 'concurrency', 'events', 'package-files']
const PORTS = [...LEAVES, 'database', 'store', 'fetch', 'transform', 'sources', 'options']
const PIPELINE = [...PORTS, 'images']
const BESIDE = [...PIPELINE, 'uploads', 'library']
const WORK = [...BESIDE, 'jobs', 'metrics', 'management']
/** What each room may import, beside itself. */
const ALLOWED: Readonly<Record<string, { from: readonly string[]; because: string }>> = {
  model: { from: [], because: 'pure values know nobody' },
  http: { from: ['model'], because: 'HTTP semantics are pure functions over values' },
  concurrency: { from: ['model'], because: 'it bounds work and does not know which' },
  events: { from: ['model'], because: 'events are values' },
  database: { from: ['model'], because: 'how a file of SQLite is kept has to do with no table in it' },
  store: { from: [...LEAVES, 'database'], because: 'the four ports never see each other' },
  fetch: { from: LEAVES, because: 'the four ports never see each other' },
  transform: { from: LEAVES, because: 'the four ports never see each other' },
  sources: { from: LEAVES, because: 'the four ports never see each other' },
  options: { from: ['model', 'http', 'sources'], because: 'options are settled before anything runs' },
  images: { from: PORTS, because: 'the pipeline does not know who asks' },
  uploads: { from: PIPELINE, because: 'uploads stand on the pipeline, media servers beside them' },
  library: { from: PIPELINE, because: 'media servers stand on the pipeline, uploads beside them' },
  jobs: { from: BESIDE, because: 'background work does not know HTTP' },
  metrics: { from: [...BESIDE, 'jobs'], because: 'what is counted does not know who reads it' },
  management: { from: WORK, because: 'what an operator can do does not know HTTP' },
  templates: { from: WORK, because: 'HTTP and templates do not know each other' },
  web: { from: WORK, because: 'HTTP and templates do not know each other' },
  artwork: {
    from: [...WORK, 'templates', 'web'],
    because: 'what an app has in hand is told by interfaces alone',
  },
  storage: {
    from: [...LEAVES, 'options', 'sources', 'store', 'uploads'],
    because: 'it opens what is stored',
  },
  lifecycle: { from: ['options', 'jobs'], because: 'it ends what it is handed' },
  'public-face': {
    from: [...WORK, 'templates', 'artwork'],
    because: 'it names the verbs of parts that are there',
  },
  'package-files': { from: ['model'], because: 'where files lie has to do with nobody' },
  'views-path': { from: ['package-files'], because: 'it is a path' },
  'create-artwork': {
    from: [
      ...WORK,
      'web',
      'templates',
      'artwork',
      'storage',
      'lifecycle',
      'package-files',
      'public-face',
      'views-path',
    ],
    because: 'the composition root knows everyone but the command line',
  },
  index: {
    from: [...WORK, 'templates', 'artwork', 'create-artwork', 'views-path'],
    because: 'it names what is public',
  },
  cli: {
    from: ['model', 'options', 'index', 'doctor', 'package-files'],
    because: 'the command line is a user like any other',
  },
  doctor: {
    from: [...WORK, 'cli'],
    because: 'the doctor looks at each part by itself, since what is whole may not start',
  },
}

/** Each npm package has one owner: whoever wants to exchange it finds one folder to change. */
const OWNERS: Readonly<Record<string, string>> = {
  cacache: 'store',
  'lru-cache': 'store',
  '@aws-sdk/client-s3': 'store',
  ioredis: 'store',
  'better-sqlite3': 'database',
  'node-fetch': 'fetch',
  'ipaddr.js': 'fetch',
  'http-cache-semantics': 'fetch',
  cockatiel: 'fetch',
  sharp: 'transform',
  thumbhash: 'transform',
  'mime-types': 'model',
  croner: 'jobs',
  bullmq: 'jobs',
  uplot: 'web',
  'https-proxy-agent': 'fetch',
  'http-proxy-agent': 'fetch',
  'socks-proxy-agent': 'fetch',
  multer: 'web',
  'prom-client': 'metrics',
  'parse5-sax-parser': 'templates',
  multiformats: 'sources',
  '@atproto/identity': 'sources',
  commander: 'cli',
  pino: 'cli',
  'pino-http': 'cli',
  'close-with-grace': 'cli',
}
/** Part of what is built, and not installed (`.ci/build.mjs`). */
const BUNDLED = ['zod']
/** express is used by web, its Router by the root that mounts it, and an app by the command line; nunjucks only as a type. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  express: ['web', 'artwork', 'cli'],
  // What checks options and bodies.
  zod: ['options', 'jobs', 'management', 'web'],
  nunjucks: ['templates', 'artwork', 'create-artwork'],
  // Only there where the sources are.
  esbuild: ['package-files'],
}

/** What implements a port, and who opens it; everybody else has the port's types. */
const IMPLEMENTATIONS = /^(?:store\/disk\/|store\/(?:memory|reopening)-store\.ts$|jobs\/sqlite\/)/
const OPENED_BY = ['storage.ts', 'create-artwork.ts']
/** What the doctor has of them: where files lie, what tables look like, and what is read without anything being opened. */
const LOOKED_AT = /^(?:store\/disk\/(?:contents|layout|schema|write-suspension)|jobs\/sqlite\/tables)\.ts$/
const isOpenTo = (file: string, implementation: string): boolean =>
  OPENED_BY.includes(file) ||
  dirname(file).startsWith(dirname(implementation)) ||
  (roomOf(file) === 'doctor' && LOOKED_AT.test(implementation))

/** Every breach of the rules in a tree, each as a sentence. */
function breaches(tree: Tree): string[] {
  const found: string[] = []
  for (const [file, text] of Object.entries(tree)) {
    const room = roomOf(file)
    const rule = ALLOWED[room]
    if (rule === undefined) {
      found.push(`${file} belongs to no room`)
      continue
    }
    const { own, packages } = importsOf(file, text)
    for (const target of own)
      if (roomOf(target) !== room && !rule.from.includes(roomOf(target)))
        found.push(`${file} imports ${target}: ${rule.because}`)
    for (const target of own)
      if (IMPLEMENTATIONS.test(target) && !isOpenTo(file, target))
        found.push(`${file} imports ${target}: above a port, only its types are known`)
    for (const name of packages) {
      const owners = SHARED[name] ?? [OWNERS[name] ?? '']
      if (!owners.includes(room))
        found.push(`${file} uses ${name}, which belongs to ${owners.join(' and ') || 'nobody'}`)
    }
  }
  return [...found, ...cycles(tree)]
}

/** Cycles between files, types included: a cycle is where a reader cannot begin. */
function cycles(tree: Tree): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
      return
    }
    if (done.has(file)) return
    for (const target of importsOf(file, tree[file] ?? '').own)
      if (target in tree) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of Object.keys(tree)) visit(file, [])
  return found
}

/** What a file has to have loaded before any of it runs: imports but those of types, and those by `import()`. */
function loadedBy(file: string, tree: Tree, seen = new Set<string>()): ReadonlySet<string> {
  seen.add(file)
  const { statements } = ts.createSourceFile(file, tree[file] ?? '', ts.ScriptTarget.Latest)
  for (const statement of statements) {
    const from = ts.isImportDeclaration(statement)
      ? statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
        ? undefined
        : statement.moduleSpecifier
      : ts.isExportDeclaration(statement) && !statement.isTypeOnly
        ? statement.moduleSpecifier
        : undefined
    if (from === undefined || !ts.isStringLiteral(from)) continue
    const [own] = importsOf(file, `import ${JSON.stringify(from.text)}`).own
    if (own === undefined) seen.add(from.text)
    else if (!seen.has(own)) loadedBy(own, tree, seen)
  }
  return seen
}

describe('architecture', () => {
  const tree = readTree(root)
  const plant = (file: string, line: string): Tree => ({ ...tree, [file]: `${line}\n${tree[file] ?? ''}` })

  test('the tree keeps the rules', () => {
    expect(Object.keys(tree).length).toBeGreaterThan(40)
    expect(breaches(tree)).toEqual([])
  })
  test('doctor is there where what is compiled for a machine does not load', () => {
    const missing = (tree: Tree) =>
      ['cli/main.ts', 'cli/doctor.ts'].flatMap((file) =>
        ['sharp', 'better-sqlite3'].filter((name) => loadedBy(file, tree).has(name)),
      )
    expect(missing(tree)).toEqual([])
    expect(missing(plant('cli/cluster-options.ts', "import { s3 } from '../index.js'"))).toEqual([
      'better-sqlite3',
    ])
  })
  test('the example app has no cycle', () => {
    const app = readTree(exampleApp)
    expect(cycles(app)).toEqual([])
    const planted = {
      ...app,
      'controls.ts': `import type { createApp } from './app.js'\n${app['controls.ts']}`,
    }
    expect(cycles(planted)).toEqual(['cycle: app.ts → controls.ts → app.ts'])
  })
  test('every dependency of the package has an owner, and a line that says why it is there', () => {
    const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
    const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(read('package.json'))
    const packages = [...Object.keys(dependencies), ...Object.keys(peerDependenciesMeta)].sort()
    expect([...packages, ...BUNDLED].sort()).toEqual([...Object.keys(OWNERS), 'zod'].sort())
    const listed = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` +\|/gm)].map(([, name]) => name)
    expect(listed.sort()).toEqual([...Object.keys(dependencies), ...Object.keys(peerDependencies)].sort())
  })
  test.each([
    [
      'an implementation above its port',
      'images/images.ts',
      "import { createDiskStore } from '../store/disk/store.js'",
      /images\/images\.ts imports store\/disk\/store\.ts: above a port, only its types are known/,
    ],
    [
      'an implementation beside its port',
      'jobs/refresher.ts',
      "import { createJobQueue } from './sqlite/queue.js'",
      /jobs\/refresher\.ts imports jobs\/sqlite\/queue\.ts: above a port/,
    ],
    [
      'a store that the doctor opens',
      'cli/doctor/databases.ts',
      "import { createDiskStore } from '../../store/disk/store.js'",
      /cli\/doctor\/databases\.ts imports store\/disk\/store\.ts: above a port/,
    ],
    [
      'a command that looks below what is public',
      'cli/commands.ts',
      "import { layoutOf } from '../store/disk/layout.js'",
      /cli\/commands\.ts imports store\/disk\/layout\.ts: the command line is a user/,
    ],
    [
      'a back-import',
      'model/variant.ts',
      "import { createImages } from '../images/images.js'",
      /model\/variant\.ts imports images\/images\.ts/,
    ],
    [
      'a port that sees another',
      'store/disk/store.ts',
      "import { sniff } from '../../fetch/guard.js'",
      /store\/disk\/store\.ts imports fetch/,
    ],
    [
      'a back-import of a type',
      'images/purge.ts',
      "import type { Refresher } from '../jobs/refresher.js'",
      /purge\.ts imports jobs/,
    ],
    [
      'a second user of sharp',
      'web/shared/send.ts',
      "import sharp from 'sharp'",
      /web\/shared\/send\.ts uses sharp, which belongs to transform/,
    ],
    [
      'a second user of sharp by import()',
      'images/images.ts',
      "const s = await import('sharp')",
      /images\/images\.ts uses sharp/,
    ],
    ['a package nobody owns', 'http/accept.ts', "import x from 'left-pad'", /belongs to nobody/],
    ['a cycle', 'model/failure.ts', "import { parseVariant } from './variant.js'", /cycle: /],
    ['a file without a room', 'helpers/index.ts', '', /belongs to no room/],
  ])('%s is found', (_what, file, line, sentence) => {
    expect(breaches(plant(file, line)).join('\n')).toMatch(sentence)
  })
})

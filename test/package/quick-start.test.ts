/** The README's quick start, in an empty folder, with the packed tarball installed. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { blocksOf, pageAt } from '../support/documents.js'
import { jpeg } from '../support/images.js'

const root = new URL('../../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'artwork-quick-start-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

test('the quick start of the README serves an image', async () => {
  const blocks = blocksOf(pageAt('README.md'))
  const [code = '', view = ''] = ['ts', 'njk'].map(
    (name) => blocks.find(({ language }) => language === name)?.code,
  )
  const install = blocks.flatMap(({ code: text }) => /^npm (install [^\n]*)/.exec(text)?.[1] ?? [])[0] ?? ''
  expect(install).toBe('install express-artwork express nunjucks')

  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  })
  const tarball = join(folder, packed.trim().split('\n').at(-1) ?? '')
  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }')
  execFileSync('npm', install.replace('express-artwork', tarball).split(' '), { cwd: folder, stdio: 'pipe' })
  // What some options need is not there, and nothing asks for it.
  const { peerDependenciesMeta } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const optional = Object.keys(peerDependenciesMeta)
  expect(optional).toContain('bullmq')
  expect(optional.filter((name) => existsSync(join(folder, 'node_modules', name)))).toEqual([])
  // The CDN of the README is a server of this test.
  const picture = await jpeg(800, 800)
  const cdn = createHttpServer((_req, res) => res.setHeader('Content-Type', 'image/jpeg').end(picture))
  await new Promise<void>((resolve) => cdn.listen(0, '127.0.0.1', resolve))
  const address = cdn.address()
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const port = await freePort()
  const changes = [
    ["hosts: ['cdn.example.com'] })],", `hosts: ['127.0.0.1'] })],\n  fetch: { allowPrivate: ['${host}'] },`],
    ['https://cdn.example.com/7.jpg', `http://${host}/7.jpg`],
    ['app.listen(3000)', `app.listen(${port}, () => console.log('ready'))`],
  ] as const
  for (const [text] of changes) expect(code).toContain(text)
  writeFileSync(
    join(folder, 'server.mjs'),
    changes.reduce((changed, [from, to]) => changed.replace(from, to), code),
  )
  mkdirSync(join(folder, 'views'))
  writeFileSync(join(folder, 'views', 'album.njk'), view)

  const server = spawn(process.execPath, ['server.mjs'], {
    cwd: folder,
    env: { ...process.env, PORT: String(port) },
  })
  let output = ''
  server.stderr.on('data', (chunk: Buffer) => {
    output += chunk
  })
  try {
    await new Promise((resolve, reject) => {
      server.stdout.once('data', resolve)
      server.once('exit', () => reject(new Error(`the server ended: ${output}`)))
    })
    const page = async () => (await fetch(`http://127.0.0.1:${port}/`)).text()
    const shown = async () => /<img src="([^"]+)"/.exec(await page())?.[1] ?? ''
    expect(await shown()).toBe(`http://${host}/7.jpg`)
    await expect
      .poll(shown, { timeout: 30_000 })
      .toMatch(/^\/artwork\/local\/albums\/7\/7\.webp\?v=[0-9a-f]{16}$/)
    const answer = await fetch(`http://127.0.0.1:${port}${await shown()}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/webp'])
    expect(bytes.subarray(8, 12).toString()).toBe('WEBP')
    expect(output).toBe('')
  } finally {
    server.kill()
    cdn.close()
  }
})

test('its declarations need no types but those of Node and of Express', () => {
  const text = readFileSync(join(folder, 'node_modules/express-artwork/dist/index.d.ts'), 'utf8')
  const packages = ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => !name.startsWith('node:'))
  expect([...new Set(packages)]).toEqual(['express'])
})

describe('a bundled app (mended 40)', () => {
  const app = `import express from 'express'
    import { createArtwork, tmdb } from 'express-artwork'
    const artwork = await createArtwork({ directory: './bundled', sources: [tmdb()] })
    const server = express().use(artwork.router, artwork.healthRouter).listen(0, () => console.log(server.address().port))`
  const bundle = (file: string, external: readonly string[]): string => {
    writeFileSync(join(folder, 'app.mjs'), app)
    buildSync({
      absWorkingDir: folder,
      entryPoints: ['app.mjs'],
      outfile: join(folder, file),
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: [...external],
      banner: {
        js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)",
      },
      logLevel: 'silent',
    })
    return file
  }
  const run = async (file: string) => {
    const child = spawn(process.execPath, [file], { cwd: folder })
    let said = ''
    child.stderr.on('data', (piece) => {
      said += piece
    })
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (piece) => resolve(String(piece).trim()))
      child.once('exit', () => reject(new Error(said)))
    })
    const ready = await (await fetch(`http://127.0.0.1:${port}/ready`)).json()
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`)
    const printed = { status: metrics.status, text: await metrics.text() }
    // What it wrote is read to its end.
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
    return { ready, said, printed }
  }
  test('with the package in it: the start says what is missing, and how to mend it', async () => {
    const { ready, said } = await run(bundle('bundle.mjs', ['sharp', 'better-sqlite3']))
    expect(said).toMatch(/script of the decoder is missing.*--external:express-artwork/)
    expect(ready).toMatchObject({ status: 'failing' })
  })
  test('with the package left out it works', async () => {
    const { ready, said, printed } = await run(bundle('outside.mjs', ['express-artwork']))
    expect(ready).toEqual({ status: 'ready', reasons: [] })
    // What prints metrics is not installed here: that is the one thing to be said.
    const mended = /metrics are printed by the package prom-client, .*npm install prom-client/
    expect([printed.status, printed.text]).toEqual([503, expect.stringMatching(mended)])
    expect(said.trim().split('\n')).toEqual([expect.stringMatching(mended)])
  })
})

test('a source whose packages are not installed is refused at the start, with what mends it', () => {
  const start = (source: string): string => {
    const app = `import { atproto, createArtwork } from 'express-artwork'
      await createArtwork({ directory: './optional', sources: [${source}] }).then(
        (artwork) => artwork.close(),
        (error) => console.log(error.message),
      )`
    writeFileSync(join(folder, 'optional.mjs'), app)
    return execFileSync(process.execPath, ['optional.mjs'], { cwd: folder, encoding: 'utf8' }).trim()
  }
  const version = (name: string): string => {
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    return `${name}@${devDependencies[name]}`
  }
  const install = (name: string) =>
    execFileSync('npm', ['install', version(name)], { cwd: folder, stdio: 'pipe' })
  expect(start('atproto()')).toBe(
    'atproto() needs the package multiformats, which is not installed: npm install multiformats',
  )
  install('multiformats')
  expect(start("atproto({ pds: 'https://pds.example.com' })")).toBe('')
  expect(start('atproto()')).toMatch(
    /needs the package @atproto\/identity, .*npm install @atproto\/identity$/,
  )
  install('@atproto/identity')
  expect(start('atproto()')).toBe('')
})

test('a source that is written elsewhere compiles against the package, and works (mended 34)', async () => {
  const text = `import {
    type Address, ArtworkError, type CachePolicy, type Checked, createArtwork, type FetchRequest, type Means, type Question, type Source, type Variant,
  } from 'express-artwork'
  import { createServer } from 'node:http'
  import type { AddressInfo } from 'node:net'

  const WEEK: CachePolicy = { kind: 'immutable', maxAge: 604_800 }
  function pictures(base: () => string): Source {
    return {
      name: 'pictures',
      kinds: ['picture'],
      defaultVariant: () => 'original',
      nativeWidths: () => [100],
      isNative: (_kind: string, variant: Variant) => variant.base === 'original' || variant.width === 100,
      check({ address }: Question): Checked {
        if (!/^\\w+$/.test(address.id)) throw new ArtworkError('invalid', 'the picture is not known')
        return { address, original: { ...address, variant: 'original' } }
      },
      originalsOf: (original: Address) => [original],
      locate: ({ id }: Address, _means: Means): FetchRequest => ({ url: base() + '/' + id, admits: (url) => url.origin === base() }),
      claim: () => undefined,
      cache: WEEK,
    }
  }
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAMAAAAoyzS7AAAAA1BMVEX///+nxBvIAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAACklEQVQImWNgAAAAAgAB9HFkpgAAAABJRU5ErkJggg==', 'base64')
  const server = createServer((_req, res) => void res.writeHead(200, { 'Content-Type': 'image/png' }).end(png))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const artwork = await createArtwork({ directory: './elsewhere', sources: [pictures(() => 'http://127.0.0.1:' + port)], fetch: { allowPrivate: ['127.0.0.1:' + port] } })
  const { contentType } = await artwork.images.getImage('picture/w100-webp/abc')
  console.log(contentType, artwork.images.imageUrl('picture/abc', 'w100'))
  await artwork.close()
  server.close()
`
  writeFileSync(join(folder, 'source.mts'), text)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = [
    '--strict',
    '--skipLibCheck',
    '--target',
    'ES2023',
    '--module',
    'NodeNext',
    '--exactOptionalPropertyTypes',
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules', '@types'),
  ]
  const run = (file: string, args: readonly string[]) =>
    execFileSync(process.execPath, [file, ...args], { cwd: folder, encoding: 'utf8' })
  try {
    run(tsc, [...options, 'source.mts'])
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout))
  }
  expect(run('source.mjs', []).trim()).toMatch(/^image\/webp \/images\/picture\/w100\/abc/)
})

test('a strict project that checks its libraries too has no type error, without the types of our dependencies', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const types = ['node', 'express'].map((name) => `@types/${name}@${devDependencies[`@types/${name}`]}`)
  execFileSync('npm', ['install', ...types], { cwd: folder, stdio: 'pipe' })
  const text = `import express from 'express'
  import { createArtwork, uploads } from 'express-artwork'
  const artwork = await createArtwork({ sources: [uploads()] })
  express().post('/', artwork.uploads.form('photos'), (req, res) => { res.json(req.artworkUploads?.map(({ url }) => url)) })
`
  writeFileSync(join(folder, 'strict.mts'), text)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--exactOptionalPropertyTypes']
  const check = () =>
    execFileSync(
      process.execPath,
      [tsc, ...options, '--target', 'ES2023', '--module', 'NodeNext', '--types', 'node', 'strict.mts'],
      { cwd: folder, encoding: 'utf8' },
    )
  try {
    expect(check()).toBe('')
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout ?? error))
  }
})

describe('require()', () => {
  const run = (...flags: readonly string[]): string =>
    spawnSync(process.execPath, [...flags, 'script.cjs'], { cwd: folder, encoding: 'utf8' }).stdout.trim()
  const script = `try {
    console.log(typeof require('express-artwork').createArtwork)
  } catch (error) {
    console.log(error.code, error.message)
  }`
  test('works where Node can require modules, and says what to do where it cannot', () => {
    writeFileSync(join(folder, 'script.cjs'), script)
    const refusal =
      /^ERR_REQUIRE_ESM express-artwork is an ES module.*import \{ createArtwork \}.*await import\(.*Node 20\.19, 22\.12/
    const canRequire = Reflect.get(process.features, 'require_module') === true
    expect(run()).toMatch(canRequire ? /^function$/ : refusal)
    if (canRequire) expect(run('--no-experimental-require-module')).toMatch(refusal)
  })
})

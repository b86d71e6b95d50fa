/** `express-artwork doctor` as a process: what it prints, its exit codes, beside a running service, and where packages do not load. */
import { readdirSync, utimesSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, startService, toolkitModule } from '../support/child-process.js'
import { png } from '../support/images.js'
import { temporaryFolder } from '../support/toolkit.js'
import { copyInto, makeHealthy, stateOf, variablesFor } from './doctor/healthy.js'

interface Finding {
  readonly check: string
  readonly level: string
  readonly message: string
  readonly remedy?: string
}

let healthy: Awaited<ReturnType<typeof makeHealthy>>
beforeAll(async () => {
  healthy = await makeHealthy()
})
afterAll(async () => {
  await healthy.origin.close()
  await rm(healthy.directory, { recursive: true, force: true })
})

async function stage() {
  const directory = join(await temporaryFolder(), 'data')
  copyInto(healthy.directory, directory)
  const env = variablesFor(directory, healthy.origin.host)
  return {
    directory,
    env,
    /** What is found; of the file system under the temporary folder of this machine nothing is known. */
    examine: async (args: readonly string[] = [], more: Readonly<Record<string, string>> = {}) => {
      const { code, out, err } = await runCli(['doctor', '--json', ...args], { ...env, ...more })
      const found: readonly Finding[] = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      const problems = found.filter(
        ({ check, level }) => (level === 'warning' || level === 'error') && check !== 'file-system',
      )
      return { code, err, found, problems }
    },
  }
}
/** Has Node refuse a package, as one that is not installed for this system. */
const without = (name: string): string => {
  // Double quotes, which are encoded.
  const url = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`
  const hooks = `export const resolve = (specifier, context, next) => { if (specifier === "${name}") throw new Error("no ${name} for this system"); return next(specifier, context) }`
  return `--import ${url(`import { register } from "node:module"; register("${url(hooks)}")`)}`
}

test('a healthy directory has nothing, in lines for people and for machines, and stays as it is', async () => {
  const { directory, env, examine } = await stage()
  const before = stateOf(directory)
  const { err, problems, found } = await examine()
  expect([err, problems]).toEqual(['', []])
  expect(new Set(found.map(({ check }) => check)).size).toBeGreaterThan(20)
  const { out } = await runCli(['doctor', '--offline'], env)
  expect(out).toMatch(/^ok {6}catalogue: the catalogue is sound/m)
  expect(out).toMatch(/^info {4}hosts: not asked/m)
  expect(stateOf(directory)).toEqual(before)
})

test('beside a service that runs: nothing, and it goes on; when that was killed, so much is said', async () => {
  const { directory, env, examine } = await stage()
  const service = await startService(env)
  const upload = async (side: number) => {
    const response = await fetch(`${service.url}/images/photos`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/png', Authorization: `Bearer ${env.ARTWORK_UPLOAD_TOKEN}` },
      body: new Uint8Array(await png(side, side)),
    })
    return response.status
  }
  expect(await upload(30)).toBeLessThan(300)
  const registry = join(directory, 'processes-v2')
  const age = () => {
    const before = Date.now() / 1000 - 60
    for (const name of readdirSync(registry)) utimesSync(join(registry, name), before, before)
  }
  age()
  const { problems, found } = await examine()
  expect(problems).toEqual([])
  expect(found).toContainEqual({ check: 'processes', level: 'ok', message: '1 have it open' })
  expect(await upload(31)).toBeLessThan(300)
  expect(service.err()).not.toMatch(/"level":(?:50|60)/)
  await service.stop('SIGKILL')
  const after = await examine()
  expect([after.code, after.problems]).toEqual([
    1,
    [
      expect.objectContaining({
        check: 'processes',
        message: expect.stringMatching(/ended without closing/),
      }),
    ],
  ])
})

test('an error is 2, a warning 1; --help says so', async () => {
  const { env, examine } = await stage()
  expect(await examine(['--directory', '/nowhere/at/all'])).toMatchObject({ code: 1 })
  expect(await examine([], { ARTWORK_STRICT: 'maybe' })).toMatchObject({
    code: 2,
    problems: [{ check: 'options', message: expect.stringMatching(/ARTWORK_STRICT/) }],
  })
  const { code, out } = await runCli(['doctor', '--help'], env)
  expect([code, out]).toEqual([
    0,
    expect.stringMatching(/Exit code: 0 nothing but ok and info, 1 .*2 an error/),
  ])
  expect((await runCli(['doctor', '--nothing'], env)).code).toBe(2)
})

test('options from a module, also one that keeps something open', async () => {
  const { directory } = await stage()
  const config = join(await temporaryFolder(), 'artwork.config.mjs')
  const toolkit = toolkitModule()
  await writeFile(
    config,
    `import { atproto, remote, uploads } from '${toolkit}'
     setInterval(() => {}, 1000)
     export default async () => ({
       directory: ${JSON.stringify(directory)},
       disk: { maxBytes: '50 MiB', maxNames: 1000 },
       sources: [atproto(), remote({ hosts: ['*.example.com'] }), uploads({ directory: ${JSON.stringify(join(directory, 'uploads'))} })],
       transform: { formats: ['jpeg', 'webp', 'avif'] },
     })`,
  )
  const { out } = await runCli(['doctor', '--json', '--config', config])
  const found: readonly Finding[] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(found.filter(({ level, check }) => /warning|error/.test(level) && check !== 'file-system')).toEqual(
    [],
  )
  expect(found).toContainEqual(
    expect.objectContaining({ check: 'decoder', message: expect.stringMatching(/jpeg, webp, avif/) }),
  )
})

test.each([
  ['sharp', 'sharp', /sharp does not load: no sharp for this system/, /npm install/],
  ['better-sqlite3', 'better-sqlite3', /does not load: .*no better-sqlite3 for this system/, /npm rebuild/],
  ['multiformats/cid', 'packages', /no multiformats\/cid for this system/, /correct the source atproto/],
])('%s that cannot be loaded is found, and the rest is looked at', async (name, check, message, remedy) => {
  const { directory, examine } = await stage()
  const args: string[] = []
  if (check === 'packages') {
    const config = join(await temporaryFolder(), 'artwork.config.mjs')
    await writeFile(
      config,
      `import { atproto } from '${toolkitModule()}'
       export default { directory: ${JSON.stringify(directory)}, disk: { maxBytes: '50 MiB', maxNames: 1000 }, sources: [atproto()] }`,
    )
    args.push('--config', config)
  }
  const { code, problems, found } = await examine(args, { NODE_OPTIONS: without(name) })
  expect([code, problems]).toEqual([
    2,
    [
      {
        check,
        level: 'error',
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(remedy),
      },
    ],
  ])
  expect(found.length).toBeGreaterThan(10)
})

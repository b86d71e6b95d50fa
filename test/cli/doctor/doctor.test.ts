/** `doctor`: each planted fault is found, by its finding and no other, and a healthy directory has none. Nothing is changed. */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { driverFindings, expressFindings, sharpFindings } from '#src/cli/doctor/build.js'
import { checked, exitCodeOf, type Finding, isProblem } from '#src/cli/doctor/finding.js'
import { type DoctorOptions, findSubject, type Machine, thisMachine } from '#src/cli/doctor/subject.js'
import { examine } from '#src/cli/doctor.js'
import { loadSharp } from '#src/transform/sharp-build.js'
import { freePort } from '../../support/child-process.js'
import { atEnd, temporaryFolder } from '../../support/toolkit.js'
import { copyInto, makeHealthy, stateOf, variablesFor, workIn } from './healthy.js'

let healthy: Awaited<ReturnType<typeof makeHealthy>>
beforeAll(async () => {
  healthy = await makeHealthy()
})
afterAll(async () => {
  await healthy.origin.close()
  await rm(healthy.directory, { recursive: true, force: true })
})

const EXT4 = 61267
/** A machine with room, whatever this one has. */
const machineWith = (given: Partial<Machine>): Machine => ({
  ...thisMachine(),
  fileSystem: async () => ({ type: EXT4, bsize: 4096, bavail: 1e9, files: 1e9, ffree: 1e9 }),
  ...given,
})

/** What a fault changes: the directory, the variables, the machine, or how the command is called. */
interface Run {
  readonly directory: string
  env: Record<string, string>
  machine: Partial<Machine>
  options: DoctorOptions
}
async function stage(): Promise<Run> {
  const directory = join(await temporaryFolder(), 'data')
  copyInto(healthy.directory, directory)
  return { directory, env: variablesFor(directory, healthy.origin.host), machine: {}, options: {} }
}
const run = ({ env, machine, options }: Run): Promise<readonly Finding[]> =>
  examine(options, machineWith({ env, ...machine }))

const change = (file: string, sql: string): void => {
  const db = new Database(file)
  db.exec(sql)
  db.close()
}
const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
const first = (paths: readonly string[]): string => {
  const [path] = paths
  if (path === undefined) throw new Error('there is no such file')
  return path
}
const catalogue = 'catalogue-v2.sqlite'
/** Bytes of the file are made others, past its first page. */
function spoil(file: string): void {
  const handle = openSync(file, 'r+')
  for (let at = 4096; at < statSync(file).size; at += 4096)
    writeSync(handle, Buffer.alloc(2048, 0xab), 0, 2048, at)
  closeSync(handle)
}
/** A module of options, with sources as plain objects. */
async function configure(run: Run, text: string): Promise<void> {
  const file = join(await temporaryFolder(), 'artwork.config.mjs')
  await writeFile(
    file,
    `const source = (given) => ({ name: 'own', kinds: ['own'], check() {}, locate() {}, claim() {}, isNative() {}, ...given })
     export default { directory: ${JSON.stringify(run.directory)}, disk: { maxBytes: '50 MiB', maxNames: 1000 }, ${text} }`,
  )
  run.options = { config: file }
}

/** A fault: what is done, and how it is found. */
interface Fault {
  readonly check: string
  readonly level: 'warning' | 'error'
  readonly message: RegExp
  readonly remedy: RegExp
  plant(run: Run): void | Promise<void>
}
const FAULTS: Readonly<Record<string, Fault>> = {
  'an old Node': {
    ...{ check: 'node', level: 'error', message: /Node 20\.16\.9 is too old/, remedy: /install Node 20\.17/ },
    plant: (run) => void Object.assign(run, { machine: { nodeVersion: '20.16.9' } }),
  },
  'a variable that is wrong': {
    ...{
      check: 'options',
      level: 'error',
      message: /ARTWORK_STRICT must be true or false/,
      remedy: /correct/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_STRICT: 'maybe' }),
  },
  'every host without signing keys': {
    ...{ check: 'options', level: 'error', message: /remote\.hosts "\*" .*signing\.keys/, remedy: /correct/ },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_REMOTE_HOSTS: '*' }),
  },
  'a directory that is not there': {
    ...{ check: 'directory', level: 'warning', message: /elsewhere is not there/, remedy: /--directory/ },
    plant: (run) => void Object.assign(run, { options: { directory: join(run.directory, 'elsewhere') } }),
  },
  'a file in place of the directory': {
    ...{ check: 'directory', level: 'error', message: /is no directory/, remedy: /move the file away/ },
    plant: ({ directory }) => {
      rmSync(directory, { recursive: true })
      writeFileSync(directory, 'x')
    },
  },
  'pictures and the key open to others': {
    ...{
      check: 'rights',
      level: 'warning',
      message: /store-v2, .*key$/,
      remedy: /chmod go-rwx .*store-v2 .*key/,
    },
    plant: ({ directory }) => {
      chmodSync(join(directory, 'store-v2'), 0o755)
      chmodSync(join(directory, 'uploads', 'key'), 0o640)
    },
  },
  'a network file system': {
    ...{ check: 'file-system', level: 'warning', message: /on NFS/, remedy: /local disk/ },
    plant: (run) => setFileSystem(run, { type: 0x6969 }),
  },
  'a file system in memory': {
    ...{ check: 'file-system', level: 'warning', message: /on tmpfs/, remedy: /local disk/ },
    plant: (run) => setFileSystem(run, { type: 0x01021994 }),
  },
  'less space than the bound': {
    ...{
      check: 'space',
      level: 'warning',
      message: /disk\.maxBytes is 50 MiB/,
      remedy: /disk\.maxBytes to \d+ MiB/,
    },
    plant: (run) => setFileSystem(run, { bavail: 5000 }),
  },
  'fewer files than names': {
    ...{
      check: 'space',
      level: 'warning',
      message: /disk\.maxNames is 1000/,
      remedy: /disk\.maxNames to \d+/,
    },
    plant: (run) => setFileSystem(run, { ffree: 900 }),
  },
  'a full disk': {
    ...{ check: 'space', level: 'error', message: /is full/, remedy: /make room/ },
    plant: (run) => setFileSystem(run, { bavail: 3 }),
  },
  'a damaged catalogue': {
    ...{ check: 'catalogue', level: 'error', message: /is damaged: /, remedy: /remove .*sqlite .*read back/ },
    plant: ({ directory }) => spoil(join(directory, catalogue)),
  },
  'a catalogue without a table': {
    ...{ check: 'catalogue', level: 'error', message: /no such table: leases/, remedy: /read back/ },
    plant: ({ directory }) => change(join(directory, catalogue), 'DROP TABLE leases'),
  },
  'a lost catalogue': {
    ...{ check: 'catalogue', level: 'warning', message: /is lost/, remedy: /start the app/ },
    plant: ({ directory }) => rmSync(join(directory, catalogue)),
  },
  'a catalogue of an unknown earlier schema': {
    ...{ check: 'catalogue', level: 'warning', message: /schema 3, .*put aside/, remedy: /keep a copy/ },
    plant: ({ directory }) => change(join(directory, catalogue), 'PRAGMA user_version = 3'),
  },
  'a queue of a later version': {
    ...{
      check: 'jobs',
      level: 'error',
      message: /schema 9, of a later version/,
      remedy: /later version again/,
    },
    plant: ({ directory }) => change(join(directory, 'jobs.db'), 'PRAGMA user_version = 9'),
  },
  'an index of uploads that is something else': {
    ...{
      check: 'uploads',
      level: 'error',
      message: /is damaged: file is not a database/,
      remedy: /names of the files/,
    },
    plant: ({ directory }) => writeFileSync(join(directory, 'uploads', 'uploads.db'), 'x'.repeat(5000)),
  },
  'a folder in place of the queue': {
    ...{ check: 'jobs', level: 'error', message: /is no regular file/, remedy: /move it away/ },
    plant: ({ directory }) => {
      rmSync(join(directory, 'jobs.db'))
      copyInto(join(directory, 'workers'), join(directory, 'jobs.db'))
      chmodSync(join(directory, 'jobs.db'), 0o700)
    },
  },
  'a content that is cut': {
    ...{ check: 'stored', level: 'warning', message: /1 of \d+ .*remote/, remedy: /express-artwork verify/ },
    plant: ({ directory }) => truncateSync(first(filesBelow(join(directory, 'store-v2', 'content-v2'))), 5),
  },
  'an upload that is gone': {
    ...{ check: 'stored', level: 'error', message: /1 of 1 .*photos\//, remedy: /backup/ },
    plant: ({ directory }) => rmSync(first(filesBelow(join(directory, 'uploads', 'files')))),
  },
  'a damaged key': {
    ...{ check: 'upload-key', level: 'error', message: /nothing can be uploaded/, remedy: /backup/ },
    plant: ({ directory }) => truncateSync(join(directory, 'uploads', 'key'), 7),
  },
  'a process that died': {
    ...{
      check: 'processes',
      level: 'warning',
      message: /ended without closing.*processes-v2/,
      remedy: /SIGTERM/,
    },
    plant: ({ directory }) => leaveProcess(join(directory, 'processes-v2', randomUUID())),
  },
  'an opening that hangs': {
    ...{
      check: 'processes',
      level: 'warning',
      message: /opening catalogue-v2\.sqlite for seconds/,
      remedy: /SIGKILL/,
    },
    plant: ({ directory }) => {
      const db = new Database(join(directory, `${catalogue}.lock`))
      db.exec('BEGIN EXCLUSIVE')
      atEnd(async () => db.close())
    },
  },
  'a clock before this version': {
    ...{ check: 'clock', level: 'error', message: /1970-.*before this version/, remedy: /set the clock/ },
    plant: (run) => void Object.assign(run, { machine: { now: () => 1000 } }),
  },
  'something stored in the future': {
    ...{ check: 'clock', level: 'warning', message: /something was stored at/, remedy: /refresh/ },
    plant: ({ directory }) =>
      change(join(directory, catalogue), `UPDATE names SET storedAt = ${Date.now() + 864e5} WHERE id = 1`),
  },
  'a sandbox that does not start': {
    ...{
      check: 'decoder',
      level: 'error',
      message: /transform\.sandbox does not work/,
      remedy: /transform\.sandbox/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_TRANSFORM_SANDBOX: '/bin/false' }),
  },
  'decoders without memory': {
    ...{
      check: 'bounds',
      level: 'warning',
      message: /transform\.maxMemory is 64 MiB/,
      remedy: /transform\.maxMemory to 128 MiB/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_TRANSFORM_MAX_MEMORY: '64 MiB' }),
  },
  'any size for anybody': {
    ...{
      check: 'access',
      level: 'warning',
      message: /strict is false and there are no signing/,
      remedy: /strict: true/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_STRICT: 'false' }),
  },
  'more memory than there is': {
    ...{
      check: 'bounds',
      level: 'warning',
      message: /memory\.maxBytes is 8\.0 GiB/,
      remedy: /to \d+ MiB or less/,
    },
    plant: (run) => {
      run.env.ARTWORK_MEMORY_MAX_BYTES = '8 GiB'
      run.machine = { memory: 4 * 1024 ** 3 }
    },
  },
  'more decoders than cores': {
    ...{
      check: 'bounds',
      level: 'warning',
      message: /transform\.concurrency is 500/,
      remedy: /transform\.concurrency/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_TRANSFORM_CONCURRENCY: '500' }),
  },
  'a proxy by a variable': {
    ...{
      check: 'environment',
      level: 'warning',
      message: /HTTPS_PROXY is set, and ignored/,
      remedy: /fetch\.proxies/,
    },
    plant: ({ env }) => void Object.assign(env, { HTTPS_PROXY: 'http://proxy.example:8080' }),
  },
  'a host that does not answer': {
    ...{
      check: 'hosts',
      level: 'warning',
      message: /127\.0\.0\.1 of remote .*ECONNREFUSED/,
      remedy: /firewall/,
    },
    plant: async ({ env }) =>
      void Object.assign(env, { ARTWORK_FETCH_ALLOW_PRIVATE: `127.0.0.1:${await freePort()}` }),
  },
  'a host at an address that is not public': {
    ...{
      check: 'hosts',
      level: 'error',
      message: /never asked/,
      remedy: /"127\.0\.0\.1:443" to fetch\.allowPrivate/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_FETCH_ALLOW_PRIVATE: '' }),
  },
  'a host that nobody has': {
    ...{
      check: 'hosts',
      level: 'warning',
      message: /^the name nowhere\.example of own is not found/,
      remedy: /DNS/,
    },
    plant: (run) =>
      configure(
        run,
        `fetch: { lookup: (name, _options, done) => done(Object.assign(new Error(name), { code: 'ENOTFOUND' })) },
         sources: [source({ origins: ['nowhere.example', '*.example.com'] })]`,
      ),
  },
  'a schedule that nobody can keep': {
    ...{
      check: 'agreement',
      level: 'error',
      message: /schedules\.sync needs a repository/,
      remedy: /repository/,
    },
    plant: ({ env }) => void Object.assign(env, { ARTWORK_SCHEDULES_SYNC: '0 4 * * *' }),
  },
  'a pool that there is not': {
    ...{ check: 'agreement', level: 'error', message: /own\.pool is "far"/, remedy: /fetch\.proxies/ },
    plant: (run) => configure(run, `sources: [source({ pool: 'far' })]`),
  },
  'a package that is missing': {
    ...{
      check: 'packages',
      level: 'error',
      message: /^atproto\(\) needs .*not installed$/,
      remedy: /^npm install multiformats$/,
    },
    plant: (run) =>
      configure(
        run,
        `sources: [source({ prepare: async () => { throw new Error('atproto() needs the package multiformats, which is not installed: npm install multiformats') } })]`,
      ),
  },
  'options that cannot be loaded': {
    ...{ check: 'options', level: 'error', message: /--config must be a module/, remedy: /correct/ },
    plant: (run) =>
      void Object.assign(run, { options: { config: '/nowhere.mjs', directory: run.directory } }),
  },
}

function setFileSystem(run: Run, given: Partial<Awaited<ReturnType<Machine['fileSystem']>>>): void {
  run.machine = {
    fileSystem: async () => ({ type: EXT4, bsize: 4096, bavail: 1e9, files: 1e9, ffree: 1e9, ...given }),
  }
}
function leaveProcess(file: string): void {
  writeFileSync(file, '', { mode: 0o600 })
  const before = Date.now() / 1000 - 60
  utimesSync(file, before, before)
}

describe('doctor', () => {
  test('a healthy directory has nothing, and stays as it is', async () => {
    const run_ = await stage()
    const before = stateOf(run_.directory)
    const found = await run(run_)
    expect(found.filter(({ level }) => level !== 'ok')).toEqual([])
    expect(exitCodeOf(found)).toBe(0)
    expect(found).toContainEqual({
      check: 'stored',
      level: 'ok',
      message: '7 files that were looked for are there',
    })
    expect(stateOf(run_.directory)).toEqual(before)
  })

  test('one that is in use has nothing either, and goes on', async () => {
    const run_ = await stage()
    const { directory } = run_
    const { artwork, stored } = await workIn(run_.env, healthy.origin)
    atEnd(artwork.close)
    const registry = join(directory, 'processes-v2')
    const before = Date.now() / 1000 - 60
    for (const name of readdirSync(registry)) utimesSync(join(registry, name), before, before)
    // Whoever closes a file here gives up the locks of this process on it: names alone are read.
    const names = (): readonly string[] =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
    const all = names()
    expect(all).toContain(`${catalogue}-wal`)
    const found = await run(run_)
    expect(found.filter(isProblem)).toEqual([])
    expect(found).toContainEqual({ check: 'processes', level: 'ok', message: '1 have it open' })
    expect(names()).toEqual(all)
    expect((await artwork.images.verify()).damaged).toBe(0)
    expect((await artwork.uploads?.list('photos'))?.images).toHaveLength(1)
    expect(stored).toBeDefined()
  })

  test('one that was just made has nothing', async () => {
    const run_ = await stage()
    rmSync(run_.directory, { recursive: true })
    run_.options = { directory: await temporaryFolder() }
    expect((await run(run_)).filter(isProblem)).toEqual([])
  })

  test.each(Object.keys(FAULTS))('%s', async (name) => {
    const fault = FAULTS[name]
    if (fault === undefined) throw new Error('no such fault')
    const { plant, ...wanted } = fault
    const run_ = await stage()
    await plant(run_)
    const before = existsSync(run_.directory) ? stateOf(run_.directory) : []
    const found = await run(run_)
    expect(found.filter(isProblem)).toEqual([
      {
        ...wanted,
        message: expect.stringMatching(wanted.message),
        remedy: expect.stringMatching(wanted.remedy),
      },
    ])
    expect(exitCodeOf(found)).toBe(wanted.level === 'error' ? 2 : 1)
    expect(stateOf(run_.directory)).toEqual(before)
  })
})

/** What keeps a command from writing where its user may not: for root, another user who may read everything. */
const AS_A_USER =
  process.getuid?.() === 0
    ? 'setpriv --reuid=65534 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search'.split(
        ' ',
      )
    : []

test('a directory that this user may not write in (for root: setpriv, of util-linux)', async () => {
  const { directory, env } = await stage()
  chmodSync(directory, 0o500)
  atEnd(async () => chmodSync(directory, 0o700))
  const [command = '', ...args] = [
    ...AS_A_USER,
    process.execPath,
    ...['--import', 'tsx', 'src/cli/main.ts', 'doctor', '--json'],
  ]
  const { stdout } = spawnSync(command, args, { env: { ...process.env, ...env }, encoding: 'utf8' })
  const found: readonly Finding[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(found.filter(({ check }) => check === 'directory')).toEqual([
    {
      check: 'directory',
      level: 'error',
      message: expect.stringMatching(/cannot read and write/),
      remedy: expect.stringMatching(/chown/),
    },
  ])
})

describe('what a test cannot take away from this machine', () => {
  const subjectOf = async (env: Record<string, string>) =>
    (await findSubject({}, machineWith({ env }))).subject

  test('sharp that does not load, or lacks a format', async () => {
    const subject = await subjectOf({ ARTWORK_TRANSFORM_FORMATS: 'jpeg,avif' })
    expect(sharpFindings(subject, new Error('wrong processor'))).toEqual([
      {
        check: 'sharp',
        level: 'error',
        message: 'sharp does not load: wrong processor',
        remedy: expect.stringMatching(/npm install/),
      },
    ])
    const build = await loadSharp()
    expect(sharpFindings(subject, build)).toEqual([expect.objectContaining({ level: 'ok' })])
    const without = { ...build, has: (format: string) => format !== 'avif' }
    expect(sharpFindings(subject, without)).toEqual([
      expect.objectContaining({
        level: 'error',
        message: expect.stringMatching(/cannot read and write avif/),
        remedy: expect.stringMatching(/transform\.formats/),
      }),
    ])
  })
  test('a driver that does not load, and an Express that is missing or too old', async () => {
    const ask = () => Promise.reject(new Error('NODE_MODULE_VERSION 115'))
    expect(await driverFindings({ ask })).toEqual([
      expect.objectContaining({
        level: 'error',
        message: expect.stringMatching(/better-sqlite3 .*NODE_MODULE_VERSION/),
        remedy: expect.stringMatching(/npm rebuild better-sqlite3/),
      }),
    ])
    const folder = await temporaryFolder()
    const express = (version: string) => {
      const file = join(folder, `${version}.json`)
      writeFileSync(file, JSON.stringify({ version }))
      return expressFindings(() => file).map(({ level }) => level)
    }
    expect(express('5.1.0')).toEqual(['ok'])
    expect(express('4.21.2')).toEqual(['ok'])
    expect(express('4.20.0')).toEqual(['error'])
    expect(express('3.0.0')).toEqual(['error'])
    expect(expressFindings(() => join(folder, 'none'))).toEqual([
      expect.objectContaining({ level: 'error', remedy: 'npm install express' }),
    ])
  })
  test('a check that throws, or does not end, is a finding', async () => {
    const odd = [
      () => {
        throw new Error('out of order')
      },
      () => Promise.reject('text'),
      () => new Promise<never>(() => {}),
    ]
    const found = await Promise.all(odd.map((work) => checked('odd', 50, work)))
    expect(found.flat().map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warning this could not be checked: out of order',
      'warning this could not be checked: text',
      expect.stringMatching(/it took longer than/),
    ])
  })
})

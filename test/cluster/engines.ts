/** The engines that nodes share, each a real server of this machine, started for a test: S3 twice, and Redis. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Options } from 'express-artwork'
import { afterAll, expect } from 'vitest'
import { freePort } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { isOpen } from '../support/ports.js'

/** What ends with the file of tests, and not with a test. */
const ending: (() => unknown)[] = []
afterAll(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})

const script = (name: string): string => new URL(`./servers/${name}.sh`, import.meta.url).pathname

/** @throws Error that says how to get what is missing */
export function needs(program: string, packages: string): void {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
  } catch {
    throw new Error(`${program} is not installed: apt-get install -y ${packages}`)
  }
}

/** A server that was started, and its end. */
export interface Engine {
  readonly port: number
  /** Ends it, and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Stops it, and all below it, where they stand: it keeps its connections and says nothing. */
  freeze(): void
  thaw(): void
}

const ends = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })

/** Runs a server in a group of processes of its own. */
function run(
  command: string,
  args: readonly string[],
  port: number,
): Engine & { readonly out: () => string } {
  const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  child.stdout?.on('data', (piece) => {
    out += piece
  })
  child.stderr?.on('data', (piece) => {
    out += piece
  })
  const stop: Engine['stop'] = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ends(child)
  }
  ending.push(() => stop())
  // It leads a group of its own.
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  }
  return {
    ...{ port, stop, out: () => out },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  }
}

/** A bucket of a server, as `s3()` takes it. */
export interface Bucket {
  readonly options: S3Options
  readonly engine: Engine
}

async function bucketOf(
  engine: Engine & { readonly out: () => string },
  credentials: { accessKeyId: string; secretAccessKey: string },
): Promise<Bucket> {
  const endpoint = `http://127.0.0.1:${engine.port}`
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
  })
  // It opens its port before it answers.
  await eventually(
    () =>
      client.send(new CreateBucketCommand({ Bucket: 'pictures' })).catch((error) => {
        throw new Error(`${error}\n${engine.out()}`)
      }),
    60_000,
  )
  client.destroy()
  return { options: { endpoint, bucket: 'pictures', region: 'us-east-1', credentials }, engine }
}

/** Ceph's RADOS Gateway, in memory: it knows conditional writes. */
export async function startCeph(): Promise<Bucket> {
  needs('radosgw', 'ceph-mon ceph-osd radosgw ceph-common')
  const port = 18_100 + (process.pid % 200) * 50
  const credentials = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' }
  const args = [script('s3-rgw'), String(port), credentials.accessKeyId, credentials.secretAccessKey]
  return bucketOf(run('bash', args, port), credentials)
}

/** Swift with its S3 interface: it knows no conditional writes. */
export async function startSwift(): Promise<Bucket> {
  needs('memcached', 'python3-swift memcached')
  const port = 28_100 + (process.pid % 200) * 20
  const folder = mkdtempSync(join(tmpdir(), 'artwork-swift-'))
  ending.push(() => rmSync(folder, { recursive: true, force: true }))
  const engine = run('bash', [script('s3-swift'), folder, String(port)], port)
  // Its proxy leaves a server alone for a minute that was not there yet.
  for (const one of [1, 2, 3, 0])
    await eventually(async () => expect(await isOpen(port + one), engine.out()).toBe(true), 60_000)
  return bucketOf(engine, { accessKeyId: 'test:tester', secretAccessKey: 'testing' })
}

/** Redis, which keeps nothing on disk. @param port the one of a server that was stopped */
export async function startRedis(port?: number, folder?: string): Promise<Engine & { readonly url: string }> {
  needs('redis-server', 'redis-server')
  const chosen = port ?? (await freePort())
  const kept = folder === undefined ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--dir', folder]
  const args = ['--port', String(chosen), '--bind', '127.0.0.1', '--save', '', ...kept]
  const engine = run('redis-server', args, chosen)
  await eventually(async () => expect(await isOpen(chosen)).toBe(true))
  return { ...engine, url: `redis://127.0.0.1:${chosen}` }
}

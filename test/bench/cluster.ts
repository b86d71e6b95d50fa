/**
 * What a node of several costs beside one alone, in CPU of its own process and its decoders: a cold picture, one that the shared
 * store has, and one that it has itself. `CLUSTER_PICTURES` (150) a round, `CLUSTER_ROUNDS` (5). The engines are Ceph's gateway, in
 * memory, and Redis, of this machine.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { isOpen } from '../support/ports.js'
import { ask, PLACE } from './contenders.js'
import { freePort } from './peers.js'
import { familyCpu, started } from './processes.js'
import { amount, type Findings } from './results.js'
import { median } from './support.js'

const PICTURES = amount('CLUSTER_PICTURES', 150, 30)
const ROUNDS = amount('CLUSTER_ROUNDS', 5, 2)
const AT_ONCE = 8
/** How often each picture is asked for that a node has. */
const TIMES = 20
const local = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await holds()) return
    await sleep(100)
  }
  throw new Error(
    `${what} did not start: apt-get install -y ceph-mon ceph-osd radosgw ceph-common redis-server`,
  )
}

/** Ceph's gateway and Redis. */
async function startEngines() {
  const ports = { s3: 18_400 + (process.pid % 100) * 50, redis: await freePort() }
  const run = (command: string, args: readonly string[]): ChildProcess =>
    spawn(command, args, { stdio: 'ignore', detached: true })
  const rgw = run('bash', [local('../cluster/servers/s3-rgw.sh'), String(ports.s3), 'bench', 'bench'])
  const redis = run('redis-server', ['--port', String(ports.redis), '--save', '', '--appendonly', 'no'])
  const endpoint = `http://127.0.0.1:${ports.s3}`
  await until(() => isOpen(ports.redis), 'redis-server')
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' }
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
  })
  const make = () => client.send(new CreateBucketCommand({ Bucket: 'pictures' }))
  await until(
    () =>
      make().then(
        () => true,
        () => false,
      ),
    'radosgw',
  )
  client.destroy()
  return {
    env: { S3_ENDPOINT: endpoint, REDIS_URL: `redis://127.0.0.1:${ports.redis}` },
    end: () => {
      for (const one of [rgw, redis]) one.kill()
    },
  }
}

/** CPU of a server for each of some requests, ms; with what is done behind them. */
async function cost(child: ChildProcess, urls: readonly string[]): Promise<number> {
  const pid = child.pid ?? 0
  const whole = () => {
    const { own, below } = familyCpu(pid)
    return own + below
  }
  const before = whole()
  const left = [...urls]
  const one = async (): Promise<void> => {
    for (let url = left.pop(); url !== undefined; url = left.pop()) await ask(url, 'webp')
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  await sleep(1500)
  return (whole() - before) / urls.length
}

/** What it came to. */
export async function benchCluster(): Promise<Findings> {
  const engines = await startEngines()
  const directory = await mkdtemp(join(PLACE, 'artwork-cluster-'))
  const { child: source, line } = await started(['--import', 'tsx', local('cold-origin.ts')])
  const origin = `127.0.0.1:${line.split(' ')[0]}`
  Object.assign(process.env, engines.env)
  const start = async (kind: 'toolkit' | 'node', name: string) => {
    const { child, line: port } = await started([
      local('cold-server.mjs'),
      kind,
      origin,
      join(directory, name),
    ])
    const urlsOf = (names: readonly string[]) =>
      names.map((one) => `http://127.0.0.1:${port}/384/webp/${one}.jpg`)
    return { child, urlsOf }
  }
  const servers = [
    await start('toolkit', 'alone'),
    await start('node', 'first'),
    await start('node', 'second'),
  ]
  const [alone, first, second] = servers
  if (alone === undefined || first === undefined || second === undefined) throw new Error('no server')
  try {
    const found = { aloneCold: [], cold: [], shared: [], aloneHit: [], hit: [] } as Record<string, number[]>
    let count = 0
    const names = (): readonly string[] =>
      Array.from({ length: PICTURES }, () => {
        count += 1
        return `c${count}`
      })
    // Everything that starts has started.
    for (const { child, urlsOf } of servers) await cost(child, urlsOf(names().slice(0, 16)))
    for (let round = 0; round < ROUNDS; round += 1) {
      const [mine, theirs] = [names(), names()]
      const again = (all: readonly string[]) => Array.from({ length: TIMES }, () => all).flat()
      found.aloneCold?.push(await cost(alone.child, alone.urlsOf(mine)))
      found.cold?.push(await cost(first.child, first.urlsOf(theirs)))
      found.shared?.push(await cost(second.child, second.urlsOf(theirs)))
      found.aloneHit?.push(await cost(alone.child, alone.urlsOf(again(mine))))
      found.hit?.push(await cost(first.child, first.urlsOf(again(theirs))))
    }
    const of = (name: string): number => median(found[name] ?? [])
    const row = (name: string, ms: number, beside: number) => ({
      name,
      'CPU, ms': ms,
      'of one node': ms / beside,
    })
    return {
      title: `CPU a picture of 263 KB as a WebP of 384 pixels, medians of ${ROUNDS} rounds of ${PICTURES}, in ${PLACE}`,
      rows: [
        row('cold, one node', of('aloneCold'), of('aloneCold')),
        row('cold, a node of several', of('cold'), of('aloneCold')),
        row('another node has it', of('shared'), of('aloneCold')),
        row('hit, one node', of('aloneHit'), of('aloneHit')),
        row('hit, a node of several', of('hit'), of('aloneHit')),
      ],
    }
  } finally {
    for (const { child } of servers) child.kill()
    source.kill()
    engines.end()
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * A partition as a network has it: a node in a namespace of its own, whose link to Redis and the bucket is taken down, so that packets
 * are lost and nobody is told. Clients and the source are on another link. Needs to be root, and iproute2; where the machine allows
 * no namespaces, cut proxies stand for it (`slow.test.ts`).
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { freePort, startService, toolkitModule } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { expectNumbered, numberedPicture } from '../support/numbered.js'
import { atEnd, remoteAddress, temporaryFolder } from '../support/toolkit.js'
import { type Bucket, type Engine, startCeph, startRedis } from './engines.js'

const NAMESPACE = `artwork-${process.pid}`
const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'pipe' })
/** Whether this machine allows namespaces of networks. */
const isAllowed = (): boolean => {
  try {
    ip('netns', 'add', NAMESPACE)
    // Some allow these, and no links into them.
    ip('link', 'add', 'artwork-try', 'type', 'veth', 'peer', 'name', 'artwork-there', 'netns', NAMESPACE)
    ip('link', 'delete', 'artwork-try')
    return true
  } catch {
    return false
  }
}

let bucket: Bucket
let redis: Engine & { readonly url: string }
beforeAll(async () => {
  bucket = await startCeph()
  redis = await startRedis()
})

/** A link between this machine and the namespace. Answers the address of either end. */
function createLink(name: string, network: number) {
  const [here, there] = [`${name}${process.pid % 10_000}h`, `${name}${process.pid % 10_000}n`]
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', NAMESPACE)
  ip('addr', 'add', `10.${network}.7.1/24`, 'dev', here)
  ip('link', 'set', here, 'up')
  ip('netns', 'exec', NAMESPACE, 'ip', 'addr', 'add', `10.${network}.7.2/24`, 'dev', there)
  ip('netns', 'exec', NAMESPACE, 'ip', 'link', 'set', there, 'up')
  return {
    here: `10.${network}.7.1`,
    there: `10.${network}.7.2`,
    cut: () => ip('link', 'set', here, 'down'),
    mend: () => ip('link', 'set', here, 'up'),
  }
}

/** Passes connections to an address of a link on to a server that listens on the loopback alone. */
async function pass(address: string, port: number): Promise<void> {
  const sockets = new Set<Socket>()
  const server = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {}).on('close', () => other.destroy())
    }
    from.pipe(to).pipe(from)
  }).listen(port, address)
  await once(server, 'listening')
  atEnd(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
}

const allowed = isAllowed()
test('packets between a node and what it shares are lost: a picture is fetched twice at worst, and a purge is heard afterwards', async () => {
  if (!allowed) {
    console.warn(
      'this machine allows no namespaces of networks: a partition by cut proxies is in slow.test.ts',
    )
    return
  }
  atEnd(async () => ip('netns', 'delete', NAMESPACE))
  ip('netns', 'exec', NAMESPACE, 'ip', 'link', 'set', 'lo', 'up')
  const [engines, clients] = [createLink('ae', 77), createLink('ac', 78)]
  const s3Port = Number(new URL(bucket.options.endpoint ?? '').port)
  for (const port of [redis.port, s3Port]) await pass(engines.here, port)
  const hits = new Map<string, number>()
  let shift = 0
  const origin = createHttpServer(async (req, res) => {
    hits.set(req.url ?? '', (hits.get(req.url ?? '') ?? 0) + 1)
    const bytes = await numberedPicture(Number(/(\d+)/.exec(req.url ?? '')?.[1]) + shift)
    res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Cache-Control': 'max-age=86400' }).end(bytes)
  }).listen(0, clients.here)
  await once(origin, 'listening')
  atEnd(async () => {
    origin.close()
    origin.closeAllConnections()
  })
  const host = `${clients.here}:${(origin.address() as AddressInfo).port}`
  const { credentials } = bucket.options
  const optionsOf = (address: string) => ({
    ARTWORK_REMOTE_HOSTS: clients.here,
    ARTWORK_FETCH_ALLOW_PRIVATE: host,
    ARTWORK_WIDTHS: '120',
    ARTWORK_MANAGE_TOKEN: 'a-token-of-the-test',
    ARTWORK_S3_BUCKET: bucket.options.bucket,
    ARTWORK_S3_PREFIX: 'partition',
    ARTWORK_S3_ENDPOINT: `http://${address}:${s3Port}`,
    ARTWORK_REDIS_URL: `redis://${address}:${redis.port}`,
    ARTWORK_LOG_LEVEL: 'error',
    AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
  })
  const near = await startService(optionsOf('127.0.0.1'))
  // The other one is in the namespace.
  const port = await freePort()
  const far = `http://${clients.there}:${port}`
  const script = fileURLToPath(new URL('./cli/main.js', toolkitModule()))
  const child = spawn('ip', ['netns', 'exec', NAMESPACE, process.execPath, script, 'serve'], {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH ?? '',
      ...optionsOf(engines.here),
      ...{ ARTWORK_DIRECTORY: await temporaryFolder(), PORT: String(port), HOST: clients.there },
    },
  })
  atEnd(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await eventually(() => fetch(`${far}/health`), 60_000)
  const pathOf = (number: number): string =>
    `/images/${remoteAddress(`http://${host}/${number}.jpg`, 'w120-webp')}`
  const shows = async (node: string, number: number, shown: number): Promise<void> => {
    const answer = await fetch(node + pathOf(number))
    expect(answer.status).toBe(200)
    await expectNumbered(Buffer.from(await answer.arrayBuffer()), shown)
  }
  const reasonsOf = async (node: string): Promise<string> => (await fetch(`${node}/ready`)).text()

  await shows(near.url, 1, 1)
  await eventually(() => shows(far, 1, 1))
  expect(hits.get('/1.jpg')).toBe(1)
  expect(await reasonsOf(far)).not.toContain('alone')

  engines.cut()
  // What was made on either side of the cut; each asks the source once.
  await Promise.all([shows(near.url, 2, 2), shows(far, 2, 2)])
  expect(hits.get('/2.jpg')).toBeLessThanOrEqual(2)
  await eventually(async () => expect(await reasonsOf(far)).toContain('nodes work alone'), 60_000)
  shift = 10
  const purged = await fetch(`${near.url}/api/images/purge`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: 'Bearer a-token-of-the-test' },
    body: JSON.stringify({ url: `http://${host}/1.jpg` }),
  })
  expect(purged.status).toBe(200)
  await shows(near.url, 1, 11)
  await shows(far, 1, 1)
  expect(hits.get('/1.jpg')).toBe(2)

  engines.mend()
  await eventually(() => shows(far, 1, 11), 60_000)
  await eventually(async () => expect(await reasonsOf(far)).not.toContain('nodes work alone'), 60_000)
  expect(hits.get('/1.jpg')).toBeLessThanOrEqual(3)
}, 300_000)

/**
 * Three nodes of the service, each a process with a directory of its own, behind nginx, under load all the time: a node is killed,
 * Redis is killed and comes back empty, the bucket hangs, every node is replaced. Answers are the right pictures, uploads that were
 * acknowledged are there, and what the bucket names is in it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkSharedStore, s3 } from 'express-artwork'
import { beforeAll, expect, test } from 'vitest'
import { freePort, type Service, startService } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { expectNumbered, numberedPicture } from '../support/numbered.js'
import { atEnd, remoteAddress, temporaryFolder } from '../support/toolkit.js'
import { type Bucket, type Engine, needs, startCeph, startRedis } from './engines.js'

const PICTURES = 60
const CLIENTS = 2
const TOKEN = 'a-token-of-the-test'

let bucket: Bucket
let redis: Engine & { readonly url: string }
beforeAll(async () => {
  needs('nginx', 'nginx-light')
  bucket = await startCeph()
  redis = await startRedis()
})

async function startOrigin(): Promise<{ host: string; hits: Map<string, number> }> {
  const hits = new Map<string, number>()
  const server = createServer(async (req, res) => {
    hits.set(req.url ?? '', (hits.get(req.url ?? '') ?? 0) + 1)
    const bytes = await numberedPicture(Number(/(\d+)/.exec(req.url ?? '')?.[1]))
    res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Cache-Control': 'max-age=86400' }).end(bytes)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(async () => {
    server.close()
    server.closeAllConnections()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, hits }
}

/** nginx before the nodes: one that does not answer is passed over, and what has no effect is asked of the next one. */
async function startBalancer(ports: readonly number[]): Promise<string> {
  const folder = await temporaryFolder()
  const port = await freePort()
  await mkdir(join(folder, 'temporary'))
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${folder}/temporary/${what};`)
    .join(' ')
  await writeFile(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http {
  access_log off; ${places}
  upstream nodes { ${ports.map((one) => `server 127.0.0.1:${one} max_fails=1 fail_timeout=1s;`).join(' ')} }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_next_upstream error timeout http_502 http_503; proxy_connect_timeout 2s; proxy_read_timeout 60s;
    }
  }
}
`,
  )
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', 'stderr'], {
    stdio: 'ignore',
  })
  atEnd(async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
  })
  const url = `http://127.0.0.1:${port}`
  await eventually(() => fetch(`${url}/health`))
  return url
}

const agent = new Agent({ keepAlive: true })
/** The answer, its body whole. @throws where there is none */
const ask = (url: string, method = 'GET', body?: Buffer): Promise<{ status: number; body: Buffer }> =>
  new Promise((resolve, reject) => {
    const headers =
      body === undefined ? {} : { 'Content-Type': 'image/jpeg', Authorization: `Bearer ${TOKEN}` }
    const sent = request(url, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })

let sites = 0
/** A site of nodes with directories of their own, each on its port. Answers what starts the one of a number. */
async function createSite(origin: { readonly host: string }, count: number) {
  sites += 1
  const prefix = `site-${sites}`
  const ports: number[] = []
  const folders: string[] = []
  for (let index = 0; index < count; index += 1) {
    ports.push(await freePort())
    folders.push(await temporaryFolder())
  }
  const { endpoint = '', credentials } = bucket.options
  const start = (index: number): Promise<Service> =>
    startService({
      PORT: String(ports[index]),
      ARTWORK_DIRECTORY: folders[index] ?? '',
      ARTWORK_S3_PREFIX: prefix,
      ARTWORK_REDIS_PREFIX: `${prefix}:`,
      ARTWORK_REMOTE_HOSTS: '127.0.0.1',
      ARTWORK_FETCH_ALLOW_PRIVATE: origin.host,
      ARTWORK_WIDTHS: '120',
      ARTWORK_UPLOAD_TOKEN: TOKEN,
      ARTWORK_NAMESPACES: 'photos',
      ARTWORK_S3_BUCKET: bucket.options.bucket,
      ARTWORK_S3_ENDPOINT: endpoint,
      ARTWORK_REDIS_URL: redis.url,
      ARTWORK_LOG_LEVEL: 'error',
      AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
      AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
    })
  return { ports, start, shared: () => s3({ ...bucket.options, prefix, timeout: 20_000 }) }
}
/** A counter of a node, as its `/metrics` has it. */
async function counterOf({ url }: Service, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )
}

test('900 ask three nodes behind nginx for one cold picture: one request upstream, one encode; a fresh node asks no source', async () => {
  const origin = await startOrigin()
  const { ports, start } = await createSite(origin, 4)
  const nodes = [await start(0), await start(1), await start(2)]
  const site = await startBalancer(ports.slice(0, 3))
  const pathOf = (number: number): string =>
    `/images/${remoteAddress(`http://${origin.host}/${number}.jpg`, 'w120-webp')}`
  const answers = await Promise.all(Array.from({ length: 900 }, () => ask(site + pathOf(7))))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.toString('base64')}`)).size).toBe(1)
  await expectNumbered(answers[0]?.body ?? Buffer.of(), 7)
  expect([...origin.hits]).toEqual([['/7.jpg', 1]])
  const encodes = await Promise.all(nodes.map((node) => counterOf(node, 'artwork_encodes_total')))
  expect(
    encodes.reduce((sum, count) => sum + count, 0),
    `encodes of each: ${encodes}`,
  ).toBe(1)
  // Each node had its share of them.
  for (const node of nodes) expect(await counterOf(node, 'artwork_answers_total')).toBeGreaterThan(0)

  for (let number = 10; number < 30; number += 1) expect((await ask(site + pathOf(number))).status).toBe(200)
  const asked = [...origin.hits.values()].reduce((sum, count) => sum + count, 0)
  expect(asked).toBe(21)
  const fresh = await start(3)
  await eventually(async () => {
    for (let number = 10; number < 30; number += 1) {
      const answer = await ask(fresh.url + pathOf(number))
      expect(answer.status).toBe(200)
      await expectNumbered(answer.body, number)
    }
  })
  expect([...origin.hits.values()].reduce((sum, count) => sum + count, 0)).toBe(asked)
  expect(await counterOf(fresh, 'artwork_encodes_total')).toBe(0)
})

test('a node is killed, Redis comes back empty, the bucket hangs, every node is replaced', async () => {
  const origin = await startOrigin()
  const { ports, start, shared } = await createSite(origin, 3)
  const nodes = [await start(0), await start(1), await start(2)]
  const site = await startBalancer(ports)

  let isOver = false
  const statuses = new Map<number, number>()
  const count = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1)
  const acknowledged = new Map<string, number>()
  /** What became of the last upload. */
  let lastUpload = ''
  let turn = 0
  const look = async (): Promise<void> => {
    while (!isOver) {
      turn += 1
      const number = (turn * 17) % PICTURES
      const path = remoteAddress(`http://${origin.host}/${number}.jpg`, 'w120-webp')
      const answer = await ask(`${site}/images/${path}`)
      count(answer.status)
      if (answer.status === 200) await expectNumbered(answer.body, number)
      await sleep(25)
    }
  }
  let uploads = 1000
  const upload = async (): Promise<void> => {
    while (!isOver) {
      uploads += 1
      const number = uploads
      // What is not acknowledged may be there or not.
      const answer = await ask(`${site}/images/photos`, 'POST', await numberedPicture(number)).catch(
        () => undefined,
      )
      lastUpload = `${answer?.status} ${answer?.body.toString().slice(0, 300)}`
      if (answer?.status === 200)
        acknowledged.set((JSON.parse(answer.body.toString()) as { image_id: string }).image_id, number)
      await sleep(100)
    }
  }
  const load = Promise.all([...Array.from({ length: CLIENTS }, look), upload()])
  load.catch(() => {})
  const calm = async (): Promise<void> => {
    const before = turn
    const taken = acknowledged.size
    await eventually(() => {
      expect(turn).toBeGreaterThan(before + 100)
      expect(acknowledged.size, lastUpload).toBeGreaterThan(taken + 5)
    }, 60_000)
  }
  await calm()
  expect(Math.max(...origin.hits.values()), 'requests for one picture').toBe(1)

  await nodes[0]?.stop('SIGKILL')
  await calm()
  nodes[0] = await start(0)
  await calm()

  await redis.stop('SIGKILL')
  await calm()
  redis = await startRedis(redis.port)
  await calm()

  bucket.engine.freeze()
  const frozenAt = turn
  await eventually(() => expect(turn).toBeGreaterThan(frozenAt + 50), 60_000)
  bucket.engine.thaw()
  await calm()

  for (const index of [0, 1, 2]) {
    expect(await nodes[index]?.stop()).toBe(0)
    nodes[index] = await start(index)
    await calm()
  }
  isOver = true
  await load
  expect([...statuses.keys()], JSON.stringify([...statuses])).toEqual([200])

  // Every node has every upload, and the bucket what it names.
  expect(acknowledged.size).toBeGreaterThan(40)
  for (const [index, { url }] of nodes.entries())
    for (const [id, number] of [...acknowledged].filter((_one, at) => at % 3 === index)) {
      const answer = await ask(`${url}/images/photos/${id}`)
      expect([id, answer.status]).toEqual([id, 200])
      await expectNumbered(answer.body, number)
    }
  await eventually(async () =>
    expect(await checkSharedStore(shared())).toMatchObject({
      missing: [],
      unreadable: [],
    }),
  )
}, 600_000)

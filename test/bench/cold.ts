/**
 * The first look at pictures: distinct JPEGs of 1200 by 1200 pixels from an origin, each answered as a WebP of 384, quality
 * 75, effort 4. Beside the least that such a server does (`node:http` or `fetch`, and sharp; nothing is checked or kept),
 * next/image, ipx and nginx's image filter. And the stampede: many who ask for one cold picture at once. They take turns in
 * one run; CPU by process is the first figure. `COLD_PICTURES` (500) a round, `COLD_ROUNDS` (5); `COLD_DIRECTORY` is where
 * pictures are kept, in memory by default.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { freePort, installPeer, nextServer, peerFolder } from './peers.js'
import { familyCpu, started } from './processes.js'
import { median } from './support.js'

const PICTURES = Number(process.env.COLD_PICTURES ?? 500)
const ROUNDS = Number(process.env.COLD_ROUNDS ?? 5)
const PLACE = process.env.COLD_DIRECTORY ?? '/dev/shm'
const AT_ONCE = 8
const CROWD = 300
const WIDTH = 384
const local = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** A server that is asked for pictures by their names. */
interface Contender {
  readonly name: string
  readonly process: ChildProcess
  urlOf(name: string): string
}
const agent = new Agent({ keepAlive: true, maxSockets: 512 })

/** The body of an answer. Throws for one that is no picture. */
const ask = (url: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    get(url, { agent, headers: { accept: 'image/webp' } }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('end', () => {
        const body = Buffer.concat(chunks)
        const isRight = res.statusCode === 200 && res.headers['content-type'] === 'image/webp'
        if (isRight) resolve(body)
        else reject(new Error(`${url} answered ${res.statusCode} ${body.toString().slice(0, 200)}`))
      })
    }).on('error', reject)
  })

async function own(name: string, origin: string, directory: string): Promise<Contender> {
  const args = [
    local('cold-server.mjs'),
    name,
    origin,
    join(directory, name),
    `${peerFolder('ipx')}package.json`,
  ]
  const { child, line } = await started(args)
  return { name, process: child, urlOf: (picture) => `http://127.0.0.1:${line}/${picture}.jpg` }
}

async function next(origin: string): Promise<Contender> {
  const { base, process } = await nextServer()
  const urlOf = (picture: string): string =>
    `${base}/_next/image?url=${encodeURIComponent(`http://${origin}/${picture}.jpg`)}&w=${WIDTH}&q=75`
  return { name: 'next/image', process, urlOf }
}

/** nginx with its image filter and its cache; undefined where it is not installed. */
async function nginx(origin: string, directory: string): Promise<Contender | undefined> {
  const module = '/usr/lib/nginx/modules/ngx_http_image_filter_module.so'
  try {
    execFileSync('test', ['-f', module])
  } catch {
    console.log('cold: nginx is left out: apt-get install -y nginx-light libnginx-mod-http-image-filter')
    return undefined
  }
  const folder = join(directory, 'nginx')
  await mkdir(folder)
  const port = await freePort()
  const inner = await freePort()
  await writeFile(
    join(folder, 'nginx.conf'),
    `load_module ${module};
worker_processes ${cpus().length};
daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  proxy_cache_path ${folder}/cache keys_zone=cold:10m max_size=1g;
  upstream filter { server 127.0.0.1:${inner}; keepalive 16; }
  upstream origin { server ${origin}; keepalive 16; }
  proxy_http_version 1.1; proxy_set_header Connection "";
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://filter; proxy_cache cold; proxy_cache_valid 200 1d; proxy_cache_lock on; } }
  server { listen 127.0.0.1:${inner}; location / { proxy_pass http://origin; image_filter resize ${WIDTH} -; image_filter_jpeg_quality 75; image_filter_buffer 10M; } }
}
`,
  )
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
  return {
    name: 'nginx (JPEG)',
    process: child,
    urlOf: (picture) => `http://127.0.0.1:${port}/${picture}.jpg`,
  }
}

/** What a round came to: ms of CPU a picture, of the process itself and of those below it, and pictures a second. */
interface Round {
  readonly own: number
  readonly below: number
  readonly rate: number
  readonly bytes: number
}
let pictures = 0

async function round({ process, urlOf }: Contender): Promise<Round> {
  const pid = process.pid ?? 0
  const before = familyCpu(pid)
  const startedAt = performance.now()
  let [left, bytes] = [PICTURES, 0]
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      pictures += 1
      bytes += (await ask(urlOf(`p${pictures}`))).length
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  const seconds = (performance.now() - startedAt) / 1000
  // What is done behind the answers belongs to them.
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const after = familyCpu(pid)
  return {
    own: (after.own - before.own) / PICTURES,
    below: (after.below - before.below) / PICTURES,
    rate: PICTURES / seconds,
    bytes: bytes / PICTURES,
  }
}

/** Ms until all of a crowd have one cold picture. */
async function stampede({ urlOf }: Contender): Promise<number> {
  pictures += 1
  const url = urlOf(`p${pictures}`)
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: CROWD }, () => ask(url)))
  return performance.now() - startedAt
}

const fixed = (value: number, digits = 1): string => value.toFixed(digits)
const middle = (rounds: readonly Round[], key: keyof Round): number => median(rounds.map((one) => one[key]))

/** Every contender, warm, with what ends them. */
async function contenders() {
  await installPeer('ipx', 'ipx/dist/index.mjs')
  const directory = await mkdtemp(join(PLACE, 'artwork-cold-'))
  const { child: source, line } = await started(['--import', 'tsx', local('cold-origin.ts')])
  const [port = '', size = ''] = line.split(' ')
  const origin = `127.0.0.1:${port}`
  const all: Contender[] = [
    await own('bare', origin, directory),
    await own('bare fetch', origin, directory),
    await own('toolkit', origin, directory),
    await own('lane', origin, directory),
    await own('ipx', origin, directory),
    await next(origin),
  ]
  const filter = await nginx(origin, directory)
  const end = async (): Promise<void> => {
    for (const { process } of [...all, ...(filter ? [filter] : [])]) process.kill()
    source.kill()
    await new Promise((resolve) => setTimeout(resolve, 500))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    for (const { urlOf } of all)
      for (let index = 0; index < 20; index += 1) {
        pictures += 1
        const { width, format } = await sharp(await ask(urlOf(`p${pictures}`))).metadata()
        if (width !== WIDTH || format !== 'webp') throw new Error('a wrong picture: nothing is printed')
      }
  } catch (error) {
    await end()
    throw error
  }
  const count = async (): Promise<number> => Number(await (await fetch(`http://${origin}/count`)).text())
  return { all, origin, size: Number(size), count, end }
}

/** Prints CPU and rate of each, with their ratios to the least. */
export async function benchCold(): Promise<void> {
  const { all, size, end } = await contenders()
  try {
    const rounds = new Map(all.map(({ name }) => [name, [] as Round[]]))
    const asked = all.filter(({ name }) => name !== 'lane')
    for (let index = 0; index < ROUNDS; index += 1)
      for (const contender of asked) rounds.get(contender.name)?.push(await round(contender))
    console.log(
      `cold: ${PICTURES} JPEGs of ${Math.round(size / 1000)} KB a round, medians of ${ROUNDS}, ${AT_ONCE} at once, in ${PLACE}; Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}`,
    )
    console.log('cold: name         CPU ms: own  below   all   of bare   pictures/s   of bare   bytes')
    const bare = rounds.get('bare') ?? []
    const all_ = (of: readonly Round[]): number => median(of.map(({ own: one, below }) => one + below))
    for (const { name } of asked) {
      const of = rounds.get(name) ?? []
      console.log(
        `cold: ${name.padEnd(16)} ${fixed(middle(of, 'own')).padStart(6)} ${fixed(middle(of, 'below')).padStart(6)} ${fixed(all_(of)).padStart(6)} ${fixed(all_(of) / all_(bare), 2).padStart(8)} ${fixed(middle(of, 'rate')).padStart(11)} ${fixed(middle(of, 'rate') / middle(bare, 'rate'), 2).padStart(9)} ${Math.round(middle(of, 'bytes')).toString().padStart(8)}`,
      )
    }
  } finally {
    await end()
  }
}

/** Prints how long a crowd waits for one cold picture, and how often upstream was asked for it. */
export async function benchStampede(): Promise<void> {
  const { all, count, end } = await contenders()
  try {
    const times = new Map(all.map(({ name }) => [name, [] as number[]]))
    const requests = new Map<string, number>()
    const asked = all.filter(({ name }) => name !== 'bare' && name !== 'bare fetch')
    for (let index = 0; index < ROUNDS; index += 1)
      for (const contender of asked) {
        const before = await count()
        times.get(contender.name)?.push(await stampede(contender))
        const made = (await count()) - before
        requests.set(contender.name, Math.max(made, requests.get(contender.name) ?? 0))
      }
    const of = (name: string): number => median(times.get(name) ?? [])
    for (const { name } of asked)
      console.log(
        `stampede: ${CROWD} who ask for one cold picture: ${name} ${Math.round(of(name))} ms, ${fixed(of(name) / of('next/image'), 2)} of next/image, ${requests.get(name)} upstream requests at most`,
      )
  } finally {
    await end()
  }
}

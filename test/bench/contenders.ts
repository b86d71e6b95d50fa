/**
 * Servers that make pictures of an origin's smaller, each a process of its own: ours, the least that such a server does
 * (`node:http` or `fetch`, and sharp; nothing is checked, and nothing kept), ipx, express-sharp, next/image, and nginx with
 * its image filter.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { freePort, installPeer, nextServer, peerFolder } from './peers.js'
import { started } from './processes.js'

/** Where pictures are kept while it is measured: in memory, or in the folder that is named. */
export const PLACE = process.env.COLD_DIRECTORY ?? '/dev/shm'
/** Qualities and efforts that all are given: those of next/image, which takes no others. */
export const QUALITY = { webp: 75, jpeg: 75, avif: 47 } as const
const local = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** What is asked for. */
export interface Asked {
  readonly width: number
  readonly format: 'webp' | 'jpeg' | 'avif'
}
/** A server that is asked for pictures of the origin by their names. */
export interface Contender {
  readonly name: string
  readonly process: ChildProcess
  urlOf(picture: string, asked: Asked): string
}
const agent = new Agent({ keepAlive: true, maxSockets: 512 })

/** The body of an answer. Throws for one that is no picture of that format. */
export const ask = (url: string, format: Asked['format'] | 'any'): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const accept = format === 'any' ? 'image/*' : `image/${format}`
    const req = get(url, { agent, headers: { accept } }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        const body = Buffer.concat(chunks)
        const type = res.headers['content-type'] ?? ''
        if (res.statusCode === 200 && (format === 'any' ? type.startsWith('image/') : type === accept))
          resolve(body)
        else reject(new Error(`${url} answered ${res.statusCode} ${type} ${body.toString().slice(0, 200)}`))
      })
    })
    req.on('error', (error: NodeJS.ErrnoException) => {
      // A server may close a connection that was kept for the next request, just as it comes.
      if (req.reusedSocket && error.code === 'ECONNRESET') resolve(ask(url, format))
      else reject(error)
    })
  })

/** The names of the servers of `cold-server.mjs`. */
export type OwnName = 'bare' | 'bare fetch' | 'toolkit' | 'lane' | 'ipx' | 'express-sharp'
const PEER_OF: Partial<Record<OwnName, string>> = { ipx: 'ipx', 'express-sharp': 'express-sharp' }

async function own(name: OwnName, origin: string, directory: string): Promise<Contender> {
  const peer = PEER_OF[name]
  if (peer !== undefined) await installPeer(peer)
  const folder = join(directory, name.replace(' ', '-'))
  const { child, line } = await started([
    local('cold-server.mjs'),
    name,
    origin,
    folder,
    peerFolder(peer ?? ''),
  ])
  const urlOf = (picture: string, { width, format }: Asked): string =>
    `http://127.0.0.1:${line}/${width}/${format}/${picture}.jpg`
  return { name, process: child, urlOf }
}

async function next(origin: string): Promise<Contender> {
  const { base, process } = await nextServer()
  const urlOf = (picture: string, { width }: Asked): string =>
    `${base}/_next/image?url=${encodeURIComponent(`http://${origin}/${picture}.jpg`)}&w=${width}&q=75`
  return { name: 'next/image', process, urlOf }
}

const NGINX_MODULE = '/usr/lib/nginx/modules/ngx_http_image_filter_module.so'
/** nginx with its image filter, which gives JPEGs, and its cache; undefined where it is not installed. */
async function nginx(origin: string, directory: string, width: number): Promise<Contender | undefined> {
  if (!existsSync(NGINX_MODULE)) {
    console.log('nginx is left out: apt-get install -y nginx-light libnginx-mod-http-image-filter')
    return undefined
  }
  const folder = join(directory, 'nginx')
  await mkdir(folder)
  const [port, inner] = [await freePort(), await freePort()]
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${folder}/${what};`)
    .join(' ')
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  await writeFile(
    join(folder, 'nginx.conf'),
    `load_module ${NGINX_MODULE};
${user}
worker_processes ${cpus().length};
daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; ${places}
  proxy_cache_path ${folder}/cache keys_zone=cold:10m max_size=1g;
  upstream filter { server 127.0.0.1:${inner}; keepalive 16; }
  upstream origin { server ${origin}; keepalive 16; }
  proxy_http_version 1.1; proxy_set_header Connection "";
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://filter; proxy_cache cold; proxy_cache_valid 200 1d; proxy_cache_lock on; } }
  server { listen 127.0.0.1:${inner}; location / { proxy_pass http://origin; image_filter resize ${width} -; image_filter_jpeg_quality ${QUALITY.jpeg}; image_filter_buffer 10M; } }
}
`,
  )
  execFileSync('nginx', ['-t', '-q', '-c', join(folder, 'nginx.conf')], { stdio: 'inherit' })
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
  const urlOf = (picture: string): string => `http://127.0.0.1:${port}/${picture}.jpg`
  return { name: 'nginx (JPEG)', process: child, urlOf }
}

/** Which contenders are wanted. */
export interface Wanted {
  readonly names: readonly (OwnName | 'next/image' | 'nginx')[]
  /** What each is warmed with, and checked by: its width and format have to come. */
  readonly warm: Asked
}

/** Contenders, warm, with their origin and what ends them. */
export async function contenders({ names, warm }: Wanted) {
  const directory = await mkdtemp(join(PLACE, 'artwork-cold-'))
  const { child: source, line } = await started(['--import', 'tsx', local('cold-origin.ts')])
  const [port = '', size = ''] = line.split(' ')
  const origin = `127.0.0.1:${port}`
  const all: Contender[] = []
  const end = async (): Promise<void> => {
    for (const { process } of all) process.kill()
    source.kill()
    await new Promise((resolve) => setTimeout(resolve, 500))
    await rm(directory, { recursive: true, force: true })
  }
  let pictures = 0
  /** A picture that nobody has asked for. */
  const newPicture = (): string => {
    pictures += 1
    return `p${pictures}`
  }
  try {
    for (const name of names) {
      const started =
        name === 'next/image'
          ? await next(origin)
          : name === 'nginx'
            ? await nginx(origin, directory, warm.width)
            : await own(name, origin, directory)
      if (started !== undefined) all.push(started)
    }
    for (const { name, urlOf } of all)
      for (let index = 0; index < 20; index += 1) {
        const expected = name === 'nginx (JPEG)' ? 'jpeg' : warm.format
        const { width, format, compression } = await sharp(
          await ask(urlOf(newPicture(), warm), expected),
        ).metadata()
        const isRight = format === expected || (expected === 'avif' && compression === 'av1')
        if (width !== warm.width || !isRight)
          throw new Error(`${name} gave a wrong picture: nothing is printed`)
      }
  } catch (error) {
    await end()
    throw error
  }
  /** How often the origin was asked. */
  const count = async (): Promise<number> => Number(await (await fetch(`http://${origin}/count`)).text())
  return { all, size: Number(size), count, newPicture, end }
}

/** Who the benches compare with, installed from a lock file of their own the first time. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { noisy } from './support.js'

const run = promisify(execFile)
const PEERS = fileURLToPath(new URL('./peers/', import.meta.url))

/** A server that is measured. */
export interface Contestant {
  readonly name: string
  readonly url: string
  /** Bytes of the body that is right, where it is known to the byte. */
  readonly size: number | undefined
  readonly process: ChildProcess
}

/** Installs a peer from its own lock file, the first time. */
export async function installPeer(peer: string): Promise<void> {
  const cwd = `${PEERS}${peer}`
  if (!existsSync(`${cwd}/node_modules`)) await run('npm', ['ci', '--no-audit', '--ignore-scripts'], { cwd })
}

/** A module of a peer. */
// biome-ignore lint/suspicious/noExplicitAny: peers are no dependency, so their types are not here.
export async function importPeer(peer: string, module: string): Promise<any> {
  await installPeer(peer)
  const cwd = `${PEERS}${peer}`
  return import(pathToFileURL(`${cwd}/node_modules/${module}`).href)
}

/** A port that nothing listens on. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The folder of a peer, with what its lock file lists. */
export function peerFolder(peer: string): string {
  return `${PEERS}${peer}/`
}

/** Next.js, built and started; installed from its own lock file the first time. */
export async function nextServer(): Promise<{ readonly base: string; readonly process: ChildProcess }> {
  const folder = peerFolder('next')
  const options = {
    cwd: folder,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' },
  }
  if (!existsSync(`${folder}node_modules`)) await run('npm', ['ci', '--no-audit'], options)
  await mkdir(`${folder}next-app/public`, { recursive: true })
  await writeFile(`${folder}next-app/public/picture.jpg`, await noisy().jpeg({ quality: 95 }).toBuffer())
  const bin = `${folder}node_modules/next/dist/bin/next`
  if (!existsSync(`${folder}next-app/.next/BUILD_ID`))
    await run(process.execPath, [bin, 'build', 'next-app'], options)
  // What an earlier run kept is none of this one.
  await rm(`${folder}next-app/.next/cache/images`, { recursive: true, force: true })
  const port = await freePort()
  const child = spawn(process.execPath, [bin, 'start', 'next-app', '-p', String(port), '-H', '127.0.0.1'], {
    ...options,
    stdio: 'ignore',
  })
  const base = `http://127.0.0.1:${port}`
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ((await fetch(base).catch(() => undefined)) !== undefined) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { base, process: child }
}

/** Next.js with one picture in its cache. */
export async function nextImage(): Promise<Contestant> {
  const { base, process: child } = await nextServer()
  const url = `${base}/_next/image?url=%2Fpicture.jpg&w=256&q=75`
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await fetch(url, { headers: { accept: 'image/webp' } }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.headers.get('x-nextjs-cache') === 'HIT') break
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return { name: 'next/image', url, size: undefined, process: child }
}

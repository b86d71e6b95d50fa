/**
 * What hits cost while encodes have every core: the 99th percentile of memory and disk hits, idle and under load,
 * and the same of next/image's cached answer while it encodes. And the soak: what stays in memory after many
 * different pictures were made.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nextImage } from './peers.js'
import { PICTURE_PATH } from './support.js'

const SAMPLES = 2000
const AT_ONCE = 4
const COLD_AT_ONCE = 8
const COLD_FOR = 15_000
/** What is written behind answers has been by then, ms. */
const SETTLED_AFTER = 3000

const script = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url))

/** Starts the origin. Answers its `host:port`. */
async function startOrigin(): Promise<{ host: string; process: ChildProcess }> {
  const child = spawn(process.execPath, ['--import', 'tsx', script('origin-server')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = await once(createInterface(child.stdout), 'line')
  return { host: `127.0.0.1:${port}`, process: child }
}
/** Of the server, since it was asked last. */
interface Numbers {
  /** The median of the last ten seconds, bytes. */
  readonly rss: number
  /** Delay of the event loop, 99th percentile, ms. */
  readonly late: number
  /** Full collections. */
  readonly collections: number
  /** Bytes that wait to be stored. */
  readonly waiting: number
}
async function startServer(host: string) {
  const child = fork(script('load-server'), [host], { execArgv: ['--import', 'tsx'] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const numbers = async (): Promise<Numbers> => {
    child.send('numbers')
    const [answer] = (await once(child, 'message')) as [Numbers]
    return answer
  }
  return { base: `http://127.0.0.1:${port}`, process: child, numbers }
}
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
/** Ms until the whole answer is there, and its status. */
const ask = (url: string): Promise<{ ms: number; status: number }> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    get(url, { agent, headers: { accept: 'image/webp' } }, (res) => {
      res.resume()
      res.on('end', () => resolve({ ms: performance.now() - startedAt, status: res.statusCode ?? 0 }))
    }).on('error', reject)
  })
/** The 99th percentile of hits, ms. Throws when one was answered wrongly. */
async function p99(url: string): Promise<number> {
  const times: number[] = []
  const one = async (): Promise<void> => {
    while (times.length < SAMPLES) {
      const { ms, status } = await ask(url)
      if (status !== 200) throw new Error(`${url} answered ${status}: nothing is printed`)
      times.push(ms)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)] ?? Number.NaN
}
let made = 0
/** Asks for pictures that nobody has seen, until ended. Answers how many came. */
async function encodeUntil(isOver: () => boolean, urlOf: (index: number) => string): Promise<number> {
  let count = 0
  const one = async (): Promise<void> => {
    while (!isOver()) {
      made += 1
      const { status } = await ask(urlOf(made))
      if (status !== 200 && status !== 503) throw new Error(`an encode answered ${status}`)
      if (status === 200) count += 1
    }
  }
  await Promise.all(Array.from({ length: COLD_AT_ONCE }, one))
  return count
}
async function underLoad(hits: readonly string[], urlOf: (index: number) => string) {
  const idle: number[] = []
  for (const url of hits) {
    await p99(url)
    idle.push(await p99(url))
  }
  let isOver = false
  const encoding = encodeUntil(() => isOver, urlOf)
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const loaded: number[] = []
  const startedAt = performance.now()
  for (const url of hits) loaded.push(await p99(url))
  const seconds = (performance.now() - startedAt) / 1000
  isOver = true
  const encodes = await encoding
  return hits.map((url, index) => ({
    url,
    idle: idle[index] ?? 0,
    loaded: loaded[index] ?? 0,
    encodes: Math.round(encodes / (seconds + 2)),
  }))
}
const show = (
  what: string,
  { idle, loaded, encodes }: { idle: number; loaded: number; encodes: number },
): void =>
  console.log(
    `load: ${what.padEnd(28)} p99 idle ${idle.toFixed(2)} ms, while encoding ${loaded.toFixed(2)} ms (${(loaded / idle).toFixed(1)} times), about ${encodes} encodes/s`,
  )

/** Prints the percentiles of both. */
export async function benchLoad(): Promise<void> {
  const origin = await startOrigin()
  const server = await startServer(origin.host)
  const next = await nextImage()
  try {
    const remoteId = (index: number) =>
      Buffer.from(`http://${origin.host}/${index}.jpg`).toString('base64url')
    const hits = [`${server.base}${PICTURE_PATH}`, `${server.base}/disk${PICTURE_PATH}`]
    await server.numbers()
    const [memory, disk] = await underLoad(
      hits,
      (index) => `${server.base}/images/remote/w640-webp/${remoteId(index)}`,
    )
    const urlOf = (index: number) => `${server.base}/images/remote/w640-webp/${remoteId(index)}`
    await server.numbers()
    const until = performance.now() + COLD_FOR
    const count = await encodeUntil(() => performance.now() > until, urlOf)
    const { late } = await server.numbers()
    const [theirs] = await underLoad([next.url], (index) => {
      const url = encodeURIComponent(`http://${origin.host}/${index}.jpg`)
      return `${new URL(next.url).origin}/_next/image?url=${url}&w=640&q=75`
    })
    if (memory !== undefined) show('memory hit', memory)
    if (disk !== undefined) show('disk hit', disk)
    console.log(
      `load: the event loop is ${late.toFixed(1)} ms late in the 99th percentile while ${COLD_AT_ONCE} ask for ${count} cold pictures in ${COLD_FOR / 1000} s`,
    )
    if (theirs !== undefined) show('next/image, its cached answer', theirs)
  } finally {
    agent.destroy()
    for (const one of [next.process, server.process, origin.process]) one.kill()
  }
}

/** Prints the memory of the server after a tenth of the pictures and after all. COUNT (20,000) says how many. */
export async function benchSoak(): Promise<void> {
  const count = Number(process.env.COUNT ?? 20_000)
  const origin = await startOrigin()
  const server = await startServer(origin.host)
  try {
    let next = 0
    const until = async (end: number): Promise<void> => {
      const one = async (): Promise<void> => {
        while (next < end) {
          next += 1
          const id = Buffer.from(`http://${origin.host}/soak${next}.jpg`).toString('base64url')
          const { status } = await ask(`${server.base}/images/remote/w640-webp/${id}`)
          if (status !== 200) throw new Error(`a picture answered ${status}: nothing is printed`)
        }
      }
      await Promise.all(Array.from({ length: 8 }, one))
    }
    await until(count / 10)
    const first = await server.numbers()
    await until(count)
    const last = await server.numbers()
    await new Promise((resolve) => setTimeout(resolve, SETTLED_AFTER))
    const { waiting } = await server.numbers()
    const mb = (bytes: number): number => Math.round(bytes / 1e6)
    console.log(
      `soak: ${mb(first.rss)} MB after ${count / 10} pictures, ${mb(last.rss)} MB after ${count} (ratio ${(last.rss / first.rss).toFixed(2)})`,
    )
    console.log(
      `soak: a full collection every ${Math.round((count * 0.9) / Math.max(1, last.collections))} pictures, ${waiting} bytes left that wait to be stored`,
    )
  } finally {
    agent.destroy()
    server.process.kill()
    origin.process.kill()
  }
}

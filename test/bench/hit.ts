/**
 * A memory hit: the fast lane and our router against a bare `node:http` server and a bare Express 5 route that send
 * the same bytes with the same fields, and against next/image's cached answer of the same picture. Each server is a
 * process; they take turns. Loaded by `wrk` where it is installed, else by autocannon, which costs more than the
 * servers do and so hides what is between them.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import autocannon from 'autocannon'
import { median, noisy, PICTURE_PATH, webp16k } from './support.js'

const run = promisify(execFile)
const ALTERNATIONS = 5
const SECONDS = 3
const CONNECTIONS = 20
const PEERS = fileURLToPath(new URL('./peers/', import.meta.url))

interface Contestant {
  readonly name: string
  readonly url: string
  /** Bytes of the body that is right, where it is known to the byte. */
  readonly size: number | undefined
  readonly process: ChildProcess
}

/** Refuses an answer that is not the picture. */
async function check({ name, url, size }: Contestant): Promise<number> {
  const answer = await fetch(url, { headers: { accept: 'image/webp' } })
  const { length } = Buffer.from(await answer.arrayBuffer())
  const isRight =
    answer.status === 200 &&
    answer.headers.get('content-type') === 'image/webp' &&
    (size === undefined ? length > 10_000 && length < 25_000 : length === size)
  if (!isRight)
    throw new Error(`${name} gave a wrong answer (${answer.status}, ${length}): nothing is printed`)
  return length
}

async function own(name: string, size: number): Promise<Contestant> {
  const program = fileURLToPath(new URL('./hit-server.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', program, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [port] = await once(createInterface(child.stdout), 'line')
  return { name, url: `http://127.0.0.1:${port}${PICTURE_PATH}`, size, process: child }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Next.js with one picture, built and started; installed from its own lock file the first time. */
async function nextImage(): Promise<Contestant> {
  const options = {
    cwd: PEERS,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' },
  }
  if (!existsSync(`${PEERS}node_modules`)) await run('npm', ['ci', '--no-audit'], options)
  await mkdir(`${PEERS}next-app/public`, { recursive: true })
  await writeFile(`${PEERS}next-app/public/picture.jpg`, await noisy().jpeg({ quality: 95 }).toBuffer())
  const bin = `${PEERS}node_modules/next/dist/bin/next`
  if (!existsSync(`${PEERS}next-app/.next/BUILD_ID`))
    await run(process.execPath, [bin, 'build', 'next-app'], options)
  const port = await freePort()
  const child = spawn(process.execPath, [bin, 'start', 'next-app', '-p', String(port), '-H', '127.0.0.1'], {
    ...options,
    stdio: 'ignore',
  })
  const url = `http://127.0.0.1:${port}/_next/image?url=%2Fpicture.jpg&w=256&q=75`
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await fetch(url, { headers: { accept: 'image/webp' } }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.headers.get('x-nextjs-cache') === 'HIT') break
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return { name: 'next/image', url, size: undefined, process: child }
}

const hasWrk = (): boolean => {
  try {
    execFileSync('wrk', ['-v'], { stdio: 'ignore' })
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT')
  }
}

/** Requests a second. Throws when one was answered wrongly. */
async function load(contestant: Contestant, wrk: boolean): Promise<number> {
  const length = await check(contestant)
  const refuse = (): never => {
    throw new Error(`${contestant.name} gave wrong answers: nothing is printed`)
  }
  if (!wrk) {
    const result = await autocannon({
      url: contestant.url,
      headers: { accept: 'image/webp' },
      connections: CONNECTIONS,
      duration: SECONDS,
    })
    if (result.non2xx > 0 || result.errors > 0) refuse()
    return result.requests.average
  }
  const script = fileURLToPath(new URL('./wrk.lua', import.meta.url))
  const args = [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${SECONDS}s`,
    '-s',
    script,
    '-H',
    'Accept: image/webp',
    contestant.url,
  ]
  const { stdout } = await run('wrk', args)
  const [requests = 0, bytes = 0, wrong = 1, microseconds = 1] = (/^result (.*)$/m.exec(stdout)?.[1] ?? '')
    .split(' ')
    .map(Number)
  const perAnswer = bytes / requests
  if (wrong > 0 || perAnswer < length || perAnswer > length + 2000) refuse()
  await check(contestant)
  return (requests * 1e6) / microseconds
}

/** Prints requests a second, medians of alternating runs, and the ratios. Refuses to print when an answer was wrong. */
export async function benchHit(): Promise<void> {
  const size = (await webp16k()).length
  const contestants = [
    await own('lane', size),
    await own('bare', size),
    await own('router', size),
    await own('bare Express', size),
    await nextImage(),
  ]
  try {
    const wrk = hasWrk()
    const rates = new Map(contestants.map(({ name }) => [name, [] as number[]]))
    for (let round = -1; round < ALTERNATIONS; round += 1) {
      for (const contestant of contestants) {
        const rate = await load(contestant, wrk)
        // The first round warms up.
        if (round >= 0) rates.get(contestant.name)?.push(rate)
      }
    }
    const of = (name: string): number => median(rates.get(name) ?? [])
    console.log(
      `hit: requests/s of ${size} bytes WebP, medians of ${ALTERNATIONS} (${wrk ? 'wrk' : 'autocannon'})`,
    )
    for (const { name } of contestants) console.log(`hit: ${name.padEnd(12)} ${Math.round(of(name))}`)
    const ratio = (one: string, other: string): void =>
      console.log(`hit: ${one} / ${other} = ${(of(one) / of(other)).toFixed(2)}`)
    ratio('lane', 'bare')
    ratio('lane', 'next/image')
    ratio('router', 'bare Express')
    ratio('router', 'next/image')
  } finally {
    for (const contestant of contestants) contestant.process.kill()
  }
}

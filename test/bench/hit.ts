/**
 * A memory hit: the fast lane and our router against a bare `node:http` server and a bare Express 5 route that send
 * the same bytes with the same fields, and against next/image's cached answer of the same picture. Each server is a
 * process; they take turns. Loaded by `wrk` where it is installed, else by autocannon, which costs more than the
 * servers do and so hides what is between them.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import autocannon from 'autocannon'
import { type Contestant, nextImage } from './peers.js'
import { amount, type Findings } from './results.js'
import { median, PICTURE_PATH, webp16k } from './support.js'

const run = promisify(execFile)
const ALTERNATIONS = amount('HIT_ROUNDS', 5, 1)
const SECONDS = amount('HIT_SECONDS', 3, 2)
const CONNECTIONS = 20

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

/** Requests a second, medians of alternating runs, and the ratios. Throws where an answer is wrong. */
export async function benchHit(): Promise<Findings> {
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
    return {
      title: `requests/s of ${size} bytes WebP, medians of ${ALTERNATIONS} (${wrk ? 'wrk' : 'autocannon'})`,
      rows: contestants.map(({ name }) => ({
        name,
        'requests/s': of(name),
        '/ bare': of(name) / of('bare'),
        '/ bare Express': of(name) / of('bare Express'),
        '/ next/image': of(name) / of('next/image'),
      })),
    }
  } finally {
    for (const contestant of contestants) contestant.process.kill()
  }
}

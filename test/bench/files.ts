/**
 * Pictures of a folder: as they are, and as WebP of 320 pixels, for the first time and again; the router beside `express.static`
 * and ipx over the same folder. They take turns. `FILES_PICTURES` (100), `FILES_ROUNDS` (5), `FILES_SECONDS` (3) a round.
 * Needs wrk.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { ask } from './contenders.js'
import { installPeer, peerFolder } from './peers.js'
import { familyCpu, started } from './processes.js'
import { amount, type Findings, type Row } from './results.js'
import { median } from './support.js'

const run = promisify(execFile)
const PICTURES = amount('FILES_PICTURES', 100, 30)
const ROUNDS = amount('FILES_ROUNDS', 5, 2)
const SECONDS = amount('FILES_SECONDS', 3, 1)
const KINDS = ['toolkit', 'express.static', 'ipx'] as const
const local = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** JPEGs of photo-like noise, each another one. */
async function writePictures(folder: string): Promise<void> {
  await mkdir(folder)
  for (let number = 0; number < PICTURES; number += 1) {
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
    const create = { width: 900, height: 600, channels: 3, background: '#888', noise } as const
    const picture = sharp({ create }).blur(1.5).jpeg({ quality: 80 })
    await writeFile(join(folder, `p${number}.jpg`), await picture.toBuffer())
  }
}

interface Server {
  readonly kind: (typeof KINDS)[number]
  readonly base: string
  readonly pid: number
  readonly rates: Record<'original' | '320', number[]>
}

/** Requests a second, all right. */
async function rateOf({ kind, base }: Server, size: 'original' | '320'): Promise<number> {
  const args = ['-t1', '-c20', `-d${SECONDS}s`, '-s', local('disk.lua'), base]
  const env = { ...process.env, COUNT: String(PICTURES), PREFIX: `/${size}/p` }
  const { stdout } = await run('wrk', args, { env })
  const [requests = 0, bytes = 0, wrong = 1, microseconds = 1] = (/^result (.*)$/m.exec(stdout)?.[1] ?? '')
    .split(' ')
    .map(Number)
  if (wrong > 0 || bytes / requests < 1000) throw new Error(`${kind} gave wrong answers: nothing is printed`)
  return (requests * 1e6) / microseconds
}

/** CPU of the first WebP of each picture, ms a picture. */
async function firstLooks({ base, pid }: Server): Promise<number> {
  const total = () => {
    const { own, below } = familyCpu(pid)
    return own + below
  }
  const before = total()
  for (let from = 0; from < PICTURES; from += 4)
    await Promise.all(
      Array.from({ length: Math.min(4, PICTURES - from) }, async (_, index) => {
        const made = await ask(`${base}/320/p${from + index}.jpg`, 'webp')
        const { width, height } = await sharp(made).metadata()
        if (width !== 320 || height !== 213) throw new Error('a wrong answer: nothing is printed')
      }),
    )
  return (total() - before) / PICTURES
}

/** Rates and CPU of each, and what they are of the others'. Throws where an answer is wrong. */
export async function benchFiles(): Promise<Findings> {
  const folder = await mkdtemp(join('/dev/shm', 'artwork-files-'))
  const root = join(folder, 'public')
  await writePictures(root)
  await installPeer('ipx')
  const children: { kill(): unknown }[] = []
  try {
    const servers: Server[] = []
    for (const kind of KINDS) {
      const args = [kind, root, join(folder, kind), peerFolder('ipx')]
      const { child, line } = await started([local('files-server.mjs'), ...args])
      children.push(child)
      servers.push({
        kind,
        base: `http://127.0.0.1:${line}`,
        pid: child.pid ?? 0,
        rates: { original: [], '320': [] },
      })
    }
    const makers = servers.filter(({ kind }) => kind !== 'express.static')
    const first = new Map<string, number>()
    for (const server of makers) {
      // Decoders are there before it is measured.
      await ask(`${server.base}/original/p0.jpg`, 'jpeg')
      first.set(server.kind, await firstLooks(server))
    }
    for (let round = -1; round < ROUNDS; round += 1)
      for (const server of servers)
        for (const size of server.kind === 'express.static'
          ? (['original'] as const)
          : (['original', '320'] as const)) {
          const rate = await rateOf(server, size)
          // The first round warms up.
          if (round >= 0) server.rates[size].push(rate)
        }
    const rateFor = (kind: string, size: 'original' | '320'): number =>
      median(servers.find((one) => one.kind === kind)?.rates[size] ?? [])
    const rows: Row[] = servers.map(({ kind }) => ({
      name: kind,
      'originals/s': rateFor(kind, 'original'),
      '/ express.static': rateFor(kind, 'original') / rateFor('express.static', 'original'),
      ...(kind !== 'express.static' && {
        'first WebP, CPU ms': first.get(kind) ?? 0,
        'WebP again/s': rateFor(kind, '320'),
        '/ ipx': rateFor(kind, '320') / rateFor('ipx', '320'),
      }),
    }))
    return { title: `${PICTURES} pictures of a folder in memory, medians of ${ROUNDS}`, rows }
  } finally {
    for (const child of children) child.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

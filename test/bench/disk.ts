/**
 * Hits from disk: pictures of 17 KB and of 104 KB, ten times as many as memory may hold, asked for in an order that jumps;
 * the fast lane and our router beside `express.static` of the same files. They take turns. `DISK_DIRECTORY` is where they lie,
 * in memory by default. Needs wrk.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { grain } from '../support/images.js'
import { started } from './processes.js'
import { amount, type Findings, type Row } from './results.js'
import { median } from './support.js'

const run = promisify(execFile)
const ROUNDS = amount('DISK_ROUNDS', 5, 1)
const SECONDS = amount('DISK_SECONDS', 3, 2)
const PLACE = process.env.DISK_DIRECTORY ?? '/dev/shm'
const MEMORY = 2 * 1024 ** 2
const KINDS = ['lane', 'router', 'express.static'] as const
const local = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** A JPEG of about so many bytes: one of noise, and what follows its end, which decoders pass over. */
async function pictureOf(size: number): Promise<Buffer> {
  const side = Math.round(Math.sqrt(size / 1.1))
  const noise = sharp(grain(side, side), { raw: { width: side, height: side, channels: 3 } })
  const bytes = await noise.jpeg({ quality: 80 }).toBuffer()
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length))])
}

async function measure(size: number): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(PLACE, 'artwork-disk-'))
  const count = Math.ceil((10 * MEMORY) / size)
  const picture = await pictureOf(size)
  const pictures = join(folder, 'files', 'images', 'poster', 'w342')
  await mkdir(pictures, { recursive: true })
  for (let number = 0; number < count; number += 1) {
    // Another file each.
    picture.writeUInt32BE(number, picture.length - 4)
    await writeFile(join(pictures, `p${number}.jpg`), picture)
  }
  const servers = await Promise.all(
    KINDS.map(async (kind) => {
      const args = [kind, join(folder, 'files'), join(folder, kind), String(count), String(MEMORY)]
      return { kind, ...(await started([local('disk-server.mjs'), ...args])), rates: [] as number[] }
    }),
  )
  try {
    for (let round = -1; round < ROUNDS; round += 1)
      for (const { kind, line, rates } of servers) {
        const args = ['-t1', '-c20', `-d${SECONDS}s`, '-s', local('disk.lua'), `http://127.0.0.1:${line}`]
        const { stdout } = await run('wrk', args, {
          env: { ...process.env, COUNT: String(count), PREFIX: '/images/poster/w342/p' },
        })
        const [requests = 0, bytes = 0, wrong = 1, microseconds = 1] = (
          /^result (.*)$/m.exec(stdout)?.[1] ?? ''
        )
          .split(' ')
          .map(Number)
        if (wrong > 0 || bytes / requests < size)
          throw new Error(`${kind} gave wrong answers: nothing is printed`)
        // The first round warms up.
        if (round >= 0) rates.push((requests * 1e6) / microseconds)
      }
  } finally {
    for (const { child } of servers) child.kill()
    await rm(folder, { recursive: true, force: true })
  }
  const plain = median(servers.find(({ kind }) => kind === 'express.static')?.rates ?? [])
  return servers.map(({ kind, rates }) => ({
    name: `${Math.round(size / 1000)} KB: ${kind}`,
    'requests/s': median(rates),
    '/ express.static': median(rates) / plain,
  }))
}

/** Requests a second, medians of alternating rounds, and what each is of `express.static`. Throws where an answer is wrong. */
export async function benchDisk(): Promise<Findings> {
  const rows: Row[] = []
  for (const size of [17_600, 104_000]) rows.push(...(await measure(size)))
  return { title: `files that memory has no room for, medians of ${ROUNDS}, in ${PLACE}`, rows }
}

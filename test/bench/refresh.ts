/**
 * The job `refresh` over originals that have aged, each answered with 304 by a local origin: how many a second, what each
 * costs the log of the database, and how late the event loop is meanwhile. `REFRESH_ORIGINALS` (10,000).
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createArtwork, remote } from 'express-artwork'
import { started } from './processes.js'
import { amount, type Findings } from './results.js'

const ORIGINALS = amount('REFRESH_ORIGINALS', 10_000, 1000)
const DAY = 86_400_000

/**
 * Counts the bytes that a log of SQLite gets: its frames, which are written from its start again after a checkpoint, as the
 * numbers in its header say.
 */
function watchLog(file: string): () => Promise<number> {
  const look = () => {
    const bytes = readFileSync(file)
    if (bytes.length < 32) return { salt: 0, frames: 0, page: 4096 }
    const [page, salt] = [bytes.readUInt32BE(8), bytes.readUInt32BE(16)]
    let frames = 0
    // A frame of an earlier turn has other numbers.
    for (let at = 32; at + 24 <= bytes.length && bytes.readUInt32BE(at + 8) === salt; at += 24 + page)
      frames += 1
    return { salt, frames, page }
  }
  const first = look()
  let [before, count] = [first, 0]
  const note = (): void => {
    const now = look()
    count += now.salt === before.salt ? now.frames - before.frames : now.frames
    before = now
  }
  const timer = setInterval(note, 100)
  return async () => {
    // What is written down a moment later belongs to it.
    await sleep(1000)
    clearInterval(timer)
    note()
    return count * (first.page + 24)
  }
}

/** What it came to. */
export async function benchRefresh(): Promise<Findings> {
  const script = fileURLToPath(new URL('./refresh-origin.ts', import.meta.url))
  const { child: origin, line: port } = await started(['--import', 'tsx', script])
  const host = `127.0.0.1:${port}`
  const directory = await mkdtemp(join(tmpdir(), 'artwork-refresh-'))
  let now = Date.now()
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [host], perHost: 16 },
    // The clock jumps: nothing else is to be due then.
    schedules: { cleanup: false },
    now: () => now,
    logger: { debug() {}, info() {}, warn: console.warn, error: console.error },
  })
  artwork.start()
  const address = (number: number): string =>
    `remote/original/${Buffer.from(`http://${host}/${number}.webp`).toString('base64url')}`
  for (let from = 0; from < ORIGINALS; from += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => artwork.images.getImage(address(from + index))),
    )
  now += 30 * DAY
  const written = watchLog(join(directory, 'catalogue-v2.sqlite-wal'))
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const before = performance.now()
  artwork.refresher.run('refresh', { perMinute: 1e9 })
  while (artwork.refresher.status().running + artwork.refresher.status().queued > 0) await sleep(20)
  const seconds = (performance.now() - before) / 1000
  const log = await written()
  await artwork.close()
  origin.kill()
  await rm(directory, { recursive: true, force: true })
  return {
    title: `the job \`refresh\`, ${ORIGINALS} originals answered with 304`,
    rows: [
      {
        name: 'refresh',
        'originals/s': ORIGINALS / seconds,
        'event loop delay p99, ms': delay.percentile(99) / 1e6,
        'log each, KB': log / ORIGINALS / 1024,
      },
    ],
  }
}

/**
 * A toolkit under load, in a process of its own: `/images` with a memory layer, `/disk/images` without one. Its parent
 * gives the origin's `host:port`, and gets the port, and numbers of this process when it asks.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import express from 'express'
import { createArtwork, remote, tmdb } from 'express-artwork'
import { median, webp16k } from './support.js'

const [host = ''] = process.argv.slice(2)
const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
const make = (name: string, maxBytes: number) =>
  createArtwork({
    directory: join(directory, name),
    sources: [tmdb(), remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [host] },
    widths: [640],
    memory: { maxBytes },
  })
const [hot, cold] = [await make('hot', 64 * 1024 ** 2), await make('cold', 0)]
for (const one of [hot, cold]) await one.images.put('poster/w342/abc.webp', await webp16k())
const app = express().use(hot.router).use('/disk', cold.router)
const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
const loop = monitorEventLoopDelay({ resolution: 5 })
loop.enable()
let collections = 0
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (
      (entry as unknown as { detail?: { kind?: number } }).detail?.kind ===
      constants.NODE_PERFORMANCE_GC_MAJOR
    )
      collections += 1
}).observe({ entryTypes: ['gc'] })
/** Memory comes and goes with each collection: what is told is the median of the last ten seconds. */
const SAMPLED = { every: 100, count: 100 }
const sizes: number[] = []
setInterval(() => {
  sizes.push(process.memoryUsage.rss())
  if (sizes.length > SAMPLED.count) sizes.shift()
}, SAMPLED.every).unref()
/** What this process has done since it was asked last. */
process.on('message', () => {
  const numbers = {
    rss: median(sizes),
    late: loop.percentile(99) / 1e6,
    collections,
    waiting: hot.images.stats().waitingBytes,
  }
  loop.reset()
  collections = 0
  process.send?.(numbers)
})
process.once('SIGTERM', async () => {
  await Promise.all([hot.close(), cold.close()])
  await rm(directory, { recursive: true, force: true })
  process.exit()
})

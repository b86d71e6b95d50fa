/**
 * An app of 100,000 entities: how long its first sync takes to queue them, with how much memory, and how long the
 * server is at the pages of the dashboard. The process that queues is one of its own, with the built package, and its
 * upstream never answers, so that nothing but queueing is measured.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import express from 'express'
import { createArtwork, remote } from 'express-artwork'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { digestOf } from '#src/model/digest.js'
import { type Entry, entityImageKey, imageKey } from '#src/model/entry.js'
import { openCatalogue } from '#src/store/disk/catalogue.js'
import { median } from './support.js'

const run = promisify(execFile)
const ENTITIES = 100_000
const ROUNDS = 9

/** What the process that queues runs. Prints times in ms and memory in bytes. */
const PROGRAM = `
import { createArtwork, remote } from 'express-artwork'
const [directory, host, entities] = process.argv.slice(1)
const PAGE = 1000
const artwork = await createArtwork({
  directory,
  sources: [remote({ hosts: ['127.0.0.1'] })],
  fetch: { allowPrivate: [host], firstByteTimeout: '60 s', totalTimeout: '60 s' },
  repository: {
    list: async (kind, cursor = '0') => {
      if (kind !== 'artist') return { entities: [] }
      const from = Number(cursor)
      const page = Array.from({ length: PAGE }, (_, index) => ({
        id: 'e' + (from + index), name: 'Artist ' + (from + index), image_url: 'http://' + host + '/pictures/' + (from + index) + '.jpg',
      }))
      return { entities: page, ...(from + PAGE < Number(entities) && { next: String(from + PAGE) }) }
    },
  },
})
let rss = 0
const look = setInterval(() => { rss = Math.max(rss, process.memoryUsage.rss()) }, 5)
artwork.start()
const before = performance.now()
const { id } = artwork.refresher.run('sync')
for (;;) {
  const { queued, running } = artwork.refresher.status()
  if (queued + running >= Number(entities) + 1) break
  await new Promise((resolve) => setTimeout(resolve, 20))
}
const took = performance.now() - before
clearInterval(look)
console.log(JSON.stringify({ took, rss, job: artwork.refresher.job(id).state }))
process.exit()
`

async function benchQueueing(): Promise<void> {
  await run('npm', ['run', '--silent', 'build'])
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  try {
    const args = ['--input-type=module', '--eval', PROGRAM, '--', directory, host, String(ENTITIES)]
    const { stdout } = await run(process.execPath, args)
    const { took, rss, job } = JSON.parse(stdout)
    if (job !== 'running') throw new Error('the sync is over already: nothing is printed')
    console.log(
      `manage: first sync of ${ENTITIES} entities queued in ${(took / 1000).toFixed(1)} s, ${Math.round(rss / 1e6)} MB at most`,
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
    silent.closeAllConnections()
    silent.close()
  }
}

/** Fills catalogue and queue: for each entity an original and its artwork, and a piece of work that was done or waits. */
function fill(directory: string): void {
  const catalogue = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
    unlink: () => false,
    now: Date.now,
  })
  const at = Date.now() - 864e5
  for (let from = 0; from < ENTITIES; from += 5000) {
    const batch = Array.from({ length: 5000 }, (_, index) => from + index).flatMap((index) => {
      const sourceUrl = `https://cdn.example.com/pictures/${index}.jpg`
      const common = {
        size: 10_000 + ((index * 7919) % 50_000),
        width: 300,
        height: 300,
        storedAt: at + index,
        validatedAt: at + index,
        freshnessLifetime: 604_800_000,
        isStored: true,
        sourceUrl,
      }
      const original = imageKey(`remote/original/${Buffer.from(sourceUrl).toString('base64url')}`)
      const entries: Entry[] = [
        {
          ...common,
          key: original,
          role: 'original',
          type: 'image/jpeg',
          digest: digestOf(Buffer.from(original)),
        },
        {
          ...common,
          key: entityImageKey(`artists/e${String(index)[0]}/e${index}.webp`),
          role: 'artwork',
          type: 'image/webp',
          digest: digestOf(Buffer.from(`artwork ${index}`)),
          original,
          madeFrom: digestOf(Buffer.from(original)),
          recipe: 'w300-h300-webp',
          ownerKind: 'artist',
          ownerId: `e${index}`,
        },
      ]
      return entries.map((entry, place) => ({ entry, generation: 2 * index + place + 1, slot: 0 }))
    })
    catalogue.restore(batch, () => 4096)
  }
  catalogue.setComplete()
  catalogue.close()
  const logger = { debug() {}, info() {}, warn: console.warn, error: console.error }
  const jobs = createJobQueue({ directory, now: Date.now, logger })
  jobs.addAll(
    Array.from({ length: ENTITIES }, (_, index) => ({
      key: `artist:e${index}`,
      kind: 'download',
      lane: 'task' as const,
      priority: 0,
      payload: {
        sourceUrl: `https://cdn.example.com/pictures/${index}.jpg`,
        entityType: 'artist',
        entityId: `e${index}`,
        params: {},
      },
      host: 'cdn.example.com',
    })),
  )
  for (let index = 0; index < 5000; index += 1)
    jobs.backOffs.set(`artist:e${index}`, {
      url: `https://cdn.example.com/pictures/${index}.jpg`,
      until: Date.now() + 864e5,
      times: 1,
      reason: 'http_404',
    })
  jobs.close()
}

async function benchPages(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  try {
    await (await createArtwork({ directory, disk: { maxBytes: 1e12, maxNames: 2_000_000 } })).close()
    fill(directory)
    const artwork = await createArtwork({
      directory,
      sources: [remote({ hosts: ['cdn.example.com'] })],
      disk: { maxBytes: 1e12, maxNames: 2_000_000 },
      manage: { authorize: () => true },
    })
    const server = createServer(express().use('/pictures', artwork.dashboardRouter))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/pictures`
    const image = encodeURIComponent('local/artists/e7/e77777.webp')
    const pages = {
      overview: '/',
      'contact sheet, used last': '/images',
      'contact sheet, largest': '/images?sort=size',
      'contact sheet, by name, searched': '/images?sort=name&q=77777',
      'one picture': `/image?name=${image}`,
      'single pictures in the queue': '/jobs?lane=task',
      failures: '/failures',
    }
    for (const [name, path] of Object.entries(pages)) {
      const times: number[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = performance.now()
        const answer = await fetch(url + path)
        const text = await answer.text()
        times.push(performance.now() - before)
        if (answer.status !== 200 || text.length < 2000)
          throw new Error(`${path} is ${answer.status}: nothing is printed`)
      }
      console.log(
        `manage: ${name} of ${ENTITIES} entities: ${Math.round(median(times))} ms, the first ${Math.round(times[0] ?? 0)} ms`,
      )
    }
    server.close()
    server.closeAllConnections()
    await artwork.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Prints a line for the queueing and one for each page. Refuses to print when an answer was wrong. */
export async function benchManage(): Promise<void> {
  await benchQueueing()
  await benchPages()
}

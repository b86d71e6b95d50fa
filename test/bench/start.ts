/**
 * How long a toolkit with a full catalogue takes until it has answered for the first time, and how much memory it
 * has then. Each start is a process of its own, with the built package. Nothing but the catalogue grows here: the
 * index entries of cacache are not read at a start, so only those of one picture are there.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createArtwork, tmdb } from 'express-artwork'
import { type Entry, entityImageKey, imageKey } from '#src/model/entry.js'
import { openCatalogue } from '#src/store/disk/catalogue.js'
import { median, webp16k } from './support.js'

const run = promisify(execFile)
const ROUNDS = 3
const PICTURE = 'poster/w342/abc.webp'
const LOOK_UPS = 50_000

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

const idOf = (index: number): string => `a${index}`

/** Fills a catalogue: half are originals, a third their renditions, the rest entities' artwork. */
function fill(file: string, names: number): void {
  const catalogue = openCatalogue(file, { unlink: () => false, now: Date.now })
  const entryOf = (index: number): Entry => {
    const id = digest(String(index - (index % 6))).slice(0, 27)
    const common = {
      digest: digest(`content ${index}`),
      size: 10_000 + (index % 50_000),
      type: 'image/webp',
      width: 342,
      height: 513,
      storedAt: 1_700_000_000_000 + index,
      validatedAt: 1_700_000_000_000 + index,
      freshnessLifetime: 604_800_000,
      isStored: true,
    }
    const original = imageKey(`poster/w500/${id}${(index % 6) % 3}.jpg`)
    if (index % 6 < 3)
      return {
        ...common,
        key: original,
        role: 'original',
        sourceUrl: `https://image.tmdb.org/t/p/w500/${id}.jpg`,
        etag: '"5f0c7a1e-a1b2"',
      }
    const made = { original, madeFrom: digest(original), recipe: 'w342-h513-webp' }
    return index % 6 < 5
      ? { ...common, ...made, key: imageKey(`poster/w342/${id}${index % 6}.webp`), role: 'rendition' }
      : {
          ...common,
          ...made,
          key: entityImageKey(`artists/${idOf(index).slice(0, 2)}/${idOf(index)}.webp`),
          role: 'artwork',
          ownerKind: 'artist',
          ownerId: idOf(index),
        }
  }
  const BATCH = 10_000
  for (let from = 0; from < names; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, names - from) }, (_, index) => ({
      entry: entryOf(from + index),
      generation: from + index + 1,
      slot: 0,
    }))
    catalogue.restore(batch, () => 4096)
  }
  catalogue.setComplete()
  catalogue.close()
}

/** What the process that is measured runs. Prints times in ms and memory in bytes. */
const PROGRAM = `
import express from 'express'
import nunjucks from 'nunjucks'
import { createArtwork, tmdb } from 'express-artwork'
const [directory, path] = process.argv.slice(1)
const before = performance.now()
const artwork = await createArtwork({ directory, sources: [tmdb()], disk: { maxNames: 2_000_000, maxBytes: 1e12 } })
const created = performance.now() - before
const server = express().use(artwork.router).listen(0, '127.0.0.1', async () => {
  const answer = await fetch('http://127.0.0.1:' + server.address().port + '/images/' + path)
  const bytes = await answer.arrayBuffer()
  const answered = performance.now() - before
  const rss = process.memoryUsage.rss()
  const environment = new nunjucks.Environment(null)
  artwork.installTemplates(environment)
  const template = nunjucks.compile('{% for a in artists %}{{ a | image_display_url }} {% endfor %}', environment)
  let local = 0
  for (let from = 0; from < ${LOOK_UPS}; from += 1000) {
    const artists = Array.from({ length: 1000 }, (_, index) => ({ type: 'artist', id: 'a' + (from + index) }))
    local += template.render({ artists }).split('/artwork/local/').length - 1
  }
  const later = process.memoryUsage.rss()
  const size = bytes.byteLength
  console.log(JSON.stringify({ status: answer.status, size, local, created, answered, rss, later }))
  server.close()
  server.closeAllConnections()
  await artwork.close()
})
`

/** Prints a line for each size of catalogue. Refuses to print when an answer was wrong. */
export async function benchStart(): Promise<void> {
  await run('npm', ['run', '--silent', 'build'])
  console.log(
    `start: time until the toolkit is made, and until a picture from disk has been answered; memory then, and after templates asked for ${LOOK_UPS} names`,
  )
  for (const names of [1000, 10_000, 100_000, 1_000_000]) {
    const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
    try {
      const artwork = await createArtwork({ directory, sources: [tmdb()], disk: { maxNames: 2_000_000 } })
      const picture = await webp16k()
      await artwork.images.put(PICTURE, picture)
      await artwork.close()
      const file = join(directory, 'catalogue-v2.sqlite')
      fill(file, names)
      const rounds: { created: number; answered: number; rss: number; later: number }[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const args = ['--input-type=module', '--eval', PROGRAM, '--', directory, PICTURE]
        const { stdout } = await run(process.execPath, args)
        const answer = JSON.parse(stdout)
        const local = Math.floor(Math.min(names, LOOK_UPS) / 6)
        if (answer.status !== 200 || answer.size !== picture.length || Math.abs(answer.local - local) > 1)
          throw new Error('a wrong answer: nothing is printed')
        rounds.push(answer)
      }
      const middle = (key: 'created' | 'answered' | 'rss' | 'later'): number =>
        Math.round(median(rounds.map((round) => round[key])) / (key === 'rss' || key === 'later' ? 1e6 : 1))
      const perName = Math.round((await stat(file)).size / names)
      console.log(
        `start ${names}: created ${middle('created')} ms, answered ${middle('answered')} ms, ${middle('rss')} MB, ${middle('later')} MB (catalogue ${perName} bytes a name)`,
      )
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

/**
 * A server that the bench of disk hits asks, in JavaScript, since what reads TypeScript would be measured too: pictures that
 * are stored, ten times as many as memory may hold, or the same files by `express.static`. Arguments: which, a directory with
 * the files, where to store, how many. It prints its port.
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import express from 'express'
import { createArtwork, tmdb } from 'express-artwork'

const [kind, files, directory, count, maxBytes] = process.argv.slice(2)

async function toolkit() {
  const artwork = await createArtwork({
    directory,
    sources: [tmdb()],
    memory: { maxBytes: Number(maxBytes) },
  })
  for (let number = 0; number < Number(count); number += 1) {
    const address = `poster/w342/p${number}.jpg`
    await artwork.images.put(address, await readFile(join(files, 'images', address)))
  }
  const app = express().disable('x-powered-by').use(artwork.router)
  return kind === 'lane' ? artwork.listener(app) : app
}
const plain = () =>
  express()
    .disable('x-powered-by')
    .use(express.static(files, { maxAge: '1d' }))

const server = createServer(kind === 'express.static' ? plain() : await toolkit()).listen(
  0,
  '127.0.0.1',
  () => console.log(server.address().port),
)

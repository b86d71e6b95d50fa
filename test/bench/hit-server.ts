/** One of the servers that `bench hit` compares, in a process of its own. Prints its port. Argument: which one. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { benchArtwork, PICTURE_PATH, webp16k } from './support.js'

const [kind] = process.argv.slice(2)
const bytes = await webp16k()

/** The header fields that our router gives, for the bare servers to give the same. */
async function ours(): Promise<{ app: express.Express; lane: RequestListener; fields: [string, string][] }> {
  const { artwork, end } = await benchArtwork()
  process.once('SIGTERM', () => void end().then(() => process.exit()))
  await artwork.images.put('poster/w342/abc.webp', bytes)
  const app = express().disable('x-powered-by').use(artwork.router)
  const server = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PICTURE_PATH}`
  // The second answer comes from memory, and is the one that the next client has too.
  await (await fetch(url)).arrayBuffer()
  const { headers } = await fetch(url)
  server.close()
  const passing = ['date', 'connection', 'keep-alive']
  return {
    app,
    lane: artwork.listener(app),
    fields: [...headers].filter(([name]) => !passing.includes(name)),
  }
}

const { app, lane, fields } = await ours()
const flat = fields.flat()
const listeners: Readonly<Record<string, RequestListener>> = {
  lane,
  router: app,
  bare: (_req, res) => {
    res.writeHead(200, flat)
    res.end(bytes)
  },
  'bare Express': express()
    .disable('x-powered-by')
    .get(PICTURE_PATH, (_req, res) => {
      for (const [name, value] of fields) res.setHeader(name, value)
      res.end(bytes)
    }),
}
const listener = listeners[kind ?? '']
if (listener === undefined) throw new Error(`there is no server ${kind}`)
const server = createServer(listener).listen(0, '127.0.0.1', () => {
  console.log((server.address() as AddressInfo).port)
})

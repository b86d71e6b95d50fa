/** A memory hit through Express against a bare Express route that sends the same buffer with the same headers. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import autocannon from 'autocannon'
import express from 'express'
import { benchArtwork, median, webp16k } from './support.js'

const ALTERNATIONS = 5
const SECONDS = 3

const listen = (app: express.Express): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer(app).listen(0, '127.0.0.1', () => resolve(server))
  })
const urlOf = (server: Server, path: string): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`

/** Prints requests a second for both, medians of alternating runs. Refuses to print when an answer was wrong. */
export async function benchHit(): Promise<void> {
  const { artwork, end } = await benchArtwork()
  const bytes = await webp16k()
  await artwork.images.put('poster/w342/abc.webp', bytes)
  const ours = await listen(express().use(artwork.router))
  const path = '/images/poster/w342/abc.webp'
  const sample = await fetch(urlOf(ours, path))
  const body = Buffer.from(await sample.arrayBuffer())
  if (sample.status !== 200 || !body.equals(bytes)) throw new Error('a wrong answer')
  const names = [...sample.headers].filter(
    ([name]) => !['date', 'connection', 'keep-alive', 'x-powered-by'].includes(name),
  )
  const bare = await listen(
    express().get(path, (_req, res) => {
      for (const [name, value] of names) res.setHeader(name, value)
      res.end(bytes)
    }),
  )
  const measure = async (server: Server): Promise<number> => {
    const result = await autocannon({
      url: urlOf(server, path),
      connections: 20,
      duration: SECONDS,
      workers: 1,
    })
    if (result.non2xx > 0 || result.errors > 0) throw new Error('wrong answers: nothing is printed')
    return result.requests.average
  }
  const rates: { ours: number[]; bare: number[] } = { ours: [], bare: [] }
  for (let round = 0; round < ALTERNATIONS; round += 1) {
    rates.ours.push(await measure(ours))
    rates.bare.push(await measure(bare))
  }
  const [our, plain] = [median(rates.ours), median(rates.bare)]
  console.log(
    `hit (${bytes.length} bytes): ${Math.round(our)}/s through our router, ${Math.round(plain)}/s bare Express (ratio ${(our / plain).toFixed(2)})`,
  )
  ours.close()
  bare.close()
  await end()
}

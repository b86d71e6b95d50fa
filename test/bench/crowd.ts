/**
 * A legitimate cold picture beside connections that ask for the dearest pictures anybody may ask for: 48-megapixel JPEGs, each
 * under a URL of its own, in what takes no signature. `CROWD_SECONDS` is how long, 30 by default.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createArtwork, remote } from 'express-artwork'
import sharp from 'sharp'
import { listening } from './support.js'

const CONNECTIONS = 20

/** Prints how long legitimate cold pictures take, alone and beside the crowd. */
export async function benchCrowd(): Promise<void> {
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const
  const picture = (width: number, height: number, quality: number) =>
    sharp({ create: { width, height, channels: 3, background: '#888', noise } })
      .jpeg({ quality })
      .toBuffer()
  const [large, small] = [await picture(8000, 6000, 30), await picture(800, 600, 80)]
  // What is behind the end of a JPEG makes other bytes of the same picture.
  const origin = await listening((req, res) => {
    const bytes = req.url?.startsWith('/large') ? large : small
    res
      .writeHead(200, { 'Content-Type': 'image/jpeg' })
      .end(Buffer.concat([bytes, Buffer.from(req.url ?? '')]))
  })
  const directory = await mkdtemp(join(tmpdir(), 'artwork-crowd-'))
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['127.0.0.1'] })],
    widths: [320, 640],
    fetch: { allowPrivate: [`127.0.0.1:${origin.port}`], maxBytes: '64 MiB' },
    // Whether the crowd can be distinguished from others is tried both ways.
    clientOf: (req) => (isNamed ? String(req.headers['x-client']) : 'one proxy'),
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  })
  let isNamed = false
  const site = await listening(express().use(artwork.router))
  let pictures = 0
  const ask = async (name: string, variant: string, client: string): Promise<number> => {
    pictures += 1
    const id = Buffer.from(`http://127.0.0.1:${origin.port}/${name}?x=${pictures}`).toString('base64url')
    const startedAt = performance.now()
    const answer = await fetch(`http://127.0.0.1:${site.port}/images/remote/${variant}/${id}`, {
      headers: { 'X-Client': client, Accept: 'image/webp' },
    })
    await answer.arrayBuffer()
    return answer.status === 200 ? performance.now() - startedAt : Number.POSITIVE_INFINITY
  }
  const seconds = Number(process.env.CROWD_SECONDS ?? 30)
  const measure = async (until: () => boolean): Promise<number[]> => {
    const times: number[] = []
    while (!until()) times.push(await ask('small', 'w320-webp', 'a reader'))
    return times.sort((a, b) => a - b)
  }
  const tell = (name: string, times: readonly number[]): void => {
    const at = (share: number) =>
      Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
    console.log(
      `${name}: ${times.length} cold pictures, median ${at(0.5)} ms, 99th percentile ${at(0.99)} ms`,
    )
  }
  await ask('small', 'w320-webp', 'a reader')
  const calm = performance.now() + 5000
  tell('alone', await measure(() => performance.now() > calm))
  let isOver = false
  let answered = 0
  const variants = ['original-auto', 'w640-webp', 'w320']
  const crowd = Array.from({ length: CONNECTIONS }, async (_, index) => {
    while (!isOver) {
      await ask('large', variants[index % variants.length] ?? '', 'the crowd').catch(() => 0)
      answered += 1
    }
  })
  for (const named of [true, false]) {
    isNamed = named
    const end = performance.now() + seconds * 500
    const who = named ? 'of another client' : 'behind the same proxy'
    tell(`beside ${CONNECTIONS} connections ${who}`, await measure(() => performance.now() > end))
  }
  isOver = true
  await Promise.all(crowd)
  console.log(`the crowd had ${answered} answers`)
  site.close()
  origin.close()
  await artwork.close()
  await rm(directory, { recursive: true, force: true })
}

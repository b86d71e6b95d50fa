/**
 * How long a cold WebP takes while the decoders are at another picture's AVIFs: six that were asked for by name, and those that
 * `-auto` makes behind its answers. `BEHIND_ROUNDS` (15).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createArtwork, remote } from 'express-artwork'
import { MADE_PICTURES } from './pictures.js'
import { amount, type Findings } from './results.js'
import { listening, median } from './support.js'

const ROUNDS = amount('BEHIND_ROUNDS', 15, 5)
const WIDTHS = [200, 320, 480, 640, 800, 960]

/** What it came to. */
export async function benchBehind(): Promise<Findings> {
  const [picture] = MADE_PICTURES
  const bytes = await (await picture?.paint())?.jpeg({ quality: 90 }).toBuffer()
  if (bytes === undefined) throw new Error('there is no picture')
  // What is behind the end of a JPEG makes other bytes of the same picture.
  const origin = await listening((req, res) => {
    res
      .writeHead(200, { 'Content-Type': 'image/jpeg' })
      .end(Buffer.concat([bytes, Buffer.from(req.url ?? '')]))
  })
  const directory = await mkdtemp(join(tmpdir(), 'artwork-behind-'))
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['127.0.0.1'] })],
    widths: WIDTHS,
    transform: { formats: ['jpeg', 'png', 'webp', 'gif', 'avif'] },
    fetch: { allowPrivate: [`127.0.0.1:${origin.port}`] },
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  })
  const site = await listening(express().use(artwork.router))
  let pictures = 0
  const idOf = (): string => {
    pictures += 1
    return Buffer.from(`http://127.0.0.1:${origin.port}/${pictures}.jpg`).toString('base64url')
  }
  const ask = async (variant: string, id: string, accept: string): Promise<number> => {
    const startedAt = performance.now()
    const answer = await fetch(`http://127.0.0.1:${site.port}/images/remote/${variant}/${id}`, {
      headers: { Accept: accept },
    })
    await answer.arrayBuffer()
    if (answer.status !== 200) throw new Error(`${variant} answered ${answer.status}: nothing is printed`)
    return performance.now() - startedAt
  }
  const times: Record<'alone' | 'named' | 'auto', number[]> = { alone: [], named: [], auto: [] }
  const one = () => ask('w320-webp', idOf(), 'image/webp')
  // The decoders are there.
  await Promise.all([one(), one(), one()])
  for (let round = 0; round < ROUNDS; round += 1) {
    times.alone.push(await one())
    const named = idOf()
    const avifs = WIDTHS.map((width) => ask(`w${width}-avif`, named, 'image/avif'))
    await new Promise((resolve) => setTimeout(resolve, 150))
    times.named.push(await one())
    await Promise.all(avifs)
    const auto = idOf()
    await Promise.all(WIDTHS.map((width) => ask(`w${width}-auto`, auto, 'image/avif,image/webp')))
    times.auto.push(await one())
    // What is made behind them comes to its end.
    await Promise.all(WIDTHS.map((width) => ask(`w${width}-avif`, auto, 'image/avif')))
  }
  site.close()
  origin.close()
  await artwork.close()
  await rm(directory, { recursive: true, force: true })
  const alone = median(times.alone)
  const row = (name: string, found: readonly number[]) => ({
    name,
    ms: median(found),
    'of alone': median(found) / alone,
  })
  return {
    title: `a cold WebP of 320 pixels, medians of ${ROUNDS}`,
    rows: [
      row('alone', times.alone),
      row('behind six AVIFs of another picture', times.named),
      row('while -auto makes six AVIFs', times.auto),
    ],
  }
}

/**
 * `kill -9` at random moments in the middle of cold traffic: pictures are answered before they are stored, so what is lost is
 * a miss, and whatever is there after a start is the right picture. `KILLS` (30; 200 for the whole of it).
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { startServer, toolkitModule } from '../support/child-process.js'
import { atEnd, remoteAddress, temporaryFolder } from '../support/toolkit.js'

const KILLS = Number(process.env.KILLS ?? 30)
const AT_ONCE = 12

/** The colour of a picture, by its number: no two that are near in time are alike. */
const colourOf = (number: number) => ({
  r: (number * 37) % 256,
  g: (number * 101) % 256,
  b: (number * 173) % 256,
})
const pictureOf = (number: number): Promise<Buffer> =>
  sharp({ create: { width: 400, height: 300, channels: 3, background: colourOf(number) } })
    // The same colour may come again, the same file not.
    .withExif({ IFD0: { ImageDescription: String(number) } })
    .jpeg({ quality: 90 })
    .toBuffer()

test(`${KILLS} kills: every answer is the right picture`, { timeout: 30_000 * KILLS }, async () => {
  const origin = createServer(async (req, res) => {
    const bytes = await pictureOf(Number(/(\d+)/.exec(req.url ?? '')?.[1]))
    res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Cache-Control': 'max-age=86400' }).end(bytes)
  }).listen(0, '127.0.0.1')
  await once(origin, 'listening')
  atEnd(async () => {
    origin.close()
    origin.closeAllConnections()
  })
  const host = `127.0.0.1:${(origin.address() as AddressInfo).port}`
  const folder = await temporaryFolder()
  const config = join(folder, 'artwork.config.mjs')
  await writeFile(
    config,
    `import { remote } from '${toolkitModule()}'
     export default () => ({ directory: '${join(folder, 'data')}', sources: [remote({ hosts: ['127.0.0.1'] })],
       fetch: { allowPrivate: ['${host}'] } })`,
  )
  const start = () => startServer(config, {})
  const ask = async (base: string, number: number): Promise<'right' | 'none'> => {
    const path = remoteAddress(`http://${host}/${number}.jpg`, 'w320-webp')
    const response = await fetch(`${base}/images/${path}`).catch(() => undefined)
    const bytes = await response?.arrayBuffer().catch(() => undefined)
    if (response === undefined || bytes === undefined) return 'none'
    expect([number, response.status]).toEqual([number, 200])
    const { channels } = await sharp(Buffer.from(bytes)).stats()
    const { r, g, b } = colourOf(number)
    const off = [r, g, b].map((value, index) => Math.abs((channels[index]?.mean ?? 999) - value))
    expect([number, Math.max(...off) < 8]).toEqual([number, true])
    return 'right'
  }
  let kept = 0
  for (let round = 0; round < KILLS; round += 1) {
    const server = await start()
    const numbersOf = (of: number) => Array.from({ length: AT_ONCE }, (_, index) => of * AT_ONCE + index)
    // What the one before was killed over, and what it may have had no time for.
    if (round > 0)
      expect(await Promise.all(numbersOf(round - 1).map((number) => ask(server.url, number)))).toEqual(
        numbersOf(round - 1).map(() => 'right'),
      )
    const answers = numbersOf(round).map((number) => ask(server.url, number))
    await sleep((round * 13) % 160)
    await server.stop('SIGKILL')
    kept += (await Promise.all(answers)).filter((one) => one === 'right').length
  }
  // Some were answered before the kill, and some were not.
  expect(kept).toBeGreaterThan(0)
  expect(kept).toBeLessThan(KILLS * AT_ONCE)
})

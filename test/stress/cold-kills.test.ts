/**
 * `kill -9` at random moments in the middle of cold traffic: pictures are answered before they are stored, so what is lost is
 * a miss, and whatever is there after a start is the right picture. `KILLS` (30; 200 for the whole of it).
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startServer, toolkitModule } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { expectNumbered, numberedPicture } from '../support/numbered.js'
import { atEnd, remoteAddress, temporaryFolder } from '../support/toolkit.js'

const KILLS = Number(process.env.KILLS ?? 30)
const AT_ONCE = 12

/** An answer, over a connection of its own; undefined where it did not come whole. */
const answerOf = (url: string): Promise<{ status: number | undefined; body: Buffer } | undefined> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    const request = get(url, { agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }))
      response.on('error', () => resolve(undefined))
    })
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })

test(`${KILLS} kills: every answer is the right picture`, { timeout: 30_000 * KILLS }, async () => {
  const origin = createServer(async (req, res) => {
    const bytes = await numberedPicture(Number(/(\d+)/.exec(req.url ?? '')?.[1]))
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
    const answer = await answerOf(`${base}/images/${path}`)
    if (answer === undefined) return 'none'
    expect([number, answer.status]).toEqual([number, 200])
    await expectNumbered(answer.body, number)
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
    let came = 0
    const answers = numbersOf(round).map(async (number) => {
      const answer = await ask(server.url, number)
      came += 1
      return answer
    })
    // After as many answers as the round says, and a little.
    await eventually(() => expect(came).toBeGreaterThanOrEqual(round % AT_ONCE))
    await sleep((round * 13) % 40)
    await server.stop('SIGKILL')
    kept += (await Promise.all(answers)).filter((one) => one === 'right').length
  }
  expect(kept).toBeGreaterThan(0)
})

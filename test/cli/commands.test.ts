/** The command line on a directory that a server uses, and on one that nobody does. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createArtwork } from 'express-artwork'
import { expect, test } from 'vitest'
import { runCli } from '../support/child-process.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, startApp, temporaryFolder } from '../support/toolkit.js'

async function stage() {
  const origin = await anOrigin()
  const directory = await temporaryFolder()
  const entities = []
  for (let id = 1; id <= 6; id += 1) {
    origin.serve(`/a${id}.jpg`, image(await jpeg(60 + id, 40)))
    entities.push({ id, image_url: `${origin.url}/a${id}.jpg` })
  }
  const config = join(directory, 'artwork.config.mjs')
  await writeFile(
    config,
    `import { remote, tmdb } from '${new URL('../../src/index.ts', import.meta.url).href}'
     const entities = ${JSON.stringify(entities)}
     export default () => ({
       directory: ${JSON.stringify(directory)},
       sources: [tmdb({ baseUrl: '${origin.url}/t/p' }), remote({ hosts: ['127.0.0.1'] })],
       fetch: { allowPrivate: ['${origin.host}'], retries: 0 },
       repository: { list: async (kind) => ({ entities: kind === 'artist' ? entities : [] }), exists: async (_kind, ids) => new Set(ids.filter((id) => id !== '2')) },
     })`,
  )
  const cli = async (...args: string[]) => {
    const { code, out, err } = await runCli([...args, '--config', config])
    return {
      code,
      out,
      err,
      json: () =>
        out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
    }
  }
  return { origin, directory, cli }
}

test('sync, stats, warm, explain, cleanup, verify, refresh, validate and purge, each with its exit code', async () => {
  const { origin, cli } = await stage()
  const synced = await cli('sync', '--json')
  expect(synced.code).toBe(0)
  expect(synced.json().at(-1)).toEqual({
    state: 'done',
    result: { seen: 6, queued: 6, done: 6, failed: 0, cancelled: 0 },
  })
  expect((await cli('sync', 'artist', '--json')).json().at(-1)).toMatchObject({
    result: { seen: 6, queued: 0 },
  })
  const stats = await cli('stats', '--json')
  expect(stats.json()[0]).toMatchObject({ byRole: { artwork: 6, original: 6 }, queue: { queued: 0 } })
  expect((await cli('stats')).out).toMatch(/^byRole\.artwork: 6$/m)
  const url = `${origin.url}/a1.jpg`
  const id = Buffer.from(url).toString('base64url')
  const warmed = await cli('warm', `remote/${id}`, '--variant', 'w40', 'original-webp')
  expect([warmed.code, warmed.err]).toEqual([0, expect.stringMatching(/^warm done 2\/2$/m)])
  expect(warmed.out).toMatch(/^result\.made: 2$/m)
  expect((await cli('explain', url, '--json')).json()[0]).toMatchObject({
    answer: 'held',
    original: { width: 61 },
  })
  expect((await cli('explain', `remote/w40/${id}`)).out).toMatch(/^answer: held$/m)
  const dry = await cli('cleanup', '--dry-run', '--json')
  expect(dry.json().at(-1).result).toMatchObject({ orphaned: 1 })
  expect((await cli('cleanup', '--json')).json().at(-1).result).toEqual(dry.json().at(-1).result)
  expect((await cli('verify', '--json')).json().at(-1).result).toMatchObject({ state: 'done', damaged: 0 })
  expect((await cli('refresh')).code).toBe(0)
  origin.serve('/a3.jpg', { status: 404 })
  expect((await cli('validate', 'artist', '--json')).json().at(-1).result).toEqual({
    valid: 5,
    invalid: 1,
    entities: ['artist/3'],
  })
  expect((await cli('purge', url, '--json')).json()[0]).toMatchObject({ removed: 4 })
  expect((await cli('purge', '--entity', 'artist:4', '--json')).json()[0]).toMatchObject({ removed: 2 })
  expect((await cli('purge', '--tag', 'entity-artist', '--json')).json()[0].removed).toBeGreaterThan(2)
  expect((await cli('stats', '--json')).json()[0]).toMatchObject({ byRole: { artwork: 0 } })
}, 120_000)

test('beside a running server: both work at it, and the server has what came of it', async () => {
  const { origin, directory, cli } = await stage()
  const app = await startApp({ transform: { isolate: false } }, { origin, directory })
  app.artwork.start()
  expect((await cli('sync', '--json')).json().at(-1)).toMatchObject({
    state: 'done',
    result: { done: 6, failed: 0 },
  })
  expect(origin.hits()).toBe(6)
  for (let id = 1; id <= 6; id += 1)
    expect((await app.get(`/artwork/local/artists/${id}/${id}.webp`)).status).toBe(200)
})

test('what goes wrong is reported, with an exit code', async () => {
  const { cli } = await stage()
  expect(await runCli(['sync', '--config', '/nowhere.mjs'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/--config must be.*nowhere/),
  })
  expect(await runCli(['sync'], { ARTWORK_DIRECTORY: await temporaryFolder() })).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^error: the repository cannot list entities$/m),
  })
  // Asked for by who can do it, and has ended before it was begun.
  const waiting = await temporaryFolder()
  const able = await createArtwork({
    directory: waiting,
    repository: { list: async () => ({ entities: [] }) },
  })
  able.refresher.run('sync')
  await able.close()
  expect(await runCli(['sync'], { ARTWORK_DIRECTORY: waiting })).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^express-artwork: job \d+ is queued already, and waits for a process/),
  })
  expect(await cli('explain', 'nonsense')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^express-artwork: /),
  })
  expect(await runCli(['cleanup', '--max-age-days', 'soon'])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/must be a number/),
  })
  expect(await runCli(['nothing'])).toMatchObject({ code: 2, err: expect.stringMatching(/unknown command/) })
  const help = await runCli(['cleanup', '--help'])
  expect(help).toMatchObject({
    code: 0,
    out: expect.stringMatching(/Examples:\n +\$ express-artwork cleanup --dry-run/),
  })
}, 60_000)

test('a paused queue is reported, and resumed; an export and its import, each with what came of it', async () => {
  const { cli, directory } = await stage()
  expect((await cli('pause', '--json')).json()).toEqual([{ paused: true }])
  const paused = await cli('verify')
  expect([paused.code, paused.err]).toEqual([1, expect.stringContaining('the queue is paused')])
  expect((await cli('resume', '--json')).json()).toEqual([{ paused: false }])
  expect((await cli('sync')).code).toBe(0)
  const media = join(directory, 'media')
  const exported = await cli('export', media, '--json')
  expect([exported.code, exported.json().at(-1)]).toEqual([
    0,
    { state: 'done', result: expect.objectContaining({ linked: 6, failed: 0, complete: true }) },
  ])
  expect((await cli('import', media, '--json')).json().at(-1).result).toMatchObject({
    unchanged: 6,
    refused: 0,
  })
  expect((await cli('import', join(directory, 'nowhere'))).code).toBe(1)
})

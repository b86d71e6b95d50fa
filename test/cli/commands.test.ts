/** The command line on a directory that a server uses, and on one that nobody does. */
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createArtwork } from 'express-artwork'
import { expect, test } from 'vitest'
import { runCli, toolkitModule } from '../support/child-process.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, startApp, temporaryFolder } from '../support/toolkit.js'

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
    `import { remote, tmdb } from '${toolkitModule()}'
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
  expect((await cli('stats')).out).toMatch(/^ {2}images +12 \(6 originals, 0 renditions, 6 of entities\)$/m)
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

test('stats come in groups, with sizes for people and exact ones in JSON; schedules name their time zone', async () => {
  const { cli, directory } = await stage()
  await cli('sync')
  const { out } = await cli('stats')
  expect(out.split('\n').filter((line) => /^[A-Z]/.test(line))).toEqual(['Store', 'Queue', 'Schedules'])
  expect(out).toMatch(/^ {2}bytes of images {2}\d+(?:\.\d)? KiB$/m)
  expect(out).toMatch(/^ {2}for each image +4\.\d KiB in catalogue and index$/m)
  expect(out).not.toMatch(/\d{12}/)
  const [exact] = (await cli('stats', '--json')).json()
  expect(exact.bytes).toBeGreaterThan(1024)
  expect(Number.isInteger(exact.bytes)).toBe(true)
  expect(exact.queue.schedules).toEqual([
    {
      kind: 'cleanup',
      cron: '0 3 * * *',
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      nextRun: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      refused: 0,
    },
  ])
  const zoned = join(directory, 'zoned.config.mjs')
  await writeFile(
    zoned,
    `export default { directory: ${JSON.stringify(directory)}, schedules: {
       cleanup: { cron: '30 4 * * *', timezone: 'Asia/Tokyo', jitter: 0 }, verify: { cron: '0 5 * * *', timezone: 'UTC', jitter: 0 },
     } }`,
  )
  const listed = await runCli(['jobs', '--config', zoned])
  expect(listed.out).toMatch(
    /^\d+ sync done 6\/6, asked for \d{4}-\d\d-\d\dT[\d:]{8}Z, ended \d{4}-\d\d-\d\dT[\d:]{8}Z$/m,
  )
  expect(listed.out).toMatch(
    /^ {2}cleanup {2}30 4 \* \* \*, next \d{4}-\d\d-\d\dT04:30:00\+09:00 Asia\/Tokyo, last never$/m,
  )
  expect(listed.out).toMatch(/^ {2}verify {3}0 5 \* \* \*, next \S+T05:00:00(?:Z|\+00:00) UTC, last never$/m)
  const explained = await cli('explain', `remote/original/${Buffer.from('x').toString('base64url')}`)
  expect(explained.code).toBe(1)
}, 120_000)

test('--config, --env-file and --json hold before and after the command and its arguments', async () => {
  const { origin, directory, cli } = await stage()
  await cli('sync')
  const config = join(directory, 'artwork.config.mjs')
  const url = `${origin.url}/a1.jpg`
  const expected = { answer: 'held', original: { storedAt: expect.stringMatching(/^\d{4}-.*Z$/) } }
  for (const args of [
    ['--config', config, '--json', 'explain', url],
    ['explain', '--config', config, url, '--json'],
    ['--json', 'explain', url, `--config=${config}`],
  ]) {
    const { code, out } = await runCli(args)
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ answer: expected.answer })])
    expect(JSON.parse(out)).toMatchObject(expected)
  }
  const text = (await runCli(['--config', config, 'explain', url])).out
  expect(text).toMatch(/^checkedAt: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m)
  expect(text).toMatch(/^original\.size: \d+(?:\.\d)? (?:KiB|B)$/m)
  expect(text).not.toMatch(/\d{12,}$/m)
  const id = Buffer.from(url).toString('base64url')
  const warmed = await runCli([
    '--config',
    config,
    'warm',
    `remote/${id}`,
    '--variant',
    'w30',
    'w20',
    '--json',
  ])
  expect(JSON.parse(warmed.out.trim().split('\n').at(-1) ?? '')).toMatchObject({ result: { made: 2 } })
  const refused = await runCli(['--config', config, 'serve'])
  expect(refused).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^error: serve has no option '--config'/),
  })
  expect(refused.err).toContain('--port <number>')
}, 120_000)

test('what is empty says so in a sentence; JSON has no line for it', async () => {
  const directory = await temporaryFolder()
  const run = (...args: string[]) =>
    runCli(args, { ARTWORK_DIRECTORY: directory, ARTWORK_SCHEDULES_CLEANUP: 'false' })
  expect((await run('failures')).out).toBe('Nothing has failed: no picture waits to be tried again.\n')
  expect((await run('jobs')).out).toBe(
    'No long job has been asked for yet.\nNo job begins by itself: there are no schedules.\n',
  )
  expect([(await run('failures', '--json')).out, (await run('jobs', '--json')).out]).toEqual(['', ''])
}, 60_000)

test('a failure that waits is a line with its next try as a date', async () => {
  const { origin, cli } = await stage()
  origin.serve('/a3.jpg', { status: 404 })
  await cli('sync')
  const { out } = await cli('failures')
  expect(out).toMatch(/\/a3\.jpg: http_404, once, next try \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m)
  expect((await cli('failures', '--json')).json()).toContainEqual(
    expect.objectContaining({ name: 'artist:3', times: 1, nextTry: expect.stringMatching(/Z$/) }),
  )
}, 60_000)

test('an unknown option or argument is answered with those that there are', async () => {
  const { cli } = await stage()
  const option = await runCli(['cleanup', '--force-all'])
  expect([option.code, option.err]).toEqual([2, expect.stringContaining("unknown option '--force-all'")])
  for (const known of ['--dry-run', '--max-age-days', '--force', '--config <file>'])
    expect(option.err).toContain(known)
  const argument = await runCli(['verify', 'everything'])
  expect([argument.code, argument.err]).toEqual([
    2,
    expect.stringContaining('Usage: express-artwork verify [options]'),
  ])
  const command = await runCli(['sink'])
  expect([command.code, command.err]).toEqual([
    2,
    expect.stringMatching(/unknown command 'sink'[\s\S]*validate/),
  ])
  const kind = await cli('sync', 'painter')
  expect([kind.code, kind.out]).toEqual([
    1,
    expect.stringMatching(/^error: no kinds of entity: painter; there are .*\bartist\b/m),
  ])
  const entity = await cli('purge', '--entity', 'painter:7')
  expect([entity.code, entity.err]).toEqual([1, expect.stringMatching(/not known: there are .*\bartist\b/)])
  expect((await cli('purge', '--entity', 'artist')).err).toBe(
    'express-artwork: --entity takes a kind and an id, such as artist:7, got "artist"\n',
  )
}, 60_000)

test('a port that is in use is one line with the mend, and exit code 1', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  atEnd(() => new Promise<void>((resolve) => other.close(() => resolve())))
  const { port } = other.address() as AddressInfo
  const ended = await runCli(['serve', '--port', String(port), '--host', '127.0.0.1'], {
    ARTWORK_DIRECTORY: await temporaryFolder(),
  })
  expect(ended).toEqual({
    code: 1,
    out: '',
    err: `express-artwork: port ${port} at 127.0.0.1 is in use already: name another one by --port or PORT\n`,
  })
}, 60_000)

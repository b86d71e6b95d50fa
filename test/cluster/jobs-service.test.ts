/** Three services that share one queue: what one is asked for, all do, and each shows and steers the whole. */
import { appendFileSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { runCli, type Service, startServer, toolkitModule } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, temporaryFolder } from '../support/toolkit.js'
import { type Engine, startRedis } from './engines.js'

const ENTITIES = 120
let redis: Engine & { readonly url: string }
beforeAll(async () => {
  redis = await startRedis()
})

/** A module of options that all nodes have, each with a directory of its own. */
async function stage() {
  const origin = await anOrigin()
  const folder = await temporaryFolder()
  for (let id = 1; id <= ENTITIES; id += 1) origin.serve(`/a${id}.jpg`, image(await jpeg(20 + id, 30)))
  const [log, config] = [join(folder, 'saved.log'), join(folder, 'artwork.config.mjs')]
  appendFileSync(log, '')
  await writeFile(
    config,
    `import { appendFileSync } from 'node:fs'
     import { bullmq, remote } from '${toolkitModule()}'
     const list = async (kind) => ({
       entities: kind !== 'artist' ? [] : Array.from({ length: ${ENTITIES} }, (_, index) => (
         { id: index + 1, image_url: '${origin.url}/a' + (index + 1) + '.jpg' })),
     })
     const saveImage = async (_kind, id) => {
       appendFileSync('${log}', id + ' ' + process.pid + '\\n')
       return true
     }
     export default () => ({
       directory: process.env.DIRECTORY,
       sources: [remote({ hosts: ['127.0.0.1'] })],
       fetch: { allowPrivate: ['${origin.host}'] },
       transform: { isolate: false },
       repository: { list, saveImage },
       manage: { authorize: () => true },
       jobs: bullmq({ url: '${redis.url}', prefix: 'services:', timeout: 5000 }),
     })`,
  )
  const start = async (): Promise<Service> => startServer(config, { DIRECTORY: await temporaryFolder() })
  const cli = async (...args: readonly string[]) => {
    const { code, out, err } = await runCli([...args, '--config', config, '--json'], {
      DIRECTORY: await temporaryFolder(),
    })
    return {
      code,
      err,
      lines: out
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Record<string, unknown> => JSON.parse(line)),
    }
  }
  const saved = (): readonly string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1)
  return { origin, start, cli, saved }
}
const json = async (url: string, method = 'GET'): Promise<Record<string, unknown>> =>
  (await fetch(url, { method })).json() as Promise<Record<string, unknown>>

test('one queue: a sync is done by all of them, once; each lists the nodes, shows the job, and pauses all', async () => {
  const site = await stage()
  const services = [await site.start(), await site.start(), await site.start()]
  const api = (index: number, path: string, method?: string) =>
    json(`${services[index]?.url}/api/images${path}`, method)
  await eventually(async () =>
    expect((await api(0, '/nodes')).nodes).toMatchObject(
      [1, 2, 3].map(() => ({
        health: 'ready',
        reasons: [],
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      })),
    ),
  )
  const { job } = (await api(0, '/sync', 'POST')) as { job: { id: string } }
  await eventually(async () => {
    for (const index of [0, 1, 2])
      expect(await api(index, `/jobs/${job.id}`)).toMatchObject({
        job: { state: 'done', result: { seen: ENTITIES, queued: ENTITIES, done: ENTITIES, failed: 0 } },
      })
  }, 120_000)
  expect(site.origin.hits()).toBe(ENTITIES)
  const ids = site.saved().map((line) => line.split(' ')[0])
  expect(ids).toHaveLength(ENTITIES)
  expect(new Set(ids).size).toBe(ENTITIES)
  expect(new Set(site.saved().map((line) => line.split(' ')[1])).size).toBeGreaterThan(1)

  // The command line is one more of them.
  const listed = await site.cli('jobs')
  expect([listed.code, listed.err]).toEqual([0, ''])
  expect(listed.lines).toMatchObject([{ id: job.id, kind: 'sync', state: 'done' }])
  const verified = await site.cli('verify')
  expect(verified.code, verified.err).toBe(0)
  expect(verified.lines.at(-1)).toMatchObject({ state: 'done' })
  expect((await site.cli('pause')).lines).toEqual([{ paused: true }])
  await eventually(async () => expect(await api(2, '/stats')).toMatchObject({ queue: { paused: true } }))
  expect((await api(1, '/resume', 'POST')).queue).toMatchObject({
    paused: false,
  })
  await eventually(async () => expect(await api(0, '/stats')).toMatchObject({ queue: { paused: false } }))

  await services[2]?.stop('SIGKILL')
  await eventually(async () => expect((await site.cli('nodes')).lines).toHaveLength(2), 60_000)
})

/** What an app's records answer is read in every shape that is meant, and nothing is taken away by one that is not. */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EntityLike, Repository } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { quietLogger, startApp, type TestApp, temporaryFolder } from '../support/toolkit.js'

const uuid = (index: number): string => `0a1b2c3d-0000-4000-8000-${String(index).padStart(12, '0')}`
const start = (repository: Repository, logger = quietLogger()): Promise<TestApp> =>
  startApp({ repository, logger, transform: { isolate: false } })

/** Fetches the pictures of artists. */
async function keep(app: TestApp, ids: readonly string[]): Promise<void> {
  app.origin.serve('/p.jpg', image(await jpeg(40, 30)))
  for (const entityId of ids) {
    const request = { sourceUrl: `${app.origin.url}/p.jpg`, entityType: 'artist', entityId }
    expect((await app.artwork.images.downloadAndCache(request)).status).toBe('downloaded')
  }
}
const isKept = (app: TestApp, id: string): boolean =>
  app.artwork.images.getDisplayUrl(null, `artists/${id.slice(0, 2)}/${id}.webp`, 'artist').includes('?v=')

/** An id of a database driver: an object with a text form. */
class ObjectId {
  constructor(private readonly text: string) {}
  toString(): string {
    return this.text
  }
}

describe('repository.exists (mended 1)', () => {
  const numbers = ['1', '2', '30']
  const uuids = [1, 2, 3].map(uuid)
  test.each<[string, readonly string[], (ids: readonly string[]) => unknown]>([
    ['a set of numbers', numbers, (ids) => new Set(ids.map(Number))],
    ['bigints', numbers, (ids) => ids.map(BigInt)],
    ['padded text', numbers, (ids) => ids.map((id) => id.padEnd(20))],
    ['a generator', numbers, (ids) => ids.values()],
    ['ids of a driver', numbers, (ids) => ids.map((id) => new ObjectId(id))],
    ['UUIDs in upper case', uuids, (ids) => ids.map((id) => id.toUpperCase())],
    ['the keys of a map', uuids, (ids) => new Map(ids.map((id) => [id, true])).keys()],
  ])('%s', async (_name, ids, answer) => {
    const gone = ids[1] ?? ''
    const app = await start({
      exists: async (_kind, asked) => answer(asked.filter((id) => id !== gone)) as Iterable<unknown>,
    })
    await keep(app, ids)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 1 })
    expect(ids.filter((id) => isKept(app, id))).toEqual(ids.filter((id) => id !== gone))
  })
  test.each<[string, unknown]>([
    ['ids that were not asked for', ['7']],
    ['rows', [{ id: 1 }]],
    ['a text', '1'],
    ['a number', 3],
    ['nothing', undefined],
    ['null', null],
    ['true', true],
    ['an object', { 1: true }],
    ['the entries of a map', new Map([['1', true]])],
    ['lists in a list', [['1']]],
    ['truths', [true, true]],
  ])('%s: reported, and nothing goes', async (_name, answer) => {
    const logger = quietLogger()
    const app = await start({ exists: async () => answer as Iterable<unknown> }, logger)
    await keep(app, numbers)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 0, removed: 0 })
    expect(numbers.every((id) => isKept(app, id))).toBe(true)
    expect(logger.lines.join()).toMatch(/could not be asked for orphans/)
  })
  test('a whole kind that is suddenly gone waits for a confirmed run', async () => {
    const logger = quietLogger()
    const app = await start({ exists: async () => [] }, logger)
    const ids = Array.from({ length: 21 }, (_, index) => String(index + 1))
    await keep(app, ids)
    const dry = await app.artwork.images.optimizeCache({ dryRun: true })
    const run = await app.artwork.images.optimizeCache()
    expect(run).toEqual(dry)
    expect(run).toMatchObject({ orphaned: 0, unconfirmed: { artist: 21 } })
    expect(ids.every((id) => isKept(app, id))).toBe(true)
    expect(logger.lines.join()).toMatch(/every entity of a kind is gone/)
    expect(await app.artwork.images.optimizeCache({ force: true })).toMatchObject({ orphaned: 21 })
    expect(ids.some((id) => isKept(app, id))).toBe(false)
  })
  test('a few of a kind go without that', async () => {
    const app = await start({ exists: async () => [] })
    await keep(app, numbers)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 3 })
  })
})

describe('repository.list (mended 1)', () => {
  const entities = (app: { url: string }, from: number, to: number): EntityLike[] =>
    Array.from({ length: to - from }, (_, index) => ({ id: from + index, image_url: `${app.url}/p.jpg` }))
  const synced = async (list: (origin: { url: string }) => Repository['list']) => {
    let made: Repository['list']
    const app = await start({
      list: (kind, cursor) => made?.(kind, cursor) ?? Promise.resolve({ entities: [] }),
    })
    app.origin.serve('/p.jpg', image(await jpeg(40, 30)))
    made = list(app.origin)
    app.artwork.start()
    const job = await await app.artwork.refresher.run?.('sync', { kinds: ['artist'] })
    return { app, job }
  }
  const outcome = async (app: TestApp) => {
    let found: { state: string; result?: { seen: number }; error?: string } | undefined
    await eventually(async () => {
      found = (await app.artwork.refresher.jobs({ kind: 'sync' })).at(0) as typeof found
      expect(found?.state).toMatch(/done|failed/)
    })
    return found
  }
  test.each<[string, (origin: { url: string }) => Repository['list']]>([
    [
      'a number as next',
      (origin) => async (_kind, cursor) => {
        const at = Number(cursor ?? 0)
        return { entities: entities(origin, at, at + 2), next: at + 2 < 6 ? at + 2 : null }
      },
    ],
    [
      'a bigint as next',
      (origin) => async (_kind, cursor) => {
        const at = Number(cursor ?? 0)
        return { entities: entities(origin, at, at + 3), ...(at === 0 && { next: 3n }) }
      },
    ],
    ['a plain array', (origin) => async () => entities(origin, 0, 6)],
    ['rows', (origin) => async () => ({ rows: entities(origin, 0, 6) })],
    ['a set', (origin) => async () => new Set(entities(origin, 0, 6))],
    [
      'an asynchronous generator',
      (origin) =>
        async function* () {
          for (const entity of entities(origin, 0, 6)) yield entity
        },
    ],
  ])('%s: all six', async (_name, list) => {
    const { app } = await synced(list)
    expect(await outcome(app)).toMatchObject({ state: 'done', result: { seen: 6 } })
  })
  test.each<[string, unknown]>([
    ['a text', 'no'],
    ['nothing', undefined],
    ['an object of another shape', { items: [] }],
    ['a next that is no cursor', { entities: [], next: { after: 1 } }],
  ])('%s fails the job, and says why', async (_name, answer) => {
    const { app } = await synced(() => async () => answer as never)
    expect(await outcome(app)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/repository\.list/),
    })
  })
})

describe('what is taken in (mended 2)', () => {
  const folder = async (paths: readonly string[]): Promise<string> => {
    const root = await temporaryFolder()
    const { mkdirSync } = await import('node:fs')
    for (const [index, path] of paths.entries()) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), await jpeg(40, 30, index + 1))
    }
    return root
  }
  test('a picture that a record names is alive, whoever its owner is read to be', async () => {
    const id = uuid(1)
    const bare = id.replaceAll('-', '')
    const path = `artists/${bare.slice(0, 2)}/${bare}.webp`
    const record = { id, image_path: `/artwork/local/${path}?v=0123456789abcdef` }
    let isListable = false
    const app = await start({
      list: async (kind) => {
        if (!isListable) throw new Error('not now')
        return kind === 'artist' ? [record] : []
      },
      exists: async (_kind, ids) => ids.filter((one) => one === id),
    })
    // The records cannot be asked: the owner is read off the path.
    const report = await app.artwork.images.importFolder(await folder([path]))
    expect(report).toMatchObject({ imported: 1 })
    for (isListable of [false, true]) {
      expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 0, removed: 0 })
      expect((await app.get(`/artwork/local/${path}`)).status).toBe(200)
    }
    // When nobody names it any more, it goes.
    record.image_path = ''
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 1 })
  })
  test('a file that a record names is taken in, whatever its name', async () => {
    const record = { id: 'a1', image_path: 'covers/old-name.jpg' }
    const app = await start({
      list: async (kind) => (kind === 'album' ? [record] : []),
      exists: async (kind, ids) => (kind === 'album' ? ids.filter((id) => id === 'a1') : []),
    })
    expect(await app.artwork.images.importFolder(await folder(['covers/old-name.jpg']))).toMatchObject({
      imported: 1,
      unknown: 0,
    })
    expect((await app.get('/artwork/local/covers/old-name.jpg')).status).toBe(200)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 0 })
  })
  test('slugs are taken in by their path, and stay', async () => {
    const app = await start({ exists: async () => [] })
    expect(
      await app.artwork.images.importFolder(await folder(['categories/just_chatting.jpg'])),
    ).toMatchObject({
      imported: 1,
    })
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ orphaned: 0 })
    expect((await app.get('/artwork/local/categories/just_chatting.jpg')).status).toBe(200)
  })
})

/** The content files of a store. */
const contentsOf = (directory: string): string[] =>
  readdirSync(join(directory, 'store-v2', 'content-v2'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

describe('a dry run (mended 3)', () => {
  test('changes no file and no row, and the run after it finds the same; a damaged copy is not “cached”', async () => {
    const app = await startApp({ transform: { isolate: false } })
    await keep(app, ['1', '2'])
    const request = { sourceUrl: `${app.origin.url}/p.jpg`, entityType: 'artist', entityId: '1' }
    const [first] = contentsOf(app.directory)
    for (const file of contentsOf(app.directory)) writeFileSync(file, Buffer.alloc(statSync(file).size))
    const before = contentsOf(app.directory).map((file) => [file, readFileSync(file).length] as const)
    const names = () => app.artwork.images.stats().names
    const namesBefore = names()
    const dry = await app.artwork.images.optimizeCache({ dryRun: true })
    expect(dry.corrupt).toBeGreaterThan(0)
    expect(contentsOf(app.directory).map((file) => [file, readFileSync(file).length])).toEqual(before)
    expect(names()).toBe(namesBefore)
    expect(await app.artwork.images.optimizeCache({ dryRun: true })).toEqual(dry)
    expect(first).toBeDefined()
    // Memory has the bytes, and the disk has not: what speaks of the disk asks the disk.
    expect((await app.artwork.images.downloadAndCache(request)).status).toBe('downloaded')
  })
  test('damage is counted by the read that meets it, whoever else meets some meanwhile (mended 44)', async () => {
    const app = await startApp({ memory: { maxBytes: 0 }, transform: { isolate: false } })
    await keep(app, ['1'])
    for (const file of contentsOf(app.directory)) writeFileSync(file, Buffer.alloc(statSync(file).size))
    const dry = await app.artwork.images.optimizeCache({ dryRun: true })
    expect(await app.artwork.images.optimizeCache()).toEqual(dry)
    expect(await app.artwork.images.optimizeCache()).toMatchObject({ corrupt: 0 })
  })
})

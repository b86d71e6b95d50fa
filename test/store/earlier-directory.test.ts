/** A directory that an earlier version wrote, opened by this one: nothing is lost, and nothing is asked upstream. */

import { existsSync, lstatSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readTables } from '../fixtures/describe-directory.js'
import { eventually } from '../support/eventually.js'
import {
  answeredPictures,
  expectAnswers,
  expectEntities,
  expectUntouched,
  expectUploads,
  expectWork,
  known,
  needsRow,
  openEarlier,
  unpacked,
} from './earlier/app.js'
import { ask, DATABASES, type Listed, withDatabase } from './earlier/directory.js'

describe('a directory of an earlier version', () => {
  test('with its catalogue: every picture, entity, upload, job, rest, schedule, failure and exported file is there', async () => {
    const { directory, origin } = await unpacked()
    const opened = await openEarlier(directory)
    const { artwork, getJson, listed, lines } = opened
    artwork.start()
    expect(await getJson('/ready')).toEqual({ status: 'ready', reasons: [] })
    expect(await listed()).toMatchObject(known.images)
    await expectEntities(opened)
    await expectAnswers(opened, known.answers)
    expect(await getJson('/api/images/failures?limit=500')).toMatchObject({ failures: known.failures })
    await expectUploads(opened)
    await expectWork(opened)
    expectUntouched(opened)
    expect(origin.connections()).toBe(0)
    expect(await artwork.images.verify({ bytesPerSecond: 1e9 })).toMatchObject({
      state: 'done',
      damaged: 0,
      relisted: 0,
      leftovers: 0,
    })
    await artwork.close()
    expect(lines).toEqual([])

    const { 'catalogue.names': names = [], ...tables } = readTables(directory)
    const { 'catalogue.names': namesBefore = [], ...tablesBefore } = known.tables
    expect(tables).toEqual(tablesBefore)
    expect(names.map(({ name }) => name)).toEqual(namesBefore.map(({ name }) => name))
    // Last uses go on from where they were.
    for (const [index, { usedAt, facts: _later, ...facts }] of names.entries()) {
      const { usedAt: before, ...factsBefore } = namesBefore[index] ?? {}
      expect(facts).toEqual(factsBefore)
      expect(Number(usedAt)).toBeGreaterThanOrEqual(Number(before))
    }
  })

  test('without its catalogue: everything but what only that knew is read back', async () => {
    const { directory, origin } = await unpacked()
    for (const suffix of ['', '-wal', '-shm', '.lock'])
      rmSync(join(directory, DATABASES.catalogue) + suffix, { force: true })
    const opened = await openEarlier(directory)
    const { artwork, url, listed } = opened
    const answers = answeredPictures.filter((answer) => !needsRow(answer))
    // While names are read back, too. An AVIF that `auto` would choose is not looked for then: WebP stands in.
    await expectAnswers(
      opened,
      answers.filter(({ accept }) => accept?.includes('avif') !== true),
    )
    await eventually(() => expect(artwork.images.stats().rebuilding).toBe(false))
    await expectAnswers(opened, answers)
    await expectEntities(opened)
    const lasting = ({ last_used: _used, checked_at: _at, fresh_until: _until, ...facts }: Listed) => facts
    expect(await listed()).toMatchObject(known.images.filter(({ held }) => held).map(lasting))
    await expectUploads(opened)
    await expectWork(opened)
    expectUntouched(opened)
    expect(origin.connections()).toBe(0)
    // What was made from an original whose row is gone stands in when upstream cannot be asked.
    const left = answeredPictures.filter(needsRow)
    expect(left.length).toBeGreaterThan(0)
    for (const { path, digest } of left)
      expect(await ask(url, { path })).toMatchObject({ status: 200, digest })
    await artwork.close()

    const { 'export.files': files, 'jobs.jobs': jobs, 'uploads.uploads': uploads } = readTables(directory)
    const before = known.tables
    expect([files, jobs, uploads]).toEqual([
      before['export.files'],
      before['jobs.jobs'],
      before['uploads.uploads'],
    ])
  })

  test('its export is gone on with: what is ours is known, follows the store, and is distinguished from what is not', async () => {
    const { directory, library, origin } = await unpacked()
    // As if it had stayed where it was: the rows name the files that are there now.
    withDatabase(join(directory, DATABASES.export), (db) => {
      const place = db.prepare('UPDATE files SET root = ?, ino = ?, mtime = ? WHERE path = ?')
      for (const { path } of known.tables['export.files'] ?? []) {
        const { ino, mtimeMs } = lstatSync(join(library, '.images', String(path)), { bigint: true })
        place.run(library, String(ino), Number(mtimeMs), path)
      }
    })
    writeFileSync(join(library, '.images', 'albums', 'su', 'mine.webp'), 'mine')
    const opened = await openEarlier(directory, { library })
    const { artwork, lines } = opened
    for (const { id } of await artwork.refresher.jobs({ state: 'queued' }))
      await artwork.refresher.cancel(String(id))
    artwork.refresher.resume()
    artwork.start()
    await artwork.refresher.idle()
    const [job] = await artwork.refresher.jobs({ kind: 'export' })
    expect(job).toMatchObject({ state: 'done', result: { current: 8, foreign: 0, removed: 0, failed: 0 } })
    await artwork.images.purge({ entity: { kind: 'album', id: 'sunset' } })
    await eventually(() => expect(existsSync(join(library, '.images/albums/su/sunset.webp'))).toBe(false))
    expect(existsSync(join(library, '.images/albums/su/mine.webp'))).toBe(true)
    expectUntouched(opened)
    expect(origin.connections()).toBe(0)
    expect(lines).toEqual([])
  })
})

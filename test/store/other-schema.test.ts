/** Database files that another version of the toolkit wrote, with a schema that this one does not know. */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, remoteAddress, temporaryFolder } from '../support/toolkit.js'
import {
  answeredPictures,
  expectAnswers,
  expectUntouched,
  expectUploads,
  expectWork,
  known,
  needsRow,
  openEarlier,
} from './earlier/app.js'
import { type Answer, ask, DATABASES, rowsIn, schemaOf, unpack, withDatabase } from './earlier/directory.js'

type Name = keyof typeof DATABASES
/** What each is there for. */
const TABLE: Readonly<Record<Name, string>> = {
  catalogue: 'names',
  jobs: 'jobs',
  uploads: 'uploads',
  export: 'files',
}
const NEWER = 99

/** A database as it lies there. */
const lying = (file: string, table: string) => ({
  bytes: createHash('sha256').update(readFileSync(file)).digest('hex'),
  schema: schemaOf(file),
  rows: rowsIn(file, `SELECT count(*) AS count FROM ${table}`)[0]?.count,
})
const setSchema = (file: string, version: number): void =>
  withDatabase(file, (db) => void db.exec(`PRAGMA user_version = ${version}`))
/** Whether a line names a file, the schema that it has, and another one: that of who reads it. */
const tellsOf = (line: string, file: string): boolean => {
  const numbers = (line.replaceAll(file, '').match(/(?<![\w.-])\d+\b/g) ?? []).map(Number)
  return line.includes(basename(file)) && numbers.includes(NEWER) && numbers.some((one) => one < NEWER)
}
const isUpload = ({ path }: Answer): boolean => /^\/images\/(?:photos|avatars)\//.test(path)

describe('a database of another schema', () => {
  test.each(Object.keys(TABLE) as Name[])(
    '%s of a newer one is left alone and reported, the app answers, and who knows it has all of it',
    async (name) => {
      const { directory, library } = unpack(await temporaryFolder())
      const file = join(directory, DATABASES[name])
      setSchema(file, NEWER)
      const before = lying(file, TABLE[name])
      const upstream = await anOrigin()
      upstream.serve('/new.jpg', image(await jpeg(40, 30)))
      // The export's is opened when there is something to export.
      const more = { alsoAllowed: [upstream.host], ...(name === 'export' && { library }) }
      const opened = await openEarlier(directory, more)
      const { artwork, url, lines, getJson } = opened
      if (name === 'export') {
        for (const { id } of await artwork.refresher.jobs({ state: 'queued' }))
          await artwork.refresher.cancel(String(id))
        artwork.refresher.resume()
      }
      artwork.start()
      await artwork.refresher.idle()
      expect(await getJson('/health')).toEqual({ status: 'ok' })
      if (name === 'catalogue') expect(await getJson('/ready')).toMatchObject({ status: 'degraded' })
      // What is fetched is answered, and so is what needs nothing of that database.
      const fresh = await ask(url, { path: `/images/${remoteAddress(`${upstream.url}/new.jpg`)}` })
      expect(fresh.status).toBe(200)
      if (name !== 'catalogue')
        await expectAnswers(
          opened,
          answeredPictures.filter((answer) => name !== 'uploads' || !isUpload(answer)),
        )
      // An upload that cannot be looked up is not said to be none.
      for (const answer of answeredPictures.filter((one) => name === 'uploads' && isUpload(one)))
        expect([200, 503]).toContain((await ask(url, answer)).status)
      await artwork.close()
      expect(lying(file, TABLE[name])).toEqual(before)
      expect(
        lines.some((line) => tellsOf(line, file)),
        lines.join('\n'),
      ).toBe(true)

      setSchema(file, known.schemas[name] ?? 0)
      const again = await openEarlier(directory)
      await expectAnswers(again, answeredPictures)
      await expectUploads(again)
      if (name !== 'export') await expectWork(again)
    },
  )

  test('a catalogue of an older, unknown one is kept aside, and read back from what is kept', async () => {
    const { directory } = unpack(await temporaryFolder())
    const file = join(directory, DATABASES.catalogue)
    setSchema(file, 1)
    const before = lying(file, 'names')
    const opened = await openEarlier(directory)
    const { artwork } = opened
    await eventually(() => expect(artwork.images.stats().rebuilding).toBe(false))
    await expectAnswers(
      opened,
      answeredPictures.filter((answer) => !needsRow(answer)),
    )
    expectUntouched(opened)
    await artwork.close()
    expect(schemaOf(file)).toBeGreaterThan(1)
    const isDatabase = (path: string) => readFileSync(path).subarray(0, 15).toString() === 'SQLite format 3'
    const own = Object.values(DATABASES).map((path) => join(directory, path))
    const aside = readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && !/-(?:wal|shm)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !own.includes(path) && isDatabase(path) && schemaOf(path) === 1)
    expect(aside.map((path) => lying(path, 'names'))).toEqual([before])
  })
})

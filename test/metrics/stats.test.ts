/** Numbers of a store that is really there, beside what its files take. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { remoteAddress, startApp } from '../support/toolkit.js'

/** Bytes that the files below a folder take on disk, whole blocks. */
const blocksBelow = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => statSync(join(folder, file)))
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + file.blocks * 512, 0)

test('bytesPerName is what a name takes in catalogue and index: not the log, not an empty catalogue', async () => {
  const app = await startApp({ transform: { isolate: false } })
  const { images } = app.artwork
  expect(images.stats().bytesPerName).toBe(0)
  const bytes = await jpeg(40, 30)
  const put = async (count: number, from = 0) => {
    for (let index = from; index < from + count; index += 1)
      await images.put(remoteAddress(`http://127.0.0.1/${index}.jpg`), bytes)
  }
  const block = async () => blocksBelow(join(app.directory, 'store-v2', 'index-v5'))
  await put(5)
  const few = images.stats()
  expect(few.names).toBe(5)
  expect(few.indexBytes).toBe(await block())
  const perEntry = few.indexBytes / 5
  expect(few.bytesPerName).toBeGreaterThanOrEqual(perEntry)
  expect(few.bytesPerName).toBeLessThan(perEntry + 4096)
  await put(300, 5)
  const many = images.stats()
  expect(many.indexBytes).toBe(await block())
  // What is beside the index is what rows of the catalogue take: hundreds of bytes, and never its log.
  const inCatalogue = many.bytesPerName - many.indexBytes / many.names
  expect(inCatalogue).toBeGreaterThan(200)
  expect(inCatalogue).toBeLessThan(2000)
  expect(many.catalogueBytes / many.names, 'the log is there').toBeGreaterThan(inCatalogue)
})

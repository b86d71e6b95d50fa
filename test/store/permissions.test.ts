/** Rights of what is on disk (mended 20), and what stands where a file of ours belongs (mended 6, 20). */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import express from 'express'
import { createArtwork, remote, uploads } from 'express-artwork'
import { afterEach, describe, expect, test } from 'vitest'
import { createContents } from '#src/store/disk/contents.js'
import { removeReserve } from '#src/store/disk/write-suspension.js'
import { eventually } from '../support/eventually.js'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, listen, quietLogger, remoteAddress, startApp, temporaryFolder } from '../support/toolkit.js'

const UMASK = process.umask()
afterEach(() => void process.umask(UMASK))

const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8)
const below = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))

async function used(directory: string, options = {}) {
  const app = await startApp(
    {
      transform: { isolate: false },
      sources: [remote({ hosts: ['127.0.0.1'] }), uploads({ authorize: () => true })],
      ...options,
    },
    { directory },
  )
  app.origin.serve('/p.jpg', image(await jpeg(60, 40)))
  await app.artwork.uploads?.save('avatars', await png())
  const saved = await app.artwork.images.downloadAndCache({
    sourceUrl: `${app.origin.url}/p.jpg?token=secret`.replace('?token=secret', ''),
    entityType: 'artist',
    entityId: 'abc',
  })
  expect(saved.status).toBe('downloaded')
  app.artwork.start()
  app.artwork.refresher.run('verify')
  await app.artwork.refresher.idle()
  return app
}

describe.each([0o022, 0o077, 0o000])('under umask %o (mended 20)', (umask) => {
  test.each([false, true])(
    'nobody else reaches what is kept (in a folder that was there: %s)',
    async (wasThere) => {
      process.umask(umask)
      const root = await temporaryFolder()
      const directory = join(root, 'data')
      if (wasThere) {
        mkdirSync(directory)
        chmodSync(directory, 0o755)
      }
      const app = await used(directory)
      await app.stop()
      expect(modeOf(directory)).toBe(wasThere ? '755' : '700')
      for (const path of below(directory)) {
        const stats = lstatSync(path)
        const isContent = path.includes('content-v2')
        // What is below one of our folders is out of reach, whatever it says itself.
        const isTop = dirname(path) === directory
        if (stats.isDirectory() && isTop) expect([path, modeOf(path)]).toEqual([path, '700'])
        if (stats.isFile() && isContent) expect([path, modeOf(path)]).toEqual([path, '644'])
        if (stats.isFile() && !isContent) expect([path, modeOf(path)]).toEqual([path, '600'])
      }
    },
  )
  test('what an earlier version left open is closed at the start', async () => {
    process.umask(umask)
    const directory = await temporaryFolder()
    const first = await used(directory)
    await first.stop()
    for (const path of below(directory)) chmodSync(path, lstatSync(path).isDirectory() ? 0o755 : 0o644)
    const again = await used(directory)
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      expect([name, modeOf(path)]).toEqual([name, lstatSync(path).isDirectory() ? '700' : '600'])
    }
    await again.stop()
  })
  test('an export is for everybody, by links; or by copies with the rights that are asked for', async () => {
    process.umask(umask)
    const root = await temporaryFolder()
    for (const [mode, expected] of [
      [undefined, '644'],
      ['640', '640'],
      [0o600, '600'],
    ] as const) {
      const directory = join(root, `data-${expected}`)
      const to = join(root, `media-${expected}`)
      const app = await used(directory, { export: { directory: to, ...(mode !== undefined && { mode }) } })
      await app.artwork.refresher.idle()
      const file = below(to).find((path) => path.endsWith('abc.webp')) ?? ''
      expect(modeOf(file)).toBe(expected)
      expect(statSync(file).nlink > 1).toBe(mode === undefined)
      for (let folder = dirname(file); folder !== root; folder = dirname(folder))
        expect([folder, modeOf(folder)]).toEqual([folder, '755'])
      await app.stop()
    }
  })
})

test('links that somebody planted are not followed (mended 20)', async () => {
  const root = await temporaryFolder()
  const directory = join(root, 'data')
  mkdirSync(directory)
  const victims = [
    'ballast',
    'catalogue-v2.sqlite',
    'catalogue-v2.sqlite.lock',
    'jobs.db',
    'uploads/uploads.db',
  ]
  mkdirSync(join(directory, 'uploads'))
  for (const name of victims) {
    writeFileSync(join(root, name.replace('/', '-')), 'precious')
    symlinkSync(join(root, name.replace('/', '-')), join(directory, name))
  }
  const app = await used(directory)
  const { url } = await listen(express().use(app.artwork.healthRouter))
  await eventually(() => expect(existsSync(join(directory, 'ballast'))).toBe(true))
  expect((await fetch(`${url}/ready`)).status).toBe(200)
  await app.stop()
  for (const name of victims)
    expect(readFileSync(join(root, name.replace('/', '-')), 'utf8')).toBe('precious')
})

describe('odd things in the directory (mended 6)', () => {
  test('pipes and folders where files belong are cleared away; nothing waits for them', async () => {
    const directory = await temporaryFolder()
    const app = await used(directory)
    const bytes = createContents(join(directory, 'store-v2'), () => 'test')
    const address = remoteAddress(`${app.origin.url}/odd.jpg`)
    const picture = await jpeg(80, 60)
    app.origin.serve('/odd.jpg', image(picture))
    for (const slot of [0, 1]) {
      const bucket = bytes.bucketPath(`images/${address}`, slot)
      mkdirSync(dirname(bucket), { recursive: true })
      execFileSync('mkfifo', [bucket])
    }
    const { digest } = await app.artwork.images.getImage(address)
    expect((await app.get(`/images/${address}`)).status).toBe(200)
    // A folder in the place of a content: verified, given up, fetched again.
    const content = bytes.contentPath(digest)
    rmSync(content)
    mkdirSync(join(content, 'within'), { recursive: true })
    const stray = bytes.bucketPath('images/nobody', 0)
    mkdirSync(dirname(stray), { recursive: true })
    execFileSync('mkfifo', [stray])
    const report = await app.artwork.images.verify({ restart: true })
    expect(report).toMatchObject({ state: 'done', damaged: 1 })
    expect(report.checked).toBeGreaterThan(1)
    expect((await app.artwork.images.getImage(address)).bytes.equals(picture)).toBe(true)
    const { url } = await listen(express().use(app.artwork.healthRouter))
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    await app.stop()
  })
  test.each(['/proc/x', '/proc/1/fdinfo/x', '/sys/x/y', '/dev/null/x'])(
    '%s cannot be used, which is logged at once',
    async (directory) => {
      const logger = quietLogger()
      const artwork = await createArtwork({ directory, logger, sources: [uploads()] })
      expect(logger.lines.join()).toMatch(/cannot be used, pictures are kept in memory only/)
      await artwork.close()
      await expect(createArtwork({ directory, logger, disk: { required: true } })).rejects.toThrow(
        /disk\.required/,
      )
    },
  )
  test('a directory that comes to be usable is used, without a restart', async () => {
    const { createReopeningStore } = await import('#src/store/reopening-store.js')
    const { createMemoryStore } = await import('#src/store/memory-store.js')
    const { createDiskStore } = await import('#src/store/disk/store.js')
    const root = await temporaryFolder()
    const directory = join(root, 'data')
    writeFileSync(directory, 'in the way')
    const bounds = { maxBytes: 1e8, maxNames: 100, now: Date.now }
    const logger = quietLogger()
    let warnings = 0
    const store = createReopeningStore({
      meanwhile: createMemoryStore(bounds),
      open: () => createDiskStore({ ...bounds, directory, logger }),
      logger,
      onOpen: () => {
        warnings += 1
      },
      every: 20,
    })
    atEnd(store.close)
    const facts = {
      role: 'original',
      type: 'image/png',
      width: 1,
      height: 1,
      storedAt: 1,
      validatedAt: 1,
      freshnessLifetime: 1,
    } as const
    await store.write({ key: 'images/a', ...facts }, Buffer.from('a'))
    expect([store.stats().durable, store.find('images/a')?.isStored]).toEqual([false, true])
    rmSync(directory)
    await eventually(() => expect(store.stats().durable).toBe(true))
    expect(warnings).toBe(1)
    await store.write({ key: 'images/b', ...facts }, Buffer.from('b'))
    expect(store.find('images/b')?.isStored).toBe(true)
    expect(logger.lines.join()).toMatch(/can be used again/)
  })
  test('a start on a full disk lets go of the reserve before anything is opened', async () => {
    const directory = await temporaryFolder()
    const app = await used(directory)
    await app.stop()
    const reserve = join(directory, 'ballast')
    await eventually(() => expect(existsSync(reserve)).toBe(true))
    removeReserve(directory, false)
    expect(existsSync(reserve)).toBe(true)
    removeReserve(directory, true)
    expect(existsSync(reserve)).toBe(false)
    // And it is set aside again.
    const again = await used(directory)
    await eventually(() => expect(existsSync(reserve)).toBe(true))
    await again.stop()
  })
})

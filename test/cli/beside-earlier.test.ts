/** A process of an earlier version and one of this, side by side on one directory: neither loses what the other keeps. */

import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Orders } from '../fixtures/server-of-version.js'
import { answeredPictures, expectAnswers, known, unpacked } from '../store/earlier/app.js'
import { ask, DATABASES, rowsIn, schemaOf } from '../store/earlier/directory.js'
import { EARLIER } from '../store/earlier/options.js'
import { createFleet, type OrderedProcess } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image, type Origin } from '../support/origin.js'
import { anOrigin, atEnd, remoteAddress, temporaryFolder } from '../support/toolkit.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The code of the earlier version, taken from this clone. It finds its packages here: what only it needs (p-queue) is
 * among the development dependencies. @throws Error where it is not there, and how to get it */
async function earlierCheckout(): Promise<string> {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', root, ...args], { maxBuffer: 256e6, stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    git('cat-file', '-e', `${EARLIER}^{commit}`)
  } catch (cause) {
    throw new Error(
      `this test runs the code of commit ${EARLIER}, and this clone does not have it: run \`git fetch --unshallow\``,
      { cause },
    )
  }
  const checkout = join(await temporaryFolder(), 'earlier')
  mkdirSync(checkout)
  execFileSync('tar', ['-x', '-C', checkout], {
    input: git('archive', EARLIER, 'src', 'views', 'package.json'),
  })
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
  return checkout
}

/** One of the two. */
interface Side extends OrderedProcess<Orders> {
  readonly name: string
  readonly url: string
}

/** The directory of the fixture, opened by both, one after the other, with an upstream that works. */
async function stage(order: readonly string[]) {
  const checkouts: Readonly<Record<string, string>> = { earlier: await earlierCheckout(), this: root }
  const { directory, library, origin: asWas } = await unpacked()
  const upstream = await anOrigin()
  const fleet = createFleet<Orders>(0, 'test/fixtures/server-of-version.ts')
  atEnd(fleet.end)
  const ahead = known.closedAt + 60_000 - Date.now()
  const open = async (name: string): Promise<Side> => {
    const child = await fleet.take()
    const checkout = checkouts[name] ?? ''
    const url = await child.order('open', { checkout, directory, ahead, alsoAllowed: [upstream.host] })
    return { ...child, name, url }
  }
  const sides: Side[] = []
  for (const name of order) sides.push(await open(name))
  const [first, second] = sides
  if (first === undefined || second === undefined) throw new Error('two are needed')
  const pairs: readonly (readonly [Side, Side])[] = [
    [first, second],
    [second, first],
  ]
  return { directory, library, asWas, upstream, open, sides, pairs }
}
type Stage = Awaited<ReturnType<typeof stage>>

const inodesIn = (directory: string) =>
  Object.values(DATABASES).map((file) => lstatSync(join(directory, file)).ino)
const addressOf = (upstream: Origin, name: string, variant?: string): string =>
  remoteAddress(`${upstream.url}/${name}`, variant)
const digestAt = async ({ url }: Side, path: string) => {
  const { status, digest } = await ask(url, { path })
  return status === 200 ? digest : status
}

/** What one fetches, the other has; what one asks about anew, or takes away, the other hears of. */
async function exchangePictures({ upstream, pairs }: Stage): Promise<void> {
  for (const [index, [one, other]] of pairs.entries()) {
    const [name, path] = [`${one.name}.jpg`, `/${one.name}.jpg`]
    const serve = async (seed: number) => upstream.serve(path, image(await jpeg(120, 90, seed)))
    await serve(index * 10 + 1)
    for (const variant of ['original', 'w64', 'w64-webp']) {
      const wanted = `/images/${addressOf(upstream, name, variant)}`
      const digest = await digestAt(one, wanted)
      expect(digest, one.name).toMatch(/^[0-9a-f]{64}$/)
      expect(await digestAt(other, wanted), other.name).toBe(digest)
    }
    const local = (await one.order('download', 'artist', `new-${one.name}`, upstream.url + path)) ?? ''
    expect(await digestAt(other, local)).toBe(await digestAt(one, local))
    expect(upstream.hits(path)).toBe(1)

    await serve(index * 10 + 2)
    const address = addressOf(upstream, name)
    const before = await digestAt(other, `/images/${address}`)
    expect(await one.order('refresh', address)).toBe(true)
    const after = await digestAt(one, `/images/${address}`)
    expect(after).not.toBe(before)
    await eventually(async () => expect(await digestAt(other, `/images/${address}`)).toBe(after))
    const small = `/images/${addressOf(upstream, name, 'w64')}`
    await eventually(async () => expect(await digestAt(other, small)).toBe(await digestAt(one, small)))

    const gone = `gone-${one.name}.jpg`
    upstream.serve(`/${gone}`, image(await jpeg(60, 40, index + 5)))
    const goneAt = `/images/${addressOf(upstream, gone)}`
    for (const side of [one, other]) expect(await digestAt(side, goneAt)).toHaveLength(64)
    upstream.serve(`/${gone}`, { status: 404 })
    expect(await one.order('purge', addressOf(upstream, gone))).toBe(1)
    await eventually(async () => expect(await digestAt(other, goneAt)).toBe(404))
  }
}
async function exchangeUploads({ pairs }: Stage): Promise<void> {
  for (const [index, [one, other]] of pairs.entries()) {
    const url = await one.order('upload', 'photos', (await jpeg(40, 30, index + 8)).toString('base64'))
    const digest = await digestAt(one, url)
    expect(digest).toHaveLength(64)
    await eventually(async () => expect(await digestAt(other, url)).toBe(digest))
    expect(await other.order('removeUpload', 'photos', url.split('/').at(-1) ?? '')).toBe(true)
    await eventually(async () => expect(await digestAt(one, url)).toBe(404))
  }
}
/** What one queues, the other sees, may cancel, and may do; what the fixture left waiting is there for both. */
async function exchangeWork({ upstream, library, pairs, sides }: Stage): Promise<void> {
  const waiting = known.jobs.filter(({ state }) => state === 'queued').map(({ id }) => id)
  const standOf = async (side: Side, id: string) =>
    (await side.order('jobs')).find((job) => job.id === id)?.state
  for (const side of sides) {
    expect(await side.order('isPaused')).toBe(true)
    for (const id of waiting) expect(await standOf(side, id)).toBe('queued')
  }
  const queued: string[] = []
  for (const [index, [one, other]] of pairs.entries()) {
    const path = `/queued-${one.name}.jpg`
    upstream.serve(path, image(await jpeg(50, 30, index + 20)))
    const asked = { id: `queued-${one.name}`, image_url: upstream.url + path }
    const { id = '' } = await one.order('enqueue', 'album', asked)
    const again = await other.order('enqueue', 'album', asked)
    expect(again).toEqual({ accepted: false, reason: 'duplicate', id })
    queued.push(id)
    const mine = waiting.filter((_id, place) => place % 2 === index)
    for (const one of mine) expect(await other.order('cancel', one)).toBe(true)
    for (const cancelled of mine) expect(await standOf(one, cancelled)).toBe('cancelled')
  }
  const allDone = async (ids: readonly string[]): Promise<void> => {
    for (const side of sides)
      for (const id of ids) await eventually(async () => expect(await standOf(side, id)).toBe('done'))
  }
  await sides[0]?.order('resume')
  await allDone(queued)
  for (const { order, name } of sides) {
    const { id = '' } = await order('run', 'export', { directory: join(library, name) })
    await allDone([id])
  }
  for (const { name } of sides) {
    expect(upstream.hits(`/queued-${name}.jpg`)).toBe(1)
    expect(existsSync(join(library, name, '.images/albums/qu', `queued-${name}.webp`))).toBe(true)
    for (const side of sides)
      expect(await digestAt(side, `/artwork/local/albums/qu/queued-${name}.webp`)).toHaveLength(64)
  }
}
/** Whichever puts the store in order: nothing that is live goes, and nothing is wrong. */
async function putInOrder({ sides, upstream }: Stage): Promise<void> {
  const clean = { state: 'done', damaged: 0, unreadable: 0, relisted: 0, leftovers: 0 }
  for (const side of [...sides, ...sides]) {
    expect(await side.order('verify'), side.name).toMatchObject(clean)
    expect(await side.order('optimize'), side.name).toMatchObject({ removed: 0, corrupt: 0, orphaned: 0 })
  }
  const hits = upstream.hits()
  for (const side of sides) {
    await expectAnswers(side, answeredPictures)
    for (const { name } of sides) {
      const small = `/images/${addressOf(upstream, `${name}.jpg`, 'w64')}`
      expect(await digestAt(side, small)).toHaveLength(64)
      expect(await digestAt(side, `/artwork/local/artists/ne/new-${name}.webp`)).toHaveLength(64)
    }
  }
  expect(upstream.hits()).toBe(hits)
}

test.each([[['earlier', 'this']], [['this', 'earlier']]])(
  '%s: both serve, hear of each other, and lose nothing; whichever opens the directory afterwards has all of it',
  async (order) => {
    const place = await stage(order)
    const { directory, asWas, sides, open } = place
    const inodes = inodesIn(directory)
    for (const side of sides) await expectAnswers(side, answeredPictures)
    await exchangePictures(place)
    await exchangeUploads(place)
    await exchangeWork(place)
    await putInOrder(place)
    for (const side of sides) expect(await side.order('warnings'), side.name).toEqual([])
    for (const side of sides) await side.order('close')

    for (const name of [...order, ...order]) {
      const alone = await open(name)
      await expectAnswers(alone, answeredPictures)
      expect((await alone.order('jobs')).length).toBeGreaterThan(known.jobs.length)
      expect(await alone.order('warnings')).toEqual([])
      await alone.order('close')
      await alone.kill()
    }
    expect(inodesIn(directory)).toEqual(inodes)
    for (const file of Object.values(DATABASES)) {
      expect(rowsIn(join(directory, file), 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
      expect(schemaOf(join(directory, file))).toBeGreaterThan(0)
    }
    expect(asWas.connections()).toBe(0)
  },
  240_000,
)

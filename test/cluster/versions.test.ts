/**
 * Two versions side by side on one bucket, as while nodes are replaced: this one, and itself with the number of the format raised.
 * Each reads what it knows, and leaves alone what it does not.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { HeadObjectCommand, ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import express from 'express'
import * as present from 'express-artwork'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image, type Origin } from '../support/origin.js'
import { anOrigin, atEnd, listen, quietLogger, temporaryFolder } from '../support/toolkit.js'
import { type Bucket, type Engine, startCeph, startRedis } from './engines.js'

const root = new URL('../../', import.meta.url).pathname
const folder = join(root, 'node_modules', '.cache', `express-artwork-later-${process.pid}`)
const PREFIX = 'versions'

let bucket: Bucket
let server: Engine & { readonly url: string }
let later: typeof present
beforeAll(async () => {
  ;[bucket, server] = [await startCeph(), await startRedis()]
  const dist = join(folder, 'dist')
  mkdirSync(folder, { recursive: true })
  execFileSync(process.execPath, ['.ci/bundle.mjs', dist], { cwd: root })
  for (const name of ['package.json', 'views']) symlinkSync(join(root, name), join(folder, name))
  let raised = 0
  for (const name of readdirSync(dist).filter((one) => one.endsWith('.js'))) {
    const text = readFileSync(join(dist, name), 'utf8')
    const changed = text.replace(/(\bSHARED_FORMAT = )1\b/g, (_all, before: string) => {
      raised += 1
      return `${before}2`
    })
    if (changed !== text) writeFileSync(join(dist, name), changed)
  }
  expect(raised).toBe(1)
  later = await import(/* @vite-ignore */ pathToFileURL(join(dist, 'index.js')).href)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A node of a version. */
async function node(version: typeof present, origin: Origin) {
  const artwork = await version.createArtwork({
    directory: await temporaryFolder(),
    logger: quietLogger(),
    widths: [160],
    sources: [version.tmdb({ baseUrl: `${origin.url}/t/p` })],
    fetch: { allowPrivate: [origin.host] },
    shared: version.s3({ ...bucket.options, prefix: PREFIX, timeout: 20_000 }),
    coordination: version.redis({ url: server.url, prefix: `${PREFIX}:`, timeout: 5000 }),
  })
  atEnd(() => artwork.close())
  const { url } = await listen(express().use(artwork.router))
  return {
    artwork,
    answer: async (name: string): Promise<string> => {
      const response = await fetch(`${url}/images/poster/w160-webp/${name}.jpg`)
      return `${response.status} ${response.headers.get('etag')} ${(await response.arrayBuffer()).byteLength}`
    },
  }
}
/** The formats of all names in the bucket, with how many there are of each. */
async function formats(): Promise<Readonly<Record<string, number>>> {
  const { credentials, endpoint, region, bucket: Bucket } = bucket.options
  const client = new S3Client({
    forcePathStyle: true,
    endpoint,
    region,
    ...(credentials && { credentials }),
  } as S3ClientConfig)
  try {
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: `${PREFIX}/cache/names/` }),
    )
    const found: Record<string, number> = {}
    for (const { Key } of Contents) {
      const { Metadata } = await client.send(new HeadObjectCommand({ Bucket, Key }))
      const format = Metadata?.format ?? 'none'
      found[format] = (found[format] ?? 0) + 1
    }
    return found
  } finally {
    client.destroy()
  }
}

test('pictures of each are answered by both, what is of a later format is not changed, and purges reach all', async () => {
  const origin = await anOrigin()
  const serve = async (name: string, seed: number) => {
    const bytes = await jpeg(300 + seed, 200, seed)
    for (const size of ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'])
      origin.serve(`/t/p/${size}/${name}.jpg`, image(bytes))
  }
  await serve('p0', 0)
  await serve('p1', 1)
  const old = await node(present, origin)
  const next = await node(later, origin)

  // Of the earlier format, which the later one writes anew.
  const first = await old.answer('p0')
  expect(first).toMatch(/^200 /)
  await eventually(async () => expect(await formats()).toEqual({ 1: 2 }))
  expect(await next.answer('p0')).toBe(first)
  await eventually(async () => expect(await formats()).toEqual({ 2: 2 }))

  // Of the later format, which a node of this one does not know: it asks the source, and leaves it alone.
  const second = await next.answer('p1')
  expect(second).toMatch(/^200 /)
  await eventually(async () => expect(await formats()).toEqual({ 2: 4 }))
  const fresh = await node(present, origin)
  const before = origin.hits()
  expect([await fresh.answer('p0'), await fresh.answer('p1')]).toEqual([first, second])
  expect(origin.hits()).toBe(before + 2)
  await fresh.artwork.images.getImage('poster/w160-webp/p1.jpg')
  const seen = await node(later, origin)
  expect([await seen.answer('p0'), await seen.answer('p1')]).toEqual([first, second])
  // Those of the later version have it from the bucket.
  expect(origin.hits()).toBe(before + 2)
  expect(await formats()).toEqual({ 2: 4 })

  // The command of this version tells them apart, and finds nothing wrong with either.
  const {
    credentials,
    endpoint = '',
    region = '',
  } = bucket.options as {
    credentials: { accessKeyId: string; secretAccessKey: string }
    endpoint?: string
    region?: string
  }
  const checked = await runCli(['shared', 'check'], {
    ARTWORK_S3_BUCKET: bucket.options.bucket,
    ARTWORK_S3_PREFIX: PREFIX,
    ARTWORK_S3_ENDPOINT: endpoint,
    ARTWORK_S3_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    ARTWORK_DIRECTORY: await temporaryFolder(),
  })
  expect([checked.code, checked.out + checked.err]).toEqual([0, expect.stringMatching(/4/)])

  // What is purged on a node of either is gone for all.
  const nodes = [old, next, fresh, seen]
  await serve('p0', 8)
  await old.artwork.images.purge({ address: 'poster/w160-webp/p0.jpg' })
  await serve('p1', 9)
  await next.artwork.images.purge({ address: 'poster/w160-webp/p1.jpg' })
  await eventually(async () => {
    for (const { answer } of nodes) {
      expect(await answer('p0')).toMatch(/^200 /)
      expect(await answer('p0')).not.toBe(first)
      expect(await answer('p1')).not.toBe(second)
    }
  })
  const answers = await Promise.all(
    nodes.map(async ({ answer }) => `${await answer('p0')}, ${await answer('p1')}`),
  )
  expect(new Set(answers).size).toBe(1)
})

/**
 * A server process of whichever version it is told, on the directory of the fixture, ordered about over IPC (see
 * {@link ./store-fleet}): so that two versions can be beside each other on one directory.
 */
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import express from 'express'
import type { Artwork, Enqueued, EntityLike, JobKind, JobState } from '#src/index.js'
import { directoryOptions, type Toolkit, withEarlierEncoding } from './earlier-options.js'
import { obey } from './obey.js'

/** What to open. */
export interface Opening {
  /** Root of the checkout whose code this process runs. */
  readonly checkout: string
  readonly directory: string
  /** What is added to the system's clock, ms. */
  readonly ahead: number
  readonly alsoAllowed: readonly string[]
}
/** What is told of a piece of work. */
export interface JobStand {
  readonly id: string
  readonly kind: string
  readonly state: JobState
}
/** What the process does for its parent. */
export interface Orders {
  /** Opens and starts it. Answers where it serves. */
  open(opening: Opening): Promise<string>
  download(kind: string, id: string, sourceUrl: string): Promise<string | undefined>
  refresh(address: string): Promise<boolean>
  purge(address: string): Promise<number>
  /** Keeps a picture, told in base64. Answers its URL. */
  upload(namespace: string, base64: string): Promise<string>
  removeUpload(namespace: string, id: string): Promise<boolean>
  verify(): ReturnType<Artwork['images']['verify']>
  optimize(): ReturnType<Artwork['images']['optimizeCache']>
  enqueue(kind: string, entity: EntityLike): Promise<Enqueued>
  run(kind: JobKind, options: Record<string, unknown>): Promise<Enqueued>
  cancel(id: string): Promise<boolean>
  resume(): Promise<void>
  isPaused(): Promise<boolean>
  jobs(): Promise<readonly JobStand[]>
  /** Warnings and errors so far. */
  warnings(): Promise<readonly string[]>
  close(): Promise<void>
}

let opened: Artwork | undefined
const warnings: string[] = []
const server = express()
const artwork = (): Artwork => {
  if (opened === undefined) throw new Error('nothing is open')
  return opened
}
const tell = (fields: object, message: string): void =>
  void warnings.push(`${message} ${'err' in fields ? String(fields.err) : ''}`)

obey<Orders>({
  open: async ({ checkout, ahead, ...given }) => {
    const toolkit: Toolkit = await import(pathToFileURL(join(checkout, 'src', 'index.ts')).href)
    const logger = { debug: () => {}, info: () => {}, warn: tell, error: tell }
    const now = () => Date.now() + ahead
    const isThis = existsSync(join(checkout, 'src', 'model', 'encoding.ts'))
    const options = directoryOptions(toolkit, { ...given, now, logger })
    opened = await toolkit.createArtwork(isThis ? withEarlierEncoding(options) : options)
    opened.start()
    server.use(opened.router)
    const listening = createServer(server)
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  },
  download: async (entityType, entityId, sourceUrl) =>
    (await artwork().images.downloadAndCache({ entityType, entityId, sourceUrl })).url,
  refresh: async (address) => (await artwork().images.refresh(address)).changed,
  purge: async (address) => (await artwork().images.purge({ address })).removed,
  upload: async (namespace, base64) =>
    (await artwork().uploads?.save(namespace, Buffer.from(base64, 'base64')))?.url ?? '',
  removeUpload: async (namespace, id) => (await artwork().uploads?.remove(namespace, id)) === true,
  verify: () => artwork().images.verify({ bytesPerSecond: 1e9, restart: true }),
  optimize: () => artwork().images.optimizeCache(),
  enqueue: async (kind, entity) => artwork().refresher.enqueue(kind, entity),
  run: async (kind, options) => artwork().refresher.run(kind, options),
  cancel: async (id) => artwork().refresher.cancel(id),
  resume: async () => artwork().refresher.resume(),
  isPaused: async () => artwork().refresher.status().paused,
  jobs: async () =>
    artwork()
      .refresher.jobs({ limit: 500 })
      .map(({ id, kind, state }) => ({ id: String(id), kind, state })),
  warnings: async () => warnings,
  close: async () => artwork().close(),
})

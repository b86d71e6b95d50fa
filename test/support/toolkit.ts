/** A toolkit in a temporary folder, on real servers, with a real upstream beside it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express, { type Express } from 'express'
import {
  type Artwork,
  type ArtworkOptions,
  bullmq,
  createArtwork,
  type Logger,
  remote,
  type Source,
  tmdb,
  type UploadsOptions,
  uploads,
} from 'express-artwork'
import { expect } from 'vitest'
import { eventually } from './eventually.js'
import { jpeg } from './images.js'
import { type MemoryObjects, memoryObjects } from './objects.js'
import { type Answer, image, type Origin, startOrigin } from './origin.js'
import { ask, type RawAnswer, type RawRequest } from './raw-http.js'

const endings: (() => Promise<unknown>)[] = []
/** Runs at the end of the test that is under way: called by `setup.ts`, after each test of every file. */
export async function endAll(): Promise<void> {
  for (const end of endings.splice(0).reverse()) await end()
}

/** Registers what runs at the end of the test that is under way. */
export const atEnd = (end: () => Promise<unknown>): void => void endings.push(end)

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'artwork-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A logger that keeps quiet and remembers. */
export function quietLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const note = (_fields: object, message: string) => void lines.push(message)
  return { debug: note, info: note, warn: note, error: note, lines }
}

/** An upstream that is gone after the test. */
export async function anOrigin(): Promise<Origin> {
  const origin = await startOrigin()
  atEnd(origin.close)
  return origin
}

/** Serves an app on a loopback port until the test ends. */
export async function listen(handler: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** What a test may give, in place of new ones. */
interface Given {
  readonly origin?: Origin
  readonly directory?: string
  readonly clock?: { now: number }
}

/** An upstream on a busy machine may take its time; a test of a time-out sets its own. */
const UNHURRIED = {
  connectTimeout: 30_000,
  firstByteTimeout: 30_000,
  idleTimeout: 30_000,
  totalTimeout: 60_000,
}

/** Buckets of tests that are run over a shared store (`SHARED_TIER=memory`), by the directory of their node: it comes back with that. */
const buckets = new Map<string, MemoryObjects>()
function sharedOf(directory: string): Pick<ArtworkOptions, 'shared' | 'jobs'> {
  const { SHARED_TIER: tier, SHARED_JOBS: url } = process.env
  if (tier !== 'memory') return {}
  const bucket = buckets.get(directory) ?? memoryObjects()
  buckets.set(directory, bucket)
  return {
    shared: bucket,
    // Its queue is in the Redis of the suite.
    ...(url !== undefined && { jobs: bullmq({ url, prefix: `${directory}:`, timeout: 10_000 }) }),
  }
}

/** Of a node by itself, also where others are over a shared store: what its disk loses would come back from there. */
export const ALONE = { shared: undefined, jobs: undefined } as const

/** A toolkit with TMDb and remote sources on a local upstream, closed after the test. */
async function openToolkit(options: ArtworkOptions, given: Given) {
  const origin = given.origin ?? (await anOrigin())
  const directory = options.directory ?? given.directory ?? (await temporaryFolder())
  const clock = given.clock ?? { now: Date.now() }
  const artwork = await createArtwork({
    sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['127.0.0.1'] })],
    logger: quietLogger(),
    now: () => clock.now,
    ...sharedOf(directory),
    ...options,
    directory,
    // A disk that is slow because the machine is busy changes nothing that is tested.
    disk: { writeTimeout: 30_000, ...options.disk },
    // What is not about decoders needs none.
    transform: { isolate: false, ...options.transform },
    fetch: { ...UNHURRIED, allowPrivate: [origin.host], ...options.fetch },
  })
  atEnd(artwork.close)
  return { artwork, origin, directory, clock }
}

const emptyApp = (): Express => express().disable('x-powered-by')

/** What {@link startApp} sets up. */
export interface TestApp {
  readonly artwork: Artwork
  readonly origin: Origin
  readonly directory: string
  readonly url: string
  readonly clock: { now: number }
  get(path: string, init?: RequestInit): Promise<Response>
  stop(): Promise<void>
}

/** An app with a toolkit, on a server. */
export async function startApp(options: ArtworkOptions = {}, given: Given = {}): Promise<TestApp> {
  const set = await openToolkit(options, given)
  const { url } = await listen(emptyApp().use(set.artwork.router))
  return {
    ...set,
    url,
    get: (path, init) => fetch(url + path, { redirect: 'manual', ...init }),
    stop: set.artwork.close,
  }
}

/** Which way a request goes: into Express, or through the listener before it. */
export type Via = 'Express' | 'listener'

/**
 * An app with a toolkit, on servers that are asked over bare sockets. It decodes in this process.
 * @param via which way `ask` goes
 */
export async function stage(via: Via, options: ArtworkOptions = {}) {
  const { artwork, origin, clock } = await openToolkit(
    {
      widths: [160],
      ...options,
      fetch: { retries: 0, ...options.fetch },
      transform: { isolate: false, ...options.transform },
    },
    {},
  )
  let entered = 0
  const app = emptyApp()
  app.use((_req, _res, next) => {
    entered += 1
    next()
  })
  app.use(artwork.router)
  const plain = (await listen(app)).url
  const url = via === 'listener' ? (await listen(artwork.listener(app))).url : plain
  return {
    artwork,
    origin,
    clock,
    url,
    entered: () => entered,
    /** As it is, whatever memory has. */
    ask: (path: string, request: RawRequest = {}) => ask(url, path, request),
    /** With the picture in memory; through the listener, the app must not have been entered. */
    askHot: async (path: string, request: RawRequest = {}): Promise<RawAnswer> => {
      const headers = request.headers?.Accept === undefined ? {} : { Accept: request.headers.Accept }
      // A picture that was made behind an answer is hot once it has been written, and compared with what it replaces.
      for (let time = 0; time < 2; time += 1) expect((await ask(plain, path, { headers })).status).toBe(200)
      const asked = async (sent: RawRequest): Promise<RawAnswer> => {
        const before = entered
        const answer = await ask(url, path, sent)
        expect(entered - before, 'requests that the app saw').toBe(via === 'listener' ? 0 : 1)
        return answer
      }
      return eventually(async () => {
        expect((await asked({ headers })).status).toBe(200)
        return asked(request)
      })
    },
  }
}

/** A poster that {@link withPoster} has. */
export const POSTER = '/images/poster/w500/x.jpg'
/** Where a poster is upstream. */
export const tmdbPath = (path: string): string => path.replace('/images/poster/', '/t/p/')
/** A {@link stage} with a poster upstream. */
export async function withPoster(via: Via, options?: ArtworkOptions, answer?: Answer) {
  const bytes = await jpeg(500, 300)
  const set = await stage(via, options)
  set.origin.serve(tmdbPath(POSTER), answer ?? image(bytes))
  return { ...set, bytes }
}

/** Starts a toolkit whose clients may upload to it and have it fetch. */
export async function startForClients(
  fetchOptions: ArtworkOptions['fetch'] = {},
  uploadsOptions: UploadsOptions = {},
  given: { origin?: Origin } = {},
): Promise<TestApp> {
  const origin = given.origin ?? (await anOrigin())
  return startApp(
    {
      transform: { isolate: false },
      sources: [
        tmdb({ baseUrl: `${origin.url}/t/p` }),
        remote({ hosts: ['127.0.0.1'] }),
        uploads({ authorize: () => true, ...uploadsOptions }),
      ],
      fetch: { allowPrivate: [origin.host], retries: 0, ...fetchOptions },
    },
    { origin },
  )
}

/** Pictures made by the toolkit, by its public verbs: a toolkit with all formats, that decodes in this process. */
export async function createRenderer(options: ArtworkOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-'))
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['pictures.example'] })],
    ...options,
    transform: {
      isolate: false,
      formats: ['jpeg', 'png', 'gif', 'webp', 'avif'],
      queue: 5000,
      ...options.transform,
    },
  })
  let count = 0
  /** The id of a new original. */
  const keep = async (bytes: Uint8Array): Promise<string> => {
    count += 1
    const id = Buffer.from(`http://pictures.example/${count}`).toString('base64url')
    await artwork.images.put(`remote/original/${id}`, bytes)
    return id
  }
  return {
    artwork,
    keep,
    /** What a picture looks like in a variant. @throws ArtworkError */
    render: async (bytes: Uint8Array, variant: string, about: { accept?: string } = {}) =>
      artwork.images.getImage(`remote/${variant}/${await keep(bytes)}`, about),
    close: async () => {
      await artwork.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A source that fetches `/{id}` of an origin: its ids have colons, and its URLs name what they stand for. */
export function colonSource(origin: () => string): Source {
  return {
    name: 'colons',
    kinds: ['colons'],
    defaultVariant: () => 'original',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    check: ({ address }) => ({ address, original: { ...address, variant: 'original' } }),
    originalsOf: (address) => [address],
    locate: ({ id }) => ({ url: `${origin()}/${id}`, admits: () => true }),
    claim: () => undefined,
    cache: { kind: 'immutable', maxAge: 604_800 },
  }
}

/** The address of a remote picture: `remote/{variant}/{base64url}`. */
export const remoteAddress = (url: string, variant = 'original'): string =>
  `remote/${variant}/${Buffer.from(url).toString('base64url')}`

/** A request with a JSON body. */
export const jsonPost = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})

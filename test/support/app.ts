/** A toolkit in a temporary folder, mounted on a real listening Express app, with a real upstream beside it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { type Artwork, type ArtworkOptions, createArtwork, type Logger, remote, tmdb } from 'express-artwork'
import { afterEach } from 'vitest'
import { type Origin, startOrigin } from './origin.js'

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** Runs at the end of the test that is under way. */
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

/** Serves an app on a loopback port until the test ends. */
export async function listen(
  handler: Parameters<typeof createServer>[1],
): Promise<{ url: string; server: Server }> {
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

/** Starts a toolkit with TMDb and remote sources on a local upstream. Decodes in the test's process unless asked. */
export async function startApp(
  options: ArtworkOptions = {},
  given: { origin?: Origin; directory?: string; clock?: { now: number } } = {},
): Promise<TestApp> {
  const origin = given.origin ?? (await anOrigin())
  const directory = given.directory ?? (await temporaryFolder())
  const clock = given.clock ?? { now: Date.now() }
  const artwork = await createArtwork({
    directory,
    sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['127.0.0.1'] })],
    logger: quietLogger(),
    now: () => clock.now,
    ...options,
    fetch: { allowPrivate: [origin.host], ...options.fetch },
  })
  atEnd(artwork.close)
  const app = express()
  app.disable('x-powered-by')
  app.use(artwork.router)
  const { url } = await listen(app)
  return {
    artwork,
    origin,
    directory,
    url,
    clock,
    get: (path, init) => fetch(url + path, { redirect: 'manual', ...init }),
    stop: artwork.close,
  }
}

/** The address of a remote picture: `remote/{variant}/{base64url}`. */
export const remoteAddress = (url: string, variant = 'original'): string =>
  `remote/${variant}/${Buffer.from(url).toString('base64url')}`

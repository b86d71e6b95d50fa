/** A toolkit on real servers, asked over bare sockets: through Express, or through the fast lane. */
import { createServer } from 'node:http'
import express from 'express'
import { type ArtworkOptions, createArtwork, remote, tmdb } from 'express-artwork'
import { expect } from 'vitest'
import { anOrigin, atEnd, quietLogger, temporaryFolder } from './app.js'
import { type Answer, image } from './origin.js'
import { jpeg } from './pictures.js'
import { ask, type RawAnswer, type RawRequest } from './raw.js'

/** A poster that {@link withPoster} has. */
export const POSTER = '/images/poster/w500/x.jpg'

/** Which way a request goes. */
export type Via = 'Express' | 'lane'

/** A toolkit on a real server, with an upstream. `ask` goes through Express, or through the lane with what it asks for hot. */
export async function stage(via: Via, options: ArtworkOptions = {}) {
  const origin = await anOrigin()
  const clock = { now: Date.now() }
  const artwork = await createArtwork({
    directory: await temporaryFolder(),
    sources: [tmdb({ baseUrl: `${origin.url}/t/p` }), remote({ hosts: ['127.0.0.1'] })],
    logger: quietLogger(),
    now: () => clock.now,
    widths: [160],
    ...options,
    fetch: { allowPrivate: [origin.host], retries: 0, ...options.fetch },
    transform: { isolate: false, ...options.transform },
  })
  atEnd(artwork.close)
  let entered = 0
  const app = express()
  app.disable('x-powered-by')
  app.use((_req, _res, next) => {
    entered += 1
    next()
  })
  app.use(artwork.router)
  const serve = async (listener: Parameters<typeof createServer>[1]): Promise<string> => {
    const server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  }
  const plain = await serve(app)
  const laned = await serve(artwork.listener(app))
  return {
    artwork,
    origin,
    clock,
    url: via === 'lane' ? laned : plain,
    entered: () => entered,
    /** As it is, whatever memory has. */
    ask: (path: string, request: RawRequest = {}) => ask(via === 'lane' ? laned : plain, path, request),
    /** With the picture in memory; through the lane, the app must not have been entered. */
    askHot: async (path: string, request: RawRequest = {}): Promise<RawAnswer> => {
      const headers = request.headers?.Accept === undefined ? {} : { Accept: request.headers.Accept }
      for (let time = 0; time < 2; time += 1) expect((await ask(plain, path, { headers })).status).toBe(200)
      const before = entered
      const answer = await ask(via === 'lane' ? laned : plain, path, request)
      expect(entered - before, 'requests that the app saw').toBe(via === 'lane' ? 0 : 1)
      return answer
    },
  }
}
/** Where a poster is upstream. */
export const tmdbPath = (path: string): string => path.replace('/images/poster/', '/t/p/')
/** A stage with a poster upstream. */
export async function withPoster(via: Via, options?: ArtworkOptions, answer?: Answer) {
  const bytes = await jpeg(500, 300)
  const set = await stage(via, options)
  set.origin.serve(tmdbPath(POSTER), answer ?? image(bytes))
  return { ...set, bytes }
}

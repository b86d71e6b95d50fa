/**
 * An evening in: artists, albums, playlists and films, rendered on the server. Runs with no network and
 * nothing to install. PORT (3000), CDN_PORT (PORT + 1), DATA_DIR, CDN (off, lies, cuts, denies, refuses), WARM_DELAY (ms until the pictures
 * that nobody has looked at are fetched too), FRONT_CACHE (URL of a cache in front, which is sent what to purge), AVIF_EFFORT
 * (how hard AVIFs are encoded, 0 to 9), OFFLINE (1: no picture is fetched, each is one of one colour, as in tests of an app).
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createArtwork, files, remote, tmdb } from 'express-artwork'
import { createApp, isGuest } from './app.js'
import { createRepository } from './repository.js'
import { CDN_FAULTS, startCdn } from './stage/cdn.js'
import { openRecords } from './stage/database.js'
import { drawHouse } from './stage/house.js'
import { createWarmer } from './warmer.js'

const {
  PORT = '3000',
  DATA_DIR = fileURLToPath(new URL('./data', import.meta.url)),
  WARM_DELAY = '3000',
  CDN,
  FRONT_CACHE,
  AVIF_EFFORT,
} = process.env
const port = Number(PORT)
/** A port that cannot be had is one line with what mends it. */
const endFor = (variable: string, wanted: number, { code, message }: NodeJS.ErrnoException): never => {
  const problem = code === 'EADDRINUSE' ? `port ${wanted} is in use already` : message
  console.error(`${problem}: name another one by ${variable}, such as ${variable}=8080 npm start`)
  process.exit(1)
}
const cdnPort = Number(process.env.CDN_PORT ?? (port === 0 ? 0 : port + 1))
const cdn = await startCdn({ port: cdnPort, directory: join(DATA_DIR, 'cdn') }).catch((error) =>
  endFor('CDN_PORT', cdnPort, error),
)
cdn.state.down = CDN === 'off'
const fault = CDN_FAULTS.find((one) => one === CDN)
if (fault !== undefined) cdn.state.fault = fault
const { host } = new URL(cdn.base())
const records = openRecords(join(DATA_DIR, 'evening.sqlite'), cdn.base)

const house = await drawHouse(join(DATA_DIR, 'house'))

const isHere = (address = ''): boolean => /^(?:::ffff:)?127\.|^::1$/.test(address)

const artwork = await createArtwork({
  directory: join(DATA_DIR, 'artwork'),
  offline: process.env.OFFLINE === '1',
  sources: [
    tmdb({ baseUrl: `${cdn.base()}/t/p` }),
    remote({ hosts: ['127.0.0.1'] }),
    files({ name: 'rooms', root: house.rooms, prefix: '/rooms' }),
    files({
      name: 'guests',
      root: house.guests,
      prefix: '/guests',
      authorize: (req) => isGuest(req) || 'unauthenticated',
    }),
  ],
  presets: {
    eye: { width: 400, height: 400, fit: 'cover', position: 'attention', format: 'webp' },
  },
  fetch: { allowPrivate: [host] },
  // As wide as the boxes of its pages, at one and two dots a pixel.
  widths: [96, 192, 240, 320, 480, 640, 960, 1200],
  transform: {
    formats: ['jpeg', 'png', 'gif', 'webp', 'avif'],
    ...(AVIF_EFFORT !== undefined && { effort: { avif: Number(AVIF_EFFORT) } }),
  },
  entities: {
    film_poster: {
      variant: 'w342-h513',
      plural: 'film_posters',
      placeholder: 'poster',
      fields: { url: 'poster_url', path: 'poster_path' },
    },
    film_backdrop: {
      variant: 'w1280-h720',
      plural: 'film_backdrops',
      placeholder: 'backdrop',
      fields: { url: 'backdrop_url', path: 'backdrop_path' },
    },
  },
  repository: createRepository(records),
  // Who sits at this machine may manage its pictures: a real app asks who is logged in.
  manage: { authorize: (req) => isHere(req.socket.remoteAddress) },
  cacheTags: true,
  onPurge: async (_urls, tags) => {
    if (FRONT_CACHE === undefined) return
    for (const tag of tags) await fetch(FRONT_CACHE, { method: 'BAN', headers: { 'X-Cache-Tag': tag } })
  },
})
const warmer = createWarmer({ artwork, records, delay: Number(WARM_DELAY), isUp: () => !cdn.state.down })

const server = createServer(artwork.listener(createApp({ artwork, records, cdn, warmer })))
server.once('error', (error) => endFor('PORT', port, error))
server.listen(port, () => {
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  console.log(`An evening in: ${url}`)
  console.log(`Its pictures:  ${url}/api/images/dashboard`)
  warmer.later()
})
artwork.start()

let closing = false
const close = async (): Promise<void> => {
  if (closing) process.exit(1)
  closing = true
  warmer.close()
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  await artwork.close()
  // Who has asked gets the answer; a connection that says nothing is waited for no longer than two seconds.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  await Promise.race([closed, sleep(2000)])
  clearInterval(idle)
  server.closeAllConnections()
  await cdn.close()
  records.close()
  process.exit(0)
}
process.on('SIGTERM', () => void close())
process.on('SIGINT', () => void close())

/**
 * A pretend CDN and TMDb in one, on a port of its own. It draws its pictures at start-up, answers conditional
 * requests, counts its calls, and can be taken down or slowed.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { cover } from './pictures/covers.js'
import { portrait } from './pictures/portraits.js'
import { backdrop, poster } from './pictures/scenes.js'
import { ARTISTS, FILMS, PLAYLISTS } from './seed.js'

/** A running CDN. */
export interface Cdn {
  readonly base: () => string
  readonly state: { down: boolean; slow: boolean; calls: number }
  /** Draws another picture under the same name. */
  change(path: string): Promise<void>
  close(): Promise<void>
}

interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly modified: string
}

const SLOWNESS = 1500
/** `/t/p/{size}/{file}` → the size and the file. */
const TMDB = /^\/t\/p\/([wh]\d+|original)\/([a-z0-9]+\.jpg)$/

/** Everything there is to draw: the path of each original, and how it is drawn in a version. */
function drawings(): ReadonlyMap<string, (version: number) => string> {
  const all = new Map<string, (version: number) => string>()
  const albums = ARTISTS.flatMap((artist) => artist.albums.map(([id]) => id))
  ARTISTS.forEach(
    ({ id }, index) => void all.set(`/artists/${id}.jpg`, (version) => portrait(index, version)),
  )
  albums.forEach((id, index) => void all.set(`/albums/${id}.jpg`, (version) => cover(index, version)))
  PLAYLISTS.forEach(
    ({ id }, index) => void all.set(`/playlists/${id}.jpg`, (version) => cover(40 + index * 3, version)),
  )
  FILMS.forEach(({ id }, index) => {
    all.set(`/films/${id}p.jpg`, (version) => poster(index, version))
    all.set(`/films/${id}b.jpg`, (version) => backdrop(index, version))
  })
  return all
}

const encode = async (svg: string): Promise<Stored> =>
  toStored(await sharp(Buffer.from(svg)).jpeg({ quality: 90 }).toBuffer())

const toStored = (bytes: Buffer): Stored => ({
  bytes,
  etag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}"`,
  modified: new Date().toUTCString(),
})

/** Draws everything and listens. Port 0 takes a free one. */
export async function startCdn(port: number): Promise<Cdn> {
  const draw = drawings()
  const originals = new Map<string, Stored>()
  const resized = new Map<string, Stored>()
  const versions = new Map<string, number>()
  const state = { down: false, slow: false, calls: 0 }
  await Promise.all([...draw].map(async ([path, picture]) => originals.set(path, await encode(picture(0)))))

  const find = async (path: string): Promise<Stored | undefined> => {
    const [, size, file] = TMDB.exec(path) ?? []
    if (size === undefined || file === undefined) return originals.get(path)
    const original = originals.get(`/films/${file}`)
    if (original === undefined || size === 'original') return original
    const known = resized.get(path)
    if (known !== undefined) return known
    const box = size.startsWith('w') ? { width: Number(size.slice(1)) } : { height: Number(size.slice(1)) }
    const made = toStored(await sharp(original.bytes).resize(box).jpeg({ quality: 88 }).toBuffer())
    resized.set(path, made)
    return made
  }
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    state.calls += 1
    if (state.down) {
      res.writeHead(503, { 'Retry-After': '1', 'Content-Type': 'text/plain' }).end('the CDN is down')
      return
    }
    if (state.slow) await new Promise((resolve) => setTimeout(resolve, SLOWNESS))
    const found = await find(req.url ?? '')
    if (found === undefined) {
      res.writeHead(404).end()
      return
    }
    const headers = {
      ETag: found.etag,
      'Last-Modified': found.modified,
      'Cache-Control': 'max-age=60',
      'Content-Type': 'image/jpeg',
    }
    if (req.headers['if-none-match'] === found.etag) res.writeHead(304, headers).end()
    else
      res
        .writeHead(200, { ...headers, 'Content-Length': found.bytes.length })
        .end(req.method === 'HEAD' ? undefined : found.bytes)
  }
  const server = createServer((req, res) => void answer(req, res).catch(() => res.destroy()))
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    base: () => base,
    state,
    change: async (path) => {
      const [, , file] = TMDB.exec(path) ?? []
      const original = file === undefined ? path : `/films/${file}`
      const version = (versions.get(original) ?? 0) + 1
      const picture = draw.get(original)
      if (picture === undefined) return
      versions.set(original, version)
      originals.set(original, await encode(picture(version)))
      for (const name of resized.keys()) if (name.endsWith(`/${file ?? '-'}`)) resized.delete(name)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

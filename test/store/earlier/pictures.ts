/** The upstream of the fixture's directory: small pictures of every format, at addresses that are part of the directory. */
import { createServer, type Server } from 'node:http'
import sharp, { type Sharp } from 'sharp'
import { blobPath, cidOf, DID, documentOf } from '../../support/atproto.js'
import { quarters } from '../../support/images.js'
import { ORIGIN, ORIGIN_PORT } from './options.js'

/** What a path answers. */
export interface Served {
  status?: number
  readonly headers?: Readonly<Record<string, string>>
  body: Buffer | string
}

/** A picture of its own for each number: four quarters, each time in other colours. */
const drawn = async (seed: number, width = 120, height = 90): Promise<Sharp> =>
  sharp(await quarters(width, height).png().toBuffer()).modulate({ hue: seed * 29 })

/** A JPEG of its own for each number. */
export const smallJpeg = async (seed: number): Promise<Buffer> =>
  (await drawn(seed)).jpeg({ quality: 80 }).toBuffer()
/** A PNG of its own for each number. */
export const smallPng = async (seed: number): Promise<Buffer> => (await drawn(seed)).png().toBuffer()

/** Everything that is served at first, by its path. The blob's CID comes along. */
export async function servedPictures(): Promise<{ served: Map<string, Served>; cid: string }> {
  const frames = await Promise.all([1, 2, 3].map(async (seed) => (await drawn(seed)).png().toBuffer()))
  const blob = await smallJpeg(40)
  const cid = cidOf(blob)
  const served = new Map<string, Served>()
  const serve = (path: string, type: string, body: Buffer | string, headers = {}): void =>
    void served.set(path, { headers: { 'Content-Type': type, ...headers }, body })
  serve('/still.jpg', 'image/jpeg', await smallJpeg(10))
  serve('/still.png', 'image/png', await smallPng(11))
  serve('/still.webp', 'image/webp', await (await drawn(12)).webp({ quality: 80 }).toBuffer(), {
    ETag: '"webp-1"',
    'Last-Modified': 'Thu, 19 Nov 2026 08:00:00 GMT',
  })
  const moving = sharp(frames, { join: { animated: true } }).gif({ loop: 0, delay: [100, 100, 100] })
  serve('/moving.gif', 'image/gif', await moving.toBuffer())
  serve('/still.avif', 'image/avif', await (await drawn(13)).avif({ quality: 50, effort: 2 }).toBuffer())
  serve(
    '/drawing.svg',
    'image/svg+xml',
    '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>',
  )
  serve('/changed.jpg', 'image/jpeg', await smallJpeg(14))
  serve('/let-go.jpg', 'image/jpeg', await smallJpeg(15))
  serve('/removed.jpg', 'image/jpeg', await smallJpeg(16))
  serve('/strict.jpg', 'image/jpeg', await smallJpeg(17), {
    'Cache-Control': 'max-age=604800, stale-while-revalidate=60, stale-if-error=86400',
  })
  serve('/no-picture.jpg', 'image/jpeg', 'this is text')
  serve('/t/p/w92/film.jpg', 'image/jpeg', await smallJpeg(18))
  serve(blobPath(DID, cid), 'image/jpeg', blob)
  serve(`/${encodeURIComponent(DID)}`, 'application/json', JSON.stringify(documentOf(DID, ORIGIN)))
  served.set('/flaky.jpg', { status: 503, body: 'later' })
  return { served, cid }
}

/** Serves them where the directory's addresses say; a known ETag is answered by a 304. */
export async function serveAt(served: ReadonlyMap<string, Served>): Promise<Server> {
  const server = createServer((req, res) => {
    const { status = 200, headers = {}, body } = served.get(req.url ?? '') ?? { status: 404, body: 'none' }
    const isKnown = headers.ETag !== undefined && req.headers['if-none-match'] === headers.ETag
    res.writeHead(isKnown ? 304 : status, headers)
    res.end(isKnown || req.method === 'HEAD' ? undefined : body)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(ORIGIN_PORT, '127.0.0.1', resolve)
  })
  return server
}

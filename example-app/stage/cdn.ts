/**
 * A pretend CDN and TMDb in one, on a port of its own. It answers conditional requests, resizes as TMDb does,
 * counts its calls, and can be taken down or slowed.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { openGallery, type Picture } from './gallery.js'

/** A running CDN. */
export interface Cdn {
  readonly base: () => string
  readonly state: { down: boolean; slow: boolean; calls: number; fault: CdnFault | undefined }
  /** Draws another picture under the same name. */
  change(path: string): Promise<void>
  close(): Promise<void>
}

/** How else it may fail: another's page as a picture, half a picture, no access, no connection. */
export const CDN_FAULTS = ['lies', 'cuts', 'denies', 'refuses'] as const
type CdnFault = (typeof CDN_FAULTS)[number]

/** Where it listens, and where its pictures are kept. Port 0 takes a free one. */
export interface CdnOptions {
  readonly port: number
  readonly directory: string
}

const SLOWNESS = 1500
/** `/t/p/{size}/{file}` → the size and the file; a poster's name ends with p, a backdrop's with b. */
const TMDB = /^\/t\/p\/([a-z0-9]+)\/([a-z0-9]+([pb])\.jpg)$/
const SIZES: Readonly<Record<string, readonly string[]>> = {
  p: ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'],
  b: ['w300', 'w780', 'w1280', 'original'],
}

/** RFC 9110 §13.2.2: the ETag decides; the date is asked only where none was sent. */
function isHeld({ headers }: IncomingMessage, { etag, modified }: Picture): boolean {
  const named = headers['if-none-match']
  if (named !== undefined) return named === '*' || named.split(/\s*,\s*/).includes(etag)
  return Date.parse(headers['if-modified-since'] ?? '') >= Date.parse(modified)
}

/** Draws what is not drawn yet and listens. */
export async function startCdn({ port, directory }: CdnOptions): Promise<Cdn> {
  const gallery = await openGallery(directory)
  const resized = new Map<string, Picture>()
  const state: Cdn['state'] = { down: false, slow: false, calls: 0, fault: undefined }

  const find = async (path: string): Promise<Picture | undefined> => {
    const [, size = '', file = '', kind = ''] = TMDB.exec(path) ?? []
    if (file === '') return path.startsWith('/films/') ? undefined : gallery.find(path)
    const original = gallery.find(`/films/${file}`)
    if (original === undefined || !SIZES[kind]?.includes(size)) return undefined
    if (size === 'original') return original
    const name = `${path} ${original.etag}`
    const known = resized.get(name)
    if (known !== undefined) return known
    const bytes = await sharp(original.bytes)
      .resize({ width: Number(size.slice(1)) })
      .jpeg({ quality: 88 })
      .toBuffer()
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}"`
    const made = { bytes, etag, modified: original.modified }
    resized.set(name, made)
    return made
  }
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    state.calls += 1
    if (state.slow && !state.down) await new Promise((resolve) => setTimeout(resolve, SLOWNESS))
    if (state.down) {
      res.writeHead(503, { 'Retry-After': '1', 'Content-Type': 'text/plain' }).end('the CDN is down')
      return
    }
    if (state.fault === 'refuses') {
      res.destroy()
      return
    }
    if (state.fault === 'denies') {
      res.writeHead(403).end()
      return
    }
    if (state.fault === 'lies') {
      res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end('<!doctype html><title>Sign in</title>')
      return
    }
    const found = await find((req.url ?? '').split('?', 1)[0] ?? '')
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
    if (isHeld(req, found)) res.writeHead(304, headers).end()
    else if (state.fault === 'cuts')
      res.writeHead(200, headers).end(found.bytes.subarray(0, found.bytes.length / 2))
    else
      res
        .writeHead(200, { ...headers, 'Content-Length': found.bytes.length })
        .end(req.method === 'HEAD' ? undefined : found.bytes)
  }
  const server = createServer((req, res) => void answer(req, res).catch(() => res.destroy()))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    base: () => base,
    state,
    change: async (path) => {
      const [, , file] = TMDB.exec(path) ?? []
      if (file !== undefined) for (const name of resized.keys()) if (name.includes(file)) resized.delete(name)
      await gallery.change(file === undefined ? path : `/films/${file}`)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

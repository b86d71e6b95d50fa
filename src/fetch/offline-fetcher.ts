/**
 * A fetcher without a network, for tests of the app itself: what is fetched is a picture of one colour that follows from its
 * URL, a file or bytes that the app names for it, or the failure that the app wants.
 */
import { readFile } from 'node:fs/promises'
import { crc32, deflateSync } from 'node:zlib'
import { digestOf } from '../model/digest.js'
import { ArtworkError } from '../model/failure.js'
import { type Fixture, type Fixtures, USUAL_SIZE } from '../model/fixtures.js'
import type { FetchRequest } from '../model/location.js'
import { sniff } from '../model/media-type.js'
import { createLocalFiles } from './local-file.js'
import type { Fetcher, FetcherOptions } from './ports.js'
import { UNSTATED } from './upstream-freshness.js'
import { type Fetched, failureOf } from './upstream-response.js'

/** A chunk of a PNG (PNG §5.3). */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}

/** A PNG of one colour: its palette has no other, and a pixel takes a bit. */
function onePng(width: number, height: number, colour: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 1
  header[9] = 3
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height))
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('PLTE', colour),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** The fixture of a URL, the longest beginning before shorter ones. */
async function fixtureOf(fixtures: Fixtures | undefined, url: string): Promise<Fixture | undefined> {
  if (fixtures === undefined) return undefined
  if (typeof fixtures === 'function') return fixtures(url)
  if (Object.hasOwn(fixtures, url)) return fixtures[url]
  const [found] = Object.keys(fixtures)
    .filter((name) => name.endsWith('*') && url.startsWith(name.slice(0, -1)))
    .sort((a, b) => b.length - a.length)
  return found === undefined ? undefined : fixtures[found]
}

/** Makes it; no socket is ever opened. */
export function createOfflineFetcher(
  { maxBytes, now }: Pick<FetcherOptions, 'maxBytes' | 'now'>,
  fixtures: Fixtures | undefined,
): Fetcher {
  /** @throws ArtworkError as an upstream that fails so */
  const bytesOf = async ({ url, usualSize = USUAL_SIZE }: FetchRequest): Promise<Buffer> => {
    const fixture = await fixtureOf(fixtures, url)
    if (typeof fixture === 'number')
      throw failureOf({ status: fixture, header: () => null, bytes: Buffer.alloc(0) }, now())
    if (typeof fixture === 'string') return readFile(fixture)
    if (fixture !== undefined) return Buffer.from(fixture)
    const colour = Buffer.from(digestOf(Buffer.from(url)), 'hex').subarray(0, 3)
    return onePng(usualSize.width, usualSize.height, colour)
  }
  const fetch = async (request: FetchRequest): Promise<Fetched> => {
    const bytes = await bytesOf(request)
    if (bytes.length > maxBytes) throw new ArtworkError('too_large', 'the image has too many bytes')
    const kind = sniff(bytes)
    if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
    return { outcome: 'image', bytes, kind, ...UNSTATED }
  }
  return {
    ...createLocalFiles({ maxBytes }),
    fetch,
    document: async () => undefined,
    probe: async (request) => {
      try {
        await fetch(request)
        return true
      } catch {
        return false
      }
    },
    hosts: { watch: () => {}, heard: () => {}, divideBy: () => {} },
    resting: () => [],
    pools: () => [],
    proxies: () => [],
    close: () => {},
  }
}

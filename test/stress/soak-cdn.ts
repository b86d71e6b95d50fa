/** Hosts of pictures for the soak: tiny PNGs that say in their pixels which they are, from servers that come and go. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'

/** Sides of a picture: six by four fields of 8×8, a bit each, which even lossy formats keep. */
const [COLUMNS, ROWS, FIELD] = [6, 4, 8]
const VERSION_BITS = 8
/** No picture has more bytes than this. */
export const LARGEST_PICTURE = 2200

/** What a source answers for a picture instead of it. */
export type Fault = 'missing' | 'gone' | 'denied' | 'page' | 'torn'
/** What a host does. */
export type Weather = 'fine' | 'failing' | 'resetting' | 'hanging'

/** A picture as it is at its source. Its number has 16 bits, its version 8. */
export interface Picture {
  readonly number: number
  version: number
  fault?: Fault | undefined
}

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, sum])
}
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const HEADER = Buffer.alloc(13)
HEADER.writeUInt32BE(COLUMNS * FIELD, 0)
HEADER.writeUInt32BE(ROWS * FIELD, 4)
HEADER[8] = 1

/** A PNG whose fields say number and version. A private chunk, of a size that follows from both, gives it weight. */
function draw({ number, version }: Pick<Picture, 'number' | 'version'>): Buffer {
  const bits = number * 2 ** VERSION_BITS + version
  const rows: number[] = []
  for (let row = 0; row < ROWS; row += 1) {
    const line = [0]
    for (let column = 0; column < COLUMNS; column += 1)
      line.push((bits >>> (row * COLUMNS + column)) & 1 ? 0xff : 0)
    for (let again = 0; again < FIELD; again += 1) rows.push(...line)
  }
  const weight = Buffer.alloc(200 + ((Math.imul(bits, 2_654_435_761) >>> 0) % 1600), `${number}.${version} `)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', HEADER),
    chunk('soAk', weight),
    chunk('IDAT', deflateSync(Buffer.from(rows), { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** What a picture says of itself, in whatever format it has come to be. */
export async function readPicture(bytes: Buffer): Promise<Pick<Picture, 'number' | 'version'>> {
  const { data, info } = await sharp(bytes).greyscale().raw().toBuffer({ resolveWithObject: true })
  if (info.width !== COLUMNS * FIELD || info.height !== ROWS * FIELD)
    throw new Error(`a picture of ${info.width}×${info.height}`)
  let bits = 0
  for (let row = ROWS - 1; row >= 0; row -= 1)
    for (let column = COLUMNS - 1; column >= 0; column -= 1) {
      const [x, y] = [column * FIELD + FIELD / 2, row * FIELD + FIELD / 2]
      bits = bits * 2 + ((data[(y * info.width + x) * info.channels] ?? 0) > 127 ? 1 : 0)
    }
  return { number: Math.floor(bits / 2 ** VERSION_BITS), version: bits % 2 ** VERSION_BITS }
}

const FAULTS: Readonly<Record<Exclude<Fault, 'torn'>, readonly [status: number, type: string]>> = {
  missing: [404, 'text/plain'],
  gone: [410, 'text/plain'],
  denied: [403, 'text/plain'],
  page: [200, 'text/html'],
}

/** Starts a host of pictures, each at `/{number}.png`. @param onRequest called before each answer */
export async function startPictureHost(pictures: ReadonlyMap<number, Picture>, onRequest: () => void) {
  /** A picture is good for one to two months, by its number. */
  const lifetime = ({ number }: Picture): string => `max-age=${(30 + (number % 31)) * 86_400}`
  let weather: Weather = 'fine'
  const count = { given: 0, unchanged: 0, faults: 0, failing: 0, resetting: 0, hanging: 0 }
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    onRequest()
    if (weather !== 'fine') {
      count[weather] += 1
      if (weather === 'failing') res.writeHead(503).end()
      else if (weather === 'resetting') req.socket.resetAndDestroy()
      return
    }
    const picture = pictures.get(Number(/^\/(\d+)\.png$/.exec(req.url ?? '')?.[1]))
    const fault = picture === undefined ? 'missing' : picture.fault
    if (fault !== undefined) count.faults += 1
    if (picture === undefined || (fault !== undefined && fault !== 'torn')) {
      const [status, type] = FAULTS[fault === undefined || fault === 'torn' ? 'missing' : fault]
      res.writeHead(status, { 'Content-Type': type, 'Content-Length': 4 }).end('none')
      return
    }
    const etag = `"${picture.number}.${picture.version}${fault ?? ''}"`
    if (req.headers['if-none-match'] === etag) {
      count.unchanged += 1
      res.writeHead(304, { ETag: etag, 'Cache-Control': lifetime(picture) }).end()
      return
    }
    const whole = draw(picture)
    const bytes = fault === 'torn' ? whole.subarray(0, whole.length - 40) : whole
    if (fault === undefined) count.given += 1
    res
      .writeHead(200, {
        'Content-Type': 'image/png',
        'Content-Length': bytes.length,
        ETag: etag,
        'Cache-Control': lifetime(picture),
      })
      .end(bytes)
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    /** How many answers of each kind it gave. */
    count: count as Readonly<typeof count>,
    /** Where a picture is. */
    urlOf: ({ number }: Pick<Picture, 'number'>): string => `http://127.0.0.1:${port}/${number}.png`,
    setWeather: (next: Weather): void => {
      weather = next
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

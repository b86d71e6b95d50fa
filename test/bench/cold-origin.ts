/**
 * The origin of the benches of cold pictures, in a process of its own: photo-like JPEGs of 1200 by 1200 pixels, made from a
 * seed, under `/{number}.jpg`, each with bytes of its own. `/count` says how many were asked for. Prints its port.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { die } from '../../example-app/stage/pictures/draw.js'
import { PHOTOS } from './pictures/photos.js'

const SIDE = 1200

const photos = await Promise.all(
  Object.values(PHOTOS).map((photo, index) => {
    const { data, width, height } = photo(die(100 + index))
    return sharp(data, { raw: { width, height, channels: 3 } })
      .resize({ width: SIDE, height: SIDE, fit: 'cover' })
      .jpeg({ quality: 88 })
      .toBuffer()
  }),
)
/**
 * The same photo with another quantization of some frequencies: other pixels, at no cost. What follows the end of a JPEG
 * is passed over, and makes it another file too.
 */
function variant(photo: Buffer, number: number, suffix: string): Buffer {
  const bytes = Buffer.concat([photo, Buffer.from(suffix)])
  const table = bytes.indexOf(Buffer.from([0xff, 0xdb])) + 5
  let left = number
  for (let at = 1; left > 0; at += 1, left = Math.floor(left / 4))
    bytes[table + at] = Math.min(255, (bytes[table + at] ?? 0) + (left % 4))
  return bytes
}

let asked = 0
const server = createServer((req, res) => {
  const number = Number(/^\/\w*?(\d+)\.jpg/.exec(req.url ?? '')?.[1])
  const photo = photos[number % photos.length]
  if (photo === undefined) {
    res.end(String(asked))
    return
  }
  asked += 1
  const bytes = variant(photo, Math.floor(number / photos.length), req.url ?? '')
  res.writeHead(200, {
    'Content-Type': 'image/jpeg',
    'Content-Length': bytes.length,
    'Cache-Control': 'public, max-age=86400',
  })
  res.end(bytes)
}).listen(0, '127.0.0.1', () => {
  const mean = photos.reduce((sum, { length }) => sum + length, 0) / photos.length
  console.log(`${(server.address() as AddressInfo).port} ${Math.round(mean)}`)
})

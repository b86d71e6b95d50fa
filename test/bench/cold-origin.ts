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
let asked = 0
const server = createServer((req, res) => {
  const number = Number(/^\/\w*?(\d+)\.jpg/.exec(req.url ?? '')?.[1])
  const photo = photos[number % photos.length]
  if (photo === undefined) {
    res.end(String(asked))
    return
  }
  asked += 1
  // What follows the end of a JPEG is passed over, and makes it another file.
  const bytes = Buffer.concat([photo, Buffer.from(req.url ?? '')])
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

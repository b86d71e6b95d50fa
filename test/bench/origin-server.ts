/** An origin in a process of its own: any path is a JPEG of a megapixel, each with bytes of its own. Prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'

const noise = { type: 'gaussian' as const, mean: 120, sigma: 20 }
const bytes = await sharp({ create: { width: 1200, height: 850, channels: 3, background: '#000', noise } })
  .blur(2)
  .jpeg({ quality: 80 })
  .toBuffer()
const server = createServer((req, res) => {
  // What follows the end of a JPEG is passed over, and makes it another file.
  const own = Buffer.concat([bytes, Buffer.from(req.url ?? '')])
  res.writeHead(200, {
    'Content-Type': 'image/jpeg',
    'Content-Length': own.length,
    'Cache-Control': 'max-age=9999',
  })
  res.end(own)
}).listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))

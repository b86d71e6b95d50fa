/** An origin in a process of its own: any path is the same small WebP, and 304 for who has it. Prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { webp16k } from './support.js'

const picture = await webp16k()
const server = createServer((req, res) => {
  if (req.headers['if-none-match'] !== undefined) return res.writeHead(304, { ETag: '"1"' }).end()
  res.writeHead(200, { 'Content-Type': 'image/webp', ETag: '"1"' }).end(picture)
}).listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))

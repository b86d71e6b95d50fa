/** What upstreams write into `Location` and `Content-Encoding`. */
import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp } from '../support/toolkit.js'

const start = async () => {
  const app = await startApp({ transform: { isolate: false } })
  const ask = (path: string) =>
    app.get(`/images/remote/original/${Buffer.from(`${app.origin.url}${path}`).toString('base64url')}`)
  return { ...app, ask }
}

describe('Location in bytes over 127 (mended 10)', () => {
  test.each([
    ['UTF-8', Buffer.from('/f\u00e9 \u0105.jpg'.replace(' ', '_')), '/f%C3%A9_%C4%85.jpg'],
    [
      'UTF-8 whose bytes are control characters in Latin-1',
      Buffer.from('/\u0141\u0105.jpg'),
      '/%C5%81%C4%85.jpg',
    ],
    ['Latin-1', Buffer.from('/f\u00e9.jpg', 'latin1'), '/f%C3%A9.jpg'],
  ])('%s', async (_name, location, target) => {
    const { origin, ask } = await start()
    const bytes = await jpeg(20, 20)
    origin.serve(target, image(bytes))
    origin.serve('/r', (_req, res) => {
      res.socket?.end(
        Buffer.concat([
          Buffer.from('HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: '),
          location,
          Buffer.from('\r\n\r\n'),
        ]),
      )
    })
    expect((await ask('/r')).status).toBe(200)
  })
})

describe('Content-Encoding (mended 11)', () => {
  test.each([
    '',
    ' , ',
    'identity',
    'identity, identity',
    'aws-chunked',
    'none',
    'UTF-8',
    'binary, ,identity',
  ])('%j encodes nothing', async (coding) => {
    const { origin, ask } = await start()
    const bytes = await jpeg(20, 20)
    origin.serve('/p', image(bytes, 'image/jpeg', { 'Content-Encoding': coding }))
    const answer = await ask('/p')
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
    expect(answer.headers.get('content-encoding')).toBeNull()
  })
  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['gzip', gzipSync],
    ['X-GZIP', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['gzip, br', (bytes) => brotliCompressSync(gzipSync(bytes))],
    ['aws-chunked, gzip', gzipSync],
  ])('%s, sent unasked, is decoded', async (coding, encode) => {
    const { origin, ask } = await start()
    const bytes = await jpeg(20, 20)
    origin.serve('/p', image(encode(bytes), 'image/jpeg', { 'Content-Encoding': coding }))
    const answer = await ask('/p')
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  })
  test('more codings than anybody has a use for are 502, and are not decoded', async () => {
    const { origin, ask } = await start()
    const bytes = await jpeg(20, 20)
    const layers = (count: number): Buffer =>
      Array.from({ length: count }).reduce<Buffer>((one) => gzipSync(one), bytes)
    for (const [count, status] of [
      [3, 200],
      [4, 502],
      [400, 502],
    ] as const) {
      const coding = Array(count).fill('gzip').join(', ')
      origin.serve(`/p${count}`, image(layers(count), 'image/jpeg', { 'Content-Encoding': coding }))
      expect([count, (await ask(`/p${count}`)).status]).toEqual([count, status])
    }
  })
  test('what is cut is 502, what comes out too large is 413', async () => {
    const { origin, ask } = await start()
    const bytes = gzipSync(await jpeg(200, 200))
    const serve = (path: string, body: Buffer) =>
      origin.serve(path, image(body, 'image/jpeg', { 'Content-Encoding': 'gzip' }))
    serve('/cut', bytes.subarray(0, bytes.length / 2))
    serve('/bomb', gzipSync(Buffer.alloc(50_000_000)))
    serve('/lie', await jpeg(20, 20))
    for (const [path, status] of [
      ['/cut', 502],
      ['/bomb', 413],
      ['/lie', 502],
    ] as const)
      expect((await ask(path)).status, path).toBe(status)
  })
})

describe('a body of megabytes, in pieces of any length', () => {
  test.each([
    ['with its length', true],
    ['in chunks', false],
  ])('%s comes whole', async (_name, isAnnounced) => {
    const { origin, ask } = await start()
    // What follows the end of a JPEG is passed over.
    const bytes = Buffer.concat([await jpeg(20, 20), randomBytes(5_300_001)])
    origin.serve('/p', async (_req, res) => {
      res.setHeader('Content-Type', 'image/jpeg')
      if (isAnnounced) res.setHeader('Content-Length', bytes.length)
      for (let at = 0, length = 1; at < bytes.length; at += length, length = length * 3 + 1)
        res.write(bytes.subarray(at, at + length))
      res.end()
    })
    const answer = await ask('/p')
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
  })
})

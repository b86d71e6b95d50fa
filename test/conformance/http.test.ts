/**
 * Every item of `test/data/http-checklist.json` under its id, against real listening servers: through Express, and
 * through the listener, where the same must come out. Requests go over bare sockets, since clients normalise.
 */

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import express from 'express'
import { uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { sniff } from '#src/model/media-type.js'
import { eventually } from '../support/eventually.js'
import { jpeg, png, SVG } from '../support/images.js'
import { type Answer, image } from '../support/origin.js'
import { ask, type RawAnswer, type RawRequest } from '../support/raw-http.js'
import {
  listen,
  POSTER,
  remoteAddress,
  stage,
  temporaryFolder,
  tmdbPath,
  type Via,
  withPoster,
} from '../support/toolkit.js'

interface Item {
  readonly id: string
  readonly role: string
  readonly request: string
}
const items: readonly Item[] = JSON.parse(
  readFileSync(new URL('../data/http-checklist.json', import.meta.url), 'utf8'),
).items

const HOUR = 3_600_000
const DAY = 24 * HOUR
const bytesEqual = (answer: RawAnswer, bytes: Uint8Array): boolean => answer.body.equals(bytes)
const noStore = (answer: RawAnswer): void => {
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.headers['x-content-type-options']).toBe('nosniff')
  expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(answer.headers.etag).toBeUndefined()
  expect(answer.body.toString()).not.toMatch(/node_modules|\/tmp|at .*\.[jt]s/)
}

/** The test of each item; what it throws is what is wrong. */
const tests: Readonly<Record<string, (via: Via) => Promise<void>>> = {
  H01: async (via) => {
    const { askHot, bytes, clock } = await withPoster(via)
    const { status, headers, body } = await askHot(POSTER)
    expect(status).toBe(200)
    expect(body.equals(bytes)).toBe(true)
    expect(headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(bytes.length),
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'cross-origin',
      'cache-control': 'public, max-age=604800, immutable',
      'accept-ranges': 'bytes',
    })
    expect(Date.parse(headers['last-modified'] ?? '')).toBeLessThanOrEqual(clock.now)
    expect(Date.parse(headers['last-modified'] ?? '')).toBeLessThanOrEqual(Date.parse(headers.date ?? ''))
    expect(headers['set-cookie']).toBeUndefined()
  },
  H02: async (via) => {
    const { askHot } = await withPoster(via)
    const get = await askHot(POSTER)
    const head = await askHot(POSTER, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.body).toHaveLength(0)
    expect({ ...head.headers, date: '', age: '' }).toEqual({ ...get.headers, date: '', age: '' })
  },
  H03: async (via) => {
    const { askHot } = await withPoster(via)
    const { headers } = await askHot(POSTER)
    const answer = await askHot(POSTER, { headers: { 'If-None-Match': headers.etag ?? '' } })
    expect([answer.status, answer.body.length]).toEqual([304, 0])
    expect(answer.headers).toMatchObject({ etag: headers.etag, 'cache-control': headers['cache-control'] })
    expect(answer.headers.date).toBeDefined()
    expect(answer.headers['content-length']).toBeUndefined()
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  },
  H04: async (via) => {
    const { askHot } = await withPoster(via)
    const { etag } = (await askHot(POSTER)).headers
    expect((await askHot(POSTER, { headers: { 'If-None-Match': `W/${etag}` } })).status).toBe(304)
  },
  H05: async (via) => {
    const { askHot } = await withPoster(via)
    const { etag } = (await askHot(POSTER)).headers
    const headers = { 'If-None-Match': `"x",\tW/"y" , ${etag}` }
    expect((await askHot(POSTER, { headers })).status).toBe(304)
  },
  H06: async (via) => {
    const { askHot } = await withPoster(via)
    expect((await askHot(POSTER, { headers: { 'If-None-Match': '*' } })).status).toBe(304)
  },
  H07: async (via) => {
    const { askHot } = await withPoster(via)
    const modified = (await askHot(POSTER)).headers['last-modified'] ?? ''
    const headers = { 'If-None-Match': '"x"', 'If-Modified-Since': modified }
    expect((await askHot(POSTER, { headers })).status).toBe(200)
  },
  H08: async (via) => {
    const { askHot } = await withPoster(via)
    const modified = Date.parse((await askHot(POSTER)).headers['last-modified'] ?? '')
    const since = async (text: string) =>
      (await askHot(POSTER, { headers: { 'If-Modified-Since': text } })).status
    const at = (ms: number) => new Date(ms).toUTCString()
    expect([
      await since(at(modified)),
      await since(at(modified + HOUR)),
      await since(at(modified - 1000)),
      await since('garbage'),
    ]).toEqual([304, 304, 200, 200])
  },
  H09: async (via) => {
    const { askHot } = await withPoster(via)
    const { etag = '' } = (await askHot(POSTER)).headers
    const answer = await askHot(POSTER, { method: 'HEAD', headers: { 'If-None-Match': etag } })
    expect(answer.status).toBe(304)
  },
  H10: async (via) => {
    const { askHot } = await withPoster(via)
    const { etag = '' } = (await askHot(POSTER)).headers
    const match = async (text: string) => (await askHot(POSTER, { headers: { 'If-Match': text } })).status
    expect([await match('"x"'), await match(etag), await match(`W/${etag}`)]).toEqual([412, 200, 412])
  },
  H11: async (via) => {
    const { askHot } = await withPoster(via)
    const modified = Date.parse((await askHot(POSTER)).headers['last-modified'] ?? '')
    const headers = { 'If-Unmodified-Since': new Date(modified - DAY).toUTCString() }
    const answer = await askHot(POSTER, { headers })
    expect(answer.status).toBe(412)
    noStore(answer)
  },
  H12: async (via) => {
    const { ask, origin } = await withPoster(via)
    for (const path of [POSTER, '/artwork/local/artists/ab/abc.webp', '/static/images/placeholder.svg']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const answer = await ask(path, { method, headers: { 'Content-Length': '0' } })
        expect([answer.status, answer.headers.allow], `${method} ${path}`).toEqual([
          405,
          'GET, HEAD, OPTIONS',
        ])
        noStore(answer)
      }
    }
    expect(origin.hits()).toBe(0)
  },
  H13: async (via) => {
    const open = await withPoster(via)
    const allowed = await open.ask(POSTER, { method: 'OPTIONS' })
    expect([allowed.status, allowed.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS'])
    expect(allowed.headers['access-control-allow-methods']).toBe('GET, HEAD, OPTIONS')
    const closed = await withPoster(via, { cors: false })
    const plain = await closed.ask(POSTER, { method: 'OPTIONS' })
    expect([plain.status, plain.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS'])
    expect(Object.keys(plain.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  },
  H14: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const whole = await askHot(POSTER)
    const part = await askHot(POSTER, { headers: { Range: 'bytes=0-99' } })
    expect(part.status).toBe(206)
    expect(bytesEqual(part, bytes.subarray(0, 100))).toBe(true)
    expect(part.headers).toMatchObject({
      'content-range': `bytes 0-99/${bytes.length}`,
      'content-length': '100',
      etag: whole.headers.etag,
      'cache-control': whole.headers['cache-control'],
    })
  },
  H15: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const last = await askHot(POSTER, { headers: { Range: 'bytes=-100' } })
    expect([last.status, bytesEqual(last, bytes.subarray(-100))]).toEqual([206, true])
    const all = await askHot(POSTER, { headers: { Range: 'bytes=-999999999' } })
    expect([all.status, all.headers['content-range']]).toEqual([
      206,
      `bytes 0-${bytes.length - 1}/${bytes.length}`,
    ])
  },
  H16: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const answer = await askHot(POSTER, { headers: { Range: `bytes=${bytes.length}-` } })
    expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${bytes.length}`])
    noStore(answer)
  },
  H17: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const answer = await askHot(POSTER, { headers: { Range: 'bytes=0-99999999' } })
    expect([answer.status, answer.headers['content-range']]).toEqual([
      206,
      `bytes 0-${bytes.length - 1}/${bytes.length}`,
    ])
  },
  H18: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    for (const range of ['bytes=5-2', 'bytes=abc', 'items=0-1']) {
      const answer = await askHot(POSTER, { headers: { Range: range } })
      expect([answer.status, bytesEqual(answer, bytes)], range).toEqual([200, true])
    }
  },
  H19: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const many = Array.from({ length: 1500 }, (_, index) => `${index}-${index}`).join(',')
    for (const range of ['0-1,5-6', many]) {
      const answer = await askHot(POSTER, { headers: { Range: `bytes=${range}` } })
      expect([answer.status, bytesEqual(answer, bytes)]).toEqual([200, true])
    }
    // 10,000 ranges are over what Node takes as a head at all: it says so, or just hangs up.
    const over = Array.from({ length: 10_000 }, (_, index) => `${index}-${index}`).join(',')
    const { url } = await stage(via)
    const refused = await ask(url, POSTER, { headers: { Range: `bytes=${over}` } }).then(
      ({ status }) => status,
      (error) => error.code,
    )
    expect([431, 'ECONNRESET', 'EPIPE']).toContain(refused)
  },
  H20: async (via) => {
    const { askHot, bytes } = await withPoster(via)
    const answer = await askHot(POSTER, { method: 'HEAD', headers: { Range: 'bytes=0-9' } })
    expect([answer.status, answer.headers['content-length']]).toEqual([200, String(bytes.length)])
  },
  H21: async (via) => {
    const { askHot, clock } = await withPoster(via)
    const { etag = '', 'last-modified': modified = '' } = (await askHot(POSTER)).headers
    const status = async (ifRange: string) =>
      (await askHot(POSTER, { headers: { Range: 'bytes=0-9', 'If-Range': ifRange } })).status
    expect([await status(etag), await status(`W/${etag}`), await status('"x"')]).toEqual([206, 200, 200])
    // Its date is no strong validator within its own second.
    expect(await status(modified)).toBe(200)
    clock.now += 2000
    expect(await status(modified)).toBe(206)
  },
  H22: async (via) => {
    const { askHot } = await withPoster(via)
    const { etag = '' } = (await askHot(POSTER)).headers
    const headers = { Range: 'bytes=0-9', 'If-None-Match': etag }
    expect((await askHot(POSTER, { headers })).status).toBe(304)
  },
  H23: async (via) => {
    const { askHot } = await withPoster(via)
    const { headers } = await askHot(POSTER, { headers: { 'Accept-Encoding': 'gzip, br' } })
    expect([headers['content-encoding'], headers.vary]).toEqual([undefined, undefined])
  },
  H24: async (via) => {
    const directory = await temporaryFolder()
    const first = await withPoster(via, { directory })
    const tags = async (set: typeof first) => {
      const found: (string | undefined)[] = []
      for (const path of ['/images/poster/w500-webp/x.jpg', '/images/poster/w500-png/x.jpg', POSTER])
        found.push((await set.askHot(path)).headers.etag)
      return found
    }
    const before = await tags(first)
    expect(new Set(before).size).toBe(3)
    await first.artwork.close()
    expect(await tags(await withPoster(via, { directory }))).toEqual(before)
  },
  ...negotiation(),
  H32: async (via) => {
    const { ask, askHot, origin } = await withPoster(via)
    const headers = { Cookie: 'session=secret', Authorization: 'Bearer secret', Referer: 'http://x/' }
    const first = await ask(POSTER, { headers })
    const second = await askHot(POSTER)
    expect(first.body.equals(second.body)).toBe(true)
    expect(origin.hits()).toBe(1)
    expect(JSON.stringify(origin.seen)).not.toContain('secret')
  },
  H33: async (via) => {
    const { ask, origin } = await withPoster(via)
    origin.serve('/t/p/w500/broken.jpg', image('not an image at all, but it says so'))
    origin.serve('/t/p/w500/html.jpg', { headers: { 'Content-Type': 'text/html' }, body: '<p>' })
    origin.serve('/t/p/w500/bad.jpg', { status: 500, body: 'stack at /srv/app.js:1' })
    const statuses = []
    for (const path of [
      '/images/poster/w501/x.jpg',
      '/images/nothing/w500/x.jpg',
      '/images/poster/w500/none.jpg',
      '/images/poster/w500/broken.jpg',
      '/images/poster/w500/html.jpg',
      '/images/poster/w500/bad.jpg',
      '/images/poster/w500/%2e%2e%2fx.jpg',
      `${POSTER}?s=${'A'.repeat(43)}`,
      '/artwork/local/artists/ab/none.webp',
    ]) {
      const answer = await ask(path)
      statuses.push(answer.status)
      noStore(answer)
    }
    expect(statuses).toEqual([400, 400, 404, 415, 415, 502, 400, 403, 404])
  },
  H34: async (via) => {
    const { ask } = await withPoster(
      via,
      { transform: { concurrency: 1, queue: 0 } },
      image(await jpeg(3000, 2000)),
    )
    await ask(POSTER)
    const answers = await Promise.all(
      ['png', 'webp', 'gif'].map((format) => ask(`/images/poster/w500-${format}/x.jpg`)),
    )
    const refused = answers.filter(({ status }) => status === 503)
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 503, 503])
    for (const answer of refused) {
      const seconds = Number(answer.headers['retry-after'])
      expect(seconds).toBeGreaterThanOrEqual(1)
      expect(seconds).toBeLessThanOrEqual(10)
      noStore(answer)
    }
  },
  H35: async (via) => {
    const { ask, askHot, clock } = await withPoster(via)
    expect((await ask(POSTER)).headers.age).toBeUndefined()
    expect((await askHot(POSTER)).headers.age).toBe('0')
    clock.now += 90_000
    const answer = await askHot(POSTER)
    expect(answer.headers.age).toBe('90')
    expect(answer.headers.date).toBeDefined()
    const { etag = '' } = answer.headers
    expect((await askHot(POSTER, { headers: { 'If-None-Match': etag } })).headers.age).toBe('90')
  },
  H36: async (via) => {
    const set = await withPoster(via)
    const { ask, askHot, clock, origin, bytes } = set
    const status = (answer: RawAnswer) => answer.headers['cache-status']
    expect(status(await ask(POSTER))).toBe('express-artwork; fwd=miss; fwd-status=200; stored; ttl=604800')
    expect(status(await askHot(POSTER))).toBe('express-artwork; hit; ttl=604800')
    clock.now += 7 * DAY + 30_000
    expect(status(await ask(POSTER))).toBe('express-artwork; hit; ttl=-30')
    clock.now += 3 * DAY
    origin.serve(tmdbPath(POSTER), { status: 304 })
    await set.artwork.images.refresh('poster/w500/x.jpg').catch(() => {})
    origin.serve('/t/p/w500/y.jpg', image(bytes, 'image/jpeg', { ETag: '"1"' }))
    await ask('/images/poster/w500/y.jpg')
    clock.now += 9 * DAY
    origin.serve('/t/p/w500/y.jpg', { status: 304, headers: { ETag: '"1"' } })
    expect(status(await ask('/images/poster/w500/y.jpg'))).toBe(
      'express-artwork; fwd=stale; fwd-status=304; ttl=604800',
    )
    origin.serve('/t/p/w500/z.jpg', (_req, res) => {
      setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes), 100)
    })
    const two = await Promise.all([1, 2].map(() => ask('/images/poster/w500/z.jpg')))
    expect(two.map(status).sort()).toEqual([
      'express-artwork; fwd=miss; collapsed',
      'express-artwork; fwd=miss; fwd-status=200; stored; ttl=604800',
    ])
    const quiet = await withPoster(via, { cacheStatus: false })
    expect(status(await quiet.askHot(POSTER))).toBeUndefined()
  },
  H37: async (via) => {
    const { ask, askHot, origin, artwork } = await withPoster(via)
    const rule = async (path: string) => (await askHot(path)).headers['cache-control']
    const entity = 'public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800'
    const forever = 'public, max-age=31536000, immutable'
    expect(await rule(POSTER)).toBe('public, max-age=604800, immutable')
    origin.serve('/a.jpg', image(await jpeg(400, 400)))
    const path = `/images/${remoteAddress(`${origin.url}/a.jpg`)}`
    expect(await rule(path)).toBe(entity)
    const { digest } = await artwork.images.getImage(remoteAddress(`${origin.url}/a.jpg`))
    expect(await rule(`${path}?v=${digest.slice(0, 16)}`)).toBe(forever)
    // A version that is wrong may be any text: no table keeps its answer.
    const wrong = await ask(`${path}?v=0000000000000000`)
    expect(wrong.headers['cache-control']).toBe('public, max-age=60')
    const saved = await artwork.images.downloadAndCache({
      sourceUrl: `${origin.url}/a.jpg`,
      entityType: 'artist',
      entityId: '7',
    })
    const local = saved.url ?? ''
    expect(await rule(local)).toBe(forever)
    expect(await rule(local.split('?')[0] ?? '')).toBe(entity)
    expect((await ask('/artwork/local/artists/9/9.webp?v=0000000000000000')).status).toBe(404)
  },
  H38: async (via) => {
    const { ask, askHot, origin } = await withPoster(via)
    await ask(POSTER)
    for (const rule of ['no-cache', 'max-age=0', 'no-store'])
      for (let time = 0; time < 5; time += 1)
        expect(
          (await askHot(POSTER, { headers: { 'Cache-Control': rule, Pragma: 'no-cache' } })).status,
        ).toBe(200)
    expect(origin.hits()).toBe(1)
  },
  H39: async (via) => {
    const { ask, askHot, origin } = await withPoster(via)
    const headers = { 'Cache-Control': 'only-if-cached' }
    for (const path of [POSTER, '/images/poster/w500-webp/x.jpg', '/images/poster/w500-auto/x.jpg']) {
      const answer = await ask(path, { headers })
      expect(answer.status, path).toBe(504)
      noStore(answer)
    }
    expect(origin.hits()).toBe(0)
    expect((await askHot(POSTER, { headers })).status).toBe(200)
  },
  H40: async (via) => {
    const { ask, askHot, origin, artwork } = await withPoster(via)
    const plain = await askHot(POSTER)
    for (const query of ['utm=1', 'utm=2&x=%20', 'v', '']) {
      const answer = await ask(`${POSTER}?${query}`)
      expect([answer.status, answer.headers.etag]).toEqual([200, plain.headers.etag])
    }
    expect(origin.hits()).toBe(1)
    expect(artwork.images.stats().names).toBe(1)
  },
  H41: async (via) => {
    const { ask } = await withPoster(via)
    for (const path of ['/images/poster/w500/none.jpg', '/artwork/local/artists/ab/none.webp'])
      expect((await ask(path, { headers: { 'If-None-Match': '"x"' } })).status).toBe(404)
  },
  H42: async (via) => {
    const { askHot, artwork } = await withPoster(via)
    const { digest } = await artwork.images.getImage('poster/w500/x.jpg')
    const wanted = `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:`
    const headers = { 'Want-Repr-Digest': 'sha-256=5' }
    const of = async (request: RawRequest) => (await askHot(POSTER, request)).headers['repr-digest']
    expect(await of({ headers })).toBe(wanted)
    expect(await of({ headers, method: 'HEAD' })).toBe(wanted)
    expect(await of({ headers: { ...headers, Range: 'bytes=0-9' } })).toBe(wanted)
    expect(await of({ headers: { 'Want-Repr-Digest': 'sha-256=0, md5=3' } })).toBeUndefined()
    expect(await of({})).toBeUndefined()
  },
  H43: async (via) => {
    const noise = await png(1400, 1400)
    const big = Buffer.concat([noise, Buffer.alloc(8_000_000)])
    const set = await withPoster(via, { sendTimeout: 300 }, image(big, 'image/png'))
    expect((await set.ask(POSTER)).body.length).toBe(big.length)
    const { port } = new URL(set.url)
    const received = await new Promise<number>((resolve) => {
      let count = 0
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(`GET ${POSTER} HTTP/1.1\r\nHost: x\r\n\r\n`)
        socket.pause()
        // Reads a little, so that the connection is never idle.
        const timer = setInterval(() => {
          const piece = socket.read(1)
          count += piece === null ? 0 : 1
        }, 20)
        socket.once('close', () => {
          clearInterval(timer)
          resolve(count)
        })
        setTimeout(() => socket.resume(), 900)
      })
      socket.on('data', (piece) => {
        count += piece.length
      })
      socket.on('error', () => {})
    })
    expect(received).toBeLessThan(big.length)
  },
  H44: async (via) => {
    const { ask, askHot, origin, artwork } = await withPoster(via)
    expect((await askHot(POSTER)).headers['content-disposition']).toBe(
      `inline; filename="x.jpg"; filename*=UTF-8''x.jpg`,
    )
    origin.serve('/t/p/original/logo.svg', image(SVG, 'image/svg+xml'))
    const logo = await askHot('/images/logo/original/logo.svg')
    expect(logo.headers['content-disposition']).toMatch(/^attachment; filename="logo.svg"/)
    expect(logo.headers['content-security-policy']).toContain('sandbox')
    const placeholder = await ask('/static/images/placeholder.svg')
    expect(placeholder.headers['content-disposition']).toMatch(/^inline; filename="placeholder.svg"/)
    origin.serve('/a.jpg', image(await jpeg(400, 400)))
    const saved = await artwork.images.downloadAndCache({
      sourceUrl: `${origin.url}/a.jpg`,
      entityType: 'category',
      entityId: 'Just "Chatting"\u00e9',
    })
    const field = (await askHot(saved.url ?? '')).headers['content-disposition'] ?? ''
    expect(field).toMatch(/^inline; filename="[A-Za-z0-9._-]+"; filename\*=UTF-8''[A-Za-z0-9._%-]+$/)
  },
  H45: async (via) => {
    const headers = { Origin: 'https://evil.test' }
    const open = await withPoster(via)
    const any = (await open.askHot(POSTER, { headers })).headers
    expect([any['access-control-allow-origin'], any['access-control-allow-credentials'], any.vary]).toEqual([
      '*',
      undefined,
      undefined,
    ])
    const listed = await withPoster(via, { cors: 'https://app.example' })
    const one = (await listed.askHot(POSTER, { headers })).headers
    expect([one['access-control-allow-origin'], one.vary]).toEqual(['https://app.example', 'Origin'])
    const wrong = await listed.ask('/images/poster/w1/x.jpg', { headers })
    expect([wrong.status, wrong.headers['access-control-allow-origin'], wrong.headers.vary]).toEqual([
      400,
      'https://app.example',
      'Origin',
    ])
  },
  ...asCache(),
}

/** H25–H31: `auto` variants. */
function negotiation(): Record<string, (via: Via) => Promise<void>> {
  const AUTO = '/images/poster/w500-auto/x.jpg'
  const accepting = (set: Awaited<ReturnType<typeof withPoster>>, accept?: string) =>
    set.askHot(AUTO, accept === undefined ? {} : { headers: { Accept: accept } })
  const typeAndVary = ({ status, headers }: RawAnswer) => [status, headers['content-type'], headers.vary]
  const JPEG = [200, 'image/jpeg', 'Accept']
  return {
    H25: async (via) => {
      const set = await withPoster(via)
      const modern = await accepting(set, 'image/avif,image/webp,*/*')
      expect(typeAndVary(modern)).toEqual([200, 'image/webp', 'Accept'])
      const conditional = await set.askHot(AUTO, {
        headers: { Accept: 'image/avif,image/webp,*/*', 'If-None-Match': modern.headers.etag ?? '' },
      })
      expect([conditional.status, conditional.headers.vary]).toEqual([304, 'Accept'])
      // AVIF takes long: WebP at once, for a short time, until it is there.
      const avif = await withPoster(via, { transform: { formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] } })
      const headers = { Accept: 'image/avif,image/webp,*/*' }
      const first = await avif.ask(AUTO, { headers })
      expect(typeAndVary(first)).toEqual([200, 'image/webp', 'Accept'])
      expect(first.headers['cache-control']).toBe('public, max-age=30')
      await eventually(async () =>
        expect(typeAndVary(await avif.ask(AUTO, { headers }))).toEqual([200, 'image/avif', 'Accept']),
      )
      const later = await avif.askHot(AUTO, { headers })
      expect(later.headers['cache-control']).toBe('public, max-age=604800, immutable')
      expect(sniff(later.body)).toBe('avif')
      expect(later.headers.etag).not.toBe(first.headers.etag)
      expect(typeAndVary(await avif.askHot(AUTO, { headers: { Accept: 'image/webp,*/*' } }))).toEqual([
        200,
        'image/webp',
        'Accept',
      ])
    },
    H26: async (via) =>
      expect(typeAndVary(await accepting(await withPoster(via), 'image/jpeg'))).toEqual(JPEG),
    H27: async (via) => {
      const set = await withPoster(via)
      expect(typeAndVary(await accepting(set))).toEqual(JPEG)
      expect(typeAndVary(await accepting(set, '*/*'))).toEqual(JPEG)
    },
    H28: async (via) => {
      const set = await withPoster(via)
      expect(typeAndVary(await accepting(set, 'image/webp;q=0, */*'))).toEqual(JPEG)
      expect(typeAndVary(await accepting(set, 'image/webp;q=0.1, image/jpeg'))).toEqual(JPEG)
    },
    H29: async (via) =>
      expect(typeAndVary(await accepting(await withPoster(via), 'text/html'))).toEqual(JPEG),
    H30: async (via) => {
      const set = await withPoster(via)
      const answer = await set.askHot('/images/poster/w500-png/x.jpg', { headers: { Accept: 'image/webp' } })
      expect(typeAndVary(answer)).toEqual([200, 'image/png', undefined])
    },
    H31: async (via) => {
      const set = await withPoster(via)
      const parts = [
        'image/webp',
        'image/avif',
        'image/jpeg',
        'image/*',
        '*/*',
        'text/html',
        'x',
        ';;',
        'image/webp;q=',
      ]
      let random = 3
      const next = (below: number): number => {
        random = (random * 16_807) % 2_147_483_647
        return random % below
      }
      const types = new Set<string | undefined>()
      for (let index = 0; index < 1000; index += 1) {
        const Accept = Array.from(
          { length: 1 + next(4) },
          () => `${parts[next(parts.length)]};q=0.${next(10)}`,
        ).join(',')
        const answer = await set.ask(AUTO, { headers: { Accept } })
        expect([answer.status, answer.headers.vary]).toEqual([200, 'Accept'])
        types.add(answer.headers['content-type'])
      }
      expect([...types].sort()).toEqual(['image/jpeg', 'image/webp'])
      expect(set.artwork.images.stats().names).toBeLessThanOrEqual(3)
    },
  }
}

/** P01–P23: as a cache of what upstream says. `strict` where RFC 9111 is meant to the letter. */
function asCache(): Record<string, (via: Via) => Promise<void>> {
  /** A remote picture, asked for under `freshness.upstream`. */
  const withRemote = async (
    via: Via,
    headers: Record<string, string>,
    upstream: 'strict' | 'bounded' = 'strict',
  ) => {
    const set = await stage(via, { freshness: { upstream } })
    set.artwork.start()
    const bytes = await jpeg(300, 200)
    set.origin.serve('/a.jpg', image(bytes, 'image/jpeg', headers))
    const path = `/images/${remoteAddress(`${set.origin.url}/a.jpg`)}`
    return {
      ...set,
      bytes,
      path,
      /** Status after `seconds`, and how many requests upstream has seen then. */
      after: async (seconds: number) => {
        set.clock.now += seconds * 1000
        const { status } = await set.ask(path)
        return [status, set.origin.hits('/a.jpg')]
      },
    }
  }
  return {
    H46: async (via) => {
      const { url } = await stage(via, { sources: [uploads({ authorize: () => true, maxBytes: 1000 })] })
      const { port } = new URL(url)
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      let [answer, sent] = ['', 0]
      socket.write(
        'POST /images/photos HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n',
      )
      await new Promise<void>((resolve) => {
        const chunk = Buffer.alloc(64 * 1024)
        socket.on('data', (piece) => {
          const isFirst = answer === ''
          answer += piece
          // A client that got 100 Continue sends until it is stopped.
          const more = (): void => {
            while (!socket.destroyed && sent < 100_000_000) {
              sent += chunk.length
              if (!socket.write(chunk)) return void socket.once('drain', more)
            }
          }
          if (isFirst && answer.startsWith('HTTP/1.1 100')) more()
        })
        socket.on('close', () => resolve())
      })
      expect(answer).toMatch(/HTTP\/1\.1 413/)
      expect(answer).toMatch(/\r\nConnection: close\r\n/i)
      expect(sent).toBeLessThan(20_000_000)
    },
    P01: async (via) => {
      const { ask, origin } = await withPoster(via)
      await ask(POSTER, {
        headers: {
          Cookie: 'a=b',
          Authorization: 'Basic x',
          Referer: 'http://page/',
          Range: 'bytes=0-9',
          'If-None-Match': '"x"',
          'Accept-Encoding': 'br',
          'User-Agent': 'browser',
          'X-Forwarded-For': '1.2.3.4',
        },
      })
      expect(origin.hits()).toBe(1)
      const { host: _host, connection: _connection, ...headers } = origin.seen[0]?.headers ?? {}
      expect(headers).toEqual({
        accept: expect.stringContaining('image/'),
        'accept-encoding': 'identity',
        'user-agent': expect.stringMatching(/^express-artwork/),
        via: expect.stringMatching(/^1\.1 express-artwork \([0-9a-f]{12}\)$/),
      })
    },
    P02: async (via) => {
      const { after, origin } = await withRemote(via, {
        'Cache-Control': 'max-age=60',
        ETag: '"1"',
        'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      })
      expect(await after(0)).toEqual([200, 1])
      expect(await after(59)).toEqual([200, 1])
      expect(await after(2)).toEqual([200, 2])
      expect(origin.seen.at(-1)?.headers).toMatchObject({
        'if-none-match': '"1"',
        'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT',
      })
    },
    P03: async (via) => {
      const { after, ask, origin, path, bytes } = await withRemote(via, {
        'Cache-Control': 'max-age=60',
        ETag: '"1"',
      })
      await after(0)
      origin.serve('/a.jpg', {
        status: 304,
        headers: {
          'Cache-Control': 'max-age=600',
          ETag: '"2"',
          'Content-Length': '5',
          'Content-Type': 'text/html',
        },
      })
      expect(await after(61)).toEqual([200, 2])
      const kept = await ask(path)
      expect([kept.body.equals(bytes), kept.headers['content-type']]).toEqual([true, 'image/jpeg'])
      expect(await after(590)).toEqual([200, 2])
      // It says nothing of freshness now: what it said before stays.
      origin.serve('/a.jpg', { status: 304 })
      expect(await after(20)).toEqual([200, 3])
      expect(origin.seen.at(-1)?.headers['if-none-match']).toBe('"2"')
      expect(await after(590)).toEqual([200, 3])
    },
    P04: async (via) => {
      const { ask, artwork } = await withPoster(via, {}, { status: 304 })
      const answer = await ask(POSTER)
      expect(answer.status).toBe(502)
      noStore(answer)
      expect(artwork.images.stats().names).toBe(0)
    },
    P05: async (via) => {
      const later = new Date(Date.now() + 3000 * 1000).toUTCString()
      for (const [rule, seconds] of [
        ['s-maxage=100, max-age=1000', 100],
        ['max-age=1000', 1000],
      ] as const) {
        const { after } = await withRemote(via, { 'Cache-Control': rule, Expires: later })
        await after(0)
        expect(await after(seconds - 1)).toEqual([200, 1])
        expect(await after(2)).toEqual([200, 2])
      }
      const { after, clock } = await withRemote(via, {
        Expires: new Date(Date.now() + 500_000).toUTCString(),
        Date: new Date().toUTCString(),
      })
      expect(clock.now).toBeGreaterThan(0)
      await after(0)
      expect(await after(480)).toEqual([200, 1])
      expect(await after(40)).toEqual([200, 2])
    },
    P06: async (via) => {
      for (const rule of ['no-store', 'private', 'private, max-age=600']) {
        const strict = await withRemote(via, { 'Cache-Control': rule })
        expect(await strict.after(0)).toEqual([200, 1])
        expect(await strict.after(0)).toEqual([200, 2])
        expect((await strict.ask(strict.path)).headers['cache-status']).not.toContain('stored')
        const webp = strict.path.replace('/original/', '/w160-webp/')
        expect((await strict.ask(webp)).status).toBe(200)
        expect(strict.artwork.images.stats()).toMatchObject({ names: 0, bytes: 0 })
        const bounded = await withRemote(via, { 'Cache-Control': rule }, 'bounded')
        expect(await bounded.after(0)).toEqual([200, 1])
        expect(await bounded.after(3000)).toEqual([200, 1])
      }
      // Concurrent requests share what is under way.
      const { ask, origin, path, bytes } = await withRemote(via, {})
      origin.serve('/a.jpg', (_req, res) => {
        const headers = { 'Content-Type': 'image/jpeg', 'Cache-Control': 'no-store' }
        setTimeout(() => res.writeHead(200, headers).end(bytes), 100)
      })
      const many = await Promise.all(Array.from({ length: 20 }, () => ask(path)))
      expect(many.every((answer) => answer.status === 200 && answer.body.equals(bytes))).toBe(true)
      expect(origin.hits('/a.jpg')).toBe(1)
    },
    P07: async (via) => {
      for (const rule of [
        'max-age=60, must-revalidate',
        'max-age=60, proxy-revalidate',
        's-maxage=60',
        'no-cache',
        'max-age=60, must-revalidate, stale-if-error=600',
      ]) {
        const strict = await withRemote(via, { 'Cache-Control': rule })
        await strict.after(0)
        strict.origin.fail(503)
        expect((await strict.after(61))[0], rule).toBe(504)
        const bounded = await withRemote(via, { 'Cache-Control': rule }, 'bounded')
        await bounded.after(0)
        bounded.origin.fail(503)
        expect((await bounded.after(20 * 86_400))[0], rule).toBe(200)
      }
    },
    P08: async (via) => {
      const { after, artwork, origin, ask, path } = await withRemote(via, {
        'Cache-Control': 'max-age=60, stale-while-revalidate=30',
      })
      await after(0)
      expect((await after(70))[0]).toBe(200)
      await eventually(() => expect(origin.hits('/a.jpg')).toBe(2))
      await artwork.refresher.idle()
      // The upstream's Date has whole seconds.
      expect((await ask(path)).headers['cache-status']).toMatch(/^express-artwork; hit; ttl=(?:60|59)$/)
      expect(origin.hits('/a.jpg')).toBe(2)
      // Past it, the client waits for the answer.
      expect(await after(91)).toEqual([200, 3])
    },
    P09: async (via) => {
      for (const status of [500, 502, 503, 504]) {
        const { after, origin } = await withRemote(via, { 'Cache-Control': 'max-age=60, stale-if-error=300' })
        await after(0)
        origin.fail(status)
        expect((await after(200))[0]).toBe(200)
        expect((await after(170))[0]).toBe(504)
      }
      const cut = await withRemote(via, { 'Cache-Control': 'max-age=60, stale-if-error=300' })
      await cut.after(0)
      await cut.origin.close()
      expect((await cut.after(200))[0]).toBe(200)
    },
    P10: async (via) => {
      const { after } = await withRemote(via, { 'Cache-Control': 'max-age=60', Age: '50' })
      await after(0)
      expect(await after(9)).toEqual([200, 1])
      expect(await after(2)).toEqual([200, 2])
    },
    P11: async (via) => {
      for (const rule of ['max-age=abc', 'max-age=-1', 'max-age=1.5', 'max-age=0, max-age=600']) {
        const { after } = await withRemote(via, { 'Cache-Control': rule })
        await after(0)
        expect(await after(1), rule).toEqual([200, 2])
      }
      const { after } = await withRemote(via, { 'Cache-Control': 'max-age=99999999999' })
      await after(0)
      expect(await after(2 ** 31 - 10)).toEqual([200, 1])
      expect(await after(20)).toEqual([200, 2])
    },
    P12: async (via) => {
      const ago = (days: number) => new Date(Date.now() - days * DAY).toUTCString()
      const tenth = await withRemote(via, { 'Last-Modified': ago(5) })
      await tenth.after(0)
      expect(await tenth.after(11 * 3600)).toEqual([200, 1])
      expect(await tenth.after(2 * 3600)).toEqual([200, 2])
      const capped = await withRemote(via, { 'Last-Modified': ago(400) })
      await capped.after(0)
      expect(await capped.after(86_390)).toEqual([200, 1])
      expect(await capped.after(20)).toEqual([200, 2])
    },
    P13: async (via) => {
      for (const [vary, hits] of [
        ['*', 2],
        ['Accept', 1],
        ['Cookie', 1],
      ] as const) {
        const { after } = await withRemote(via, { 'Cache-Control': 'max-age=600', Vary: vary })
        await after(0)
        expect(await after(1), vary).toEqual([200, hits])
      }
    },
    P14: async (via) => {
      const { ask, askHot } = await withPoster(
        via,
        {},
        image(await jpeg(50, 50), 'image/jpeg', { 'Set-Cookie': 'tracker=1' }),
      )
      expect(JSON.stringify((await ask(POSTER)).headers)).not.toContain('tracker')
      expect(JSON.stringify((await askHot(POSTER)).headers)).not.toContain('tracker')
    },
    P15: async (via) => {
      const bytes = await jpeg(50, 50)
      const { length } = bytes
      const partial = (range: string, body: Buffer): Answer => ({
        status: 206,
        headers: { 'Content-Type': 'image/jpeg', 'Content-Range': range },
        body,
      })
      for (const [answer, status] of [
        [partial(`bytes 0-${length - 1}/${length}`, bytes), 200],
        [partial(`bytes 0-${length - 1}/${length + 9}`, bytes), 502],
        [partial(`bytes 9-${length - 1}/${length}`, bytes.subarray(9)), 502],
        [partial('bytes */5', bytes), 502],
      ] as const)
        expect((await (await withPoster(via, {}, answer)).ask(POSTER)).status).toBe(status)
    },
    P16: async (via) => {
      const bytes = await jpeg(50, 50)
      const wires: Record<string, (length: number) => string> = {
        shorter: (length) => `Content-Length: ${length + 10}\r\n\r\n`,
        longer: (length) => `Content-Length: ${length - 10}\r\n\r\n`,
      }
      for (const head of Object.values(wires)) {
        const { ask, artwork } = await withPoster(via, {}, (_req, res) => {
          res.socket?.write(`HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n${head(bytes.length)}`)
          res.socket?.end(bytes)
        })
        expect((await ask(POSTER)).status).toBe(502)
        expect(artwork.images.stats().names).toBe(0)
      }
      const { ask, artwork } = await withPoster(via, {}, (_req, res) => {
        res.socket?.write('HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n')
        res.socket?.write(`${bytes.length.toString(16)}\r\n`)
        res.socket?.end(bytes)
      })
      expect((await ask(POSTER)).status).toBe(502)
      expect(artwork.images.stats().names).toBe(0)
    },
    P17: async (via) => {
      const { ask, artwork, origin, bytes } = await withPoster(via)
      expect(await artwork.images.validateImage(`${origin.url}${tmdbPath(POSTER)}`)).toBe(true)
      expect(origin.seen.map(({ method }) => method)).toEqual(['HEAD'])
      expect(artwork.images.stats().names).toBe(0)
      expect((await ask(POSTER)).body.equals(bytes)).toBe(true)
    },
    P18: async (via) => {
      const { ask, origin, bytes, artwork } = await withPoster(via)
      let isFailing = false
      origin.serve(tmdbPath(POSTER), (_req, res) => {
        setTimeout(() => {
          if (isFailing) res.writeHead(500).end()
          else res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes)
        }, 1000)
      })
      const leader = new AbortController()
      const gone = artwork.images.getImage('poster/w500/x.jpg', { signal: leader.signal }).catch(() => 'gone')
      const many = Promise.all(Array.from({ length: 1000 }, () => ask(POSTER)))
      setTimeout(() => leader.abort(), 500)
      expect(await gone).toBe('gone')
      expect((await many).every((answer) => answer.status === 200 && answer.body.equals(bytes))).toBe(true)
      expect(origin.hits()).toBe(1)
      isFailing = true
      origin.serve('/t/p/w500/y.jpg', (_req, res) => void setTimeout(() => res.writeHead(500).end(), 150))
      const failed = await Promise.all(Array.from({ length: 50 }, () => ask('/images/poster/w500/y.jpg')))
      expect(new Set(failed.map((answer) => answer.status))).toEqual(new Set([502]))
      expect(origin.hits('/t/p/w500/y.jpg')).toBe(1)
    },
    P19: async (via) => {
      const { ask, origin, bytes } = await withPoster(via)
      const answer = await ask(POSTER, { headers: { Range: 'bytes=5-14' } })
      expect([answer.status, bytesEqual(answer, bytes.subarray(5, 15))]).toEqual([206, true])
      expect(origin.seen[0]?.headers.range).toBeUndefined()
      expect(bytesEqual(await ask(POSTER), bytes)).toBe(true)
      expect(origin.hits()).toBe(1)
    },
    P20: async (via) => {
      const picture = await png(40, 40)
      for (const [type, body, status, served] of [
        ['text/html', picture, 415, 'text/plain; charset=utf-8'],
        ['image/jpeg', picture, 200, 'image/png'],
        ['application/octet-stream', picture, 200, 'image/png'],
        ['image/png', Buffer.from('<script>alert(1)</script>'), 415, 'text/plain; charset=utf-8'],
      ] as const) {
        const answer = await (await withPoster(via, {}, image(body, type))).ask(POSTER)
        expect([answer.status, answer.headers['content-type']], type).toEqual([status, served])
      }
      const untyped = await withPoster(via, {}, { body: picture })
      expect((await untyped.ask(POSTER)).headers['content-type']).toBe('image/png')
    },
    P21: async (via) => {
      const { ask, artwork } = await withPoster(
        via,
        {},
        image(await jpeg(50, 50), 'image/jpeg', { 'Content-Encoding': 'gzip' }),
      )
      expect((await ask(POSTER)).status).toBe(502)
      expect(artwork.images.stats().names).toBe(0)
    },
    P22: async (via) => {
      const { ask, askHot, origin, artwork, bytes } = await withPoster(via, {
        manage: { authorize: () => true },
      })
      const api = await listen(express().use('/api/images', artwork.manageRouter))
      const paths = [POSTER, '/images/poster/w500-webp/x.jpg', '/images/poster/w500-auto/x.jpg']
      for (const path of paths) await askHot(path)
      const other = await jpeg(500, 300, 1)
      expect(other.equals(bytes)).toBe(false)
      for (const forget of [
        () => artwork.images.remove('poster/w500/x.jpg'),
        () => artwork.images.purge({ address: 'poster/w500-webp/x.jpg' }),
        // The management API answers when it is done.
        async () => {
          const answer = await fetch(`${api.url}/api/images/purge`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: '{"address":"poster/w500/x.jpg"}',
          })
          expect(answer.status).toBe(200)
        },
      ]) {
        const before: (string | undefined)[] = []
        for (const path of paths) before.push((await askHot(path)).headers.etag)
        origin.serve(tmdbPath(POSTER), image(origin.hits() % 2 === 1 ? other : bytes))
        await forget()
        expect(artwork.images.stats()).toMatchObject({ names: 0, bytes: 0 })
        const after: (string | undefined)[] = []
        for (const path of paths) after.push((await ask(path)).headers.etag)
        after.forEach((tag, index) => {
          expect(tag).not.toBe(before[index])
        })
      }
    },
    P23: async (via) => {
      const { ask, origin, artwork } = await stage(via)
      origin.serve('/a?b', image(await jpeg(50, 50)))
      const { port } = new URL(origin.url)
      const status = async (url: string) => (await ask(`/images/${remoteAddress(url)}`)).status
      expect(await status(`HTTP://127.0.0.1:${port}/a?b#c`)).toBe(200)
      expect(await status(`http://127.0.0.1:${port}/a?b`)).toBe(200)
      expect(origin.hits()).toBe(1)
      expect(artwork.images.stats().names).toBe(1)
    },
  }
}

test('every item has its test, or its reason', () => {
  const ids = items.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(tests[id], id).toBeDefined()
  for (const id of Object.keys(tests)) expect(ids).toContain(id)
})

describe.each<Via>(['Express', 'listener'])('through %s', (via) => {
  test.each(
    items.filter(({ id }) => tests[id] !== undefined).map(({ id, request }) => [id, request] as const),
  )('%s: %s', async (id) => {
    await tests[id]?.(via)
  })
})

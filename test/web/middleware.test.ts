/** Beside the middleware that apps have: compression, sessions, HTTP/2. */

import { connect, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import { createRequire } from 'node:module'
import compression from 'compression'
import cookieSession from 'cookie-session'
import express, { type RequestHandler } from 'express'
import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { ask } from '../support/raw-http.js'
import { atEnd, listen, quietLogger, remoteAddress, startApp, type TestApp } from '../support/toolkit.js'

const express4: typeof express = createRequire(import.meta.url)('express4')
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">${'<path d="M0 0h9v9z"/>'.repeat(400)}</svg>`

async function behind(
  middleware: RequestHandler,
  options = {},
): Promise<TestApp & { svg: string; jpg: string }> {
  const app = await startApp({ transform: { isolate: false }, ...options })
  app.origin.serve('/p.svg', image(SVG, 'image/svg+xml'))
  app.origin.serve('/p.jpg', image(await jpeg(60, 40)))
  const { url } = await listen(express().use(middleware, app.artwork.router))
  return {
    ...app,
    url,
    svg: `/images/${remoteAddress(`${app.origin.url}/p.svg`)}`,
    jpg: `/images/${remoteAddress(`${app.origin.url}/p.jpg`)}`,
  }
}

describe('behind compression() (mended 31)', () => {
  test('a whole SVG may be encoded; a part of it is a part of what its length says (RFC 9110 §14.4)', async () => {
    const { url, svg } = await behind(compression({ threshold: 0 }) as RequestHandler)
    const encoded = { 'Accept-Encoding': 'gzip' }
    for (let time = 0; time < 3; time += 1) {
      const whole = await ask(url, svg, { headers: encoded })
      expect([whole.status, whole.headers['content-encoding']]).toEqual([200, 'gzip'])
      const part = await ask(url, svg, { headers: { ...encoded, Range: 'bytes=100-1999' } })
      expect([part.status, part.headers['content-range'], part.headers['content-encoding']]).toEqual([
        206,
        `bytes 100-1999/${SVG.length}`,
        undefined,
      ])
      expect(part.body.toString()).toBe(SVG.slice(100, 2000))
    }
  })
})

describe.each<[string, () => RequestHandler]>([
  [
    'express-session',
    () =>
      session({ secret: 'a secret', resave: true, saveUninitialized: true, rolling: true }) as RequestHandler,
  ],
  [
    'cookie-session',
    () => {
      const make = cookieSession({ secret: 'a secret' }) as RequestHandler
      return (req, res, next) =>
        void make(req, res, () => {
          Object.assign((req as unknown as { session: object }).session, { seen: Math.random() })
          next()
        })
    },
  ],
  ['res.cookie', () => (_req, res, next) => void next(res.cookie('a', 'b') && undefined)],
  [
    'both in one',
    () => {
      const [one, other] = [session({ secret: 'x y', resave: true, saveUninitialized: true }), compression()]
      return (req, res, next) =>
        void one(req, res, (error?: unknown) =>
          error ? next(error) : other(req as never, res as never, next),
        )
    },
  ],
])('behind %s (mended 31)', (_name, make) => {
  test('no cookie goes out with what shared caches keep, hot or cold; private answers have theirs', async () => {
    const { url, jpg, svg } = await behind(make())
    for (const path of [jpg, jpg, jpg, svg, svg, '/static/images/placeholder.svg']) {
      const { status, headers } = await ask(url, path)
      expect([status, headers['cache-control']]).toEqual([200, expect.stringMatching(/^public/)])
      expect(headers['set-cookie'], path).toBeUndefined()
      expect(headers['content-type'], path).toMatch(/^image\//)
    }
    expect((await ask(url, jpg, { headers: { Range: 'bytes=0-3' } })).headers['set-cookie']).toBeUndefined()
    expect((await ask(url, '/images/nothing/w100/x')).headers['set-cookie']).toBeDefined()
    const own = await behind(make(), { private: true })
    expect((await ask(own.url, own.jpg)).headers).toMatchObject({
      'cache-control': expect.stringMatching(/^private/),
      'set-cookie': expect.any(String),
    })
  })
})

describe('HTTP/2 (mended 29)', () => {
  async function over(handler: Parameters<TestApp['artwork']['listener']>[0], app: TestApp) {
    const server: Http2Server = createHttp2Server(app.artwork.listener(handler) as never)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const client = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`)
    atEnd(async () => {
      client.close()
      await new Promise((resolve) => server.close(resolve))
    })
    return (path: string, headers = {}) =>
      new Promise<{ status: number; fields: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
        const stream = client.request({ ':path': path, ...headers })
        const pieces: Buffer[] = []
        let fields: Record<string, unknown> = {}
        stream.on('response', (found) => {
          fields = found
        })
        stream.on('data', (piece) => pieces.push(piece))
        stream.on('error', reject)
        stream.on('end', () =>
          resolve({ status: Number(fields[':status']), fields, body: Buffer.concat(pieces) }),
        )
        stream.end()
      })
  }
  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('an app of %s answers 505 to all of it, hot or cold, and is warned of once', async (_name, make) => {
    const logger = quietLogger()
    const app = await startApp({ logger, transform: { isolate: false } })
    app.origin.serve('/p.jpg', image(await jpeg(60, 40)))
    const path = `/images/${remoteAddress(`${app.origin.url}/p.jpg`)}`
    for (let time = 0; time < 3; time += 1) await (await app.get(path)).arrayBuffer()
    const get = await over(make().use(app.artwork.router) as never, app)
    for (const one of [path, path, '/elsewhere']) expect((await get(one)).status).toBe(505)
    expect(logger.lines.filter((line) => /does not know HTTP\/2/.test(line))).toHaveLength(1)
  })
  test('artwork.router without an app answers: cold, hot, conditional, in part, and what is none', async () => {
    const app = await startApp({ transform: { isolate: false } })
    const bytes = await jpeg(60, 40)
    app.origin.serve('/p.jpg', image(bytes))
    const path = `/images/${remoteAddress(`${app.origin.url}/p.jpg`)}`
    const get = await over(
      (req, res) => app.artwork.router(req as never, res as never, () => res.end('else')),
      app,
    )
    for (let time = 0; time < 3; time += 1) {
      const answer = await get(path)
      expect([answer.status, answer.body.equals(bytes)]).toEqual([200, true])
      expect((await get(path, { 'if-none-match': answer.fields.etag })).status).toBe(304)
    }
    expect((await get(path, { range: 'bytes=0-9' })).body.equals(bytes.subarray(0, 10))).toBe(true)
    expect((await get(path, { ':method': 'HEAD' })).body).toHaveLength(0)
    expect((await get('/images/x/y/z')).status).toBe(400)
    expect((await get('/static/images/placeholder.svg')).status).toBe(200)
    expect((await get('/elsewhere')).body.toString()).toBe('else')
  })
  test('beside a session no cookie goes out with what shared caches keep (mended 31)', async () => {
    const app = await startApp({ transform: { isolate: false } })
    app.origin.serve('/p.jpg', image(await jpeg(60, 40)))
    const path = `/images/${remoteAddress(`${app.origin.url}/p.jpg`)}`
    const keep = cookieSession({ secret: 'a secret' }) as RequestHandler
    const get = await over((req, res) => {
      void keep(req as never, res as never, () => {
        Object.assign((req as unknown as { session: object }).session, { seen: Math.random() })
        app.artwork.router(req as never, res as never, () => res.end('else'))
      })
    }, app)
    for (const one of [path, path, path, '/static/images/placeholder.svg']) {
      const { status, fields } = await get(one)
      expect([status, fields['set-cookie']]).toEqual([200, undefined])
    }
    expect((await get('/images/x/y/z')).fields['set-cookie']).toBeDefined()
  })
})

/** The JSON API from pages of other origins, and who has to say who they are (mended 21). */
import express from 'express'
import { optionsFromEnv, tmdb, uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { png } from '../../support/images.js'
import { ask } from '../../support/raw-http.js'
import { listen, startApp } from '../../support/toolkit.js'

const APP = 'https://app.example.com'

async function site(cors: readonly string[] | undefined, answer: unknown = true) {
  const authorize = (): never => answer as never
  const app = await startApp({
    transform: { isolate: false },
    sources: [tmdb(), uploads({ authorize, ...(cors && { cors }) })],
    manage: { authorize, ...(cors && { cors: [...cors] }) },
  })
  const { url } = await listen(express().use(app.artwork.router).use('/api/images', app.artwork.manageRouter))
  return {
    ...app,
    ask: (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
      ask(url, path, {
        method,
        body,
        headers: { 'Content-Length': `${Buffer.byteLength(body, 'latin1')}`, ...headers },
      }),
  }
}
const preflight = (origin: string, method = 'POST') => ({
  Origin: origin,
  'Access-Control-Request-Method': method,
  'Access-Control-Request-Headers': 'authorization,content-type',
})
const PATHS = [
  '/images/avatars',
  '/images/fetch',
  '/images/avatars/0123',
  '/api/images/jobs',
  '/api/images/sync',
]

describe('CORS (mended 21)', () => {
  test('is closed by default, and to origins that are not named', async () => {
    for (const one of [await site(undefined), await site([APP])])
      for (const path of PATHS) {
        const { headers } = await one.ask('OPTIONS', path, preflight('https://evil.example'))
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
        const call = await one.ask('POST', path, {
          Origin: 'https://evil.example',
          'Sec-Fetch-Site': 'cross-site',
        })
        expect([path, Object.keys(call.headers).filter((name) => name.startsWith('access-control'))]).toEqual(
          [path, []],
        )
        expect([path, [403, 405].includes(call.status)]).toEqual([path, true])
      }
  })
  test('an exact origin is let in, with credentials, and only there it says so', async () => {
    const one = await site([APP])
    for (const path of PATHS) {
      const { status, headers } = await one.ask('OPTIONS', path, preflight(APP))
      expect([path, status, headers]).toMatchObject([
        path,
        204,
        {
          'access-control-allow-origin': APP,
          'access-control-allow-credentials': 'true',
          'access-control-allow-headers': expect.stringContaining('Authorization'),
          'access-control-allow-methods': expect.stringContaining('OPTIONS'),
          vary: expect.stringContaining('Origin'),
        },
      ])
    }
    const cross = { Origin: APP, 'Sec-Fetch-Site': 'cross-site', 'Content-Type': 'image/png' }
    const saved = await one.ask('POST', '/images/avatars', cross, (await png()).toString('latin1'))
    expect([saved.status, saved.headers['access-control-allow-origin']]).toEqual([200, APP])
    const list = await one.ask('GET', '/images/avatars', cross)
    expect([list.status, list.headers['access-control-allow-credentials']]).toEqual([200, 'true'])
    const refresh = await one.ask(
      'POST',
      '/api/images/refresh',
      { Origin: APP, 'Content-Type': 'application/json' },
      '{}',
    )
    expect([refresh.status, refresh.headers['access-control-expose-headers']]).toEqual([
      202,
      expect.stringContaining('Location'),
    ])
    // Errors too, or a page could not read them.
    const bad = await one.ask(
      'POST',
      '/images/avatars',
      { ...cross, 'Content-Type': 'application/json' },
      '{}',
    )
    expect([bad.status, bad.headers['access-control-allow-origin']]).toEqual([422, APP])
    for (const origin of [
      'https://app.example.com.evil.example',
      'http://app.example.com',
      'null',
      `${APP}:8443`,
    ])
      expect((await one.ask('OPTIONS', '/images/avatars', preflight(origin))).headers).not.toHaveProperty(
        'access-control-allow-origin',
      )
  })
  test.each([['*'], ['https://a.example/'], ['https://a.example/x'], ['a.example'], ['ftp://a.example']])(
    '%s is no exact origin',
    async (origin) => {
      expect(() => uploads({ cors: [origin] })).toThrow(/uploads\.cors must be .*exact origins/)
      await expect(site([origin])).rejects.toThrow(/cors.*exact origins/)
    },
  )
})

describe('who has to say who they are (mended 21)', () => {
  test.each([
    ['false', false, 403],
    ['nothing', null, 403],
    ['a truthy text', 'yes', 403],
    ['unauthenticated', 'unauthenticated', 401],
  ])('authorize that answers %s', async (_name, answer, status) => {
    const one = await site(undefined, answer)
    for (const [method, path] of [
      ['POST', '/images/avatars'],
      ['GET', '/images/avatars'],
      ['GET', '/api/images/jobs'],
      ['GET', '/api/images/dashboard'],
    ] as const) {
      const answer = await one.ask(method, path)
      expect([path, answer.status]).toEqual([path, status])
      if (path !== '/api/images/dashboard')
        expect(answer.headers['www-authenticate']).toBe(
          status === 401 ? 'Bearer realm="express-artwork"' : undefined,
        )
    }
  })
  test('a service with tokens answers 401 to none and to a wrong one, and 403 where it is closed', async () => {
    const env = { ARTWORK_UPLOAD_TOKEN: 'an-upload-token', ARTWORK_MANAGE_TOKEN: 'a-manage-token' }
    const app = await startApp({ transform: { isolate: false }, ...optionsFromEnv(env) })
    const { url } = await listen(
      express().use(app.artwork.router).use('/api/images', app.artwork.manageRouter),
    )
    const status = async (path: string, authorization?: string) =>
      (await ask(url, path, { headers: authorization === undefined ? {} : { Authorization: authorization } }))
        .status
    for (const [path, token] of [
      ['/images/avatars', 'an-upload-token'],
      ['/api/images/jobs', 'a-manage-token'],
    ] as const)
      expect([
        await status(path),
        await status(path, 'Bearer wrong'),
        await status(path, `Bearer ${token}`),
      ]).toEqual([401, 401, 200])
    const closed = await startApp({ transform: { isolate: false }, ...optionsFromEnv({}) })
    const other = await listen(
      express().use(closed.artwork.router).use('/api/images', closed.artwork.manageRouter),
    )
    expect([
      (await ask(other.url, '/images/avatars')).status,
      (await ask(other.url, '/api/images/jobs')).status,
    ]).toEqual([403, 403])
  })
})

test('a refusal of another site names both hosts (mended 41)', async () => {
  const one = await site(undefined)
  const { status, body } = await one.ask('POST', '/api/images/refresh', {
    Origin: 'https://admin.example.com',
    Host: 'images.example.com',
  })
  expect([status, JSON.parse(body.toString()).detail]).toEqual([
    403,
    expect.stringMatching(/from https:\/\/admin\.example\.com, and went to images\.example\.com/),
  ])
})

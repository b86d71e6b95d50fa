/** Private namespaces of uploads: nothing of them is in an answer that others could get, and who may not read is told so. */
import express from 'express'
import {
  type ArtworkOptions,
  createArtwork,
  type NamespaceOptions,
  signAddress,
  type UploadsOptions,
  uploads,
} from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { atEnd, jsonPost, listen, quietLogger, temporaryFolder } from '../../support/toolkit.js'

/** Everything that tells shared caches to keep something, or how. */
const SHARED_FIELDS = ['cdn-cache-control', 'surrogate-control', 'cache-tag', 'surrogate-key', 'expires']
const KEY = 'a key of some length'

/** An app with a private and a public namespace, asked through the listener that is in front of it. */
async function startPrivate(
  own: NamespaceOptions = {},
  options: ArtworkOptions = {},
  common: UploadsOptions = {},
) {
  const logger = quietLogger()
  const artwork = await createArtwork({
    ...{ directory: await temporaryFolder(), logger, widths: [50, 60] },
    ...{ cdnCacheControl: true, cacheTags: true, signing: { keys: [KEY] } },
    transform: { isolate: false },
    ...options,
    sources: [
      uploads({
        ...common,
        namespaces: { letters: { private: true, ...own }, photos: {} },
        authorize: () => true,
      }),
    ],
  })
  atEnd(artwork.close)
  let entered = 0
  const app = express()
  app.disable('x-powered-by')
  app.use((_req, _res, next) => {
    entered += 1
    next()
  })
  app.use(artwork.router)
  const { url } = await listen(artwork.listener(app))
  const bytes = await jpeg(100, 80)
  const [letter, photo] = [
    await artwork.uploads.save('letters', bytes),
    await artwork.uploads.save('photos', bytes),
  ]
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const answer = await fetch(url + path, { method, headers, redirect: 'manual' })
    return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) }
  }
  return { artwork, url, get, letter, photo, logger, bytes, entered: () => entered }
}
const as = (user: string, more: Record<string, string> = {}) => ({ 'X-User': user, ...more })
const onlyAda: NamespaceOptions = { mayRead: (req) => req.headers['x-user'] === 'ada' }

describe('who may keep it', () => {
  test('private in every form: original, sizes, negotiated, parts, HEAD, 304, by version', async () => {
    const app = await startPrivate({ maxAge: 120 })
    const id = app.letter.imageId
    const etag = (await app.get(`/images/letters/${id}`)).headers.get('etag') ?? ''
    const forms: readonly (readonly [number, string, Record<string, string>, string?])[] = [
      [200, id, {}],
      [200, id, {}, 'HEAD'],
      [206, id, { Range: 'bytes=0-9' }],
      [304, id, { 'If-None-Match': etag }],
      [200, `${id}?v=0000000000000000`, {}],
      [200, `original/${id}`, {}],
      [200, `w50/${id}`, {}],
      [200, `w50-webp/${id}`, {}],
      [200, `w50-auto/${id}`, { Accept: 'image/webp' }],
    ]
    for (let time = 0; time < 3; time += 1)
      for (const [status, path, headers, method] of forms) {
        const answer = await app.get(`/images/letters/${path}`, headers, method)
        expect([answer.status, answer.headers.get('cache-control')], path).toEqual([
          status,
          'private, max-age=120, must-revalidate',
        ])
        for (const name of SHARED_FIELDS) expect(answer.headers.get(name), `${path} ${name}`).toBeNull()
      }
    // The version that its URL would be printed with makes it no more lasting.
    const printed = app.artwork.images.imageUrl(app.letter.url)
    expect((await app.get(printed)).headers.get('cache-control')).toMatch(/^private, max-age=120,/)
  })
  test('asked about each time, unless it says otherwise; what is public stays so beside it', async () => {
    const app = await startPrivate({}, {}, { maxAge: 3600 })
    const read = await app.get(`/images/letters/${app.letter.imageId}`)
    expect(read.headers.get('cache-control')).toBe('private, max-age=0, must-revalidate')
    const open = await app.get(`/images/photos/${app.photo.imageId}`)
    expect(open.headers.get('cache-control')).toBe('public, max-age=3600, immutable')
    expect(open.headers.get('cdn-cache-control')).toBe('public, max-age=3600, immutable')
    expect(open.headers.get('cache-tag')).toContain('kind-photos')
  })
  test('a public namespace has a time of its own', async () => {
    const artwork = await createArtwork({
      ...{ directory: await temporaryFolder(), logger: quietLogger(), transform: { isolate: false } },
      sources: [uploads({ namespaces: { photos: { maxAge: 60 }, others: {} } })],
    })
    atEnd(artwork.close)
    const { url } = await listen(express().use(artwork.router))
    for (const [name, maxAge] of [
      ['photos', 60],
      ['others', 86_400],
    ] as const) {
      const { imageId } = await artwork.uploads.save(name, await jpeg(10, 10))
      const answer = await fetch(`${url}/images/${name}/${imageId}`)
      expect(answer.headers.get('cache-control')).toBe(`public, max-age=${maxAge}, immutable`)
    }
  })
  test('no answer of it comes from in front of Express, where those of others do', async () => {
    const app = await startPrivate({ maxAge: 120 })
    const entries = (path: string) => async () => {
      for (let time = 0; time < 3; time += 1) await app.get(path)
      const before = app.entered()
      expect((await app.get(path)).status).toBe(200)
      return app.entered() - before
    }
    expect(await entries(`/images/photos/w50/${app.photo.imageId}`)()).toBe(0)
    for (const form of ['', 'w50/', 'w50-auto/'])
      expect(await entries(`/images/letters/${form}${app.letter.imageId}`)(), form).toBe(1)
  })
})

describe('who may read it', () => {
  test('401 and 403, kept by nobody, and without a placeholder in its place', async () => {
    const app = await startPrivate({
      mayRead: ({ headers }) =>
        headers['x-user'] === undefined ? 'unauthenticated' : headers['x-user'] === 'ada',
    })
    const browser = { 'Sec-Fetch-Dest': 'image', Accept: 'image/*' }
    for (const path of [app.letter.imageId, `w50/${app.letter.imageId}`, `w50-auto/${app.letter.imageId}`]) {
      for (let time = 0; time < 2; time += 1) {
        const read = await app.get(`/images/letters/${path}`, as('ada'))
        expect([read.status, read.headers.get('cache-control')]).toEqual([
          200,
          'private, max-age=0, must-revalidate',
        ])
      }
      for (const [headers, status] of [
        [{}, 401],
        [as('eve'), 403],
        [as('eve', browser), 403],
        [as('eve', { 'If-None-Match': '*' }), 403],
        [as('eve', { Range: 'bytes=0-9' }), 403],
      ] as const) {
        const refused = await app.get(`/images/letters/${path}`, headers)
        expect([refused.status, refused.headers.get('cache-control')]).toEqual([status, 'no-store'])
        expect(refused.headers.get('etag')).toBeNull()
        expect(refused.headers.get('content-type')).toBe('text/plain; charset=utf-8')
        expect(refused.headers.get('access-control-allow-origin')).toBeNull()
        if (status === 401) expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer/)
        for (const name of SHARED_FIELDS) expect(refused.headers.get(name), name).toBeNull()
      }
    }
  })
  test('it is asked about each request, 304 too, with the image and its namespace', async () => {
    const asked: unknown[] = []
    let isAllowed = true
    const app = await startPrivate({
      mayRead: async (_req, imageId, namespace) => {
        asked.push([namespace, imageId])
        return isAllowed
      },
    })
    const path = `/images/letters/w50/${app.letter.imageId}`
    const etag = (await app.get(path)).headers.get('etag') ?? ''
    expect((await app.get(path, { 'If-None-Match': etag })).status).toBe(304)
    isAllowed = false
    expect((await app.get(path, { 'If-None-Match': etag })).status).toBe(403)
    expect(asked).toEqual(Array.from({ length: 3 }, () => ['letters', app.letter.imageId]))
    expect((await app.get(`/images/photos/${app.photo.imageId}`)).status).toBe(200)
    expect(asked).toHaveLength(3)
  })
  test('what is not there looks the same to who may not read', async () => {
    const app = await startPrivate(onlyAda)
    const missing = `/images/letters/${'0'.repeat(32)}`
    const answers = [await app.get(missing), await app.get(`/images/letters/${app.letter.imageId}`)]
    expect(answers.map(({ status, body }) => [status, String(body)])).toEqual([
      [403, 'not authorised'],
      [403, 'not authorised'],
    ])
    expect((await app.get(missing, as('ada'))).status).toBe(404)
  })
  test('a request that waits for the same work of another gets nothing by it', async () => {
    const app = await startPrivate(onlyAda)
    for (const variant of ['w50-webp', 'w60', 'w60-auto']) {
      const path = `/images/letters/${variant}/${app.letter.imageId}`
      const users = ['ada', 'eve', 'ada', 'eve', 'ada', 'eve']
      const answers = await Promise.all(users.map((user) => app.get(path, as(user))))
      expect(answers.map(({ status }) => status)).toEqual([200, 403, 200, 403, 200, 403])
      for (const { status, headers } of answers)
        expect(headers.get('cache-control')).toBe(
          status === 200 ? 'private, max-age=0, must-revalidate' : 'no-store',
        )
    }
  })
  test('a signature opens sizes, and no image', async () => {
    const app = await startPrivate(onlyAda)
    const signed = signAddress(`/images/letters/w33/${app.letter.imageId}`, KEY)
    expect((await app.get(signed)).status).toBe(403)
    const read = await app.get(signed, as('ada'))
    expect([read.status, read.headers.get('cache-control')]).toEqual([
      200,
      'private, max-age=0, must-revalidate',
    ])
  })
  test('nor is it fetched or copied for a client of the JSON API', async () => {
    const app = await startPrivate(onlyAda)
    const url = app.url + app.letter.url
    const fetched = await fetch(`${app.url}/images/fetch`, jsonPost({ url }))
    expect([fetched.status, await fetched.json()]).toEqual([
      403,
      { detail: 'this image is for those alone who may read it' },
    ])
    const copied = await fetch(`${app.url}/images/photos/proxy`, jsonPost({ urls: [url] }))
    expect(await copied.json()).toEqual({ urls: {}, errors: { [url]: 'refused' } })
    expect((await fetch(`${app.url}/images/fetch`, jsonPost({ url: app.url + app.photo.url }))).status).toBe(
      200,
    )
    // The app's own code may have what it wants.
    expect((await app.artwork.images.getImage(`letters/w50/${app.letter.imageId}`)).width).toBe(50)
  })
  test('a function that throws refuses, and is logged', async () => {
    const app = await startPrivate({
      mayRead: () => {
        throw new Error('the database is away')
      },
    })
    expect((await app.get(`/images/letters/${app.letter.imageId}`)).status).toBe(403)
    expect(app.logger.lines).toContain('artwork: mayRead of uploads failed')
  })
})

describe('whose pages may read it', () => {
  const fields = (headers: Headers) =>
    [
      'access-control-allow-origin',
      'access-control-allow-credentials',
      'cross-origin-resource-policy',
      'vary',
    ].map((name) => headers.get(name))
  test('none of a private namespace, unless it names them, and then with credentials', async () => {
    const closed = await startPrivate()
    const from = (Origin: string) => ({ Origin })
    for (const path of [closed.letter.imageId, '0'.repeat(32)]) {
      const answer = await closed.get(`/images/letters/${path}`, from('https://app.example'))
      expect(fields(answer.headers)).toEqual([null, null, 'same-site', null])
    }
    expect(fields((await closed.get(`/images/photos/${closed.photo.imageId}`)).headers)).toEqual([
      '*',
      null,
      'cross-origin',
      null,
    ])
    const named = await startPrivate({ cors: ['https://app.example'], ...onlyAda })
    const path = `/images/letters/w50-auto/${named.letter.imageId}`
    for (let time = 0; time < 2; time += 1) {
      const allowed = await named.get(path, as('ada', from('https://app.example')))
      expect(fields(allowed.headers)).toEqual([
        'https://app.example',
        'true',
        'cross-origin',
        'Accept, Origin',
      ])
      const other = await named.get(path, as('ada', from('https://evil.example')))
      expect(fields(other.headers)).toEqual([null, null, 'same-site', 'Accept, Origin'])
    }
    // A page may see why it is refused.
    const refused = await named.get(path, as('eve', from('https://app.example')))
    expect([refused.status, ...fields(refused.headers).slice(0, 2)]).toEqual([
      403,
      'https://app.example',
      'true',
    ])
  })
  test('of a public one too: no answer for one origin is given to another', async () => {
    const app = await startPrivate({ private: false, cors: ['https://app.example'] })
    const path = `/images/letters/w50/${app.letter.imageId}`
    for (let time = 0; time < 3; time += 1)
      for (const origin of ['https://app.example', 'https://evil.example']) {
        const { headers } = await app.get(path, { Origin: origin })
        expect(headers.get('cache-control')).toBe('public, max-age=86400, immutable')
        expect(fields(headers)).toEqual(
          origin === 'https://app.example'
            ? [origin, 'true', 'cross-origin', 'Origin']
            : [null, null, 'cross-origin', 'Origin'],
        )
      }
  })
})

test('options that cannot be meant are refused', () => {
  const make = (own: object) => () => uploads({ namespaces: { letters: own } })
  expect(make({ private: 'yes' })).toThrow(
    new TypeError('uploads.namespaces.letters.private must be true or false, got "yes"'),
  )
  expect(make({ mayRead: true })).toThrow(/letters\.mayRead must be a function/)
  expect(make({ private: false, mayRead: () => true })).toThrow(/letters\.private must not be false/)
  expect(make({ cors: '*' })).toThrow(/letters\.cors must be a list of exact origins/)
  expect(make({ maxAge: 0 })).toThrow(/letters\.maxAge must be a whole number from 1/)
  expect(make({ private: true, maxAge: -1 })).toThrow(/letters\.maxAge must be a whole number from 0/)
  // All namespaces may be private, but one.
  const { namespace } = uploads({ private: true, namespaces: { a: {}, b: { private: false } } }).uploads
  expect([namespace('a').isPrivate, namespace('b').isPrivate, namespace('b').maxAge]).toEqual([
    true,
    false,
    86_400,
  ])
})

/** Forms of the app's own pages: what is stored of them, what goes on to the app, and that a refused one leaves nothing. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import {
  ArtworkError,
  type ArtworkOptions,
  createArtwork,
  type UploadFormOptions,
  type UploadsOptions,
  uploads,
} from 'express-artwork'
import session from 'express-session'
import multer from 'multer'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.js'
import { jpeg, png, SVG } from '../../support/images.js'
import { atEnd, listen, quietLogger, temporaryFolder } from '../../support/toolkit.js'

declare module 'express-session' {
  interface SessionData {
    user?: string
    csrf?: string
  }
}

interface Setup {
  readonly form?: UploadFormOptions
  readonly uploads?: UploadsOptions
  readonly options?: ArtworkOptions
  /** Middleware before the form. */
  readonly before?: readonly RequestHandler[]
}

/** What the app's own handlers saw. */
interface Seen {
  readonly bodies: unknown[]
  readonly errors: unknown[]
}

/** An app whose `/profile` takes a form, and answers what it has of it. */
async function startForm(setup: Setup = {}) {
  const directory = await temporaryFolder()
  const logger = quietLogger()
  const artwork = await createArtwork({
    ...{ directory, logger },
    transform: { isolate: false },
    ...setup.options,
    sources: [uploads({ namespaces: { photos: { fit: 100 } }, ...setup.uploads })],
  })
  atEnd(artwork.close)
  const seen: Seen = { bodies: [], errors: [] }
  const app = express()
  for (const middleware of setup.before ?? []) app.use(middleware)
  const takeForm = artwork.uploads.form('photos', setup.form)
  app.all('/profile', takeForm, (req, res) => {
    seen.bodies.push(req.body)
    res.json({ fields: req.body, uploads: req.artworkUploads ?? null })
  })
  app.use(artwork.router)
  const onError: ErrorRequestHandler = (error, _req, res, _next) => {
    seen.errors.push(error)
    res.status(error.status).type('text').send(`the app's page: ${error.message}`)
  }
  app.use(onError)
  const { url } = await listen(app)
  const post = (body: BodyInit, init: RequestInit = {}) =>
    fetch(`${url}/profile`, { method: 'POST', redirect: 'manual', body, ...init })
  /** Files of uploads, finished or not. */
  const files = async (): Promise<readonly string[]> =>
    (await readdir(join(directory, 'uploads'), { recursive: true })).filter((name) =>
      /^(?:files|coming)\/.*\./.test(name),
    )
  return { artwork, url, post, files, seen, logger, directory }
}

type Field = readonly [name: string, value: string | Buffer, fileName?: string]
const formOf = (...fields: readonly Field[]): FormData => {
  const data = new FormData()
  for (const [name, value, fileName = 'picture.jpg'] of fields)
    if (typeof value === 'string') data.append(name, value)
    else data.append(name, new Blob([new Uint8Array(value)]), fileName)
  return data
}
interface Taken {
  readonly fields: Record<string, unknown>
  readonly uploads: readonly { readonly imageId: string; readonly url: string; readonly field: string }[]
}
const takenBy = async (answer: Response): Promise<Taken> => {
  expect(answer.status).toBe(200)
  return (await answer.json()) as Taken
}

/** The beginning of a form on the wire, whose rest does not come by itself. */
function beginForm(url: string, text: string | Buffer, length = 1_000_000) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('error', () => {})
  socket.on('data', (piece) => {
    answer += piece
  })
  socket.write(
    `POST /profile HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: ${length}\r\n\r\n`,
  )
  socket.write(text)
  return {
    socket,
    answer: () => answer,
    ended: new Promise<void>((end) => socket.once('close', () => end())),
  }
}
const part = (name: string, fileName?: string): string =>
  `--B\r\nContent-Disposition: form-data; name="${name}"${fileName === undefined ? '' : `; filename="${fileName}"`}\r\n\r\n`

describe('what becomes of a form', () => {
  test('its picture is stored by the rules of the namespace, and the app has it with the fields', async () => {
    const app = await startForm()
    const answer = await app.post(
      formOf(
        ['title', 'Grüße'],
        ['tags[]', 'a'],
        ['tags[]', 'b'],
        ['photo', await jpeg(300, 200), 'Bär.jpg'],
      ),
    )
    const { fields, uploads: stored } = await takenBy(answer)
    expect(fields).toEqual({ title: 'Grüße', tags: ['a', 'b'] })
    expect(stored).toEqual([
      expect.objectContaining({
        namespace: 'photos',
        field: 'photo',
        fileName: 'Bär.jpg',
        ...{ width: 100, height: 67 },
        imageId: expect.stringMatching(/^[0-9a-f]{32}$/),
      }),
    ])
    expect((await fetch(app.url + stored[0]?.url)).headers.get('content-type')).toBe('image/jpeg')
    expect(app.artwork.images.stats()).toMatchObject({ uploads: { images: 1 } })
  })
  test('303 to a URL, or to one that is made of what was stored', async () => {
    const fixed = await startForm({ form: { redirect: '/thanks' } })
    const bytes = await png()
    const answer = await fixed.post(formOf(['photo', bytes]))
    expect([answer.status, answer.headers.get('location'), answer.headers.get('cache-control')]).toEqual([
      303,
      '/thanks',
      'no-store',
    ])
    const made = await startForm({
      form: { redirect: async ([first], req) => `/albums/${req.body.album}?photo=${first?.imageId}` },
    })
    const location = (await made.post(formOf(['album', '7'], ['photo', bytes]))).headers.get('location')
    expect(location).toMatch(/^\/albums\/7\?photo=[0-9a-f]{32}$/)
    expect([...fixed.seen.bodies, ...made.seen.bodies]).toEqual([])
  })
  test('JSON of all of them', async () => {
    const app = await startForm({ form: { json: true, maxFiles: 2 } })
    const answer = await app.post(formOf(['a', await jpeg(50, 50)], ['b', await png()]))
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await answer.json()).toEqual({
      images: [
        expect.objectContaining({ url: expect.stringMatching(/^\/images\/photos\//), width: 50 }),
        expect.objectContaining({ width: 64, height: 48 }),
      ],
    })
  })
  test('several pictures, and the same one twice, in their order', async () => {
    const app = await startForm({ form: { maxFiles: 4, field: 'photos' } })
    const [one, other] = [await jpeg(40, 30), await jpeg(40, 30, 3)]
    const before = await takenBy(await app.post(formOf(['photos', other])))
    const { uploads: stored } = await takenBy(
      await app.post(formOf(['photos', one], ['photos', other], ['photos', one])),
    )
    expect(stored.map(({ imageId }) => imageId)).toEqual([
      stored[0]?.imageId,
      before.uploads[0]?.imageId,
      stored[0]?.imageId,
    ])
    expect(app.artwork.images.stats()).toMatchObject({ uploads: { images: 2 } })
    for (const { url } of stored) expect((await fetch(app.url + url)).status).toBe(200)
  })
  test('an input that was left empty is no picture: refused, unless the app says that it need not be there', async () => {
    const empty = formOf(['name', 'x'], ['photo', Buffer.alloc(0), ''])
    const strict = await startForm()
    expect((await strict.post(empty)).status).toBe(422)
    const lenient = await startForm({ form: { required: false } })
    expect(await takenBy(await lenient.post(empty))).toEqual({ fields: { name: 'x' }, uploads: [] })
  })
  test('a request without a form goes on to the app untouched', async () => {
    const app = await startForm()
    expect(await takenBy(await fetch(`${app.url}/profile`))).toMatchObject({ uploads: null })
  })
  test('what cannot be meant is refused when the middleware is made', async () => {
    const { artwork } = await startForm()
    const make =
      (namespace: string, options: UploadFormOptions = {}) =>
      () =>
        artwork.uploads.form(namespace, options)
    expect(make('other')).toThrow(
      new TypeError('uploads.form: the namespace must be one of uploads({ namespaces }), got "other"'),
    )
    expect(make('photos', { maxFiles: 0 })).toThrow(/^uploads\.form: maxFiles must .* got 0$/)
    expect(make('photos', { maxFiles: 26 })).toThrow(/got 26$/)
    expect(make('photos', { json: true, redirect: '/' })).toThrow(/redirect and json exclude each other/)
  })
})

describe('what is refused', () => {
  const refusals: readonly [string, () => Promise<FormData>, number, RegExp][] = [
    ['text', async () => formOf(['photo', Buffer.from('just text')]), 415, /not an image of a known format/],
    ['an SVG', async () => formOf(['photo', Buffer.from(SVG)]), 415, /format is not allowed/],
    ['a cut picture', async () => formOf(['photo', (await jpeg()).subarray(0, 40)]), 422, /./],
    ['another field', async () => formOf(['other', await png()]), 422, /in the field photo only/],
    [
      'two pictures',
      async () => formOf(['photo', await png()], ['photo', await jpeg()]),
      422,
      /one picture only/,
    ],
    ['no picture', async () => formOf(['name', 'x']), 422, /no picture was chosen/],
    ['too many bytes', async () => formOf(['photo', Buffer.alloc(5001)]), 413, /too many bytes/],
    ['far too many', async () => formOf(['photo', Buffer.alloc(5_000_000)]), 413, /too many bytes/],
    [
      'too many fields',
      async () => formOf(...Array.from({ length: 26 }, (_, index) => [`f${index}`, ''] as const)),
      422,
      /Too many/,
    ],
    ['a field that is too long', async () => formOf(['text', 'x'.repeat(65_537)]), 422, /too long/],
  ]
  const rules = { field: 'photo' } as const
  const bounds: UploadsOptions = { namespaces: { photos: { maxBytes: 5000 } } }
  test.each(refusals)('%s, by the error that the app is given', async (_what, form, status, text) => {
    const app = await startForm({ form: rules, uploads: bounds })
    const answer = await app.post(await form())
    const [error] = app.seen.errors
    expect(error).toBeInstanceOf(ArtworkError)
    expect(error).toMatchObject({ status, message: expect.stringMatching(text) })
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringMatching(/^the app's page/)])
    expect([app.seen.bodies, await app.files()]).toEqual([[], []])
  })
  test.each(refusals)('%s, as JSON and as text', async (_what, form, status, text) => {
    const json = await startForm({ form: { ...rules, json: true }, uploads: bounds })
    const answered = await json.post(await form())
    expect([answered.status, answered.headers.get('content-type')]).toEqual([
      status,
      'application/json; charset=utf-8',
    ])
    expect(JSON.stringify(await answered.json())).toMatch(text)
    const plain = await startForm({ form: { ...rules, redirect: '/' }, uploads: bounds })
    const shown = await plain.post(await form())
    expect([shown.status, shown.headers.get('content-type'), await shown.text()]).toEqual([
      status,
      'text/plain; charset=utf-8',
      expect.stringMatching(text),
    ])
    expect([json.seen.errors, plain.seen.errors, await json.files(), await plain.files()]).toEqual([
      [],
      [],
      [],
      [],
    ])
  })
  test('a form without enctype is told how to write it', async () => {
    const app = await startForm({ before: [express.urlencoded({ extended: true })] })
    const answer = await app.post(new URLSearchParams({ photo: 'picture.jpg' }))
    expect([answer.status, await answer.text()]).toEqual([
      415,
      expect.stringContaining('enctype="multipart/form-data"'),
    ])
  })
  test('a body that multer has read is told of, with what mends it', async () => {
    const app = await startForm({ before: [multer().any()] })
    const answer = await app.post(formOf(['photo', await png()]))
    expect([answer.status, await answer.text()]).toEqual([
      500,
      expect.stringMatching(/read before: mount artwork\.uploads\.form\(\) before .*multer/),
    ])
  })
  test('parsers that leave forms alone, and one that reads bytes, may come before', async () => {
    const parsers = [express.json(), express.urlencoded({ extended: true })]
    const bytes = await png()
    for (const before of [parsers, [express.raw({ type: () => true, limit: '1mb' })]]) {
      const app = await startForm({ before })
      expect((await takenBy(await app.post(formOf(['photo', bytes])))).uploads).toHaveLength(1)
    }
  })
  test("another site's form, unless its origin may", async () => {
    const app = await startForm({ uploads: { cors: ['https://admin.example'] } })
    const from = (Origin: string) => ({ headers: { Origin } })
    const form = formOf(['photo', await png()])
    expect((await app.post(form, from('https://evil.example'))).status).toBe(403)
    expect(await app.files()).toEqual([])
    for (const origin of [app.url, 'https://admin.example'])
      expect((await app.post(form, from(origin))).status).toBe(200)
  })
})

describe('nothing half-stored stays', () => {
  test('where a later picture is refused, none of the form is kept; what was there before is', async () => {
    const app = await startForm({ form: { maxFiles: 5 } })
    const [kept, fresh] = [await jpeg(40, 30), await jpeg(40, 30, 5)]
    const before = await takenBy(await app.post(formOf(['a', kept])))
    const answer = await app.post(
      formOf(['a', kept], ['b', fresh], ['c', Buffer.from('text')], ['d', await png()]),
    )
    expect(answer.status).toBe(415)
    expect(await app.files()).toHaveLength(1)
    expect((await app.artwork.uploads.list('photos')).images.map(({ imageId }) => imageId)).toEqual(
      before.uploads.map(({ imageId }) => imageId),
    )
  })
  test('where the disk refuses a later one, the earlier ones go too', async () => {
    const app = await startForm({ form: { maxFiles: 8 } })
    const before = await takenBy(await app.post(formOf(['a', await jpeg(40, 30)])))
    const first = before.uploads[0]?.imageId
    const pictures = await Promise.all(Array.from({ length: 6 }, (_, seed) => jpeg(41, 30, seed)))
    const form = formOf(...pictures.map((bytes) => ['a', bytes] as const))
    await app.post(form)
    const known = (await app.files()).filter((file) => file.includes(first ?? 'none'))
    const ids = (await app.artwork.uploads.list('photos')).images.map(({ imageId }) => imageId)
    expect([known.length, ids.length]).toEqual([1, 7])
    // A file lies in the way of the folder of one of them.
    const last = ids.findLast((id) => id.slice(0, 2) !== first?.slice(0, 2)) ?? ''
    for (const id of ids) if (id !== first) await app.artwork.uploads.remove('photos', id)
    await eventually(async () => expect(await app.files()).toEqual(known))
    const shards = join(app.directory, 'uploads', 'files', 'photos')
    await rm(join(shards, last.slice(0, 2)), { recursive: true, force: true })
    await writeFile(join(shards, last.slice(0, 2)), 'in the way')
    const answer = await app.post(form)
    expect(answer.status).toBe(503)
    expect((await app.artwork.uploads.list('photos')).images).toHaveLength(1)
    expect(await app.files()).toEqual(known)
    await rm(join(shards, last.slice(0, 2)))
    await mkdir(join(shards, last.slice(0, 2)))
    expect((await takenBy(await app.post(form))).uploads).toHaveLength(6)
  })
  test('where the request is cut, or does not come in time', async () => {
    const app = await startForm({ form: { maxFiles: 2 }, uploads: { bodyTimeout: 1 } })
    const first = Buffer.concat([
      Buffer.from(part('photo', 'a.jpg')),
      await jpeg(40, 30),
      Buffer.from(`\r\n${part('photo', 'b.jpg')}`),
      (await jpeg()).subarray(0, 500),
    ])
    const cut = beginForm(app.url, first)
    await new Promise((resolve) => setTimeout(resolve, 100))
    cut.socket.destroy()
    await eventually(() => expect(app.seen.errors).toMatchObject([{ code: 'cancelled' }]))
    const slow = beginForm(app.url, first)
    await eventually(() => expect(slow.answer()).toMatch(/^HTTP\/1\.1 408/))
    await slow.ended
    expect([await app.files(), app.seen.bodies]).toEqual([[], []])
    // What closes waits for nothing of it.
    await app.artwork.close()
  })
})

describe('who may send it', () => {
  /** An app with a log-in and a token in each page, as apps have them. */
  async function startWithSessions() {
    const calls: unknown[] = []
    const context = new AsyncLocalStorage<string>()
    const app = await startForm({
      before: [
        session({ secret: 'a secret', resave: false, saveUninitialized: false }),
        (req, res, next) => {
          if (req.path !== '/login') return next()
          req.session.user = 'ada'
          req.session.csrf = randomUUID()
          res.json({ csrf: req.session.csrf })
        },
        (req, res, next) => {
          if (req.session.user === undefined) res.status(401).send('log in first')
          else context.run(req.session.user, next)
        },
      ],
      form: {
        maxFiles: 3,
        authorize: (req, fields) => {
          calls.push({ fields, user: context.getStore() })
          return typeof fields.csrf === 'string' && fields.csrf === req.session.csrf
        },
      },
    })
    const login = await fetch(`${app.url}/login`)
    const { csrf } = (await login.json()) as { csrf: string }
    const headers = { Cookie: (login.headers.get('set-cookie') ?? '').split(';')[0] ?? '' }
    return { ...app, calls, csrf, headers }
  }
  test('a log-in before it, and a token in a hidden field, before anything is stored', async () => {
    const app = await startWithSessions()
    const bytes = await png()
    expect((await app.post(formOf(['csrf', app.csrf], ['photo', bytes]))).status).toBe(401)
    expect(app.calls).toEqual([])
    const forms: readonly (readonly [FormData, number])[] = [
      [formOf(['photo', bytes]), 403],
      [formOf(['csrf', 'wrong'], ['photo', bytes]), 403],
      // What comes after the file comes too late.
      [formOf(['photo', bytes], ['csrf', app.csrf]), 403],
      [formOf(['csrf', 'wrong']), 403],
      [formOf(['csrf', app.csrf]), 422],
    ]
    for (const [form, status] of forms) expect((await app.post(form, app)).status).toBe(status)
    expect(await app.files()).toEqual([])
    const answer = await app.post(
      formOf(['csrf', app.csrf], ['photo', bytes], ['title', 'later'], ['photo', await jpeg(20, 20)]),
      app,
    )
    expect(await takenBy(answer)).toMatchObject({ fields: { csrf: app.csrf, title: 'later' } })
    // Asked once of each form, with what came before its first file, and on behalf of the same request.
    expect(app.calls.at(-1)).toEqual({ fields: { csrf: app.csrf }, user: 'ada' })
    expect(app.calls).toHaveLength(6)
    expect(await app.files()).toHaveLength(2)
  })
  test('it is asked before the file has come, and what is refused is not read on', async () => {
    const app = await startForm({ form: { redirect: '/', authorize: () => 'unauthenticated' } })
    const begun = beginForm(app.url, `${part('csrf')}wrong\r\n${part('photo', 'a.jpg')}JFIF`, 9_000_000)
    await eventually(() => expect(begun.answer()).toMatch(/^HTTP\/1\.1 401[\s\S]*WWW-Authenticate/))
    begun.socket.destroy()
    expect(await app.files()).toEqual([])
  })
  test('a refused form whose client goes on sending gets the answer of the app', async () => {
    const app = await startForm({ form: { authorize: () => false } })
    const begun = beginForm(app.url, part('photo', 'a.jpg'), 9_000_000)
    begun.socket.write(Buffer.alloc(4_000_000))
    await eventually(() => expect(begun.answer()).toMatch(/^HTTP\/1\.1 403[\s\S]*the app's page/))
    await begun.ended
  })
  test('a function that throws refuses, and is logged', async () => {
    const app = await startForm({
      form: {
        authorize: () => {
          throw new Error('the database is away')
        },
      },
    })
    expect((await app.post(formOf(['photo', await png()]))).status).toBe(403)
    expect(app.logger.lines).toContain('artwork: authorize of uploads.form failed')
    expect(app.seen.errors).toMatchObject([{ message: 'not authorised' }])
  })
})

/** Uploads over real HTTP (PARITY 29–32): every way in, every refusal, and what is there after a restart. */

import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import express from 'express'
import { type ArtworkOptions, remote, tmdb, type UploadsOptions, uploads } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg, png, SVG } from '../support/images.js'
import { image } from '../support/origin.js'
import { ask } from '../support/raw-http.js'
import {
  ALONE,
  colonSource,
  jsonPost,
  listen,
  startApp,
  type TestApp,
  temporaryFolder,
} from '../support/toolkit.js'

const OPEN = { authorize: () => true }

async function startWithUploads(
  own: UploadsOptions = OPEN,
  options: ArtworkOptions = {},
  given: { directory?: string } = {},
): Promise<TestApp> {
  return startApp(
    {
      transform: { isolate: false },
      ...options,
      sources: [tmdb(), remote({ hosts: ['127.0.0.1'] }), uploads(own)],
    },
    given,
  )
}
const raw = (bytes: Buffer, type = 'image/jpeg', method = 'POST'): RequestInit => ({
  method,
  headers: { 'Content-Type': type },
  body: new Uint8Array(bytes),
})
const form = (bytes: Buffer, field = 'file'): RequestInit => {
  const data = new FormData()
  data.set('title', 'a picture')
  data.set(field, new Blob([new Uint8Array(bytes)], { type: 'text/plain' }), '../../evil.html')
  return { method: 'POST', body: data }
}
const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())
const idOf = async (answer: Response): Promise<string> => {
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { image_id: string }).image_id
}
const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

describe('uploading (parity 29)', () => {
  test('JSON with base64 or a data: URL answers 200 with image_id and url, and the url answers (parity 29)', async () => {
    const app = await startWithUploads()
    const bytes = await jpeg(120, 80)
    const texts = [
      bytes.toString('base64'),
      bytes.toString('base64url'),
      `data:image/jpeg;base64,${bytes.toString('base64')}`,
      `data:,${[...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')}`,
    ]
    const ids = new Set<string>()
    for (const data of texts) {
      const answer = await app.get('/images/avatars', jsonPost({ data }))
      expect(answer.status).toBe(200)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      const saved = (await answer.json()) as { image_id: string; url: string }
      expect(saved).toEqual({
        image_id: expect.stringMatching(/^[0-9a-f]{32}$/),
        url: `/images/avatars/${saved.image_id}`,
        width: expect.any(Number),
        height: expect.any(Number),
        alpha: false,
        animated: false,
        color: expect.stringMatching(/^#[0-9a-f]{6}$/),
        thumbhash: expect.any(String),
      })
      ids.add(saved.image_id)
    }
    expect(ids.size).toBe(1)
    const [id] = ids
    const served = await app.get(`/images/avatars/${id}`)
    expect([served.status, served.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
    expect(await sharp(await bodyOf(served)).metadata()).toMatchObject({ width: 120, height: 80 })
  })

  test('a form and raw bytes are taken too, by POST and PUT, and are the same image (parity 29)', async () => {
    const app = await startWithUploads()
    const bytes = await png()
    const ids = [
      await idOf(await app.get('/images/avatars', form(bytes))),
      await idOf(await app.get('/images/avatars', form(bytes, 'photo'))),
      await idOf(await app.get('/images/avatars', raw(bytes, 'image/png'))),
      await idOf(await app.get('/images/avatars', raw(bytes, 'application/octet-stream', 'PUT'))),
      await idOf(await app.get('/images/avatars', raw(bytes, 'image/jpeg', 'PUT'))),
    ]
    expect(new Set(ids).size).toBe(1)
    expect((await app.get(`/images/avatars/${ids[0]}`)).headers.get('content-type')).toBe('image/png')
  })

  test('the same bytes have another id in another namespace, and in another installation (parity 29)', async () => {
    const [one, other] = [await startWithUploads(), await startWithUploads()]
    const bytes = await png()
    const ids = new Set([
      await idOf(await one.get('/images/avatars', raw(bytes))),
      await idOf(await one.get('/images/covers', raw(bytes))),
      await idOf(await other.get('/images/avatars', raw(bytes))),
    ])
    expect(ids.size).toBe(3)
    const digest = createHash('sha256').update(bytes).digest('hex')
    for (const id of ids) expect(digest).not.toContain(id)
  })

  test.each([
    ['no field', jsonPost({}), 422],
    ['a field of another type', jsonPost({ data: 7 }), 422],
    ['an empty field', jsonPost({ data: '' }), 422],
    ['what is no base64', jsonPost({ data: '***' }), 422],
    ['what is no JSON', { ...jsonPost({}), body: '{' }, 422],
    ['a list', jsonPost([1]), 422],
    ['text', jsonPost({ data: Buffer.from('just text').toString('base64') }), 415],
    ['an SVG', jsonPost({ data: Buffer.from(SVG).toString('base64') }), 415],
    ['a web page', raw(Buffer.from('<html></html>'), 'image/png'), 415],
    ['another content type', { ...raw(Buffer.from('x'), 'text/html') }, 415],
    ['nothing', raw(Buffer.alloc(0), 'image/png'), 400],
    ['a cut picture', raw(Buffer.from('ffd8ffe000104a46494600010100', 'hex')), 422],
    ['a form without a file', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }, 415],
  ] as const)('%s is refused (parity 29)', async (_what, request, status) => {
    const app = await startWithUploads()
    const answer = await app.get('/images/avatars', request as RequestInit)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    const { detail } = (await answer.json()) as { detail: unknown }
    if (status === 422 && Array.isArray(detail))
      expect(detail[0]).toEqual({ loc: expect.any(Array), msg: expect.any(String), type: expect.any(String) })
    else expect(detail).toEqual(expect.any(String))
    expect(await filesIn(join(app.directory, 'uploads', 'files'))).toEqual([])
  })

  test('a missing field is named where it is missing (parity 29)', async () => {
    const app = await startWithUploads()
    const answer = await app.get('/images/avatars', jsonPost({ other: 1 }))
    expect(await answer.json()).toEqual({
      detail: [{ loc: ['body', 'data'], msg: 'Field required', type: 'missing' }],
    })
    const broken = new FormData()
    broken.set('title', 'no file')
    const form = await app.get('/images/avatars', { method: 'POST', body: broken })
    expect([form.status, await form.json()]).toEqual([
      422,
      { detail: [{ loc: ['body', 'file'], msg: 'Field required', type: 'missing' }] },
    ])
  })

  test('bad, reserved and undeclared namespaces are 400; declared ones have rules of their own (parity 29)', async () => {
    const open = await startWithUploads()
    const bytes = await png()
    for (const name of ['_a', '-a', 'a%20b', 'a'.repeat(101), 'fetch%00', 'proxy', 'still%00'])
      expect((await open.get(`/images/${name}`, raw(bytes))).status, name).toBe(400)
    const app = await startWithUploads({
      ...OPEN,
      namespaces: { avatars: { fit: 20 }, covers: { maxBytes: 50 } },
    })
    expect((await app.get('/images/other', raw(bytes))).status).toBe(400)
    expect((await app.get('/images/other/original/abc')).status).toBe(400)
    // Beside pictures is the app's (and it has nothing there).
    expect((await app.get('/images/other/abc')).status).toBe(404)
    expect((await app.get('/images/covers', raw(bytes))).status).toBe(413)
    const id = await idOf(await app.get('/images/avatars', raw(bytes)))
    expect(await sharp(await bodyOf(await app.get(`/images/avatars/${id}`))).metadata()).toMatchObject({
      width: 20,
    })
    for (const name of ['fetch', 'proxy', '_bad', '', 'a b'])
      expect(() => uploads({ namespaces: [name] }), name).toThrow(/uploads\.namespaces .*got/)
  })

  test('names in any case and with full stops, each with files of its own (mended 37)', async () => {
    const app = await startWithUploads()
    const long = 'A'.repeat(100)
    const names = ['Photos', 'photos', 'PHOTOS', 'CON', 'con.png.', '2024', 'a.b', 'a.B', 'a-b_c', long]
    const ids = new Map<string, string>()
    for (const name of names) {
      ids.set(name, await idOf(await app.get(`/images/${name}`, raw(await png()))))
      expect((await app.get(`/images/${name}/${ids.get(name)}`)).status, name).toBe(200)
    }
    expect(new Set(ids.values()).size).toBe(names.length)
    const folders = await readdir(join(app.directory, 'uploads', 'files'))
    expect(new Set(folders.map((folder) => folder.toLowerCase())).size).toBe(names.length)
    for (const folder of folders) expect(folder).toMatch(/^(?!con$)[a-z0-9=_-]+$/)
    // Each is listed and deleted by itself; and a lost index is read back from the names of files.
    expect(await (await app.get('/images/Photos', { method: 'DELETE' })).json()).toEqual({ deleted_count: 1 })
    expect((await app.get(`/images/photos/${ids.get('photos')}`)).status).toBe(200)
    await app.stop()
    for (const end of ['', '-wal', '-shm'])
      await rm(join(app.directory, 'uploads', `uploads.db${end}`), { force: true })
    const again = await startWithUploads(OPEN, {}, { directory: app.directory })
    for (const name of names.slice(1))
      await eventually(async () =>
        expect([name, (await again.get(`/images/${name}/${ids.get(name)}`)).status]).toEqual([name, 200]),
      )
    expect((await again.get(`/images/Photos/${ids.get('Photos')}`)).status).toBe(404)
  })
  test('a name is reserved only where a source uses it (mended 37)', async () => {
    const alone = await startApp({ transform: { isolate: false }, sources: [uploads(OPEN)] })
    for (const name of ['poster', 'remote', 'atproto']) {
      const id = await idOf(await alone.get(`/images/${name}`, raw(await png())))
      expect((await alone.get(`/images/${name}/${id}`)).status).toBe(200)
    }
    const beside = await startWithUploads()
    for (const name of ['poster', 'remote', 'fetch/proxy'])
      expect((await beside.get(`/images/${name}`, raw(await png()))).status).toBeGreaterThanOrEqual(400)
  })
  test('what another source answers for is no namespace (mended 37)', async () => {
    const at = { url: '' }
    const directory = await temporaryFolder()
    const app = await startApp(
      { transform: { isolate: false }, sources: [uploads(OPEN), colonSource(() => at.url)] },
      { directory },
    )
    at.url = app.origin.url
    app.origin.serve('/x', image(await png(), 'image/png'))
    const path = '/images/colons/original/x'
    expect((await app.get(path)).status).toBe(200)
    expect((await app.get('/images/colons', raw(await png()))).status).toBe(405)
    expect((await app.get('/images/colons/proxy', raw(await png()))).status).toBeGreaterThanOrEqual(400)
    await expect(app.artwork.uploads?.save('colons', await png())).rejects.toMatchObject({ status: 400 })
    expect(await filesIn(join(directory, 'uploads', 'files'))).toEqual([])
    expect(app.artwork.images.stats()).toMatchObject({ names: 1, uploads: { images: 0 } })
    await app.artwork.images.clearCache()
    expect((await app.get(path)).status).toBe(200)
    expect(app.origin.hits('/x')).toBe(2)
  })
  test('inputs of a form that were left empty are no files; two files are one too many (mended 38)', async () => {
    const app = await startWithUploads()
    const bytes = await png()
    const send = async (files: readonly [string, Uint8Array, string][]) => {
      const form = new FormData()
      for (const [field, content, name] of files) form.append(field, new Blob([content as never]), name)
      return app.get('/images/avatars', { method: 'POST', body: form })
    }
    const none = new Uint8Array()
    for (const files of [
      [
        ['one', bytes, 'a.png'],
        ['two', none, ''],
      ],
      [
        ['one', none, ''],
        ['two', bytes, 'a.png'],
      ],
      [
        ['one', none, 'empty.png'],
        ['two', bytes, 'a.png'],
        ['three', none, ''],
      ],
    ] as const)
      expect((await send(files as never)).status).toBe(200)
    const two = await send([
      ['one', bytes, 'a.png'],
      ['two', bytes, 'b.png'],
    ])
    expect([two.status, await two.json()]).toEqual([
      422,
      { detail: [{ loc: ['body', 'two'], msg: 'One file only', type: 'too_many' }] },
    ])
    expect((await send([['one', none, '']])).status).toBe(422)
  })

  test('over the bound is 413, announced or not, and is not read to its end (parity 29)', async () => {
    const app = await startWithUploads({ ...OPEN, maxBytes: '1 MiB' })
    for (const type of ['image/jpeg', 'application/json', 'multipart/form-data; boundary=x'])
      for (const isAnnounced of [true, false]) {
        const { status, sent, bytes } = await flood(app.url, type, isAnnounced, 200 * 1024 * 1024)
        expect(status, `${type} ${isAnnounced}`).toBe(413)
        expect(bytes).toMatch(/too many bytes/)
        expect(sent).toBeLessThan(20 * 1024 * 1024)
      }
    const large = await startWithUploads({ ...OPEN, maxBytes: '10 MiB' })
    const rss = process.memoryUsage().rss
    for (const type of ['image/jpeg', 'application/json']) {
      const { status, sent } = await flood(large.url, type, false, 2 * 1024 ** 3)
      expect([status, sent < 40 * 1024 * 1024]).toEqual([413, true])
    }
    expect(process.memoryUsage().rss - rss).toBeLessThan(100 * 1024 * 1024)
    expect(await filesIn(join(app.directory, 'uploads', 'coming'))).toEqual([])
  })
  test('a client that goes on sending and reads late has its answer, and is parted from (parity 29)', async () => {
    const app = await startWithUploads({ ...OPEN, maxBytes: '1 MiB' })
    for (const isAnnounced of [true, false]) {
      const options = { readsAfter: 500, stays: true }
      const { status, sent, bytes } = await flood(app.url, 'image/jpeg', isAnnounced, 2 * 1024 ** 3, options)
      expect([status, sent < 40 * 1024 * 1024]).toEqual([413, true])
      expect(bytes).toMatch(/too many bytes/)
    }
  })

  test('a body that does not come in time is 408, one that is cut leaves nothing', async () => {
    const app = await startWithUploads({ ...OPEN, bodyTimeout: 1 })
    const slow = await ask(app.url, '/images/avatars', {
      method: 'POST',
      headers: { 'Content-Type': 'image/png', 'Content-Length': '1000' },
      body: 'x',
    })
    expect([slow.status, slow.headers.connection]).toEqual([408, 'close'])
    const { port } = new URL(app.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      'POST /images/avatars HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nxx',
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.destroy()
    expect((await app.get('/images/avatars', raw(await png()))).status).toBe(200)
    expect(await filesIn(join(app.directory, 'uploads', 'coming'))).toEqual([])
  })
})

/**
 * Sends a body of `size` bytes until it is answered. Tells what was taken before that.
 * @param options.readsAfter ms before it reads anything
 * @param options.stays whether it leaves the closing of the connection to the server
 */
function flood(
  url: string,
  type: string,
  isAnnounced: boolean,
  size: number,
  { readsAfter = 0, stays = false } = {},
): Promise<{ status: number; sent: number; bytes: string }> {
  const { port, hostname } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const chunk = Buffer.alloc(64 * 1024, 'a')
    let sent = 0
    let answer = ''
    const write = (): void => {
      while (sent < size && !socket.destroyed && answer === '') {
        sent += chunk.length
        const piece = isAnnounced
          ? chunk
          : Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')])
        if (!socket.write(piece)) return
      }
    }
    const length = isAnnounced ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked'
    socket.write(`POST /images/avatars HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`)
    socket.on('drain', write)
    const read = (data: Buffer): void => {
      answer += data.toString('latin1')
      if (!stays && answer.trimEnd().endsWith('}')) socket.destroy()
    }
    setTimeout(() => socket.on('data', read), readsAfter)
    socket.on('close', () => resolve({ status: Number(answer.split(' ')[1]), sent, bytes: answer }))
    socket.on('error', (error) => (answer === '' ? reject(error) : undefined))
    write()
  })
}

describe('serving (parity 30)', () => {
  test('the bytes as stored, for a day and immutable, with HEAD, 304, ranges and a strong ETag (parity 30)', async () => {
    const app = await startWithUploads()
    const id = await idOf(await app.get('/images/avatars', raw(await jpeg(300, 200))))
    const whole = await app.get(`/images/avatars/${id}`)
    const bytes = await bodyOf(whole)
    expect(whole.headers.get('cache-control')).toBe('public, max-age=86400, immutable')
    expect(whole.headers.get('x-content-type-options')).toBe('nosniff')
    expect(whole.headers.get('age')).toBeNull()
    const etag = whole.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[^"]+"$/)
    const again = await app.get(`/images/avatars/${id}`, { headers: { 'If-None-Match': etag } })
    expect([again.status, (await bodyOf(again)).length]).toEqual([304, 0])
    const head = await app.get(`/images/avatars/${id}`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)])
    const part = await app.get(`/images/avatars/${id}`, { headers: { Range: 'bytes=0-9' } })
    expect([part.status, (await bodyOf(part)).equals(bytes.subarray(0, 10))]).toEqual([206, true])
    const options = await app.get(`/images/avatars/${id}`, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, DELETE, OPTIONS'])
    const patch = await app.get('/images/avatars', { method: 'PATCH' })
    expect([patch.status, patch.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, PUT, DELETE, OPTIONS'])
  })
  test('how long it is kept is an option; what is not there is 404 (parity 30)', async () => {
    const app = await startWithUploads({ ...OPEN, maxAge: 60 })
    const id = await idOf(await app.get('/images/avatars', raw(await png())))
    expect((await app.get(`/images/avatars/${id}`)).headers.get('cache-control')).toBe(
      'public, max-age=60, immutable',
    )
    for (const path of ['nothing', 'a'.repeat(32), 'original/nothing', 'picture.jpg'])
      expect((await app.get(`/images/avatars/${path}`)).status, path).toBe(404)
    expect((await app.get(`/images/covers/${id}`)).status).toBe(404)
    expect((await app.get('/images/avatars/..%2f..%2fkey')).status).toBe(400)
  })
  test('renditions are made on request, kept, and gone with their upload (parity 30)', async () => {
    const app = await startWithUploads(OPEN, {
      widths: [50],
      presets: { tiny: { width: 10, height: 10, fit: 'cover' } },
    })
    const id = await idOf(await app.get('/images/avatars', raw(await jpeg(300, 200))))
    for (const [variant, size] of [
      ['w50-webp', { width: 50, format: 'webp' }],
      ['tiny', { width: 10, height: 10, format: 'jpeg' }],
      ['original-webp', { width: 300, format: 'webp' }],
    ] as const) {
      const answer = await app.get(`/images/avatars/${variant}/${id}`)
      expect(answer.status, variant).toBe(200)
      expect(await sharp(await bodyOf(answer)).metadata()).toMatchObject(size)
    }
    expect((await app.get(`/images/avatars/w51/${id}`)).status).toBe(400)
    const negotiated = await app.get(`/images/avatars/w50-auto/${id}`, { headers: { accept: 'image/webp' } })
    expect([negotiated.headers.get('content-type'), negotiated.headers.get('vary')]).toEqual([
      'image/webp',
      'Accept',
    ])
    expect((await app.get(`/images/avatars/${id}`, { method: 'DELETE' })).status).toBe(200)
    for (const variant of ['w50-webp/', 'tiny/', ''])
      expect((await app.get(`/images/avatars/${variant}${id}`)).status).toBe(404)
    expect(app.artwork.images.stats().names).toBe(0)
  })
})

describe('deleting, and who may (parity 31)', () => {
  test('all of a namespace, and how many there were; others stay (parity 31)', async () => {
    const app = await startWithUploads()
    const ids = []
    for (let seed = 0; seed < 3; seed += 1)
      ids.push(await idOf(await app.get('/images/avatars', raw(await jpeg(20, 20, seed)))))
    const other = await idOf(await app.get('/images/covers', raw(await png())))
    const answer = await app.get('/images/avatars', { method: 'DELETE' })
    expect([answer.status, await answer.json()]).toEqual([200, { deleted_count: 3 }])
    expect(await (await app.get('/images/avatars', { method: 'DELETE' })).json()).toEqual({
      deleted_count: 0,
    })
    for (const id of ids) expect((await app.get(`/images/avatars/${id}`)).status).toBe(404)
    expect((await app.get(`/images/covers/${other}`)).status).toBe(200)
    expect((await filesIn(join(app.directory, 'uploads', 'files'))).length).toBe(1)
    expect((await app.get('/images/covers/nothing', { method: 'DELETE' })).status).toBe(404)
  })
  test('without authorize every verb is closed, and says how to open it; false and a throw are 403 too (parity 31)', async () => {
    const closed = await startWithUploads({})
    const png1 = await png()
    const requests: [string, RequestInit][] = [
      ['/images/avatars', raw(png1)],
      ['/images/avatars', raw(png1, 'image/png', 'PUT')],
      ['/images/avatars', { method: 'DELETE' }],
      ['/images/avatars', {}],
      [`/images/avatars/${'a'.repeat(32)}`, { method: 'DELETE' }],
      ['/images/fetch', jsonPost({ url: closed.origin.url })],
      ['/images/avatars/proxy', jsonPost({ urls: [closed.origin.url] })],
    ]
    const asked: string[] = []
    const denied = await startWithUploads({
      authorize: async (_req, action) => {
        asked.push(action)
        return false
      },
    })
    const broken = await startWithUploads({
      authorize: () => {
        throw new Error('no')
      },
    })
    for (const [path, request] of requests) {
      const answer = await closed.get(path, request)
      expect([answer.status, await answer.json()]).toEqual([
        403,
        { detail: expect.stringMatching(/authorize/) },
      ])
      for (const app of [denied, broken])
        expect([(await app.get(path, request)).status, path]).toEqual([403, path])
    }
    expect(asked).toEqual(['upload', 'upload', 'delete', 'list', 'delete', 'fetch', 'proxy'])
    expect(closed.origin.hits()).toBe(0)
  })
  test('a refusal costs no body: it is not read', async () => {
    const app = await startWithUploads({})
    const { status, sent } = await flood(app.url, 'image/jpeg', false, 200 * 1024 * 1024)
    expect(status).toBe(403)
    expect(sent).toBeLessThan(20 * 1024 * 1024)
  })
  test('a namespace is listed page by page', async () => {
    const app = await startWithUploads()
    const ids = new Set<string>()
    for (let seed = 0; seed < 5; seed += 1)
      ids.add(await idOf(await app.get('/images/avatars', raw(await jpeg(20 + seed, 20, seed)))))
    const found: string[] = []
    for (let after: string | null = ''; after !== null; ) {
      const answer = await app.get(`/images/avatars?limit=2&after=${after}`)
      const page = (await answer.json()) as {
        images: { image_id: string; width: number }[]
        next: string | null
      }
      expect(page.images.length).toBeLessThanOrEqual(2)
      found.push(...page.images.map((image) => image.image_id))
      after = page.next
    }
    expect(found).toEqual([...ids].sort())
    expect((await app.get('/images/avatars?limit=0')).status).toBe(400)
  })
})

describe('sizes, and what is stripped (parity 32)', () => {
  test('uploads are fitted into 1200 and never enlarged; transparency stays; metadata goes (parity 32)', async () => {
    const app = await startWithUploads()
    const big = await sharp(await jpeg(2000, 1000))
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .jpeg()
      .toBuffer()
    const id = await idOf(await app.get('/images/photos', raw(big)))
    const stored = await sharp(await bodyOf(await app.get(`/images/photos/${id}`))).metadata()
    expect(stored).toMatchObject({ width: 1200, height: 600, format: 'jpeg' })
    expect(stored.exif).toBeUndefined()
    const small = await idOf(await app.get('/images/photos', raw(await jpeg(100, 50))))
    expect(await sharp(await bodyOf(await app.get(`/images/photos/${small}`))).metadata()).toMatchObject({
      width: 100,
    })
    const clear = await sharp({ create: { width: 30, height: 30, channels: 4, background: '#0000' } })
      .png()
      .toBuffer()
    const kept = await idOf(await app.get('/images/photos', raw(clear)))
    expect(await sharp(await bodyOf(await app.get(`/images/photos/${kept}`))).metadata()).toMatchObject({
      hasAlpha: true,
    })
  })
  test('keepOriginal keeps the bytes as they came', async () => {
    const app = await startWithUploads({ ...OPEN, keepOriginal: true })
    const bytes = await sharp(await jpeg(1500, 50))
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .jpeg()
      .toBuffer()
    const id = await idOf(await app.get('/images/photos', raw(bytes)))
    expect((await bodyOf(await app.get(`/images/photos/${id}`))).equals(bytes)).toBe(true)
    expect((await app.get('/images/photos', raw(bytes.subarray(0, 600)))).status).toBe(422)
  })
})

describe('uploads are not cache', () => {
  test('they survive clearing, purging, cleaning up, eviction and a restart; deleting is heard of by others', async () => {
    const directory = await temporaryFolder()
    const first = await startWithUploads(
      OPEN,
      { widths: [40], disk: { maxNames: 5 }, memory: { maxBytes: 0 } },
      { directory },
    )
    const ids: string[] = []
    for (let seed = 0; seed < 12; seed += 1)
      ids.push(await idOf(await first.get('/images/photos', raw(await jpeg(60 + seed, 60)))))
    for (const id of ids) expect((await first.get(`/images/photos/w40/${id}`)).status).toBe(200)
    expect(first.artwork.images.stats().names).toBeLessThanOrEqual(5)
    await first.artwork.images.clearCache()
    await first.artwork.images.purge({ address: `photos/original/${ids[0]}` })
    await first.artwork.images.purge({ tag: 'kind-photos' })
    await first.artwork.images.optimizeCache({ maxAgeDays: 0 })
    const second = await startWithUploads(OPEN, { widths: [40] }, { directory })
    const before = new Map<string, Buffer>()
    for (const id of ids) before.set(id, await bodyOf(await second.get(`/images/photos/${id}`)))
    await first.stop()
    await second.stop()
    const third = await startWithUploads(OPEN, {}, { directory })
    const fourth = await startWithUploads(OPEN, {}, { directory })
    for (const id of ids) {
      const answer = await third.get(`/images/photos/${id}`)
      expect([answer.status, (await bodyOf(answer)).equals(before.get(id) ?? Buffer.alloc(0))]).toEqual([
        200,
        true,
      ])
    }
    expect((await fourth.get(`/images/photos/${ids[0]}`)).status).toBe(200)
    expect((await third.get('/images/photos', { method: 'DELETE' })).status).toBe(200)
    await expect
      .poll(async () => (await fourth.get(`/images/photos/${ids[0]}`)).status, { timeout: 20_000 })
      .toBe(404)
    expect(await filesIn(join(directory, 'uploads', 'files'))).toEqual([])
  })
  test.each(['deleted', 'damaged'])('an index that is %s is read back from the files', async (how) => {
    const directory = await temporaryFolder()
    const first = await startWithUploads(OPEN, {}, { directory })
    const id = await idOf(await first.get('/images/photos', raw(await jpeg(60, 40))))
    const bytes = await bodyOf(await first.get(`/images/photos/${id}`))
    await first.stop()
    for (const suffix of ['', '-wal', '-shm']) {
      const file = join(directory, 'uploads', `uploads.db${suffix}`)
      if (how === 'deleted') await rm(file, { force: true })
      else if (suffix === '') await writeFile(file, 'not a database at all'.repeat(500))
    }
    const second = await startWithUploads(OPEN, {}, { directory })
    const answer = await second.get(`/images/photos/${id}`)
    expect([answer.status, (await bodyOf(answer)).equals(bytes)]).toEqual([200, true])
    expect(await idOf(await second.get('/images/photos', raw(await jpeg(60, 40))))).toBe(id)
    await expect
      .poll(
        async () =>
          ((await (await second.get('/images/photos')).json()) as { images: unknown[] }).images.length,
      )
      .toBe(1)
  })
  test('a copy that is damaged on disk is never served, and is mended by the next upload of the same bytes', async () => {
    const app = await startWithUploads(OPEN, { ...ALONE, memory: { maxBytes: 0 } })
    const bytes = await jpeg(60, 40)
    const id = await idOf(await app.get('/images/photos', raw(bytes)))
    const [file = ''] = await filesIn(join(app.directory, 'uploads', 'files'))
    const stored = await readFile(file)
    await writeFile(file, Buffer.concat([stored.subarray(0, 20), Buffer.from('x'), stored.subarray(21)]))
    expect((await app.get(`/images/photos/${id}`)).status).toBe(503)
    expect(app.artwork.images.stats().uploads?.badCopies).toBeGreaterThan(0)
    expect(await idOf(await app.get('/images/photos', raw(bytes)))).toBe(id)
    expect((await bodyOf(await app.get(`/images/photos/${id}`))).equals(stored)).toBe(true)
    expect((await stat(join(app.directory, 'uploads', 'key'))).mode & 0o777).toBe(0o600)
  })
  test('200 uploads at once all answer, and are all there, byte for byte, after a restart', async () => {
    const directory = await temporaryFolder()
    const first = await startWithUploads(OPEN, {}, { directory })
    const pictures = await Promise.all(Array.from({ length: 200 }, (_, index) => jpeg(40 + index, 30)))
    const ids = await Promise.all(
      pictures.map(async (bytes) => idOf(await first.get('/images/photos', raw(bytes)))),
    )
    expect(new Set(ids).size).toBe(200)
    const before = await Promise.all(ids.map(async (id) => bodyOf(await first.get(`/images/photos/${id}`))))
    await first.stop()
    const second = await startWithUploads(OPEN, {}, { directory })
    for (const [index, id] of ids.entries())
      expect(
        (await bodyOf(await second.get(`/images/photos/${id}`))).equals(before[index] ?? Buffer.alloc(0)),
      ).toBe(true)
    expect((await second.artwork.uploads?.list('photos', { limit: 1000 }))?.images.length).toBe(200)
  })
  test('ten clients with the same bytes make one image', async () => {
    const app = await startWithUploads()
    const bytes = await jpeg(500, 300)
    const ids = await Promise.all(
      Array.from({ length: 10 }, async () => idOf(await app.get('/images/photos', raw(bytes)))),
    )
    expect(new Set(ids).size).toBe(1)
    expect((await filesIn(join(app.directory, 'uploads', 'files'))).length).toBe(1)
  })
  test('the app’s own code has the same verbs', async () => {
    const app = await startWithUploads({ namespaces: ['photos'] })
    const { uploads: verbs } = app.artwork
    const stored = await verbs?.save('photos', await jpeg(60, 40))
    expect(stored).toMatchObject({ namespace: 'photos', width: 60, height: 40, contentType: 'image/jpeg' })
    expect((await app.get(stored?.url ?? '')).status).toBe(200)
    await expect(verbs?.save('other', await jpeg(6, 4))).rejects.toMatchObject({ code: 'invalid' })
    await expect(
      app.artwork.images.put(`photos/original/${'a'.repeat(32)}`, await png()),
    ).rejects.toMatchObject({ code: 'invalid' })
    expect(await verbs?.remove('photos', stored?.imageId ?? '')).toBe(true)
    expect(await verbs?.remove('photos', stored?.imageId ?? '')).toBe(false)
    expect(app.artwork.images.stats().uploads).toEqual({ images: 0, bytes: 0, badCopies: 0 })
  })
  test('what another process removed just now is not acknowledged from memory', async () => {
    const directory = await temporaryFolder()
    const [one, two] = [
      await startWithUploads(OPEN, {}, { directory }),
      await startWithUploads(OPEN, {}, { directory }),
    ]
    const bytes = await jpeg(60, 40)
    for (let time = 0; time < 5; time += 1) {
      const id = await idOf(await two.get('/images/photos', raw(bytes)))
      expect((await two.get(`/images/photos/${id}`)).status).toBe(200)
      const answers = await Promise.all(
        [one, two].map(async (app) => (await app.get(`/images/photos/${id}`, { method: 'DELETE' })).status),
      )
      expect(answers.sort()).toEqual([200, 404])
      expect(await idOf(await two.get('/images/photos', raw(bytes)))).toBe(id)
      for (const app of [one, two]) expect((await app.get(`/images/photos/${id}`)).status).toBe(200)
    }
  })
  test('what is removed while a lost index is read back stays removed', async () => {
    const directory = await temporaryFolder()
    const first = await startWithUploads(OPEN, {}, { directory })
    const ids: string[] = []
    for (let seed = 0; seed < 30; seed += 1)
      ids.push(await idOf(await first.get('/images/photos', raw(await jpeg(30 + seed, 20)))))
    await first.stop()
    for (const suffix of ['', '-wal', '-shm'])
      await rm(join(directory, 'uploads', `uploads.db${suffix}`), { force: true })
    const second = await startWithUploads(OPEN, {}, { directory })
    expect((await second.get(`/images/photos/${ids[0]}`, { method: 'DELETE' })).status).toBe(200)
    expect(await (await second.get('/images/photos', { method: 'DELETE' })).json()).toEqual({
      deleted_count: 29,
    })
    expect(await filesIn(join(directory, 'uploads', 'files'))).toEqual([])
  })
  test('a copy that is gone is replaced, though it is encoded otherwise now', async () => {
    const directory = await temporaryFolder()
    const first = await startWithUploads(OPEN, { memory: { maxBytes: 0 } }, { directory })
    const bytes = await jpeg(60, 40)
    const id = await idOf(await first.get('/images/photos', raw(bytes)))
    const [file = ''] = await filesIn(join(directory, 'uploads', 'files'))
    // As if the encoder had changed since: the file of another digest under the same id.
    const other = await sharp(bytes).jpeg({ quality: 10 }).toBuffer()
    await rm(file)
    const digest = createHash('sha256').update(other).digest('hex')
    const fake = new Database(join(directory, 'uploads', 'uploads.db'))
    fake.prepare('UPDATE uploads SET digest = ? WHERE id = ?').run(Buffer.from(digest, 'hex'), id)
    kept.push(fake)
    await first.stop()
    const second = await startWithUploads(OPEN, {}, { directory })
    expect((await second.get(`/images/photos/${id}`)).status).toBe(503)
    expect(await idOf(await second.get('/images/photos', raw(bytes)))).toBe(id)
    expect((await second.get(`/images/photos/${id}`)).status).toBe(200)
    expect((await filesIn(join(directory, 'uploads', 'files'))).length).toBe(1)
  })
  test('a folder that is away for a while is 503, and comes back by itself', async () => {
    const directory = await temporaryFolder()
    const app = await startWithUploads(OPEN, { ...ALONE, memory: { maxBytes: 0 } }, { directory })
    const id = await idOf(await app.get('/images/photos', raw(await jpeg(60, 40))))
    await rename(join(directory, 'uploads'), join(directory, 'away'))
    await writeFile(join(directory, 'uploads'), 'in the way')
    const statusOf = async () => (await app.get(`/images/photos/${id}`)).status
    expect(await statusOf()).toBe(503)
    await expect.poll(async () => (await app.get('/images/photos')).status, { timeout: 20_000 }).toBe(503)
    expect(await statusOf()).toBe(503)
    expect((await app.get('/images/photos', { method: 'DELETE' })).status).toBe(503)
    await rm(join(directory, 'uploads'))
    await rename(join(directory, 'away'), join(directory, 'uploads'))
    await expect.poll(statusOf, { timeout: 20_000 }).toBe(200)
  })
  test('a body that a parser of the app has read is taken from there; one that nobody can have is reported', async () => {
    const app = await startWithUploads()
    const parsed = await listen(
      express().use(
        express.json({ limit: '1mb' }),
        express.raw({ type: 'image/*', limit: '1mb' }),
        express.urlencoded(),
        app.artwork.router,
      ),
    )
    const bytes = await jpeg(60, 40)
    for (const request of [jsonPost({ data: bytes.toString('base64') }), raw(bytes)])
      expect((await fetch(`${parsed.url}/images/photos`, request)).status).toBe(200)
    const bad = await fetch(`${parsed.url}/images/photos`, jsonPost({ other: 1 }))
    expect(bad.status).toBe(422)
    const drained = await listen(
      express().use((req, _res, next) => void req.resume().once('end', () => next()), app.artwork.router),
    )
    expect((await fetch(`${drained.url}/images/photos`, raw(bytes))).status).toBe(400)
  })
  test('who leaves while it is asked whether they may costs others nothing', async () => {
    let asked = 0
    const app = await startWithUploads({
      authorize: async () => {
        asked += 1
        if (asked === 1) await new Promise((resolve) => setTimeout(resolve, 300))
        return true
      },
      maxBytes: '256 MiB',
    })
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
    socket.write(
      'POST /images/photos HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 268435456\r\n\r\nx',
    )
    await expect.poll(() => asked).toBe(1)
    socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 500))
    // Were its room still taken, this would wait until the time of its body is over.
    const answer = await app.get('/images/photos', {
      ...raw(await jpeg(60, 40)),
      signal: AbortSignal.timeout(10_000),
    })
    expect(answer.status).toBe(200)
  })
  test('a browser that says another site sends it is refused, unless it bears a token', async () => {
    const app = await startWithUploads()
    const bytes = await jpeg(60, 40)
    const send = async (headers: Record<string, string>): Promise<number> =>
      (
        await ask(app.url, '/images/photos', {
          method: 'POST',
          headers: { 'Content-Type': 'image/jpeg', 'Content-Length': String(bytes.length), ...headers },
          body: bytes.toString('latin1'),
        })
      ).status
    expect(await send({ 'Sec-Fetch-Site': 'cross-site' })).toBe(403)
    expect(await send({ 'Sec-Fetch-Site': 'same-site' })).toBe(403)
    expect(await send({ Origin: 'https://evil.example' })).toBe(403)
    expect(await send({ Origin: 'null' })).toBe(403)
    expect(await send({ Origin: app.url })).toBe(200)
    expect(await send({ 'Sec-Fetch-Site': 'same-origin' })).toBe(200)
    expect(await send({ Origin: 'https://app.example', Authorization: 'Bearer x' })).toBe(200)
    expect(await send({ Origin: 'https://public.example' })).toBe(403)
    expect(
      (
        await app.get('/images/photos/proxy', {
          method: 'POST',
          headers: { 'Content-Type': 'text/plain' },
          body: '{"urls":[]}',
        })
      ).status,
    ).toBe(415)
  })
  test('behind a proxy that changes the host, requests that name the public origin are accepted', async () => {
    const app = await startWithUploads(OPEN, { urls: { base: 'https://public.example' } })
    const send = async (origin: string): Promise<number> =>
      (
        await app.get('/images/photos', {
          ...raw(await jpeg(60, 40)),
          headers: { 'Content-Type': 'image/jpeg', Origin: origin },
        })
      ).status
    expect(await send('https://public.example')).toBe(200)
    expect(await send('https://other.example')).toBe(403)
  })
  test('a picture wider than most is found by its file’s name too', async () => {
    const directory = await temporaryFolder()
    const wide = await sharp({ create: { width: 120_000, height: 2, channels: 3, background: '#123' } })
      .png()
      .toBuffer()
    const first = await startWithUploads({ ...OPEN, keepOriginal: true }, {}, { directory })
    const id = await idOf(await first.get('/images/photos', raw(wide)))
    await first.stop()
    await rm(join(directory, 'uploads', 'uploads.db'))
    const second = await startWithUploads({ ...OPEN, keepOriginal: true }, {}, { directory })
    expect((await second.get(`/images/photos/${id}`)).status).toBe(200)
  })
})
/** Databases are never let go: see `store/database.ts`. */
const kept: unknown[] = []

/** Pictures of the app's own: a folder of files, in every size and format, as they are now. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type ArtworkOptions, createArtwork, files, remote, tmdb } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { atEnd, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

const SECRET = 'SENTINEL-7f3a'
const targets: readonly { readonly id: string; readonly target: string; readonly route: string }[] =
  JSON.parse(await readFile(new URL('../data/hostile/path-traversal.json', import.meta.url), 'utf8')).cases

afterEach(() => vi.restoreAllMocks())

/** A folder with pictures, beside one with a secret, and an app over it. */
async function site(options: ArtworkOptions = {}) {
  const folder = await temporaryFolder()
  const root = join(folder, 'public')
  await mkdir(join(root, 'a', 'b'), { recursive: true })
  await mkdir(join(folder, 'private'))
  const hero = await jpeg(800, 600)
  await writeFile(join(root, 'hero.jpg'), hero)
  await writeFile(join(root, 'a', 'b', 'Ünder Water #1 (2).jpg'), hero)
  await writeFile(join(root, '.hidden.jpg'), SECRET)
  await writeFile(join(root, 'notes.txt'), SECRET)
  await writeFile(join(folder, 'private', 'secret.jpg'), hero)
  await writeFile(join(folder, 'secret.txt'), SECRET)
  const app = await startApp({
    sources: [files({ root, prefix: '/static' }), tmdb(), remote({ hosts: ['cdn.example'] })],
    widths: [320, 640],
    ...options,
  })
  return { ...app, root, folder, hero }
}

const sizeOf = async (answer: Response) => {
  const { width, height, format } = await sharp(Buffer.from(await answer.arrayBuffer())).metadata()
  return [width, height, format]
}

describe('a file', () => {
  test('is answered in sizes and formats, by names with letters of any kind, and no copy of it is kept', async () => {
    const { get, artwork, hero } = await site()
    const original = await get('/images/files/original/hero.jpg')
    expect([original.status, original.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
    expect(Buffer.from(await original.arrayBuffer()).equals(hero)).toBe(true)
    expect(await sizeOf(await get('/images/files/w320-webp/hero.jpg'))).toEqual([320, 240, 'webp'])
    const name = encodeURIComponent('Ünder Water #1 (2).jpg')
    expect(await sizeOf(await get(`/images/files/w320/a/b/${name}`))).toEqual([320, 240, 'jpeg'])
    const printed = artwork.html.data('/static/a/b/%C3%9Cnder%20Water%20%231%20(2).jpg').url
    expect(printed).toMatch(/\(2\)|%282%29/)
    expect((await get(printed)).headers.get('cache-control')).toContain('immutable')
    const { byRole, bytes } = artwork.images.stats()
    expect(byRole).toEqual({ original: 2, rendition: 2, artwork: 0 })
    expect(bytes).toBeLessThan(hero.length)
    expect(original.headers.get('cache-control')).toBe('public, max-age=0, must-revalidate')
    expect(original.headers.get('content-disposition')).toContain('hero.jpg')
    const known = { 'If-None-Match': original.headers.get('etag') ?? '' }
    expect((await get('/images/files/original/hero.jpg', { headers: known })).status).toBe(304)
  })

  test('another size without the strict list, or another folder by another name', async () => {
    const { get, root } = await site()
    expect((await get('/images/files/w333/hero.jpg')).status).toBe(400)
    const { get: other } = await startApp({
      sources: [files({ root, name: 'photos', maxAge: 60 }), files({ root: join(root, 'a'), name: 'a' })],
    })
    expect((await other('/images/photos/w320/hero.jpg')).headers.get('cache-control')).toContain('max-age=60')
    expect((await other('/images/a/w320/b/%C3%9Cnder%20Water%20%231%20(2).jpg')).status).toBe(200)
    expect((await other('/images/files/w320/hero.jpg')).status).toBe(400)
  })

  test('replaced, it is new at the next request, and in what pages print', async () => {
    const { get, artwork, root, clock } = await site()
    const environment = new nunjucks.Environment()
    artwork.installTemplates(environment)
    const print = () => environment.renderString("{{ '/static/hero.jpg' | image_url('w320') }}", {})
    expect(await sizeOf(await get('/images/files/w320/hero.jpg'))).toEqual([320, 240, 'jpeg'])
    const before = print()
    expect(before).toMatch(/^\/images\/files\/w320\/hero\.jpg\?v=[0-9a-f]{16}$/)
    expect((await get(before)).headers.get('cache-control')).toContain('immutable')
    await writeFile(join(root, 'new.jpg'), await jpeg(800, 400))
    await rename(join(root, 'new.jpg'), join(root, 'hero.jpg'))
    expect(await sizeOf(await get('/images/files/w320/hero.jpg'))).toEqual([320, 160, 'jpeg'])
    expect(await sizeOf(await get('/images/files/original/hero.jpg'))).toEqual([800, 400, 'jpeg'])
    const after = print()
    expect(after).not.toBe(before)
    expect(await sizeOf(await get(after))).toEqual([320, 160, 'jpeg'])
    // A page is enough: what it prints is looked at behind it.
    await writeFile(join(root, 'hero.jpg'), await jpeg(800, 200))
    await eventually(() => {
      clock.now += 6000
      expect(print()).not.toBe(after)
    })
    expect(await sizeOf(await get(print()))).toEqual([320, 80, 'jpeg'])
  })

  test('replaced, it is new under its old version too, where memory has let go of that', async () => {
    const { get, artwork, root } = await site({ memory: { maxBytes: 1 } })
    await get('/images/files/w320/hero.jpg')
    const old = artwork.images.imageUrl('files/hero.jpg', 'w320')
    expect(old).toMatch(/\?v=[0-9a-f]{16}$/)
    for (let time = 0; time < 3; time += 1) expect(await sizeOf(await get(old))).toEqual([320, 240, 'jpeg'])
    await writeFile(join(root, 'new.jpg'), await jpeg(800, 400))
    await rename(join(root, 'new.jpg'), join(root, 'hero.jpg'))
    const answer = await get(old)
    expect(answer.headers.get('cache-control')).toBe('public, max-age=60')
    expect(await sizeOf(answer)).toEqual([320, 160, 'jpeg'])
  })

  test('touched, it is not made anew; removed and put back, it is answered as it is', async () => {
    const { get, artwork, root, hero } = await site()
    const first = await get('/images/files/w320/hero.jpg')
    const made = artwork.images.stats().bytes
    await utimes(join(root, 'hero.jpg'), 1, 1)
    expect((await get('/images/files/w320/hero.jpg')).headers.get('etag')).toBe(first.headers.get('etag'))
    expect(artwork.images.stats().bytes).toBe(made)
    await unlink(join(root, 'hero.jpg'))
    expect((await get('/images/files/w320/hero.jpg')).status).toBe(404)
    expect((await get('/images/files/original/hero.jpg')).status).toBe(404)
    await writeFile(join(root, 'hero.jpg'), hero)
    expect((await get('/images/files/w320/hero.jpg')).status).toBe(200)
    await writeFile(join(root, 'hero.jpg'), 'no picture')
    expect((await get('/images/files/w320/hero.jpg')).status).toBe(415)
    await writeFile(join(root, 'hero.jpg'), hero)
    expect((await get('/images/files/w320/hero.jpg')).status).toBe(200)
  })

  test('that cannot be had shows its placeholder to a page', async () => {
    const { get } = await site()
    const answer = await get('/images/files/w320/nothing.jpg', { headers: { 'Sec-Fetch-Dest': 'image' } })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/svg+xml'])
  })

  test('is negotiated, its AVIF made behind the answer', async () => {
    const { get, root } = await site({ transform: { formats: ['jpeg', 'png', 'webp', 'avif'] } })
    const noise = { type: 'gaussian', mean: 128, sigma: 80 } as const
    const grain = sharp({ create: { width: 640, height: 480, channels: 3, background: '#888', noise } })
    const photo = grain.blur(8).linear(16, -128 * 15)
    await writeFile(join(root, 'hero.jpg'), await photo.jpeg().toBuffer())
    const ask = () =>
      get('/images/files/w320-auto/hero.jpg', { headers: { Accept: 'image/avif,image/webp' } })
    expect((await ask()).headers.get('content-type')).toBe('image/webp')
    await eventually(async () => expect((await ask()).headers.get('content-type')).toBe('image/avif'))
  })

  test('has its real sides in markup from its first answer on, and candidates', async () => {
    const { artwork } = await site()
    const print = () => String(artwork.html.img('/static/a/b/Ünder Water #1 (2).jpg', { alt: '' }))
    const url = '/images/files/w320-auto/a/b/%C3%9Cnder%20Water%20%231%20%282%29.jpg'
    // A `#` begins a fragment: of what is no file there is nothing to print.
    expect(print()).toContain('placeholder')
    const encoded = () =>
      String(artwork.html.img('/static/a/b/%C3%9Cnder%20Water%20%231%20(2).jpg', { alt: '' }))
    expect(encoded()).toContain(url)
    await eventually(() => expect(encoded()).toMatch(/width="800" height="600"/))
    expect(artwork.addressOf('/static/hero.jpg')).toBe('files/original/hero.jpg')
    expect(artwork.addressOf('/static/.hidden.jpg')).toBeUndefined()
    expect(artwork.addressOf('/other/hero.jpg')).toBeUndefined()
  })

  test('restarted, what was made of it is there, and a file that changed meanwhile is new', async () => {
    const { get, stop, directory, root } = await site()
    const first = await get('/images/files/w320/hero.jpg')
    await get('/images/files/w640/hero.jpg')
    await stop()
    const again = await startApp({ sources: [files({ root })], widths: [320, 640] }, { directory })
    const read = vi.spyOn(fs.promises, 'open')
    const second = await again.get('/images/files/w320/hero.jpg')
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(read.mock.calls.filter(([path]) => String(path).includes('hero'))).toEqual([])
    await writeFile(join(root, 'hero.jpg'), await jpeg(400, 400))
    expect(await sizeOf(await again.get('/images/files/w640/hero.jpg'))).toEqual([400, 400, 'jpeg'])
  })

  test('too large, or being written, it is refused with its status and never half read', async () => {
    const { get, root } = await site({ fetch: { maxBytes: 200_000 } })
    await writeFile(join(root, 'big.jpg'), Buffer.concat([await jpeg(10, 10), Buffer.alloc(300_000)]))
    expect((await get('/images/files/original/big.jpg')).status).toBe(413)
    await writeFile(join(root, 'empty.jpg'), '')
    expect((await get('/images/files/original/empty.jpg')).status).toBe(502)
    const contents = [await jpeg(700, 500), await jpeg(500, 700)]
    await writeFile(join(root, 'busy.jpg'), contents[0] ?? '')
    let isOver = false
    const writing = (async () => {
      for (let turn = 0; !isOver; turn += 1) {
        // In place, so that a reader may see the beginning of one and the end of the other.
        await truncate(join(root, 'busy.jpg'), 0)
        await writeFile(join(root, 'busy.jpg'), contents[turn % 2] ?? '')
      }
    })()
    const statuses = new Set<number>()
    for (let time = 0; time < 150; time += 1) {
      const answer = await get('/images/files/original/busy.jpg')
      statuses.add(answer.status)
      const bytes = Buffer.from(await answer.arrayBuffer())
      // What a file is at a moment may be half of what its writer means: that is no picture.
      if (answer.status === 200) expect(contents.some((one) => one.equals(bytes))).toBe(true)
      else expect([415, 422, 502, 503]).toContain(answer.status)
    }
    isOver = true
    await writing
    expect((await get('/images/files/original/busy.jpg')).status).toBe(200)
  })
})

describe('nothing but the pictures of the folder', () => {
  test('links that lead out, folders, pipes, hidden files and other files', async () => {
    const { get, root, folder } = await site()
    await symlink(join(folder, 'private', 'secret.jpg'), join(root, 'out.jpg'))
    await symlink('../private', join(root, 'outside'))
    await symlink('hero.jpg', join(root, 'inside.jpg'))
    await symlink('loop.jpg', join(root, 'loop.jpg'))
    await mkdir(join(root, 'folder.jpg'))
    const statusOf = async (path: string) => (await get(`/images/files/original/${path}`)).status
    expect(await statusOf('inside.jpg')).toBe(200)
    expect(await statusOf('out.jpg')).toBe(403)
    expect(await statusOf('outside/secret.jpg')).toBe(403)
    for (const path of ['loop.jpg', 'folder.jpg', 'hero.jpg/x.jpg', 'HERO.JPG', 'none/none.jpg'])
      expect([path, await statusOf(path)]).toEqual([path, 404])
    for (const path of ['.hidden.jpg', 'notes.txt', 'a/.git/x.jpg', 'a//hero.jpg', 'c:x.jpg', 'hero.jpg%20'])
      expect([path, await statusOf(path)]).toEqual([path, 400])
    // Through a link that is exchanged after it was read.
    await rm(join(root, 'inside.jpg'))
    await symlink(join(folder, 'private', 'secret.jpg'), join(root, 'inside.jpg'))
    expect(await statusOf('inside.jpg')).toBe(403)
  })

  test('a root that is a link itself may be led elsewhere', async () => {
    const folder = await temporaryFolder()
    for (const [name, width] of Object.entries({ one: 300, two: 200 })) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'hero.jpg'), await jpeg(width, 100))
    }
    await symlink('one', join(folder, 'current'))
    const { get } = await startApp({ sources: [files({ root: join(folder, 'current') })] })
    expect(await sizeOf(await get('/images/files/original/hero.jpg'))).toEqual([300, 100, 'jpeg'])
    await symlink('two', join(folder, 'next'))
    await rename(join(folder, 'next'), join(folder, 'current'))
    expect(await sizeOf(await get('/images/files/original/hero.jpg'))).toEqual([200, 100, 'jpeg'])
  })

  test('every path of the list, over a bare socket, below /images/files', async () => {
    const { url, root, folder } = await site()
    await symlink('../secret.txt', join(root, 'link-out.webp'))
    await symlink('../private', join(root, 'linkdir'))
    const opened = vi.spyOn(fs.promises, 'open')
    const wrong: string[] = []
    for (const { id, target } of targets) {
      const below = target.replace(
        /^\/(?:artwork\/local|images\/[^/]+\/[^/]+)(?=\/)/,
        '/images/files/original',
      )
      const answer = await raw(Number(new URL(url).port), below)
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
      if (![400, 403, 404, 414, 431].includes(status) || answer.includes('SENTINEL'))
        wrong.push(`${id} ${below.slice(0, 80)}: ${status}`)
    }
    expect([targets.length > 100, wrong]).toEqual([true, []])
    for (const [path] of opened.mock.calls)
      expect(String(path).startsWith(folder) ? String(path).startsWith(root) : true, String(path)).toBe(true)
  })

  test('100,000 files: those that are asked for, and no more, are known', async () => {
    const { get, artwork, root, hero } = await site()
    await mkdir(join(root, 'many'))
    // A file has so many names at most.
    for (let first = 0; first < 100_000; first += 20_000) {
      const file = join(root, 'many', `${first}.jpg`)
      await writeFile(file, hero)
      for (let index = first + 1; index < first + 20_000; index += 1)
        fs.linkSync(file, join(root, 'many', `${index}.jpg`))
    }
    // One process takes them away in a fraction of the time that Node needs.
    atEnd(async () => void execFileSync('rm', ['-rf', join(root, 'many')]))
    expect(await readdir(join(root, 'many'))).toHaveLength(100_000)
    for (const index of [0, 1, 50_000, 99_999])
      expect(await sizeOf(await get(`/images/files/w320/many/${index}.jpg`))).toEqual([320, 240, 'jpeg'])
    expect((await get('/images/files/w320/many/100000.jpg')).status).toBe(404)
    expect(artwork.images.stats().byRole).toMatchObject({ original: 4, rendition: 4 })
  })
})

test.each([
  [{}, /files\.root must be the path of a folder/],
  [{ root: '/nowhere/at/all' }, /files\.root must be a folder that is there/],
  [{ root: '.', prefix: 'static' }, /files\.prefix must be a path such as "\/static"/],
  [{ root: '.', name: 'a/b' }, /files\.name must be/],
  [{ root: '.', maxAge: -1 }, /files\.maxAge must be a whole number of seconds/],
  [{ root: '.', folder: 'x' }, /files\.folder is no option: there are files\.root/],
])('a wrong option is refused with its rule: %j', async (options, message) => {
  const make = async () =>
    createArtwork({
      directory: await temporaryFolder(),
      sources: [files(options as never)],
      logger: quietLogger(),
    })
  await expect(make()).rejects.toThrow(message)
})

/** The answer to a request whose target no client has touched. */
const raw = (port: number, target: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    )
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece) => {
      answer += piece
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })

/** Media servers (PARITY 46): the export that follows the store, NFO files, and taking files in. */

import { existsSync, statSync } from 'node:fs'
import { link, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EntityLike, Repository } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test, vi } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import { eventually } from '../support/eventually.js'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, startApp, temporaryFolder } from '../support/toolkit.js'

const IN_PROCESS = { transform: { isolate: false } } as const
const files = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => path !== 'manifest.jsonl')
    .sort()

const KINDS = {
  profile: { path: 'profiles/profile_avatar_{id}.jpg', alias: 'streamer', variant: 'w300-h300' },
  category: { path: 'categories/{slug}.jpg' },
  artwork: { path: 'artwork/profile_avatar_{streamer}/stream_{id}.jpg' },
  film_poster: { variant: 'w342-h513', placeholder: 'poster' },
  film_backdrop: { variant: 'w300-h169', placeholder: 'backdrop' },
} as const

async function stage(folder?: string, repository?: Repository, more: object = {}) {
  const media = folder ?? (await temporaryFolder())
  const app = await startApp({
    ...IN_PROCESS,
    entities: KINDS,
    export: { directory: media },
    ...(repository && { repository }),
    ...more,
  })
  const hidden = join(media, '.images')
  const download = async (kind: string, id: string, seed = 1, params = {}) => {
    const path = `/${kind}-${encodeURIComponent(id)}-${seed}.jpg`
    app.origin.serve(path, image(await jpeg(80, 60, seed)))
    return app.artwork.images.downloadAndCache({
      sourceUrl: app.origin.url + path,
      entityType: kind,
      entityId: id,
      params,
    })
  }
  const run = async (kind: 'export' | 'import', options: object = {}) => {
    const { refresher } = app.artwork
    app.artwork.start()
    const queued = refresher.run(kind, { ...options })
    const id = queued.id ?? ''
    await eventually(async () => expect((await refresher.job(id))?.endedAt).toBeDefined())
    return refresher.job(id)
  }
  return { ...app, media, hidden, download, run }
}

describe('the export (parity 46)', () => {
  test('the layout of the seed, real files with the bytes of the store, by hard links (parity 46)', async () => {
    const app = await stage()
    await app.download('profile', '123')
    await app.download('category', 'Just Chatting', 2)
    await app.download('artwork', '789', 3, { streamer: '123' })
    const job = await app.run('export')
    expect(job).toMatchObject({ state: 'done', result: { foreign: 0, failed: 0, complete: true } })
    expect(await files(app.hidden)).toEqual([
      'artwork/profile_avatar_123/stream_789.jpg',
      'categories/just_chatting.jpg',
      'profiles/profile_avatar_123.jpg',
    ])
    const file = join(app.hidden, 'profiles/profile_avatar_123.jpg')
    const served = await app.get('/artwork/local/profiles/profile_avatar_123.jpg')
    expect(Buffer.from(await served.arrayBuffer()).equals(await readFile(file))).toBe(true)
    expect(statSync(file).nlink).toBe(2)
    const again = await app.run('export')
    expect(again?.result).toMatchObject({ linked: 0, copied: 0, current: 3, removed: 0 })
  })
  test('it follows the store: new, changed and removed pictures, evictions, and what changed meanwhile (parity 46)', async () => {
    const app = await stage()
    await app.download('profile', '1')
    app.artwork.start()
    await eventually(async () => expect(await files(app.hidden)).toEqual(['profiles/profile_avatar_1.jpg']))
    const file = join(app.hidden, 'profiles/profile_avatar_1.jpg')
    const before = await readFile(file)
    await app.download('profile', '2')
    await app.download('profile', '1', 5)
    await eventually(async () => {
      expect(await files(app.hidden)).toEqual([
        'profiles/profile_avatar_1.jpg',
        'profiles/profile_avatar_2.jpg',
      ])
      expect((await readFile(file)).equals(before)).toBe(false)
    })
    await app.artwork.images.purge({ entity: { kind: 'profile', id: '2' } })
    await eventually(async () => expect(await files(app.hidden)).toEqual(['profiles/profile_avatar_1.jpg']))
    await app.stop()
    const later = await startApp(
      { ...IN_PROCESS, entities: KINDS },
      { directory: app.directory, origin: app.origin },
    )
    await later.artwork.images.purge({ entity: { kind: 'profile', id: '1' } })
    await later.stop()
    expect(existsSync(file)).toBe(true)
    const again = await startApp(
      { ...IN_PROCESS, entities: KINDS, export: { directory: app.media } },
      { directory: app.directory, origin: app.origin },
    )
    again.artwork.start()
    await eventually(() => expect(existsSync(file)).toBe(false))
    await eventually(() => expect(existsSync(join(app.hidden, 'profiles'))).toBe(false))
  })
  test('the manifest says whose picture a file is, its sides, and what its original looks like', async () => {
    const app = await stage()
    await app.download('profile', '1')
    const address = app.artwork.addressOf(`${app.origin.url}/profile-1-1.jpg`) ?? ''
    await app.artwork.images.setFocalPoint(address, { x: 35, y: 60 })
    await app.run('export', { directory: app.media })
    const [line = ''] = (await readFile(join(app.hidden, 'manifest.jsonl'), 'utf8')).split('\n')
    expect(JSON.parse(line)).toMatchObject({
      path: 'profiles/profile_avatar_1.jpg',
      kind: 'profile',
      id: '1',
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      width: 80,
      height: 60,
      alpha: false,
      animated: false,
      color: expect.stringMatching(/^#[0-9a-f]{6}$/),
      thumbhash: expect.stringMatching(/^[\w+/]+=*$/),
      focalPoint: { x: 35, y: 60 },
    })
  })
  test('on another file system it copies, and a copy is replaced when the picture is (parity 46)', async () => {
    const shm = `/dev/shm/artwork-${process.pid}-${Math.random().toString(36).slice(2)}`
    atEnd(() => rm(shm, { recursive: true, force: true }))
    const isOther = existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync('/tmp').dev
    // Where there is no other file system, a content that cannot be linked stands for one.
    const app = await stage(isOther ? shm : undefined)
    await app.download('profile', '1')
    const { result } = (await app.run('export')) ?? {}
    const file = join(app.hidden, 'profiles/profile_avatar_1.jpg')
    if (isOther) {
      expect(result).toMatchObject({ linked: 0 })
      expect(statSync(file).nlink).toBe(1)
    }
    await app.download('profile', '1', 7)
    const now = await app.get('/artwork/local/profiles/profile_avatar_1.jpg')
    const bytes = Buffer.from(await now.arrayBuffer())
    await eventually(async () => expect((await readFile(file)).equals(bytes)).toBe(true))
    await app.artwork.images.purge({ entity: { kind: 'profile', id: '1' } })
    await eventually(() => expect(existsSync(file)).toBe(false))
  })
  test('files that are not ours are neither replaced nor removed, unless that is asked (parity 46)', async () => {
    const app = await stage()
    const mine = join(app.hidden, 'profiles/profile_avatar_1.jpg')
    await mkdir(join(app.hidden, 'profiles'), { recursive: true })
    await mkdir(join(app.hidden, 'categories'))
    await writeFile(mine, 'the picture of another service')
    await writeFile(join(app.hidden, 'categories', 'kept.jpg'), 'nobody of ours')
    await app.download('profile', '1')
    expect((await app.run('export'))?.result).toMatchObject({ foreign: 1, linked: 0, removed: 0 })
    expect(await readFile(mine, 'utf8')).toBe('the picture of another service')
    await app.artwork.images.purge({ entity: { kind: 'profile', id: '1' } })
    expect(existsSync(mine)).toBe(true)
    await app.download('profile', '1')
    expect((await app.run('export', { overwrite: true }))?.result).toMatchObject({ foreign: 0, linked: 1 })
    expect((await readFile(mine)).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]))
    // One that somebody put in its place meanwhile is theirs.
    await writeFile(`${mine}.new`, 'theirs now')
    await rename(`${mine}.new`, mine)
    await app.artwork.images.purge({ entity: { kind: 'profile', id: '1' } })
    await app.run('export')
    expect(await files(app.hidden)).toEqual(['categories/kept.jpg', 'profiles/profile_avatar_1.jpg'])
  })
  test('two exports at once leave no file that neither knows; what is edited in place is not ours any more (parity 46)', async () => {
    const shm = `/dev/shm/artwork-${process.pid}-${Math.random().toString(36).slice(2)}`
    atEnd(() => rm(shm, { recursive: true, force: true }))
    const app = await stage(existsSync('/dev/shm') ? shm : undefined)
    for (let id = 1; id <= 40; id += 1) await app.download('profile', String(id), id)
    app.artwork.start()
    await Promise.all([app.run('export'), app.run('export', { overwrite: true })])
    expect((await app.run('export'))?.result).toMatchObject({ current: 40, foreign: 0 })
    const edited = join(app.hidden, 'profiles/profile_avatar_7.jpg')
    await writeFile(edited, 'edited in place')
    await app.artwork.images.clearCache()
    await app.run('export')
    expect(await files(app.hidden)).toEqual(['profiles/profile_avatar_7.jpg'])
    expect(await readFile(edited, 'utf8')).toBe('edited in place')
  })
  test('nothing is taken away behind a link, and no list of somebody else’s is replaced (parity 46)', async () => {
    const app = await stage()
    await mkdir(app.hidden, { recursive: true })
    await writeFile(join(app.hidden, 'manifest.jsonl'), 'a list of somebody else')
    await app.download('profile', '1')
    await app.run('export')
    expect(await readFile(join(app.hidden, 'manifest.jsonl'), 'utf8')).toBe('a list of somebody else')
    const moved = join(await temporaryFolder(), 'profiles')
    await rename(join(app.hidden, 'profiles'), moved)
    await symlink(moved, join(app.hidden, 'profiles'))
    await app.artwork.images.clearCache()
    expect(await app.run('export')).toMatchObject({ state: 'failed', result: { removed: 0, failed: 1 } })
    expect(await readdir(moved)).toEqual(['profile_avatar_1.jpg'])
  })
  test('nothing is written through a link that stands in the way (parity 46)', async () => {
    const app = await stage()
    const outside = await temporaryFolder()
    await mkdir(app.hidden, { recursive: true })
    await symlink(outside, join(app.hidden, 'profiles'))
    await app.download('profile', '1')
    await app.download('category', 'Chess')
    const job = await app.run('export')
    expect(job).toMatchObject({ state: 'failed', reason: 'disk_write', result: { failed: 1, linked: 1 } })
    expect(await readdir(outside)).toEqual([])
  })
  test('a directory that cannot be used fails the job, and says so (parity 46)', async () => {
    const blocked = join(await temporaryFolder(), 'file')
    await writeFile(blocked, '')
    const app = await stage(blocked)
    await app.download('profile', '1')
    expect(await app.run('export')).toMatchObject({ state: 'failed', reason: 'disk_write' })
    expect((await app.get('/artwork/local/profiles/profile_avatar_1.jpg')).status).toBe(200)
  })
  test('what a killed export left half done goes; what is damaged on disk is not shown (parity 46)', async () => {
    const app = await stage()
    const { digest = '' } = await app.download('profile', '1')
    const content = join(app.directory, 'store-v2/content-v2/sha256', digest.slice(0, 2), digest.slice(2, 4))
    await writeFile(join(content, digest.slice(4)), 'damaged')
    await mkdir(app.hidden, { recursive: true })
    const fresh = join(app.hidden, '.artwork-00000000-0000-4000-8000-000000000000.tmp')
    await writeFile(fresh, 'of another process, a moment ago')
    await app.run('export')
    const file = 'profiles/profile_avatar_1.jpg'
    expect(await files(app.hidden)).toEqual([fresh.slice(app.hidden.length + 1), file])
    expect(digestOf(await readFile(join(app.hidden, file)))).toBe(digest)
    vi.setSystemTime(Date.now() + 2 * 3_600_000)
    atEnd(async () => void vi.useRealTimers())
    await app.run('export')
    expect(await files(app.hidden)).toEqual([file])
  })
})

describe('NFO files (parity 46)', () => {
  test('an absolute or a relative path, by a function and by a filter, escaped (parity 46)', async () => {
    const app = await stage(undefined, undefined, {
      export: { directory: await temporaryFolder(), seenAs: '/recordings' },
    })
    const { artwork } = app
    const film = { id: '42', type: 'film_poster', image_url: `${app.origin.url}/p.jpg?a=1&b=<2>` }
    expect(artwork.nfo(film, { requireLocal: true })).toBe('')
    expect(artwork.nfo(film)).toBe(
      `<thumb aspect="poster">${app.origin.url}/p.jpg?a=1&#38;b=&#60;2&#62;</thumb>`,
    )
    await app.download('film_poster', '42')
    await app.download('film_backdrop', '42')
    await app.download('profile', '123')
    const poster = '.images/film_posters/42/42.webp'
    expect(artwork.nfo(film)).toBe(`<thumb aspect="poster">/recordings/${poster}</thumb>`)
    expect(artwork.nfo(film, { from: '/recordings/films/Alien' })).toBe(
      `<thumb aspect="poster">../../${poster}</thumb>`,
    )
    expect(artwork.nfo(film, { kind: 'film_backdrop' })).toBe(
      '<fanart><thumb>/recordings/.images/film_backdrops/42/42.webp</thumb></fanart>',
    )
    expect(artwork.nfo({ id: '123', type: 'profile' })).toBe(
      '<thumb>/recordings/.images/profiles/profile_avatar_123.jpg</thumb>',
    )
    const environment = new nunjucks.Environment(null, { autoescape: true })
    artwork.installTemplates(environment)
    const print = (template: string) => environment.renderString(template, { film })
    expect(print('{{ film | image_nfo }}')).toBe(`<thumb aspect="poster">/recordings/${poster}</thumb>`)
    expect(print("{{ film | image_nfo('keyart', from='/recordings') }}")).toBe(
      `<thumb aspect="keyart">${poster}</thumb>`,
    )
    expect(print("{{ film | image_nfo(kind='film_backdrop') }}")).toMatch(/^<fanart><thumb>\/recordings\//)
    expect(print('{{ nothing | image_nfo }}')).toBe('')
  })
})

describe('taking files in (parity 46)', () => {
  test('what was exported is taken in elsewhere, with where it came from; a changed source makes it anew', async () => {
    const app = await stage()
    await app.download('profile', '123')
    await app.download('category', 'Just Chatting')
    await app.download('artwork', '789', 1, { streamer: '123' })
    await app.run('export')
    await app.stop()
    app.origin.fail(503)
    const other = await startApp({ ...IN_PROCESS, entities: KINDS }, { origin: app.origin })
    const { refresher, images } = other.artwork
    other.artwork.start()
    const job = async (options = {}) => {
      const { id = '' } = refresher.run('import', { directory: app.media, ...options })
      await eventually(async () => expect((await refresher.job(id))?.endedAt).toBeDefined())
      return (await refresher.job(id))?.result
    }
    expect(await job()).toEqual({ imported: 3, unchanged: 0, kept: 0, unknown: 0, refused: 0, errors: {} })
    const sourceUrl = `${app.origin.url}/category-Just%20Chatting-1.jpg`
    for (const path of [
      'profiles/profile_avatar_123.jpg',
      'categories/just_chatting.jpg',
      'artwork/profile_avatar_123/stream_789.jpg',
    ]) {
      const answer = await other.get(`/artwork/local/${path}`)
      expect([path, answer.status]).toEqual([path, 200])
      expect(Buffer.from(await answer.arrayBuffer()).equals(await readFile(join(app.hidden, path)))).toBe(
        true,
      )
    }
    const cached = { sourceUrl, entityType: 'category', entityId: 'Just Chatting' }
    expect(await images.downloadAndCache(cached)).toMatchObject({ status: 'cached' })
    expect(await job()).toMatchObject({ imported: 0, unchanged: 3 })
    app.origin.fail(undefined)
    app.origin.serve('/category-Just%20Chatting-1.jpg', image(await png(50, 40)))
    expect(await images.downloadAndCache({ ...cached, force: true })).toMatchObject({ status: 'downloaded' })
    expect(await job()).toMatchObject({ imported: 0, unchanged: 2, kept: 1 })
    expect(await job({ overwrite: true })).toMatchObject({ imported: 1, unchanged: 2, kept: 0 })
  })
  test('what a list says of other bytes is not said of a file that was changed since', async () => {
    const app = await stage()
    await app.download('profile', '1')
    await app.run('export')
    const file = join(app.hidden, 'profiles/profile_avatar_1.jpg')
    await writeFile(`${file}.new`, await jpeg(33, 44, 8))
    await rename(`${file}.new`, file)
    const other = await startApp({ ...IN_PROCESS, entities: KINDS }, { origin: app.origin })
    expect(await other.artwork.images.importFolder(app.media)).toMatchObject({ imported: 1 })
    const request = { sourceUrl: `${app.origin.url}/profile-1-1.jpg`, entityType: 'profile', entityId: '1' }
    expect(await other.artwork.images.downloadAndCache(request)).toMatchObject({
      status: 'downloaded',
      width: 80,
    })
  })
  test('what a service before this one kept: whose it is, follows from records and paths; bad files are refused', async () => {
    const media = await temporaryFolder()
    const put = async (path: string, bytes: Buffer | string) => {
      await mkdir(join(media, path, '..'), { recursive: true })
      await writeFile(join(media, path), bytes)
    }
    await put('profiles/profile_avatar_7.jpg', await jpeg(40, 40, 2))
    await put('categories/just_chatting.jpg', await jpeg(40, 40, 3))
    await put('categories/nobody.jpg', await jpeg(40, 40, 4))
    await put('artists/ab/abc123.webp', await png(30, 30))
    await put('profiles/profile_avatar_8.jpg', '<html>no picture</html>')
    await put('profiles/profile_avatar_9.jpg', Buffer.alloc(3_000_000, 1))
    await put('profiles/profile_avatar_10.txt', 'nothing of ours')
    const secret = join(await temporaryFolder(), 'secret.jpg')
    await writeFile(secret, await jpeg(30, 30))
    await symlink(secret, join(media, 'profiles', 'profile_avatar_11.jpg'))
    await link(join(media, 'artists/ab/abc123.webp'), join(media, 'artists/ab/abd.webp'))
    const category: EntityLike = { id: 'Just Chatting', image_url: 'https://cdn.example/c.jpg' }
    const repository: Repository = {
      list: async (kind) => ({ entities: kind === 'category' ? [category] : [] }),
    }
    const app = await startApp({ ...IN_PROCESS, entities: KINDS, repository, fetch: { maxBytes: 1_000_000 } })
    const report = await app.artwork.images.importFolder(media)
    expect(report).toEqual({
      // A slug is its own name where no record has one: `nobody` and its bytes are not lost.
      imported: 5,
      unchanged: 0,
      kept: 0,
      unknown: 0,
      refused: 2,
      errors: {
        'profiles/profile_avatar_8.jpg': 'unsupported',
        'profiles/profile_avatar_9.jpg': 'too_large',
      },
    })
    expect((await app.get('/artwork/local/profiles/profile_avatar_11.jpg')).status).toBe(404)
    const answer = await app.get('/artwork/local/artists/ab/abc123.webp')
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png'])
    const { images } = app.artwork
    expect(images.getDisplayUrl(null, 'categories/just_chatting.jpg', 'category')).toMatch(
      /^\/artwork\/local/,
    )
    await expect(images.importFolder(join(media, 'nowhere'))).rejects.toThrow('no directory')
  })
})

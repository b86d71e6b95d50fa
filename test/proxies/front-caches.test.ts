/** The example site behind real shared caches: what they keep, ask about again, tell apart, refuse to keep, and forget. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type Service, startExample } from '../support/child-process.js'
import { type Front, startNginx, startVarnish } from './front.js'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** The site, and a cache before it that is purged. */
async function behind(start: (site: string) => Promise<Front>) {
  const folder = mkdtempSync(join(tmpdir(), 'artwork-front-'))
  folders.push(folder)
  const port = await freePort()
  const front = await start(`http://127.0.0.1:${port}`)
  const site: Service = await startExample({
    PORT: String(port),
    CDN_PORT: String(await freePort()),
    DATA_DIR: folder,
    WARM_DELAY: '600000',
    FRONT_CACHE: front.url,
  })
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(front.url + path, { headers })
    const body = Buffer.from(await answer.arrayBuffer())
    const field = (name: string) => answer.headers.get(name)
    return { status: answer.status, body, field, front: field('x-front') }
  }
  const film = /href="(\/films\/[a-z0-9]+)"/.exec((await get('/films')).body.toString())?.[1] ?? ''
  const html = (await get(film)).body.toString()
  const poster = /\/t\/p\/[a-z0-9]+\/([a-z0-9]+p\.jpg)/.exec(html)?.[1] ?? ''
  expect(poster).not.toBe('')
  return {
    get,
    folder: front.folder,
    film,
    poster,
    post: (path: string, body: string) =>
      fetch(front.url + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body,
        redirect: 'manual',
      }),
    stop: async () => {
      await site.stop()
      await front.stop()
    },
  }
}

type Behind = Awaited<ReturnType<typeof behind>>

describe.each([
  ['Varnish', startVarnish],
  ['nginx', startNginx],
])('behind %s', (_name, start) => {
  let site: Behind
  beforeAll(async () => {
    site = await behind(start)
  })
  afterAll(() => site?.stop())

  test('a picture is kept, with its tags, and a client that has it gets a 304', async () => {
    const { get, poster } = site
    const path = `/images/poster/w342/${poster}`
    const first = await get(path)
    expect([first.status, first.front]).toEqual([200, 'MISS'])
    const second = await get(path)
    expect([second.status, second.front, second.body.equals(first.body)]).toEqual([200, 'HIT', true])
    expect(second.field('etag')).toBe(first.field('etag'))
    expect(second.field('cache-tag')).toMatch(/kind-poster/)
    const held = await get(path, { 'If-None-Match': first.field('etag') ?? '' })
    expect([held.status, held.body.length]).toEqual([304, 0])
    const part = await get(path, { Range: 'bytes=0-9' })
    expect([part.status, part.body.equals(first.body.subarray(0, 10))]).toEqual([206, true])
  })

  test('what has aged there is asked about again, and a 304 renews it', async () => {
    const { get, poster } = site
    const path = `/short/images/poster/w342/${poster}`
    const first = await get(path)
    expect(first.front).toBe('MISS')
    await sleep(2100)
    const again = await get(path)
    expect([again.status, again.front, again.body.equals(first.body)]).toEqual([200, 'REVALIDATED', true])
    expect((await get(path)).front).toBe('HIT')
  })

  test('negotiated pictures are distinguished by Accept', async () => {
    const { get, poster } = site
    const path = `/images/poster/w342-auto/${poster}`
    const types = async (accept: string) => {
      const answer = await get(path, { Accept: accept })
      return [answer.field('content-type'), answer.field('vary'), answer.front]
    }
    expect(await types('image/webp,*/*')).toEqual(['image/webp', 'Accept', 'MISS'])
    expect(await types('image/jpeg')).toEqual(['image/jpeg', 'Accept', 'MISS'])
    expect(await types('image/webp,*/*')).toEqual(['image/webp', 'Accept', 'HIT'])
    expect(await types('image/jpeg')).toEqual(['image/jpeg', 'Accept', 'HIT'])
  })

  test('what is behind a login is kept by nobody, also while others ask for the same', async () => {
    const { get } = site
    const path = '/images/guests/w320-webp/guest-1.jpg'
    const guest = { Cookie: 'guest=1' }
    expect((await get(path)).status).toBe(401)
    const all = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const isGuest = index % 3 === 0
        const { status, body, field, front } = await get(path, isGuest ? guest : {})
        return { isGuest, status, isPicture: body.length > 1000, private: field('cache-control'), front }
      }),
    )
    for (const { isGuest, status, isPicture, private: policy, front } of all) {
      expect([isGuest, status, isPicture]).toEqual([isGuest, isGuest ? 200 : 401, isGuest])
      expect(policy).toBe(isGuest ? 'private, max-age=0, must-revalidate' : 'no-store')
      expect(front).not.toBe('HIT')
    }
    expect((await get(path)).status).toBe(401)
    const own = await get(path, guest)
    expect([own.status, own.front, own.field('cache-tag')]).toEqual([200, 'MISS', null])
  })

  test('no error is kept', async () => {
    const { get } = site
    for (const [path, status] of [
      ['/images/poster/w342/none.jpg', 404],
      ['/images/poster/w341/none.jpg', 400],
      ['/artwork/local/artists/no/none.webp', 404],
    ] as const) {
      for (let time = 0; time < 2; time += 1) {
        const answer = await get(path)
        expect([answer.status, answer.front, answer.field('cache-control')]).toEqual([
          status,
          'MISS',
          'no-store',
        ])
      }
    }
  })
})

// nginx as Debian has it cannot forget by tag; Varnish can.
test('what is purged here nginx keeps until the files of its cache are deleted, which needs no restart', async () => {
  const { get, post, folder, film, poster, stop } = await behind(startNginx)
  const paths = ['w342', 'w342-auto', 'original'].map((variant) => `/images/poster/${variant}/${poster}`)
  const before = await Promise.all(paths.map(async (path) => (await get(path)).body))
  expect((await post('/panel/purge', `page=${encodeURIComponent(film)}`)).status).toBe(303)
  for (const path of paths) expect((await get(path)).front, path).toBe('HIT')
  execFileSync('find', [join(folder, 'cache'), '-type', 'f', '-delete'])
  for (const [index, path] of paths.entries()) {
    const answer = await get(path)
    expect([answer.status, answer.front], path).toEqual([200, 'MISS'])
    expect(answer.body.equals(before[index] ?? Buffer.alloc(0)), path).toBe(true)
    expect((await get(path)).front, path).toBe('HIT')
  }
  await stop()
})

test('what is purged here is forgotten by Varnish too, by its tag, and nothing else is', async () => {
  const { get, post, film, poster, stop } = await behind(startVarnish)
  const html = (await get('/films')).body.toString()
  const films = [...html.matchAll(/href="(\/films\/[a-z0-9]+)"/g)].map(([, path]) => path)
  const other = films.find((path) => path !== film)
  const otherPage = (await get(other ?? '')).body.toString()
  const otherPoster = /\/t\/p\/[a-z0-9]+\/([a-z0-9]+p\.jpg)/.exec(otherPage)?.[1]
  const paths = ['w342', 'w342-webp', 'w342-auto', 'original'].map(
    (variant) => `/images/poster/${variant}/${poster}`,
  )
  const kept = `/images/poster/w342/${otherPoster}`
  for (const path of [...paths, kept]) {
    await get(path)
    expect((await get(path)).front).toBe('HIT')
  }
  expect((await post('/panel/purge', `page=${encodeURIComponent(film)}`)).status).toBe(303)
  for (const path of paths) expect((await get(path)).front, path).toBe('MISS')
  expect((await get(kept)).front).toBe('HIT')
  await stop()
})

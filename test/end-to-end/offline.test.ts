/** An app that is tested without a network: every picture is there at once, the same in each run, and no socket is opened. */
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { type ArtworkOptions, atproto, createArtwork, remote, tmdb, uploads } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import request from 'supertest'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { viewsPath } from '#src/views-path.js'
import { png } from '../support/images.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

afterEach(() => vi.restoreAllMocks())

const ALBUM = { id: '7', type: 'album', title: 'Tidewater', image_url: 'https://cdn.example.com/7.jpg' }

async function offlineApp(offline: ArtworkOptions['offline'] = true, options: ArtworkOptions = {}) {
  const artwork = await createArtwork({
    offline,
    sources: [tmdb(), remote({ hosts: ['cdn.example.com'] }), atproto()],
    transform: { isolate: false },
    logger: quietLogger(),
    ...options,
  })
  atEnd(artwork.close)
  const app = express()
  const environment = nunjucks.configure(viewsPath, { autoescape: true })
  artwork.installTemplates(environment)
  app.use(artwork.router)
  app.get('/', (_req, res) => {
    const text =
      "{% from 'artwork/picture.njk' import img %}{{ img(album, alt=album.title) }}{{ img('/poster.jpg', kind='poster', alt='') }}{{ img(other, alt='') }}"
    const other = { id: '8', type: 'artist', image_url: 'https://elsewhere.example/8.jpg' }
    res.send(environment.renderString(text, { album: ALBUM, other }))
  })
  return { artwork, app }
}

const urlsIn = (html: string): string[] =>
  [...html.matchAll(/(?:src|srcset)="([^"]+)"/g)].flatMap(([, list = '']) =>
    list.split(', ').map((one) => one.split(' ')[0] ?? ''),
  )

describe('an app in its own tests', () => {
  test('prints the same page each time, whose pictures all answer, and opens no socket but its own', async () => {
    const connect = vi.spyOn(net.Socket.prototype, 'connect')
    const { app } = await offlineApp()
    const server = app.listen(0)
    atEnd(async () => server.close())
    const first = await request(server).get('/')
    const urls = urlsIn(first.text)
    expect(urls.length).toBeGreaterThan(8)
    expect(first.text).not.toMatch(/https?:\/\//)
    for (const url of urls) {
      const answer = await request(server).get(url.replaceAll('&amp;', '&'))
      expect([url, answer.status, answer.headers['content-type']]).toEqual([
        url,
        200,
        expect.stringMatching(/^image\//),
      ])
    }
    const again = await offlineApp()
    expect((await request(again.app).get('/')).text).toBe(first.text)
    const port = (server.address() as net.AddressInfo).port
    const others = connect.mock.calls.filter(([options]) => !JSON.stringify(options).includes(`${port}`))
    // The second app's, on a port of its own.
    expect(others.every(([options]) => /127\.0\.0\.1|::1|localhost/.test(JSON.stringify(options)))).toBe(true)
  })

  test('has pictures of the usual shape of their kind, of another colour each', async () => {
    const { artwork } = await offlineApp()
    const poster = await artwork.images.getImage('poster/w342/abc.jpg')
    expect([poster.width, poster.height]).toEqual([342, 513])
    const one = await artwork.images.getImage('poster/w342/one.jpg')
    expect(one.color).not.toBe(poster.color)
    const did = 'did:plc:abcdefghijklmnopqrstuvwx'
    const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
    expect((await artwork.images.getImage(`atproto/avatar_small/${did}/${cid}`)).width).toBe(360)
  })

  test('has the bytes, files and failures that it names, and downloads them as ever', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'cover.png'), await png(90, 60))
    const { artwork } = await offlineApp({
      'https://cdn.example.com/*': join(folder, 'cover.png'),
      'https://cdn.example.com/bytes/*': await png(50, 40),
      'https://cdn.example.com/gone.jpg': 410,
      'https://cdn.example.com/down.jpg': 503,
      'https://cdn.example.com/page.jpg': Buffer.from('<html>'),
    })
    const address = (url: string) => artwork.addressOf(`https://cdn.example.com/${url}`) ?? ''
    expect((await artwork.images.getImage(address('a.jpg'))).width).toBe(90)
    expect((await artwork.images.getImage(address('bytes/b.jpg'))).width).toBe(50)
    await expect(artwork.images.getImage(address('gone.jpg'))).rejects.toMatchObject({ code: 'gone' })
    await expect(artwork.images.getImage(address('down.jpg'))).rejects.toMatchObject({
      code: 'upstream_failed',
    })
    await expect(artwork.images.getImage(address('page.jpg'))).rejects.toMatchObject({ code: 'unsupported' })
    const saved = await artwork.images.downloadAndCache({
      sourceUrl: ALBUM.image_url,
      entityType: 'album',
      entityId: '7',
    })
    expect(saved).toMatchObject({ status: 'downloaded', width: 90 })
    expect(artwork.images.display(ALBUM).url).toMatch(/^\/artwork\/local\/albums\//)
    // A picture that is known to be missing is its placeholder.
    const gone = { id: '9', type: 'album', image_url: 'https://cdn.example.com/gone.jpg' }
    expect(artwork.images.display(gone).from).toBe('placeholder')
  })

  test('takes a function, and uploads as ever; what clients have it fetch is no network either', async () => {
    const asked: string[] = []
    const { artwork, app } = await offlineApp(
      async (url) => {
        asked.push(url)
        return url.endsWith('none.jpg') ? 404 : undefined
      },
      {
        sources: [remote({ hosts: ['cdn.example.com'] }), uploads({ authorize: () => true })],
      },
    )
    const id = artwork.addressOf('https://cdn.example.com/x.jpg') ?? ''
    await artwork.images.getImage(id)
    expect(asked).toEqual(['https://cdn.example.com/x.jpg'])
    const fetched = await request(app).post('/images/fetch').send({ url: 'https://anywhere.example/y.jpg' })
    expect([fetched.status, JSON.stringify(fetched.body)]).toEqual([
      200,
      expect.stringContaining('image/png'),
    ])
    const stored = await request(app)
      .post('/images/photos')
      .set('Content-Type', 'image/png')
      .send(await png(20, 20))
    expect(stored.status).toBe(200)
  })

  test('leaves nothing behind, and uses the directory that it is given', async () => {
    const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith('express-artwork-'))
    const before = new Set(temporary())
    const { artwork } = await offlineApp()
    expect(temporary().filter((name) => !before.has(name))).not.toEqual([])
    await artwork.images.getImage('poster/w342/abc.jpg')
    await artwork.close()
    expect(existsSync('data')).toBe(false)
    const directory = join(await temporaryFolder(), 'mine')
    const other = await offlineApp(true, { directory })
    await other.artwork.close()
    expect(existsSync(directory)).toBe(true)
  })
})

test.each([['yes'], [[1]], [{ 'https://a.example/b.jpg': true }]])(
  'a wrong option is refused with its rule: %j',
  async (offline) => {
    await expect(createArtwork({ offline: offline as never })).rejects.toThrow(
      /offline.* must be true, false, a function of a URL/,
    )
  },
)

test('a picture that is made is a sound PNG', async () => {
  const { artwork } = await offlineApp()
  const { bytes } = await artwork.images.getImage('backdrop/original/abc.jpg')
  const { width, height, format } = await sharp(bytes).metadata()
  expect([width, height, format]).toEqual([1200, 675, 'png'])
  await expect(sharp(bytes, { failOn: 'warning' }).raw().toBuffer()).resolves.toHaveLength(1200 * 675 * 3)
})

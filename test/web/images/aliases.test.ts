/** One picture has one URL that may be kept for good: what other texts for it come to. */
import express from 'express'
import { signAddress, uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { ask } from '../../support/raw-http.js'
import {
  colonSource,
  listen,
  POSTER,
  remoteAddress,
  stage,
  startApp,
  type Via,
  withPoster,
} from '../../support/toolkit.js'

const KEY = 'a-signing-key-of-some-length'
const version = (etag = ''): string => etag.slice(1, 17)

describe.each<Via>(['Express', 'listener'])('through the %s (mended 17)', (via) => {
  test.each([
    ['an encoded letter', '/images/poster/w500/%78.jpg'],
    ['an encoded letter of the kind', '/images/%70oster/w500/x.jpg'],
    ['an encoded digit', '/images/poster/w%3500/x.jpg'],
    ['an encoded full stop', '/images/poster/w500/x%2Ejpg'],
    ['one in lower case', '/images/poster/w500/x%2ejpg'],
    ['the images in capitals', '/IMAGES/poster/w500/x.jpg'],
    ['the images in some capitals', '/Images/poster/w500/x.jpg'],
  ])('%s is 400', async (_name, path) => {
    const { ask: get, origin } = await withPoster(via)
    for (let time = 0; time < 3; time += 1) {
      const answer = await get(path)
      expect([answer.status, answer.headers['cache-control']]).toEqual([400, 'no-store'])
    }
    expect(origin.hits()).toBe(0)
  })
  test('parameters of ours are given once, and as they are printed; others stay ignored', async () => {
    const { ask: get } = await withPoster(via, { signing: { keys: [KEY] } })
    const right = version((await get(POSTER)).headers.etag)
    const signed = signAddress(POSTER, KEY).split('?')[1]
    for (const query of [
      `v=${right}&v=${right}`,
      `v=${right}&x=1&v=`,
      `${signed}&${signed}`,
      `expires=1&expires=1`,
      `%76=${right}`,
      `v=%${Buffer.from(right.slice(0, 1)).toString('hex')}${right.slice(1)}`,
    ])
      expect([query, (await get(`${POSTER}?${query}`)).status]).toEqual([query, 400])
    for (const query of [`v=${right}&utm=1&utm=1`, `utm=%76&v=${right}`, `V=1&v=${right}`, `${signed}&a&a`])
      expect([query, (await get(`${POSTER}?${query}`)).status]).toEqual([query, 200])
    const many = '&a'.repeat(1001)
    for (const query of [`v=${right}${many}`, `a${many}&v=${right}&v=`])
      expect((await get(`${POSTER}?${query}`)).status).toBe(400)
    for (const tail of ['=', '!!!', '%00', '%0a'])
      expect((await get(`${POSTER}?${signed}${tail}`)).status).toBeGreaterThanOrEqual(400)
  })
})

test('local paths in another case or encoding are 400, and never immutable (mended 17)', async () => {
  const { artwork, get, origin } = await startApp({ transform: { isolate: false } })
  origin.serve('/a.jpg', image(await jpeg(40, 30)))
  const { url = '' } = await artwork.images.downloadAndCache({
    sourceUrl: `${origin.url}/a.jpg`,
    entityType: 'artist',
    entityId: 'abc',
  })
  expect((await get(url)).headers.get('cache-control')).toMatch(/immutable/)
  for (const other of [
    url.replace('/artwork', '/Artwork'),
    url.replace('/local/', '/LOCAL/'),
    url.replace('/artists/', '/%61rtists/'),
    url.replace('.webp', '%2Ewebp'),
  ])
    expect([other, (await get(other)).status]).toEqual([other, 400])
  expect((await get('/static/Images/placeholder.svg')).status).toBe(400)
})

test('a colon that encodeURIComponent has encoded is answered, for an hour, and is no hot answer (mended 17)', async () => {
  const set = await startApp({ transform: { isolate: false }, sources: [uploads()] })
  const bytes = await jpeg(40, 30)
  const saved = await set.artwork.uploads?.save('avatars', bytes)
  const plain = `/images/avatars/original/${saved?.imageId}`
  expect((await set.get(plain)).headers.get('cache-control')).toMatch(/immutable/)
  const at = { url: '' }
  const hot = await stage('listener', { sources: [colonSource(() => at.url)] })
  at.url = hot.origin.url
  hot.origin.serve('/did:plc:x', image(bytes))
  const canonical = await hot.askHot('/images/colons/original/did:plc:x')
  expect(canonical.headers['cache-control']).toMatch(/immutable/)
  for (const alias of ['/images/colons/original/did%3Aplc%3Ax', '/images/colons/original/did:plc%3ax']) {
    for (let time = 0; time < 4; time += 1) {
      const before = hot.entered()
      const { status, headers, body } = await hot.ask(alias)
      expect([status, body.equals(canonical.body), hot.entered() - before]).toEqual([200, true, 1])
      expect(headers['cache-control']).toMatch(/^public, max-age=3600,/)
    }
    const versioned = await hot.ask(`${alias}?v=${version(canonical.headers.etag)}`)
    expect(versioned.headers['cache-control']).not.toMatch(/immutable/)
  }
})

describe.each(['https://cdn.example.com/shop', '/shop'])(
  'mounted below /shop, urls.base %s (mended 17)',
  (base) => {
    test('printed and signed URLs answer; a case of the mount that is not printed does not', async () => {
      const app = await startApp({
        transform: { isolate: false },
        urls: { base },
        signing: { keys: [KEY] },
      })
      app.origin.serve('/p.jpg', image(await jpeg(60, 40)))
      const { url } = await listen(express().use('/shop', app.artwork.router))
      const { default: nunjucks } = await import('nunjucks')
      const env = new nunjucks.Environment()
      app.artwork.installTemplates(env)
      const printed = env.renderString('{{ u | image_url("w33-h20-cover-webp") }}', {
        u: `${app.origin.url}/p.jpg`,
      })
      expect(printed.startsWith(`${base}/images/remote/w33-h20-cover-webp/`)).toBe(true)
      const path = printed.replace(/&amp;/g, '&').replace(/^https:\/\/[^/]+/, '')
      expect((await ask(url, path)).status).toBe(200)
      expect((await ask(url, path.replace('/shop/', '/SHOP/'))).status).toBe(400)
      const address = remoteAddress(`${app.origin.url}/p.jpg`, 'w31')
      // By the path as it is printed, whole or behind the mount.
      for (const text of [`/images/${address}`, `/shop/images/${address}`, `${base}/images/${address}`]) {
        const query = signAddress(text, KEY).split('?')[1]
        expect([text, (await ask(url, `/shop/images/${address}?${query}`)).status]).toEqual([text, 200])
      }
      const other = signAddress(`/images/${remoteAddress(`${app.origin.url}/p.jpg`, 'w32')}`, KEY).split(
        '?',
      )[1]
      expect((await ask(url, `/shop/images/${address}?${other}`)).status).toBe(403)
      const local = await app.artwork.images.downloadAndCache({
        sourceUrl: `${app.origin.url}/p.jpg`,
        entityType: 'artist',
        entityId: 'abc',
      })
      expect(local.url?.startsWith(`${base}/artwork/local/`)).toBe(true)
      expect((await ask(url, (local.url ?? '').replace(/^https:\/\/[^/]+/, ''))).status).toBe(200)
    })
  },
)

describe('what has not the shape of ours is the app’s (mended 39)', () => {
  const behind = async (sources: Parameters<typeof startApp>[0]) => {
    const { artwork } = await startApp({ transform: { isolate: false }, ...sources })
    const app = express()
    app.use(artwork.router)
    app.use((_req, res) => void res.status(299).send('the app'))
    const { url } = await listen(app)
    return async (path: string, method = 'GET') => (await ask(url, path, { method })).status
  }
  test.each([
    ['without uploads', {}],
    ['with uploads of some namespaces', { sources: [uploads({ namespaces: ['avatars'] })] }],
  ])('%s', async (_name, options) => {
    const status = await behind(options)
    for (const path of ['/images/logo.png', '/images/icons/logo.png', '/Images/logo.png'])
      for (const method of ['GET', 'HEAD']) expect([path, await status(path, method)]).toEqual([path, 299])
    expect(await status('/images/nothing/w300/x.jpg')).toBe(400)
    expect(await status('/images/..%2f..%2fetc/passwd')).toBe(400)
  })
  test('with uploads of any namespace, a file name is no namespace to be listed', async () => {
    const status = await behind({ sources: [uploads()] })
    for (const path of ['/images/logo.png', '/images/favicon.ico', '/images/a.SVG'])
      expect([path, await status(path)]).toEqual([path, 299])
    expect(await status('/images/avatars')).toBe(403)
  })
  test('a page of the app at /images, and what ends in a slash there', async () => {
    const status = await behind({})
    for (const path of [
      '/images',
      '/images/',
      '/images?x=1',
      '/images/gallery/',
      '/images/logo.png/',
      '/images/50%.png',
    ])
      expect([path, await status(path)]).toEqual([path, 299])
  })
  test('the kinds of sources stay 400', async () => {
    const status = await behind({})
    for (const path of ['/images/poster', '/images/poster/w342', '/images/remote', '/images/remote/original'])
      expect([path, await status(path)]).toEqual([path, 400])
  })
})

test('a placeholder answers by any kind (mended 35)', async () => {
  const { get } = await startApp({
    transform: { isolate: false },
    entities: { film_poster: { placeholder: 'poster' }, thing: {} },
  })
  const text = async (name: string) => {
    const answer = await get(`/static/images/placeholder-${name}.svg`)
    return [answer.status, await answer.text()] as const
  }
  const [, album] = await text('album')
  expect(await text('track')).toEqual([200, album])
  const [, poster] = await text('poster')
  expect(await text('film_poster')).toEqual([200, poster])
  for (const kind of ['thing', 'remote', 'still']) expect((await text(kind))[0]).toBe(200)
  expect((await text('nothing'))[0]).toBe(404)
})

/** URLs that are signed anew at each render, long ones, and hosts as people write them (mended 14). */

import { remote } from 'express-artwork'
import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { withoutSignature } from '#src/model/presigned-url.js'
import { hostRule } from '#src/sources/host-rules.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { type Answer, image } from '../support/origin.js'
import { remoteAddress, startApp } from '../support/toolkit.js'

const aws = (n: number): string =>
  `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F2026&X-Amz-Date=20261126T00000${n}Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=${`${n}`.repeat(64)}`

async function site(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp({ transform: { isolate: false }, widths: [160], ...options })
  const bytes = await jpeg(200, 150)
  const served = new Set<string>()
  const allow = (path: string, answer: Answer = image(bytes)): string => {
    served.add(path)
    app.origin.serve(path, answer)
    return app.origin.url + path
  }
  const environment = new nunjucks.Environment()
  app.artwork.installTemplates(environment)
  const render = (text: string, context: object): string =>
    environment.renderString(text, context).replaceAll('&amp;', '&')
  return { ...app, allow, render, bytes }
}

describe('a URL whose signature changes (mended 14)', () => {
  test('is one picture of an entity: one download, however often it is rendered', async () => {
    const { artwork, allow, render, origin } = await site()
    artwork.start()
    const entity = (n: number) => ({ id: 'abc', image_url: allow(`/private/p.jpg?${aws(n)}`) })
    for (let n = 0; n < 5; n += 1) render('{{ e | image_display_url("artist") }}', { e: entity(n) })
    await artwork.refresher.idle()
    for (let n = 5; n < 10; n += 1) {
      expect(render('{{ e | image_display_url("artist") }}', { e: entity(n) })).toMatch(
        /^\/artwork\/local\/artists/,
      )
      const again = { sourceUrl: entity(n).image_url, entityType: 'artist', entityId: 'abc' }
      expect((await artwork.images.downloadAndCache(again)).status).toBe('cached')
    }
    await artwork.refresher.idle()
    expect(origin.hits()).toBe(1)
  })
  test('is one picture of an entity under /images, too', async () => {
    const { artwork, allow, render, get, origin } = await site()
    artwork.start()
    const entity = (n: number) => ({
      id: 'abc',
      type: 'artist',
      image_url: allow(`/private/q.jpg?${aws(n)}`),
    })
    render('{{ e | image_display_url }}', { e: entity(0) })
    await artwork.refresher.idle()
    const printed = new Set<string>()
    for (let n = 1; n < 6; n += 1) {
      const url = render('{{ e | image_url("w160-webp") }}', { e: entity(n) })
      printed.add(url)
      expect((await get(url)).status).toBe(200)
    }
    expect([printed.size, origin.hits()]).toEqual([1, 1])
  })
  test('by itself it is asked about with its own signature, and downloaded once', async () => {
    const { render, get, origin, artwork, bytes } = await site()
    const url = (n: number) => `${origin.url}/private/u.jpg?${aws(n)}`
    const sent: number[] = []
    for (let n = 0; n < 5; n += 1)
      origin.serve(`/private/u.jpg?${aws(n)}`, (req, res) => {
        const isKnown = req.headers['if-none-match'] === '"one"'
        sent.push(isKnown ? 304 : 200)
        res.writeHead(isKnown ? 304 : 200, { 'Content-Type': 'image/jpeg', ETag: '"one"' })
        res.end(isKnown ? undefined : bytes)
      })
    for (let n = 0; n < 5; n += 1)
      expect((await get(render('{{ u | image_url("w160-webp") }}', { u: url(n) }))).status).toBe(200)
    expect(sent).toEqual([200, 304, 304, 304, 304])
    expect(artwork.images.stats().requests.encodes).toBe(1)
  })
  test('never opens what its own signature does not: not the picture, and not another one’s signature', async () => {
    const { artwork, allow, render, get, origin } = await site()
    const right = allow(`/private/alice.jpg?${aws(1)}`)
    const wrong = `${origin.url}/private/alice.jpg?${aws(2)}`
    origin.serve(`/private/alice.jpg?${aws(2)}`, { status: 403 })
    const download = (sourceUrl: string, entityId: string) =>
      artwork.images.downloadAndCache({ sourceUrl, entityType: 'artist', entityId })
    expect((await download(wrong, 'mallory')).status).toBe('failed')
    expect((await download(right, 'alice')).status).toBe('downloaded')
    expect(await download(wrong, 'mallory')).toMatchObject({ status: 'failed', reason: 'http_403' })
    // Nothing is printed that is known to show nothing, and never another one's.
    const printed = render('{{ e | image_url("w160-webp") }}', {
      e: { id: 'mallory', type: 'artist', image_url: wrong },
    })
    expect(printed).toBe('/static/images/placeholder-artist.svg')
    expect((await get(`/images/${remoteAddress(wrong, 'w160-webp')}`)).status).toBe(502)
  })
  test('is asked about by the signature of today once its picture has aged, and another picture is another', async () => {
    const { artwork, allow, render, origin, clock } = await site()
    artwork.start()
    const old = allow(`/private/r.jpg?${aws(1)}`)
    render('{{ e | image_display_url("artist") }}', { e: { id: 'abc', image_url: old } })
    await artwork.refresher.idle()
    origin.serve(`/private/r.jpg?${aws(1)}`, { status: 403 })
    clock.now += 8 * 86_400_000
    const today = allow(`/private/r.jpg?${aws(2)}`)
    render('{{ e | image_display_url("artist") }}', { e: { id: 'abc', image_url: today } })
    await artwork.refresher.idle()
    expect(origin.hits(`/private/r.jpg?${aws(2)}`)).toBe(1)
    const other = allow(`/private/s.jpg?${aws(2)}`)
    render('{{ e | image_display_url("artist") }}', { e: { id: 'abc', image_url: other } })
    await eventually(() => expect(origin.hits(`/private/s.jpg?${aws(2)}`)).toBe(1))
  })
  test('an expired one is tried again with the next', async () => {
    const { artwork, allow, origin, clock } = await site()
    artwork.start()
    const queue = (url: string) => artwork.refresher.enqueue('artist', { id: 'x', image_url: url })
    queue(allow(`/private/t.jpg?${aws(1)}`, { status: 403 }))
    await artwork.refresher.idle()
    const next = allow(`/private/t.jpg?${aws(2)}`)
    expect(queue(next).accepted).toBe(false)
    clock.now += 6 * 60_000
    expect(queue(next).accepted).toBe(true)
    await artwork.refresher.idle()
    expect(origin.hits(`/private/t.jpg?${aws(2)}`)).toBe(1)
  })
  test.each([
    ['AWS', aws(1), ''],
    ['AWS, beside a parameter of the picture', `w=3&${aws(1)}`, '?w=3'],
    ['S3 version 2', 'AWSAccessKeyId=a&Signature=b&Expires=1', ''],
    ['CloudFront', 'Policy=a&Signature=b&Key-Pair-Id=c&v=2', '?v=2'],
    ['Google V4', 'X-Goog-Algorithm=a&X-Goog-Credential=b&X-Goog-Signature=c', ''],
    ['Google V2', 'GoogleAccessId=a&Expires=1&Signature=c', ''],
    ['Azure', 'sv=2022&st=1&se=2&sr=b&sp=r&sig=x&x=1', '?x=1'],
    ['Discord', 'ex=1&is=2&hm=3', ''],
    ['what the app names', 'token=abc&nocache_1=2&id=7', '?id=7'],
    ['nothing that is a signature', 'Expires=1&id=7&sig=2', '?Expires=1&id=7&sig=2'],
  ])('%s', (_name, query, left) =>
    expect(withoutSignature(new URL(`https://a.example/p.jpg?${query}`), ['token', 'nocache_*'])).toBe(
      `https://a.example/p.jpg${left}`,
    ),
  )
})

test('over 2,048 bytes a URL is fetched for an entity, and is nothing that a client can name (mended 14)', async () => {
  const { artwork, allow, render, get } = await site()
  artwork.start()
  const url = allow(`/p.jpg?long=${'x'.repeat(4000)}`)
  const result = await artwork.images.downloadAndCache({
    sourceUrl: url,
    entityType: 'artist',
    entityId: 'abc',
  })
  expect(result.status).toBe('downloaded')
  // What cannot be asked of us is not printed.
  expect(render('{{ u | image_url("w160-webp") }}', { u: url })).toBe(url)
  expect((await get(`/images/remote/original/${Buffer.from(url).toString('base64url')}`)).status).toBe(400)
  const endless = `${url}${'x'.repeat(8000)}`
  const refused = await artwork.images.downloadAndCache({
    sourceUrl: endless,
    entityType: 'artist',
    entityId: 'y',
  })
  expect(refused).toMatchObject({ status: 'failed', reason: 'invalid_url' })
})

test('hosts as people write them (mended 14)', async () => {
  const url = new URL('https://bücher.example/x.jpg')
  for (const host of ['bücher.example', 'BÜCHER.example', 'xn--bcher-kva.example', 'bücher.example.'])
    expect([host, hostRule(host)(url)]).toEqual([host, true])
  expect(hostRule('*.bücher.example')(new URL('https://cdn.bücher.example/x'))).toBe(true)
  expect(hostRule('**.bücher.example:8443')(new URL('https://a.b.bücher.example:8443/x'))).toBe(true)
  for (const write of ['LOCALHOST', 'localhost.', 'LocalHost.']) {
    const { origin, artwork, bytes } = await site()
    await artwork.close()
    const port = new URL(origin.url).port
    const other = await startApp(
      {
        transform: { isolate: false },
        sources: [remote({ hosts: ['localhost'] })],
        fetch: {
          allowPrivate: [`${write}:${port}`],
          lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
        },
      },
      { origin },
    )
    origin.serve('/h.jpg', image(bytes))
    for (const asked of ['localhost', 'LOCALHOST', 'localhost.']) {
      const id = Buffer.from(`http://${asked}:${port}/h.jpg`).toString('base64url')
      expect([write, asked, (await other.get(`/images/remote/original/${id}`)).status]).toEqual([
        write,
        asked,
        200,
      ])
    }
  }
})

test('wrong options are refused with what is right (mended 41)', async () => {
  const { createArtwork } = await import('express-artwork')
  const messageOf = async (make: () => unknown): Promise<string> => {
    try {
      await make()
    } catch (error) {
      return String(error)
    }
    return 'nothing'
  }
  expect(await messageOf(() => remote({ host: 'a.com' } as never))).toMatch(
    /remote\.host is no option.*remote\.hosts/,
  )
  expect(await messageOf(() => remote({ hosts: 'a.com' } as never))).toMatch(
    /remote\.hosts must be a list.*"a\.com"/,
  )
  expect(await messageOf(() => remote(undefined as never))).toMatch(/remote needs \{ hosts \}/)
  expect(await messageOf(() => createArtwork({ entities: { film: { variant: '300x300' } } }))).toMatch(
    /entities\.film\.variant must be .*"w300-h300".*got "300x300"/,
  )
  const schedule = (kind: string, options: object) =>
    messageOf(() => createArtwork({ schedules: { [kind]: { cron: '@daily', options } } } as never))
  expect(await schedule('cleanup', { maxDays: 3 })).toMatch(
    /schedules\.cleanup\.options\.maxDays is no option.*maxAgeDays/,
  )
  expect(await schedule('cleanup', { maxAgeDays: '3' })).toMatch(/options\.maxAgeDays must be a number.*"3"/)
  expect(await schedule('refresh', { perMinute: 0 })).toMatch(/options\.perMinute must be a number over 0/)
  expect(await schedule('verify', { kinds: [] })).toMatch(
    /options\.kinds is no option of this job: there are none/,
  )
})

test('records that hold URLs of ours are neither fetched nor called failed (mended 33)', async () => {
  const { uploads } = await import('express-artwork')
  let entities: readonly { id: number; image_url: string }[] = []
  const { artwork } = await site({
    sources: [remote({ hosts: ['127.0.0.1'] }), uploads({ authorize: () => true })],
    repository: { list: async (kind) => ({ entities: kind === 'artist' ? [...entities] : [] }) },
  })
  const saved = await artwork.uploads?.save('avatars', await jpeg(30, 20))
  const urls = [saved?.url ?? '', `avatars/${saved?.imageId}`, '/static/images/placeholder-artist.svg']
  entities = urls.map((image_url, id) => ({ id, image_url }))
  artwork.start()
  for (const kind of ['sync', 'validate'] as const) artwork.refresher.run(kind, { kinds: ['artist'] })
  await artwork.refresher.idle()
  expect(artwork.refresher.failures().failures).toEqual([])
  for (const url of urls) expect([url, await artwork.images.validateImage(url)]).toEqual([url, true])
  expect((await artwork.refresher.jobs({ kind: 'validate' }))[0]).toMatchObject({
    result: { valid: 3, invalid: 0 },
  })
})

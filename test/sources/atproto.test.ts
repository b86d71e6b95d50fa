/** AT Protocol pictures (PARITY 20–28), with a directory and a PDS on loopback ports. */

import { type ArtworkOptions, type AtprotoOptions, atproto, createArtwork, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { blobPath, cidOf, DID, documentOf, knowAccount } from '../support/atproto.js'
import { eventually } from '../support/eventually.js'
import { jpeg, png, SVG } from '../support/images.js'
import type { Origin } from '../support/origin.js'
import { image } from '../support/origin.js'
import { anOrigin, quietLogger, startApp, type TestApp, temporaryFolder } from '../support/toolkit.js'

interface Stage extends TestApp {
  /** The directory; `origin` is the PDS. */
  readonly plc: Origin
  blob(bytes: Buffer, type?: string): string
}

async function staged(
  own: AtprotoOptions = {},
  options: ArtworkOptions = {},
  given: { directory?: string; plc?: Origin; pds?: Origin; clock?: { now: number } } = {},
): Promise<Stage> {
  const [plc, pds] = [given.plc ?? (await anOrigin()), given.pds ?? (await anOrigin())]
  knowAccount(plc, DID, pds.url)
  const app = await startApp(
    {
      transform: { isolate: false },
      ...options,
      sources: [atproto({ identity: { plcUrl: plc.url }, ...own })],
      fetch: { allowPrivate: [plc.host, pds.host], retries: 0, ...options.fetch },
    },
    { origin: pds, ...given },
  )
  const blob = (bytes: Buffer, type = 'image/jpeg'): string => {
    const cid = cidOf(bytes)
    pds.serve(blobPath(DID, cid), image(bytes, type))
    return cid
  }
  return { ...app, plc, blob }
}
const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())
const sizeOf = async (answer: Response) => {
  expect(answer.status).toBe(200)
  const { width, height, format } = await sharp(await bodyOf(answer)).metadata()
  return { width, height, format }
}

describe('the six presets (parity 20)', () => {
  test('cover gives the exact size and enlarges; inside never enlarges; JPEG, unless a format is asked for (parity 20)', async () => {
    const app = await staged()
    const cids = {
      '100x100': app.blob(await png(100, 100), 'image/png'),
      '1600x900': app.blob(await jpeg(1600, 900)),
      '900x1600': app.blob(await jpeg(900, 1600)),
      '3200x800': app.blob(await jpeg(3200, 800)),
      '400x300': app.blob(await jpeg(400, 300)),
    }
    for (const [preset, picture, width, height] of [
      ['avatar', '100x100', 1000, 1000],
      ['avatar_small', '1600x900', 360, 360],
      ['banner', '900x1600', 640, 300],
      ['embed_thumbnail', '100x100', 720, 360],
      ['content_preview', '1600x900', 800, 450],
      ['content_preview', '900x1600', 800, 1422],
      ['content_full', '3200x800', 1600, 400],
      ['content_full', '400x300', 400, 300],
      ['content_preview', '400x300', 400, 300],
    ] as const)
      expect(
        await sizeOf(await app.get(`/images/atproto/${preset}/${DID}/${cids[picture]}`)),
        `${preset} of ${picture}`,
      ).toEqual({ width, height, format: 'jpeg' })
    const webp = await app.get(`/images/atproto/avatar-webp/${DID}/${cids['100x100']}`)
    expect(await sizeOf(webp)).toEqual({ width: 1000, height: 1000, format: 'webp' })
    const path = `/images/atproto/avatar-auto/${DID}/${cids['100x100']}`
    const [modern, plain] = [
      await app.get(path, { headers: { accept: 'image/webp,*/*' } }),
      await app.get(path, { headers: { accept: '*/*' } }),
    ]
    expect([modern.headers.get('vary'), (await sizeOf(modern)).format, (await sizeOf(plain)).format]).toEqual(
      ['Accept', 'webp', 'jpeg'],
    )
  })
})

describe('what is refused (parity 21)', () => {
  const cid = cidOf(Buffer.from('x'))
  test.each([
    ['nope', DID, cid, /preset/],
    ['Avatar', DID, cid, /preset/],
    ['w300', DID, cid, /preset/],
    ['avatar', 'did:plc:short', cid, /DID/],
    ['avatar', 'did:plc:EWVI7NXZYOUN6ZHXRHS64OIZ', cid, /DID/],
    ['avatar', 'did:key:z6Mkabc', cid, /DID/],
    ['avatar', 'did:web:', cid, /DID/],
    ['avatar', 'did:web:example.com:user', cid, /DID/],
    ['avatar', 'did:web:a_b.com', cid, /DID/],
    ['avatar', 'nobody', cid, /DID/],
    ['avatar', DID, 'nope', /CID/],
    ['avatar', DID, cid.toUpperCase(), /CID/],
    ['avatar', DID, `${cid}a`, /CID/],
    ['avatar', DID, 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKjs3s', /CID/],
    ['avatar', DID, 'bafkrgqaabbccddee', /CID/],
  ])('/%s/%s/%s is 400, and says what is wrong (parity 21)', async (preset, did, picture, what) => {
    const app = await staged()
    const answer = await app.get(`/images/atproto/${preset}/${did}/${picture}`)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(await answer.text()).toMatch(what)
    expect([app.plc.hits(), app.origin.hits()]).toEqual([0, 0])
  })
  test('did:web is resolved by its own rule, through the same guard (parity 21)', async () => {
    const lookups: string[] = []
    const lookup = ((name: string, options: { all?: boolean }, done: (...args: unknown[]) => void) => {
      lookups.push(name)
      if (options.all) done(null, [{ address: '10.0.0.7', family: 4 }])
      else done(null, '10.0.0.7', 4)
    }) as NonNullable<NonNullable<ArtworkOptions['fetch']>['lookup']>
    const app = await staged({}, { fetch: { lookup } })
    const cid = cidOf(await png())
    expect((await app.get(`/images/atproto/avatar/did:web:evil.example/${cid}`)).status).toBe(403)
    expect(lookups).toEqual(['evil.example'])
    for (const host of ['localhost', '10.0.0.1', '169.254.169.254', 'internal', '127.0.0.1%253A8080'])
      expect((await app.get(`/images/atproto/avatar/did:web:${host}/${cid}`)).status, host).toBe(403)
    expect([app.plc.hits(), app.origin.hits(), lookups.length]).toEqual([0, 0, 1])
  })
  test('a PDS that may not be asked is refused, and so is a redirect to one', async () => {
    const app = await staged()
    const bytes = await png()
    const cid = cidOf(bytes)
    knowAccount(app.plc, DID, 'http://10.0.0.7')
    expect((await app.get(`/images/atproto/avatar/${DID}/${cid}`)).status).toBe(403)
    const other = await staged()
    other.origin.serve(blobPath(DID, cid), {
      status: 302,
      headers: { Location: 'http://169.254.169.254/latest' },
    })
    expect((await other.get(`/images/atproto/avatar/${DID}/${cid}`)).status).toBe(403)
  })
})

describe('held pictures (parity 22, 24)', () => {
  test('what is held is served while the directory and the PDS are down, after a restart too (parity 22)', async () => {
    const directory = await temporaryFolder()
    const app = await staged({}, {}, { directory })
    const cid = app.blob(await jpeg(1600, 900))
    const path = `/images/atproto/content_preview/${DID}/${cid}`
    const first = await bodyOf(await app.get(path))
    expect([app.plc.hits(), app.origin.hits()]).toEqual([1, 1])
    app.plc.fail(500)
    app.origin.fail(500)
    expect((await bodyOf(await app.get(path))).equals(first)).toBe(true)
    await app.stop()
    const later = await staged(
      {},
      {},
      { directory, plc: app.plc, pds: app.origin, clock: { now: Date.now() + 400 * 864e5 } },
    )
    const again = await later.get(path)
    expect([again.status, (await bodyOf(again)).equals(first)]).toEqual([200, true])
    // Another size of a held original asks nobody either.
    expect((await later.get(`/images/atproto/avatar/${DID}/${cid}`)).status).toBe(200)
    expect([app.plc.hits(), app.origin.hits()]).toEqual([1, 1])
  })
  test('the answer does not wait for the store (parity 22)', async () => {
    const app = await staged({}, { directory: '/dev/null/nowhere' })
    expect((await app.get(`/images/atproto/avatar/${DID}/${app.blob(await jpeg(60, 40))}`)).status).toBe(200)
  })
  test('immutable for a year, ETag of the bytes, 304 on match, 200 on mismatch (parity 24)', async () => {
    const app = await staged()
    const path = `/images/atproto/avatar/${DID}/${app.blob(await jpeg(60, 40))}`
    const answer = await app.get(path)
    const etag = answer.headers.get('etag') ?? ''
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    const match = await app.get(path, { headers: { 'If-None-Match': etag } })
    expect([match.status, match.headers.get('etag')]).toEqual([304, etag])
    expect((await app.get(path, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200)
    const same = await app.get(path.replace('avatar', 'content_full'))
    expect(same.headers.get('etag')).not.toBe(etag)
  })
  test('changing a preset’s definition makes the picture again (parity 24)', async () => {
    const directory = await temporaryFolder()
    const app = await staged({}, {}, { directory })
    const cid = app.blob(await jpeg(600, 400))
    const path = `/images/atproto/avatar/${DID}/${cid}`
    expect(await sizeOf(await app.get(path))).toMatchObject({ width: 1000 })
    await app.stop()
    const presets = { avatar: { width: 50, height: 50, fit: 'cover' as const, format: 'jpeg' as const } }
    const later = await staged({ presets }, {}, { directory, plc: app.plc, pds: app.origin })
    expect(await sizeOf(await later.get(path))).toMatchObject({ width: 50 })
    expect(app.origin.hits()).toBe(1)
  })
})

describe('failures (parity 23, 25)', () => {
  const ask = async (app: Stage, cid: string): Promise<number> =>
    (await app.get(`/images/atproto/avatar/${DID}/${cid}`)).status
  test('not resolved or no PDS is 502, a directory that is too slow 504 (parity 23)', async () => {
    const cid = cidOf(await png())
    const unknown = await staged()
    unknown.plc.serve(`/${encodeURIComponent(DID)}`, { status: 404 })
    expect(await ask(unknown, cid)).toBe(502)
    const noPds = await staged()
    noPds.plc.serve(`/${encodeURIComponent(DID)}`, {
      body: JSON.stringify({ ...documentOf(DID, 'x'), service: [] }),
    })
    expect(await ask(noPds, cid)).toBe(502)
    const other = await staged()
    knowAccount(other.plc, DID, other.origin.url)
    other.plc.serve(`/${encodeURIComponent(DID)}`, {
      body: JSON.stringify(documentOf('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', other.origin.url)),
    })
    expect(await ask(other, cid)).toBe(502)
    const broken = await staged()
    broken.plc.serve(`/${encodeURIComponent(DID)}`, { body: '{' })
    expect(await ask(broken, cid)).toBe(502)
    const failing = await staged()
    failing.plc.fail(500)
    expect(await ask(failing, cid)).toBe(502)
    const slow = await staged({}, { fetch: { firstByteTimeout: 100 } })
    slow.plc.serve(`/${encodeURIComponent(DID)}`, () => {})
    expect(await ask(slow, cid)).toBe(504)
    const thrown = await staged({ identity: () => Promise.reject(new Error('no')) })
    expect(await ask(thrown, cid)).toBe(502)
    expect(thrown.origin.hits()).toBe(0)
  })
  test.each([
    ['404', { status: 404 }, 404],
    [
      '400 with "blob not found"',
      { status: 400, body: '{"error":"InvalidRequest","message":"Blob not found"}' },
      404,
    ],
    ['400 BlobNotFound', { status: 400, body: '{"error":"BlobNotFound"}' }, 404],
    ['another 400', { status: 400, body: '{"error":"RepoTakendown"}' }, 502],
    [
      '404, however it is packed',
      { status: 404, headers: { 'Content-Encoding': 'gzip' }, body: 'x'.repeat(100) },
      404,
    ],
    ['400 with a large body', { status: 400, body: 'x'.repeat(100_000) }, 502],
    ['403', { status: 403 }, 502],
    ['500', { status: 500 }, 502],
    ['a web page', image('<html></html>', 'text/html'), 415],
    ['silence', () => {}, 504],
  ] as const)('a PDS that answers %s (parity 23)', async (_what, answer, status) => {
    const app = await staged({}, { fetch: { firstByteTimeout: status === 504 ? 150 : 30_000 } })
    const cid = cidOf(await png())
    app.origin.serve(blobPath(DID, cid), answer)
    expect(await ask(app, cid)).toBe(status)
  })
  test('an SVG is not made into anything, too many bytes are 413, what cannot be decoded 422 (parity 23)', async () => {
    const app = await staged({}, { fetch: { maxBytes: 20_000 } })
    expect(await ask(app, app.blob(Buffer.from(SVG), 'image/svg+xml'))).toBe(415)
    expect(
      await ask(
        app,
        app.blob(
          await sharp({
            create: {
              width: 200,
              height: 200,
              channels: 3,
              noise: { type: 'gaussian', mean: 128, sigma: 60 },
              background: '#000',
            },
          })
            .png()
            .toBuffer(),
        ),
      ),
    ).toBe(413)
    expect(await ask(app, app.blob((await jpeg(300, 300)).subarray(0, 900)))).toBe(422)
  })
  test('bytes that are not those of the CID are refused, and nothing is kept (parity 25)', async () => {
    const app = await staged()
    const cid = cidOf(await png(64, 48))
    app.origin.serve(blobPath(DID, cid), image(await png(64, 50), 'image/png'))
    expect(await ask(app, cid)).toBe(502)
    expect(app.artwork.images.stats().names).toBe(0)
    app.clock.now += 61_000
    app.origin.serve(blobPath(DID, cid), image(await png(64, 48), 'image/png'))
    expect(await ask(app, cid)).toBe(200)
  })
})

describe('bounds, sharing and printed URLs (parity 26–28)', () => {
  test('what nobody looked at for 30 days goes, a read renews, and the bytes stay within their bound (parity 26)', async () => {
    const app = await staged({ sweepEvery: 50 })
    const [read, idle] = [app.blob(await jpeg(60, 40)), app.blob(await jpeg(70, 40))]
    const get = (cid: string) => app.get(`/images/atproto/avatar/${DID}/${cid}`)
    const names = () => app.artwork.images.stats().names
    for (const cid of [read, idle]) expect((await get(cid)).status).toBe(200)
    expect(names()).toBe(4)
    app.clock.now += 20 * 864e5
    expect((await get(read)).status).toBe(200)
    app.clock.now += 15 * 864e5
    await expect.poll(names, { timeout: 20_000 }).toBe(2)
    const hits = app.origin.hits()
    expect((await get(read)).status).toBe(200)
    expect(app.origin.hits()).toBe(hits)
    app.clock.now += 31 * 864e5
    await expect.poll(names, { timeout: 20_000 }).toBe(0)
    const bounded = await staged({}, { disk: { maxBytes: 200_000 } })
    for (let seed = 0; seed < 20; seed += 1) {
      expect(
        (await bounded.get(`/images/atproto/avatar/${DID}/${bounded.blob(await jpeg(60 + seed, 40))}`))
          .status,
      ).toBe(200)
      expect(bounded.artwork.images.stats().bytes).toBeLessThanOrEqual(200_000)
    }
  })
  test.each([
    { maxIdle: 0, sweepEvery: 20 },
    { maxIdle: 1, sweepEvery: 0 },
  ])('%o turns it off (parity 26)', async (own) => {
    const app = await staged(own)
    expect((await app.get(`/images/atproto/avatar/${DID}/${app.blob(await jpeg(60, 40))}`)).status).toBe(200)
    app.clock.now += 400 * 864e5
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(app.artwork.images.stats().names).toBe(2)
  })
  test('fifty clients for one cold picture: one look-up, one fetch, one encode (parity 27)', async () => {
    const app = await staged()
    const cid = app.blob(await jpeg(1600, 900))
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => app.get(`/images/atproto/content_preview/${DID}/${cid}`)),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200))
    expect([app.plc.hits(), app.origin.hits(), app.artwork.images.stats().requests.encodes]).toEqual([
      1, 1, 1,
    ])
    // And twenty pictures of one account: one look-up.
    const many = await staged()
    const cids = await Promise.all(
      Array.from({ length: 20 }, async (_, seed) => many.blob(await jpeg(60 + seed, 40))),
    )
    await Promise.all(cids.map((one) => many.get(`/images/atproto/avatar/${DID}/${one}`)))
    expect(many.plc.hits()).toBe(1)
  })
  test('the PDS of an account is remembered for an hour, over a restart; when the directory is down, longer', async () => {
    const directory = await temporaryFolder()
    const app = await staged({}, {}, { directory })
    const get = (stage: Stage, cid: string) => stage.get(`/images/atproto/avatar/${DID}/${cid}`)
    expect((await get(app, app.blob(await jpeg(60, 40)))).status).toBe(200)
    await app.stop()
    const later = await staged({}, {}, { directory, plc: app.plc, pds: app.origin })
    expect((await get(later, later.blob(await jpeg(61, 40)))).status).toBe(200)
    expect(app.plc.hits()).toBe(1)
    later.clock.now += 3_700_000
    app.plc.fail(503)
    expect((await get(later, later.blob(await jpeg(62, 40)))).status).toBe(200)
    app.plc.fail(undefined)
    expect((await get(later, later.blob(await jpeg(63, 40)))).status).toBe(200)
    expect(app.plc.hits()).toBe(3)
  })
  test.each([
    ['a URL', (pds: string) => ({ identity: () => pds })],
    ['an object', (pds: string) => ({ identity: async () => ({ pds }) })],
    ['a DID document', (pds: string) => ({ identity: (did: string) => documentOf(did, pds) as never })],
    [
      'a resolver',
      (pds: string) => ({ identity: { resolve: async (did: string) => documentOf(did, pds) as never } }),
    ],
    ['a fixed PDS', (pds: string) => ({ pds })],
    ['a function for the PDS', (pds: string) => ({ pds: () => pds })],
  ])('an identity may be given by %s', async (_what, own) => {
    const pds = await anOrigin()
    const app = await staged(own(pds.url), {}, { pds })
    expect((await app.get(`/images/atproto/avatar/${DID}/${app.blob(await jpeg(60, 40))}`)).status).toBe(200)
    expect(app.plc.hits()).toBe(0)
  })
  test('printed URLs: ours, a CDN’s, or the PDS’s own where nothing is served here (parity 28)', async () => {
    const print = async (stage: Stage | { artwork: Stage['artwork'] }, subject: string): Promise<string> => {
      const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), {
        autoescape: true,
      })
      stage.artwork.installTemplates(environment)
      return environment.renderString('{{ subject | image_url("avatar") | safe }}', { subject })
    }
    const app = await staged()
    const cid = app.blob(await jpeg(60, 40))
    expect(await print(app, `atproto/${DID}/${cid}`)).toBe(`/images/atproto/avatar/${DID}/${cid}`)
    const web = `did:web:pds.example.com%3A8080`
    expect(await print(app, `atproto/${web}/${cid}`)).toBe(
      `/images/atproto/avatar/did:web:pds.example.com%253A8080/${cid}`,
    )
    const cdn = await staged({ cdn: 'https://cdn.example.com/x' })
    expect(await print(cdn, `atproto/${DID}/${cid}`)).toBe(
      `https://cdn.example.com/x/images/atproto/avatar/${DID}/${cid}`,
    )
    const direct = await staged({ proxy: false, pds: 'https://pds.example.com' })
    expect(await print(direct, `atproto/${DID}/${cid}`)).toBe(`https://pds.example.com${blobPath(DID, cid)}`)
    expect((await direct.get(`/images/atproto/avatar/${DID}/${cid}`)).status).toBe(400)
  })
  test('with proxy false, an unknown account is resolved behind the page, and asked for once a while (mended 42)', async () => {
    const app = await staged({ proxy: false })
    const cid = app.blob(await jpeg(60, 40))
    const address = `atproto/${DID}/${cid}`
    const known = app.origin.url + blobPath(DID, cid)
    const print = (): string => app.artwork.images.imageUrl(address, 'avatar')
    expect(print()).toBe('/static/images/placeholder.svg')
    await eventually(() => expect(print()).toBe(known))
    expect(app.artwork.images.getDisplayUrl(null, address, 'profile')).toBe(known)
    expect(app.plc.hits()).toBe(1)
    // What has aged is printed as it is, and asked about again.
    app.clock.now += 2 * 3_600_000
    expect(print()).toBe(known)
    await eventually(() => expect(app.plc.hits()).toBe(2))
    const nobody = `atproto/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/${cid}`
    for (let time = 0; time < 20; time += 1) app.artwork.images.imageUrl(nobody, 'avatar')
    await eventually(() => expect(app.plc.hits()).toBe(3))
    await eventually(() => expect(app.artwork.images.imageUrl(nobody, 'avatar')).toMatch(/placeholder/))
    // The failure may be noted a moment after the answer: then its while begins later.
    await eventually(() => {
      app.clock.now += 61_000
      app.artwork.images.imageUrl(nobody, 'avatar')
      expect(app.plc.hits()).toBeGreaterThan(3)
    })
  })
  test('a bad option is refused with its rule and value', async () => {
    expect(() => atproto({ cdn: 'cdn' })).toThrow(/atproto\.cdn must be .*"cdn"/)
    expect(() => atproto({ maxIdle: 'soon' })).toThrow(/atproto\.maxIdle must be .*"soon"/)
    expect(() => atproto({ identity: { plcUrl: 'x' } })).toThrow(/plcUrl must be .*"x"/)
    await expect(
      createArtwork({
        directory: await temporaryFolder(),
        logger: quietLogger(),
        sources: [atproto({ presets: { x: { width: 0 } } })],
      }),
    ).rejects.toThrow(/presets/)
  })
})

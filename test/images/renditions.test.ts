/** Formats by what is known of the original, over HTTP. The numbers are those of `test/transform/pictures.test.ts`. */

import express from 'express'
import { type ArtworkOptions, remote, tmdb, uploads } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import {
  avifCollection,
  box,
  exifOf,
  handmadeGif,
  handmadePng,
  pngChunk,
  withWebpExif,
} from '../support/handmade.js'
import { jpeg, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, remoteAddress, startApp, type TestApp } from '../support/toolkit.js'

const ALL = ['jpeg', 'png', 'gif', 'webp', 'avif'] as const
const transform = { isolate: false, formats: [...ALL] }
const MODERN = 'image/avif,image/webp,image/*,*/*;q=0.8'

const start = (options: ArtworkOptions = {}): Promise<TestApp> => startApp({ transform, ...options })
const ask = (app: TestApp, path: string, accept?: string): Promise<Response> =>
  app.get(path, accept === undefined ? {} : { headers: { accept } })
const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())
const pagesOf = async (bytes: Buffer): Promise<number> => (await sharp(bytes).metadata()).pages ?? 1
const typeOf = (answer: Response): string | null => answer.headers.get('content-type')
const serve = (app: TestApp, path: string, bytes: Buffer, type: string, variant: string): string => {
  app.origin.serve(path, image(bytes, type))
  return `/images/${remoteAddress(app.origin.url + path, variant)}`
}

const PALETTE = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
] as const
const movingGif = (frames: number, width = 60, height = 40): Buffer =>
  handmadeGif(
    { width, height },
    PALETTE,
    Array.from({ length: frames }, (_, index) => ({ width, height, draw: () => index % 3 })),
  )
const movingWebp = (): Promise<Buffer> => sharp(movingGif(3), { animated: true }).webp().toBuffer()
const apng = (): Buffer =>
  handmadePng({ width: 60, height: 40, frames: [() => [0, 0, 255]] }, () => [255, 0, 0])

test('a rendition that ends its decoder costs itself alone: the original and other sizes are answered', async () => {
  const app = await startApp({
    transform: { isolate: true, maxMemory: '150 MiB', timeout: '10 min', concurrency: 1 },
    fetch: { maxBytes: '20 MiB' },
    signing: { keys: ['a secret of sixteen characters'] },
    strict: false,
  })
  const large = await sharp({ create: { width: 5000, height: 5000, channels: 3, background: '#345' } })
    .jpeg()
    .toBuffer()
  expect((await app.get(serve(app, '/large.jpg', large, 'image/jpeg', 'original-webp'))).status).toBe(413)
  const statusOf = async (variant: string): Promise<number> =>
    (await app.get(`/images/${remoteAddress(`${app.origin.url}/large.jpg`, variant)}`)).status
  expect([await statusOf('original'), await statusOf('w160-webp')]).toEqual([200, 200])
  expect(app.origin.hits('/large.jpg')).toBe(1)
})

describe('what moves goes on moving, with AVIF on (pictures 5)', () => {
  test.each([
    ['a WebP', movingWebp, 'image/webp'],
    ['a GIF', async () => movingGif(3), 'image/gif'],
  ] as const)(
    '%s: as moving WebP at the first answer, the second and with ?v=',
    async (_name, make, type) => {
      const app = await start()
      const path = serve(app, '/moving', await make(), type, 'original-auto')
      let version = ''
      for (let answers = 0; answers < 4; answers += 1) {
        const answer = await ask(app, path + (answers < 2 ? '' : `?v=${version}`), MODERN)
        version = (
          await app.artwork.images.getImage(path.slice('/images/'.length).replace('-auto', ''))
        ).digest.slice(0, 16)
        expect([answer.status, typeOf(answer), answer.headers.get('vary')]).toEqual([
          200,
          'image/webp',
          'Accept',
        ])
        expect(await pagesOf(await bodyOf(answer))).toBe(3)
        // What was answered is what will be answered.
        expect(answer.headers.get('cache-control')).not.toMatch(/max-age=30\b/)
        if (answers >= 2) expect(answer.headers.get('cache-control')).toContain('immutable')
        // AVIFs are made behind answers: none is to come.
        await app.artwork.refresher.idle()
      }
      expect(await pagesOf(await bodyOf(await ask(app, path, 'image/gif')))).toBe(3)
    },
  )
  test('by the listener before Express is entered, too', async () => {
    const app = await start()
    const { url } = await listen(app.artwork.listener(express().use(app.artwork.router)))
    const path = serve(app, '/moving', movingGif(3), 'image/gif', 'original-auto')
    for (const accept of [MODERN, 'image/webp', MODERN, '*/*', MODERN, '*/*']) {
      const answer = await fetch(url + path, { headers: { accept } })
      expect(await pagesOf(await bodyOf(answer)), accept).toBe(3)
      expect(typeOf(answer)).toBe(accept === '*/*' ? 'image/gif' : 'image/webp')
    }
  })
  test.each([
    ['an APNG', apng(), 'image/png'],
    ['a GIF of more frames than may be made', movingGif(101), 'image/gif'],
  ])('%s, which cannot be made to move, is passed on as it is', async (_name, bytes, type) => {
    const app = await start({ widths: [30] })
    for (const variant of ['original-auto', 'w30-auto']) {
      const path = serve(app, '/moving', bytes, type, variant)
      for (const accept of [MODERN, 'image/webp', undefined]) {
        const answer = await ask(app, path, accept)
        expect([answer.status, typeOf(answer)]).toEqual([200, type])
        expect((await bodyOf(answer)).equals(bytes)).toBe(true)
      }
    }
  })
  test('a GIF for who takes no WebP is made smaller, and moves', async () => {
    const app = await start({ widths: [30] })
    const path = serve(app, '/moving', movingGif(3), 'image/gif', 'w30-auto')
    const answer = await ask(app, path, 'image/png,image/*')
    const bytes = await bodyOf(answer)
    expect([typeOf(answer), await pagesOf(bytes)]).toEqual(['image/gif', 3])
    expect((await sharp(bytes).metadata()).width).toBe(30)
  })
  test('an upload that moves goes on moving, at the second answer too', async () => {
    const app = await start({
      sources: [uploads({ authorize: () => true, keepOriginal: true })],
      widths: [30],
    })
    const sent = await app.get('/images/photos', {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body: new Uint8Array(await movingWebp()),
    })
    const { image_id: id } = (await sent.json()) as { image_id: string }
    for (let answers = 0; answers < 3; answers += 1) {
      const answer = await ask(app, `/images/photos/w30-auto/${id}`, MODERN)
      expect([typeOf(answer), await pagesOf(await bodyOf(answer))]).toEqual(['image/webp', 3])
    }
    // What is known of it is known after a restart.
    await app.stop()
    const again = await startApp(
      { transform, widths: [30], sources: [uploads({ authorize: () => true, keepOriginal: true })] },
      app,
    )
    expect(await pagesOf(await bodyOf(await ask(again, `/images/photos/w30-auto/${id}`, MODERN)))).toBe(3)
  })
  test('a still PNG that says it moves is a still one', async () => {
    const app = await start({ widths: [30] })
    const control = pngChunk('acTL', Buffer.from([0, 0, 0, 50, 0, 0, 0, 0]))
    const lying = handmadePng({ width: 60, height: 40, chunks: [control] }, (x) => [x * 4, 0, 0])
    const path = serve(app, '/lying.png', lying, 'image/png', 'w30-auto')
    const answer = await ask(app, path, 'image/webp')
    expect((await sharp(await bodyOf(answer)).metadata()).width).toBe(30)
  })
  test('an AVIF sequence is passed on to who accepts AVIF, and still for others; its frames are facts', async () => {
    const app = await start()
    const still = await quarters(60, 40).removeAlpha().avif({ effort: 2 }).toBuffer()
    // A track of three samples, and the brands that encoders write: enough to say that it moves.
    const brands = ['avis', 'avif', 'avis', 'msf1', 'iso8', 'mif1', 'miaf', 'MA1A'] as const
    const stsz = box('stsz', Buffer.from([0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3]))
    const sequence = Buffer.concat([
      avifCollection([still], 0, [...brands]),
      box('moov', box('trak', box('mdia', box('minf', box('stbl', stsz))))),
    ])
    const path = serve(app, '/sequence.avif', sequence, 'image/avif', 'original-auto')
    expect((await bodyOf(await ask(app, path, MODERN))).equals(sequence)).toBe(true)
    for (const [accept, type] of [
      ['image/webp', 'image/webp'],
      ['*/*', 'image/jpeg'],
    ] as const)
      expect(typeOf(await ask(app, path, accept))).toBe(type)
    expect(typeOf(await ask(app, path.replace('-auto', '')))).toBe('image/avif')
  })
  test('an AVIF with alpha, for who takes no modern format, keeps it', async () => {
    const app = await start()
    const clear = await sharp({
      create: { width: 40, height: 40, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.3 } },
    })
      .avif({ effort: 2 })
      .toBuffer()
    const path = serve(app, '/clear.avif', clear, 'image/avif', 'original-auto')
    expect(typeOf(await ask(app, path, '*/*'))).toBe('image/png')
  })
  test('macros print no still candidates for what moves, once it is known', async () => {
    const app = await start({ widths: [30, 60] })
    const environment = new nunjucks.Environment()
    app.artwork.installTemplates(environment)
    const source = `${app.origin.url}/moving.png`
    serve(app, '/moving.png', apng(), 'image/png', 'original')
    const print = () =>
      environment.renderString("{{ url | image_srcset([30, 60], format='webp') }}", { url: source })
    expect(print()).toContain('30w')
    await app.artwork.images.getImage(remoteAddress(source))
    expect(print()).toBe('')
  })
  test('uploads: an APNG is kept moving, a WebP with an orientation is not turned', async () => {
    const app = await start({ sources: [uploads({ authorize: () => true, fit: 500 })] })
    const send = async (bytes: Buffer): Promise<Buffer> => {
      const answer = await app.get('/images/photos', {
        method: 'POST',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: new Uint8Array(bytes),
      })
      expect(answer.status).toBe(200)
      const { url } = (await answer.json()) as { url: string }
      return bodyOf(await app.get(url))
    }
    expect((await send(apng())).includes('acTL')).toBe(true)
    const webp = withWebpExif(await movingWebp(), 60, 40, exifOf(6))
    const kept = await send(webp)
    expect(await sharp(kept, { animated: true }).metadata()).toMatchObject({
      width: 60,
      pageHeight: 40,
      pages: 3,
    })
  })
})

describe('an AVIF that cannot come ends the interim (pictures 6)', () => {
  test('over maxAvifPixels: WebP for good', async () => {
    const app = await start({ transform: { ...transform, maxAvifPixels: 1000 } })
    const path = serve(app, '/large.jpg', await jpeg(200, 150), 'image/jpeg', 'original-auto')
    for (let answers = 0; answers < 2; answers += 1) {
      const answer = await ask(app, path, MODERN)
      expect(typeOf(answer)).toBe('image/webp')
      expect(answer.headers.get('cache-control')).not.toMatch(/max-age=30\b/)
    }
  })
})

describe('a remembered failure of a rendition is about its original (pictures 9)', () => {
  test('when the original changes, it is made anew', async () => {
    const app = await start()
    serve(app, '/p', movingGif(101), 'image/gif', 'original')
    const get = () => app.artwork.images.getImage(remoteAddress(`${app.origin.url}/p`, 'original-webp'))
    await expect(get()).rejects.toMatchObject({ status: 413 })
    await expect(get()).rejects.toMatchObject({ status: 413 })
    app.origin.serve('/p', image(await jpeg(40, 30), 'image/jpeg'))
    const original = remoteAddress(`${app.origin.url}/p`)
    expect(await app.artwork.images.refresh(original)).toEqual({ changed: true })
    expect((await get()).contentType).toBe('image/webp')
  })
})

describe('AVIF where it is smaller, and for nobody who would wait (pictures 10)', () => {
  test('an AVIF that is no smaller than the WebP is not kept: WebP for good', async () => {
    const app = await start()
    const dot = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#123456' } })
      .jpeg()
      .toBuffer()
    const path = serve(app, '/dot.jpg', dot, 'image/jpeg', 'original-auto')
    const first = await ask(app, path, MODERN)
    expect([typeOf(first), first.headers.get('cache-control')?.includes('max-age=30')]).toEqual([
      'image/webp',
      true,
    ])
    await eventually(async () => {
      const answer = await ask(app, path, MODERN)
      expect(typeOf(answer)).toBe('image/webp')
      expect(answer.headers.get('cache-control')).not.toMatch(/max-age=30\b/)
    })
    const encodes = app.artwork.images.stats().requests.encodes
    for (let answers = 0; answers < 3; answers += 1) await bodyOf(await ask(app, path, MODERN))
    expect(app.artwork.images.stats().requests.encodes).toBe(encodes)
    // Who asks for AVIF by name gets it.
    const avif = await app.artwork.images.getImage(
      remoteAddress(`${app.origin.url}/dot.jpg`, 'original-avif'),
    )
    expect(avif.contentType).toBe('image/avif')
  })
  test('after its quality was changed, an AVIF is made anew behind WebP (mended 43)', async () => {
    const app = await start()
    // Large enough for AVIF to be the smaller one.
    const path = serve(app, '/photo.jpg', await jpeg(600, 400), 'image/jpeg', 'original-auto')
    await eventually(async () => expect(typeOf(await ask(app, path, MODERN))).toBe('image/avif'))
    await app.stop()
    const quality = { avif: 20 }
    const again = await startApp({ transform: { ...transform, quality } }, app)
    const answer = await ask(again, path, MODERN)
    expect([typeOf(answer), answer.headers.get('cache-control')?.includes('max-age=30')]).toEqual([
      'image/webp',
      true,
    ])
    await eventually(async () => expect(typeOf(await ask(again, path, MODERN))).toBe('image/avif'))
    expect(app.origin.hits('/photo.jpg')).toBe(1)
  })
})

describe('what an upstream declares (pictures 14)', () => {
  const types = [
    'text/plain',
    'text/plain; charset=utf-8',
    'application/octet-stream',
    'image',
    'jpg',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '*/*',
    'application/pdf',
    'video/mp4',
  ]
  test.each(types)('%s: the magic bytes decide', async (type) => {
    const app = await start()
    const answer = await ask(app, serve(app, '/p', await jpeg(40, 30), type, 'original'))
    expect([answer.status, typeOf(answer)]).toEqual([200, 'image/jpeg'])
  })
  const SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
  test.each([
    ['image/svg+xml', 200],
    ['image/png', 200],
    ['image', 200],
    ['application/xml', 200],
    ['text/xml; charset=utf-8', 200],
    ['application/octet-stream', 200],
    ['text/plain', 415],
    ['*/*', 415],
    ['application/pdf', 415],
    ['text/html', 415],
  ] as const)('an SVG declared as %s is %i', async (type, status) => {
    const app = await start()
    expect((await ask(app, serve(app, '/p', Buffer.from(SVG), type, 'original'))).status).toBe(status)
  })
  test.each(['text/html', 'application/json', 'application/problem+json', 'application/xhtml+xml'])(
    'an image declared as %s is 415',
    async (type) => {
      const app = await start()
      expect((await ask(app, serve(app, '/p', await jpeg(40, 30), type, 'original'))).status).toBe(415)
    },
  )
  test('HTML and JSON in any disguise are 415', async () => {
    const app = await start()
    for (const [index, body] of ['<!doctype html><title>no</title>', '{"error":"no"}'].entries())
      for (const type of ['text/plain', 'application/octet-stream', 'image/jpeg', '*/*']) {
        const path = serve(app, `/${index}${type.length}`, Buffer.from(body), type, 'original')
        expect((await ask(app, path)).status, `${type} ${body}`).toBe(415)
      }
  })
})

describe('candidates end at the width of the original (pictures 15)', () => {
  test('once it is known', async () => {
    const app = await start({
      widths: [320, 640, 960, 1280, 1920],
      sources: [remote({ hosts: ['127.0.0.1'] }), tmdb()],
    })
    const environment = new nunjucks.Environment()
    app.artwork.installTemplates(environment)
    const source = `${app.origin.url}/p.jpg`
    serve(app, '/p.jpg', await jpeg(1000, 100), 'image/jpeg', 'original')
    const widths = (template: string): string[] =>
      environment
        .renderString(template, { url: source })
        .split(', ')
        .map((candidate) => candidate.split(' ').at(-1) ?? '')
    const template = "{{ url | image_srcset(format='webp') }}"
    expect(widths(template)).toEqual(['320w', '640w', '960w', '1280w', '1920w'])
    await app.artwork.images.getImage(remoteAddress(source))
    expect(widths(template)).toEqual(['320w', '640w', '960w', '1000w'])
    expect(widths("{{ url | image_srcset([1920, 320], format='webp') }}")).toEqual(['320w', '1000w'])
    // Each candidate is as wide as it says.
    const printed = environment.renderString(template, { url: source }).replaceAll('&amp;', '&').split(', ')
    for (const candidate of printed) {
      const [url = '', width = ''] = candidate.split(' ')
      const { width: actual } = await sharp(await bodyOf(await app.get(url))).metadata()
      expect(`${actual}w`).toBe(width)
    }
  })
})

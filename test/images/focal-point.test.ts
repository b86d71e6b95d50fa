/** What of a picture stays in sight where it is cut: `attention`, a point in the variant, or one that is kept with the original. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import express from 'express'
import { type ArtworkOptions, files, remote } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { PICTURE_STYLESHEET } from '#src/model/picture-style.js'
import { image } from '../support/origin.js'
import {
  anOrigin,
  createRenderer,
  jsonPost,
  listen,
  remoteAddress,
  startApp,
  temporaryFolder,
} from '../support/toolkit.js'

/** A picture in columns and rows of squares, each of a colour of its own. */
async function squares(columns: number, rows: number, side = 50): Promise<Buffer> {
  const width = columns * side
  const height = rows * side
  const data = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      data.set(
        [Math.floor(x / side) * (250 / columns), Math.floor(y / side) * (250 / rows), 128],
        (y * width + x) * 3,
      )
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}
/** A GIF of two pictures, 60 by 20. */
async function movingGif(): Promise<Buffer> {
  const frame = (background: string) =>
    sharp({ create: { width: 60, height: 20, channels: 3, background } })
      .png()
      .toBuffer()
  const frames = await Promise.all(['#f00', '#0f0'].map(frame))
  return sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer()
}
/** Column and row of the square that a pixel of a rendition is in. */
async function squareAt(bytes: Buffer, x: number, y: number, columns: number, rows: number) {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
  const at = (y * info.width + x) * info.channels
  return [Math.round(((data[at] ?? 0) * columns) / 250), Math.round(((data[at + 1] ?? 0) * rows) / 250)]
}

describe('in the variant', () => {
  test.each([
    // A wide picture cut to a square: the column that begins it.
    ['fp0x50', 8, 2, 0, 0],
    ['fp25x50', 8, 2, 1, 0],
    ['fp50x50', 8, 2, 3, 0],
    ['fp100x50', 8, 2, 6, 0],
    // A tall one: the row.
    ['fp50x0', 2, 8, 0, 0],
    ['fp10x75', 2, 8, 0, 5],
    ['fp0x100', 2, 8, 0, 6],
  ] as const)('%s of %i by %i begins at column %i, row %i', async (position, columns, rows, column, row) => {
    const { render, close } = await createRenderer()
    const cut = await render(await squares(columns, rows), `w100-h100-cover-${position}-png`)
    expect([cut.width, cut.height]).toEqual([100, 100])
    expect(await squareAt(cut.bytes, 5, 5, columns, rows)).toEqual([column, row])
    expect(await squareAt(cut.bytes, 95, 95, columns, rows)).toEqual([column + 1, row + 1])
    await close()
  })

  test('attention is where sharp finds it; what moves is cut about its middle', async () => {
    const { render, close } = await createRenderer()
    const plain = sharp({ create: { width: 600, height: 200, channels: 3, background: '#ccc' } })
    const noisy = await sharp({
      create: {
        width: 100,
        height: 100,
        channels: 3,
        background: '#000',
        noise: { type: 'gaussian', mean: 128, sigma: 80 },
      },
    })
      .png()
      .toBuffer()
    const source = await plain
      .composite([{ input: noisy, left: 480, top: 50 }])
      .png()
      .toBuffer()
    const made = await render(source, 'w200-h200-cover-attention-png')
    const wanted = await sharp(source)
      .resize({ width: 200, height: 200, fit: 'cover', position: 'attention' })
      .removeAlpha()
      .raw()
      .toBuffer()
    const got = await sharp(made.bytes).removeAlpha().raw().toBuffer()
    expect(got).toHaveLength(wanted.length)
    const apart = got.reduce((sum, value, index) => sum + Math.abs(value - (wanted[index] ?? 0)), 0)
    expect(apart / got.length).toBeLessThan(3)
    // It is not what the middle is.
    expect(got.some((value) => value < 100)).toBe(true)
    const gif = await movingGif()
    const { bytes } = await render(gif, 'w20-h20-cover-attention-webp')
    expect(await sharp(bytes, { animated: true }).metadata()).toMatchObject({ width: 20, pages: 2 })
    const moved = await render(gif, 'w20-h20-cover-fp100x0-webp')
    expect(await sharp(moved.bytes, { animated: true }).metadata()).toMatchObject({ width: 20, pages: 2 })
    await close()
  })

  test('orientation and shrinking come before it', async () => {
    const { render, close } = await createRenderer()
    // Lies on its side: shown, it is two columns wide and eight rows high.
    const turned = await sharp(
      await sharp(await squares(2, 8))
        .rotate(270)
        .toBuffer(),
    )
      .jpeg({ quality: 95 })
      .withMetadata({ orientation: 6 })
      .toBuffer()
    const cut = await render(turned, 'w50-h50-cover-fp50x100-png')
    expect(await squareAt(cut.bytes, 5, 45, 2, 8)).toEqual([0, 7])
    await close()
  })

  test.each([
    'w10-h10-cover-fp101x0',
    'w10-h10-cover-fp1x',
    'w10-h10-cover-fp01x1',
    'w10-h10-fp1x1',
    'w10-cover-fp1x1',
    'w10-h10-attention',
    'w10-h10-cover-webp-attention',
    'w10-h10-cover-attention-fp1x1',
    'w10-h10-cover-fp-1x1',
  ])('%s is 400', async (variant) => {
    const { render, close } = await createRenderer()
    await expect(render(await squares(2, 2), variant)).rejects.toMatchObject({ status: 400 })
    await close()
  })
})

async function site(options: ArtworkOptions = {}) {
  const origin = await anOrigin()
  origin.serve('/wide.png', image(await squares(8, 2), 'image/png'))
  const app = await startApp(
    {
      sources: [remote({ hosts: ['127.0.0.1'] })],
      presets: { tile: { width: 100, height: 100, fit: 'cover', format: 'png' } },
      entities: { member: { variant: 'tile', placeholder: 'profile' } },
      manage: { authorize: () => true },
      ...options,
    },
    { origin },
  )
  const url = `${origin.url}/wide.png`
  const fetchBytes = async (path: string) => Buffer.from(await (await app.get(path)).arrayBuffer())
  const column = async (path: string) => (await squareAt(await fetchBytes(path), 5, 5, 8, 2))[0]
  return { ...app, url, column, address: remoteAddress(url) }
}

describe('kept with the original', () => {
  test('what is cut follows it, by a URL of its own, until it is taken away', async () => {
    const { artwork, url, column, address, get } = await site()
    const print = () => artwork.images.imageUrl(url, 'tile') ?? ''
    await artwork.images.getImage(address)
    const before = print()
    expect(await column(before)).toBe(3)
    expect((await get(before)).headers.get('cache-control')).toContain('immutable')
    await artwork.images.setFocalPoint(address, { x: 90, y: 50 })
    expect(print()).not.toBe(before)
    expect(await column(print())).toBe(6)
    expect((await get(print())).headers.get('cache-control')).toContain('immutable')
    // The URL of before is of another version now.
    expect((await get(before)).headers.get('cache-control')).not.toContain('immutable')
    expect(await column(before)).toBe(6)
    // What says its own point does not follow it, and what is not cut has the same URL as ever.
    const own = await artwork.images.getImage(address.replace('original', 'w100-h100-cover-fp0x0-png'))
    expect((await squareAt(own.bytes, 5, 5, 8, 2))[0]).toBe(0)
    await artwork.images.setFocalPoint(address, undefined)
    expect(await column(print())).toBe(3)
    expect(print()).toBe(before)
  })

  test('the image of an entity is made again, and markup keeps the point in sight', async () => {
    const { artwork, url, get, address } = await site({ widths: [25, 50] })
    const member = { id: '7', type: 'member', image_url: url }
    const saved = await artwork.images.downloadAndCache({
      sourceUrl: url,
      entityType: 'member',
      entityId: '7',
    })
    await artwork.images.setFocalPoint(address, { x: 100, y: 0 })
    const shown = artwork.images.display(member).url
    expect(shown).not.toBe(saved.url)
    const bytes = Buffer.from(await (await get(shown)).arrayBuffer())
    expect((await squareAt(bytes, 5, 5, 8, 2))[0]).toBe(6)
    // Each candidate of its srcset is cut about it, and says so in its URL.
    const srcset = () => /srcset="([^"]*)"/.exec(String(artwork.html.img(member, { alt: '' })))?.[1] ?? ''
    const before = srcset()
    const candidates = [...before.matchAll(/(\S+) (\d+)w/g)]
    expect(candidates.length).toBeGreaterThan(0)
    for (const [, candidate = ''] of candidates) {
      const answer = await get(candidate)
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([
        200,
        'public, max-age=31536000, immutable',
      ])
      const cut = Buffer.from(await answer.arrayBuffer())
      expect((await squareAt(cut, 2, 2, 8, 2))[0]).toBe(6)
    }
    await artwork.images.setFocalPoint(address, { x: 0, y: 0 })
    const after = srcset()
    expect(after).not.toBe(before)
    for (const [, candidate = ''] of after.matchAll(/(\S+) (\d+)w/g)) {
      const cut = Buffer.from(await (await get(candidate)).arrayBuffer())
      expect((await squareAt(cut, 2, 2, 8, 2))[0]).toBe(0)
    }
    await artwork.images.setFocalPoint(address, { x: 100, y: 0 })
    const html = String(artwork.html.img(url, { alt: '', ratio: '1/1' }))
    expect(html).toContain('object-fit:cover;object-position:100% 0%')
    // It was cut about it already.
    expect(String(artwork.html.img(member, { alt: '', ratio: '2/1' }))).not.toContain('object-position')
    const classes = await site({ display: { styles: 'classes' } })
    await classes.artwork.images.getImage(classes.address)
    await classes.artwork.images.setFocalPoint(classes.address, { x: 33, y: 61 })
    expect(String(classes.artwork.html.img(classes.url, { alt: '', ratio: '1/1' }))).toContain(
      'artwork-at-35-60',
    )
    const css = await (await classes.get(`/static/images/${PICTURE_STYLESHEET}`)).text()
    expect(css).toContain('.artwork-at-35-60{object-position:35% 60%}')
  })

  test('it holds for the next state of the picture, after a restart, and for a file that is replaced', async () => {
    const first = await site()
    await first.artwork.images.setFocalPoint(first.address, { x: 0, y: 50 })
    first.origin.serve('/wide.png', image(await squares(8, 2, 40), 'image/png'))
    await first.artwork.images.refresh(first.address)
    expect(await first.column(first.artwork.images.imageUrl(first.url, 'tile') ?? '')).toBe(0)
    await first.stop()
    const again = await startApp(
      {
        sources: [remote({ hosts: ['127.0.0.1'] })],
        presets: { tile: { width: 100, height: 100, fit: 'cover', format: 'png' } },
      },
      { origin: first.origin, directory: first.directory },
    )
    const { bytes } = await again.artwork.images.getImage(first.address.replace('original', 'tile'))
    expect((await squareAt(bytes, 5, 5, 8, 2))[0]).toBe(0)

    const root = join(await temporaryFolder(), 'public')
    await mkdir(root)
    await writeFile(join(root, 'a.png'), await squares(8, 2))
    const local = await startApp({
      sources: [files({ root })],
      presets: { tile: { width: 100, height: 100, fit: 'cover', format: 'png' } },
    })
    await local.artwork.images.setFocalPoint('files/original/a.png', { x: 100, y: 50 })
    const tile = async () =>
      (await squareAt((await local.artwork.images.getImage('files/tile/a.png')).bytes, 5, 5, 8, 2))[0]
    expect(await tile()).toBe(6)
    await writeFile(join(root, 'a.png'), await squares(8, 2, 60))
    expect(await tile()).toBe(6)
  })

  test.each(['new', 'same', '304'] as const)(
    'a point that is set while its source is asked stays, which answers %s',
    async (answer) => {
      const { artwork, origin, address, url } = await site()
      const bytes = { first: await squares(8, 2), new: await squares(8, 2, 40) }
      let release = (): void => {}
      const asked = new Promise<void>((resolve) => {
        origin.serve('/wide.png', (_req, res) => {
          const send = (body: Buffer) =>
            void res.writeHead(200, { 'Content-Type': 'image/png', ETag: '"1"' }).end(body)
          if (origin.hits('/wide.png') === 1) return send(bytes.first)
          release = () =>
            answer === '304'
              ? void res.writeHead(304, { ETag: '"1"' }).end()
              : send(answer === 'new' ? bytes.new : bytes.first)
          resolve()
        })
      })
      await artwork.images.getImage(address)
      const refreshed = artwork.images.refresh(address)
      await asked
      await artwork.images.setFocalPoint(address, { x: 10, y: 20 })
      release()
      await refreshed
      const html = String(artwork.html.img(url, { alt: '', ratio: '1/1' }))
      expect(/object-position:([^;"]*)/.exec(html)?.[1]).toBe('10% 20%')
    },
  )

  test('what cuts nothing, or is passed on, has the URL that its answer is kept by', async () => {
    const { artwork, url, get, address, origin } = await site({
      presets: {
        face: { width: 100, position: 'attention', format: 'webp' },
        tile: { width: 100, height: 100, fit: 'cover' },
      },
      entities: {},
      transform: { maxFrames: 1 },
    })
    const gif = await movingGif()
    origin.serve('/moving.gif', image(gif, 'image/gif'))
    const moving = `${origin.url}/moving.gif`
    await artwork.images.setFocalPoint(remoteAddress(moving), { x: 10, y: 20 })
    await artwork.images.getImage(address)
    for (const printed of [
      artwork.images.imageUrl(url, 'face'),
      artwork.images.imageUrl(moving, 'tile-auto'),
    ]) {
      const answer = await get(printed ?? '', { headers: { Accept: 'image/webp' } })
      expect([printed, answer.status, answer.headers.get('cache-control')]).toEqual([
        printed,
        200,
        'public, max-age=31536000, immutable',
      ])
    }
  })

  test('presets have a position of their own, and a wrong one is refused', async () => {
    const { artwork, address } = await site({
      presets: { left: { width: 100, height: 100, fit: 'cover', position: 'fp0x0', format: 'png' } },
      entities: {},
    })
    const { bytes } = await artwork.images.getImage(address.replace('original', 'left'))
    expect((await squareAt(bytes, 5, 5, 8, 2))[0]).toBe(0)
    await expect(
      site({
        presets: { left: { width: 1, height: 1, fit: 'cover', position: 'left' as never } },
        entities: {},
      }),
    ).rejects.toThrow(/presets\.left\.position: must be "attention", or a point/)
    for (const point of [{ x: -1, y: 0 }, { x: 1.5, y: 0 }, { x: 101, y: 0 }, {}, 'fp1x1'])
      await expect(artwork.images.setFocalPoint(address, point as never)).rejects.toThrow(TypeError)
  })

  test('by the management API', async () => {
    const { artwork, url, column, address } = await site()
    const { url: base } = await listen(express().use('/api', artwork.manageRouter))
    const send = (body: unknown) => fetch(`${base}/api/focal-point`, jsonPost(body))
    expect((await send({ address, point: { x: 100, y: 50 } })).status).toBe(200)
    expect(await column(artwork.images.imageUrl(url, 'tile') ?? '')).toBe(6)
    const found = await (await fetch(`${base}/api/images/images/${address}`)).json()
    expect(found.image.focal_point).toEqual({ x: 100, y: 50 })
    expect((await send({ address, point: null })).status).toBe(200)
    expect(await column(artwork.images.imageUrl(url, 'tile') ?? '')).toBe(3)
    for (const body of [{ address }, { address, point: { x: 101, y: 0 } }, { address, point: 5 }, {}])
      expect([400, 422]).toContain((await send(body)).status)
  })
})

/** Colour, ThumbHash, alpha and movement of originals: computed once, and there for whoever asks. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp, startForClients } from '../support/toolkit.js'

const flat = (background: string, channels: 3 | 4 = 3) =>
  sharp({ create: { width: 300, height: 200, channels, background } })

test('the dominant colour is that of most of the picture, whatever else is in it', async () => {
  const app = await startApp()
  const corner = await flat('#ffffff').resize(80, 60).png().toBuffer()
  const mostly = flat('#204060').composite([{ input: corner, left: 10, top: 10 }])
  app.origin.serve('/a.png', image(await mostly.removeAlpha().png().toBuffer(), 'image/png'))
  const got = await app.artwork.images.getImage(
    `remote/original/${Buffer.from(`${app.origin.url}/a.png`).toString('base64url')}`,
  )
  expect(got).toMatchObject({ color: '#204060', alpha: false, animated: false })
  expect(Buffer.from(got.thumbhash ?? '', 'base64').length).toBeGreaterThan(4)
})

test('what is transparent altogether has no colour, and is served all the same', async () => {
  const app = await startApp()
  app.origin.serve('/a.png', image(await flat('#20406000', 4).png().toBuffer(), 'image/png'))
  const got = await app.artwork.images.getImage(
    `remote/w160-webp/${Buffer.from(`${app.origin.url}/a.png`).toString('base64url')}`,
  )
  expect(got).toMatchObject({ alpha: true, animated: false, width: 160 })
  expect('color' in got).toBe(false)
})

test('uploads say it in their answers, by code and by JSON, and in lists', async () => {
  const app = await startForClients()
  const bytes = await flat('#336699').png().toBuffer()
  const looks = { width: 300, height: 200, color: '#336699', alpha: false, animated: false }
  expect(await app.artwork.uploads?.save('photos', bytes)).toMatchObject(looks)
  const posted = await fetch(`${app.url}/images/photos`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png' },
    body: new Uint8Array(bytes),
  })
  expect(await posted.json()).toMatchObject(looks)
  expect((await (await fetch(`${app.url}/images/photos`)).json()) as object).toMatchObject({
    images: [looks],
  })
  app.origin.serve('/b.jpg', image(await jpeg(400, 300)))
  const from = `${app.origin.url}/b.jpg`
  expect((await app.artwork.uploads?.proxy('others', [from]))?.images[from]).toMatchObject({
    width: 400,
    height: 300,
    color: expect.stringMatching(/^#/),
  })
})

test('what an earlier version stored without is looked at behind the next request', async () => {
  const app = await startApp()
  const url = `${app.origin.url}/a.jpg`
  app.origin.serve('/a.jpg', image(await flat('#336699').jpeg().toBuffer()))
  const address = `remote/w160-webp/${Buffer.from(url).toString('base64url')}`
  await app.artwork.images.getImage(address)
  await app.stop()
  const catalogue = new Database(join(app.directory, 'catalogue-v2.sqlite'))
  const { changes } = catalogue
    .prepare(
      "UPDATE names SET facts = json_remove(facts, '$.color', '$.thumbhash') WHERE facts LIKE '%color%'",
    )
    .run()
  catalogue.close()
  expect(changes).toBe(1)
  const again = await startApp({}, app)
  expect((await again.artwork.images.getImage(address)).color).toBeUndefined()
  await eventually(async () =>
    expect((await again.artwork.images.getImage(address)).color).toMatch(/^#336[67]9/),
  )
  expect(app.origin.hits()).toBe(1)
})

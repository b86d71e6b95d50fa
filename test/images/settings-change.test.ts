/** What our own rules refused is judged anew when they are other ones. */

import { remote } from 'express-artwork'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp, type TestApp } from '../support/toolkit.js'

const artist = (app: TestApp) => ({ id: 'a1', image_url: `${app.origin.url}/p.jpg` })
const ended = (app: TestApp) =>
  eventually(async () => {
    const [job] = await app.artwork.refresher.jobs({ kind: 'download' })
    expect(job?.state).toMatch(/done|failed/)
    return job
  })

test('a host that was not listed, and is after a restart, is fetched at once (mended 4)', async () => {
  const wrong = await startApp({ sources: [remote({ hosts: ['images.example'] })] })
  wrong.origin.serve('/p.jpg', image(await jpeg(40, 30)))
  wrong.artwork.start()
  expect(wrong.artwork.refresher.enqueue('artist', artist(wrong)).accepted).toBe(true)
  expect(await ended(wrong)).toMatchObject({ state: 'failed', reason: 'refused' })
  // For as long as the settings are these, it is left alone.
  expect(wrong.artwork.refresher.enqueue('artist', artist(wrong))).toMatchObject({
    reason: 'recently failed',
  })
  await wrong.stop()
  const right = await startApp({}, wrong)
  expect(right.artwork.refresher.enqueue('artist', artist(right)).accepted).toBe(true)
  right.artwork.start()
  await eventually(() =>
    expect(right.artwork.images.getDisplayUrl(null, 'artists/a1/a1.webp', 'artist')).toContain('?v='),
  )
})

test('a format and a bound of bytes are judged anew too; what upstream said stands (mended 4)', async () => {
  const first = await startApp({ fetch: { maxBytes: 500 }, sources: [remote({ hosts: ['127.0.0.1'] })] })
  const avif = await quarters(40, 30).avif({ effort: 2 }).toBuffer()
  first.origin.serve('/large.jpg', image(await jpeg(200, 150)))
  first.origin.serve('/p.avif', image(avif.subarray(0, 499), 'image/avif'))
  const path = (name: string) =>
    `/images/remote/original/${Buffer.from(`${first.origin.url}${name}`).toString('base64url')}`
  const statuses = async (app: TestApp) =>
    Promise.all(
      ['/large.jpg', '/p.avif', '/none.jpg'].map(async (name) => (await app.get(path(name))).status),
    )
  expect(await statuses(first)).toEqual([413, 415, 404])
  expect(await statuses(first)).toEqual([413, 415, 404])
  const asked = first.origin.hits('/none.jpg')
  await first.stop()
  first.origin.serve('/p.avif', image(avif, 'image/avif'))
  const transform = { isolate: false, formats: ['jpeg', 'avif'] as ['jpeg', 'avif'] }
  const second = await startApp({ transform }, first)
  expect(await statuses(second)).toEqual([200, 200, 404])
  expect(first.origin.hits('/none.jpg')).toBe(asked)
})

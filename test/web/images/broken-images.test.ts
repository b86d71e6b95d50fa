/** Where pages report that a source's own URL did not answer: nothing is believed, little is done. */
import express from 'express'
import { expect, test } from 'vitest'
import { eventually } from '../../support/eventually.js'
import { jpeg } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { listen, startApp } from '../../support/toolkit.js'

const report = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/static/images/broken`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'text/plain', ...headers },
  })

test('it is closed unless it is asked for', async () => {
  const { url } = await startApp()
  expect((await report(url, 'http://127.0.0.1/x.jpg')).status).toBe(404)
})

test('a report has the source asked once, and what that says is printed', async () => {
  const app = await startApp({ display: { beacon: true }, fetch: { retries: 0 } })
  const dead = `${app.origin.url}/dead.jpg`
  app.origin.serve('/dead.jpg', { status: 404 })
  expect(app.artwork.images.getDisplayUrl(dead, null, 'album')).toBe(dead)
  for (let time = 0; time < 5; time += 1) expect((await report(app.url, dead)).status).toBe(204)
  await eventually(() =>
    expect(app.artwork.images.getDisplayUrl(dead, null, 'album')).toContain('placeholder-album'),
  )
  expect((await report(app.url, dead)).status).toBe(204)
  await app.artwork.refresher.idle()
  expect(app.origin.hits()).toBe(1)
  // What is well stays as it is.
  const alive = `${app.origin.url}/alive.jpg`
  app.origin.serve('/alive.jpg', image(await jpeg(60, 40)))
  await report(app.url, alive)
  await eventually(() => expect(app.origin.hits()).toBe(2))
  expect(app.artwork.images.getDisplayUrl(alive, null, 'album')).toBe(alive)
})

test.each([
  ['not a URL', 'x'],
  ['nothing', ''],
  ['a host that is not listed', 'https://elsewhere.example/x.jpg'],
  ['one of our own', '/images/poster/w342/x.jpg'],
  ['far too much', 'x'.repeat(100_000)],
])('%s is 204 and nothing comes of it', async (_name, body) => {
  const app = await startApp({ display: { beacon: true } })
  expect((await report(app.url, body)).status).toBe(204)
  await app.artwork.refresher.idle()
  expect(app.origin.hits()).toBe(0)
})

test('only pages of this site report, by POST, and only so often; a body that another parser has read is no trouble', async () => {
  const app = await startApp({ display: { beacon: true }, fetch: { retries: 0 } })
  expect((await report(app.url, 'x', { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403)
  const got = await fetch(`${app.url}/static/images/broken`)
  expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST'])
  for (let time = 0; time < 30; time += 1) await report(app.url, `${app.origin.url}/${time}.jpg`)
  await app.artwork.refresher.idle()
  await eventually(() => expect(app.origin.hits()).toBe(10))
  const parsed = express().use(express.text()).use(app.artwork.router)
  const { url } = await listen(parsed)
  expect((await report(url, `${app.origin.url}/x.jpg`)).status).toBe(204)
})

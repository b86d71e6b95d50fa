/** Whether a URL gives a picture (PARITY 15). */
import { describe, expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp } from '../support/toolkit.js'

const IN_PROCESS = { transform: { isolate: false } } as const

describe('validateImage (parity 15)', () => {
  test('HEAD, 200 and image/*; a ranged GET where HEAD is refused; through the guard (parity 15)', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { images } = app.artwork
    const { url } = app.origin
    app.origin.serve('/a.jpg', image(await jpeg(20, 20)))
    app.origin.serve('/page', image('<html></html>', 'text/html'))
    expect(await images.validateImage(`${url}/a.jpg`)).toBe(true)
    expect(app.origin.seen.at(-1)?.method).toBe('HEAD')
    for (const path of ['/page', '/missing']) expect(await images.validateImage(url + path), path).toBe(false)
    for (const status of [403, 405, 501]) {
      app.origin.serve(`/${status}`, (req, res) => {
        if (req.method === 'HEAD') res.writeHead(status).end()
        else res.writeHead(206, { 'Content-Type': 'image/jpeg', 'Content-Range': 'bytes 0-0/9' }).end('x')
      })
      expect(await images.validateImage(`${url}/${status}`), String(status)).toBe(true)
      expect(app.origin.seen.at(-1)).toMatchObject({ method: 'GET', headers: { range: 'bytes=0-0' } })
    }
    // Nobody asks for a body to hear that a host is refused.
    for (const bad of ['http://10.0.0.1/a.jpg', 'file:///etc/passwd', 'nonsense', ''])
      expect(await images.validateImage(bad), bad).toBe(false)
  })
})

describe('what the pipeline serves is valid, whatever is said of it (mended 8)', () => {
  const types = ['binary/octet-stream', 'application/octet-stream', 'text/plain', 'image', '']
  test.each(types)('declared as %j, by HEAD and by GET', async (type) => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    app.origin.serve('/p', { headers: type === '' ? {} : { 'Content-Type': type }, body: await jpeg(20, 20) })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    app.origin.serve('/t', { headers: type === '' ? {} : { 'Content-Type': type }, body: 'no picture' })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/t`)).toBe(false)
  })
  test.each([400, 403, 404, 405, 500, 501, 200])(
    'HEAD answers %i with HTML, GET is a picture',
    async (status) => {
      const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
      const bytes = await jpeg(20, 20)
      app.origin.serve('/p', (req, res) => {
        if (req.method === 'HEAD') res.writeHead(status, { 'Content-Type': 'text/html' }).end()
        else res.writeHead(200, { 'Content-Type': 'binary/octet-stream' }).end(bytes)
      })
      expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    },
  )
  test('a body that never ends is read as far as is needed', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0, maxBytes: '1 MiB' } })
    const bytes = await jpeg(20, 20)
    let sent = 0
    app.origin.serve('/p', (req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/octet-stream' })
      if (req.method === 'HEAD') return void res.end()
      res.write(bytes)
      const more = (): void => {
        sent += 65_536
        if (!res.destroyed && sent < 1e9) res.write(Buffer.alloc(65_536), () => setImmediate(more))
      }
      more()
    })
    expect(await app.artwork.images.validateImage(`${app.origin.url}/p`)).toBe(true)
    expect(sent).toBeLessThan(1e8)
  })
  test('HTML, JSON and what is not there are not', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { url } = app.origin
    app.origin.serve('/page', image('<!doctype html>', 'text/html'))
    app.origin.serve('/json', image('{}', 'application/json'))
    app.origin.serve('/lying', image(await jpeg(20, 20), 'text/html'))
    for (const path of ['/page', '/json', '/lying', '/missing'])
      expect(await app.artwork.images.validateImage(url + path), path).toBe(false)
  })
})

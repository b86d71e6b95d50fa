/** Fixed headers of `remote()`: what may be set, and to whom it is sent. */
import { remote } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { isFile } from '#src/model/location.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, startApp } from '../support/toolkit.js'

const addressOf = (url: string): string => `/images/remote/original/${Buffer.from(url).toString('base64url')}`

describe('names without regard to case; ours are defaults; what may not be set is refused (mended 13)', () => {
  test('User-Agent, Accept and Referer of a host take the place of ours, once', async () => {
    const headers = {
      '127.0.0.1': { 'user-agent': 'mine/1', ACCEPT: 'image/jpeg', referer: 'https://app.example/' },
    }
    const app = await startApp({ sources: [remote({ hosts: ['127.0.0.1'], headers })] })
    app.origin.serve('/p.jpg', image(await jpeg(20, 20)))
    expect((await app.get(addressOf(`${app.origin.url}/p.jpg`))).status).toBe(200)
    expect(app.origin.seen.at(-1)?.headers).toMatchObject({
      'user-agent': 'mine/1',
      accept: 'image/jpeg',
      referer: 'https://app.example/',
      'accept-encoding': 'identity',
    })
  })
  test.each([
    'Accept-Encoding',
    'VIA',
    'host',
    'If-None-Match',
    'if-modified-since',
    'Range',
    'Transfer-Encoding',
  ])('%s is refused at the start, by its name', (name) => {
    const make = () => remote({ hosts: ['a.example'], headers: { 'a.example': { [name]: 'x' } } })
    expect(make).toThrow(new RegExp(`a\\.example.*${name} cannot be set`))
  })
  test.each([
    ['a b', 'x'],
    ['x', 'a\nb'],
  ])('no header: %j: %j', (name, value) => {
    expect(() => remote({ hosts: ['a.example'], headers: { 'a.example': { [name]: value } } })).toThrow(
      TypeError,
    )
  })
})

describe('a secret goes to its own host, and not by plain http (mended 18)', () => {
  const secret = { 'x-token': 'secret' }
  const fieldsFor = (headers: Record<string, Record<string, string>>, url: string, isPrivate = false) => {
    const source = remote({ hosts: ['**.example', 'a.example'], headers })
    const address = source.claim(new URL(url))
    if (address === undefined) throw new Error('not claimed')
    const located = source.locate(address, {} as never)
    if (located instanceof Promise || isFile(located)) throw new Error('located at once, at a URL')
    return located.headersFor?.(new URL(url), isPrivate)
  }
  test.each<[string, string, boolean, boolean]>([
    ['a.example', 'https://a.example/p', false, true],
    ['a.example', 'http://a.example/p', false, false],
    ['a.example', 'http://a.example/p', true, true],
    ['http://a.example', 'http://a.example/p', false, true],
    ['HTTP://a.example', 'http://a.example/p', false, true],
    ['http://a.example', 'https://a.example/p', false, false],
    ['https://a.example', 'https://a.example/p', false, true],
    ['https://a.example', 'http://a.example/p', true, false],
    ['*.example', 'http://a.example/p', false, false],
  ])('by %s to %s (private: %s): %s', (pattern, url, isPrivate, isSent) => {
    expect(fieldsFor({ [pattern]: secret }, url, isPrivate)).toEqual(isSent ? secret : {})
  })
  test('not to another origin that a redirect leads to, though the pattern has both', async () => {
    const other = await anOrigin()
    const app = await startApp({
      sources: [remote({ hosts: ['127.0.0.1'], headers: { '127.0.0.1': secret } })],
      fetch: { allowPrivate: [other.host] },
    })
    // Both are the same host on other ports, and both are allowed.
    const both = await startApp(
      {
        sources: [remote({ hosts: ['127.0.0.1'], headers: { '127.0.0.1': secret } })],
        fetch: { allowPrivate: [app.origin.host, other.host] },
      },
      { origin: app.origin },
    )
    other.serve('/p.jpg', image(await jpeg(20, 20)))
    app.origin.serve('/r.jpg', { status: 302, headers: { Location: `${other.url}/p.jpg` } })
    expect((await both.get(addressOf(`${app.origin.url}/r.jpg`))).status).toBe(200)
    expect(app.origin.seen.at(-1)?.headers['x-token']).toBe('secret')
    expect(other.seen.at(-1)?.headers['x-token']).toBeUndefined()
  })
})

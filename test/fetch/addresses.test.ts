/** Hosts with several addresses, some of which do not answer (mended 12, RFC 8305 §5). */

import { Agent } from 'node:http'
import { Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, remoteAddress, startApp } from '../support/toolkit.js'

/** Sockets that never connect, as they are made. */
function silentSockets(): readonly Socket[] {
  const sockets: Socket[] = []
  vi.spyOn(Agent.prototype, 'createConnection').mockImplementation((() => {
    const socket = new Socket()
    sockets.push(socket)
    return socket
  }) as never)
  return sockets
}

type Behaviour = 'refused' | 'silent' | number
const lookup =
  (addresses: readonly string[]) =>
  (_host: string, _options: unknown, callback: (...args: unknown[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

test.each<[string, Readonly<Record<string, Behaviour>>]>([
  ['IPv6 is not there, IPv4 is slow', { '2606:4700::1': 'refused', '93.184.215.14': 700 }],
  ['IPv4 is slow and comes first, IPv6 is not there', { '93.184.215.14': 700, '2606:4700::1': 'refused' }],
  ['IPv6 is silent, IPv4 is fast', { '2606:4700::1': 'silent', '93.184.215.14': 0 }],
  ['IPv6 is silent, IPv4 is slow', { '2606:4700::1': 'silent', '93.184.215.14': 500 }],
  [
    'the third one is the good one',
    { '93.184.215.14': 'refused', '2606:4700::1': 'silent', '93.184.215.15': 300 },
  ],
  ['one address, which is slow', { '93.184.215.14': 900 }],
])('%s (mended 12)', async (_name, table) => {
  const host = 'pictures.example.com'
  const { remote } = await import('express-artwork')
  const origin = await anOrigin()
  const port = Number(new URL(origin.url).port)
  const closed: string[] = []
  vi.spyOn(Agent.prototype, 'createConnection').mockImplementation(((options: { host: string }) => {
    const socket = new Socket()
    const behaviour = table[options.host]
    socket.once('close', () => closed.push(options.host))
    if (behaviour === 'refused')
      setImmediate(() => socket.destroy(Object.assign(new Error('unreachable'), { code: 'ENETUNREACH' })))
    else if (typeof behaviour === 'number')
      setTimeout(() => !socket.destroyed && socket.connect(port, '127.0.0.1'), behaviour)
    return socket
  }) as never)
  const app = await startApp(
    {
      transform: { isolate: false },
      sources: [remote({ hosts: [host] })],
      fetch: { lookup: lookup(Object.keys(table)) as never, retries: 0 },
    },
    { origin },
  )
  app.origin.serve('/p.jpg', image(await jpeg(20, 20)))
  const { contentType } = await app.artwork.images.getImage(remoteAddress(`http://${host}/p.jpg`))
  expect(contentType).toBe('image/jpeg')
  // What was tried beside it is let go of.
  const others = Object.keys(table).filter((address) => typeof table[address] !== 'number')
  await eventually(() =>
    expect(others.every((address) => closed.includes(address) || table[address] !== 'refused')).toBe(true),
  )
})

test('where none answers it is a 504 in time, and every attempt is let go of (mended 12)', async () => {
  const host = 'pictures.example.com'
  const { remote } = await import('express-artwork')
  const sockets = silentSockets()
  const app = await startApp({
    transform: { isolate: false },
    sources: [remote({ hosts: [host] })],
    fetch: { lookup: lookup(['93.184.215.14', '2606:4700::1']) as never, retries: 0, connectTimeout: 600 },
  })
  await expect(app.artwork.images.getImage(remoteAddress(`http://${host}/p.jpg`))).rejects.toMatchObject({
    status: 504,
  })
  expect([sockets.length, sockets.every((socket) => socket.destroyed)]).toEqual([2, true])
})

test('a name that is resolved too late is not dialled, and an attempt that ends later hurts nobody (mended 12)', async () => {
  const host = 'pictures.example.com'
  const { remote } = await import('express-artwork')
  const sockets = silentSockets()
  let isAnswered = false
  const app = await startApp({
    transform: { isolate: false },
    sources: [remote({ hosts: [host] })],
    fetch: {
      retries: 0,
      connectTimeout: 200,
      lookup: (_host, _options, callback) =>
        void setTimeout(() => {
          isAnswered = true
          callback(null, [{ address: '93.184.215.14', family: 4 }])
        }, 500),
    },
  })
  const get = () => app.artwork.images.getImage(remoteAddress(`http://${host}/p.jpg`))
  await expect(get()).rejects.toMatchObject({ status: 504 })
  await eventually(() => expect(isAnswered).toBe(true))
  expect(sockets).toEqual([])
  // Nobody listens for what befalls an attempt that was let go of: it is no error of the process.
  const late = await startApp({
    transform: { isolate: false },
    sources: [remote({ hosts: [host] })],
    fetch: { retries: 0, connectTimeout: 200, lookup: lookup(['93.184.215.14', '2606:4700::1']) as never },
  })
  await expect(late.artwork.images.getImage(remoteAddress(`http://${host}/p.jpg`))).rejects.toMatchObject({
    status: 504,
  })
  const dialled = sockets.length
  for (const socket of sockets) expect(socket.emit('error', new Error('reset'))).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(sockets).toHaveLength(dialled)
})

/** Proxies of tests: one that can be cut, and one that makes an HTTP server slow and unreliable. */
import { createServer as createHttpServer, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { atEnd } from './toolkit.js'

/** Listens at a port of its own in front of another. */
export interface Front {
  readonly port: number
}

/** A line to a server that can be cut, as by a partition: what is open ends, and nothing new is let through. */
export async function cuttable(target: number): Promise<Front & { cut(): void; mend(): void }> {
  let isCut = false
  const sockets = new Set<Socket>()
  const hold = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((near) => {
    hold(near)
    if (isCut) return void near.destroy()
    const far = connect(target, '127.0.0.1')
    hold(far)
    near.pipe(far).pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  const cut = (): void => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    cut()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => {
      isCut = false
    },
  }
}

/** How an HTTP server is from now on. */
export interface Trouble {
  /** Ms before each answer. */
  delay: number
  /** Every so many requests one is answered with 500; 0: none. */
  failEvery: number
}

/** A proxy before an HTTP server. Fields pass as they are, `Host` too: who signs requests signs that. */
export async function troubled(
  target: number,
): Promise<Front & { readonly trouble: Trouble; requests(): number }> {
  const trouble: Trouble = { delay: 0, failEvery: 0 }
  let count = 0
  const server = createHttpServer((req, res) => {
    count += 1
    const isFailed = trouble.failEvery > 0 && count % trouble.failEvery === 0
    const answer = (): void => {
      if (isFailed) {
        req.resume()
        res.writeHead(500).end()
        return
      }
      const { method, url, headers } = req
      const onward = request({ port: target, host: '127.0.0.1', method, path: url, headers }, (from) => {
        res.writeHead(from.statusCode ?? 502, from.headers)
        from.pipe(res)
      })
      onward.on('error', () => res.destroy())
      req.pipe(onward)
    }
    req.on('error', () => {})
    res.on('error', () => {})
    setTimeout(answer, trouble.delay).unref()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, trouble, requests: () => count }
}

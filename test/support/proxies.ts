/** Real proxy servers on loopback ports: plain and CONNECT over http, and socks5 (RFC 1928, 1929). */
import { createServer, request } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { atEnd } from './toolkit.js'

/** A running proxy. */
export interface TestProxy {
  readonly url: string
  /** What went through: `GET http://…`, `CONNECT host:port`, `SOCKS host:port`. */
  readonly seen: string[]
  /** Credentials that came with it. */
  readonly credentials: string[]
  /** Connections that are open. */
  open(): number
  /** `status`: every request is answered with it; `cut`: connections are cut; `hang`: nothing is answered. */
  behave(how: { status?: number; cut?: boolean; hang?: boolean }): void
}

/** Names that the proxies resolve: everything is on this machine. */
const dial = (port: number): Socket => connect(port, '127.0.0.1')

async function listening(server: Server): Promise<{ port: number; open: () => number }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  )
  return { port: (server.address() as AddressInfo).port, open: () => sockets.size }
}

/** An http proxy. @param credentials `user:password` that it wants */
export async function httpProxy(credentials?: string): Promise<TestProxy> {
  const seen: string[] = []
  const given: string[] = []
  let how: { status?: number; cut?: boolean; hang?: boolean } = {}
  const mayPass = (header: string | undefined): boolean => {
    if (header !== undefined) given.push(Buffer.from(header.replace(/^Basic /, ''), 'base64').toString())
    return credentials === undefined || given.at(-1) === credentials
  }
  const server = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`)
    if (how.hang) return
    if (how.cut) {
      req.socket.destroy()
      return
    }
    if (!mayPass(req.headers['proxy-authorization'])) {
      res.writeHead(407).end()
      return
    }
    if (how.status !== undefined) {
      res.writeHead(how.status).end()
      return
    }
    const url = new URL(req.url ?? '')
    const { 'proxy-authorization': _secret, 'proxy-connection': _hop, ...headers } = req.headers
    const options = { port: Number(url.port), host: '127.0.0.1', path: url.pathname + url.search, headers }
    request({ ...options, method: req.method ?? 'GET' }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(res)
    })
      .on('error', () => res.writeHead(502).end())
      .end()
  })
  server.on('connect', (req, socket: Socket) => {
    seen.push(`CONNECT ${req.url}`)
    socket.on('error', () => {})
    if (how.hang) {
      socket.on('end', () => socket.destroy()).resume()
      return
    }
    if (how.cut) {
      socket.destroy()
      return
    }
    if (!mayPass(req.headers['proxy-authorization']) || how.status !== undefined) {
      socket.end(`HTTP/1.1 ${how.status ?? 407} No\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    const target = dial(Number(/:(\d+)$/.exec(req.url ?? '')?.[1]))
    target.on('connect', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    target.on('error', () => socket.destroy())
    target.pipe(socket).pipe(target)
  })
  const { port, open } = await listening(server)
  const login = credentials === undefined ? '' : `${credentials}@`
  return {
    url: `http://${login}127.0.0.1:${port}`,
    open,
    seen,
    credentials: given,
    behave: (wanted) => {
      how = wanted
    },
  }
}

/** A socks5 proxy. */
export async function socksProxy(): Promise<TestProxy> {
  const seen: string[] = []
  let how: { status?: number; cut?: boolean; hang?: boolean } = {}
  const server = createTcpServer((socket) => {
    socket.once('data', () => {
      if (how.cut) {
        socket.destroy()
        return
      }
      socket.write(Buffer.from([5, 0]))
      socket.once('data', (wanted) => {
        const isName = wanted[3] === 3
        const length = wanted[4] ?? 0
        const host = isName ? wanted.subarray(5, 5 + length).toString() : wanted.subarray(4, 8).join('.')
        const port = wanted.readUInt16BE(isName ? 5 + length : 8)
        seen.push(`SOCKS ${host}:${port}`)
        if (how.hang) return
        if (how.status !== undefined) {
          socket.end(Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]))
          return
        }
        const target = dial(port)
        target.on('connect', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]))
          target.pipe(socket).pipe(target)
        })
        target.on('error', () => socket.destroy())
      })
    })
  })
  const { port, open } = await listening(server)
  return {
    url: `socks5://127.0.0.1:${port}`,
    open,
    seen,
    credentials: [],
    behave: (wanted) => {
      how = wanted
    },
  }
}

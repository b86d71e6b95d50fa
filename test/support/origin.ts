/** A real upstream on a loopback port: what it answers is set by the test, what it was asked is counted. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An answer: a status with headers and a body, or a function that writes it itself. */
export type Answer =
  | { status?: number; headers?: Record<string, string>; body?: Buffer | string }
  | ((req: IncomingMessage, res: ServerResponse) => void)

/** A running upstream. */
export interface Origin {
  readonly url: string
  /** `host:port`, for `allowPrivate`. */
  readonly host: string
  /** Sets what a path answers; unknown paths are 404. */
  serve(path: string, answer: Answer): void
  /** Requests seen for a path, or for all. */
  hits(path?: string): number
  /** The requests seen, oldest first. */
  readonly seen: readonly { method: string; path: string; headers: IncomingMessage['headers'] }[]
  /** Refuses all with this status; undefined: works again. */
  fail(status: number | undefined): void
  close(): Promise<void>
}

/** Starts an upstream. */
export async function startOrigin(): Promise<Origin> {
  const answers = new Map<string, Answer>()
  const seen: { method: string; path: string; headers: IncomingMessage['headers'] }[] = []
  let failing: number | undefined
  const server = createServer((req, res) => {
    const path = req.url ?? ''
    seen.push({ method: req.method ?? '', path, headers: req.headers })
    const answer = failing === undefined ? answers.get(path) : { status: failing }
    if (typeof answer === 'function') {
      answer(req, res)
      return
    }
    const { status = 200, headers = {}, body = '' } = answer ?? { status: 404, body: 'no such file' }
    res.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers })
    res.end(req.method === 'HEAD' ? undefined : body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    serve: (path, answer) => void answers.set(path, answer),
    hits: (path) =>
      path === undefined ? seen.length : seen.filter((request) => request.path === path).length,
    seen,
    fail: (status) => {
      failing = status
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** An image answer. */
export const image = (
  body: Buffer | string,
  type = 'image/jpeg',
  headers: Record<string, string> = {},
): Answer => ({
  headers: { 'Content-Type': type, ...headers },
  body,
})

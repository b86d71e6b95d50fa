/** The last line of every answer: a Reply goes to the wire here and nowhere else. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Asked, Reply } from '../model/reply.js'

/** What of a request an answer may depend on. */
export function askedOf(req: IncomingMessage): Asked {
  const { headers } = req
  const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(', ') : value)
  return {
    method: req.method ?? 'GET',
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifMatch: headers['if-match'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
    range: headers.range,
    ifRange: one(headers['if-range']),
  }
}

/** Writes a Reply. A HEAD gets the same fields and no body. */
export function send(req: IncomingMessage, res: ServerResponse, reply: Reply): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(reply.status, { ...reply.headers })
  res.end(req.method === 'HEAD' || reply.body === undefined ? undefined : reply.body)
}

/** A signal that is aborted when the client has gone before its answer. */
export function goneSignal(res: ServerResponse): AbortSignal {
  const controller = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) controller.abort()
  })
  return controller.signal
}

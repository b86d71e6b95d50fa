/** Bodies of requests: read within bounds of bytes and time, and refused without being read to their end. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpResponse } from '../../http/response.js'
import { ArtworkError } from '../../model/failure.js'

/** Bounds of a body. */
export interface BodyLimits {
  readonly maxBytes: number
  /** Ms in which it must have come whole. */
  readonly timeout: number
}

const tooLarge = (): ArtworkError => new ArtworkError('too_large', 'the body has too many bytes')

/** The announced length of a body; undefined where none is. */
export const announcedLength = (req: IncomingMessage): number | undefined => {
  const text = req.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

/**
 * Reads a body whole. What is over its bounds is not read on.
 * @throws ArtworkError `too_large` (413), `slow_request` (408), `unsupported` (415) for an encoding, `cancelled` when the client has gone
 */
export function readBody(req: IncomingMessage, { maxBytes, timeout }: BodyLimits): Promise<Buffer> {
  const coding = req.headers['content-encoding']
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity')
    return Promise.reject(new ArtworkError('unsupported', 'the body must not be encoded'))
  if ((announcedLength(req) ?? 0) > maxBytes) return Promise.reject(tooLarge())
  if (req.readableEnded)
    return Promise.reject(
      new ArtworkError('invalid', 'the body was read before: mount the router before body parsers'),
    )
  if (req.destroyed) return Promise.reject(new ArtworkError('cancelled', 'the client has gone'))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
      req.on('error', () => {})
      settle()
    }
    const refuse = (error: ArtworkError): void =>
      end(() => {
        req.pause()
        chunks.length = 0
        reject(error)
      })
    const onData = (chunk: Buffer): void => {
      received += chunk.length
      if (received > maxBytes) refuse(tooLarge())
      else chunks.push(chunk)
    }
    const onEnd = (): void => end(() => resolve(Buffer.concat(chunks, received)))
    const onClose = (): void => refuse(new ArtworkError('cancelled', 'the client has gone'))
    const timer = setTimeout(
      () => refuse(new ArtworkError('slow_request', 'the body did not come in time')),
      timeout,
    )
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  })
}

/** After an answer to a body that is not read to its end, this much of it is still taken, and so long is waited, ms. */
const LINGER_BYTES = 1024 * 1024
const LINGER_FOR = 2000

/**
 * Writes a Reply and closes the connection, without reading what is still coming. A socket that is closed while
 * bytes are coming is reset, and takes the answer with it (RFC 9112 §9.6): a little is read, and thrown away; then
 * the client, which can send no more, has time to see the answer.
 */
export function sendAndClose(req: IncomingMessage, res: ServerResponse, reply: HttpResponse): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(reply.status, { ...reply.headers, Connection: 'close' })
  if (reply.body !== undefined && req.method !== 'HEAD') res.write(reply.body)
  let left = LINGER_BYTES
  const timer = setTimeout(() => {
    res.end()
    req.destroy()
  }, LINGER_FOR).unref()
  res.once('close', () => clearTimeout(timer))
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) req.pause()
  })
  req.once('end', () => {
    clearTimeout(timer)
    res.end()
  })
  req.on('error', () => {})
  req.resume()
}

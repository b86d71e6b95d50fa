/** Bodies of requests: read within bounds of bytes and time, and refused without being read to their end. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
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

/** Why a body is not to be read, undefined where it may be. */
function bodyProblem(req: IncomingMessage, maxBytes: number): ArtworkError | undefined {
  const coding = req.headers['content-encoding']
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity')
    return new ArtworkError('unsupported', 'the body must not be encoded')
  if ((announcedLength(req) ?? 0) > maxBytes) return tooLarge()
  if (req.readableEnded)
    return new ArtworkError('invalid', 'the body was read before: mount the router before body parsers')
  return req.destroyed ? new ArtworkError('cancelled', 'the client has gone') : undefined
}

/** Who receives a body. */
interface Receiver {
  onData(chunk: Buffer): void
  onEnd(): void
  /** The body is not read on. */
  onFailure(error: ArtworkError): void
}

/** Receives a body within its bounds. @returns ends it early, without a word to the receiver */
function receive(req: IncomingMessage, { maxBytes, timeout }: BodyLimits, receiver: Receiver): () => void {
  let received = 0
  const leave = (): void => {
    clearTimeout(timer)
    req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
    req.on('error', () => {})
  }
  const refuse = (error: ArtworkError): void => {
    leave()
    req.pause()
    receiver.onFailure(error)
  }
  const onData = (chunk: Buffer): void => {
    received += chunk.length
    if (received > maxBytes) refuse(tooLarge())
    else receiver.onData(chunk)
  }
  const onEnd = (): void => {
    leave()
    receiver.onEnd()
  }
  const onClose = (): void => refuse(new ArtworkError('cancelled', 'the client has gone'))
  const timer = setTimeout(
    () => refuse(new ArtworkError('slow_request', 'the body did not come in time')),
    timeout,
  )
  req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  return leave
}

/**
 * Reads a body whole. What is over its bounds is not read on.
 * @throws ArtworkError `too_large` (413), `slow_request` (408), `unsupported` (415) for an encoding, `cancelled` when the client has gone
 */
export function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const problem = bodyProblem(req, limits.maxBytes)
  if (problem !== undefined) return Promise.reject(problem)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    receive(req, limits, {
      onData: (chunk) => void chunks.push(chunk),
      onEnd: () => resolve(Buffer.concat(chunks)),
      onFailure: reject,
    })
  })
}

/**
 * A body as a stream within its bounds, which fails as {@link readBody} does. Once it is destroyed no more of the body is read.
 * @throws ArtworkError
 */
export function streamBody(req: IncomingMessage, limits: BodyLimits): Readable {
  const problem = bodyProblem(req, limits.maxBytes)
  if (problem !== undefined) throw problem
  const stream = new PassThrough({
    destroy: (error, done) => {
      leave()
      if (!req.readableEnded) req.pause()
      done(error)
    },
  })
  const leave = receive(req, limits, {
    onData: (chunk) => {
      if (!stream.write(chunk)) req.pause()
    },
    onEnd: () => stream.end(),
    onFailure: (error) => stream.destroy(error),
  })
  return stream.on('drain', () => req.resume())
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
  const timer = setTimeout(() => {
    res.end()
    req.destroy()
  }, LINGER_FOR).unref()
  res.once('close', () => clearTimeout(timer))
  req.once('end', () => {
    clearTimeout(timer)
    res.end()
  })
  discardSome(req)
}

/** Takes some of a body, and throws it away. */
function discardSome(req: IncomingMessage): void {
  let left = LINGER_BYTES
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) req.pause()
  })
  req.on('error', () => {})
  req.resume()
}

/** The same for an answer that the app writes: it can be seen by a client that goes on sending. */
export function leaveBody(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return
  discardSome(req)
  res.once('finish', () => {
    if (req.complete) return
    const timer = setTimeout(() => req.destroy(), LINGER_FOR).unref()
    req.once('end', () => clearTimeout(timer))
  })
}

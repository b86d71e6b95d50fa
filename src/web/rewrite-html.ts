/** Middleware that rewrites the HTML of what comes after it, as it is written. */
import type { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { Logger } from '../model/logger.js'

/** HTML on its way, in pieces of ISO 8859-1. */
interface Rewriter {
  write(piece: string): string
  end(): string
}

/** Fields that are true of the bytes before they are rewritten. */
const OF_BYTES = [
  ...['Content-Length', 'ETag', 'Last-Modified', 'Accept-Ranges'],
  ...['Content-MD5', 'Content-Digest', 'Repr-Digest'],
]
/** Encodings in which a byte of ASCII may be a part of another character. */
const NOT_ASCII = /^(?:utf-?(?:7|16|32)|ucs-?[24]|iso-2022|hz)/i

/** Whether a response is HTML whose bytes may be changed (RFC 9111 §5.2.2.6). */
function isRewritable(res: ServerResponse): boolean {
  const text = (name: string): string => String(res.getHeader(name) ?? '')
  const charset = /;\s*charset="?([^\s";]+)/i.exec(text('Content-Type'))?.[1] ?? ''
  const isEncoded = !['', 'identity'].includes(text('Content-Encoding').toLowerCase())
  return (
    /^text\/html\b/i.test(text('Content-Type')) &&
    !NOT_ASCII.test(charset) &&
    !isEncoded &&
    res.statusCode !== 206 &&
    !/(?:^|,)\s*no-transform\s*(?:,|$)/i.test(text('Cache-Control'))
  )
}

/** The fields that a call of `writeHead` gives are set, so that all are where they are looked for. */
function setFields(res: ServerResponse, given: unknown): void {
  if (Array.isArray(given)) {
    const pairs = Array.isArray(given[0])
      ? given
      : given.flatMap((name, index) => (index % 2 === 0 ? [[name, given[index + 1]]] : []))
    // A name that is given takes the place of what was set; one that is given twice has both.
    for (const [name] of pairs) res.removeHeader(String(name))
    for (const [name, value] of pairs) res.appendHeader(String(name), value)
  } else if (typeof given === 'object' && given !== null)
    for (const [name, value] of Object.entries(given)) if (value !== undefined) res.setHeader(name, value)
}

const bytesOf = (chunk: unknown, encoding: unknown): Buffer =>
  typeof chunk === 'string'
    ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
    : Buffer.from(chunk as Uint8Array)

/**
 * Makes what makes the middleware. A page whose rewriting fails is passed on as it is from there.
 * @returns a function of what loads the maker of rewriters, one for each page
 */
export const createHtmlMiddleware =
  (logger: Logger) =>
  (begin: () => Promise<() => Rewriter>): RequestHandler =>
  (req, res, next) => {
    begin()
      .then((start) => {
        rewriteResponse(res, req.method === 'HEAD', start, logger)
        next()
      })
      .catch(next)
  }

function rewriteResponse(res: ServerResponse, isHead: boolean, start: () => Rewriter, logger: Logger): void {
  const [writeHead, write, end] = [res.writeHead, res.write, res.end].map((verb) => verb.bind(res)) as [
    (...given: unknown[]) => ServerResponse,
    (...given: unknown[]) => boolean,
    (...given: unknown[]) => ServerResponse,
  ]
  /** Undefined until the fields are sent, or something is written. */
  let rewriter: Rewriter | 'none' | undefined
  const decide = (): void => {
    if (rewriter !== undefined) return
    rewriter = !res.headersSent && isRewritable(res) ? start() : 'none'
    if (rewriter === 'none') return
    for (const name of OF_BYTES) res.removeHeader(name)
    // There is nothing to rewrite.
    if (isHead || [204, 304].includes(res.statusCode)) rewriter = 'none'
  }
  const rewritten = (make: (one: Rewriter) => string, otherwise: () => Buffer): Buffer => {
    if (rewriter === 'none' || rewriter === undefined) return otherwise()
    try {
      return Buffer.from(make(rewriter), 'latin1')
    } catch (error) {
      logger.error({ err: error }, 'artwork: a page could not be rewritten')
      const { end: left } = rewriter
      rewriter = 'none'
      // What it was given just now is among what it has.
      return Buffer.from(left(), 'latin1')
    }
  }
  res.writeHead = ((status: number, ...given: unknown[]) => {
    const reason = typeof given[0] === 'string' ? given[0] : undefined
    setFields(res, reason === undefined ? (given[0] ?? given[1]) : given[1])
    res.statusCode = status
    decide()
    return reason === undefined ? writeHead(status) : writeHead(status, reason)
  }) as ServerResponse['writeHead']
  res.write = ((chunk: unknown, ...given: unknown[]) => {
    decide()
    if (rewriter === 'none') return write(chunk, ...given)
    const done = given.find((one) => typeof one === 'function')
    const bytes = bytesOf(chunk, given[0])
    const ready = rewritten(
      (one) => one.write(bytes.toString('latin1')),
      () => bytes,
    )
    return done === undefined ? write(ready) : write(ready, done)
  }) as ServerResponse['write']
  res.end = ((...given: unknown[]) => {
    decide()
    if (rewriter === 'none') return end(...given)
    const done = given.find((one) => typeof one === 'function')
    const [chunk] = given
    const hasChunk = chunk !== undefined && chunk !== null && typeof chunk !== 'function'
    const bytes = hasChunk ? bytesOf(chunk, given[1]) : Buffer.alloc(0)
    const ready = rewritten(
      (one) => one.write(bytes.toString('latin1')) + one.end(),
      () => bytes,
    )
    return done === undefined ? end(ready) : end(ready, done)
  }) as ServerResponse['end']
}

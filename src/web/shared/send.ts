/** The last line of every answer: a Reply goes to the wire here, and from the table of hot answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestFields } from '../../http/conditional-and-range.js'
import type { HttpResponse } from '../../http/response.js'

const CONDITIONS = [
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'range',
  'want-repr-digest',
] as const

/** Whether the whole picture is asked for, unconditionally. */
export function isPlain({ headers }: IncomingMessage): boolean {
  for (const name of CONDITIONS) if (headers[name] !== undefined) return false
  return true
}

/** Whether only what is held is asked for (RFC 9111 §5.2.1.7). */
export const isOnlyIfCached = ({ headers }: IncomingMessage): boolean =>
  /(?:^|,)\s*only-if-cached\s*(?:,|$)/i.test(headers['cache-control'] ?? '')

/** What of a request an answer may depend on. */
export function requestFields(req: IncomingMessage): RequestFields {
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
    wantReprDigest: one(headers['want-repr-digest']),
  }
}

/** Whether somebody wants to know when the head is written. */
const isWrapped = (res: ServerResponse): boolean => Object.hasOwn(res, 'writeHead')

/** Writes a 200 whose fields were made beforehand, in both forms: not everybody behind a wrapped writeHead reads lists. */
export function writeOk(
  res: ServerResponse,
  fields: Readonly<Record<string, string>>,
  flat: readonly string[],
): void {
  withoutCookies(res)
  if (isWrapped(res)) res.writeHead(200, { ...fields })
  else res.writeHead(200, flat as string[])
}

/**
 * Keeps cookies out of an answer that shared caches may keep: they would be everybody's. Sessions add theirs at the very
 * moment that the head is written, behind whatever anybody else can do about it, so it is there that they are taken off.
 */
function withoutCookies(res: ServerResponse): void {
  res.removeHeader('Set-Cookie')
  const writer: { _storeHeader?: (...args: unknown[]) => unknown } = res as never
  const store = writer._storeHeader
  if (!isWrapped(res)) return
  if (store === undefined) {
    // HTTP/2: who sets one now has only the public way.
    const { setHeader, appendHeader } = res
    const isCookie = (name: string): boolean => name.toLowerCase() === 'set-cookie'
    res.setHeader = (name, value) => (isCookie(name) ? res : setHeader.call(res, name, value))
    if (appendHeader !== undefined)
      res.appendHeader = (name, value) => (isCookie(name) ? res : appendHeader.call(res, name, value))
    return
  }
  writer._storeHeader = (...args) => {
    res.removeHeader('Set-Cookie')
    return store.apply(res, args)
  }
}

/** Bodies up to this size, bytes, mostly fit into what the kernel holds for a client. */
const SMALL = 64 * 1024

/**
 * Writes a Reply. A HEAD gets the same fields and no body. A client that has not taken a large body by the end
 * of `sendTimeout`, ms, is cut off.
 */
export function send(
  req: IncomingMessage,
  res: ServerResponse,
  reply: HttpResponse,
  { sendTimeout = 0 }: { readonly sendTimeout?: number } = {},
): void {
  if (res.headersSent || res.destroyed) return
  const body = req.method === 'HEAD' ? undefined : reply.body
  if (reply.headers['Cache-Control']?.startsWith('public') === true) withoutCookies(res)
  res.writeHead(reply.status, { ...reply.headers })
  res.end(body)
  enforceSendTimeout(res, body?.length ?? 0, sendTimeout)
}

/** Cuts a client off that has not taken its answer in time: a large one, or one that the kernel did not take at once. */
export function enforceSendTimeout(res: ServerResponse, length: number, sendTimeout: number): void {
  const isTaken = length <= SMALL && !((res.socket?.writableLength ?? 0) > 0)
  if (isTaken || sendTimeout === 0) return
  const timer = setTimeout(() => res.destroy(), sendTimeout).unref()
  res.once('close', () => clearTimeout(timer))
}

/** Whether the client has gone. */
export const isGone = (res: ServerResponse): boolean => {
  // Answers of HTTP/2 say so by their stream alone.
  const { stream } = res as { readonly stream?: { readonly destroyed: boolean } }
  return res.destroyed || res.closed || stream?.destroyed === true
}

/** Whether others wait for an answer, and when they do not any more. */
interface Awaited {
  /** Nobody is to wait for it any more. */
  shut(): void
  isAwaited(): boolean
  onAbandoned(call: () => void): void
}

/** A signal that is aborted when the client has gone before its answer, and all who wait for the same. */
export function disconnectSignal(res: ServerResponse, others?: Awaited): AbortSignal {
  const controller = new AbortController()
  const abort = (): void => {
    others?.shut()
    controller.abort()
  }
  if (isGone(res)) abort()
  res.once('close', () => {
    if (res.writableFinished) return
    if (others?.isAwaited()) others.onAbandoned(abort)
    else abort()
  })
  return controller.signal
}

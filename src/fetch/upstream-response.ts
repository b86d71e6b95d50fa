/** What an upstream's response is: an image, "not modified", or a row of the table of failures. */
import { httpDate } from '../http/http-date.js'
import { ArtworkError } from '../model/failure.js'
import { isPlainText, type Kind, mayBeImage, mayBeSvg, sniff } from '../model/media-type.js'
import type { Exchanged } from './exchange.js'
import { type ResponseFreshness, readResponseFreshness } from './upstream-freshness.js'

/** An image that came, or the answer that the stored copy is still right. */
export type Fetched =
  | ({ readonly outcome: 'not-modified' } & ResponseFreshness)
  | ({ readonly outcome: 'image'; readonly bytes: Buffer; readonly kind: Kind } & ResponseFreshness)

/** A 203 is a 200 that a proxy has changed: the bytes are checked anyway (RFC 9110 §15.3.4). */
export const isComplete = (status: number): boolean => status === 200 || status === 203
/** Whether a response has an image's bytes, or some of them. */
export const hasContent = (status: number): boolean => isComplete(status) || status === 206

/** Reads the response to a request for an image. @throws ArtworkError for any other response */
export function readResponse(response: Exchanged, isConditional: boolean, now: number): Fetched {
  const { status, header, bytes } = response
  if (status === 304 && isConditional)
    return { outcome: 'not-modified', ...readResponseFreshness(header, Date.now()) }
  if (status === 206 && header('content-range') !== `bytes 0-${bytes.length - 1}/${bytes.length}`)
    throw new ArtworkError('bad_answer', 'the source sent a part of the image')
  if (!hasContent(status)) throw failureOf(response, now)
  if (!mayBeImage(header('content-type'))) throw new ArtworkError('no_image', 'the source sent no image')
  if (bytes.length === 0) throw new ArtworkError('bad_answer', 'the source sent nothing')
  const kind = kindOf(response)
  if (kind === undefined)
    throw new ArtworkError(
      isPlainText(bytes) ? 'no_image' : 'unsupported',
      'this is not an image of a known format',
    )
  return { outcome: 'image', bytes, kind, ...readResponseFreshness(header, Date.now()) }
}

/** The type of a body by its bytes; of an SVG, which has no magic ones, by what was declared too. */
function kindOf({ header, bytes }: Exchanged): Kind | undefined {
  const kind = sniff(bytes)
  return kind === 'svg' && !mayBeSvg(header('content-type')) ? undefined : kind
}

/** Whether a response that has content declares an image. */
export const declaresImage = ({ status, header }: Exchanged): boolean =>
  hasContent(status) && /^image\//i.test(header('content-type') ?? '')

/** Whether the first bytes of a response are an image's. */
export const beginsAsImage = (response: Exchanged): boolean =>
  hasContent(response.status) && mayBeImage(response.header('content-type')) && kindOf(response) !== undefined

/** The failure that a status stands for. */
export function failureOf({ status, header }: Exchanged, now: number): ArtworkError {
  const plain = { upstreamStatus: status }
  if (status === 404) return new ArtworkError('not_found', 'there is no such image', plain)
  if (status === 410) return new ArtworkError('gone', 'the image is gone', plain)
  const about = { ...plain, retryAfter: retryAfterSeconds(header('retry-after'), now) }
  if (status === 429) return new ArtworkError('throttled', 'the source asks for patience', about)
  if (status >= 500)
    return new ArtworkError('upstream_failed', 'the source failed', status === 503 ? about : plain)
  if (status >= 400)
    return new ArtworkError('upstream_denied', 'the source does not give this image out', plain)
  return new ArtworkError('bad_answer', 'the source gave an answer that makes no sense', plain)
}

/** Seconds of a Retry-After, as a number or a date (RFC 9110 §10.2.3), within 1–300; undefined for garbage. */
function retryAfterSeconds(text: string | null, now: number): number | undefined {
  if (text === null) return undefined
  const date = httpDate(text)
  const wait =
    date !== undefined ? (date - now) / 1000 : /^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined
  return wait === undefined ? undefined : Math.min(Math.max(Math.ceil(wait), 1), 300)
}

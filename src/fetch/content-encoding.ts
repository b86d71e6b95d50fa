/** Content codings, which a server may apply though none was asked for (RFC 9110 §8.4.1). */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, type ZlibOptions } from 'node:zlib'
import { ArtworkError, codeOf } from '../model/failure.js'

/** More codings than this, one over the other, are no honest encoding. */
const MAX_CODINGS = 3
type Decode = (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>
const inflated = promisify<Buffer, ZlibOptions, Buffer>(inflate)
const rawInflated = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw)
const gunzipped = promisify<Buffer, ZlibOptions, Buffer>(gunzip)
const isOverBound = (error: unknown): boolean => codeOf(error) === 'ERR_BUFFER_TOO_LARGE'
const DECODERS = new Map<string, Decode>([
  ['gzip', gunzipped],
  ['x-gzip', gunzipped],
  ['br', promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress as never)],
  // Some servers send it without its frame.
  [
    'deflate',
    (bytes, options) =>
      inflated(bytes, options).catch((error) => {
        if (isOverBound(error)) throw error
        return rawInflated(bytes, options)
      }),
  ],
])

/** The error for a body over its bound. */
export const tooLarge = (): ArtworkError => new ArtworkError('too_large', 'the image has too many bytes')
const undecodable = (cause?: unknown): ArtworkError =>
  new ArtworkError('bad_answer', 'the source sent a body that cannot be decoded', { cause })

/**
 * A body without its codings. Unknown names are ignored, as empty members of the list are (RFC 9110 §5.6.1): the magic
 * bytes decide then. @throws ArtworkError `too_large`, `bad_answer`
 */
export async function decodeContent(
  body: Buffer,
  encoding: string | null,
  maxBytes: number,
): Promise<Buffer> {
  const decoders = (encoding ?? '')
    .split(',')
    .flatMap((name) => DECODERS.get(name.trim().toLowerCase()) ?? [])
  if (decoders.length > MAX_CODINGS) throw undecodable()
  let bytes = body
  for (const decode of decoders.reverse()) {
    if (bytes.length === 0) continue
    try {
      bytes = await decode(bytes, { maxOutputLength: maxBytes })
    } catch (error) {
      throw isOverBound(error) ? tooLarge() : undecodable(error)
    }
  }
  return bytes
}

/** Bytes that somebody hands over: what they are, before anything is done with them. */
import { ArtworkError } from '../model/failure.js'
import { sniff, typeOf } from '../model/media-type.js'
import type { Inspected } from '../transform/transformer.js'
import type { Context } from './context.js'

/**
 * Type and sides of an image that is given, sides in pixels.
 * @throws ArtworkError `too_large` (413), `unsupported` (415), `invalid_image` (422)
 */
export async function examine(
  { settings, transformer }: Pick<Context, 'settings' | 'transformer'>,
  bytes: Buffer,
): Promise<Inspected & { readonly type: string }> {
  if (bytes.length > settings.fetch.maxBytes)
    throw new ArtworkError('too_large', 'the image has too many bytes')
  const kind = sniff(bytes)
  if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
  return { type: typeOf(kind), ...(await transformer.inspect(bytes, kind)) }
}

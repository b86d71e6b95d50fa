/** What is done to the bytes of an upload or a fetched image: checked, fitted into a box and encoded anew, or left alone. */
import type { Limiter } from '../concurrency.js'
import type { Traits } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { type Format, isFormat, sniff } from '../model/media-type.js'
import { wouldStop } from '../model/output.js'
import { completeRecipe, type Recipe, recipeText } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Namespace } from '../sources/uploads.js'
import type { Transformer } from '../transform/transformer.js'

/** What processing works with. */
export interface ProcessParts {
  readonly settings: Settings['transform']
  readonly transformer: Pick<Transformer, 'inspect' | 'transform'>
  /** Bounds how many images are processed at once. */
  readonly limit: Limiter
}

/** An image as it is stored. */
export interface Processed {
  readonly bytes: Buffer
  readonly format: Format
  readonly width: number
  readonly height: number
  /** Unknown of what moves and was encoded anew. */
  readonly traits?: Traits
}

const fitInto = (box: number): Recipe => ({ width: box, height: box, fit: 'inside', enlarge: false })

/** What the bytes are. @throws ArtworkError `unsupported` (415) */
export function formatOf(bytes: Uint8Array, allowed: readonly Format[]): Format {
  const kind = sniff(bytes)
  if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
  if (!isFormat(kind) || !allowed.includes(kind))
    throw new ArtworkError('unsupported', 'this image format is not allowed')
  return kind
}

/**
 * What is done to an upload, as its id is made of it: the text is the one that uploads have always had, so that the same
 * bytes keep their id.
 */
export const processingText = (namespace: Namespace, box: number, settings: Settings['transform']): string =>
  namespace.keepOriginal
    ? '1:as it is'
    : recipeText(fitInto(box), { kind: 'jpeg', isRevised: false }, settings)

/** Fits an image into a box and encodes it anew. */
export const fitAndEncode = (
  { settings, transformer, limit }: ProcessParts,
  bytes: Buffer,
  format: Format,
  box: number,
  signal?: AbortSignal,
) =>
  limit.run(() =>
    transformer.transform(bytes, format, completeRecipe(fitInto(box), format, settings), { signal }),
  )

/** What an upload becomes by the rules of its namespace. An animation that would stop is left as it came. */
export const processUpload = (
  { settings, transformer, limit }: ProcessParts,
  namespace: Namespace,
  bytes: Buffer,
  format: Format,
  box: number,
): Promise<Processed> =>
  limit.run(async () => {
    const { width, height, traits } = await transformer.inspect(bytes, format)
    if (namespace.keepOriginal || wouldStop(format, traits)) return { bytes, format, width, height, traits }
    const made = await transformer.transform(bytes, format, completeRecipe(fitInto(box), format, settings))
    return traits.frames > 1 ? made : { ...made, traits: traitsAfter(traits, format) }
  })

/** The traits of a still picture after it was encoded anew in its own format. */
const traitsAfter = ({ alpha, preview }: Traits, format: Format): Traits => ({
  frames: 1,
  alpha: format !== 'jpeg' && alpha,
  lossless: format === 'png' || format === 'gif',
  isRevised: false,
  ...(preview && { preview }),
})

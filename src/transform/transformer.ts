/** The port of the transformer: bytes in, bytes out, nothing known of names, stores or the network. */
import type { Format, Kind } from '../model/media-type.js'
import type { Recipe } from '../model/variant.js'

/** What decoding told of an image. Sides in pixels as it is seen (orientation applied). */
export interface Inspected {
  readonly width: number
  readonly height: number
  readonly frames: number
}

/** A picture that was made. */
export interface Made {
  readonly bytes: Buffer
  readonly format: Format
  readonly width: number
  readonly height: number
}

/** What may be decoded. */
export interface DecodeLimits {
  /** Pixels of one frame, and of all frames that are kept moving together. */
  readonly maxPixels: number
  readonly maxFrames: number
  readonly formats: readonly Format[]
}

/** Two verbs and an end. */
export interface Transformer {
  /**
   * Decodes the image to its end, so that a damaged one is found before it is kept. SVG is not decoded.
   * @throws ArtworkError `unsupported`, `too_large`, `invalid_image`, `processing`, `decode_timeout`, `unavailable`
   */
  inspect(bytes: Buffer, kind: Kind): Promise<Inspected>
  /** Makes a rendition. @throws the same */
  transform(bytes: Buffer, kind: Kind, recipe: Recipe): Promise<Made>
  close(): Promise<void>
}

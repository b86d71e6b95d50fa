/** The port of the transformer: bytes in, bytes out, nothing known of names, stores or the network. */
import type { Traits } from '../model/entry.js'
import type { Format, Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'

/** What decoding told of an image. Sides in pixels as it is seen (orientation applied). */
export interface Inspected {
  readonly width: number
  readonly height: number
  readonly traits: Traits
}

/** Of an SVG nothing is known: it is not decoded. */
export const SVG_INSPECTED: Inspected = {
  width: 0,
  height: 0,
  traits: { frames: 1, alpha: true, lossless: true, isRevised: false },
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
  /** Pixels of an AVIF, read or made: it costs many times what other formats do. */
  readonly maxAvifPixels: number
  /** Frames of a rendition that moves. */
  readonly maxFrames: number
  readonly formats: readonly Format[]
}

/** What an asker says of a job. */
export interface JobOptions {
  /** A job that waits is not begun once this is aborted. */
  readonly signal?: AbortSignal | undefined
  /** Nobody waits for it: it is done after all that somebody waits for. */
  readonly isBackground?: boolean | undefined
  /** One at a time of such jobs. */
  readonly isAlone?: boolean | undefined
  /** Who asked, and where the picture comes from: these take turns. */
  readonly client?: string | undefined
  readonly host?: string | undefined
}

/** Jobs at the moment. */
export interface Load {
  readonly running: number
  readonly waiting: number
}

/** Two verbs, a look at what is going on, and an end. */
export interface Transformer {
  /**
   * Decodes the image to its end, so that a damaged one is found before it is kept. SVG is not decoded.
   * @throws ArtworkError `unsupported`, `too_large`, `invalid_image`, `processing`, `decode_timeout`, `unavailable`
   */
  inspect(bytes: Buffer, kind: Kind, about?: JobOptions): Promise<Inspected>
  /** Makes a rendition. @throws the same */
  transform(bytes: Buffer, kind: Kind, recipe: FullRecipe, about?: JobOptions): Promise<Made>
  load(): Load
  /** Why nothing can be decoded, where that is known; undefined where all is well. */
  trouble(): string | undefined
  close(): Promise<void>
}

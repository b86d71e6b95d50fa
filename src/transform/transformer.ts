/** The port of the transformer: bytes in, bytes out. */
import type { Traits } from '../model/entry.js'
import type { ArtworkError } from '../model/failure.js'
import type { Format, Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'

/** Facts of a decoded image. Sides in pixels, orientation applied. */
export interface Inspected {
  readonly width: number
  readonly height: number
  readonly traits: Traits
}

/** The facts of an SVG, which is not decoded. */
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

/**
 * The first look at an image: its facts, and what a recipe makes of it, or why that cannot be made. Nothing is made of what
 * moves: it may be answered as it is, and takes long.
 */
export interface Looked {
  readonly inspected: Inspected
  readonly made: Made | ArtworkError | undefined
}

/** What may be decoded. */
export interface DecodeLimits {
  /** Pixels of one frame, and of all frames of an animation together. */
  readonly maxPixels: number
  /** Pixels of an AVIF, read or made: it costs many times what other formats do. */
  readonly maxAvifPixels: number
  /** Frames of an animated rendition. */
  readonly maxFrames: number
  readonly formats: readonly Format[]
}

/** How a job is queued. */
export interface JobOptions {
  /** A job that waits is not begun once this is aborted. */
  readonly signal?: AbortSignal | undefined
  /** No request waits for it: it runs after those that one waits for. */
  readonly isBackground?: boolean | undefined
  /** One at a time of such jobs. */
  readonly isAlone?: boolean | undefined
  /** The client, and the host that the picture comes from: these take turns. */
  readonly client?: string | undefined
  readonly host?: string | undefined
  /** The digest of the bytes: jobs of the same ones, in the same size, are decoded once where they wait together. */
  readonly digest?: string | undefined
}

/** Jobs at the moment. */
export interface Load {
  readonly running: number
  readonly waiting: number
}

/** See the top of the file. */
export interface Transformer {
  /**
   * Decodes the image to its end, so that a damaged one is found before it is stored. SVG is not decoded.
   * @throws ArtworkError `unsupported`, `too_large`, `invalid_image`, `processing`, `decode_timeout`, `unavailable`
   */
  inspect(bytes: Buffer, kind: Kind, about?: JobOptions): Promise<Inspected>
  /** Makes a rendition. @throws the same */
  transform(bytes: Buffer, kind: Kind, recipe: FullRecipe, about?: JobOptions): Promise<Made>
  /**
   * Both in one job, in one decode where the recipe reads all of the image. SVG cannot be looked at.
   * @throws what `inspect` throws
   */
  look(bytes: Buffer, kind: Kind, recipe: FullRecipe, about?: JobOptions): Promise<Looked>
  load(): Load
  /** Why nothing can be decoded, where that is known; undefined where it can. */
  trouble(): string | undefined
  close(): Promise<void>
}

/** Where an original lives, as a source words it and the fetcher gets it. Plain data but for `admits`. */

/** Where an original is fetched, and what must hold on every hop on the way. */
export interface FetchRequest {
  /** Absolute http or https URL. */
  readonly url: string
  /** Name of the pool of proxies that it goes through, `'*'` for any of them; undefined: it goes directly. */
  readonly pool?: string | undefined
  /** Most bytes of the answer, where that is less than the fetcher's own bound. */
  readonly maxBytes?: number
  /** The sides of what usually comes, pixels: those of the picture that stands for it where there is no network. */
  readonly usualSize?:
    | {
        /** Pixels. */
        readonly width: number
        /** Pixels. */
        readonly height: number
      }
    | undefined
  /** Whether an answer that is a failure says that there is no such image. */
  readonly isMissing?: ((status: number, text: string) => boolean) | undefined
  /**
   * Fixed request headers for the hosts of this source; never a client's. They hold secrets: asked for URLs of the
   * request's own origin only.
   * @param isPrivate whether the app has excepted the URL's host and port from the rules for private addresses
   */
  readonly headersFor?: ((url: URL, isPrivate: boolean) => Readonly<Record<string, string>>) | undefined
  /** Whether the source allows this URL; asked for the first hop and for each redirect. */
  readonly admits: (url: URL) => boolean
}

/** A file of this machine. */
export interface FileLocation {
  /** The folder that it must lie in, an absolute path. */
  readonly root: string
  /** Its path below that, name by name. */
  readonly segments: readonly string[]
}

/** Where an original lives: at a URL, or in a file. */
export type Location = FetchRequest | FileLocation

/** Whether it is a file of this machine. */
export const isFile = (location: Location): location is FileLocation => 'segments' in location

/** What is known of the copy already held, for a conditional request (RFC 9110 §13.1). */
export interface Validators {
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
}

/**
 * The other sizes of an entity's image: its artwork path with a width before the extension, `albums/ab/abc123.w320.webp`.
 * An id holds no dot, so that no entity's own path reads like one. The extension is the format, whatever the entity's own is.
 */
import { digestOf } from './digest.js'
import { extensionOf, type Format, formatOfExtension } from './media-type.js'

/** A size that a path names. */
export interface SizedPath {
  /** The artwork path without its extension. */
  readonly stem: string
  /** Pixels. */
  readonly width: number
  readonly format: Format
}

const SIZED = /^(.+)\.w([1-9][0-9]{0,4})\.([a-z]+)$/

/** An artwork path without its extension. */
export const stemOf = (path: string): string => path.slice(0, path.lastIndexOf('.'))

/**
 * The digest whose beginning is the `?v=` of a size: its original's, and where it is cut to a shape, with that shape.
 * @param cut sides of the box that it is cut to, `320x180`; undefined where nothing is cut off
 */
export const sizeVersion = (original: string, cut: string | undefined): string =>
  cut === undefined ? original : digestOf(Buffer.from(`${original} ${cut}`))

/** The same of a picture below `/images`: with what stays in sight, where its recipe names that. */
export const pictureVersion = (original: string, position: string | undefined): string =>
  sizeVersion(original, position === undefined ? undefined : `@${position}`)

/** Reads the path of a size; undefined for any other. One size has one path: `jpeg` is written `jpg`. */
export function readSizedPath(path: string): SizedPath | undefined {
  const [, stem, width, extension = ''] = SIZED.exec(path) ?? []
  const format = formatOfExtension(extension)
  if (stem === undefined || format === undefined || extensionOf(format) !== extension) return undefined
  return { stem, width: Number(width), format }
}

/** The path of a size: the inverse of {@link readSizedPath}. */
export const sizedPath = (stem: string, width: number, format: Format): string =>
  `${stem}.w${width}.${extensionOf(format)}`

/** The build of sharp that is installed: whether it loads, and what it can read and write. */
import type { Format } from '../model/media-type.js'

/** See the top of the file. */
export interface SharpBuild {
  readonly version: string
  /** Of libvips. */
  readonly vips: string
  /** Whether it reads and writes a format. */
  has(format: Format): boolean
  /** A tiny picture. */
  sample(format: Format): Promise<Buffer>
}

const SIDE = 8

/** Loads sharp. @throws Error that says why it does not load */
export async function loadSharp(): Promise<SharpBuild> {
  const { default: sharp } = await import('sharp')
  return {
    version: sharp.versions.sharp ?? 'of an unknown version',
    vips: sharp.versions.vips,
    has: (format) => {
      const { input, output } = sharp.format[format === 'avif' ? 'heif' : format]
      const named = [...(input.fileSuffix ?? []), ...(output.alias ?? [])]
      // A build of libheif without AV1 reads other files of that family alone.
      return (
        input.buffer && output.buffer && (format !== 'avif' || named.some((name) => name.endsWith('avif')))
      )
    },
    sample: (format) =>
      sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: 'teal' } })
        .toFormat(format)
        .toBuffer(),
  }
}

/** What the benches share: a toolkit with one picture in it, and medians. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artwork, type ArtworkOptions, createArtwork, tmdb } from 'express-artwork'
import sharp, { type Sharp } from 'sharp'
import { grain } from '../support/images.js'

/** A toolkit in a temporary folder; `end` takes both away. */
export async function benchArtwork(
  options: ArtworkOptions = {},
): Promise<{ artwork: Artwork; end: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  const artwork = await createArtwork({ directory, sources: [tmdb()], ...options })
  const end = async () => {
    await artwork.close()
    await rm(directory, { recursive: true, force: true })
  }
  return { artwork, end }
}

/** Where {@link webp16k} is shown by the benches. */
export const PICTURE_PATH = '/images/poster/w342/abc.webp'

/** A picture with some noise in it, the same each time, as raw pixels: 200 by 300. */
export function noisy(): Sharp {
  const [width, height] = [200, 300]
  return sharp(grain(width, height), { raw: { width, height, channels: 3 } })
}

/** A WebP of about 16 KB. */
export const webp16k = (): Promise<Buffer> => noisy().webp({ quality: 75 }).toBuffer()

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** A server on a port of loopback, and its end. */
export const listening = (handler: RequestListener): Promise<{ port: number; close: () => void }> =>
  new Promise((resolve) => {
    const server = createServer(handler).listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve({
        port: typeof address === 'object' ? (address?.port ?? 0) : 0,
        close: () => {
          server.closeAllConnections()
          server.close()
        },
      })
    })
  })

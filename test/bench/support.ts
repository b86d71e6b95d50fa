/** What the benches share: a toolkit with one picture in it, and medians. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artwork, createArtwork, tmdb } from 'express-artwork'
import sharp from 'sharp'

/** A toolkit in a temporary folder; `end` takes both away. */
export async function benchArtwork(): Promise<{ artwork: Artwork; end: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  const artwork = await createArtwork({ directory, sources: [tmdb()] })
  const end = async () => {
    await artwork.close()
    await rm(directory, { recursive: true, force: true })
  }
  return { artwork, end }
}

/** A WebP of about 16 KB. */
export async function webp16k(): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 25 }
  return sharp({ create: { width: 200, height: 300, channels: 3, background: '#000', noise } })
    .webp({ quality: 75 })
    .toBuffer()
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

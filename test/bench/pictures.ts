/** The pictures that the bench of quality encodes: made by code, the same each time. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { die } from '../../example-app/stage/pictures/draw.js'
import { DRAWINGS } from './pictures/drawings.js'
import { PHOTOS } from './pictures/photos.js'

/** How a picture came to be: painted with light and grain, drawn as shapes, or a file of the caller's. */
export type Kind = 'photo' | 'drawing' | 'file'

/** A picture of about 1280 pixels in width. */
export interface Picture {
  readonly name: string
  readonly kind: Kind
  readonly paint: () => Promise<Sharp>
}

const SOURCE_WIDTH = 1280

const photos: readonly Picture[] = Object.entries(PHOTOS).map(([name, photo], index) => ({
  name,
  kind: 'photo',
  paint: async () => {
    const { data, width, height } = photo(die(100 + index))
    return sharp(data, { raw: { width, height, channels: 3 } })
  },
}))

const drawings: readonly Picture[] = Object.entries(DRAWINGS).map(([name, drawing], index) => ({
  name,
  kind: 'drawing',
  paint: async () => {
    const drawn = sharp(Buffer.from(drawing(die(500 + index)))).resize({ width: SOURCE_WIDTH })
    return sharp(await drawn.flatten({ background: '#ffffff' }).png({ compressionLevel: 0 }).toBuffer())
  },
}))

/** Every made picture. */
export const MADE_PICTURES: readonly Picture[] = [...photos, ...drawings]

/** The pictures of a folder, to see whether the figures of the made ones hold for others. */
export async function picturesIn(folder: string): Promise<readonly Picture[]> {
  const names = (await readdir(folder)).filter((name) => /\.(jpe?g|png|webp)$/i.test(name)).sort()
  return names.map((name) => ({
    name,
    kind: 'file',
    paint: async () =>
      sharp(join(folder, name)).rotate().flatten({ background: '#ffffff' }).toColourspace('srgb'),
  }))
}

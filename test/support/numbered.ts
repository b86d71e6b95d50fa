/** Pictures by number: each of a colour of its own, so that an answer says which one it is. */
import sharp from 'sharp'
import { expect } from 'vitest'

/** The colour of a picture: no two that are near are alike. */
const colourOf = (number: number) => ({
  r: (number * 37) % 256,
  g: (number * 101) % 256,
  b: (number * 173) % 256,
})

/** A JPEG. The same colour may come again, the same file not. */
export const numberedPicture = (number: number): Promise<Buffer> =>
  sharp({ create: { width: 400, height: 300, channels: 3, background: colourOf(number) } })
    .withExif({ IFD0: { ImageDescription: String(number) } })
    .jpeg({ quality: 90 })
    .toBuffer()

/** That bytes are the picture of a number, in whatever size and format. */
export async function expectNumbered(bytes: Buffer, number: number): Promise<void> {
  const { channels } = await sharp(bytes).stats()
  const { r, g, b } = colourOf(number)
  const off = [r, g, b].map((value, index) => Math.abs((channels[index]?.mean ?? 999) - value))
  expect([number, Math.max(...off) < 8]).toEqual([number, true])
}

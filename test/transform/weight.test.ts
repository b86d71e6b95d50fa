/** Which jobs leave a decoder to the others: by format, effort and pixels of what is made, and by the size of the source. */
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import type { Format, Kind } from '#src/model/media-type.js'
import type { FullRecipe } from '#src/model/variant.js'
import { isHeavyJob } from '#src/transform/weight.js'

const picture = (width: number, height: number, format: 'jpeg' | 'png' | 'webp' | 'gif'): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#369' } })
    .toFormat(format)
    .toBuffer()
const recipe = (format: Format, width: number, effort = 3): FullRecipe => ({
  ...{ width, format, effort },
  fit: 'inside',
  enlarge: false,
  quality: 80,
})

describe('weight of a job', () => {
  test.each([
    ['webp', 320, 4, false],
    ['webp', 1920, 4, false],
    ['webp', 1920, 6, true],
    ['avif', 120, 3, false],
    ['avif', 320, 3, true],
    ['avif', 320, 0, false],
    ['gif', 320, 7, false],
    ['gif', 1200, 7, true],
    ['jpeg', 2000, 3, false],
  ] as const)('%s, %i pixels wide, effort %i', async (format, width, effort, isHeavy) => {
    for (const kind of ['jpeg', 'png', 'webp', 'gif'] as const)
      expect([
        kind,
        isHeavyJob(await picture(2000, 1500, kind), kind, recipe(format, width, effort)),
      ]).toEqual([kind, isHeavy])
  })
  test('what is to be made is reckoned by its own size, not by the box that was asked for', async () => {
    expect(isHeavyJob(await picture(100, 75, 'jpeg'), 'jpeg', recipe('avif', 1920))).toBe(false)
    expect(isHeavyJob(await picture(2000, 1500, 'jpeg'), 'jpeg', recipe('avif', 1920))).toBe(true)
  })
  test('a large source is heavy whatever is made of it, and one without a size where it should be', async () => {
    expect(isHeavyJob(await picture(3000, 2500, 'png'), 'png', recipe('webp', 64))).toBe(true)
    expect(isHeavyJob(Buffer.alloc(64), 'jpeg' satisfies Kind, undefined)).toBe(true)
    expect(isHeavyJob(await picture(600, 400, 'jpeg'), 'jpeg', undefined)).toBe(false)
  })
})

/** Colours come out as they were meant, by whatever they are said: expected values by the published rules. */
import { afterAll, describe, expect, test } from 'vitest'
import {
  COLOUR_SOURCES,
  type ColourSource,
  farthest,
  HDR_SOURCES,
  PATCHES,
  patchesOf,
  type Rgb,
} from '../support/colours.js'
import { createRenderer } from '../support/toolkit.js'

const { render, close } = await createRenderer()
afterAll(close)
const make = async (source: ColourSource, format: 'png' | 'webp' | 'jpeg', width?: number) => {
  const variant = width === undefined ? `original-${format}` : `w${width}-${format}`
  return patchesOf((await render(await source.bytes(), variant)).bytes)
}
/** Levels that an output may be off: it is lossy, or rounds twice. */
const SLACK = { png: 3, webp: 6, jpeg: 6 } as const
const shown = (seen: readonly Rgb[], wanted: readonly Rgb[]) => `${seen.join(' ')} is not ${wanted.join(' ')}`

describe('colours by ICC, PNG chunks and code points (pictures 1 and 2)', () => {
  for (const format of ['png', 'webp', 'jpeg'] as const)
    test.each(COLOUR_SOURCES.map((source) => [source.name, source] as const))(
      `%s as ${format.toUpperCase()}`,
      async (_name, source) => {
        const seen = await make(source, format)
        const { wanted, slack = 0 } = source
        expect(farthest(seen, wanted), shown(seen, wanted)).toBeLessThanOrEqual(SLACK[format] + slack)
      },
    )
  test.each(COLOUR_SOURCES.map((source) => [source.name, source] as const))(
    '%s made smaller',
    async (_name, source) => {
      const seen = await make(source, 'png', PATCHES.length * 10)
      const { wanted, slack = 0 } = source
      expect(farthest(seen, wanted), shown(seen, wanted)).toBeLessThanOrEqual(SLACK.png + slack)
    },
  )
  test.each(HDR_SOURCES.map((source) => [source.name, source] as const))(
    '%s, with 203 cd/m² as white',
    async (_name, source) => {
      const seen = await make(source, 'png')
      expect(farthest(seen, source.wanted), shown(seen, source.wanted)).toBeLessThanOrEqual(12)
    },
  )
  test('the table has cells enough', () => expect(COLOUR_SOURCES.length * 3).toBeGreaterThan(60))
})

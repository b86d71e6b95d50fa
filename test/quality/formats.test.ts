/** The default qualities look alike, by a perceptual metric: pictures as the toolkit makes them, scored by libjxl's tools. */
import type { Sharp } from 'sharp'
import { beforeAll, expect, test } from 'vitest'
import { DEFAULT_EFFORT, DEFAULT_QUALITY } from '#src/model/encoding.js'
import { MADE_PICTURES } from '../bench/pictures.js'
import { mean, measure } from '../bench/quality-measure.js'
import { needScoringTools } from '../bench/scores.js'

beforeAll(needScoringTools)

test('an AVIF is at least ten per cent smaller than the WebP, and loses no more (pictures 10)', async () => {
  expect(MADE_PICTURES.length).toBeGreaterThanOrEqual(30)
  const settings = {
    webp: (image: Sharp) => image.webp({ quality: DEFAULT_QUALITY.webp, effort: DEFAULT_EFFORT.webp }),
    avif: (image: Sharp) => image.avif({ quality: DEFAULT_QUALITY.avif, effort: DEFAULT_EFFORT.avif }),
  }
  const results = await measure({
    pictures: MADE_PICTURES,
    widths: [480],
    settings: Object.entries(settings).map(([name, encode]) => ({ name, encode })),
    times: 1,
  })
  const of = (name: string) => results.filter(({ setting }) => setting === name)
  const [webp, avif] = [of('webp'), of('avif')]
  const ratios = avif.map(({ bytes }, index) => bytes / (webp[index]?.bytes ?? 1))
  expect(mean(ratios)).toBeLessThanOrEqual(0.9)
  expect(mean(avif.map(({ ssimulacra }) => ssimulacra))).toBeLessThanOrEqual(
    mean(webp.map(({ ssimulacra }) => ssimulacra)),
  )
})

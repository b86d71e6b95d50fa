/**
 * Bytes, processor time and loss of each format at the toolkit's defaults, as the table of the docs.
 * `QUALITY_PICTURES=FOLDER` takes the pictures of a folder in place of the made ones; `QUALITY_SWEEP=FILE.json` measures
 * every choice that the defaults were made from, which takes a quarter of an hour.
 */
import type { Sharp } from 'sharp'
import { DEFAULT_EFFORT, DEFAULT_QUALITY, type LossyFormat } from '#src/model/encoding.js'
import { MADE_PICTURES, picturesIn } from './pictures.js'
import { type Measured, mean, measure, NEXT, type Setting, sum, worstQuarter } from './quality-measure.js'
import { sweep } from './quality-sweep.js'
import { needScoringTools } from './scores.js'
import { median } from './support.js'

const WIDTHS = [320, 640, 960]
const FORMATS: readonly LossyFormat[] = ['jpeg', 'webp', 'avif']

/** A picture in a format as the toolkit encodes it when nobody says otherwise. */
function encodeDefault(format: LossyFormat, image: Sharp): Sharp {
  const quality = DEFAULT_QUALITY[format]
  switch (format) {
    case 'jpeg':
      return image.jpeg({ quality, progressive: true })
    case 'webp':
      return image.webp({ quality, effort: DEFAULT_EFFORT.webp })
    case 'avif':
      return image.avif({ quality, effort: DEFAULT_EFFORT.avif })
  }
}

const SETTINGS: readonly Setting[] = [
  ...FORMATS.map((format) => ({ name: format, encode: (image: Sharp) => encodeDefault(format, image) })),
  NEXT,
]

/** Prints the table. */
export async function benchQuality(): Promise<void> {
  await needScoringTools()
  const folder = process.env.QUALITY_PICTURES
  const pictures = folder === undefined ? MADE_PICTURES : await picturesIn(folder)
  const sweepFile = process.env.QUALITY_SWEEP
  if (sweepFile !== undefined) return sweep(pictures, sweepFile)
  const results = await measure({ pictures, widths: WIDTHS, settings: SETTINGS, times: 1 })
  console.log(`quality: ${pictures.length} pictures, the loss by libjxl's metrics (0 is none)`)
  console.log('| width | format | bytes | beside WebP | SSIMULACRA | worst quarter | Butteraugli | CPU |')
  console.log('| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const width of WIDTHS) {
    const at = (name: string) => results.filter((one) => one.width === width && one.setting === name)
    for (const { name } of SETTINGS)
      if (at(name).length > 0) console.log(row(width, name, at(name), at('webp')))
  }
}

function row(width: number, name: string, ours: readonly Measured[], webp: readonly Measured[]): string {
  const bytes = mean(ours.map((one) => one.bytes))
  const ratio = sum(ours.map((one) => one.bytes)) / sum(webp.map((one) => one.bytes))
  const losses = ours.map((one) => one.ssimulacra)
  const cells = [
    String(width),
    label(name),
    `${(bytes / 1000).toFixed(1)} kB`,
    `${ratio < 1 ? '−' : '+'}${Math.abs((ratio - 1) * 100).toFixed(0)} %`,
    mean(losses).toFixed(4),
    worstQuarter(losses).toFixed(4),
    mean(ours.map((one) => one.butteraugli)).toFixed(2),
    `${median(ours.map((one) => one.cpu)).toFixed(0)} ms`,
  ]
  return `| ${cells.join(' | ')} |`
}

function label(name: string): string {
  const format = FORMATS.find((one) => one === name)
  if (format === undefined) return name
  const effort = format === 'jpeg' ? '' : `, effort ${DEFAULT_EFFORT[format]}`
  return `${format} ${DEFAULT_QUALITY[format]}${effort}`
}

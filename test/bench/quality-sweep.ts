/** Which quality and effort each format should have by default: every choice against WebP 85. */
import { writeFile } from 'node:fs/promises'
import type { Picture } from './pictures.js'
import { type Measured, mean, measure, NEXT, type Setting, sum, worstQuarter } from './quality-measure.js'
import { median } from './support.js'

const QUALITIES = [50, 53, 56, 60, 63, 67, 70, 75]
/** Of the effort that takes five times as long, a few. */
const SLOW_QUALITIES = [60, 67, 75]
const EFFORTS = [2, 3, 4]
const CHROMAS = ['4:4:4', '4:2:0']
const JPEG_QUALITIES = [78, 80, 82, 85, 88, 90]
const METRICS = ['ssimulacra', 'butteraugli', 'ssimulacra2'] as const
type Metric = (typeof METRICS)[number]

const qualitiesOf = (effort: number) => (effort > 3 ? SLOW_QUALITIES : QUALITIES)

/** What all else is compared with. */
const WEBP = 'webp 85 effort 4'

const avif = (quality: number, effort: number, chromaSubsampling: string): Setting => ({
  name: `avif ${quality} effort ${effort} ${chromaSubsampling}`,
  encode: (image) => image.avif({ quality, effort, chromaSubsampling }),
})

const SETTINGS: readonly Setting[] = [
  ...[4, 3, 2].map((effort) => ({
    name: `webp 85 effort ${effort}`,
    encode: (image: Parameters<Setting['encode']>[0]) => image.webp({ quality: 85, effort }),
  })),
  NEXT,
  ...JPEG_QUALITIES.map((quality) => ({
    name: `jpeg ${quality}`,
    encode: (image: Parameters<Setting['encode']>[0]) => image.jpeg({ quality, progressive: true }),
  })),
  ...EFFORTS.flatMap((effort) =>
    CHROMAS.flatMap((chroma) => qualitiesOf(effort).map((quality) => avif(quality, effort, chroma))),
  ),
]

/** Measures every setting, writes the results to a file and prints the tables. */
export async function sweep(pictures: readonly Picture[], file: string): Promise<void> {
  const results = await measure({ pictures, widths: [640], settings: SETTINGS, times: 1 })
  await writeFile(file, JSON.stringify(results))
  report(results)
}

/** The tables of a sweep: for all pictures, and of each kind. */
export function report(results: readonly Measured[]): void {
  for (const kind of new Set(['all', ...results.map((one) => one.kind)])) {
    const groups = bySetting(results.filter((one) => kind === 'all' || one.kind === kind))
    console.log(`\nquality: ${groups.get(WEBP)?.length} pictures (${kind})`)
    settingsTable(groups)
    for (const metric of METRICS)
      for (const effort of EFFORTS) for (const chroma of CHROMAS) equalLine(groups, metric, effort, chroma)
  }
}

type Groups = ReadonlyMap<string, readonly Measured[]>

/** Results of one setting, in the order of the pictures. */
function bySetting(results: readonly Measured[]): Groups {
  const groups = new Map<string, Measured[]>()
  for (const one of results) groups.set(one.setting, [...(groups.get(one.setting) ?? []), one])
  return groups
}

/** Bytes as a share of WebP 85's, losses, and time as a share of next/image's AVIF: of all, and of the usual picture. */
function settingsTable(groups: Groups): void {
  const [base, next] = [groups.get(WEBP) ?? [], groups.get(NEXT.name) ?? []]
  const share = (ours: readonly Measured[], theirs: readonly Measured[], field: 'bytes' | 'cpu') => {
    const ratios = ours.map((one, index) => one[field] / (theirs[index]?.[field] ?? Number.NaN))
    const total = sum(ours.map((one) => one[field])) / sum(theirs.map((one) => one[field]))
    return `${total.toFixed(3)} ${median(ratios).toFixed(3)}`
  }
  console.log(
    'setting'.padEnd(24),
    'bytes: all, usual | time: all, usual | loss: mean, worst quarter, by each metric',
  )
  for (const [name, group] of groups) {
    const losses = METRICS.map((metric) => {
      const values = lossesOf(group, metric)
      return `${mean(values).toPrecision(4)} ${worstQuarter(values).toPrecision(4)}`
    })
    console.log(
      name.padEnd(24),
      [share(group, base, 'bytes'), share(group, next, 'cpu'), ...losses].join(' | '),
    )
  }
}

const lossesOf = (group: readonly Measured[], metric: Metric): readonly number[] =>
  group.map((one) => one[metric] ?? Number.NaN)

type Line = readonly (readonly [x: number, y: number])[]

/** Where a line through points has a value. */
function crossing(line: Line, value: number): number | undefined {
  for (let index = 1; index < line.length; index += 1) {
    const [x1, y1] = line[index - 1] ?? [0, 0]
    const [x2, y2] = line[index] ?? [0, 0]
    if ((y1 - value) * (y2 - value) <= 0 && y1 !== y2) return x1 + ((value - y1) / (y2 - y1)) * (x2 - x1)
  }
  return undefined
}

/** The value of a line through points at a place. */
function along(line: Line, place: number): number {
  const index = Math.max(
    1,
    line.findIndex(([x]) => x >= place),
  )
  const [x1, y1] = line[index - 1] ?? [0, 0]
  const [x2, y2] = line[index] ?? [1, 0]
  return y1 + ((place - x1) / (x2 - x1)) * (y2 - y1)
}

/** Prints the quality at which AVIF loses as much in the mean as WebP 85, and what it then costs. */
function equalLine(groups: Groups, metric: Metric, effort: number, chroma: string): void {
  const [base, next] = [groups.get(WEBP) ?? [], groups.get(NEXT.name) ?? []]
  const rungs = qualitiesOf(effort).map(
    (quality) => [quality, groups.get(avif(quality, effort, chroma).name) ?? []] as const,
  )
  const losses: Line = rungs.map(([quality, group]) => [quality, mean(lossesOf(group, metric))])
  const quality = crossing(losses, mean(lossesOf(base, metric)))
  const label = `as ${WEBP} by ${metric}: avif effort ${effort} ${chroma}`.padEnd(60)
  if (quality === undefined) {
    console.log(label, 'at no quality tried')
    return
  }
  const at = (picture: number, field: 'bytes' | 'cpu') =>
    along(
      rungs.map(([rung, group]) => [rung, group[picture]?.[field] ?? Number.NaN]),
      quality,
    )
  const bytes = base.map((one, index) => at(index, 'bytes') / one.bytes)
  const total = sum(base.map((_, index) => at(index, 'bytes'))) / sum(base.map((one) => one.bytes))
  const time = sum(base.map((_, index) => at(index, 'cpu'))) / sum(next.map((one) => one.cpu))
  const smaller = bytes.filter((ratio) => ratio < 1).length / bytes.length
  // Each picture at the quality that equals its own WebP: what the format could do.
  const own = base.flatMap((one, index) => {
    const line: Line = rungs.map(([, group]) => [
      Math.log(group[index]?.bytes ?? 1),
      group[index]?.[metric] ?? Number.NaN,
    ])
    const found = crossing(line, one[metric] ?? Number.NaN)
    return found === undefined ? [] : [Math.exp(found) / one.bytes]
  })
  const figures = [
    `quality ${quality.toFixed(1)}`,
    `bytes ${total.toFixed(3)} of all, ${median(bytes).toFixed(3)} usual`,
    `time ${time.toFixed(2)}`,
    `smaller for ${Math.round(100 * smaller)} %`,
    `each at its own: ${median(own).toFixed(3)} (${own.length})`,
  ]
  console.log(label, figures.join('; '))
}

/** Encodes pictures by settings, and measures bytes, processor time and what was lost. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import type { Kind, Picture } from './pictures.js'
import { type Pair, type Score, scores } from './scores.js'
import { median } from './support.js'

/** A way to encode. */
export interface Setting {
  readonly name: string
  readonly encode: (image: Sharp) => Sharp
  /** Where it is measured, if not at every width. */
  readonly widths?: readonly number[]
}

/** What next/image 16 asks of sharp for an AVIF of quality 85: it multiplies by 50/80. */
export const NEXT: Setting = {
  name: 'next/image avif 85',
  encode: (image) => image.avif({ quality: 53, effort: 3 }),
  widths: [640],
}

/** What one picture became by one setting. */
export interface Measured extends Score {
  readonly picture: string
  readonly kind: Kind
  readonly width: number
  readonly setting: string
  readonly bytes: number
  /** Milliseconds of processor time of the encoder, over all its threads. */
  readonly cpu: number
}

/** A picture resized: pixels for the encoders and a file for the metrics. */
interface Reference {
  readonly image: () => Sharp
  readonly file: string
}

async function resized(source: Sharp, width: number, file: string): Promise<Reference> {
  const small = source.clone().resize({ width }).removeAlpha()
  const { data, info } = await small.raw().toBuffer({ resolveWithObject: true })
  const image = () => sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } })
  await image().png({ compressionLevel: 0 }).toFile(file)
  return { image, file }
}

/** Encodes some times and keeps the median of the processor time: time by the clock depends on the neighbours. */
async function timed(reference: Reference, setting: Setting, times: number) {
  const spent: number[] = []
  let encoded = Buffer.alloc(0)
  for (let time = 0; time < times; time += 1) {
    const before = process.cpuUsage()
    encoded = await setting.encode(reference.image()).toBuffer()
    const { user, system } = process.cpuUsage(before)
    spent.push((user + system) / 1000)
  }
  return { encoded, cpu: median(spent) }
}

/** What to measure, and how often each encoding is timed. */
export interface Plan {
  readonly pictures: readonly Picture[]
  readonly widths: readonly number[]
  readonly settings: readonly Setting[]
  readonly times: number
}

/** Measures every picture by every setting. Nothing is scored while an encoder is timed. */
export async function measure({ pictures, widths, settings, times }: Plan): Promise<readonly Measured[]> {
  sharp.concurrency(1)
  sharp.cache(false)
  const folder = await mkdtemp(join(tmpdir(), 'artwork-quality-'))
  const results: Measured[] = []
  for (const picture of pictures) {
    const source = sharp(await (await picture.paint()).png({ compressionLevel: 0 }).toBuffer())
    const pairs: Pair[] = []
    const facts: Omit<Measured, keyof Score>[] = []
    for (const width of widths) {
      const reference = await resized(source, width, join(folder, `reference-${width}.png`))
      for (const setting of settings) {
        if (setting.widths?.includes(width) === false) continue
        const { encoded, cpu } = await timed(reference, setting, times)
        const candidate = join(folder, `${pairs.length}.png`)
        await sharp(encoded).png({ compressionLevel: 0 }).toFile(candidate)
        pairs.push({ reference: reference.file, candidate })
        const { name, kind } = picture
        facts.push({ picture: name, kind, width, setting: setting.name, bytes: encoded.length, cpu })
      }
    }
    const found = await scores(pairs)
    facts.forEach((fact, index) => {
      const score = found[index]
      if (score !== undefined) results.push({ ...fact, ...score })
    })
  }
  await rm(folder, { recursive: true, force: true })
  return results
}

/** The sum of values. */
export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
/** The mean of values. */
export const mean = (values: readonly number[]): number => sum(values) / values.length
/** The mean of the worst quarter. */
export const worstQuarter = (values: readonly number[]): number =>
  mean([...values].sort((a, b) => b - a).slice(0, Math.ceil(values.length / 4)))

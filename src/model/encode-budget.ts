/**
 * What encoding costs, reckoned before any work: so that nothing that is inside the bounds of the options holds a child
 * for longer than {@link MOST_WORK}. The figures are CPU ms for a million pixels of a noisy picture, the worst there is,
 * as `npm run bench hard` measures them.
 */
import type { Format } from './media-type.js'

/** Work that one encode may be, CPU ms by the table. Decoding and resizing come on top. */
export const MOST_WORK = 3500

/** CPU ms a megapixel, by effort: the first that is at or above the effort counts. */
type Costs = readonly (readonly [effort: number, cost: number])[]

const STILL: Readonly<Record<Format, Costs>> = {
  jpeg: [[0, 40]],
  png: [[0, 65]],
  webp: [
    [1, 65],
    [3, 90],
    [4, 170],
    [6, 530],
  ],
  avif: [
    [0, 175],
    [1, 460],
    [2, 950],
    [3, 1750],
    [9, 12_000],
  ],
  gif: [
    [3, 440],
    [4, 900],
    [5, 1800],
    [7, 5400],
    [10, 10_000],
  ],
}
/** A PNG with a palette is quantized as a GIF is. */
const PALETTE_PNG: Costs = [
  [3, 410],
  [5, 600],
  [7, 4400],
  [10, 8200],
]
const MOVING: Readonly<Partial<Record<Format, Costs>>> = {
  webp: [
    [1, 70],
    [3, 100],
    [4, 190],
    [6, 600],
  ],
  // Frames share what was learned of their colours.
  gif: [
    [3, 290],
    [7, 1500],
    [10, 3000],
  ],
}
const LOSSLESS_WEBP: Costs = [
  [0, 150],
  [4, 520],
  [6, 1500],
]

/** What is to be encoded. */
export interface EncodeJob {
  readonly format: Format
  /** Of all frames together. */
  readonly pixels: number
  readonly frames: number
  readonly isPalette?: boolean
  readonly isLossless?: boolean
}

const costsOf = ({ format, frames, isPalette = false, isLossless = false }: EncodeJob): Costs => {
  if (format === 'webp' && isLossless) return LOSSLESS_WEBP
  if (format === 'png' && isPalette) return PALETTE_PNG
  return (frames > 1 ? MOVING[format] : undefined) ?? STILL[format]
}

/** CPU ms that a job is reckoned at. */
export function workOf(job: EncodeJob, effort: number): number {
  const costs = costsOf(job)
  const [, cost = 0] = costs.find(([up]) => effort <= up) ?? costs.at(-1) ?? []
  return (cost * job.pixels) / 1e6
}

/** The least effort that a job can have, as sharp has it. */
const leastOf = ({ format, isPalette = false }: EncodeJob): number =>
  format === 'gif' || (format === 'png' && isPalette) ? 1 : 0

/** Whether a job can be done at all. */
export const isAffordable = (job: EncodeJob): boolean => workOf(job, leastOf(job)) <= MOST_WORK

/** The highest effort, up to the one that is wanted, that fits; undefined where none does. */
export function effortFor(job: EncodeJob, wanted: number): number | undefined {
  for (let effort = Math.max(wanted, leastOf(job)); effort >= leastOf(job); effort -= 1)
    if (workOf(job, effort) <= MOST_WORK) return effort
  return undefined
}

/** How pictures are encoded: quality and effort of each format, and what their defaults were measured to be. */
import type { Format } from './media-type.js'

/** Formats that have a quality. */
export type LossyFormat = 'jpeg' | 'webp' | 'avif'
/** Formats in which more effort makes the file smaller. */
export type EffortFormat = 'webp' | 'avif' | 'gif' | 'png'

/** Quality (1–100) and effort of each format, in sharp's own scales. */
export interface Encoding {
  readonly quality: Readonly<Record<LossyFormat, number>>
  readonly effort: Readonly<Record<EffortFormat, number>>
}

/** Qualities at which formats look the same (`npm run bench quality`). */
export const DEFAULT_QUALITY: Encoding['quality'] = { jpeg: 85, webp: 85, avif: 67 }

/** Efforts that are worth their time (`npm run bench quality`). What a picture may cost lowers them. */
export const DEFAULT_EFFORT: Encoding['effort'] = { webp: 4, avif: 3, gif: 7, png: 4 }

/** What effort may be, by format, as sharp has it. */
export const EFFORTS: Readonly<Record<EffortFormat, readonly [least: number, most: number]>> = {
  webp: [0, 6],
  avif: [0, 9],
  gif: [1, 10],
  png: [1, 10],
}

const isLossy = (format: Format): format is LossyFormat => format !== 'png' && format !== 'gif'

/** The quality in a format that looks as this one does in JPEG and WebP. */
export const equalQuality = (quality: number, format: Format): number =>
  format === 'avif'
    ? Math.max(1, Math.round((quality * DEFAULT_QUALITY.avif) / DEFAULT_QUALITY.webp))
    : quality

/** Qualities from one number, which is meant for JPEG and WebP, or from one for each format. */
export function qualitiesOf(given: number | Partial<Encoding['quality']>): Encoding['quality'] {
  if (typeof given !== 'number') return { ...DEFAULT_QUALITY, ...given }
  return { jpeg: given, webp: given, avif: equalQuality(given, 'avif') }
}

/** Efforts from one number, as far as each format goes, or from one for each. */
export function effortsOf(given: number | Partial<Encoding['effort']>): Encoding['effort'] {
  if (typeof given !== 'number') return { ...DEFAULT_EFFORT, ...given }
  const within = (format: EffortFormat): number => {
    const [least, most] = EFFORTS[format]
    return Math.min(most, Math.max(least, given))
  }
  return { webp: within('webp'), avif: within('avif'), gif: within('gif'), png: within('png') }
}

/** The quality of a format; that of JPEG where it has none, or is not known yet. */
export const qualityFor = ({ quality }: Encoding, format: Format | undefined): number =>
  quality[format !== undefined && isLossy(format) ? format : 'jpeg']

/** The effort of a format; undefined where it has none. */
export const effortIn = ({ effort }: Encoding, format: Format): number | undefined =>
  format === 'jpeg' ? undefined : effort[format]

/** `Accept` as a choice between few formats (RFC 9110 §12.5.1), bucketed before it can enter a key. */
import type { Format } from '../model/media-type.js'

interface Range {
  readonly type: string
  readonly weight: number
  /** Whether it is refused: a weight of 0 that is well written. */
  readonly isRefused: boolean
}

/** Less than any weight that a header can give. */
const UNMENTIONED = 0.0001
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

function parseAccept(header: string): readonly Range[] {
  return header
    .slice(0, 2000)
    .split(',')
    .map((part) => {
      const [type = '', ...params] = part.split(';').map((piece) => piece.trim().toLowerCase())
      const q = params.find((piece) => piece.startsWith('q='))?.slice(2)
      const weight = q === undefined ? 1 : WEIGHT.test(q) ? Number(q) : 0
      return { type, weight, isRefused: weight === 0 && WEIGHT.test(q ?? '') }
    })
    .filter((range) => range.type !== '')
}

/** The weight the header gives a media type by name; wildcards do not count as asking for a modern format. */
const namedWeight = (ranges: readonly Range[], type: string): number =>
  ranges.find((range) => range.type === type)?.weight ?? 0

/** The formats that `auto` may choose beside the source's own family, the best first. */
export const modernFormats = (allowed: readonly Format[]): readonly Format[] =>
  (['avif', 'webp'] as const).filter((format) => allowed.includes(format))

/** What an `auto` variant may be given in. */
export interface Negotiation {
  /** Media type of the source's own family, or of the preset's format. */
  readonly plainType: string
  /** The modern formats that may be chosen, the best first. */
  readonly modern: readonly Format[]
  /** For who does not accept the source's own family, where that is AVIF. */
  readonly fallback: Format
  /** The source's own family is the original as it is: it moves, and could not be made to. */
  readonly isPassedOn: boolean
}

/** The best format for who refuses the source's own family by name; that family where nothing else will do. */
function otherThan(
  ranges: readonly Range[],
  plain: string,
  modern: readonly Format[],
  fallback: Format,
): Format | undefined {
  const wildcard = Math.max(namedWeight(ranges, 'image/*'), namedWeight(ranges, '*/*'))
  // Nobody gets AVIF who did not ask for it. What is not mentioned is better than what is refused.
  const unmentioned = (format: Format): number =>
    format === 'avif' ? 0 : modern.includes(format) ? wildcard : Math.max(wildcard, UNMENTIONED)
  const weightOf = (format: Format): number =>
    ranges.find((range) => range.type === `image/${format}`)?.weight ?? unmentioned(format)
  const others = [...modern, fallback].filter((format) => `image/${format}` !== plain)
  const best = others.reduce<Format | undefined>(
    (one, other) => (one === undefined || weightOf(other) > weightOf(one) ? other : one),
    undefined,
  )
  return best !== undefined && weightOf(best) > 0 ? best : undefined
}

/**
 * The format for an `auto` variant: AVIF or WebP where the header names it and does not like the plain
 * family better, else undefined for the source's own family. A bare wildcard says nothing, so it gets that.
 */
export function negotiate(
  header: string | undefined,
  { plainType: plain, modern, fallback }: Omit<Negotiation, 'isPassedOn'>,
): Format | undefined {
  const ranges = parseAccept(header ?? '')
  const asks = (type: string): boolean => namedWeight(ranges, type) > 0
  // Nobody gets AVIF who did not ask for it, also where the source is one.
  if (plain === 'image/avif' && !asks(plain))
    return modern.includes('webp') && asks('image/webp') ? 'webp' : fallback
  const wildcard = Math.max(namedWeight(ranges, 'image/*'), namedWeight(ranges, '*/*'))
  const plainRange = ranges.find((range) => range.type === plain)
  // By its own name, or by the range that it falls under (RFC 9110 §12.5.1).
  const judging =
    plainRange ?? ranges.find(({ type }) => type === 'image/*') ?? ranges.find(({ type }) => type === '*/*')
  if (judging?.isRefused === true) return otherThan(ranges, plain, modern, fallback)
  const plainWeight = plainRange?.weight ?? wildcard
  let best: { format: Format; weight: number } | undefined
  for (const format of modern) {
    const weight = namedWeight(ranges, `image/${format}`)
    if (weight > 0 && weight > (best?.weight ?? 0)) best = { format, weight }
  }
  if (best !== undefined && `image/${best.format}` === plain) return undefined
  return best !== undefined && (best.weight >= plainWeight || plainRange === undefined)
    ? best.format
    : undefined
}

/**
 * Whether a request is made for an image: the browser says so (`Sec-Fetch-Dest`, Fetch Metadata §2.1), or, where it says
 * nothing, `Accept` gives some image more weight than anything else.
 */
export function asksForImage(destination: string | undefined, accept: string | undefined): boolean {
  if (destination !== undefined) return destination.trim().toLowerCase() === 'image'
  const best = (isImage: boolean): number =>
    Math.max(
      0,
      ...parseAccept(accept ?? '')
        .filter(({ type }) => type.startsWith('image/') === isImage)
        .map(({ weight }) => weight),
    )
  return best(true) > best(false)
}

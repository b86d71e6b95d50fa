/**
 * What the colours of a picture mean, and how they become sRGB.
 *
 * | said by | rule | done by |
 * |---|---|---|
 * | PNG `cICP`, AVIF `colr` nclx | ITU-T H.273: primaries and transfer | here |
 * | ICC profile of RGB | ICC.1 | libvips, with LittleCMS |
 * | ICC profile of grey, 16 bits or in an AVIF | its `kTRC` curve | here |
 * | PNG `sRGB`, or nothing | as it is | nobody |
 * | PNG `gAMA`, with or without `cHRM` | PNG third edition §13.13 | here |
 *
 * The first that is there counts (PNG third edition §4.3). White is adapted by Bradford's matrix, and what sRGB cannot
 * show is cut off. PQ and HLG are brought down with 203 cd/m² as white (ITU-R BT.2408).
 */
import { inflateSync } from 'node:zlib'
import type { AvifHeader } from './formats/avif.js'
import type { PngHeader } from './formats/png.js'

/** Coded values (0–1) as linear light. */
type Curve = (value: number) => number

/** Colours that are turned here. */
export interface OwnColour {
  readonly by: 'own'
  readonly toLinear: Curve
  /** Linear light of the source's primaries to that of sRGB's, rows first; undefined where they are the same. */
  readonly matrix: readonly number[] | undefined
  /** Of HLG: shares of the primaries in luminance, for its system gamma. */
  readonly luminance?: readonly [number, number, number]
}

/** How a picture's colours become sRGB. */
export type Colour =
  /** They are. A profile that lies in the file all the same does not count. */
  | { readonly by: 'none' }
  /** By the profile in the file, if there is one. */
  | { readonly by: 'profile' }
  | OwnColour

const NONE: Colour = { by: 'none' }
const PROFILE: Colour = { by: 'profile' }

type Xy = readonly [x: number, y: number]
/** White, red, green, blue. */
type Primaries = readonly [white: Xy, red: Xy, green: Xy, blue: Xy]

const D65: Xy = [0.3127, 0.329]
const C: Xy = [0.31, 0.316]
const SRGB: Primaries = [D65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]]
const SMPTE_170M: Primaries = [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]]

/** ITU-T H.273, table 2; what is not in it is taken for sRGB's. */
const PRIMARIES: Readonly<Record<number, Primaries>> = {
  1: SRGB,
  4: [C, [0.67, 0.33], [0.21, 0.71], [0.14, 0.08]],
  5: [D65, [0.64, 0.33], [0.29, 0.6], [0.15, 0.06]],
  6: SMPTE_170M,
  7: SMPTE_170M,
  8: [C, [0.681, 0.319], [0.243, 0.692], [0.145, 0.049]],
  9: [D65, [0.708, 0.292], [0.17, 0.797], [0.131, 0.046]],
  10: [
    [1 / 3, 1 / 3],
    [1, 0],
    [0, 1],
    [0, 0],
  ],
  11: [
    [0.314, 0.351],
    [0.68, 0.32],
    [0.265, 0.69],
    [0.15, 0.06],
  ],
  12: [D65, [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]],
  22: [D65, [0.63, 0.34], [0.295, 0.605], [0.155, 0.077]],
}

const srgbToLinear: Curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
const linearToSrgb: Curve = (v) => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055)
const power =
  (exponent: number): Curve =>
  (v) =>
    v ** exponent
/** The display that a camera's curve is meant for (ITU-R BT.1886): browsers show PNGs of BT.709 and its kin so. */
const bt1886 = power(2.4)
const smpte240: Curve = (v) => (v < 0.0913 ? v / 4 : ((v + 0.1115) / 1.1115) ** (1 / 0.45))
/** Luminance that is shown as white, cd/m² (BT.2408 §2.1). */
const WHITE = 203
/** SMPTE ST 2084, in shares of {@link WHITE}. */
const pq: Curve = (v) => {
  const [m1, m2, c1, c2, c3] = [0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875]
  const p = v ** (1 / m2)
  return ((Math.max(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1) * 10_000) / WHITE
}
/** The inverse of HLG's transfer function: light of the scene, 0–1 (BT.2100, table 5). */
const hlg: Curve = (v) => {
  const [a, b, c] = [0.17883277, 0.28466892, 0.55991073]
  return v <= 0.5 ? (v * v) / 3 : (Math.exp((v - c) / a) + b) / 12
}
/** Peak of the display that HLG is meant for, and its system gamma (BT.2100, note 5e and 5f). */
const HLG_PEAK = 1000
const HLG_GAMMA = 1.2

const SRGB_TRANSFER = 13
const PQ_TRANSFER = 16
const HLG_TRANSFER = 18
/** ITU-T H.273, table 3; what is not in it is taken for sRGB's. */
const TRANSFERS: Readonly<Record<number, Curve>> = {
  1: bt1886,
  4: power(2.2),
  5: power(2.8),
  6: bt1886,
  7: smpte240,
  8: (v) => v,
  11: bt1886,
  [SRGB_TRANSFER]: srgbToLinear,
  14: bt1886,
  15: bt1886,
  [PQ_TRANSFER]: pq,
  17: (v) => (v ** 2.6 * 52.37) / 48,
  [HLG_TRANSFER]: hlg,
}
/** In a video's terms these are a camera's curve; browsers show AVIFs that say so as sRGB. */
const CAMERA_TRANSFERS = new Set([1, 6, 11, 14, 15])

type Matrix = readonly number[]
const times = (a: Matrix, b: Matrix): Matrix =>
  Array.from({ length: 9 }, (_, index) => {
    const row = Math.floor(index / 3) * 3
    const column = index % 3
    return (
      (a[row] ?? 0) * (b[column] ?? 0) +
      (a[row + 1] ?? 0) * (b[column + 3] ?? 0) +
      (a[row + 2] ?? 0) * (b[column + 6] ?? 0)
    )
  })
const apply = (m: Matrix, [x, y, z]: readonly [number, number, number]): [number, number, number] => [
  (m[0] ?? 0) * x + (m[1] ?? 0) * y + (m[2] ?? 0) * z,
  (m[3] ?? 0) * x + (m[4] ?? 0) * y + (m[5] ?? 0) * z,
  (m[6] ?? 0) * x + (m[7] ?? 0) * y + (m[8] ?? 0) * z,
]
function invert(m: Matrix): Matrix | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = m
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
  if (!(Math.abs(determinant) > 1e-9)) return undefined
  const adjugate = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ]
  return adjugate.map((value) => value / determinant)
}
const BRADFORD: Matrix = [0.8951, 0.2664, -0.1614, -0.7502, 1.7135, 0.0367, 0.0389, -0.0685, 1.0296]
const xyz = ([x, y]: Xy): [number, number, number] => [x / y, 1, (1 - x - y) / y]

/** Linear RGB of these primaries to XYZ under D65; undefined where no colours can be made of them. */
function toXyz([white, red, green, blue]: Primaries): Matrix | undefined {
  if (!(white[1] > 0)) return undefined
  const column = ([x, y]: Xy): readonly [number, number, number] => [x, y, 1 - x - y]
  const [r, g, b] = [column(red), column(green), column(blue)]
  const base = [r[0], g[0], b[0], r[1], g[1], b[1], r[2], g[2], b[2]]
  const inverse = invert(base)
  const toCone = invert(BRADFORD)
  if (inverse === undefined || toCone === undefined) return undefined
  const scale = apply(inverse, xyz(white))
  const own = base.map((value, index) => value * (scale[index % 3] ?? 0))
  const from = apply(BRADFORD, xyz(white))
  const to = apply(BRADFORD, xyz(D65))
  const ratios = [to[0] / from[0], to[1] / from[1], to[2] / from[2]]
  const adapted = BRADFORD.map((value, index) => value * (ratios[Math.floor(index / 3)] ?? 1))
  return times(times(toCone, adapted), own)
}

/** From linear light of some primaries to that of sRGB's; `same` where they are those, undefined where they are none. */
function matrixFrom(primaries: Primaries): Matrix | 'same' | undefined {
  const isSame = primaries.every((xy, index) =>
    xy.every((value, axis) => Math.abs(value - (SRGB[index]?.[axis] ?? 0)) < 0.0005),
  )
  if (isSame) return 'same'
  const from = toXyz(primaries)
  const srgb = toXyz(SRGB)
  const to = srgb && invert(srgb)
  return from === undefined || to === undefined ? undefined : times(to, from)
}

/** The colour of code points. @param isVideo whether a camera's curve is shown as sRGB */
function byCodePoints(
  { primaries, transfer }: { readonly primaries: number; readonly transfer: number },
  isVideo: boolean,
): Colour {
  const known = PRIMARIES[primaries] ?? SRGB
  const matrix = matrixFrom(known)
  const told = isVideo && CAMERA_TRANSFERS.has(transfer) ? SRGB_TRANSFER : transfer
  const toLinear = TRANSFERS[told] ?? srgbToLinear
  if (matrix === 'same' && toLinear === srgbToLinear) return NONE
  const shares = told === HLG_TRANSFER ? toXyz(known)?.slice(3, 6) : undefined
  const [red, green, blue] = shares ?? []
  return {
    by: 'own',
    toLinear,
    matrix: matrix === 'same' ? undefined : matrix,
    ...(red !== undefined && green !== undefined && blue !== undefined && { luminance: [red, green, blue] }),
  }
}

/** A gamma this close to a display's, with no primaries told, is what an encoder writes that means sRGB; decoders agree. */
const GAMMA_SLACK = 0.05

function byGamma(gamma: number, chromaticities: readonly number[] | undefined): Colour {
  if (!(gamma > 0)) return NONE
  if (chromaticities === undefined)
    return Math.abs(gamma * 2.2 - 1) < GAMMA_SLACK
      ? NONE
      : { by: 'own', toLinear: power(1 / gamma), matrix: undefined }
  // What is no place among colours makes the chunk none, and its gamma with it, as browsers have it.
  if (chromaticities.some((value) => value > 1)) return NONE
  const at = (index: number): Xy => [chromaticities[index] ?? 0, chromaticities[index + 1] ?? 0]
  const matrix = matrixFrom([at(0), at(2), at(4), at(6)])
  if (matrix === undefined) return NONE
  return { by: 'own', toLinear: power(1 / gamma), matrix: matrix === 'same' ? undefined : matrix }
}

/** A profile of this many bytes or more is not read here. */
const LARGEST_PROFILE = 4 * 1024 * 1024

/** The colour of a profile of grey: its `kTRC` (ICC.1 §9.2.32, §10.6, §10.18); undefined where it is none. */
function byGreyProfile(profile: Buffer): Colour | undefined {
  if (profile.length < 132 || profile.toString('latin1', 16, 20) !== 'GRAY') return undefined
  const count = Math.min(profile.readUInt32BE(128), 100)
  for (let index = 0; index < count; index += 1) {
    const at = 132 + index * 12
    if (at + 12 > profile.length) return undefined
    if (profile.toString('latin1', at, at + 4) !== 'kTRC') continue
    const start = profile.readUInt32BE(at + 4)
    const toLinear = readCurve(profile.subarray(start, start + profile.readUInt32BE(at + 8)))
    return toLinear && { by: 'own', toLinear, matrix: undefined }
  }
  return undefined
}

function readCurve(tag: Buffer): Curve | undefined {
  const type = tag.toString('latin1', 0, 4)
  if (type === 'curv' && tag.length >= 12) {
    const count = tag.readUInt32BE(8)
    if (count === 0) return (v) => v
    if (tag.length < 12 + count * 2) return undefined
    if (count === 1) return power(tag.readUInt16BE(12) / 256)
    return (v) => {
      const place = v * (count - 1)
      const low = Math.min(Math.floor(place), count - 2)
      const from = tag.readUInt16BE(12 + low * 2)
      const to = tag.readUInt16BE(14 + low * 2)
      return (from + (to - from) * (place - low)) / 65_535
    }
  }
  if (type !== 'para' || tag.length < 16) return undefined
  const kind = tag.readUInt16BE(8)
  const numbers = [1, 3, 4, 5, 7][kind]
  if (numbers === undefined || tag.length < 12 + numbers * 4) return undefined
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from(
    { length: numbers },
    (_, index) => tag.readInt32BE(12 + index * 4) / 65_536,
  )
  const steep: Curve = (v) => Math.max(a * v + b, 0) ** g
  if (kind === 0) return power(g)
  if (kind === 1) return (v) => (v >= -b / a ? steep(v) : 0)
  if (kind === 2) return (v) => (v >= -b / a ? steep(v) + c : c)
  if (kind === 3) return (v) => (v >= d ? steep(v) : c * v)
  return (v) => (v >= d ? steep(v) + e : c * v + f)
}

function inflated(compressed: Uint8Array): Buffer | undefined {
  try {
    return inflateSync(compressed, { maxOutputLength: LARGEST_PROFILE })
  } catch {
    return undefined
  }
}

/** Whether a profile can be used for pictures of this space (ICC.1 §7.2): one that cannot says nothing. */
const isProfileOf = (profile: Buffer, space: 'RGB ' | 'GRAY'): boolean =>
  profile.length >= 132 &&
  profile.readUInt32BE(0) <= profile.length &&
  profile.toString('latin1', 36, 40) === 'acsp' &&
  profile.toString('latin1', 16, 20) === space

const isKnown = ({
  primaries,
  transfer,
}: {
  readonly primaries: number
  readonly transfer: number
}): boolean => Object.hasOwn(PRIMARIES, primaries) && Object.hasOwn(TRANSFERS, transfer)

/** What the colours of a PNG mean: by the first chunk that is there and can be used. */
export function colourOfPng({ colour, isGrey, depth }: PngHeader): Colour {
  if (colour.cicp !== undefined && isKnown(colour.cicp)) return byCodePoints(colour.cicp, false)
  const profile = colour.compressedProfile && inflated(colour.compressedProfile)
  if (profile !== undefined && isProfileOf(profile, isGrey ? 'GRAY' : 'RGB '))
    return (isGrey && depth === 16 ? byGreyProfile(profile) : undefined) ?? PROFILE
  if (colour.isSrgb || colour.gamma === undefined) return NONE
  return byGamma(colour.gamma, colour.chromaticities)
}

/** What the colours of an AVIF mean. */
export function colourOfAvif({ nclx, profile }: AvifHeader): Colour {
  if (profile !== undefined && isProfileOf(profile, 'RGB ')) return PROFILE
  const grey = profile === undefined ? undefined : byGreyProfile(profile)
  return grey ?? (nclx === undefined ? NONE : byCodePoints(nclx, true))
}

/** Steps of linear light that are told apart on the way back to sRGB. */
const STEPS = 16_384

/** Pixels as they were decoded: 8 or 16 bits a sample, RGB or RGB and alpha. */
export interface Samples {
  readonly data: Buffer
  readonly channels: number
  readonly isWide: boolean
  /** The sample that stands for 1. */
  readonly most: number
}

/** Turns samples into sRGB of 8 bits, in their own memory as far as that goes. */
export function toSrgb({ data, channels, isWide, most }: Samples, colour: OwnColour): Buffer {
  const size = isWide ? 65_536 : 256
  const linear = Float32Array.from({ length: size }, (_, value) => colour.toLinear(Math.min(1, value / most)))
  const encoded = Uint8Array.from({ length: STEPS + 1 }, (_, step) =>
    Math.round(linearToSrgb(step / STEPS) * 255),
  )
  const code = (light: number): number =>
    encoded[light <= 0 ? 0 : light >= 1 ? STEPS : (light * STEPS + 0.5) | 0] ?? 0
  const input = isWide ? wide(data) : data
  const output = Buffer.from(data.buffer, data.byteOffset, input.length)
  const divisor = isWide ? most / 255 : 1
  const alphaOf = (sample: number): number => Math.min(255, Math.round(sample / divisor))
  const { matrix, luminance } = colour
  const hasAlpha = channels === 4
  if (matrix === undefined && luminance === undefined) {
    const table = Uint8Array.from(linear, code)
    for (let at = 0; at < input.length; at += 1) {
      const sample = input[at] ?? 0
      output[at] = hasAlpha && at % 4 === 3 ? alphaOf(sample) : (table[sample] ?? 0)
    }
    return output
  }
  const [m0 = 1, m1 = 0, m2 = 0, m3 = 0, m4 = 1, m5 = 0, m6 = 0, m7 = 0, m8 = 1] = matrix ?? []
  const gainOf = luminance === undefined ? undefined : systemGamma(luminance)
  for (let at = 0; at + 2 < input.length; at += channels) {
    const red = input[at] ?? 0
    const green = input[at + 1] ?? 0
    const blue = input[at + 2] ?? 0
    const alpha = hasAlpha ? alphaOf(input[at + 3] ?? 0) : 0
    const r = linear[red] ?? 0
    const g = linear[green] ?? 0
    const b = linear[blue] ?? 0
    const gain = gainOf === undefined ? 1 : gainOf(r, g, b)
    output[at] = code((m0 * r + m1 * g + m2 * b) * gain)
    output[at + 1] = code((m3 * r + m4 * g + m5 * b) * gain)
    output[at + 2] = code((m6 * r + m7 * g + m8 * b) * gain)
    if (hasAlpha) output[at + 3] = alpha
  }
  return output
}

const wide = (data: Buffer): Uint16Array => {
  const whole = data.byteOffset % 2 === 0 ? data : Buffer.from(data)
  return new Uint16Array(whole.buffer, whole.byteOffset, Math.floor(whole.length / 2))
}

type Gain = (r: number, g: number, b: number) => number
/** HLG's opto-optical transfer function: light of the scene to that of the display, in shares of white. */
const systemGamma = ([red, green, blue]: readonly [number, number, number]): Gain => {
  const gains = Float32Array.from({ length: STEPS + 1 }, (_, step) =>
    step === 0 ? 0 : ((step / STEPS) ** (HLG_GAMMA - 1) * HLG_PEAK) / WHITE,
  )
  return (r, g, b) => gains[Math.min(STEPS, Math.round((red * r + green * g + blue * b) * STEPS))] ?? 0
}

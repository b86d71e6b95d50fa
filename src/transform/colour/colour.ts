/**
 * What the colours of a picture mean, and how they become sRGB.
 *
 * | stated by | rule | done by |
 * |---|---|---|
 * | PNG `cICP`, AVIF `colr` nclx | ITU-T H.273: primaries and transfer | here |
 * | ICC profile of RGB | ICC.1 | libvips, with LittleCMS |
 * | ICC profile of grey, 16 bits or in an AVIF | its `kTRC` curve | here |
 * | PNG `sRGB`, or nothing | as it is | |
 * | PNG `gAMA`, with or without `cHRM` | PNG third edition §13.13 | here |
 *
 * The first that is there counts (PNG third edition §4.3). PQ and HLG are brought down with 203 cd/m² as white
 * (ITU-R BT.2408).
 */
import type { AvifHeader } from '../formats/avif.js'
import type { PngHeader } from '../formats/png.js'
import { greyCurve, inflateProfile, isProfileOf } from './icc-profile.js'
import { matrixFrom, PRIMARIES, SRGB, toXyz, type Xy } from './primaries.js'
import {
  CAMERA_TRANSFERS,
  type Curve,
  HLG_TRANSFER,
  power,
  SRGB_TRANSFER,
  srgbToLinear,
  TRANSFERS,
} from './transfer.js'

/** Colours that are converted here. */
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
  /** They are. A profile in the file does not count. */
  | { readonly by: 'none' }
  /** By the profile in the file, if there is one. */
  | { readonly by: 'profile' }
  | OwnColour

const NONE: Colour = { by: 'none' }
const PROFILE: Colour = { by: 'profile' }

interface CodePoints {
  readonly primaries: number
  readonly transfer: number
}

/** The colour of code points. @param isVideo whether a camera's curve is shown as sRGB */
function byCodePoints({ primaries, transfer }: CodePoints, isVideo: boolean): Colour {
  const known = PRIMARIES[primaries] ?? SRGB
  const matrix = matrixFrom(known)
  const code = isVideo && CAMERA_TRANSFERS.has(transfer) ? SRGB_TRANSFER : transfer
  const toLinear = TRANSFERS[code] ?? srgbToLinear
  if (matrix === 'same' && toLinear === srgbToLinear) return NONE
  const shares = code === HLG_TRANSFER ? toXyz(known)?.slice(3, 6) : undefined
  const [red, green, blue] = shares ?? []
  return {
    by: 'own',
    toLinear,
    matrix: matrix === 'same' ? undefined : matrix,
    ...(red !== undefined && green !== undefined && blue !== undefined && { luminance: [red, green, blue] }),
  }
}

/** A gamma this close to a display's, with no primaries, is what an encoder writes that means sRGB; decoders agree. */
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

/** The colour of a grey profile; undefined where it is none. */
function byGreyProfile(profile: Buffer): Colour | undefined {
  const toLinear = greyCurve(profile)
  return toLinear && { by: 'own', toLinear, matrix: undefined }
}

const isKnown = ({ primaries, transfer }: CodePoints): boolean =>
  Object.hasOwn(PRIMARIES, primaries) && Object.hasOwn(TRANSFERS, transfer)

/** What the colours of a PNG mean: by the first chunk that is there and can be used. */
export function colourOfPng({ colour, isGrey, depth }: PngHeader): Colour {
  if (colour.cicp !== undefined && isKnown(colour.cicp)) return byCodePoints(colour.cicp, false)
  const profile = colour.compressedProfile && inflateProfile(colour.compressedProfile)
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

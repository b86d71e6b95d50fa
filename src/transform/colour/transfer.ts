/** Transfer functions: coded values to linear light, and back (ITU-T H.273, table 3). */

/** Coded values (0–1) as linear light. */
export type Curve = (value: number) => number

export const srgbToLinear: Curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
export const linearToSrgb: Curve = (v) => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055)
export const power =
  (exponent: number): Curve =>
  (v) =>
    v ** exponent
/** The display that a camera's curve is meant for (ITU-R BT.1886): browsers show PNGs of BT.709 and its kin so. */
const bt1886 = power(2.4)
const smpte240: Curve = (v) => (v < 0.0913 ? v / 4 : ((v + 0.1115) / 1.1115) ** (1 / 0.45))
/** Luminance that is shown as white, cd/m² (BT.2408 §2.1). */
export const WHITE = 203
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
export const HLG_PEAK = 1000
export const HLG_GAMMA = 1.2

export const SRGB_TRANSFER = 13
const PQ_TRANSFER = 16
export const HLG_TRANSFER = 18
/** ITU-T H.273, table 3; what is not in it is taken for sRGB's. */
export const TRANSFERS: Readonly<Record<number, Curve>> = {
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
export const CAMERA_TRANSFERS = new Set([1, 6, 11, 14, 15])

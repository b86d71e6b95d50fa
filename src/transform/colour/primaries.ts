/** Primaries and white (ITU-T H.273, table 2), and the matrices between them. White is adapted by Bradford's matrix. */

export type Xy = readonly [x: number, y: number]
/** White, red, green, blue. */
type Primaries = readonly [white: Xy, red: Xy, green: Xy, blue: Xy]

const D65: Xy = [0.3127, 0.329]
const C: Xy = [0.31, 0.316]
export const SRGB: Primaries = [D65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]]
const SMPTE_170M: Primaries = [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]]

/** ITU-T H.273, table 2; what is not in it is taken for sRGB's. */
export const PRIMARIES: Readonly<Record<number, Primaries>> = {
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
export function toXyz([white, red, green, blue]: Primaries): Matrix | undefined {
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
export function matrixFrom(primaries: Primaries): Matrix | 'same' | undefined {
  const isSame = primaries.every((xy, index) =>
    xy.every((value, axis) => Math.abs(value - (SRGB[index]?.[axis] ?? 0)) < 0.0005),
  )
  if (isSame) return 'same'
  const from = toXyz(primaries)
  const srgb = toXyz(SRGB)
  const to = srgb && invert(srgb)
  return from === undefined || to === undefined ? undefined : times(to, from)
}

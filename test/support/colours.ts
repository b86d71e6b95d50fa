/** Pictures whose colours are said in every way there is, and what they are in sRGB by the published rules. */
import sharp from 'sharp'
import {
  CHROMATICITIES,
  colourChunk,
  greyProfile,
  handmadePng,
  ICC_PRIMARIES,
  pngChunk,
  rgbProfile,
  withNclx,
} from './handmade.js'

/** Red, green, blue, 0–255. */
export type Rgb = readonly [number, number, number]

/** What is drawn: a row of patches, each this wide and high. */
export const PATCHES: readonly Rgb[] = [
  [220, 40, 40],
  [128, 128, 128],
  [30, 200, 90],
  [40, 60, 200],
  [30, 30, 30],
  [250, 240, 120],
]
/** Side of a patch, pixels. */
const PATCH = 32
const WIDTH = PATCH * PATCHES.length
const patchAt = (x: number): Rgb => PATCHES[Math.floor(x / PATCH)] ?? [0, 0, 0]
const greyOf = ([red]: Rgb): number => red

type Curve = (value: number) => number
const power =
  (exponent: number): Curve =>
  (value) =>
    value ** exponent
const fromSrgb: Curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
const toSrgb: Curve = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055)
/** What a camera's curve is shown with (ITU-R BT.1886). */
const bt1886 = power(2.4)

/** Linear Display P3, Adobe RGB and BT.2020 to linear sRGB, as they are published (CSS Color 4 §18; W3C's sample code). */
const MATRICES = {
  p3: [
    1.2249401762805598, -0.22494017628055996, 0, -0.04205695470968816, 1.0420569547096881, 0,
    -0.019637554590334432, -0.07863604555063188, 1.0982736001409663,
  ],
  rec2020: [
    1.66049100210843, -0.5876411387885495, -0.07284986331988487, -0.1245504745215907, 1.1328998971259603,
    -0.008349422604369515, -0.018150763354905303, -0.10057889800800739, 1.118729661362913,
  ],
  adobe: [1.39835574, -0.39835574, 0, 0, 1, 0, 0, -0.042929, 1.042929],
  none: [1, 0, 0, 0, 1, 0, 0, 0, 1],
} as const

/** A colour in sRGB, by a curve and a matrix; what sRGB cannot show is cut off. */
export function byRule(rgb: Rgb, curve: Curve, matrix: keyof typeof MATRICES = 'none'): Rgb {
  const linear = rgb.map((value) => curve(value / 255))
  const m = MATRICES[matrix]
  const light = [0, 3, 6].map((row) =>
    [0, 1, 2].reduce((sum, column) => sum + (m[row + column] ?? 0) * (linear[column] ?? 0), 0),
  )
  const [r = 0, g = 0, b = 0] = light.map((value) =>
    Math.round(toSrgb(Math.min(1, Math.max(0, value))) * 255),
  )
  return [r, g, b]
}

/** A picture, and what its patches are in sRGB. */
export interface ColourSource {
  readonly name: string
  readonly kind: 'png' | 'avif' | 'jpeg' | 'webp'
  readonly bytes: () => Promise<Buffer>
  readonly wanted: readonly Rgb[]
  /** Levels that the source itself may be off: it is lossy. */
  readonly slack?: number
}

interface Meaning {
  readonly name: string
  readonly chunks: readonly Buffer[]
  readonly curve: Curve
  readonly matrix?: keyof typeof MATRICES
}

const GAMMA_22 = 1 / 2.2
/** What the chunks of a PNG can say, the later ones of which count. */
const MEANINGS: readonly Meaning[] = [
  { name: 'nothing', chunks: [], curve: fromSrgb },
  { name: 'gAMA 1.0', chunks: [colourChunk.gAMA(1)], curve: power(1) },
  { name: 'gAMA 1/1.8', chunks: [colourChunk.gAMA(1 / 1.8)], curve: power(1.8) },
  { name: 'gAMA 1/2.2 alone, which stands for sRGB', chunks: [colourChunk.gAMA(GAMMA_22)], curve: fromSrgb },
  {
    name: 'gAMA 1/2.2 and cHRM of sRGB',
    chunks: [colourChunk.gAMA(GAMMA_22), colourChunk.cHRM(...CHROMATICITIES.srgb)],
    curve: power(2.2),
  },
  {
    name: 'gAMA 1/2.2 and cHRM of P3',
    chunks: [colourChunk.gAMA(GAMMA_22), colourChunk.cHRM(...CHROMATICITIES.p3)],
    curve: power(2.2),
    matrix: 'p3',
  },
  {
    name: 'sRGB before gAMA and cHRM',
    chunks: [colourChunk.gAMA(1), colourChunk.cHRM(...CHROMATICITIES.p3), colourChunk.sRGB()],
    curve: fromSrgb,
  },
  { name: 'cICP of P3', chunks: [colourChunk.cICP(12, 13)], curve: fromSrgb, matrix: 'p3' },
  { name: 'cICP of linear light', chunks: [colourChunk.cICP(1, 8)], curve: power(1) },
  { name: 'cICP of BT.2020', chunks: [colourChunk.cICP(9, 14)], curve: bt1886, matrix: 'rec2020' },
  {
    name: 'cICP of sRGB before iCCP of P3',
    chunks: [colourChunk.cICP(1, 13), colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.p3))],
    curve: fromSrgb,
  },
  { name: 'iCCP of sRGB', chunks: [colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.srgb))], curve: fromSrgb },
  {
    name: 'iCCP of P3',
    chunks: [colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.p3))],
    curve: fromSrgb,
    matrix: 'p3',
  },
  {
    name: 'cICP of nothing known before iCCP of P3',
    chunks: [colourChunk.cICP(2, 2), colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.p3))],
    curve: fromSrgb,
    matrix: 'p3',
  },
  {
    name: 'an iCCP that is cut before gAMA 1.0',
    chunks: [colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.p3).subarray(0, 300)), colourChunk.gAMA(1)],
    curve: power(1),
  },
  {
    name: 'an iCCP of grey',
    chunks: [colourChunk.iCCP(greyProfile(1.8))],
    curve: fromSrgb,
  },
  {
    name: 'iCCP of Adobe RGB before gAMA',
    chunks: [colourChunk.gAMA(1), colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.adobe, 563 / 256))],
    curve: power(563 / 256),
    matrix: 'adobe',
  },
]

const scaled = (rgb: readonly number[], depth: 8 | 16): number[] =>
  rgb.map((value) => (depth === 16 ? value * 257 : value))

const colourPngs: readonly ColourSource[] = ([8, 16] as const).flatMap((depth) =>
  MEANINGS.map(({ name, chunks, curve, matrix }) => ({
    name: `PNG of ${depth} bits, ${name}`,
    kind: 'png' as const,
    bytes: async () =>
      handmadePng({ width: WIDTH, height: PATCH, depth, chunks }, (x) => scaled(patchAt(x), depth)),
    wanted: PATCHES.map((rgb) => byRule(rgb, curve, matrix)),
  })),
)

/** Grey by a chunk or a profile of grey; with alpha too. */
const greyPngs: readonly ColourSource[] = ([8, 16] as const).flatMap((depth) =>
  (
    [
      ['gAMA 1.0', colourChunk.gAMA(1), power(1)],
      ['cICP of linear light', colourChunk.cICP(1, 8), power(1)],
      ['iCCP of grey 1.8', colourChunk.iCCP(greyProfile(1.8)), power(1.80078125)],
    ] as const
  ).flatMap(([name, chunk, curve]) =>
    ([0, 4] as const).map((colourType) => ({
      name: `grey PNG of ${depth} bits${colourType === 4 ? ' with alpha' : ''}, ${name}`,
      kind: 'png' as const,
      bytes: async () =>
        handmadePng({ width: WIDTH, height: PATCH, depth, colourType, chunks: [chunk] }, (x) => {
          const grey = greyOf(patchAt(x))
          return scaled(colourType === 4 ? [grey, 255] : [grey], depth)
        }),
      wanted: PATCHES.map((rgb) => {
        const grey = greyOf(rgb)
        return byRule([grey, grey, grey], curve)
      }),
    })),
  ),
)

const palettePng: ColourSource = {
  name: 'PNG with a palette, gAMA 1.0',
  kind: 'png',
  bytes: async () =>
    handmadePng(
      {
        width: WIDTH,
        height: PATCH,
        colourType: 3,
        chunks: [colourChunk.gAMA(1), pngChunk('PLTE', Buffer.from(PATCHES.flat()))],
      },
      (x) => [Math.floor(x / PATCH)],
    ),
  wanted: PATCHES.map((rgb) => byRule(rgb, power(1))),
}

const plain = (): Buffer => handmadePng({ width: WIDTH, height: PATCH }, patchAt)
const avifOf = (bitdepth: 8 | 10 | 12): Promise<Buffer> =>
  sharp(plain()).avif({ lossless: true, bitdepth, effort: 2 }).toBuffer()
const colourAvifs: readonly ColourSource[] = ([8, 10, 12] as const).flatMap((depth) => [
  ...(
    [
      ['nclx of P3', 12, 13, fromSrgb, 'p3'],
      ['nclx of linear light', 1, 8, power(1), undefined],
      ['nclx of BT.2020 with sRGB’s curve', 9, 13, fromSrgb, 'rec2020'],
      ['nclx of gamma 2.2', 1, 4, power(2.2), undefined],
      ['nclx of BT.709, which browsers show as sRGB', 1, 1, fromSrgb, undefined],
    ] as const
  ).map(([name, primaries, transfer, curve, matrix]) => ({
    name: `AVIF of ${depth} bits, ${name}`,
    kind: 'avif' as const,
    bytes: async () => withNclx(await avifOf(depth), primaries, transfer),
    wanted: PATCHES.map((rgb) => byRule(rgb, curve, matrix)),
  })),
  {
    name: `AVIF of ${depth} bits, ICC profile of P3`,
    kind: 'avif' as const,
    bytes: () => withProfile('avif', depth),
    wanted: PATCHES.map((rgb) => byRule(rgb, fromSrgb, 'p3')),
    slack: 2,
  },
])

/** The patches in Display P3 with its profile: what was made is read as P3, whatever its values were before. */
async function withProfile(format: 'avif' | 'jpeg' | 'webp', bitdepth: 8 | 10 | 12 = 8): Promise<Buffer> {
  const tagged = handmadePng(
    { width: WIDTH, height: PATCH, chunks: [colourChunk.iCCP(rgbProfile(ICC_PRIMARIES.p3))] },
    patchAt,
  )
  const image = sharp(tagged).keepIccProfile()
  if (format === 'avif') return image.avif({ lossless: true, bitdepth, effort: 2 }).toBuffer()
  return format === 'jpeg'
    ? image.jpeg({ quality: 100 }).toBuffer()
    : image.webp({ lossless: true }).toBuffer()
}
const taggedOthers: readonly ColourSource[] = (['jpeg', 'webp'] as const).map((kind) => ({
  name: `${kind === 'jpeg' ? 'JPEG' : 'WebP'}, ICC profile of P3`,
  kind,
  bytes: () => withProfile(kind),
  wanted: PATCHES.map((rgb) => byRule(rgb, fromSrgb, 'p3')),
  slack: kind === 'jpeg' ? 2 : 0,
}))

/** All of them. */
export const COLOUR_SOURCES: readonly ColourSource[] = [
  ...colourPngs,
  ...greyPngs,
  palettePng,
  ...colourAvifs,
  ...taggedOthers,
]

/** PQ and HLG, with 203 cd/m² as white (ITU-R BT.2408): by BT.2100's own formulas. */
export const HDR_SOURCES: readonly ColourSource[] = (['png', 'avif'] as const).flatMap((kind) =>
  (['PQ', 'HLG'] as const).map((name) => ({
    name: `${kind === 'png' ? 'PNG' : 'AVIF'}, ${name}`,
    kind,
    bytes: async () =>
      kind === 'png'
        ? handmadePng(
            { width: WIDTH, height: PATCH, chunks: [colourChunk.cICP(9, name === 'PQ' ? 16 : 18)] },
            patchAt,
          )
        : withNclx(await avifOf(10), 9, name === 'PQ' ? 16 : 18),
    wanted: PATCHES.map(name === 'PQ' ? fromPq : fromHlg),
  })),
)

function fromPq(rgb: Rgb): Rgb {
  return byRule(
    rgb,
    (value) => {
      const p = value ** (32 / 2523)
      const light = (Math.max(p - 3424 / 4096, 0) / (2413 / 128 - (2392 / 128) * p)) ** (16_384 / 2610)
      return (light * 10_000) / 203
    },
    'rec2020',
  )
}
function fromHlg(rgb: Rgb): Rgb {
  const [a, b, c] = [0.17883277, 1 - 4 * 0.17883277, 0.5 - 0.17883277 * Math.log(4 * 0.17883277)]
  const scene = rgb.map((sample) => {
    const value = sample / 255
    return value <= 0.5 ? value ** 2 / 3 : (Math.exp((value - c) / a) + b) / 12
  })
  const [r = 0, g = 0, blue = 0] = scene
  const luminance = 0.2627 * r + 0.678 * g + 0.0593 * blue
  const places = new Map(
    rgb.map((sample, index) => [sample / 255, ((scene[index] ?? 0) * (luminance ** 0.2 * 1000)) / 203]),
  )
  return byRule(rgb, (value) => places.get(value) ?? 0, 'rec2020')
}

/** The colours in the middle of the patches of a picture. */
export async function patchesOf(bytes: Buffer): Promise<readonly Rgb[]> {
  const { data, info } = await sharp(bytes)
    .flatten({ background: '#fff' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return PATCHES.map((_patch, index) => {
    const x = Math.floor(((index + 0.5) * info.width) / PATCHES.length)
    const at = (Math.floor(info.height / 2) * info.width + x) * info.channels
    return [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0]
  })
}

/** How many levels the farthest channel of the patches is off. */
export const farthest = (seen: readonly Rgb[], wanted: readonly Rgb[]): number =>
  Math.max(
    ...seen.flatMap((rgb, index) =>
      rgb.map((value, channel) => Math.abs(value - (wanted[index]?.[channel] ?? 0))),
    ),
  )

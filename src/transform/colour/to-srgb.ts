/** Decoded samples as sRGB of 8 bits. What sRGB cannot show is cut off. */
import type { OwnColour } from './colour.js'
import { HLG_GAMMA, HLG_PEAK, linearToSrgb, WHITE } from './transfer.js'

/** Steps of linear light in the table back to sRGB. */
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

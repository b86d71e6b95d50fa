/** What the photo-like pictures are painted with: planes of light, noise of many octaves, soft-edged shapes. */
import type { Die } from '../../../example-app/stage/pictures/draw.js'

/** Red, green and blue; 0 is black and 1 is white. */
export type Colour = readonly [red: number, green: number, blue: number]

/** One number for each pixel. */
export type Plane = Float32Array

/** A picture while it is painted. */
export interface Canvas {
  readonly width: number
  readonly height: number
  readonly planes: readonly [Plane, Plane, Plane]
}

/** Pixels of three bytes each. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Buffer
}

/** A black canvas. */
export function canvas(width: number, height: number): Canvas {
  const plane = () => new Float32Array(width * height)
  return { width, height, planes: [plane(), plane(), plane()] }
}

/** Between two numbers, or beyond neither. */
export const clamp = (value: number, low = 0, high = 1): number => Math.min(high, Math.max(low, value))

/** From 0 to 1 between two edges, without a corner. */
export function smooth(low: number, high: number, value: number): number {
  const share = clamp((value - low) / (high - low))
  return share * share * (3 - 2 * share)
}

/** A colour between two colours. */
export const mix = (from: Colour, to: Colour, share: number): Colour => [
  from[0] + (to[0] - from[0]) * share,
  from[1] + (to[1] - from[1]) * share,
  from[2] + (to[2] - from[2]) * share,
]

/** A colour made brighter or darker. */
export const scale = (colour: Colour, by: number): Colour => [colour[0] * by, colour[1] * by, colour[2] * by]

/** A colour that is a little off another. */
export const near = (roll: Die, [red, green, blue]: Colour, by: number): Colour => [
  clamp(red + roll(-by, by)),
  clamp(green + roll(-by, by)),
  clamp(blue + roll(-by, by)),
]

/** Noise at a place, about -1 to 1. `gain` is the strength of an octave beside that of the one before. */
export type Noise = (x: number, y: number, octaves?: number, gain?: number) => number

const TABLE = 256

/** Value noise of a die. An octave is twice as fine as the one before; places are in cells of the first one. */
export function noise(roll: Die): Noise {
  const table = Float32Array.from({ length: TABLE * TABLE }, () => roll(-1, 1))
  const octave = (x: number, y: number): number => {
    const column = Math.floor(x)
    const row = Math.floor(y)
    const u = x - column
    const v = y - row
    const a = u * u * (3 - 2 * u)
    const upper = (row & 255) * TABLE
    const lower = ((row + 1) & 255) * TABLE
    const left = column & 255
    const right = (column + 1) & 255
    const top = (table[upper + left] ?? 0) * (1 - a) + (table[upper + right] ?? 0) * a
    const bottom = (table[lower + left] ?? 0) * (1 - a) + (table[lower + right] ?? 0) * a
    return top + (bottom - top) * v * v * (3 - 2 * v)
  }
  return (x, y, octaves = 1, gain = 0.6) => {
    let sum = 0
    let strength = 1
    let total = 0
    let cells = 1
    for (let index = 0; index < octaves; index += 1) {
      // The shift keeps the corners of the octaves' cells apart.
      sum += strength * octave(x * cells + index * 37.3, y * cells + index * 17.7)
      total += strength * strength
      strength *= gain
      cells *= 2
    }
    return (sum / Math.sqrt(total)) * 2
  }
}

/** Sets every pixel. */
export function fill(target: Canvas, colourAt: (x: number, y: number) => Colour): void {
  const { width, height, planes } = target
  for (let y = 0, index = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, index += 1) {
      const colour = colourAt(x, y)
      planes[0][index] = colour[0]
      planes[1][index] = colour[1]
      planes[2][index] = colour[2]
    }
  }
}

/** Paints over every pixel where `cover` is more than 0. */
export function over(
  target: Canvas,
  cover: (x: number, y: number) => number,
  colourAt: (x: number, y: number) => Colour,
): void {
  const { width, height } = target
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const share = cover(x, y)
      if (share > 0) put(target, y * width + x, colourAt(x, y), Math.min(1, share))
    }
  }
}

function put({ planes: [red, green, blue] }: Canvas, index: number, colour: Colour, share: number): void {
  const keep = 1 - share
  red[index] = (red[index] ?? 0) * keep + colour[0] * share
  green[index] = (green[index] ?? 0) * keep + colour[1] * share
  blue[index] = (blue[index] ?? 0) * keep + colour[2] * share
}

/** Where a shape lies. `soft` is the width of its edge in pixels. */
export interface Place {
  readonly x: number
  readonly y: number
  readonly rx: number
  readonly ry: number
  readonly angle?: number
  readonly soft?: number
}

/** How far from its middle a place is, with 1 at the edge; the sides reach from -1 to 1. */
export type Outline = (u: number, v: number) => number

/** An ellipse. */
export const disc: Outline = (u, v) => Math.hypot(u, v)
/** A rectangle. */
export const box: Outline = (u, v) => Math.max(Math.abs(u), Math.abs(v))
/** A leaf, pointed at both ends. */
export const leaf: Outline = (u, v) => Math.max(Math.abs(u), Math.abs(v) / Math.max(0.02, 1 - u * u))

/** Paints one shape. */
export function shape(
  target: Canvas,
  place: Place,
  outline: Outline,
  colour: Colour | ((u: number, v: number, x: number, y: number) => Colour),
  opacity = 1,
): void {
  const { x: cx, y: cy, rx, ry, angle = 0, soft = 1.4 } = place
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const small = Math.min(rx, ry)
  // An edge that is soft reaches out of the outline by half of itself.
  const grown = 1 + soft / small / 2
  const across = grown * (Math.abs(cos) * rx + Math.abs(sin) * ry)
  const down = grown * (Math.abs(sin) * rx + Math.abs(cos) * ry)
  const top = Math.max(0, Math.floor(cy - down))
  const bottom = Math.min(target.height - 1, Math.ceil(cy + down))
  const left = Math.max(0, Math.floor(cx - across))
  const right = Math.min(target.width - 1, Math.ceil(cx + across))
  for (let y = top; y <= bottom; y += 1) {
    for (let x = left; x <= right; x += 1) {
      const u = ((x - cx) * cos + (y - cy) * sin) / rx
      const v = ((y - cy) * cos - (x - cx) * sin) / ry
      const share = clamp(((1 - outline(u, v)) * small) / soft + 0.5) * opacity
      if (share <= 0) continue
      const paint = typeof colour === 'function' ? colour(u, v, x, y) : colour
      put(target, y * target.width + x, paint, share)
    }
  }
}

/** Paints a line along points, thinner toward its end. */
export function stroke(
  target: Canvas,
  points: readonly (readonly [x: number, y: number])[],
  thick: number,
  colour: Colour,
  opacity = 1,
): void {
  const [first] = points
  if (first === undefined) return
  let [x, y] = first
  points.slice(1).forEach(([toX, toY], index) => {
    const share = 1 - (index / points.length) * 0.8
    const radius = Math.max(0.4, (thick * share) / 2)
    const steps = Math.max(1, Math.ceil(Math.hypot(toX - x, toY - y) / Math.max(1, radius)))
    for (let step = 0; step < steps; step += 1) {
      const part = step / steps
      const place = { x: x + (toX - x) * part, y: y + (toY - y) * part, rx: radius, ry: radius, soft: 1 }
      shape(target, place, disc, colour, opacity)
    }
    ;[x, y] = [toX, toY]
  })
}

/** What lies out of focus: three passes of a box are near a Gaussian. */
export function blur(target: Canvas, radius: number): void {
  for (const plane of target.planes) blurPlane(plane, target.width, target.height, radius)
}

function blurPlane(plane: Plane, width: number, height: number, radius: number): void {
  const reach = Math.max(1, Math.round(radius / Math.sqrt(3)))
  const line = new Float32Array(Math.max(width, height))
  const along = (start: number, stride: number, length: number): void => {
    for (let index = 0; index < length; index += 1) line[index] = plane[start + index * stride] ?? 0
    const [first, last] = [line[0] ?? 0, line[length - 1] ?? 0]
    let sum = first * reach
    for (let index = 0; index <= reach; index += 1) sum += line[index] ?? 0
    for (let index = 0; index < length; index += 1) {
      plane[start + index * stride] = sum / (2 * reach + 1)
      const next = index + reach + 1
      const gone = index - reach
      sum += (next < length ? (line[next] ?? 0) : last) - (gone > 0 ? (line[gone] ?? 0) : first)
    }
  }
  for (let pass = 0; pass < 3; pass += 1) {
    for (let y = 0; y < height; y += 1) along(y * width, 1, width)
    for (let x = 0; x < width; x += 1) along(x, width, height)
  }
}

/** How a picture is taken: the softness of the lens, the grain of the sensor, and colour or none. */
export interface Camera {
  /** Share of each pixel that its neighbours get, 0 to 1. */
  readonly lens: number
  /** Deviation of the grain at middle grey, in steps of 255. */
  readonly grain: number
  /** How much darker the corners are. */
  readonly vignette: number
  readonly mono?: boolean
}

/** The pixels of a painted scene as a camera sees it: a soft lens, grain that is stronger in the dark, a curve. */
export function develop(scene: Canvas, roll: Die, camera: Camera): Pixels {
  const { width, height, planes } = scene
  for (const plane of planes) soften(plane, width, height, camera.lens)
  const data = Buffer.alloc(width * height * 3)
  // Grain of a sensor spreads over neighbours, since each pixel has one colour of three.
  const [shared, ...own] = [0, 1, 2, 3].map(() => grainOf(width * height, roll.whole(1, 1e9)))
  if (shared === undefined) return { width, height, data }
  for (const grain of [shared, ...own]) soften(grain, width, height, 0.5)
  for (const [channel, plane] of planes.entries()) {
    const grain = camera.mono ? shared : (own[channel] ?? shared)
    for (let y = 0, index = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, index += 1) {
        const corner = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
        const light = camera.mono ? greyOf(planes, index) : (plane[index] ?? 0)
        const value = clamp(light * (1 - camera.vignette * corner))
        const noise = 0.7 * ((shared[index] ?? 0) + (grain[index] ?? 0)) * camera.grain * (1.35 - 0.7 * value)
        // A gentle curve, as cameras put on.
        const curved = value + 0.05 * Math.sin(2 * Math.PI * (value - 0.5))
        data[index * 3 + channel] = clamp(curved * 255 + noise, 0, 255) + 0.5
      }
    }
  }
  return { width, height, data }
}

/** Numbers of about a normal distribution, of mean 0 and deviation 1: the four bytes of a random number, added. */
function grainOf(length: number, seed: number): Plane {
  const grain = new Float32Array(length)
  let state = seed
  for (let index = 0; index < length; index += 1) {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    mixed ^= mixed >>> 14
    const bytes = (mixed & 255) + ((mixed >>> 8) & 255) + ((mixed >>> 16) & 255) + (mixed >>> 24)
    grain[index] = (bytes - 510) / 147.8
  }
  return grain
}

const greyOf = ([red, green, blue]: Canvas['planes'], index: number): number =>
  0.299 * (red[index] ?? 0) + 0.587 * (green[index] ?? 0) + 0.114 * (blue[index] ?? 0)

/** Mixes each pixel with the mean of its four neighbours. */
function soften(plane: Plane, width: number, height: number, share: number): void {
  if (share <= 0) return
  const before = plane.slice()
  for (let y = 0, index = 0; y < height; y += 1) {
    const up = y > 0 ? -width : 0
    const down = y < height - 1 ? width : 0
    for (let x = 0; x < width; x += 1, index += 1) {
      const own = before[index] ?? 0
      const across = (before[index - 1] ?? own) + (before[index + 1] ?? own)
      const around = (across + (before[index + up] ?? own) + (before[index + down] ?? own)) / 4
      plane[index] = own + (around - own) * share
    }
  }
}

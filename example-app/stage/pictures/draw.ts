/** What every picture is drawn with: a seeded die, colours, and smooth lines. */

/** Numbers that look random and are the same for the same seed. */
export interface Die {
  /** Between two numbers. */
  (low: number, high: number): number
  /** One of a list. */
  pick<T>(list: readonly T[]): T
  whole(low: number, high: number): number
}

/** A die by mulberry32. */
export function die(seed: number): Die {
  let state = (seed * 2654435761) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const between = (low: number, high: number) => low + next() * (high - low)
  const whole = (low: number, high: number) => Math.floor(between(low, high + 1))
  const pick = <T>(list: readonly T[]): T => {
    const chosen = list[whole(0, list.length - 1)]
    if (chosen === undefined) throw new Error('an empty list')
    return chosen
  }
  return Object.assign(between, { pick, whole })
}

/** Five colours from deep to bright. */
export type Palette = readonly [night: string, deep: string, middle: string, light: string, glow: string]

/** A way of drawing a cover. */
export type Style = (roll: Die, palette: Palette) => string

/** What a scene is drawn in. */
export interface Frame {
  readonly width: number
  readonly height: number
  readonly roll: Die
  readonly palette: Palette
}

/** Palettes of an evening. */
const PALETTES: readonly Palette[] = [
  ['#1b1436', '#4a2e66', '#b0476f', '#f28a5c', '#ffd9a0'],
  ['#0d1b2a', '#1b3a4b', '#2f6f73', '#86b89a', '#f3e9c6'],
  ['#2b0f1e', '#6b1d3a', '#c13c4c', '#f07f5a', '#ffe2b8'],
  ['#101c33', '#233a6b', '#4f6fb5', '#9fb8e8', '#fdf0d5'],
  ['#1c1a17', '#4b3b2a', '#9a6a3c', '#dfa55a', '#fbe7bd'],
  ['#12201b', '#234438', '#4b7a57', '#a5b86c', '#f4efb8'],
  ['#1a1029', '#3b2170', '#7a3fb0', '#d07fd0', '#ffe0f0'],
  ['#08212b', '#0f4c5c', '#e36414', '#fb8b24', '#ffe8c2'],
  ['#14141f', '#33334f', '#5f5f8c', '#c2a5a8', '#f7ddd0'],
  ['#211021', '#5a1846', '#900c3f', '#ff5733', '#ffc300'],
]

/** The palette of a seed. */
export const paletteOf = (seed: number): Palette =>
  PALETTES[seed % PALETTES.length] ?? ['#111', '#333', '#666', '#aaa', '#eee']

/** A smooth line through points, closed along the bottom. */
export function hill(points: readonly (readonly [number, number])[], bottom: number): string {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined) return ''
  const curves = points.slice(1).map(([x, y], index) => {
    const [px, py] = points[index] ?? first
    const middle = (px + x) / 2
    return `C${middle.toFixed(1)} ${py.toFixed(1)} ${middle.toFixed(1)} ${y.toFixed(1)} ${x.toFixed(1)} ${y.toFixed(1)}`
  })
  return `M${first[0]} ${bottom}L${first[0]} ${first[1].toFixed(1)}${curves.join('')}L${last[0]} ${bottom}Z`
}

/** A whole SVG document. */
export const svg = (width: number, height: number, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${body}</svg>`

/** A linear gradient from top to bottom (or left to right). */
export const gradient = (id: string, colours: readonly string[], across = false): string =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="${across ? 1 : 0}" y2="${across ? 0 : 1}">${colours
    .map(
      (colour, index) => `<stop offset="${index / Math.max(1, colours.length - 1)}" stop-color="${colour}"/>`,
    )
    .join('')}</linearGradient>`

/** A soft light. */
export const light = (id: string, colour: string, strength = 0.9): string =>
  `<radialGradient id="${id}"><stop offset="0" stop-color="${colour}" stop-opacity="${strength}"/><stop offset="1" stop-color="${colour}" stop-opacity="0"/></radialGradient>`

/** `count` things, joined. */
export const times = (count: number, draw: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => draw(index)).join('')

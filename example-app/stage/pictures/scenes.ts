/** Film pictures: one scene, drawn tall for the poster and wide for the backdrop in the same palette. */
import { die, type Frame, gradient, hill, light, paletteOf, svg, times } from './draw.js'
import { birds, clouds, dunes, figure, forest, lighthouse, observatory, street } from './scenery.js'

const ridges = (
  { width, height, roll, palette: [night, deep, middle, bright] }: Frame,
  from: number,
  count = 5,
): string => {
  const tones = [bright, middle, deep, deep, night, night]
  return times(count, (index) => {
    const base = height * (from + ((0.98 - from) * index) / count)
    const steps = 7 + index
    const points = Array.from(
      { length: steps + 1 },
      (_, step) => [(step / steps) * width, base + roll(-0.06, 0.06) * height] as const,
    )
    return `<path d="${hill(points, height)}" fill="${tones[index] ?? night}" fill-opacity="${0.55 + index * 0.1}"/>`
  })
}

const stars = ({ width, height, roll, palette }: Frame, count: number): string =>
  times(
    count,
    () =>
      `<circle cx="${roll(0, width).toFixed(0)}" cy="${roll(0, height * 0.55).toFixed(0)}" r="${roll(0.6, 2.6).toFixed(1)}" fill="${palette[4]}" fill-opacity="${roll(0.3, 1).toFixed(2)}"/>`,
  )

const disc = ({ width, height, roll, palette }: Frame, size = 0.13): string => {
  const [x, y] = [width * roll(0.3, 0.7), height * roll(0.24, 0.4)]
  const r = Math.min(width, height) * size
  return `<circle cx="${x}" cy="${y}" r="${r * 4}" fill="url(#glow)"/><circle cx="${x}" cy="${y}" r="${r}" fill="${palette[4]}"/>`
}

const pines = ({ width, height, roll, palette: [night] }: Frame): string =>
  times(Math.round(width / 26), (index) => {
    const [x, tall] = [index * 26 + roll(-12, 12), roll(0.1, 0.26) * height]
    const foot = height * roll(0.96, 1.03)
    const half = tall * 0.17
    const tier = (share: number, spread: number) =>
      `M${x} ${foot - tall * share}L${x - half * spread} ${foot - tall * (share - 0.42)}H${x + half * spread}Z`
    return `<path d="${tier(1, 0.6)}${tier(0.78, 0.85)}${tier(0.55, 1.1)}" fill="${night}"/>`
  })

const skyline = ({ width, height, roll, palette: [night, deep, , bright, glow] }: Frame): string => {
  const row = (tone: string, tallest: number, lit: boolean) => {
    let out = ''
    for (let x = -20; x < width; ) {
      const w = roll(0.035, 0.085) * Math.max(width, height * 0.9)
      const top = height - roll(tallest * 0.45, tallest) * height
      out += `<rect x="${x.toFixed(0)}" y="${top.toFixed(0)}" width="${w.toFixed(0)}" height="${height}" fill="${tone}"/>`
      if (roll(0, 1) < 0.3)
        out += `<rect x="${(x + w / 2).toFixed(0)}" y="${(top - height * 0.05).toFixed(0)}" width="4" height="${height * 0.05}" fill="${tone}"/>`
      if (lit)
        for (let y = top + 18; y < height; y += 26)
          for (let wx = x + 12; wx < x + w - 16; wx += 22)
            if (roll(0, 1) < 0.34)
              out += `<rect x="${wx.toFixed(0)}" y="${y.toFixed(0)}" width="9" height="13" fill="${roll(0, 1) < 0.5 ? glow : bright}" fill-opacity="${roll(0.45, 1).toFixed(2)}"/>`
      x += w + roll(-2, 6)
    }
    return out
  }
  return row(deep, 0.56, false) + row(night, 0.4, true)
}

const sea = (frame: Frame): string => {
  const {
    width,
    height,
    roll,
    palette: [night, deep, , bright, glow],
  } = frame
  const top = height * 0.6
  const glints = times(70, () => {
    const y = roll(top + 6, height)
    const far = (y - top) / (height - top)
    const w = roll(20, 90) * (0.4 + far * 1.6)
    return `<rect x="${(width / 2 + roll(-0.16, 0.16) * width * (0.35 + far) - w / 2).toFixed(0)}" y="${y.toFixed(0)}" width="${w.toFixed(0)}" height="${(2 + far * 5).toFixed(1)}" rx="2" fill="${roll(0, 1) < 0.6 ? glow : bright}" fill-opacity="${roll(0.25, 0.75).toFixed(2)}"/>`
  })
  const boat = `<g transform="translate(${width * 0.3} ${height * 0.71}) scale(${Math.min(width, height) / 1000})" fill="${night}"><path d="M-90 0H90L60 34H-64Z"/><path d="M-6 -10V-190L86 -16Z"/><path d="M-14 -10V-150L-70 -16Z" fill-opacity="0.85"/></g>`
  return `<defs>${gradient('water', [deep, night])}</defs><rect y="${top}" width="${width}" height="${height}" fill="url(#water)"/>${glints}${boat}`
}

const planet = ({ width, height, roll, palette: [night, deep, middle, bright, glow] }: Frame): string => {
  const r = Math.min(width, height) * 0.34
  const [x, y] = [width * roll(0.42, 0.62), height * 0.42]
  const bands = times(
    7,
    (index) =>
      `<rect x="${x - r}" y="${y - r + (index * 2 * r) / 7}" width="${r * 2}" height="${roll(0.06, 0.16) * r}" fill="${index % 2 ? bright : deep}" fill-opacity="0.45"/>`,
  )
  return `<defs><clipPath id="ball"><circle cx="${x}" cy="${y}" r="${r}"/></clipPath>${gradient('body', [bright, middle, night], true)}</defs><circle cx="${x}" cy="${y}" r="${r * 1.8}" fill="url(#glow)"/><g clip-path="url(#ball)"><circle cx="${x}" cy="${y}" r="${r}" fill="url(#body)"/>${bands}<circle cx="${x + r * 0.55}" cy="${y + r * 0.25}" r="${r * 1.15}" fill="${night}" fill-opacity="0.5"/></g><ellipse cx="${x}" cy="${y}" rx="${r * 1.7}" ry="${r * 0.32}" fill="none" stroke="${glow}" stroke-opacity="0.75" stroke-width="${r * 0.05}" transform="rotate(-16 ${x} ${y})"/>`
}

const road = ({ width, height, palette: [night, , , , glow] }: Frame): string =>
  `<path d="M${width * 0.5} ${height * 0.62}L${width * 0.86} ${height}H${width * 0.14}Z" fill="${night}"/>${times(
    6,
    (index) => {
      const [a, b] = [0.66 + index * index * 0.0105, 0.672 + index * index * 0.0125]
      return `<rect x="${width * 0.5 - 2 - index * 1.6}" y="${height * a}" width="${4 + index * 3.2}" height="${height * (b - a) + 6}" fill="${glow}" fill-opacity="0.9"/>`
    },
  )}`

/** A scene for each film, in the order of the films. */
const SCENES: readonly ((frame: Frame) => string)[] = [
  (frame) => clouds(frame) + disc(frame) + ridges(frame, 0.5) + pines(frame) + birds(frame),
  (frame) => stars(frame, 90) + disc(frame, 0.1) + skyline(frame),
  (frame) => clouds(frame) + disc(frame, 0.17) + sea(frame) + birds(frame),
  (frame) => stars(frame, 220) + planet(frame) + ridges(frame, 0.82, 3) + figure(frame),
  (frame) => clouds(frame) + disc(frame, 0.2) + dunes(frame) + figure(frame),
  (frame) => clouds(frame) + disc(frame, 0.12) + ridges(frame, 0.46, 3) + road(frame) + birds(frame),
  (frame) => forest(frame) + figure(frame),
  street,
  (frame) => stars(frame, 60) + clouds(frame) + sea(frame) + lighthouse(frame),
  (frame) => stars(frame, 120) + observatory(frame),
]
const NIGHTS = new Set([3, 7, 9])

function scene(seed: number, version: number, width: number, height: number): string {
  const palette = paletteOf(seed * 7 + version * 3)
  const [night, deep, middle, bright, glow] = palette
  const frame: Frame = { width, height, roll: die(seed * 53 + version * 17 + width), palette }
  const draw = SCENES[seed % SCENES.length] ?? sea
  const at = seed % SCENES.length
  const sky = NIGHTS.has(at) ? [night, deep, at === 9 ? middle : deep] : [deep, middle, bright, glow]
  const defs = `<defs>${gradient('sky', sky)}${light('glow', glow, 0.75)}${gradient('shade', ['#00000000', '#00000000', `${night}cc`])}</defs>`
  return svg(
    width,
    height,
    `${defs}<rect width="${width}" height="${height}" fill="url(#sky)"/>${draw(frame)}<rect width="${width}" height="${height}" fill="url(#shade)"/>`,
  )
}

/** A poster of 1000 × 1500. */
export const poster = (seed: number, version = 0): string => scene(seed, version, 1000, 1500)

/** A backdrop of 1920 × 1080. */
export const backdrop = (seed: number, version = 0): string => scene(seed, version, 1920, 1080)

/** Album covers: eleven styles, each in any palette. */
import { die, gradient, hill, light, paletteOf, type Style, svg, times } from './draw.js'
import { leaves, mesh, orbits } from './more-covers.js'

const SIDE = 1000

const rect = (fill: string): string => `<rect width="${SIDE}" height="${SIDE}" fill="${fill}"/>`

const retroSun: Style = (roll, [night, deep, middle, bright, glow]) => {
  const y = roll(430, 560)
  const r = roll(250, 320)
  const bands = times(
    7,
    (index) =>
      `<rect x="0" y="${y + 10 + index * 42}" width="${SIDE}" height="${6 + index * 5}" fill="url(#sky)"/>`,
  )
  return `<defs>${gradient('sky', [night, deep, middle])}${gradient('sun', [glow, bright])}</defs>${rect('url(#sky)')}<circle cx="500" cy="${y}" r="${r}" fill="url(#sun)"/>${bands}<path d="${hill(
    [
      [0, 860],
      [250, 790],
      [520, 850],
      [760, 780],
      [1000, 840],
    ],
    SIDE,
  )}" fill="${night}"/>`
}

const bauhaus: Style = (roll, palette) => {
  const cell = 250
  const tile = (index: number) => {
    const [x, y] = [(index % 4) * cell, Math.floor(index / 4) * cell]
    const [a, b] = [roll.pick(palette), roll.pick(palette)]
    const turn = roll.whole(0, 3) * 90
    const shape = roll.pick([
      `<path d="M0 0H${cell}A${cell} ${cell} 0 0 1 0 ${cell}Z"/>`,
      `<circle cx="125" cy="125" r="${roll.pick([125, 80, 50])}"/>`,
      `<path d="M0 0H${cell}L0 ${cell}Z"/>`,
      `<path d="M0 125A125 125 0 0 1 250 125ZM0 250A125 125 0 0 1 250 250Z"/>`,
      `<path d="M0 0H62V250H0ZM125 0H187V250H125Z"/>`,
    ])
    return `<g transform="translate(${x} ${y})"><rect width="${cell + 1}" height="${cell + 1}" fill="${a}"/><g fill="${b}" transform="rotate(${turn} 125 125)">${shape}</g></g>`
  }
  return rect(palette[1]) + times(16, tile)
}

const waves: Style = (roll, [night, deep, middle, bright, glow]) => {
  const tones = [glow, bright, middle, middle, deep, deep, night]
  const layer = (index: number) => {
    const base = 260 + index * 110
    const points = Array.from({ length: 7 }, (_, step) => [step * 180 - 40, base + roll(-70, 70)] as const)
    return `<path d="${hill(points, SIDE)}" fill="${tones[index] ?? night}" fill-opacity="${0.78 + index * 0.03}"/>`
  }
  return `<defs>${gradient('sky', [deep, middle, bright])}${light('l', glow)}</defs>${rect('url(#sky)')}<circle cx="${roll(250, 750)}" cy="240" r="340" fill="url(#l)"/><circle cx="${roll(300, 700)}" cy="230" r="92" fill="${glow}"/>${times(7, layer)}`
}

const arcs: Style = (roll, palette) => {
  const [night, , , , glow] = palette
  const x = roll.pick([0, 500, 1000])
  const y = roll.pick([1000, 1000, 0])
  const ring = (index: number) =>
    `<circle cx="${x}" cy="${y}" r="${1080 - index * 92}" fill="${palette[(index % 4) + 1] ?? glow}"/>`
  return `${rect(night)}${times(11, ring)}<circle cx="${x}" cy="${y}" r="70" fill="${night}"/>`
}

const contours: Style = (roll, [night, deep, middle, bright, glow]) => {
  const [cx, cy] = [roll(350, 650), roll(350, 650)]
  const bumps = [roll(0.1, 0.24), roll(0.04, 0.13), roll(0.02, 0.06)]
  const [p, q, s] = [roll(0, 6), roll(0, 6), roll(0, 6)]
  const line = (index: number) => {
    const r = 40 + index * 30
    const points = Array.from({ length: 73 }, (_, step) => {
      const angle = (step / 72) * Math.PI * 2
      const swell =
        1 +
        (bumps[0] ?? 0) * Math.sin(2 * angle + p + index * 0.05) +
        (bumps[1] ?? 0) * Math.sin(3 * angle + q) +
        (bumps[2] ?? 0) * Math.sin(5 * angle + s)
      return `${(cx + r * swell * Math.cos(angle)).toFixed(1)} ${(cy + r * swell * Math.sin(angle)).toFixed(1)}`
    })
    return `<path d="M${points.join('L')}Z" fill="none" stroke="${index % 5 === 0 ? glow : bright}" stroke-width="${index % 5 === 0 ? 6 : 2.5}" stroke-opacity="${(1 - index / 34).toFixed(2)}"/>`
  }
  return `<defs>${gradient('bg', [deep, night])}${light('l', middle, 0.8)}</defs>${rect('url(#bg)')}<circle cx="${cx}" cy="${cy}" r="520" fill="url(#l)"/>${times(30, line)}`
}

const riso: Style = (roll, [, deep, middle, bright, glow]) => {
  const blobs = [deep, middle, bright, middle, bright]
  const blob = (index: number) =>
    `<circle cx="${roll(220, 780)}" cy="${roll(220, 780)}" r="${roll(150, 330)}" fill="${blobs[index] ?? middle}" style="mix-blend-mode:multiply" fill-opacity="0.86"/>`
  const dots = times(18 * 18, (index) => {
    const [column, row] = [index % 18, Math.floor(index / 18)]
    const r = 2 + 9 * Math.abs(Math.sin((column + row) / 9))
    return `<circle cx="${40 + column * 54}" cy="${40 + row * 54}" r="${r.toFixed(1)}" fill="${deep}" fill-opacity="0.16"/>`
  })
  return rect(glow) + blob(0) + times(4, (index) => blob(index + 1)) + dots
}

const bars: Style = (roll, [night, deep, middle, bright, glow]) => {
  const bar = (index: number) => {
    const height = 120 + 620 * Math.abs(Math.sin(index * roll(0.24, 0.34) + roll(0, 0.6)))
    return `<rect x="${62 + index * 37}" y="${500 - height / 2}" width="20" height="${height.toFixed(0)}" rx="10" fill="url(#bar)"/>`
  }
  return `<defs>${gradient('bg', [night, deep])}<linearGradient id="bar" gradientUnits="userSpaceOnUse" x1="0" y1="130" x2="0" y2="870"><stop offset="0" stop-color="${glow}"/><stop offset="0.5" stop-color="${bright}"/><stop offset="1" stop-color="${middle}"/></linearGradient></defs>${rect('url(#bg)')}${times(24, bar)}`
}

const folded: Style = (roll, palette) => {
  const [night, , , , glow] = palette
  const ribbon = (index: number) => {
    const y = 80 + index * 105
    const bend = roll(-140, 140)
    return `<path d="M-50 ${y}C250 ${y + bend} 750 ${y - bend} 1050 ${y}V${y + 118}C750 ${y + 118 - bend} 250 ${y + 118 + bend} -50 ${y + 118}Z" fill="url(#r${index % 4})"/>`
  }
  const tones = palette
    .slice(0, 4)
    .map((tone, index) => gradient(`r${index}`, [tone, palette[index + 1] ?? glow], true))
  return `<defs>${tones.join('')}</defs>${rect(night)}<g transform="rotate(${roll(-24, 24)} 500 500) scale(1.25) translate(-100 -100)">${times(9, ribbon)}</g>`
}

const STYLES: readonly Style[] = [
  retroSun,
  bauhaus,
  waves,
  arcs,
  contours,
  riso,
  bars,
  folded,
  mesh,
  leaves,
  orbits,
]
/** The albums' titles were written for the first eight, in turn; one is an afterglow. */
const styleOf = (seed: number, version: number): Style =>
  STYLES[seed === 8 ? (8 + version) % STYLES.length : ((seed % 8) + version * 3) % STYLES.length] ?? waves

/** A cover of 1000 × 1000. The seed chooses style and palette; a version moves both on. */
export const cover = (seed: number, version = 0): string =>
  svg(
    SIDE,
    SIDE,
    styleOf(seed, version)(
      die(seed * 31 + version * 7),
      paletteOf((seed === 8 ? 0 : seed * 3 + Math.floor(seed / 8)) + version * 4),
    ),
  )

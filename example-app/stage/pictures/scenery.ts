/** More places for films, and the one who walks through them. */
import { type Frame, gradient, hill, type Palette, times } from './draw.js'

/** Someone in a long coat, seen from behind, with a shadow. */
export const figure = ({ width, height, palette: [night, , , , glow] }: Frame): string =>
  `<g transform="translate(${width * 0.52} ${height * 0.92}) scale(${Math.min(width, height) / 1100})"><ellipse cx="0" cy="4" rx="74" ry="9" fill="${night}" fill-opacity="0.6"/><g fill="${night}"><circle cx="2" cy="-204" r="17"/><path d="M-5 -190H9L10 -178H-6Z"/><path d="M-22 -176Q2 -188 26 -176L34 -112L30 -92L38 -34Q2 -22 -34 -34L-26 -92L-30 -112Z"/><path d="M-17 -36L-13 2H-3L1 -34L7 2H17L21 -36Z"/></g><path d="M19 -204A17 17 0 0 0 8 -220M26 -176L34 -112L30 -92L38 -34" fill="none" stroke="${glow}" stroke-opacity="0.75" stroke-width="2.4"/></g>`

/** Birds, far away. */
export const birds = ({ width, height, roll, palette: [night] }: Frame): string =>
  times(6, () => {
    const [x, y, s] = [width * roll(0.15, 0.85), height * roll(0.14, 0.42), roll(7, 17)]
    return `<path d="M${x - s * 2} ${y - s * 0.5}Q${x - s} ${y - s} ${x} ${y}Q${x + s} ${y - s} ${x + s * 2} ${y - s * 0.5}" fill="none" stroke="${night}" stroke-width="${s / 4}" stroke-linecap="round"/>`
  })

/** Long thin clouds across the sky. */
export const clouds = ({ width, height, roll, palette: [, , middle, bright, glow] }: Frame): string =>
  times(7, (index) => {
    const [x, y] = [width * roll(-0.1, 0.8), height * roll(0.08, 0.5)]
    const [w, h] = [width * roll(0.2, 0.55), height * roll(0.006, 0.018)]
    return `<rect x="${x}" y="${y}" width="${w}" height="${h}" rx="${h / 2}" fill="${[middle, bright, glow][index % 3]}" fill-opacity="${roll(0.16, 0.42)}"/>`
  })

/** Tall trunks with light falling between them. */
export const forest = (frame: Frame): string => {
  const { width, height, roll, palette } = frame
  const [night, deep, middle, bright, glow] = palette
  const row = (count: number, tone: string, thick: number) =>
    times(count, (index) => {
      const x = ((index + roll(0.1, 0.9)) / count) * width
      const w = thick * roll(0.7, 1.3)
      const lean = roll(-0.012, 0.012) * height
      return `<path d="M${x} -10L${x + w} -10L${x + w * 1.25 + lean} ${height}L${x - w * 0.25 + lean} ${height}Z" fill="${tone}"/>${branch(x + w / 2, height * roll(0.1, 0.4), w, tone)}`
    })
  const branch = (x: number, y: number, w: number, tone: string) => {
    const reach = roll(-5, 5) * w
    return `<path d="M${x} ${y}Q${x + reach * 0.5} ${y - w * 0.6} ${x + reach} ${y - w * 2.2}" fill="none" stroke="${tone}" stroke-width="${w * 0.2}" stroke-linecap="round"/>`
  }
  const shafts = times(7, (index) => {
    const x = width * (0.12 + index * 0.14)
    return `<path d="M${x} 0L${x + width * 0.05} 0L${x - width * 0.14} ${height}L${x - width * 0.3} ${height}Z" fill="${glow}" fill-opacity="${roll(0.05, 0.13)}"/>`
  })
  const floor = hill(
    Array.from({ length: 8 }, (_, step) => [(step / 7) * width, height * roll(0.84, 0.89)] as const),
    height,
  )
  const unit = Math.min(width, height) / 1000
  return `<circle cx="${width * 0.54}" cy="${height * 0.5}" r="${Math.max(width, height) * 0.46}" fill="url(#glow)"/>${row(Math.round(width / 70), middle, 14 * unit)}<rect width="${width}" height="${height}" fill="${bright}" fill-opacity="0.16"/>${row(Math.round(width / 130), deep, 30 * unit)}${shafts}<path d="${floor}" fill="${night}"/>${row(Math.round(width / 330), night, 74 * unit)}`
}

/** A wet street between lit fronts; signs without words. */
export const street = (frame: Frame): string => {
  const { width, height, roll, palette } = frame
  const [night, deep, middle, bright, glow] = palette
  const [cx, horizon] = [width / 2, height * 0.62]
  const side = (sign: 1 | -1) =>
    times(6, (index) => {
      const near = (5 - index) / 6
      const at = (share: number) => cx + sign * width * (0.06 + share ** 1.5 * 0.5)
      const [x1, x2] = [at(1 - near), at(1 - near + 1 / 6)]
      const top = horizon - height * (0.16 + (1 - near) * 0.62) * roll(0.85, 1.1)
      const foot = horizon + height * (1 - near) * 0.34
      const tone = [deep, night][index % 2] ?? night
      const w = Math.abs(x2 - x1)
      const left = Math.min(x1, x2)
      const windows = times(Math.round(3 + index * 3), () => {
        const [wx, wy] = [left + roll(0.12, 0.72) * w, top + roll(0.06, 0.75) * (foot - top)]
        return `<rect x="${wx}" y="${wy}" width="${w * 0.14}" height="${w * 0.2}" fill="${roll.pick([glow, bright])}" fill-opacity="${roll(0.35, 0.95)}"/>`
      })
      const hue = roll.pick([middle, bright, glow])
      const [sx, sy] = [sign > 0 ? left : left + w * 0.78, top + (foot - top) * roll(0.28, 0.5)]
      const board = `<rect x="${sx - w * 0.08}" y="${sy - w * 0.08}" width="${w * 0.38}" height="${w * 1.16}" rx="6" fill="${hue}" fill-opacity="0.28"/><rect x="${sx}" y="${sy}" width="${w * 0.22}" height="${w}" rx="5" fill="${hue}"/>`
      return `<rect x="${left}" y="${top}" width="${w + 2}" height="${height}" fill="${tone}"/>${windows}${index > 1 ? board : ''}`
    })
  const wet = times(60, () => {
    const y = roll(horizon + 8, height)
    const far = (y - horizon) / (height - horizon)
    const x = cx + roll(-0.32, 0.32) * width * (0.15 + far)
    return `<rect x="${x}" y="${y}" width="${(4 + far * 16) * roll(0.5, 1.6)}" height="${(12 + far * 80) * roll(0.5, 1.4)}" rx="3" fill="${roll.pick([middle, bright, glow])}" fill-opacity="${roll(0.06, 0.3)}"/>`
  })
  return `<circle cx="${cx}" cy="${horizon}" r="${Math.max(width, height) * 0.36}" fill="url(#glow)"/>${side(1)}${side(-1)}<path d="M${cx - width * 0.06} ${horizon}H${cx + width * 0.06}L${cx + width * 0.56} ${height}H${cx - width * 0.56}Z" fill="${night}"/>${wet}`
}

/** A lighthouse on its rock, its beam across the sky. */
export const lighthouse = ({
  width,
  height,
  palette: [night, deep, middle, bright, glow],
}: Frame): string => {
  const u = Math.min(width, height) / 1000
  const [x, y] = [width * 0.74, height * 0.66]
  const lamp = y - 392 * u
  return `<path d="M${x} ${lamp}L-20 ${lamp - height * 0.24}V${lamp + height * 0.06}Z" fill="${glow}" fill-opacity="0.26"/><path d="M${x} ${lamp}L-20 ${lamp - height * 0.14}V${lamp}Z" fill="${glow}" fill-opacity="0.24"/><circle cx="${x}" cy="${lamp}" r="${120 * u}" fill="url(#glow)"/><g transform="translate(${x} ${y}) scale(${u})"><path d="M-44 0L-30 -360H30L44 0Z" fill="${bright}"/><path d="M8 0L6 -360H30L44 0Z" fill="${deep}" fill-opacity="0.6"/><path d="M-41 -80L-37 -170H37L41 -80ZM-34 -250L-31 -330H31L34 -250Z" fill="${middle}"/><rect x="-46" y="-370" width="92" height="14" fill="${night}"/><rect x="-22" y="-412" width="44" height="42" fill="${glow}"/><path d="M-34 -410L0 -452L34 -410Z" fill="${night}"/><path d="M-330 70Q-240 -10 -120 -6Q-40 -22 60 -12Q170 -10 260 40L420 90H-420Z" fill="${night}"/></g>`
}

/** Turning stars over a small house with its lamp on. */
export const observatory = (frame: Frame): string => {
  const { width, height, roll, palette } = frame
  const [night, deep, , bright, glow] = palette
  const [cx, cy] = [width * 0.6, height * 0.3]
  const trails = times(70, (index) => {
    const r = 30 + index * Math.max(width, height) * 0.0125
    const [from, sweep] = [roll(0, 6.28), roll(0.25, 0.95)]
    const point = (angle: number) =>
      `${(cx + r * Math.cos(angle)).toFixed(1)} ${(cy + r * Math.sin(angle)).toFixed(1)}`
    return `<path d="M${point(from)}A${r} ${r} 0 0 1 ${point(from + sweep)}" fill="none" stroke="${roll.pick([glow, bright, glow])}" stroke-opacity="${roll(0.3, 0.95).toFixed(2)}" stroke-width="${roll(1.5, 4.5).toFixed(1)}" stroke-linecap="round"/>`
  })
  const land = (base: number, tone: string) =>
    `<path d="${hill(
      Array.from(
        { length: 7 },
        (_, step) => [(step / 6) * width, height * (base + roll(-0.03, 0.03))] as const,
      ),
      height,
    )}" fill="${tone}"/>`
  const u = Math.min(width, height) / 1000
  const house = `<g transform="translate(${width * 0.36} ${height * 0.84}) scale(${u})"><circle cx="10" cy="-66" r="150" fill="url(#glow)"/><g fill="${night}"><path d="M-110 20V-90L-20 -150L70 -90V20Z"/><rect x="28" y="-170" width="22" height="60"/><path d="M86 20V-60A62 62 0 0 1 210 -60V20Z"/><path d="M150 -84L208 -154L224 -140L170 -70Z"/></g><rect x="-8" y="-84" width="46" height="52" fill="#ffc46b"/><path d="M15 -84V-32M-8 -58H38" stroke="${night}" stroke-width="5"/></g>`
  return `${trails}${land(0.8, deep)}${house}${land(0.87, night)}`
}

/** Dunes, one after another, lit from one side. */
export const dunes = ({ width, height, roll, palette }: Frame): string => {
  const tones = lightToDark(palette)
  return times(5, (index) => {
    const base = height * (0.58 + index * 0.09)
    const peak = width * roll(0.2, 0.8)
    const rise = height * roll(0.05, 0.1)
    const tone = tones[index] ?? palette[0]
    const crest = `M-20 ${height}V${base}C${peak * 0.5} ${base} ${peak * 0.8} ${base - rise} ${peak} ${base - rise}`
    return `<defs>${gradient(`d${index}`, [tone, palette[0]], true)}</defs><path d="${crest}C${peak + width * 0.2} ${base - rise * 0.6} ${width * 0.9} ${base} ${width + 20} ${base}V${height}Z" fill="${tone}"/><path d="M${peak} ${base - rise}C${peak + width * 0.2} ${base - rise * 0.6} ${width * 0.9} ${base} ${width + 20} ${base}V${height}H${peak - width * 0.12}Q${peak + width * 0.08} ${base + rise} ${peak} ${base - rise}Z" fill="${palette[0]}" fill-opacity="0.3"/>`
  })
}

const lightToDark = ([night, deep, middle, bright]: Palette): readonly string[] => [
  bright,
  middle,
  middle,
  deep,
  night,
]

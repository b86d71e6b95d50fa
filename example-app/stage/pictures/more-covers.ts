/** Three more styles of cover, and collages for playlists. */
import sharp from 'sharp'
import { type Die, gradient, light, type Style, times } from './draw.js'

const SIDE = 1000

/** Soft lights that run into each other, and a thin bright line. */
export const mesh: Style = (roll, palette) => {
  const [night, , , , glow] = palette
  const spot = (index: number) => {
    const [x, y, r] = [roll(0, SIDE), roll(0, SIDE), roll(320, 560)]
    return `<circle cx="${x}" cy="${y}" r="${r}" fill="url(#m${(index % 4) + 1})"/>`
  }
  const lights = palette.map((tone, index) => light(`m${index}`, tone, 0.95)).join('')
  const y = roll(560, 700)
  return `<defs>${lights}${gradient('line', [`${glow}00`, glow, `${glow}00`], true)}</defs><rect width="1000" height="1000" fill="${night}"/>${times(10, spot)}<rect x="0" y="${y}" width="1000" height="7" fill="url(#line)"/><rect x="180" y="${y + 26}" width="640" height="3" fill="url(#line)" fill-opacity="0.7"/>`
}

/** Leaves on long stems. */
export const leaves: Style = (roll, [night, deep, middle, bright, glow]) => {
  const stem = (index: number) => {
    const x = 90 + index * 165
    const tall = roll(520, 880)
    const tone = roll.pick([deep, middle, bright])
    const leaf = (step: number) => {
      const y = 1000 - tall + step * 92
      const long = 120 - step * 4
      const side = step % 2 === 0 ? 1 : -1
      return `<path d="M${x} ${y + 60}C${x + side * long * 0.3} ${y - 10} ${x + side * long} ${y - 20} ${x + side * long * 1.1} ${y - 40}C${x + side * long} ${y + 40} ${x + side * long * 0.5} ${y + 70} ${x} ${y + 60}Z" fill="${tone}"/>`
    }
    return `<path d="M${x} 1010V${1000 - tall}" stroke="${tone}" stroke-width="8"/>${times(Math.floor(tall / 96), leaf)}`
  }
  return `<defs>${gradient('sky', [glow, bright])}</defs><rect width="1000" height="1000" fill="url(#sky)"/><circle cx="${roll(300, 700)}" cy="${roll(260, 420)}" r="210" fill="${glow}"/>${times(6, stem)}<rect y="968" width="1000" height="40" fill="${night}"/>`
}

/** Bodies on their rounds. */
export const orbits: Style = (roll, [night, deep, middle, bright, glow]) => {
  const ring = (index: number) => {
    const r = 150 + index * 78
    const at = roll(0, 6.28)
    const [x, y] = [500 + r * Math.cos(at), 500 + r * Math.sin(at)]
    const size = roll(14, 46)
    return `<circle cx="500" cy="500" r="${r}" fill="none" stroke="${bright}" stroke-opacity="0.4" stroke-width="2.5"/><circle cx="${x}" cy="${y}" r="${size}" fill="${roll.pick([glow, bright, middle])}"/><path d="M${x - size} ${y}A${size} ${size} 0 0 0 ${x + size} ${y}Z" fill="${night}" fill-opacity="0.35"/>`
  }
  return `<defs>${gradient('bg', [night, deep])}${light('l', middle, 0.8)}${gradient('core', [glow, bright])}</defs><rect width="1000" height="1000" fill="url(#bg)"/><circle cx="500" cy="500" r="480" fill="url(#l)"/>${times(6, ring)}<circle cx="500" cy="500" r="92" fill="url(#core)"/>`
}

type Box = readonly [left: number, top: number, width: number, height: number]

const LAYOUTS: readonly (readonly Box[])[] = [
  [0, 1, 2, 3].map((index) => [(index % 2) * 500, Math.floor(index / 2) * 500, 500, 500] as const),
  [[0, 0, 640, 1000], ...[0, 1, 2].map((index) => [640, index * 334, 360, 334] as const)],
  [0, 1, 2, 3].map((index) => [index * 250, 0, 250, 1000] as const),
  [[0, 0, 1000, 560], ...[0, 1, 2].map((index) => [index * 334, 560, 334, 440] as const)],
  [0, 1, 2, 3].map((index) => [0, index * 250, 1000, 250] as const),
]

/** A playlist's cover: pieces of the covers of its albums, under one light, with a record lying on them. */
export async function collage(covers: readonly Buffer[], roll: Die, layout: number): Promise<Buffer> {
  const boxes = LAYOUTS[layout % LAYOUTS.length] ?? []
  const pieces = boxes.map(async ([left, top, width, height], index) => {
    const cover = covers[index % covers.length]
    const input = await sharp(cover).resize(width, height, { fit: 'cover' }).toBuffer()
    return { input, left, top }
  })
  const [x, y] = [roll(330, 670), roll(330, 670)]
  const grooves = times(
    9,
    (index) =>
      `<circle cx="${x}" cy="${y}" r="${112 + index * 15}" fill="none" stroke="#fff" stroke-opacity="0.09" stroke-width="2"/>`,
  )
  const over = `<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${SIDE}"><defs>${gradient('s', ['#ffd9a022', '#14111d00', '#14111db0'])}</defs><rect width="${SIDE}" height="${SIDE}" fill="url(#s)"/><circle cx="${x + 8}" cy="${y + 14}" r="254" fill="#000" fill-opacity="0.35"/><circle cx="${x}" cy="${y}" r="250" fill="#17131f"/>${grooves}<path d="M${x} ${y}L${x + 150} ${y - 200}A250 250 0 0 1 ${x + 218} ${y - 122}ZM${x} ${y}L${x - 150} ${y + 200}A250 250 0 0 1 ${x - 218} ${y + 122}Z" fill="#fff" fill-opacity="0.09"/><circle cx="${x}" cy="${y}" r="92" fill="${roll.pick(['#f2a65a', '#e5604d', '#86b89a', '#9fb8e8', '#ffd9a0'])}"/><circle cx="${x}" cy="${y}" r="13" fill="#17131f"/></svg>`
  return sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: '#14111d' } })
    .composite([...(await Promise.all(pieces)), { input: Buffer.from(over), left: 0, top: 0 }])
    .png({ compressionLevel: 0 })
    .toBuffer()
}

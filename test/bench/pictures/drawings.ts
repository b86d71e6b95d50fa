/** Drawn pictures as SVG: flat shapes, lettering, screens, charts, comics, pixels, and what the example app shows. */
import { cover } from '../../../example-app/stage/pictures/covers.js'
import { type Die, die, gradient, paletteOf, svg, times } from '../../../example-app/stage/pictures/draw.js'
import { portrait } from '../../../example-app/stage/pictures/portraits.js'
import { backdrop, poster } from '../../../example-app/stage/pictures/scenes.js'

/** Draws with a die. */
export type Drawing = (roll: Die) => string

const W = 1280
const H = 854

const one = (value: number): string => value.toFixed(1)

/** Signs made of strokes, since fonts differ between machines: as lines of text they look like one. */
const SIGNS: readonly string[] = signs(die(5))

function signs(roll: Die): readonly string[] {
  const stops = [0, 0.5, 1] as const
  return Array.from({ length: 26 }, () => {
    const bars = times(roll.whole(1, 2), () => {
      const [x, y] = [roll.pick(stops) * 0.6, roll.pick(stops)]
      return `M${x} ${y}L${roll.pick([x, 0.6 - x])} ${1 - y}`
    })
    const bow =
      roll(0, 1) < 0.6
        ? `M0.05 ${roll.pick([0.3, 0.5])}A0.28 0.27 0 1 ${roll.whole(0, 1)} 0.6 0.65`
        : `M0 ${roll.pick(stops)}H0.6`
    return bars + bow
  })
}

/** A line of words from `x` on, with its foot at `y`. */
function words(
  roll: Die,
  x: number,
  y: number,
  size: number,
  room: number,
  colour: string,
  bold = 0.13,
): string {
  let [at, letters] = [0, roll.whole(2, 9)]
  let path = ''
  while (at < room - size) {
    if (letters === 0) {
      at += size * 0.45
      letters = roll.whole(2, 9)
      continue
    }
    path += `<use href="#s${roll.whole(0, SIGNS.length - 1)}" x="${one(at / size)}"/>`
    at += size * 0.85
    letters -= 1
  }
  return `<g transform="translate(${one(x)} ${one(y - size)}) scale(${one(size)})" fill="none" stroke="${colour}" stroke-width="${bold}" stroke-linecap="round">${path}</g>`
}

const alphabet = (): string => SIGNS.map((path, index) => `<path id="s${index}" d="${path}"/>`).join('')

const page = (background: string, body: string, width = W, height = H, defs = ''): string =>
  svg(
    width,
    height,
    `<defs>${alphabet()}${defs}</defs><rect width="${width}" height="${height}" fill="${background}"/>${body}`,
  )

/** Flat shapes in few colours. */
const flat: Drawing = (roll) => {
  const palette = paletteOf(roll.whole(0, 9))
  const body = times(46, () => {
    const [x, y, size, tone] = [roll(0, W), roll(0, H), roll(30, 190), roll.pick(palette)]
    return roll.pick([
      `<circle cx="${one(x)}" cy="${one(y)}" r="${one(size)}" fill="${tone}"/>`,
      `<rect x="${one(x)}" y="${one(y)}" width="${one(size * 1.6)}" height="${one(size)}" fill="${tone}" transform="rotate(${roll.whole(0, 3) * 45} ${one(x)} ${one(y)})"/>`,
      `<path d="M${one(x)} ${one(y)}l${one(size)} ${one(size * 1.3)}h${one(-size * 2)}Z" fill="${tone}"/>`,
    ])
  })
  return page(palette[4], body)
}

/** A page of text, dark on light or light on dark. */
const text =
  (ink: string, paper: string, size: number): Drawing =>
  (roll) => {
    const lines = Math.floor((H - 190) / (size * 2))
    const head = words(roll, 80, 120, size * 2.2, W - 300, ink, 0.2)
    const body = times(lines, (line) => {
      const isLast = line % 7 === 6
      return words(roll, 80, 180 + line * size * 2, size, (W - 160) * (isLast ? roll(0.3, 0.8) : 1), ink)
    })
    return page(paper, head + body)
  }

/** A screenshot of an application: bars, cards, small text, buttons. */
const screen =
  (isDark: boolean): Drawing =>
  (roll) => {
    const [ground, card, ink, faint] = isDark
      ? ['#15181f', '#20242e', '#e6e8ee', '#8a90a0']
      : ['#f3f4f7', '#ffffff', '#1d2330', '#7b8394']
    const accent = roll.pick(['#2f6fed', '#e2483d', '#12a06b'])
    const side = times(9, (index) => {
      const y = 110 + index * 54
      return `<rect x="16" y="${y}" width="208" height="40" rx="8" fill="${index === 2 ? accent : 'none'}"/><circle cx="42" cy="${y + 20}" r="9" fill="${index === 2 ? '#fff' : faint}"/>${words(roll, 66, y + 26, 12, roll(80, 150), index === 2 ? '#ffffff' : faint)}`
    })
    const cards = times(6, (index) => {
      const [x, y] = [268 + (index % 3) * 332, 100 + Math.floor(index / 3) * 374]
      const hue = roll.whole(0, 359)
      const hills = `<path d="M${x} ${y + 150}l70 -60l60 40l80 -80l98 100v50h-308Z" fill="hsl(${hue} 40% 30%)"/>`
      const picture = `<rect x="${x}" y="${y}" width="308" height="190" fill="hsl(${hue} 55% 62%)"/><circle cx="${x + 240}" cy="${y + 50}" r="24" fill="#fff" fill-opacity="0.8"/>${hills}`
      const body = times(4, (line) => words(roll, x + 16, y + 256 + line * 22, 10, roll(180, 275), faint))
      return `<rect x="${x - 0.5}" y="${y - 0.5}" width="309" height="351" rx="4" fill="${card}" stroke="${faint}" stroke-opacity="0.35"/>${picture}${words(roll, x + 16, y + 226, 15, 240, ink, 0.17)}${body}`
    })
    const bar = `<rect width="${W}" height="64" fill="${card}"/><rect y="63" width="${W}" height="1" fill="${faint}" fill-opacity="0.4"/>${words(roll, 24, 42, 20, 190, ink, 0.2)}<rect x="268" y="14" width="420" height="36" rx="18" fill="${ground}"/>${words(roll, 290, 38, 11, 160, faint)}<rect x="1130" y="14" width="120" height="36" rx="6" fill="${accent}"/>${words(roll, 1150, 38, 12, 84, '#ffffff')}`
    return page(ground, `<rect width="240" height="${H}" fill="${card}"/>${bar}${side}${cards}`)
  }

/** A chart with thin lines and labels. */
const chart: Drawing = (roll) => {
  const grid = times(9, (index) => {
    const y = 120 + index * 76
    return `<path d="M110 ${y}.5H1230" stroke="#d9dce3"/>${words(roll, 50, y + 5, 11, 50, '#6a7080')}`
  })
  const series = ['#1f77b4', '#ff7f0e', '#2ca02c', '#d62728'].map((tone, row) => {
    let y = roll(250, 600)
    const points = Array.from({ length: 80 }, (_, index) => {
      y = Math.min(700, Math.max(140, y + roll(-40, 40)))
      return `${index === 0 ? 'M' : 'L'}${one(110 + index * 14.1)} ${one(y)}`
    })
    return `<path d="${points.join('')}" fill="none" stroke="${tone}" stroke-width="${row === 0 ? 4 : 2}"/>`
  })
  const bars = times(40, (index) => {
    const tall = roll(10, 120)
    return `<rect x="${one(115 + index * 28)}" y="${one(728 - tall)}" width="18" height="${one(tall)}" fill="#9467bd" fill-opacity="0.5"/>`
  })
  return page('#ffffff', `${words(roll, 110, 70, 24, 700, '#22262e', 0.18)}${grid}${bars}${series.join('')}`)
}

/** Smooth gradients only. */
const gradients: Drawing = (roll) => {
  const palette = paletteOf(roll.whole(0, 9))
  const defs = times(7, (index) => {
    const [tone, share] = [roll.pick(palette), roll(0.5, 0.9)]
    return `<radialGradient id="g${index}"><stop offset="0" stop-color="${tone}" stop-opacity="${one(share)}"/><stop offset="1" stop-color="${tone}" stop-opacity="0"/></radialGradient>`
  })
  const body = times(
    7,
    (index) =>
      `<circle cx="${one(roll(0, W))}" cy="${one(roll(0, H))}" r="${one(roll(300, 800))}" fill="url(#g${index})"/>`,
  )
  return page(
    palette[1],
    `<rect width="${W}" height="${H}" fill="url(#b)"/>${body}`,
    W,
    H,
    gradient('b', palette, true) + defs,
  )
}

/** Pixel art: a few colours in cells, which do not lie on the blocks of the codecs. */
const pixels: Drawing = (roll) => {
  const cell = 20
  const palette = [
    '#1a1c2c',
    '#5d275d',
    '#b13e53',
    '#ef7d57',
    '#ffcd75',
    '#38b764',
    '#257179',
    '#3b5dc9',
    '#41a6f6',
  ]
  const sprites = times(26, () => {
    const [left, top, half] = [roll.whole(0, 58), roll.whole(2, 34), roll.whole(3, 5)]
    const tones = [roll.pick(palette), roll.pick(palette)]
    return times(half * half * 2, (index) => {
      if (roll(0, 1) < 0.35) return ''
      const [column, row] = [index % half, Math.floor(index / half)]
      const at = (x: number) =>
        `<rect x="${(left + x) * cell}" y="${(top + row) * cell}" width="${cell}" height="${cell}" fill="${tones[index % 3 === 0 ? 0 : 1]}"/>`
      return at(column) + at(half * 2 - 1 - column)
    })
  })
  const ground = times(64, (column) => {
    const tall = Math.round(6 + 3 * Math.sin(column / 6) + roll(0, 1.4))
    return `<rect x="${column * cell}" y="${(43 - tall) * cell}" width="${cell}" height="${tall * cell}" fill="${palette[5]}"/><rect x="${column * cell}" y="${(45 - tall) * cell}" width="${cell}" height="${tall * cell}" fill="${palette[6]}"/>`
  })
  return page('#41a6f6', `<g shape-rendering="crispEdges">${sprites}${ground}</g>`)
}

/** A comic: ink over flat colours, dots for tone, a balloon. */
const comic: Drawing = (roll) => {
  const dots = `<pattern id="d" width="9" height="9" patternUnits="userSpaceOnUse"><circle cx="4.5" cy="4.5" r="2.4" fill="#c9302c" fill-opacity="0.7"/></pattern>`
  const panel = (x: number, y: number, width: number, height: number): string => {
    const tone = roll.pick(['#ffd84d', '#7fd1e8', '#f7a8a0', '#b9e3a5'])
    const [cx, cy, size] = [x + width * roll(0.35, 0.65), y + height * 0.6, height * 0.2]
    const rays = times(18, (index) => {
      const angle = (index / 18) * 6.283
      return `<path d="M${one(cx)} ${one(cy)}L${one(cx + Math.cos(angle) * 900)} ${one(cy + Math.sin(angle) * 900)}L${one(cx + Math.cos(angle + 0.17) * 900)} ${one(cy + Math.sin(angle + 0.17) * 900)}Z" fill="#fff" fill-opacity="0.35"/>`
    })
    const hair = times(30, () => {
      const at = roll(-1, 1)
      return `<path d="M${one(cx + at * size)} ${one(cy - size * 0.7)}q${one(roll(-20, 20))} -40 ${one(roll(-30, 30))} -70" stroke="#111" stroke-width="4" fill="none"/>`
    })
    const face = `<ellipse cx="${one(cx)}" cy="${one(cy)}" rx="${one(size)}" ry="${one(size * 1.2)}" fill="#f6cfa6" stroke="#111" stroke-width="5"/><path d="M${one(cx - size * 0.5)} ${one(cy - 10)}h${one(size * 0.3)}M${one(cx + size * 0.2)} ${one(cy - 10)}h${one(size * 0.3)}M${one(cx - size * 0.3)} ${one(cy + size * 0.6)}q${one(size * 0.3)} 20 ${one(size * 0.6)} 0" stroke="#111" stroke-width="6" fill="none" stroke-linecap="round"/><ellipse cx="${one(cx + size * 0.4)}" cy="${one(cy)}" rx="${one(size * 0.6)}" ry="${one(size * 1.1)}" fill="url(#d)"/>`
    const balloon = `<ellipse cx="${one(x + width * 0.5)}" cy="${one(y + height * 0.17)}" rx="${one(width * 0.38)}" ry="${one(height * 0.13)}" fill="#fff" stroke="#111" stroke-width="4"/>${words(roll, x + width * 0.24, y + height * 0.16, 15, width * 0.5, '#111', 0.17)}${words(roll, x + width * 0.27, y + height * 0.215, 15, width * 0.46, '#111', 0.17)}`
    return `<svg x="${x}" y="${y}" width="${width}" height="${height}" viewBox="${x} ${y} ${width} ${height}"><rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${tone}"/>${rays}${hair}${face}${balloon}<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="none" stroke="#111" stroke-width="9"/></svg>`
  }
  return page(
    '#fffdf5',
    `${panel(20, 20, 610, 400)}${panel(650, 20, 610, 400)}${panel(20, 440, 400, 394)}${panel(440, 440, 820, 394)}`,
    W,
    H,
    dots,
  )
}

/** A street map: thin lines, tints and names. */
const map: Drawing = (roll) => {
  const blocks = times(240, () => {
    const [x, y] = [roll.whole(0, 31) * 42, roll.whole(0, 21) * 42]
    const tone = roll.pick(['#e9e5dc', '#dfe8d4', '#e3dccf', '#d6e6c3'])
    return `<rect x="${x}" y="${y}" width="${one(roll(24, 80))}" height="${one(roll(24, 80))}" fill="${tone}"/>`
  })
  const roads = times(34, (index) => {
    const isAcross = index % 2 === 0
    const at = roll(0, isAcross ? H : W)
    const lean = roll(-90, 90)
    const path = isAcross
      ? `M-20 ${one(at)}Q640 ${one(at + lean)} 1300 ${one(at + lean / 2)}`
      : `M${one(at)} -20Q${one(at + lean)} 420 ${one(at + lean / 2)} 880`
    const wide = index < 5 ? 16 : 7
    return `<path d="${path}" fill="none" stroke="#bdb6a8" stroke-width="${wide + 2}"/><path d="${path}" fill="none" stroke="${index < 5 ? '#fbd68a' : '#fff'}" stroke-width="${wide}"/>`
  })
  const river = `<path d="M-20 600C300 480 500 760 760 640S1100 420 1300 520" fill="none" stroke="#9cc8e8" stroke-width="70"/>`
  const names = times(46, () =>
    words(roll, roll(20, 1150), roll(30, 840), roll(9, 15), roll(60, 150), '#4a4740'),
  )
  return page('#f2efe8', blocks + river + roads + names)
}

/** Every drawn picture by its name. */
export const DRAWINGS: Readonly<Record<string, Drawing>> = {
  'flat shapes': flat,
  'page of text': text('#1c1c1e', '#fdfcf8', 17),
  screen: screen(false),
  chart,
  gradients,
  'pixel art': pixels,
  comic,
  map,
  'film backdrop': () => backdrop(3),
  'film poster': () => poster(6),
  'album cover': () => cover(5),
  'drawn portrait': () => portrait(4),
}

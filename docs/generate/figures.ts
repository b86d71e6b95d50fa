/** Draws the chart of the README from what a bench prints: `npm run -s bench hit | npx tsx docs/generate/figures.ts`. */
import { writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

const WIDTH = 720
const BAR = 26
const GAP = 12
const LEFT = 220
const TOP = 48
const NAMES: Readonly<Record<string, string>> = {
  lane: 'artwork.listener (fast lane)',
  router: 'artwork.router on Express 5',
  'bare Express': 'a bare Express 5 route',
  'next/image': 'next/image, cached',
}

const printed = await text(process.stdin)
const title = /^hit: (requests\/s of .*?),/m.exec(printed)?.[1] ?? ''
const bars = Object.entries(NAMES).map(([name, label]) => ({
  label,
  value: Number(new RegExp(`^hit: ${name} +(\\d+)$`, 'm').exec(printed)?.[1]),
}))
if (title === '' || bars.some(({ value }) => !(value > 0)))
  throw new Error('this is not what bench hit prints')

const most = Math.max(...bars.map(({ value }) => value))
const height = TOP + bars.length * (BAR + GAP) + 8
const rows = bars.map(({ label, value }, index) => {
  const y = TOP + index * (BAR + GAP)
  const width = Math.round((value / most) * (WIDTH - LEFT - 80))
  const isOurs = index < 2
  return `<text x="${LEFT - 12}" y="${y + 18}" text-anchor="end">${label}</text><rect x="${LEFT}" y="${y}" width="${width}" height="${BAR}" rx="3" fill="${isOurs ? '#c2541c' : '#8a909c'}"/><text x="${LEFT + width + 8}" y="${y + 18}">${value.toLocaleString('en')}</text>`
})
writeFileSync(
  new URL('../images/figures.svg', import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}"><style>text{font:13px system-ui,sans-serif;fill:#24292f}rect.page{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect.page{fill:#0d1117}}</style><rect class="page" width="${WIDTH}" height="${height}"/><text x="${LEFT}" y="26" font-weight="600">Hot picture: ${title}</text>${rows.join('')}</svg>\n`,
)

/**
 * Draws the chart of the README out of what a bench found: `npm run bench hit -- --json=docs/figures`, and then
 * `npx tsx docs/generate/figures.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs'

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
const FOUND = new URL('../figures/hit.json', import.meta.url)
/** Where the chart is. */
export const CHART = new URL('../images/figures.svg', import.meta.url)

/** The chart of what `bench hit` found. */
export function drawChart(): string {
  const { title, rows } = JSON.parse(readFileSync(FOUND, 'utf8')) as {
    title: string
    rows: readonly Readonly<Record<string, string | number>>[]
  }
  const bars = Object.entries(NAMES).map(([name, label]) => ({
    label,
    value: Math.round(Number(rows.find((row) => row.name === name)?.['requests/s'])),
  }))
  if (bars.some(({ value }) => !(value > 0))) throw new Error('this is not what bench hit finds')
  const what = title.split(',')[0]
  const most = Math.max(...bars.map(({ value }) => value))
  const height = TOP + bars.length * (BAR + GAP) + 8
  const drawn = bars.map(({ label, value }, index) => {
    const y = TOP + index * (BAR + GAP)
    const width = Math.round((value / most) * (WIDTH - LEFT - 80))
    const isOurs = index < 2
    return `<text x="${LEFT - 12}" y="${y + 18}" text-anchor="end">${label}</text><rect x="${LEFT}" y="${y}" width="${width}" height="${BAR}" rx="3" fill="${isOurs ? '#c2541c' : '#8a909c'}"/><text x="${LEFT + width + 8}" y="${y + 18}">${value.toLocaleString('en')}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${what}"><style>text{font:13px system-ui,sans-serif;fill:#24292f}rect.page{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect.page{fill:#0d1117}}</style><rect class="page" width="${WIDTH}" height="${height}"/><text x="${LEFT}" y="26" font-weight="600">Hot picture: ${what}</text>${drawn.join('')}</svg>\n`
}

if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(CHART, drawChart())

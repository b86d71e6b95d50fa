/** Portraits: a figure in the evening light, hair, shoulders and a halo, all in one palette. */
import { type Die, die, gradient, light, type Palette, paletteOf, svg, times } from './draw.js'

/** Skin, and the colours of hair that go with it. */
const LOOKS: readonly (readonly [skin: string, hair: readonly string[]])[] = [
  ['#f2c9a5', ['#3b241c', '#a8642f', '#d9b98a', '#7a2333', '#1d1718']],
  ['#e8b48c', ['#1d1718', '#6b3e26', '#c98d4a', '#2c3a57']],
  ['#d9a074', ['#1d1718', '#3b241c', '#7a2333']],
  ['#b57a50', ['#1d1718', '#2a1a18', '#4a2a20']],
  ['#8a5636', ['#1d1718', '#241716', '#5c2230']],
  ['#5f3a27', ['#120e10', '#1d1718', '#c9c2bd']],
]

const hairBack = (roll: Die, colour: string): string =>
  roll.pick([
    `<path d="M262 640C200 360 260 190 400 190S600 360 538 640Z" fill="${colour}"/>`,
    `<circle cx="400" cy="330" r="205" fill="${colour}"/>`,
    `<path d="M280 460C250 260 320 200 400 200S550 260 520 460Z" fill="${colour}"/>`,
    '',
  ])

const hairFront = (roll: Die, colour: string): string =>
  roll.pick([
    `<path d="M286 350C280 220 350 188 408 192C480 196 520 250 514 350C490 300 470 268 400 262C340 270 306 300 286 350Z" fill="${colour}"/>`,
    `<path d="M284 370C270 210 360 180 420 190C500 200 530 270 516 370C512 330 500 300 470 290C420 320 340 310 310 290C296 310 288 340 284 370Z" fill="${colour}"/>`,
    `<path d="M288 340C284 230 350 200 400 200C456 200 516 230 512 340C500 290 440 244 330 290C306 300 292 320 288 340Z" fill="${colour}"/>`,
    `<path d="M280 330C300 150 500 150 520 330C470 250 330 250 280 330Z" fill="${colour}"/><circle cx="400" cy="176" r="54" fill="${colour}"/>`,
  ])

const backdrop = (roll: Die, [night, deep, middle, bright, glow]: Palette): string => {
  const halo = roll.pick([
    `<circle cx="400" cy="350" r="270" fill="${bright}"/>`,
    `<circle cx="400" cy="350" r="290" fill="none" stroke="${glow}" stroke-width="10"/><circle cx="400" cy="350" r="240" fill="${bright}" fill-opacity="0.7"/>`,
    times(
      8,
      (index) =>
        `<circle cx="400" cy="360" r="${400 - index * 44}" fill="${index % 2 === 0 ? middle : bright}" fill-opacity="0.42"/>`,
    ),
    times(
      9,
      (index) =>
        `<path d="M${-60 + index * 110} 0L${10 + index * 110} 0L${-90 + index * 110} 800L${-160 + index * 110} 800Z" fill="${bright}" fill-opacity="0.32"/>`,
    ),
  ])
  return `<rect width="800" height="800" fill="url(#bg)"/>${halo}<circle cx="620" cy="170" r="420" fill="url(#l)"/><rect width="800" height="800" fill="${night}" fill-opacity="0.06"/><!--${deep}-->`
}

/** A portrait of 800 × 800. */
export function portrait(seed: number, version = 0): string {
  const roll = die(seed * 97 + 11 + version * 13)
  const palette = paletteOf(seed + 2 + version * 3)
  const [night, deep, middle, , glow] = palette
  const [skin, hairs] = roll.pick(LOOKS)
  const hair = roll.pick(hairs)
  const coat = roll.pick([night, deep, '#20242e', '#3a2230'])
  const collar = roll.pick([
    `<path d="M330 560L400 640L470 560L520 600L400 720L280 600Z" fill="${middle}"/>`,
    `<path d="M318 566C350 630 450 630 482 566L500 590C460 670 340 670 300 590Z" fill="${glow}" fill-opacity="0.8"/>`,
    '',
  ])
  const glasses =
    roll(0, 1) < 0.3
      ? `<g fill="none" stroke="${night}" stroke-width="9"><circle cx="356" cy="372" r="38"/><circle cx="446" cy="372" r="38"/><path d="M394 366H408"/></g>`
      : ''
  const phones =
    roll(0, 1) < 0.3
      ? `<path d="M284 360C276 140 524 140 516 360" fill="none" stroke="${night}" stroke-width="16"/><rect x="262" y="330" width="42" height="86" rx="20" fill="${night}"/><rect x="496" y="330" width="42" height="86" rx="20" fill="${night}"/><rect x="516" y="344" width="10" height="58" rx="5" fill="${glow}"/>`
      : ''
  const rim = `<path d="M466 583C552 602 668 662 677 830" fill="none" stroke="${glow}" stroke-opacity="0.55" stroke-width="6"/>`
  const face = `<path d="M364 372q14 -12 30 0M418 372q14 -12 30 0" stroke="${night}" stroke-width="7" fill="none" stroke-linecap="round"/><path d="M402 388q10 34 -8 46" stroke="${night}" stroke-opacity="0.35" stroke-width="6" fill="none" stroke-linecap="round"/><path d="M372 462q30 ${roll(10, 24).toFixed(0)} 58 -2" stroke="${night}" stroke-opacity="0.7" stroke-width="7" fill="none" stroke-linecap="round"/>`
  const body = `<path d="M120 830C130 660 250 600 340 580L400 620L460 580C550 600 670 660 680 830Z" fill="${coat}"/>`
  const neck = `<path d="M348 470H452V580C452 640 348 640 348 580Z" fill="${skin}"/><path d="M348 505C380 545 430 545 452 505V560C430 580 380 585 348 545Z" fill="${night}" fill-opacity="0.28"/>`
  const head = `<path d="M292 350C292 240 346 210 400 210S508 240 508 350C508 450 460 530 400 530S292 450 292 350Z" fill="${skin}"/><path d="M400 210C346 210 292 240 292 350C292 450 340 530 400 530C350 500 330 420 334 350C338 280 360 230 400 210Z" fill="${night}" fill-opacity="0.22"/>`
  const defs = `<defs>${gradient('bg', [deep, middle])}${light('l', glow, 0.55)}</defs>`
  const tilt = `<g transform="rotate(${roll(-5, 5).toFixed(1)} 400 560)">`
  return svg(
    800,
    800,
    `${defs}${backdrop(roll, palette)}${hairBack(roll, hair)}${body}${tilt}${neck}${head}${face}${hairFront(roll, hair)}${glasses}${phones}</g>${rim}${collar}<circle cx="640" cy="200" r="460" fill="url(#l)" fill-opacity="0.5"/>`,
  )
}

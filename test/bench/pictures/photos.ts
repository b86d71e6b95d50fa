/** Photo-like pictures: scenes painted by code, each with light, texture, depth and grain of its own. */
import type { Die } from '../../../example-app/stage/pictures/draw.js'
import {
  blur,
  box,
  type Camera,
  type Canvas,
  type Colour,
  canvas,
  clamp,
  develop,
  disc,
  fill,
  leaf,
  mix,
  near,
  noise,
  over,
  type Pixels,
  scale,
  shape,
  smooth,
  stroke,
} from './canvas.js'

/** Paints a scene with a die. */
export type Photo = (roll: Die) => Pixels

const W = 1280
const H = 854
const WHITE: Colour = [1, 1, 1]
const BLACK: Colour = [0, 0, 0]

const SKIES: readonly (readonly [high: Colour, low: Colour, land: Colour])[] = [
  [
    [0.2, 0.42, 0.75],
    [0.75, 0.85, 0.93],
    [0.24, 0.32, 0.16],
  ],
  [
    [0.25, 0.2, 0.42],
    [0.96, 0.62, 0.4],
    [0.22, 0.16, 0.14],
  ],
  [
    [0.5, 0.56, 0.62],
    [0.82, 0.84, 0.85],
    [0.3, 0.3, 0.24],
  ],
  [
    [0.1, 0.2, 0.36],
    [0.9, 0.78, 0.66],
    [0.16, 0.2, 0.2],
  ],
]

function sky(target: Canvas, roll: Die, high: Colour, low: Colour, horizon: number): void {
  const clouds = noise(roll)
  const [sparse, lit] = [roll(-0.1, 0.35), mix(low, WHITE, 0.6)]
  fill(target, (x, y) => {
    const depth = clamp(y / horizon)
    const cloud = clouds(x / 420, (y * (1.4 + 2 * depth)) / 420, 7, 0.58)
    const share = smooth(sparse, sparse + 0.7, cloud) * (1 - 0.4 * depth)
    const air = mix(high, low, depth ** 1.3)
    return mix(air, mix(lit, air, smooth(0.5, 1.6, cloud) * 0.5), share * 0.85)
  })
}

/** Ridges one before another with haze between, and grass in front. */
const landscape =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [high, low, land] = roll.pick(SKIES)
    const horizon = H * roll(0.4, 0.55)
    sky(scene, roll, high, low, horizon)
    const ridges = roll.whole(3, 5)
    for (let ridge = 0; ridge < ridges; ridge += 1) {
      const [outline, ground, plants] = [noise(roll), noise(roll), noise(roll)]
      const closeness = (ridge + 1) / ridges
      const base = horizon + (H * 0.9 - horizon) * closeness ** 1.6 - 60
      const heights = Array.from(
        { length: W },
        (_, x) => base + outline(x / (300 * closeness + 120), ridge, 8, 0.5) * 90 * (1.2 - closeness * 0.6),
      )
      const cell = 40 + 160 * closeness
      const colour = near(roll, land, 0.05)
      over(
        scene,
        (x, y) => clamp(y - (heights[x] ?? 0) + 0.5),
        (x, y) => {
          const row = (y * 1.6) / cell
          const rise = ground(x / cell, row, 6, 0.66) - ground((x + 3) / cell, row, 6, 0.66)
          const slope = clamp(0.55 + rise * 1.6, 0.12, 1.5)
          const patch = plants(x / 90, y / 60, 5, 0.75)
          const lit = scale(mix(colour, [0.55, 0.5, 0.25], clamp(0.3 + patch * 0.3)), slope * 1.5)
          return mix(mix(low, high, 0.35), lit, 0.2 + 0.8 * closeness ** 0.8)
        },
      )
    }
    for (let blade = 0; blade < 2600; blade += 1) {
      const y = H - roll(0, 1) ** 2 * H * 0.2 + 12
      const [x, tall, lean] = [roll(0, W), roll(14, 60) * (y / H), roll(-18, 18)]
      const tone = near(roll, scale(mix(land, [0.6, 0.62, 0.2], roll(0, 0.8)), roll(0.5, 1.3)), 0.05)
      stroke(
        scene,
        [
          [x, y],
          [x + lean * 0.3, y - tall * 0.6],
          [x + lean, y - tall],
        ],
        roll(1.5, 4),
        tone,
      )
    }
    return develop(scene, roll, camera)
  }

/** Water under a sky, the light broken on it. */
const sea =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [high, low] = roll.pick(SKIES)
    const horizon = H * roll(0.35, 0.6)
    sky(scene, roll, high, low, horizon)
    const [waves, swell] = [noise(roll), noise(roll)]
    const sun = W * roll(0.2, 0.8)
    shape(scene, { x: sun, y: horizon - 70, rx: 34, ry: 34, soft: 30 }, disc, mix(low, WHITE, 0.8))
    over(
      scene,
      (_, y) => clamp(y - horizon),
      (x, y) => {
        const far = 1 / (y - horizon + 6)
        const [px, py] = [(x - W / 2) * far * 9, far * 2600]
        const slope = waves(px, py, 5, 0.7) * 0.6 + swell(px / 4, py / 3, 3, 0.6) * 0.5
        const mirrored = clamp(0.55 + slope * 0.55 - (y - horizon) / H / 2)
        const path = Math.exp(-(((x - sun) / (60 + (y - horizon) * 0.5)) ** 2))
        const water = mix(scale(mix(high, [0.02, 0.14, 0.18], 0.5), 0.55), low, mirrored * 0.75)
        return mix(water, WHITE, smooth(0.35, 0.9, slope) * path * 0.9)
      },
    )
    return develop(scene, roll, camera)
  }

/** Leaves over leaves, sharper the nearer. */
const foliage =
  (camera: Camera, base: Colour, flowers?: Colour): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [shade, grainy] = [noise(roll), noise(roll)]
    fill(scene, (x, y) => scale(base, 0.35 + 0.3 * shade(x / 200, y / 200, 5, 0.7)))
    const leaves = (count: number, size: number): void => {
      for (let index = 0; index < count; index += 1) {
        const [x, y, long] = [roll(0, W), roll(0, H), size * roll(0.5, 1.4)]
        const light = clamp(0.55 + 0.45 * shade(x / 260, y / 260, 3, 0.6), 0.08, 1.2) * roll(0.6, 1.35)
        const tone = near(roll, mix(base, [0.75, 0.78, 0.25], roll(0, 0.5)), 0.06)
        const [bend, sheen] = [roll(-0.5, 0.5), roll(0, 0.35)]
        const place = { x, y, rx: long, ry: long * roll(0.25, 0.5), angle: roll(0, 6.3), soft: 1.6 }
        shape(scene, { ...place, x: x + long * 0.12, y: y + long * 0.2, soft: long * 0.4 }, leaf, BLACK, 0.45)
        shape(scene, place, leaf, (u, v, px, py) => {
          const vein = Math.abs(v) < 0.05 || Math.abs(((u - Math.abs(v) * 0.6) * 6) % 1) < 0.12 ? 1.14 : 1
          const half = v > bend * 0.2 ? 1.12 : 0.88
          const texture = 1 + 0.09 * grainy(px / 7, py / 7, 3, 0.8)
          const colour = scale(tone, light * vein * half * texture)
          return mix(colour, WHITE, sheen * smooth(0.5, 0, Math.hypot(u - bend, v - 0.25)))
        })
      }
    }
    leaves(500, 60)
    blur(scene, 7)
    leaves(900, 44)
    blur(scene, 2.2)
    leaves(1300, 34)
    if (flowers !== undefined) {
      for (let index = 0; index < 70; index += 1)
        bloom(scene, roll, roll(0, W), roll(0, H), roll(12, 42), flowers)
    }
    return develop(scene, roll, camera)
  }

function bloom(scene: Canvas, roll: Die, x: number, y: number, size: number, colour: Colour): void {
  const [petals, turn, veins] = [roll.whole(5, 13), roll(0, 6), noise(roll)]
  for (let index = 0; index < petals; index += 1) {
    const angle = turn + (index / petals) * 2 * Math.PI
    const tone = near(roll, colour, 0.05)
    const place = {
      x: x + Math.cos(angle) * size * 0.6,
      y: y + Math.sin(angle) * size * 0.6,
      rx: size * 0.62,
      ry: Math.max(3, (size * 2) / petals),
      angle,
    }
    shape(scene, { ...place, y: place.y + size * 0.08, soft: size * 0.25 }, leaf, BLACK, 0.3)
    shape(scene, place, leaf, (u, v) =>
      scale(
        mix(tone, WHITE, 0.25 * (u + 1)),
        clamp(0.72 + 0.2 * u - 0.25 * v + 0.1 * veins(u * 2, v * 14, 3, 0.8)),
      ),
    )
  }
  for (let seed = 0; seed < size * 4; seed += 1) {
    const [angle, far] = [roll(0, 6.3), Math.sqrt(roll(0, 1)) * size * 0.26]
    const dot = Math.max(1, size * 0.025)
    const tone = near(roll, [0.75, 0.55, 0.12], 0.16)
    shape(scene, { x: x + Math.cos(angle) * far, y: y + Math.sin(angle) * far, rx: dot, ry: dot }, disc, tone)
  }
}

/** One flower near, all else out of focus. */
const macro =
  (camera: Camera, colour: Colour): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const far = noise(roll)
    fill(scene, (x, y) => {
      const light = far(x / 420, y / 420, 3, 0.5)
      return scale(mix([0.16, 0.26, 0.12], [0.6, 0.66, 0.35], clamp(0.5 + light * 0.5)), 0.9)
    })
    for (let index = 0; index < 40; index += 1) {
      const size = roll(20, 110)
      const tone = near(roll, roll.pick([colour, [0.7, 0.8, 0.4], [0.2, 0.3, 0.15]] as const), 0.1)
      shape(scene, { x: roll(0, W), y: roll(0, H), rx: size, ry: size, soft: 5 }, disc, tone, 0.35)
    }
    blur(scene, 14)
    const [x, y] = [W * roll(0.4, 0.6), H * roll(0.4, 0.55)]
    stroke(
      scene,
      [
        [x, y],
        [x + 30, y + 250],
        [x + 10, H + 40],
      ],
      26,
      [0.3, 0.44, 0.16],
    )
    for (const size of [330, 260, 180]) bloom(scene, roll, x, y, size, near(roll, colour, 0.06))
    return develop(scene, roll, camera)
  }

/** Things that cover one another, of every size: the edges and the spectrum of natural pictures. */
const pile =
  (camera: Camera, tones: readonly Colour[], smallest = 5): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [rough, fine] = [noise(roll), noise(roll)]
    fill(scene, () => [0.2, 0.18, 0.16])
    for (let index = 0; index < 60_000 / smallest ** 1.6; index += 1) {
      // As many of a size as its area is small: no size is the usual one.
      const size = Math.min(smallest * 22, smallest / Math.sqrt(roll(0, 1)))
      const [turn, gleam, depth] = [roll(0, 6.3), roll(0, 0.4), roll(0.05, 0.2)]
      const tone = near(roll, roll.pick(tones), 0.07)
      const place = { x: roll(0, W), y: roll(0, H), rx: size, ry: size * roll(0.6, 1), angle: roll(0, 6.3) }
      const [lx, ly] = [Math.cos(turn * 0.1 - 2), Math.sin(turn * 0.1 - 2)]
      const shadow = {
        ...place,
        x: place.x - lx * size * 0.15,
        y: place.y - ly * size * 0.25,
        soft: size * 0.5,
      }
      shape(scene, shadow, disc, BLACK, 0.4)
      shape(scene, { ...place, soft: 1.5 }, disc, (u, v, x, y) => {
        const round = Math.sqrt(Math.max(0, 1 - u * u - v * v))
        const [cos, sin] = [Math.cos(place.angle), Math.sin(place.angle)]
        const facing = (u * cos - v * sin) * lx + (u * sin + v * cos) * ly
        const skin = 1 + depth * rough(x / size + index, y / size, 6, 0.8) + 0.05 * fine(x / 3, y / 3, 2, 0.9)
        const colour = scale(tone, (0.35 + 0.45 * round + 0.35 * facing) * skin)
        return mix(colour, WHITE, gleam * smooth(0.86, 1, facing * 0.62 + round * 0.78))
      })
    }
    return develop(scene, roll, camera)
  }

const SKINS: readonly Colour[] = [
  [0.93, 0.76, 0.66],
  [0.86, 0.66, 0.52],
  [0.72, 0.5, 0.36],
  [0.5, 0.33, 0.23],
  [0.34, 0.22, 0.16],
]

/** Somebody before a background out of focus. */
const portrait =
  (camera: Camera, wide = W, tall = W): Photo =>
  (roll) => {
    const scene = canvas(wide, tall)
    const [room, pores, cloth] = [noise(roll), noise(roll), noise(roll)]
    const [warm, cool] = [near(roll, [0.62, 0.45, 0.28], 0.15), near(roll, [0.2, 0.27, 0.34], 0.12)]
    fill(scene, (x, y) => mix(cool, warm, clamp(0.45 + room(x / 500, y / 500, 4, 0.55) * 0.5)))
    for (let index = 0; index < 26; index += 1) {
      const size = roll(14, 60)
      const tone = near(roll, [0.95, 0.8, 0.5], 0.2)
      shape(scene, { x: roll(0, wide), y: roll(0, tall * 0.7), rx: size, ry: size, soft: 3 }, disc, tone, 0.4)
    }
    blur(scene, 9)
    const unit = tall / 1280
    const [cx, cy] = [wide * roll(0.44, 0.56), tall * 0.42]
    const skin = roll.pick(SKINS)
    const hair = near(
      roll,
      roll.pick([
        [0.1, 0.07, 0.05],
        [0.3, 0.18, 0.1],
        [0.62, 0.46, 0.26],
      ] as const),
      0.03,
    )
    const coat = near(
      roll,
      roll.pick([
        [0.16, 0.2, 0.3],
        [0.5, 0.12, 0.14],
        [0.6, 0.58, 0.52],
      ] as const),
      0.04,
    )
    const side = roll.pick([-1, 1])
    const strand = (from: number, length: number, thick: number): void => {
      const angle = -Math.PI / 2 + from
      const [x, y] = [cx + Math.cos(angle) * 235 * unit, cy - 20 * unit + Math.sin(angle) * 300 * unit]
      const [out, wave] = [Math.sign(from) * roll(10, 90) * unit, roll(-26, 26) * unit]
      const gloss = 0.55 + roll(0, 1) ** 3 * 1.6 + 0.5 * clamp(side * from)
      const points = [0, 0.25, 0.5, 0.75, 1].map(
        (share) =>
          [
            x + out * share ** 1.5 + Math.sin(share * 5) * wave,
            y + length * unit * share + 60 * unit * share,
          ] as const,
      )
      stroke(scene, [[cx, cy - 250 * unit], ...points], thick * unit, scale(hair, gloss))
    }
    for (let index = 0; index < 700; index += 1) strand(roll(-1.9, 1.9), roll(200, 520), roll(2, 6))
    const shoulders = { x: cx, y: tall * 1.06, rx: 560 * unit, ry: 380 * unit }
    shape(scene, shoulders, disc, (u, v, x, y) => {
      const thread = 0.1 * Math.sin(x * 0.9 + y * 0.25) + 0.1 * Math.sin(y * 0.85)
      const fold = cloth(x / 150, y / 260, 4, 0.55)
      return scale(coat, clamp(0.75 + side * u * 0.35 - v * 0.2 + fold * 0.22 + thread, 0.08, 1.7))
    })
    const flesh = (u: number, v: number, x: number, y: number): Colour => {
      const round = Math.sqrt(Math.max(0.02, 1 - u * u - v * v))
      const light = clamp(0.34 + 0.5 * round + side * u * 0.42 - v * 0.16)
      const surface = 1 + 0.022 * pores(x / 5, y / 5, 3, 0.9) + 0.04 * pores(x / 90, y / 90, 4, 0.6)
      const warmth = smooth(0.75, 0.35, light) * 0.12
      return scale([skin[0] * (1 + warmth), skin[1], skin[2] * (1 - warmth)], light * surface * 1.12)
    }
    shape(scene, { x: cx, y: cy + 330 * unit, rx: 125 * unit, ry: 220 * unit, soft: 4 }, disc, (u, v, x, y) =>
      scale(flesh(u, v * 0.4, x, y), v < 0 ? 0.7 : 0.85),
    )
    shape(scene, { x: cx, y: cy, rx: 222 * unit, ry: 300 * unit, soft: 2.5 }, disc, flesh)
    const soft = (
      dx: number,
      dy: number,
      rx: number,
      ry: number,
      colour: Colour,
      opacity: number,
      edge = 1,
    ) =>
      shape(
        scene,
        {
          x: cx + dx * unit,
          y: cy + dy * unit,
          rx: rx * unit,
          ry: ry * unit,
          soft: Math.max(1.4, ry * unit * edge),
        },
        disc,
        colour,
        opacity,
      )
    const deep = scale(skin, 0.42)
    for (const eye of [-1, 1]) {
      soft(eye * 88, -28, 66, 42, deep, 0.55, 1.6)
      soft(eye * 88, -20, 42, 19, [0.9, 0.88, 0.86], 1, 0.2)
      soft(eye * 88 + 4, -20, 18, 18, near(roll, [0.3, 0.3, 0.22], 0.16), 1, 0.15)
      soft(eye * 88 + 4, -20, 8, 8, [0.03, 0.03, 0.03], 1, 0.3)
      soft(eye * 88 + 9, -27, 3.5, 3.5, WHITE, 1, 0.6)
      soft(eye * 110, 90, 56, 44, mix(skin, [0.9, 0.35, 0.3], 0.5), 0.3, 1.8)
      for (let lash = 0; lash < 90; lash += 1) {
        const along = roll(-1, 1)
        const [x, y] = [cx + (eye * 88 + along * 46) * unit, cy - 30 * unit - (1 - along * along) * 12 * unit]
        stroke(
          scene,
          [
            [x, y],
            [x + along * 6 * unit, y - 9 * unit],
          ],
          2.2 * unit,
          [0.06, 0.05, 0.05],
        )
        const brow = cy - 84 * unit - (1 - along * along) * 12 * unit + roll(-7, 7) * unit
        stroke(
          scene,
          [
            [x, brow],
            [x + eye * 16 * unit, brow - 6 * unit],
          ],
          3 * unit,
          scale(hair, roll(0.6, 1.2)),
          0.8,
        )
      }
    }
    soft(side * -26, 60, 22, 80, deep, 0.35, 1.5)
    soft(side * 10, 70, 12, 60, mix(skin, WHITE, 0.5), 0.4, 1.2)
    soft(-22, 112, 11, 7, deep, 0.8, 0.9)
    soft(22, 112, 11, 7, deep, 0.8, 0.9)
    const lips = mix(skin, [0.72, 0.2, 0.22], 0.55)
    soft(0, 176, 70, 15, scale(lips, 0.85), 0.95, 0.7)
    soft(0, 194, 58, 17, lips, 0.95, 0.8)
    soft(0, 184, 66, 3, scale(lips, 0.35), 0.9, 1)
    for (let index = 0; index < 420; index += 1) strand(roll(-1.5, 1.5) + 0.2, roll(20, 120), roll(1.5, 4))
    return develop(scene, roll, camera)
  }

/** A street front: brick, plaster, windows that mirror, wires before the sky. */
const city =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [high, low] = roll.pick(SKIES)
    sky(scene, roll, high, low, H * 0.7)
    const [dirt, sheen] = [noise(roll), noise(roll)]
    let left = -40
    while (left < W) {
      const [wide, top] = [roll(150, 330), H * roll(0.02, 0.35)]
      const wall = near(
        roll,
        roll.pick([
          [0.55, 0.3, 0.22],
          [0.72, 0.66, 0.55],
          [0.45, 0.47, 0.5],
        ] as const),
        0.07,
      )
      const isBrick = roll(0, 1) < 0.6
      const start = left
      const middle = { x: start + wide / 2, y: (top + H) / 2, rx: wide / 2, ry: (H - top) / 2 }
      shape(scene, { ...middle, soft: 1.2 }, box, (_, v, x, y) => {
        const row = Math.floor(y / 9)
        const seam = isBrick && (y % 9 < 1.8 || (x + (row % 2) * 11) % 22 < 1.8)
        const stone = isBrick ? 0.16 * Math.sin(row * 12.9 + Math.floor((x + (row % 2) * 11) / 22) * 78.2) : 0
        const dirty = 0.16 * dirt(x / 120, y / 180, 6, 0.68) + 0.06 * dirt(x / 4, y / 4, 2, 0.9)
        return scale(seam ? mix(wall, [0.75, 0.72, 0.68], 0.4) : wall, 0.78 - v * 0.12 + stone + dirty)
      })
      const [columns, rows] = [roll.whole(2, 5), roll.whole(4, 9)]
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          const x = start + ((column + 0.5) / columns) * wide
          const y = top + 40 + ((row + 0.5) / rows) * (H - top - 120)
          const [rx, ry] = [(wide / columns) * 0.28, ((H - top - 120) / rows) * 0.32]
          const isLit = roll(0, 1) < 0.15
          shape(scene, { x, y, rx: rx + 5, ry: ry + 5 }, box, scale(wall, 1.25))
          shape(scene, { x, y: y + 3, rx: rx + 1, ry: ry + 1 }, box, [0.08, 0.08, 0.09])
          shape(scene, { x, y, rx, ry, soft: 1 }, box, (u, v, px, py) => {
            const mirrored = mix(
              scale(low, 0.75),
              scale(high, 0.35),
              clamp(0.5 + v * 0.4 + sheen(px / 60, py / 90, 4, 0.6) * 0.5),
            )
            const glass = isLit
              ? mix([0.98, 0.82, 0.5], [0.6, 0.4, 0.2], clamp(v * 0.5 + 0.4 + u * 0.2))
              : mirrored
            return Math.abs(u) < 0.05 || Math.abs(v + 0.2) < 0.04 ? scale(wall, 1.2) : glass
          })
        }
      }
      left += wide + roll(-4, 14)
    }
    for (let wire = 0; wire < 5; wire += 1) {
      const [y, sag] = [roll(30, 260), roll(20, 90)]
      const points = Array.from(
        { length: 24 },
        (_, index) => [(index / 23) * W, y + sag * Math.sin((index / 23) * Math.PI) + wire * 6] as const,
      )
      for (let index = 1; index < points.length; index += 1)
        stroke(scene, points.slice(index - 1, index + 1), 2.4, [0.07, 0.07, 0.08])
    }
    const road = noise(roll)
    over(
      scene,
      (_, y) => clamp(y - H * 0.88),
      (x, y) => scale([0.3, 0.3, 0.31], 0.9 + 0.25 * road(x / 60, y / 14, 6, 0.8)),
    )
    for (let index = 0; index < 9; index += 1)
      person(scene, roll, roll(0, W), H * roll(0.9, 0.98), roll(110, 190))
    return develop(scene, roll, camera)
  }

function person(scene: Canvas, roll: Die, x: number, foot: number, tall: number): void {
  const [coat, legs] = [near(roll, [0.35, 0.3, 0.3], 0.28), near(roll, [0.16, 0.17, 0.22], 0.1)]
  const lit = (tone: Colour) => (u: number, v: number) =>
    scale(tone, clamp(0.8 - u * 0.4 - v * 0.15, 0.1, 1.4))
  shape(scene, { x: x + tall * 0.1, y: foot, rx: tall * 0.22, ry: tall * 0.03, soft: 6 }, disc, BLACK, 0.5)
  shape(
    scene,
    { x: x - tall * 0.05, y: foot - tall * 0.22, rx: tall * 0.05, ry: tall * 0.23 },
    box,
    lit(legs),
  )
  shape(
    scene,
    { x: x + tall * 0.06, y: foot - tall * 0.22, rx: tall * 0.05, ry: tall * 0.23, angle: 0.1 },
    box,
    lit(legs),
  )
  shape(scene, { x, y: foot - tall * 0.62, rx: tall * 0.14, ry: tall * 0.25 }, disc, lit(coat))
  shape(scene, { x, y: foot - tall * 0.92, rx: tall * 0.065, ry: tall * 0.085 }, disc, lit(roll.pick(SKINS)))
}

/** Lights in the dark, out of focus behind and sharp in front. */
const night =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const mist = noise(roll)
    const tint = near(roll, [0.05, 0.06, 0.11], 0.03)
    fill(scene, (x, y) => scale(tint, 0.8 + 0.7 * mist(x / 340, y / 260, 6, 0.6)))
    const lights: readonly Colour[] = [
      [1, 0.72, 0.3],
      [1, 0.3, 0.22],
      [0.35, 0.65, 1],
      [0.4, 1, 0.6],
      [1, 0.9, 0.75],
    ]
    for (let index = 0; index < 90; index += 1) {
      const size = roll(10, 46)
      const place = { x: roll(0, W), y: H * roll(0.1, 0.75), rx: size, ry: size, soft: 2.5 }
      const tone = near(roll, roll.pick(lights), 0.08)
      shape(scene, place, disc, (u, v) => scale(tone, 0.55 + 0.35 * Math.hypot(u, v) ** 4), roll(0.2, 0.8))
    }
    blur(scene, 1.5)
    const wet = noise(roll)
    over(
      scene,
      (_, y) => clamp((y - H * 0.78) / 6),
      (x, y) => {
        const source =
          Math.floor(clamp(H * 0.78 - (y - H * 0.78) * 1.2 + wet(x / 60, y / 8, 4, 0.7) * 34, 0, H - 1)) * W +
          x
        const mirrored = scene.planes.map((plane) => (plane[source] ?? 0) * 0.6) as unknown as Colour
        return mix(mirrored, [0.04, 0.04, 0.06], clamp(0.35 + 0.3 * wet(x / 30, y / 5, 5, 0.8)))
      },
    )
    for (let index = 0; index < 7; index += 1)
      person(scene, roll, roll(0, W), H * roll(0.86, 0.99), roll(230, 420))
    return develop(scene, roll, camera)
  }

/** A stage: saturated beams through smoke, heads before it, and a grain of high sensitivity. */
const concert =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const smoke = noise(roll)
    const tones = [
      near(roll, [0.9, 0.1, 0.5], 0.1),
      near(roll, [0.15, 0.3, 1], 0.15),
      near(roll, [1, 0.5, 0.1], 0.12),
    ]
    const beams = Array.from({ length: 9 }, (_, index) => ({
      x: ((index + 0.5) / 9) * W,
      lean: roll(-0.7, 0.7),
      wide: roll(0.05, 0.13),
      tone: tones[index % 3] ?? WHITE,
      power: roll(0.5, 1.2),
    }))
    fill(scene, (x, y) => {
      const thick = clamp(0.55 + 0.5 * smoke(x / 240, y / 200, 7, 0.6))
      let light: Colour = [0.015, 0.012, 0.02]
      for (const { x: from, lean, wide, tone, power } of beams) {
        const away = Math.abs(x - from - lean * y) / (12 + y * wide)
        const strength = Math.exp(-away * away * 2) * power * thick * (1 - (y / H) * 0.55)
        light = [light[0] + tone[0] * strength, light[1] + tone[1] * strength, light[2] + tone[2] * strength]
      }
      return [1 - Math.exp(-light[0] * 1.4), 1 - Math.exp(-light[1] * 1.4), 1 - Math.exp(-light[2] * 1.4)]
    })
    for (const { x, tone } of beams)
      shape(scene, { x, y: 8, rx: 16, ry: 12, soft: 12 }, disc, mix(tone, WHITE, 0.8))
    for (let index = 0; index < 4; index += 1)
      person(scene, roll, W * (0.2 + 0.2 * index), H * 0.78, roll(260, 330))
    for (let index = 0; index < 60; index += 1) {
      const [x, y, size] = [roll(0, W), H * roll(0.84, 1.05), roll(34, 62)]
      const rim = scale(roll.pick(tones), 0.8)
      shape(scene, { x, y, rx: size, ry: size * 1.2, soft: 3 }, disc, (u, v) =>
        mix([0.02, 0.02, 0.025], rim, smooth(0.7, 1, Math.hypot(u, v)) * clamp(-v) * 0.9),
      )
      if (roll(0, 1) < 0.4)
        stroke(
          scene,
          [
            [x + size, y + 60],
            [x + size * 1.4, y - 60],
            [x + size * roll(1, 1.8), y - roll(120, 200)],
          ],
          30,
          [0.025, 0.02, 0.025],
        )
    }
    return develop(scene, roll, camera)
  }

/** Round things on a wooden table, lit from a side. */
const table =
  (camera: Camera): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [wall, grain, rings] = [noise(roll), noise(roll), noise(roll)]
    const [paint, wood] = [near(roll, [0.55, 0.56, 0.52], 0.12), near(roll, [0.5, 0.32, 0.18], 0.08)]
    fill(scene, (x, y) => {
      const light = 0.55 + 0.5 * (1 - x / W) - 0.25 * (y / H)
      return scale(paint, light * (1 + 0.05 * wall(x / 200, y / 200, 8, 0.8)))
    })
    blur(scene, 3)
    const edge = H * 0.5
    over(
      scene,
      (_, y) => clamp((y - edge) / 2),
      (x, y) => {
        const near = 260 / (y - edge + 130)
        const [px, py] = [(x - W / 2) * near, near * 900]
        const ring = Math.sin((px / 9 + rings(px / 200, py / 700, 4, 0.6) * 9) * 1.3)
        const fibre = grain(px / 3, py / 160, 5, 0.8)
        const plank = Math.abs(px % 170) < 2 ? 0.45 : 1
        return scale(wood, (0.82 + 0.12 * ring + 0.17 * fibre) * plank * (1.25 - (x / W) * 0.6))
      },
    )
    const colours: readonly Colour[] = [
      [0.78, 0.16, 0.12],
      [0.9, 0.6, 0.12],
      [0.5, 0.62, 0.16],
      [0.42, 0.16, 0.3],
      [0.85, 0.82, 0.76],
    ]
    for (let index = 0; index < 11; index += 1) {
      const y = H * (0.56 + 0.34 * ((index + roll(0, 0.9)) / 11))
      const [x, size] = [W * roll(0.08, 0.92), roll(70, 120) * (0.6 + (y / H) * 0.7)]
      const [tone, skin] = [near(roll, roll.pick(colours), 0.05), noise(roll)]
      const shadow = {
        x: x + size * 0.7,
        y: y + size * 0.72,
        rx: size * 1.25,
        ry: size * 0.3,
        soft: size * 0.3,
      }
      shape(scene, shadow, disc, BLACK, 0.55)
      shape(scene, { x, y, rx: size, ry: size * 0.95, soft: 1.8 }, disc, (u, v) => {
        const round = Math.sqrt(Math.max(0, 1 - u * u - v * v))
        const light = clamp(0.28 + 0.45 * round - u * 0.42 - v * 0.3, 0.06, 1.2)
        const spots = 1 + 0.12 * skin(u * 2, v * 2, 5, 0.75) + 0.05 * skin(u * 18, v * 18, 2, 0.9)
        const bounce = scale(wood, 0.25 * clamp(v))
        const lit = scale(tone, light * spots)
        const colour: Colour = [lit[0] + bounce[0], lit[1] + bounce[1], lit[2] + bounce[2]]
        return mix(colour, WHITE, 0.85 * smooth(0.2, 0, Math.hypot(u + 0.42, v + 0.42)))
      })
    }
    return develop(scene, roll, camera)
  }

/** Fur or hair over the whole picture, in swirls. */
const fur =
  (camera: Camera, light: Colour, dark: Colour): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [flow, patch] = [noise(roll), noise(roll)]
    fill(scene, () => scale(dark, 0.6))
    const hairs = 15000
    for (let index = 0; index < hairs; index += 1) {
      const [x, y] = [roll(0, W), -20 + ((H + 40) * index) / hairs]
      const angle = 1.3 + flow(x / 380, y / 380, 2, 0.5) * 1.3
      const tone = mix(dark, light, clamp(0.5 + patch(x / 260, y / 200, 3, 0.6) * 0.9 + roll(-0.25, 0.25)))
      const [long, bend] = [roll(24, 62), roll(-0.3, 0.3)]
      const middle = [x + Math.cos(angle) * long * 0.5, y + Math.sin(angle) * long * 0.5] as const
      const end = [x + Math.cos(angle + bend) * long, y + Math.sin(angle + bend) * long] as const
      stroke(scene, [[x, y], middle, end], roll(1.6, 3.6), scale(tone, roll(0.6, 1.25)))
    }
    for (let index = 0; index < 2; index += 1) {
      const place = { x: W * (0.36 + 0.28 * index), y: H * 0.42, rx: 58, ry: 52 }
      shape(scene, { ...place, rx: 72, ry: 64, soft: 14 }, disc, [0.05, 0.04, 0.04], 0.9)
      shape(scene, place, disc, (u, v) => scale([0.75, 0.5, 0.12], 0.4 + 0.7 * Math.hypot(u, v + 0.3)))
      shape(scene, { ...place, rx: 22, ry: 30 }, disc, BLACK)
      shape(scene, { ...place, x: place.x - 18, y: place.y - 18, rx: 11, ry: 9 }, disc, WHITE)
    }
    return develop(scene, roll, camera)
  }

/** A woven or knitted cloth with folds. */
const cloth =
  (camera: Camera, one: Colour, other: Colour, pitch: number): Photo =>
  (roll) => {
    const scene = canvas(W, H)
    const [folds, fluff] = [noise(roll), noise(roll)]
    fill(scene, (x, y) => {
      const bend = folds(x / 500, y / 700, 3, 0.5)
      const [u, v] = [(x + bend * 70) / pitch, (y + bend * 40) / pitch]
      const isUp = (Math.floor(u) + Math.floor(v)) % 2 === 0
      const thread = isUp ? Math.sin((v % 1) * Math.PI) : Math.sin((u % 1) * Math.PI)
      const slope = folds((x + 8) / 500, y / 700, 3, 0.5) - bend
      const check = smooth(-0.2, 0.2, Math.sin(u / 5)) * 0.5 + smooth(-0.2, 0.2, Math.sin(v / 5)) * 0.5
      const tone = mix(one, other, isUp ? check : 1 - check)
      const light = 0.62 + slope * 9 + 0.32 * thread + 0.14 * fluff(x / 4, y / 4, 3, 0.9)
      return scale(tone, clamp(light, 0.05, 1.5))
    })
    return develop(scene, roll, camera)
  }

/** The cameras: a good one by day, a telephone, one in the dark, an old film. */
const DAY: Camera = { lens: 0.35, grain: 1.2, vignette: 0.2 }
const PHONE: Camera = { lens: 0.2, grain: 3.5, vignette: 0.1 }
const SOFT: Camera = { lens: 0.7, grain: 2, vignette: 0.35 }
const DARK: Camera = { lens: 0.5, grain: 9, vignette: 0.4 }
const FILM: Camera = { lens: 0.5, grain: 12, vignette: 0.5, mono: true }

/** Every photo-like picture by its name. */
export const PHOTOS: Readonly<Record<string, Photo>> = {
  valley: landscape(DAY),
  hills: landscape(PHONE),
  'mountains on film': landscape(FILM),
  sea: sea(DAY),
  'sea at dusk': sea(PHONE),
  hedge: foliage(DAY, [0.2, 0.38, 0.12]),
  'autumn leaves': foliage(PHONE, [0.6, 0.3, 0.1]),
  meadow: foliage(SOFT, [0.24, 0.4, 0.16], [0.85, 0.3, 0.45]),
  daisy: macro(DAY, [0.93, 0.92, 0.88]),
  dahlia: macro(SOFT, [0.8, 0.16, 0.24]),
  pebbles: pile(DAY, [
    [0.5, 0.48, 0.44],
    [0.32, 0.32, 0.33],
    [0.66, 0.58, 0.48],
  ]),
  market: pile(
    PHONE,
    [
      [0.8, 0.2, 0.14],
      [0.92, 0.62, 0.15],
      [0.4, 0.56, 0.2],
      [0.5, 0.2, 0.36],
    ],
    9,
  ),
  beads: pile(
    SOFT,
    [
      [0.2, 0.4, 0.8],
      [0.9, 0.85, 0.8],
      [0.75, 0.2, 0.55],
      [0.2, 0.6, 0.55],
    ],
    14,
  ),
  'portrait by a window': portrait(DAY),
  'portrait outside': portrait(PHONE),
  'portrait in the evening': portrait(DARK),
  'portrait, upright': portrait(SOFT, W, 1920),
  street: city(DAY),
  'old town': city(PHONE),
  'night street': night(DARK),
  concert: concert(DARK),
  table: table(DAY),
  fur: fur(DAY, [0.8, 0.62, 0.42], [0.3, 0.2, 0.13]),
  tweed: cloth(DAY, [0.42, 0.36, 0.3], [0.7, 0.64, 0.54], 13),
  wool: cloth(SOFT, [0.6, 0.16, 0.18], [0.2, 0.2, 0.3], 24),
}

/** Pictures that are wanted in several formats at once: decoded once a size, and the same bytes as by themselves. */
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Format, Kind } from '#src/model/media-type.js'
import type { FullRecipe } from '#src/model/variant.js'
import { createFairQueue } from '#src/transform/fair-queue.js'
import { createSharedPixels } from '#src/transform/shared-pixels.js'
import type { JobOptions, Transformer } from '#src/transform/transformer.js'
import { createWorkerPool } from '#src/transform/worker-pool.js'
import { grain, quarters } from '../support/images.js'
import { quietLogger } from '../support/toolkit.js'

/** One pool: its child is started once. */
let one: Transformer
beforeAll(() => {
  one = createWorkerPool({
    maxPixels: 50e6,
    maxAvifPixels: 16e6,
    maxFrames: 100,
    formats: ['jpeg', 'png', 'gif', 'webp', 'avif'],
    // One child: what waits is handed to it, one job after the other.
    concurrency: 1,
    queue: 64,
    timeout: 20_000,
    maxMemory: 768 * 1024 ** 2,
    sandbox: [],
    waitTimeout: 60_000,
    logger: quietLogger(),
  })
})
afterAll(() => one.close())
const box = (width: number, changes: Partial<FullRecipe> = {}): FullRecipe => ({
  width,
  fit: 'inside',
  enlarge: false,
  quality: 85,
  effort: 4,
  format: 'webp',
  ...changes,
})
/** Noise that is opaque at one side, and nothing at the other. */
function fading() {
  const [width, height] = [320, 200]
  const data = Buffer.from(grain(width, height, { seed: 3, low: 0, range: 256 }))
  const rgba = Buffer.alloc(width * height * 4)
  for (let at = 0; at < width * height; at += 1)
    for (const sample of [0, 1, 2, 3])
      rgba[at * 4 + sample] =
        sample === 3 ? Math.round(((at % width) / width) * 255) : (data[(at * 3 + sample) % data.length] ?? 0)
  return sharp(rgba, { raw: { width, height, channels: 4 } })
}
const [red, blue] = ['#e02020', '#2020e0']
const plain = (background: string) =>
  sharp({ create: { width: 200, height: 100, channels: 3, background } })
    .jpeg()
    .toBuffer()
const isReddish = async (bytes: Buffer): Promise<boolean> => {
  const { dominant } = await sharp(bytes).stats()
  return dominant.r > dominant.b
}

describe('jobs that wait for the same pixels', () => {
  let originals: Readonly<Record<string, readonly [Buffer, Kind]>>
  beforeAll(async () => {
    const image = quarters(320, 200)
    originals = {
      JPEG: [await image.clone().jpeg({ quality: 90 }).toBuffer(), 'jpeg'],
      'turned JPEG': [await image.clone().jpeg().withMetadata({ orientation: 6 }).toBuffer(), 'jpeg'],
      'grey JPEG': [await image.clone().greyscale().toColourspace('b-w').jpeg().toBuffer(), 'jpeg'],
      'CMYK JPEG': [await image.clone().toColourspace('cmyk').jpeg().toBuffer(), 'jpeg'],
      'PNG with alpha': [await image.clone().ensureAlpha(0.4).png().toBuffer(), 'png'],
      'PNG of 16 bits': [await image.clone().toColourspace('rgb16').png().toBuffer(), 'png'],
      'PNG with a palette': [await image.clone().png({ palette: true }).toBuffer(), 'png'],
      // Seen through here more than there.
      'WebP that fades': [await fading().webp({ lossless: true }).toBuffer(), 'webp'],
      WebP: [await image.clone().webp({ lossless: true }).toBuffer(), 'webp'],
      GIF: [await image.clone().gif().toBuffer(), 'gif'],
    }
  })
  test.each([
    ['JPEG'],
    ['turned JPEG'],
    ['grey JPEG'],
    ['CMYK JPEG'],
    ['PNG with alpha'],
    ['PNG of 16 bits'],
    ['WebP that fades'],
    ['PNG with a palette'],
    ['WebP'],
    ['GIF'],
  ])('%s: every format comes out as by itself', async (name) => {
    const [bytes, kind] = originals[name] ?? [Buffer.alloc(0), 'jpeg']
    const boxes = [
      box(160),
      box(90, { height: 90, fit: 'cover' }),
      box(90, { height: 90, fit: 'cover', position: 'attention' }),
      box(320),
    ]
    const formats: readonly Format[] = ['webp', 'jpeg', 'png']
    const recipes = boxes.flatMap((geometry) => formats.map((format) => ({ ...geometry, format })))
    const make = (about: JobOptions) =>
      Promise.all(recipes.map((recipe) => one.transform(bytes, kind, recipe, about)))
    const apart = await make({})
    const [looked, ...together] = await Promise.all([
      one.look(bytes, kind, box(160), { digest: name }),
      ...recipes.map((recipe) => one.transform(bytes, kind, recipe, { digest: name })),
    ])
    expect(
      together.map((made) => made.bytes.equals(apart[together.indexOf(made)]?.bytes ?? Buffer.alloc(0))),
    ).toEqual(recipes.map(() => true))
    expect(looked.made).toMatchObject({ bytes: apart[0]?.bytes })
  })

  test('they are decoded once, and what is of another size by itself', async () => {
    // Under one digest, which no two pictures have: whose pixels were taken is seen.
    const about = { digest: 'same' }
    const [first, second] = [await plain(red), await plain(blue)]
    const looked = await one.look(first, 'jpeg', box(100), about)
    const [jpeg, other] = await Promise.all([
      one.transform(second, 'jpeg', box(100, { format: 'jpeg' }), about),
      one.transform(second, 'jpeg', box(50), about),
    ])
    expect(looked.made).toMatchObject({ format: 'webp', width: 100 })
    expect(await isReddish(jpeg.bytes)).toBe(true)
    expect(await isReddish(other.bytes)).toBe(false)
    // What waits behind another job is decoded together, in whatever order it came.
    const [, webp, small, last] = await Promise.all([
      one.inspect(second, 'jpeg'),
      one.transform(first, 'jpeg', box(100), about),
      one.transform(second, 'jpeg', box(50), about),
      one.transform(second, 'jpeg', box(100, { format: 'jpeg' }), about),
    ])
    expect(await Promise.all([webp, small, last].map(({ bytes }) => isReddish(bytes)))).toEqual([
      true,
      false,
      true,
    ])
    // Nothing of it is left where none waited.
    const later = await one.transform(second, 'jpeg', box(100), about)
    expect(await isReddish(later.bytes)).toBe(false)
  })
  test('formats that hold sides of different lengths come out each in its own', async () => {
    const long = await sharp({ create: { width: 20_000, height: 100, channels: 3, background: red } })
      .jpeg()
      .toBuffer()
    const { width: _width, ...rest } = box(1)
    const recipe = { ...rest, height: 100 }
    const about = { digest: 'long' }
    const jpeg = await one.look(long, 'jpeg', { ...recipe, format: 'jpeg' }, about)
    const webp = await one.transform(long, 'jpeg', recipe, about)
    const again = await one.transform(long, 'jpeg', { ...recipe, format: 'jpeg' }, about)
    expect(jpeg.made).toMatchObject({ width: 20_000 })
    expect([webp.width, again.width]).toEqual([16_383, 20_000])
  })
  test('a JPEG of what is seen through is decoded by itself: what is laid under it comes before it is cut', async () => {
    const half = (background: string) =>
      sharp({ create: { width: 200, height: 100, channels: 3, background } })
        .ensureAlpha(0.9)
        .webp({ lossless: true })
        .toBuffer()
    const about = { digest: 'seen through' }
    const looked = await one.look(await half(red), 'webp', box(100), about)
    expect(looked.made).toMatchObject({ format: 'webp' })
    const made = await one.transform(await half(blue), 'webp', box(100, { format: 'jpeg' }), about)
    expect(await isReddish(made.bytes)).toBe(false)
  })
  test('without a digest nothing is shared', async () => {
    const [first, second] = [await plain(red), await plain(blue)]
    const made = await Promise.all([
      one.transform(first, 'jpeg', box(100)),
      one.transform(second, 'jpeg', box(100, { format: 'jpeg' })),
    ])
    expect(await Promise.all(made.map(({ bytes }) => isReddish(bytes)))).toEqual([true, false])
  })
  test('a picture that cannot be made fails by itself, and so does the next of it', async () => {
    const whole = await quarters(400, 400).jpeg().toBuffer()
    const damaged = whole.subarray(0, whole.length / 2)
    const made = await Promise.allSettled(
      (['webp', 'jpeg'] as const).map((format) =>
        one.transform(damaged, 'jpeg', box(100, { format }), { digest: 'damaged' }),
      ),
    )
    expect(made.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})

describe('pixels between two jobs', () => {
  const pixels = { data: Buffer.alloc(3), width: 1, height: 1, channels: 3 } as const
  test('are those of the job before, where another waits for them', () => {
    const next = createSharedPixels()
    next('a', true).keep?.(pixels)
    expect(next('a', true).before).toBe(pixels)
    expect(next('a', false).before).toBe(pixels)
    expect(next('a', false).before).toBeUndefined()
  })
  test('are let go of by every other job', () => {
    const next = createSharedPixels()
    next('a', true).keep?.(pixels)
    expect(next('b', true).before).toBeUndefined()
    expect(next('a', true).before).toBeUndefined()
    next('a', true).keep?.(pixels)
    expect(next(undefined, false)).toEqual({ before: undefined, keep: undefined })
    expect(next('a', true).before).toBeUndefined()
  })
})

test('the first of the cheapest of a client and host is next; others have their turns as before', () => {
  const at = { isBackground: false, isHeavy: false, isAlone: false, host: 'h' }
  const queue = createFairQueue<{ readonly name: string; readonly cost: number }>()
  for (const [client, name, cost] of [
    ['a', 'a1', 2],
    ['a', 'a2', 1],
    ['a', 'a3', 1],
    ['b', 'b1', 2],
    ['a', 'a4', 0],
  ] as const)
    queue.add({ ...at, client, name, cost })
  const order: string[] = []
  for (
    let job = queue.next(undefined, ({ cost }) => cost);
    job;
    job = queue.next(undefined, ({ cost }) => cost)
  )
    order.push(job.name)
  expect(order).toEqual(['a4', 'b1', 'a2', 'a3', 'a1'])
})

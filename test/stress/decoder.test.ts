/**
 * Real images that were mutated, through the real pipeline: only an image or a 4xx comes out, no job outlasts its
 * bound, the process lives, and the pool is whole in the end. `npm run test:stress` sends
 * 800 of each format.
 */
import fc from 'fast-check'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { sniff, typeOf } from '#src/model/media-type.js'
import { jpeg, quarters } from '../support/images.js'
import { image } from '../support/origin.js'
import { remoteAddress, startApp } from '../support/toolkit.js'

const PER_FORMAT = process.env.STRESS === 'full' ? 800 : 40
const AT_ONCE = 8

/** Sound images of a format, of several kinds. */
const sound = {
  jpeg: async () => [
    await jpeg(160, 120),
    await quarters(90, 60).jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
    await quarters(60, 60).toColourspace('cmyk').jpeg().toBuffer(),
  ],
  png: async () => [
    await quarters(120, 80).png().toBuffer(),
    await quarters(64, 64).png({ palette: true, progressive: true }).toBuffer(),
    await quarters(50, 50).ensureAlpha(0.5).toColourspace('rgb16').png().toBuffer(),
  ],
  gif: async () => [
    await quarters(80, 60).gif().toBuffer(),
    await sharp(await Promise.all([0, 1, 2].map((seed) => jpeg(60, 40, seed))), { join: { animated: true } })
      .gif()
      .toBuffer(),
  ],
  webp: async () => [
    await quarters(120, 80).webp().toBuffer(),
    await quarters(60, 60).ensureAlpha(0.5).webp({ lossless: true }).toBuffer(),
    await sharp(await Promise.all([0, 1, 2].map((seed) => jpeg(60, 40, seed))), { join: { animated: true } })
      .webp()
      .toBuffer(),
  ],
  avif: async () => [
    await quarters(64, 48).avif({ effort: 0 }).toBuffer(),
    await quarters(48, 48).ensureAlpha(0.5).avif({ effort: 0, lossless: true }).toBuffer(),
  ],
} as const

type Mutation = (bytes: Buffer) => Buffer
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const at = (bytes: Buffer, share: number): number => Math.floor(share * bytes.length)
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.array(fc.tuple(place, fc.integer({ min: 0, max: 7 })), { minLength: 1, maxLength: 24 }).map(
    (flips): Mutation =>
      (bytes) => {
        const changed = Buffer.from(bytes)
        for (const [share, bit] of flips) {
          const index = at(bytes, share)
          changed[index] = (changed[index] ?? 0) ^ (1 << bit)
        }
        return changed
      },
  ),
  place.map(
    (share): Mutation =>
      (bytes) =>
        bytes.subarray(0, Math.max(1, at(bytes, share))),
  ),
  fc.tuple(fc.integer({ min: 0, max: 80 }), fc.uint8Array({ minLength: 1, maxLength: 24 })).map(
    ([from, header]): Mutation =>
      (bytes) => {
        const changed = Buffer.from(bytes)
        changed.set(header.subarray(0, Math.max(0, bytes.length - from)), Math.min(from, bytes.length))
        return changed
      },
  ),
  fc.tuple(place, place, place).map(
    ([from, to, target]): Mutation =>
      (bytes) => {
        const [low, high] = [at(bytes, Math.min(from, to)), at(bytes, Math.max(from, to))]
        const middle = at(bytes, target)
        return Buffer.concat([bytes.subarray(0, middle), bytes.subarray(low, high), bytes.subarray(middle)])
      },
  ),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 4000 })).map(
    ([share, junk]): Mutation =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, at(bytes, share)), junk, bytes.subarray(at(bytes, share))]),
  ),
)

test.each(Object.keys(sound) as (keyof typeof sound)[])(
  `${PER_FORMAT} mutated images of %s: an image or a 4xx, and a pool that is whole`,
  async (format) => {
    const app = await startApp({
      widths: [40],
      transform: { timeout: 5000, formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
      fetch: { retries: 0 },
    })
    const seeds = await sound[format]()
    let count = 0
    const statuses = new Map<number, number>()
    const check = async (path: string): Promise<void> => {
      const answer = await app.get(path)
      const body = Buffer.from(await answer.arrayBuffer())
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status === 200) {
        const kind = sniff(body)
        expect(kind && typeOf(kind)).toBe(answer.headers.get('content-type'))
      } else expect(Math.floor(answer.status / 100), `${path}: ${answer.status} ${body}`).toBe(4)
    }
    const one = async (seed: number, mutate: Mutation): Promise<void> => {
      count += 1
      const bytes = mutate(seeds[seed % seeds.length] ?? Buffer.alloc(0))
      app.origin.serve(`/${count}`, image(bytes, 'application/octet-stream'))
      const url = `${app.origin.url}/${count}`
      await check(`/images/${remoteAddress(url)}`)
      await check(`/images/${remoteAddress(url, 'w40-webp')}`)
      app.origin.serve(`/${count}`, { status: 404 })
    }
    const batch = fc.array(fc.tuple(fc.nat(20), mutation), { minLength: AT_ONCE, maxLength: AT_ONCE })
    await fc.assert(
      fc.asyncProperty(batch, async (several) => {
        await Promise.all(several.map(([seed, mutate]) => one(seed, mutate)))
      }),
      { numRuns: PER_FORMAT / AT_ONCE, endOnFailure: true },
    )
    expect(count).toBeGreaterThanOrEqual(PER_FORMAT)
    // Some of them can be decoded, some cannot: the mutations are neither nothing nor everything.
    expect(statuses.get(200)).toBeGreaterThan(0)
    expect([...statuses].filter(([status]) => status >= 400).length).toBeGreaterThan(0)
    app.origin.serve('/sound', image(seeds[0] ?? Buffer.alloc(0)))
    const after = await Promise.all(
      [40].map((width) => app.get(`/images/${remoteAddress(`${app.origin.url}/sound`, `w${width}-webp`)}`)),
    )
    for (const answer of after) expect(answer.status).toBe(200)
  },
)

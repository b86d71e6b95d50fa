/** What every implementation of the transformer does. */
import sharp, { type Sharp } from 'sharp'
import { afterAll, describe, expect, test } from 'vitest'
import { DEFAULT_EFFORT, DEFAULT_QUALITY } from '#src/model/encoding.js'
import { type Kind, sniff } from '#src/model/media-type.js'
import { completeRecipe, type FullRecipe, type Recipe } from '#src/model/variant.js'
import type { DecodeLimits, Made, Transformer } from '#src/transform/transformer.js'
import { grain, isNear, pixelAt, QUARTERS, type Quarters, quarters, quartersOf } from '../support/images.js'

/** What the transformer is opened with, where a test does not say otherwise. */
export const LIMITS = {
  maxPixels: 50e6,
  maxAvifPixels: 16e6,
  maxFrames: 100,
  formats: ['jpeg', 'png', 'gif', 'webp'],
} as const satisfies DecodeLimits

const encoding = { quality: DEFAULT_QUALITY, effort: DEFAULT_EFFORT }
const recipe = (source: Kind, changes: Partial<Recipe> = {}): FullRecipe =>
  completeRecipe({ fit: 'inside', enlarge: false, quality: 85, ...changes }, source, encoding)
const kindOf = (bytes: Buffer): Kind => {
  const kind = sniff(bytes)
  if (kind === undefined) throw new Error('not an image')
  return kind
}
/** Makes a rendition. */
export const make = (by: Transformer, bytes: Buffer, changes: Partial<Recipe>): Promise<Made> =>
  by.transform(bytes, kindOf(bytes), recipe(kindOf(bytes), changes))

/** The four quarters are where they were, in their colours. */
export const expectQuarters = async (bytes: Buffer, slack = 14, colours: Quarters = QUARTERS) => {
  const seen = await quartersOf(bytes)
  for (const [place, colour] of Object.entries(colours)) {
    const actual = seen[place as keyof typeof QUARTERS]
    expect(isNear(actual, colour, slack), `${place}: ${actual} is not ${colour}`).toBe(true)
  }
}

/** Holds an implementation to the contract. */
export function transformerContract(name: string, open: (limits: DecodeLimits) => Transformer): void {
  describe(`the transformer: ${name}`, () => {
    const transformer = open(LIMITS)
    afterAll(() => transformer.close())
    const makeHere = (bytes: Buffer, changes: Partial<Recipe>, by = transformer) => make(by, bytes, changes)

    describe('a first look', () => {
      const [width, height] = [301, 200]
      const pixels = grain(width, height, { seed: 7, low: 40, range: 160 })
      const photo = () => sharp(pixels, { raw: { width, height, channels: 3 } }).blur(2)
      const sources: Readonly<Record<string, () => Sharp>> = {
        JPEG: () => photo().jpeg(),
        'progressive JPEG': () => photo().jpeg({ progressive: true }),
        'grey JPEG': () => photo().greyscale().jpeg(),
        'CMYK JPEG': () => photo().toColourspace('cmyk').jpeg(),
        'JPEG in Display P3': () => photo().withIccProfile('p3').jpeg(),
        'turned JPEG': () => photo().withMetadata({ orientation: 6 }).jpeg(),
        'grey PNG': () => photo().greyscale().png(),
        'PNG with a palette': () => photo().png({ palette: true }),
        'PNG with alpha': () => photo().ensureAlpha(0.5).png(),
        'PNG of 16 bits': () => photo().toColourspace('rgb16').png(),
        WebP: () => photo().webp(),
        'WebP with alpha': () => photo().ensureAlpha(0.3).webp(),
        GIF: () => photo().gif(),
      }
      const recipes: readonly Partial<Recipe>[] = [
        { width: 120, format: 'webp' },
        { width: 120, format: 'jpeg' },
        { width: 120, format: 'png' },
        { width: 2000, format: 'webp' },
        { width: 80, height: 80, fit: 'cover', format: 'webp' },
        { width: 120 },
      ]
      /** What inspecting and making come to, apart: an error by its code. */
      const apart = async (bytes: Buffer, kind: Kind, wanted: FullRecipe) => {
        const inspected = await transformer.inspect(bytes, kind)
        const made = await transformer.transform(bytes, kind, wanted).catch((error) => error)
        return { inspected, made }
      }
      const outcome = (work: Promise<Awaited<ReturnType<typeof apart>>>) =>
        work.then(
          ({ inspected: { traits, ...sides }, made }) => ({
            sides,
            traits: { ...traits, preview: traits.preview !== undefined },
            made: 'bytes' in made ? { ...made, bytes: made.bytes.toString('base64') } : made.code,
          }),
          (error) => error.code,
        )
      test.each(Object.keys(sources))('%s: it finds and makes what two jobs would', async (name) => {
        const bytes = (await sources[name]?.().toBuffer()) ?? Buffer.alloc(0)
        for (const changes of recipes) {
          const kind = kindOf(bytes)
          const wanted = recipe(kind, changes)
          const both = outcome(transformer.look(bytes, kind, wanted))
          expect([changes, await both]).toEqual([changes, await outcome(apart(bytes, kind, wanted))])
        }
      })
      test.each(Object.keys(sources))('%s, damaged: its verdict is that of inspecting', async (name) => {
        const whole = (await sources[name]?.().toBuffer()) ?? Buffer.alloc(0)
        const garbled = Buffer.from(whole)
        garbled.fill(0x55, whole.length >> 1, (whole.length >> 1) + 40)
        const damaged = [0.3, 0.6, 0.9, 0.99].map((share) => whole.subarray(0, whole.length * share))
        let refused = 0
        for (const bytes of [...damaged, garbled]) {
          const kind = kindOf(bytes)
          for (const changes of recipes.slice(0, 2)) {
            const wanted = recipe(kind, changes)
            const found = await outcome(transformer.look(bytes, kind, wanted))
            expect(found).toEqual(await outcome(apart(bytes, kind, wanted)))
            if (typeof found === 'string') refused += 1
          }
        }
        expect(refused).toBeGreaterThan(0)
      })
      test('of what moves it finds the facts, and makes nothing', async () => {
        const raw = { width, height, channels: 3 } as const
        const pngs = await Promise.all(
          [pixels, Buffer.from(pixels).reverse()].map((data) => sharp(data, { raw }).png().toBuffer()),
        )
        const bytes = await sharp(pngs, { join: { animated: true } })
          .webp()
          .toBuffer()
        const { inspected, made } = await transformer.look(bytes, 'webp', recipe('webp', { format: 'webp' }))
        expect([inspected.traits.frames, made]).toEqual([2, undefined])
      })
      test('a recipe that cannot be made says so, and the facts are there', async () => {
        const bytes = await photo().jpeg().toBuffer()
        const { inspected, made } = await transformer.look(bytes, 'jpeg', recipe('jpeg', { format: 'avif' }))
        expect([inspected.width, inspected.height]).toEqual([301, 200])
        expect(made).toMatchObject({ code: 'unsupported' })
      })
    })

    describe('JPEG', () => {
      test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %i comes out upright', async (orientation) => {
        // What a camera stores: the upright picture, turned and flipped the way the tag undoes.
        const upright = await quarters(160, 120).png().toBuffer()
        const undo: Record<number, (image: Sharp) => Sharp> = {
          1: (image) => image,
          2: (image) => image.flop(),
          3: (image) => image.rotate(180),
          4: (image) => image.flip(),
          5: (image) => image.rotate(90).flop(),
          6: (image) => image.rotate(270),
          7: (image) => image.rotate(270).flop(),
          8: (image) => image.rotate(90),
        }
        const turn = undo[orientation]
        if (turn === undefined) throw new Error('no such orientation')
        // sharp flips before it turns, so each step is done by itself.
        let stored = upright
        if (orientation === 5 || orientation === 7) {
          stored = await sharp(stored)
            .rotate(orientation === 5 ? 90 : 270)
            .png()
            .toBuffer()
          stored = await sharp(stored).flop().png().toBuffer()
        } else stored = await turn(sharp(stored)).png().toBuffer()
        const jpeg = await sharp(stored).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer()
        const made = await makeHere(jpeg, { width: 80, height: 80, format: 'webp' })
        expect([made.width, made.height]).toEqual([80, 60])
        await expectQuarters(made.bytes)
        expect((await sharp(made.bytes).metadata()).orientation).toBeUndefined()
      })

      test('the oriented size is what inspecting tells', async () => {
        const jpeg = await quarters(160, 120).withMetadata({ orientation: 6 }).jpeg().toBuffer()
        expect(await transformer.inspect(jpeg, 'jpeg')).toEqual({
          width: 120,
          height: 160,
          traits: {
            frames: 1,
            alpha: false,
            lossless: false,
            isRevised: false,
            preview: { color: expect.stringMatching(/^#[0-9a-f]{6}$/), thumbhash: expect.any(String) },
          },
        })
      })

      test.each(['webp', 'jpeg', 'png'] as const)('CMYK comes out right in colour as %s', async (format) => {
        // Muted colours, which the inks of the profile can all show.
        const muted = {
          topLeft: [180, 80, 70],
          topRight: [90, 140, 90],
          bottomLeft: [80, 90, 140],
          bottomRight: [200, 180, 100],
        } as const
        const cmyk = await quarters(160, 120, muted).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer()
        expect((await sharp(cmyk).metadata()).space).toBe('cmyk')
        const made = await makeHere(cmyk, { width: 80, format })
        expect((await sharp(made.bytes).metadata()).space).toBe('srgb')
        await expectQuarters(made.bytes, 18, muted)
      })

      test('greyscale stays grey', async () => {
        const grey = await sharp({ create: { width: 60, height: 60, channels: 3, background: '#808080' } })
          .toColourspace('b-w')
          .jpeg()
          .toBuffer()
        expect((await sharp(grey).metadata()).channels).toBe(1)
        expect(
          isNear(
            await pixelAt((await makeHere(grey, { format: 'webp' })).bytes, 0.5, 0.5),
            [128, 128, 128],
            4,
          ),
        ).toBe(true)
      })

      test('progressive files are read whole', async () => {
        await expectQuarters(
          (
            await makeHere(await quarters(160, 120).jpeg({ progressive: true, quality: 95 }).toBuffer(), {
              format: 'webp',
            })
          ).bytes,
        )
      })

      test('a wide-gamut profile is honoured: the same colour to the eye, in sRGB', async () => {
        const wide = await quarters(160, 120).withIccProfile('p3').jpeg({ quality: 95 }).toBuffer()
        expect((await sharp(wide).metadata()).icc).toBeDefined()
        const raw = await sharp(wide, { ignoreIcc: true }).raw().toBuffer()
        expect(isNear([...raw.subarray(0, 3)], QUARTERS.topLeft, 6), 'the stored numbers differ').toBe(false)
        const made = await makeHere(wide, { format: 'webp' })
        expect((await sharp(made.bytes).metadata()).icc).toBeUndefined()
        await expectQuarters(made.bytes)
      })
    })

    describe('PNG', () => {
      test('a palette with alpha keeps both', async () => {
        const half = {
          create: {
            width: 60,
            height: 60,
            channels: 4 as const,
            background: { r: 255, g: 0, b: 0, alpha: 0.5 },
          },
        }
        const palette = await sharp(half).png({ palette: true }).toBuffer()
        expect((await sharp(palette).metadata()).isPalette).toBe(true)
        for (const format of ['webp', 'png'] as const) {
          const pixel = await pixelAt((await makeHere(palette, { width: 30, format })).bytes, 0.5, 0.5)
          expect(isNear(pixel, [255, 0, 0, 128], 6), `${format}: ${pixel}`).toBe(true)
        }
      })

      test('transparency lies on white in a JPEG', async () => {
        const clear = await sharp({
          create: { width: 20, height: 20, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
        })
          .png()
          .toBuffer()
        expect(
          isNear(
            await pixelAt((await makeHere(clear, { format: 'jpeg' })).bytes, 0.5, 0.5),
            [255, 255, 255],
            2,
          ),
        ).toBe(true)
      })

      test('16 bits a channel come down to 8 without a shift', async () => {
        const deep = await quarters(160, 120).toColourspace('rgb16').png().toBuffer()
        expect((await sharp(deep).metadata()).depth).toBe('ushort')
        for (const format of ['webp', 'png'] as const)
          await expectQuarters((await makeHere(deep, { width: 80, format })).bytes)
      })

      test('interlaced files are read whole', async () => {
        const interlaced = await quarters(160, 120).png({ progressive: true }).toBuffer()
        await expectQuarters((await makeHere(interlaced, { width: 80, format: 'webp' })).bytes)
      })
    })

    const COLOURS = ['#dc2828', '#28b43c', '#283cdc'] as const
    const moving = async (format: 'gif' | 'webp') => {
      const frames = await Promise.all(
        COLOURS.map((background) =>
          sharp({ create: { width: 90, height: 60, channels: 3, background } })
            .png()
            .toBuffer(),
        ),
      )
      const joined = sharp(frames, { join: { animated: true } })
      return format === 'gif'
        ? joined.gif({ delay: [100, 200, 300] }).toBuffer()
        : joined.webp({ delay: [100, 200, 300], lossless: true }).toBuffer()
    }

    describe('GIF and WebP', () => {
      test('a still GIF', async () => {
        await expectQuarters(
          (await makeHere(await quarters(160, 120).gif().toBuffer(), { format: 'webp' })).bytes,
        )
      })

      test.each(['gif', 'webp'] as const)(
        'a moving %s keeps moving as WebP: frames, delays, colours, size',
        async (format) => {
          const made = await makeHere(await moving(format), { width: 45, format: 'webp' })
          expect([made.width, made.height]).toEqual([45, 30])
          const metadata = await sharp(made.bytes, { animated: true }).metadata()
          expect([metadata.pages, metadata.delay]).toEqual([3, [100, 200, 300]])
          for (const [page, colour] of COLOURS.entries()) {
            const still = await sharp(made.bytes, { page }).png().toBuffer()
            const wanted = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16))
            expect(isNear(await pixelAt(still, 0.5, 0.5), wanted), `frame ${page}`).toBe(true)
          }
        },
      )

      test('a moving image is a still in a format that cannot move, and when its frames together are too large', async () => {
        const gif = await moving('gif')
        expect((await sharp((await makeHere(gif, { format: 'jpeg' })).bytes).metadata()).pages ?? 1).toBe(1)
        const narrow = open({ ...LIMITS, maxPixels: 90 * 60 * 2 })
        const still = await makeHere(gif, { format: 'webp' }, narrow)
        expect((await sharp(still.bytes).metadata()).pages ?? 1).toBe(1)
        await narrow.close()
      })

      test.each([
        ['lossy', { quality: 90 }],
        ['lossless', { lossless: true }],
      ])('%s WebP', async (_name, options) => {
        const webp = await quarters(160, 120).webp(options).toBuffer()
        for (const format of ['jpeg', 'png', 'webp'] as const)
          await expectQuarters((await makeHere(webp, { width: 80, format })).bytes)
      })

      test('WebP with alpha', async () => {
        const webp = await sharp({
          create: { width: 60, height: 60, channels: 4, background: { r: 0, g: 200, b: 0, alpha: 0.25 } },
        })
          .webp({ lossless: true })
          .toBuffer()
        const pixel = await pixelAt((await makeHere(webp, { format: 'webp' })).bytes, 0.5, 0.5)
        expect(isNear(pixel, [0, 200, 0, 64], 6), String(pixel)).toBe(true)
      })
    })

    describe('boxes', () => {
      test.each([
        [{ width: 800 }, [1600, 900], [800, 450]],
        [{ width: 800 }, [900, 1600], [800, 1422]],
        [{ width: 1600 }, [3200, 800], [1600, 400]],
        [{ width: 800 }, [400, 300], [400, 300]],
        [{ width: 300, height: 300 }, [1000, 500], [300, 150]],
        [{ height: 100 }, [400, 300], [133, 100]],
        [{ width: 300, height: 300, fit: 'cover' as const }, [1000, 500], [300, 300]],
        [{ width: 300, height: 300, fit: 'cover' as const }, [200, 100], [100, 100]],
        [{ width: 400, height: 200, fit: 'cover' as const }, [200, 200], [200, 100]],
        [{ width: 1000, height: 1000, fit: 'cover' as const, enlarge: true }, [100, 100], [1000, 1000]],
      ])('%j of %j is %j', async (changes, [width = 0, height = 0], size) => {
        const made = await makeHere(await quarters(width, height).jpeg().toBuffer(), changes)
        expect([made.width, made.height]).toEqual(size)
        const { width: w, height: h } = await sharp(made.bytes).metadata()
        expect([w, h]).toEqual(size)
      })
    })

    describe('what is refused', () => {
      test('too many pixels and too many frames, by the header alone', async () => {
        const narrow = open({ ...LIMITS, maxPixels: 1000, maxFrames: 2 })
        await expect(narrow.inspect(await quarters(40, 40).png().toBuffer(), 'png')).rejects.toMatchObject({
          status: 413,
          reason: 'too_large',
        })
        await expect(narrow.inspect(await moving('gif'), 'gif')).rejects.toMatchObject({ status: 413 })
        await narrow.close()
      })

      test.each(['jpeg', 'png', 'gif', 'webp'] as const)(
        'a truncated %s is invalid, decoded in a child or here',
        async (format) => {
          const noise = await sharp({
            create: {
              width: 300,
              height: 300,
              channels: 3,
              background: '#000',
              noise: { type: 'gaussian', mean: 128, sigma: 60 },
            },
          })
            .toFormat(format)
            .toBuffer()
          const half = noise.subarray(0, noise.length / 2)
          await expect(transformer.inspect(half, format)).rejects.toMatchObject({
            status: 422,
            reason: 'invalid_image',
          })
          await expect(
            transformer.transform(half, format, recipe(format, { width: 50 })),
          ).rejects.toMatchObject({
            status: 422,
          })
        },
      )

      test('a format that is not allowed, by magic and by what libvips would take it for', async () => {
        const avif = await quarters(40, 40).avif().toBuffer()
        expect(sniff(avif)).toBe('avif')
        await expect(transformer.inspect(avif, 'avif')).rejects.toMatchObject({ status: 415 })
        const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
        await expect(transformer.transform(svg, 'svg', recipe('svg', { width: 5 }))).rejects.toMatchObject({
          status: 415,
        })
        // Bytes that say PNG to us and TIFF to nobody: the loader of anything else is closed in the child.
        const tiff = await quarters(40, 40).tiff().toBuffer()
        await expect(transformer.inspect(tiff, 'png')).rejects.toMatchObject({ status: 422 })
      })

      test('AVIF is read and made where it is allowed', async () => {
        const withAvif = open({ ...LIMITS, formats: [...LIMITS.formats, 'avif'] })
        const made = await makeHere(
          await quarters(160, 120).avif({ quality: 90 }).toBuffer(),
          { width: 80, format: 'webp' },
          withAvif,
        )
        await expectQuarters(made.bytes, 20)
        expect(sniff((await makeHere(made.bytes, { format: 'avif' }, withAvif)).bytes)).toBe('avif')
        await withAvif.close()
      })
    })
  })
}

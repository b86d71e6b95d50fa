import { createArtwork } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { DEFAULT_EFFORT, DEFAULT_QUALITY } from '#src/model/encoding.js'
import { settleOptions } from '#src/options/settings.js'
import { temporaryFolder } from '../support/toolkit.js'

describe('options', () => {
  test('are settled with the documented defaults, and frozen', () => {
    const settings = settleOptions()
    expect(settings).toMatchObject({
      directory: './data',
      urls: { base: '', local: '/artwork/local', images: '/images', placeholders: '/static/images' },
      private: false,
      cors: '*',
      memory: { maxBytes: 64 * 1024 ** 2 },
      disk: { required: false, maxBytes: 10 * 1024 ** 3, maxNames: 500_000, writeTimeout: 250 },
      freshness: { maxAge: 7 * 864e5, staleWhileRevalidate: 864e5, staleIfError: 30 * 864e5 },
      fetch: {
        maxBytes: 10 * 1024 ** 2,
        connectTimeout: 3000,
        totalTimeout: 30_000,
        retries: 3,
        ports: [80, 443],
      },
      transform: {
        maxPixels: 50e6,
        maxFrames: 100,
        quality: { jpeg: 85, webp: 85, avif: DEFAULT_QUALITY.avif },
        effort: DEFAULT_EFFORT,
        queue: 64,
        timeout: 10_000,
        isolate: true,
      },
      strict: true,
      heal: 'placeholder',
    })
    expect(Object.isFrozen(settings)).toBe(true)
  })
  test('quality and effort are one number, or one for each format', () => {
    const of = (transform: object) => settleOptions({ transform }).transform
    expect(of({ quality: 70 }).quality).toMatchObject({ jpeg: 70, webp: 70 })
    // The number is meant for JPEG and WebP: AVIF gets the one that looks the same.
    expect(of({ quality: 70 }).quality.avif).toBe(Math.round((70 * DEFAULT_QUALITY.avif) / 85))
    expect(of({ quality: { avif: 40 } }).quality).toEqual({ ...DEFAULT_QUALITY, avif: 40 })
    expect(of({ effort: 6 }).effort).toEqual({ webp: 6, avif: 6, gif: 6, png: 6 })
    expect(of({ effort: 9 }).effort.webp).toBe(6)
    expect(of({ effort: { webp: 0 } }).effort).toEqual({ ...DEFAULT_EFFORT, webp: 0 })
  })
  test('durations and sizes may carry a unit', () => {
    const settings = settleOptions({
      freshness: { maxAge: '2 d' },
      fetch: { totalTimeout: '1.5s', maxBytes: '5 MiB' },
    })
    expect([settings.freshness.maxAge, settings.fetch.totalTimeout, settings.fetch.maxBytes]).toEqual([
      2 * 864e5,
      1500,
      5 * 1024 ** 2,
    ])
  })
  test.each<[object, RegExp]>([
    [{ fetch: { retries: -1 } }, /fetch\.retries.*-1/],
    [{ fetch: { totalTimeout: '5 weeks' } }, /fetch\.totalTimeout.*5 weeks/],
    [{ fetch: { allowPrivate: ['127.0.0.1'] } }, /fetch\.allowPrivate\.0.*host:port.*127\.0\.0\.1/],
    [{ transform: { quality: 101 } }, /transform\.quality.*100.*101/],
    [{ transform: { quality: { webp: 0 } } }, /transform\.quality\.webp.*0/],
    [{ transform: { quality: { gif: 50 } } }, /transform\.quality.*gif is no option/],
    [{ transform: { effort: { webp: 7 } } }, /transform\.effort\.webp.*7/],
    [{ widths: [0] }, /widths\.0.*0/],
    [{ nonsense: 1 }, /nonsense is no option/],
    [{ fetch: { nonsense: 1 } }, /fetch\.nonsense is no option/],
    [{ presets: { webp: { width: 1 } } }, /presets\.webp is a word/],
    [
      { entities: { film: { path: '{plural}/{id}.avif' } } },
      /entities\.film\.path ends in avif, which is none of transform\.formats/,
    ],
    [{ entities: { film: { path: '../{id}.jpg' } } }, /entities\.film\.path.*\.\.\/\{id\}\.jpg/],
    [{ entities: { film: { variant: 'w1-inside' } } }, /entities\.film\.variant.*w1-inside/],
    [{ sources: [{}] }, /sources\.0.*tmdb\(\)/],
    [{ urls: { images: 'images/' } }, /urls\.images.*absolute path/],
    [{ signing: { keys: ['short'] } }, /signing\.keys\.0.*16/],
    [{ heal: 'no' }, /heal.*no/],
  ])('%j is refused with its name, the rule and the value', (options, message) => {
    expect(() => settleOptions(options)).toThrow(message)
  })
  test('a directory that cannot be used only warns, unless disk.required', async () => {
    const { writeFileSync } = await import('node:fs')
    const folder = await temporaryFolder()
    writeFileSync(`${folder}/file`, '')
    const lines: string[] = []
    const note = (_fields: object, line: string) => void lines.push(line)
    const logger = { debug: note, info: note, warn: note, error: note }
    const artwork = await createArtwork({ directory: `${folder}/file/below`, logger })
    expect(lines.join()).toMatch(/cannot be used, pictures are kept in memory only/)
    expect(artwork.images.stats().durable).toBe(false)
    await artwork.close()
    await expect(
      createArtwork({ directory: `${folder}/file/below`, logger, disk: { required: true } }),
    ).rejects.toThrow(/disk\.required/)
  })
})

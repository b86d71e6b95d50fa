import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress, makeAddress, parseAddress, pathSegments } from '#src/model/address.js'
import { artworkPaths, entityIdText, readArtworkPath, slugOf } from '#src/model/artwork-path.js'
import { DEFAULT_EFFORT, DEFAULT_QUALITY, equalQuality } from '#src/model/encoding.js'
import { settleKinds } from '#src/model/entity.js'
import {
  formatVariant,
  parseVariant,
  presetNameProblem,
  recipeOf,
  recipeText,
  type Variant,
} from '#src/model/variant.js'

const encoding = { quality: DEFAULT_QUALITY, effort: DEFAULT_EFFORT }
const rules = {
  presets: {
    avatar: { width: 1000, height: 1000, fit: 'cover' as const, enlarge: true },
    card_small: { width: 320, quality: 80 },
  },
  encoding,
}
const kinds = settleKinds({})
const kindNamed = (name: string) => {
  const kind = kinds.get(name)
  if (kind === undefined) throw new Error(name)
  return kind
}
/** Text that likes to go wrong: dots, slashes, escapes, controls, letters of all the world. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      '.',
      '/',
      '\\',
      '%',
      '2',
      'e',
      'f',
      '\0',
      '-',
      '_',
      'a',
      'Z',
      ':',
      '~',
      ' ',
      'é',
      '日',
    ),
  }),
)

describe('variants', () => {
  const side = fc.integer({ min: 1, max: 16383 })
  const variants: fc.Arbitrary<Variant> = fc
    .record({
      base: fc.constantFrom('original', 'box', 'avatar', 'card_small'),
      width: fc.option(side, { nil: undefined }),
      height: fc.option(side, { nil: undefined }),
      cover: fc.boolean(),
      format: fc.constantFrom(
        undefined,
        'auto' as const,
        'webp' as const,
        'jpeg' as const,
        'png' as const,
        'avif' as const,
      ),
      quality: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    })
    .filter(({ base, width, height }) => base !== 'box' || width !== undefined || height !== undefined)
    .map(({ base, width, height, cover, format, quality }) => {
      const box = base === 'box'
      const named = base === 'card_small' ? 80 : 85
      const usual = format === 'avif' ? equalQuality(named, 'avif') : named
      return {
        base,
        ...(box && width !== undefined ? { width } : {}),
        ...(box && height !== undefined ? { height } : {}),
        cover: box && cover && width !== undefined && height !== undefined,
        ...(format === undefined ? {} : { format }),
        ...(quality === undefined || quality === usual || format === 'png' ? {} : { quality }),
      }
    })

  test('parse ∘ format = identity', () => {
    fc.assert(
      fc.property(variants, (variant) => {
        expect(parseVariant(formatVariant(variant, rules), rules)).toEqual(variant)
      }),
      { numRuns: 2000 },
    )
  })
  test('what is parsed is printed as it was: one look has one name', () => {
    const tokens = fc.constantFrom(
      'w300',
      'h300',
      'cover',
      'inside',
      'webp',
      'auto',
      'q80',
      'q85',
      'original',
      'avatar',
      'card_small',
      'w0300',
      'W300',
      'w',
      'x',
    )
    const texts = fc.oneof(
      fc.array(tokens, { minLength: 1, maxLength: 6 }).map((list) => list.join('-')),
      nasty,
    )
    let accepted = 0
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(formatVariant(parseVariant(text, rules), rules)).toBe(text)
          accepted += 1
        } catch (error) {
          expect(error).toMatchObject({ status: 400 })
        }
      }),
      { numRuns: 5000 },
    )
    expect(accepted).toBeGreaterThan(50)
  })
  test.each([
    'w300-h300-cover-webp-q80',
    'w342',
    'h632',
    'original',
    'original-webp',
    'w640-auto',
    'avatar',
    'avatar-webp',
    'card_small-q85',
    'w1',
  ])('%s is canonical', (text) => expect(formatVariant(parseVariant(text, rules), rules)).toBe(text))
  test.each([
    '',
    'w0',
    'w01',
    'w16384',
    'w99999999',
    'h300-w300',
    'w300-inside',
    'w300-cover',
    'cover',
    'webp',
    'w300-q85',
    'w300-webp-q85',
    'w300-q80-webp',
    'w300-w300',
    'W300',
    'w300-',
    '-w300',
    'w300--webp',
    'original-w300',
    'avatar-w300',
    'nobody',
    'w300-svg',
    'w300-png-q80',
    'card_small-q80',
    'constructor',
    '__proto__',
  ])('%j is refused', (text) => {
    expect(() => parseVariant(text, rules)).toThrowError(
      expect.objectContaining({ status: 400, reason: 'invalid_url' }),
    )
  })
  test('the definition of a preset is in the recipe, and so is the version of the pipeline', () => {
    const text = (width: number, isRevised = false) =>
      recipeText(
        recipeOf(parseVariant('a', { presets: { a: { width } }, encoding }), {
          presets: { a: { width } },
          encoding,
        }),
        { kind: 'jpeg', isRevised },
        encoding,
      )
    expect(text(100)).not.toBe(text(101))
    expect(text(100)).toBe('1:100x0:inside:same:85')
    expect(text(100, true)).toBe('2:100x0:inside:same:85')
  })
  test.each(['w', 'q', 'original', 'webp', 'cover', 'Auto', 'a-b', '1a', ''])(
    'a preset may not be called %j',
    (name) => {
      expect(presetNameProblem(name)).toBeDefined()
    },
  )
})

describe('addresses', () => {
  test('parse ∘ format = identity', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._:%~-]{0,40}$/)
    const ids = fc.oneof(
      id,
      fc.tuple(id, id).map((pair) => pair.join('/')),
    )
    fc.assert(
      fc.property(
        fc.constantFrom('poster', 'remote', 'my-space'),
        fc.constantFrom('w342', 'original'),
        ids,
        (kind, variant, own) => {
          const address = makeAddress(kind, variant, own)
          expect(parseAddress(formatAddress(address))).toEqual(address)
        },
      ),
    )
  })
  test('no text becomes an address with a dot segment, a backslash or a control character', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (kind, variant, id) => {
        try {
          const text = formatAddress(makeAddress(kind, variant, id))
          expect(text.split('/').some((segment) => /^\.*$/.test(segment))).toBe(false)
          expect(text).not.toMatch(/[\\\p{Cc}]/u)
        } catch (error) {
          expect(error).toMatchObject({ status: 400 })
        }
      }),
      { numRuns: 3000 },
    )
  })
  test('a decoded segment is one plain name or nothing', () => {
    for (const path of [
      '/a/../b',
      '/a/..%2fb',
      '/a/%2e%2e/b',
      '/a/%5cb',
      '/a/%00',
      '/a//b',
      '/a/',
      '/%',
      '/a/%c0%ae',
    ])
      expect(pathSegments(path), path).toBeUndefined()
    expect(pathSegments('/poster/w342/a%20b.jpg')).toEqual(['poster', 'w342', 'a b.jpg'])
  })
})

describe('artwork paths', () => {
  test('no id becomes a path that leaves its template', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('artist', 'category', 'profile', 'artwork'),
        nasty,
        nasty,
        (name, id, streamer) => {
          try {
            for (const path of artworkPaths(kindNamed(name), id, { streamer })) {
              expect(readArtworkPath(path)).toBe(path)
              expect(path.split('/').length).toBe(kindNamed(name).path.split('/').length)
            }
          } catch (error) {
            expect(error).toMatchObject({ status: 400 })
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
  test.each([
    ['artist', 'abc123', 'artists/ab/abc123.webp'],
    ['artist', 'a', 'artists/a/a.webp'],
    ['album', 42, 'albums/42/42.webp'],
    ['playlist', 'AC/DC', 'playlists/ac/ac_dc.webp'],
    ['category', 'Just Chatting', 'categories/just_chatting.jpg'],
    ['category', 'Pokémon: Scarlet & Violet', 'categories/pokemon_scarlet_violet.jpg'],
  ])('%s %j is %s', (kind, id, path) => expect(artworkPaths(kindNamed(kind), id)[0]).toBe(path))
  test('a bigint is an id', () => {
    expect(artworkPaths(kindNamed('album'), 12345678901234567890n)).toEqual([
      'albums/12/12345678901234567890.webp',
    ])
  })
  test('text without a Latin letter has a name of its own', () => {
    const [one] = artworkPaths(kindNamed('category'), '原神')
    const [two] = artworkPaths(kindNamed('category'), '鳴潮')
    expect(one).toMatch(/^categories\/id_[0-9a-f]{12}\.jpg$/)
    expect(one).not.toBe(two)
  })
  test.each([
    '',
    '.',
    '..',
    '...',
    '../secret',
    '/tmp/secret',
    'a/../b',
    'C:\\x\\..',
    'a\nb',
    Number.NaN,
    1.5,
  ])('id %j is refused', (id) => {
    expect(() => entityIdText(id)).toThrowError(expect.objectContaining({ status: 400 }))
  })
  test('slugs are bounded', () => expect(slugOf('x'.repeat(900)).length).toBeLessThanOrEqual(120))
})

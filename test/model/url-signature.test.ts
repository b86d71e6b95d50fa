import { describe, expect, test } from 'vitest'
import { signAddress, signatureHolds } from '#src/model/url-signature.js'

describe('signatures', () => {
  const key = 'a key of sixteen or more'
  const path = '/images/remote/w320-webp/aHR0'
  const parts = (signed: string) => {
    const url = new URL(signed, 'http://x')
    return {
      paths: [url.pathname],
      v: url.searchParams.get('v') ?? '',
      expires: url.searchParams.get('expires') ?? '',
      s: url.searchParams.get('s') ?? '',
    }
  }
  test('holds for what was signed, by any of the keys, until it expires', () => {
    const signed = signAddress(`${path}?v=0123456789abcdef`, key, { expires: 100 })
    expect(signatureHolds(parts(signed), ['another key, just as long', key], 99_000)).toBe(true)
    expect(signatureHolds(parts(signed), [key], 100_000)).toBe(false)
    expect(signatureHolds(parts(signed), ['another key, just as long'], 0)).toBe(false)
  })
  test.each(['paths', 'v', 'expires', 's'] as const)('a changed %s breaks it', (part) => {
    const good = parts(signAddress(`${path}?v=1`, key, { expires: 100 }))
    const changed = part === 'paths' ? [`${path}0`] : `${good[part]}0`
    expect(signatureHolds({ ...good, [part]: changed }, [key], 0)).toBe(false)
  })
  test('only the canonical text of a signature passes (RFC 4648 §3.5, §5) (mended 17)', () => {
    const good = parts(signAddress(path, key))
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(good.s.at(-1) ?? '')
    const others = [1, 2, 3].map((bits) => good.s.slice(0, -1) + alphabet[last + bits])
    for (const s of [
      ...others,
      `${good.s}=`,
      `${good.s}!!!`,
      `${good.s}\0`,
      ` ${good.s}`,
      good.s.replace(/.$/, ''),
    ])
      expect([s, signatureHolds({ ...good, s }, [key], 0)]).toEqual([s, false])
    expect(signatureHolds(good, [key], 0)).toBe(true)
  })
})

import { describe, expect, test } from 'vitest'
import { negotiate } from '#src/http/accept.js'
import { httpDate } from '#src/http/http-date.js'
import { errorResponse, FOREVER, parseRange, type RequestFields, respond } from '#src/http/response.js'
import { boundedFreshness, freshnessOf } from '#src/model/entry.js'
import { ArtworkError, isFailureActive, recordFailure } from '#src/model/failure.js'
import { sniff } from '#src/model/media-type.js'
import { signAddress, signatureHolds } from '#src/model/signature.js'

const storedAt = Date.parse('2026-01-02T03:04:05.678Z')
const LM = 'Fri, 02 Jan 2026 03:04:05 GMT'
const picture = {
  bytes: Buffer.from('0123456789'),
  type: 'image/webp',
  digest: '00'.repeat(32),
  etag: '"E"',
  storedAt,
  fileName: 'a.webp',
}
const rules = { cache: FOREVER, isPrivate: false, cors: '*', now: storedAt + 86_400_000 }
const reply = (asked: Partial<RequestFields>) => respond(picture, { method: 'GET', ...asked }, rules)

describe('conditional requests (RFC 9110 §13)', () => {
  test.each<[Partial<RequestFields>, number]>([
    [{}, 200],
    [{ ifNoneMatch: '"E"' }, 304],
    [{ ifNoneMatch: 'W/"E"' }, 304],
    [{ ifNoneMatch: '"x",\tW/"y" , "E"' }, 304],
    [{ ifNoneMatch: '*' }, 304],
    [{ ifNoneMatch: '"x,E"' }, 200],
    [{ ifNoneMatch: 'E' }, 200],
    [{ ifNoneMatch: '"x"', ifModifiedSince: LM }, 200],
    [{ ifModifiedSince: LM }, 304],
    [{ ifModifiedSince: 'Fri, 02 Jan 2026 04:04:05 GMT' }, 304],
    [{ ifModifiedSince: 'Fri, 02 Jan 2026 03:04:04 GMT' }, 200],
    [{ ifModifiedSince: 'garbage' }, 200],
    [{ method: 'HEAD', ifNoneMatch: '"E"' }, 304],
    [{ ifMatch: '"x"' }, 412],
    [{ ifMatch: '"E"' }, 200],
    [{ ifMatch: 'W/"E"' }, 412],
    [{ ifMatch: '*' }, 200],
    [{ ifUnmodifiedSince: 'Thu, 01 Jan 2026 03:04:05 GMT' }, 412],
    [{ ifUnmodifiedSince: LM }, 200],
    [{ range: 'bytes=0-4', ifNoneMatch: '"E"' }, 304],
  ])('%j → %i', (asked, status) => {
    const answer = reply(asked)
    expect(answer.status).toBe(status)
    if (status === 304) {
      expect(answer.body).toBeUndefined()
      expect(answer.headers).toMatchObject({
        ETag: '"E"',
        'Cache-Control': 'public, max-age=31536000, immutable',
      })
    }
    if (status === 412) expect(answer.headers['Cache-Control']).toBe('no-store')
  })
})

test('dates in the three grammars of RFC 9110 §5.6.7, whatever zone we are in, and nothing else', () => {
  const at = Date.UTC(1994, 10, 6, 8, 49, 37)
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ])
    expect(httpDate(text), text).toBe(at)
  for (const text of [
    '',
    'Sun, 2099',
    '2099',
    'Sun, 06 Nov 1994',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 EST',
  ])
    expect(httpDate(text), text).toBeUndefined()
})

describe('ranges (RFC 9110 §14)', () => {
  test.each<[string, string | undefined]>([
    ['bytes=0-3', 'bytes 0-3/10'],
    ['bytes=-3', 'bytes 7-9/10'],
    ['bytes=-999', 'bytes 0-9/10'],
    ['bytes=4-', 'bytes 4-9/10'],
    ['bytes=0-99999999', 'bytes 0-9/10'],
    ['bytes=5-2', undefined],
    ['bytes=abc', undefined],
    ['items=0-1', undefined],
    ['bytes=0-1,3-4', undefined],
    [`bytes=${'0-,'.repeat(5000)}0-1`, undefined],
  ])('%j → %s', (range, contentRange) => {
    const answer = reply({ range })
    expect([answer.status, answer.headers['Content-Range']]).toEqual([
      contentRange === undefined ? 200 : 206,
      contentRange,
    ])
    expect(answer.headers['Content-Length']).toBe(String(Buffer.byteLength(answer.body ?? '')))
  })
  test('beyond the end → 416, which nobody keeps', () => {
    for (const range of ['bytes=10-', 'bytes=10-12', 'bytes=-0']) {
      expect(reply({ range })).toMatchObject({
        status: 416,
        headers: { 'Content-Range': 'bytes */10', 'Cache-Control': 'no-store' },
      })
    }
  })
  test.each([
    ['"E"', 206],
    ['W/"E"', 200],
    ['"x"', 200],
    [LM, 206],
    ['Fri, 02 Jan 2026 03:04:04 GMT', 200],
  ])('If-Range %s → %i', (ifRange, status) => {
    expect(reply({ range: 'bytes=0-1', ifRange }).status).toBe(status)
  })
  test('HEAD ignores Range', () =>
    expect(reply({ method: 'HEAD', range: 'bytes=0-1' })).toMatchObject({
      status: 200,
      headers: { 'Content-Length': '10' },
    }))
  test('an empty header is no range', () => expect(parseRange(undefined, 10)).toBeUndefined())
})

describe('Accept', () => {
  test.each<[string | undefined, string | undefined]>([
    ['image/avif,image/webp,*/*', 'webp'],
    ['image/webp', 'webp'],
    ['image/jpeg', undefined],
    [undefined, undefined],
    ['*/*', undefined],
    ['image/webp;q=0, */*', undefined],
    ['image/webp;q=0.1, image/jpeg', undefined],
    ['text/html', undefined],
    ['image/webp;q=nonsense', undefined],
  ])('%j → %s', (header, format) =>
    expect(negotiate(header, { plainType: 'image/jpeg', modern: ['webp'], fallback: 'jpeg' })).toBe(format),
  )
  test('AVIF only to who asks for it, and where it is allowed', () => {
    const both = { plainType: 'image/jpeg', modern: ['avif', 'webp'], fallback: 'jpeg' } as const
    expect(negotiate('image/avif,image/webp', both)).toBe('avif')
    expect(negotiate('image/webp,*/*', both)).toBe('webp')
  })
})

describe('freshness', () => {
  const policy = { maxAge: 100, staleWhileRevalidate: 10, staleIfError: 50 }
  test.each([
    [0, 'fresh'],
    [99, 'fresh'],
    [100, 'stale'],
    [110, 'stale'],
    [111, 'overdue'],
    [150, 'overdue'],
    [151, 'dead'],
    [-10, 'fresh'],
    [-100_000, 'stale'],
  ])('%i ms after the check: %s', (age, wanted) =>
    expect(freshnessOf({ validatedAt: 1_000_000, freshnessLifetime: 100 }, policy, 1_000_000 + age)).toBe(
      wanted,
    ),
  )
  test('bounded: between an hour and the maximum', () => {
    const week = 7 * 864e5
    expect([undefined, 0, 1, 7200, 1e9].map((told) => boundedFreshness(told, week))).toEqual([
      week,
      36e5,
      36e5,
      72e5,
      week,
    ])
  })
})

describe('failures', () => {
  test('404 is remembered 5 min, 410 an hour, 5xx from 10 s doubling to 300 s, 429 as it says within 1–300 s', () => {
    const last = (code: ConstructorParameters<typeof ArtworkError>[0], about = {}) =>
      recordFailure(new ArtworkError(code, ''), undefined, 0) &&
      recordFailure(new ArtworkError(code, '', about), undefined, 0)?.until
    expect([last('not_found'), last('gone'), last('connection'), last('invalid')]).toEqual([
      3e5,
      36e5,
      6e4,
      undefined,
    ])
    expect([last('throttled', { retryAfter: 20 }), last('throttled', { retryAfter: 9999 })]).toEqual([
      2e4, 3e5,
    ])
    let failure = recordFailure(new ArtworkError('upstream_failed', ''), undefined, 0)
    const lengths = []
    for (let time = 0; time < 7; time += 1) {
      lengths.push(failure?.until)
      failure = recordFailure(new ArtworkError('upstream_failed', ''), failure, 0)
    }
    expect(lengths).toEqual([1e4, 2e4, 4e4, 8e4, 16e4, 3e5, 3e5])
  })
  test('one from the future does not stand: the clock was set back', () => {
    const failure = recordFailure(new ArtworkError('gone', ''), undefined, 1e9)
    if (failure === undefined) throw new Error('not remembered')
    expect([
      isFailureActive(failure, 1e9 + 1),
      isFailureActive(failure, 1e9 + 36e5),
      isFailureActive(failure, 1e9 - 1e8),
    ]).toEqual([true, false, false])
  })
  test('an unknown error tells nothing, 503 says when to come back', () => {
    const answer = errorResponse(new Error('/etc/secret at line 1'), '*')
    expect([answer.status, answer.body]).toEqual([500, 'internal error'])
    expect(errorResponse(new ArtworkError('unavailable', 'busy'), '*').headers['Retry-After']).toBe('1')
  })
})

describe('magic bytes', () => {
  test.each<[string, string | Buffer, string | undefined]>([
    ['SVG', '<svg xmlns="x"/>', 'svg'],
    [
      'SVG after a prologue',
      '\uFEFF<?xml version="1.0"?>\n<!-- <html> --><!DOCTYPE svg [ <!ENTITY a "b"> ]>\n<svg>',
      'svg',
    ],
    ['HTML with an SVG inside', '<!doctype html><html><svg></svg></html>', undefined],
    ['text', 'GIF8 is not a GIF', undefined],
    ['nothing', '', undefined],
    ['HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), undefined],
    ['AVIF by a compatible brand', Buffer.from('\0\0\0\x1cftypmif1\0\0\0\0mif1avif', 'latin1'), 'avif'],
  ])('%s', (_name, bytes, kind) => expect(sniff(Buffer.from(bytes))).toBe(kind))
})

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
  test('mended 17: only the canonical text of a signature passes (RFC 4648 §3.5, §5)', () => {
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

describe('mended 28: who refuses the source’s own family gets another (RFC 9110 §12.5.1)', () => {
  const webp = { plainType: 'image/webp', modern: ['webp'], fallback: 'jpeg' } as const
  test.each<[string, string | undefined]>([
    ['image/webp;q=0', 'jpeg'],
    ['image/webp;q=0, */*', 'jpeg'],
    ['image/webp;q=0.0, image/png', 'jpeg'],
    ['IMAGE/WEBP ; q=0, image/jpeg;q=0', undefined],
    ['image/*;q=0, image/jpeg', 'jpeg'],
    ['*/*;q=0', 'jpeg'],
    ['image/webp;q=.5', undefined],
    ['image/webp', undefined],
    ['image/webp;q=0.1', undefined],
    ['*/*', undefined],
  ])('a WebP, %j → %s', (header, format) => expect(negotiate(header, webp)).toBe(format))
  test('what moves goes on moving', () =>
    expect(negotiate('image/webp;q=0', { ...webp, fallback: 'gif' })).toBe('gif'))
  test('a JPEG, and AVIF only for who asks for it', () => {
    const both = { plainType: 'image/jpeg', modern: ['avif', 'webp'], fallback: 'jpeg' } as const
    expect(negotiate('image/jpeg;q=0', both)).toBeUndefined()
    expect(negotiate('image/jpeg;q=0, image/*', both)).toBe('webp')
    expect(negotiate('image/jpeg;q=0, image/avif, image/webp;q=0.5', both)).toBe('avif')
  })
})

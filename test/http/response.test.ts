import { describe, expect, test } from 'vitest'
import { negotiate } from '#src/http/accept.js'
import { FOREVER } from '#src/http/caching.js'
import { parseRange, type RequestFields, respond } from '#src/http/conditional-and-range.js'
import { httpDate } from '#src/http/http-date.js'
import { errorResponse } from '#src/http/response.js'
import { ArtworkError } from '#src/model/failure.js'

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

describe('who refuses the source’s own family gets another (RFC 9110 §12.5.1) (mended 28)', () => {
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

describe('failures', () => {
  test('an unknown error tells nothing, 503 says when to come back', () => {
    const answer = errorResponse(new Error('/etc/secret at line 1'), '*')
    expect([answer.status, answer.body]).toEqual([500, 'internal error'])
    expect(errorResponse(new ArtworkError('unavailable', 'busy'), '*').headers['Retry-After']).toBe('1')
  })
})

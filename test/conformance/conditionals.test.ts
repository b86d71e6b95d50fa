/**
 * What others hold to be right of conditional requests and ranges, as data: the cases that jshttp/fresh decides, and
 * those that pillarjs/send answers (it is what Express sends files with). Where we differ on purpose, the case says so.
 */
import { describe, expect, test } from 'vitest'
import type { RawAnswer } from '../support/raw-http.js'
import { POSTER, type Via, withPoster } from '../support/toolkit.js'

/** `E`, `LM` and `N` stand for the entity tag, the date and the length of the picture. */
interface Case {
  readonly about: string
  readonly method?: 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly status: number
  /** First and last byte of a 206. */
  readonly range?: readonly [first: number | 'N-3', last: number | 'N-1']
  /** What the other one answers, and why we do not. */
  readonly differs?: string
}

const FRESH: readonly Case[] = [
  { about: 'nothing is asked about', headers: {}, status: 200 },
  { about: 'the tag', headers: { 'If-None-Match': 'E' }, status: 304 },
  { about: 'another tag', headers: { 'If-None-Match': '"other"' }, status: 200 },
  { about: 'the tag among others', headers: { 'If-None-Match': '"a", "b" , E' }, status: 304 },
  { about: 'the tag first, without a blank', headers: { 'If-None-Match': 'E,"a"' }, status: 304 },
  { about: 'only others', headers: { 'If-None-Match': '"a", "b"' }, status: 200 },
  { about: 'the tag, weakly', headers: { 'If-None-Match': 'W/E' }, status: 304 },
  { about: 'the tag, weakly, among others', headers: { 'If-None-Match': 'W/"a", W/E' }, status: 304 },
  { about: 'a tag with a comma in it', headers: { 'If-None-Match': '"a,b"' }, status: 200 },
  { about: 'any', headers: { 'If-None-Match': '*' }, status: 304 },
  {
    about: 'any, among tags',
    headers: { 'If-None-Match': '"a", *' },
    status: 200,
  },
  { about: 'an empty field', headers: { 'If-None-Match': '' }, status: 200 },
  { about: 'the tag without its quotes', headers: { 'If-None-Match': 'bare E' }, status: 200 },
  { about: 'its date', headers: { 'If-Modified-Since': 'LM' }, status: 304 },
  { about: 'a later date', headers: { 'If-Modified-Since': 'LM+60' }, status: 304 },
  { about: 'an earlier date', headers: { 'If-Modified-Since': 'LM-60' }, status: 200 },
  { about: 'no date', headers: { 'If-Modified-Since': 'foo' }, status: 200 },
  { about: 'a number for a date', headers: { 'If-Modified-Since': '2099' }, status: 200 },
  {
    about: 'the tag and its date',
    headers: { 'If-None-Match': 'E', 'If-Modified-Since': 'LM' },
    status: 304,
  },
  {
    about: 'the tag and an earlier date',
    headers: { 'If-None-Match': 'E', 'If-Modified-Since': 'LM-60' },
    status: 304,
  },
  {
    about: 'another tag and a later date',
    headers: { 'If-None-Match': '"other"', 'If-Modified-Since': 'LM+60' },
    status: 200,
  },
  {
    about: 'neither',
    headers: { 'If-None-Match': '"other"', 'If-Modified-Since': 'LM-60' },
    status: 200,
  },
  {
    about: 'the tag, and no-cache',
    headers: { 'If-None-Match': 'E', 'Cache-Control': 'no-cache' },
    status: 304,
    differs: 'fresh sends the bytes again; a 304 that names the current bytes is as true, and costs less',
  },
  {
    about: 'its date, and no-cache',
    headers: { 'If-Modified-Since': 'LM', 'Cache-Control': 'max-age=0, no-cache' },
    status: 304,
    differs: 'the same',
  },
  {
    about: 'the tag, and max-age=0',
    headers: { 'If-None-Match': 'E', 'Cache-Control': 'max-age=0' },
    status: 304,
  },
]

const SEND: readonly Case[] = [
  { about: 'If-Match: the tag', headers: { 'If-Match': 'E' }, status: 200 },
  { about: 'If-Match: any', headers: { 'If-Match': '*' }, status: 200 },
  { about: 'If-Match: the tag among others', headers: { 'If-Match': '"a", E' }, status: 200 },
  { about: 'If-Match: another', headers: { 'If-Match': '"a"' }, status: 412 },
  {
    about: 'If-Match: the tag, weakly',
    headers: { 'If-Match': 'W/E' },
    status: 412,
    differs: 'send lets weak tags match; RFC 9110 §13.1.1 compares strongly',
  },
  {
    about: 'If-Match goes before If-None-Match',
    headers: { 'If-Match': '"a"', 'If-None-Match': 'E' },
    status: 412,
  },
  { about: 'If-Unmodified-Since: its date', headers: { 'If-Unmodified-Since': 'LM' }, status: 200 },
  { about: 'If-Unmodified-Since: later', headers: { 'If-Unmodified-Since': 'LM+60' }, status: 200 },
  { about: 'If-Unmodified-Since: earlier', headers: { 'If-Unmodified-Since': 'LM-60' }, status: 412 },
  { about: 'If-Unmodified-Since: no date', headers: { 'If-Unmodified-Since': 'foo' }, status: 200 },
  {
    about: 'If-Match goes before If-Unmodified-Since',
    headers: { 'If-Match': 'E', 'If-Unmodified-Since': 'LM-60' },
    status: 200,
  },
  { about: 'the first five bytes', headers: { Range: 'bytes=0-4' }, status: 206, range: [0, 4] },
  { about: 'the first byte', headers: { Range: 'bytes=0-0' }, status: 206, range: [0, 0] },
  { about: 'both ends count', headers: { Range: 'bytes=2-5' }, status: 206, range: [2, 5] },
  {
    about: 'an end beyond the last byte',
    headers: { Range: 'bytes=2-99999999' },
    status: 206,
    range: [2, 'N-1'],
  },
  { about: 'from a byte on', headers: { Range: 'bytes=3-' }, status: 206, range: [3, 'N-1'] },
  { about: 'the last three bytes', headers: { Range: 'bytes=-3' }, status: 206, range: ['N-3', 'N-1'] },
  {
    about: 'more than there are, from the end',
    headers: { Range: 'bytes=-99999999' },
    status: 206,
    range: [0, 'N-1'],
  },
  { about: 'a unit in capitals', headers: { Range: 'Bytes=0-4' }, status: 206, range: [0, 4] },
  { about: 'beyond the last byte', headers: { Range: 'bytes=99999999-' }, status: 416 },
  { about: 'the last none', headers: { Range: 'bytes=-0' }, status: 416 },
  { about: 'no range at all', headers: { Range: 'asdf' }, status: 200 },
  { about: 'another unit', headers: { Range: 'lines=0-4' }, status: 200 },
  { about: 'an end before its start', headers: { Range: 'bytes=5-2' }, status: 200 },
  { about: 'only a dash', headers: { Range: 'bytes=-' }, status: 200 },
  { about: 'two ranges', headers: { Range: 'bytes=1-1,3-' }, status: 200 },
  { about: 'two ranges that touch', headers: { Range: 'bytes=0-2,3-4' }, status: 200 },
  {
    about: 'two ranges, none of which is there',
    headers: { Range: 'bytes=99999998-99999998,99999999-' },
    status: 200,
    differs:
      'send answers 416; a field with several ranges is none that we know, and is passed over (RFC 9110 §14.2)',
  },
  {
    about: 'HEAD with a range',
    method: 'HEAD',
    headers: { Range: 'bytes=0-4' },
    status: 200,
    differs: 'send answers 206; RFC 9110 §14.2 knows Range for GET only',
  },
  {
    about: 'If-Range: the tag',
    headers: { Range: 'bytes=0-0', 'If-Range': 'E' },
    status: 206,
    range: [0, 0],
  },
  { about: 'If-Range: another tag', headers: { Range: 'bytes=0-0', 'If-Range': '"a"' }, status: 200 },
  {
    about: 'If-Range: the tag, weakly',
    headers: { Range: 'bytes=0-0', 'If-Range': 'W/E' },
    status: 200,
    differs: 'send looks whether the text has the tag in it; RFC 9110 §13.1.5 compares strongly',
  },
  {
    about: 'If-Range: its date',
    headers: { Range: 'bytes=0-0', 'If-Range': 'LM' },
    status: 206,
    range: [0, 0],
  },
  {
    about: 'If-Range: a later date',
    headers: { Range: 'bytes=0-0', 'If-Range': 'LM+60' },
    status: 200,
    differs: 'send takes any later date; RFC 9110 §13.1.5 takes the exact one',
  },
  { about: 'If-Range: an earlier date', headers: { Range: 'bytes=0-0', 'If-Range': 'LM-60' }, status: 200 },
  { about: 'If-Range: no date', headers: { Range: 'bytes=0-0', 'If-Range': 'foo' }, status: 200 },
  { about: 'a 304 goes before a range', headers: { Range: 'bytes=0-4', 'If-None-Match': 'E' }, status: 304 },
  { about: 'a 412 goes before a range', headers: { Range: 'bytes=0-4', 'If-Match': '"a"' }, status: 412 },
  { about: 'HEAD and the tag', method: 'HEAD', headers: { 'If-None-Match': 'E' }, status: 304 },
]

describe.each<Via>(['Express', 'listener'])('through %s', (via) => {
  test.each([
    ['fresh', FRESH],
    ['send', SEND],
  ] as const)('the cases of %s', async (_of, cases) => {
    const { askHot, bytes, clock } = await withPoster(via)
    const whole = await askHot(POSTER)
    clock.now += 5000
    const { etag = '', 'last-modified': modified = '' } = whole.headers
    const date = (seconds: string): string =>
      new Date(Date.parse(modified) + Number(seconds) * 1000).toUTCString()
    const fill = (text: string): string =>
      text
        .replace(/^bare E$/, etag.replaceAll('"', ''))
        .replace(/^LM([+-]\d+)?$/, (_text, seconds: string | undefined) => date(seconds ?? '0'))
        .replace(/(^|[ ,/])E\b/g, `$1${etag}`)
    const at = (place: number | string): number =>
      typeof place === 'number' ? place : bytes.length - Number(place.split('-')[1])
    const check = ({ status, headers, body }: RawAnswer, one: Case): void => {
      const { about } = one
      expect(status, about).toBe(one.status)
      if (status === 200) {
        expect(headers['content-length'], about).toBe(String(bytes.length))
        expect(body.equals(one.method === 'HEAD' ? Buffer.alloc(0) : bytes), about).toBe(true)
      }
      if (one.range !== undefined) {
        const [first, last] = one.range.map(at)
        expect(headers['content-range'], about).toBe(`bytes ${first}-${last}/${bytes.length}`)
        expect(body.equals(bytes.subarray(first, (last ?? 0) + 1)), about).toBe(true)
      }
      if (status === 304) {
        expect(body.length, about).toBe(0)
        for (const name of ['content-type', 'content-length', 'content-range', 'content-encoding'])
          expect(headers[name], `${about}: ${name}`).toBeUndefined()
      }
      // send keeps `immutable` on these.
      if (status === 412 || status === 416) expect(headers['cache-control'], about).toBe('no-store')
      if (status === 416) expect(headers['content-range'], about).toBe(`bytes */${bytes.length}`)
    }
    for (const one of cases) {
      const headers = Object.fromEntries(
        Object.entries(one.headers).map(([name, value]) => [name, fill(value)]),
      )
      check(await askHot(POSTER, { headers, ...(one.method && { method: one.method }) }), one)
    }
  })
})

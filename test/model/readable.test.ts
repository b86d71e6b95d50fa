/** Texts for people: sizes, times in their zone, names of files, URLs behind addresses. */
import { describe, expect, test } from 'vitest'
import { fileNameOf } from '#src/model/file-name.js'
import { readableBytes, utcTime, zonedTime } from '#src/model/readable.js'
import { remoteUrlOf, withRemoteUrls } from '#src/model/remote-url.js'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [10 * 1024 ** 3, '10 GiB'],
])('%i bytes are %s', (bytes, text) => {
  expect(readableBytes(bytes)).toBe(text)
})

test('a time names its zone, on both sides of a change of clocks', () => {
  const winter = Date.UTC(2026, 0, 31, 2, 30)
  expect(utcTime(winter)).toBe('2026-01-31T02:30:00Z')
  expect(zonedTime(winter, 'Europe/Berlin')).toBe('2026-01-31T03:30:00+01:00 Europe/Berlin')
  expect(zonedTime(Date.UTC(2026, 6, 1), 'Europe/Berlin')).toBe('2026-07-01T02:00:00+02:00 Europe/Berlin')
  expect(zonedTime(winter, 'America/St_Johns')).toBe('2026-01-30T23:00:00-03:30 America/St_Johns')
  expect(zonedTime(Date.UTC(2026, 0, 31), 'UTC')).toMatch(/^2026-01-31T00:00:00(?:Z|\+00:00) UTC$/)
})

describe('the name that a client saves an image under', () => {
  test.each([
    ['/a/b/cover.png', 'image/jpeg', 'cover.jpg'],
    ['/a/caf%C3%A9.jpg', 'image/webp', 'café.webp'],
    ['/a/..%2F..%2Fetc%2Fpasswd', 'image/png', '_.._etc_passwd.png'],
    ['/a/%2e%2e', 'image/png', 'image.png'],
    ['/', 'image/png', 'image.png'],
    ['/folder/', 'image/png', 'folder.png'],
    ['/a/%22;%20evil=%22.jpg', 'image/jpeg', '_; evil=_.jpg'],
    ['/a/x%0d%0aSet-Cookie:a.jpg', 'image/jpeg', 'x__Set-Cookie_a.jpg'],
    ['/a/photo%E2%80%AEgpj.exe', 'image/jpeg', 'photo_gpj.jpg'],
    ['/a/con.jpg', 'image/jpeg', 'image.jpg'],
    ['/a/100%.jpg', 'image/jpeg', '100%.jpg'],
    [`/${'x'.repeat(300)}.jpg`, 'image/jpeg', `${'x'.repeat(60)}.jpg`],
    ['/a/b', 'application/octet-stream', 'b.bin'],
  ])('%s as %s', (path, type, name) => {
    expect(fileNameOf(path, type)).toBe(name)
  })
})

test('ids of remote addresses are shown as the URLs that they stand for, and nothing else is', () => {
  const url = 'https://cdn.example.com/a/b.jpg?x=1'
  const id = Buffer.from(url).toString('base64url')
  expect(remoteUrlOf(`images/remote/w320-webp/${id}`)).toBe(url)
  expect(withRemoteUrls(`made images/remote/w320/${id}: http_404`)).toBe(
    `made images/remote/w320/${url}: http_404`,
  )
  const control = Buffer.from('https://cdn.example.com/\u0007bell').toString('base64url')
  for (const other of ['local/artists/1/1.webp', 'poster/w342/abc.jpg', `remote/w320/${control}`]) {
    expect(withRemoteUrls(other)).toBe(other)
    expect(remoteUrlOf(other)).toBeUndefined()
  }
})

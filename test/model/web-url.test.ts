/** URLs are read the same at the first call and at the hundred-thousandth. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hostOf, isSoundUrl, parseUrl, readWebUrl } from '#src/model/web-url.js'

const root = new URL('../../src/', import.meta.url).pathname

test.each([
  'https://bücher.example/ä.jpg',
  'https://パブリック.example/a.jpg',
  'https://cdn.example/ümlaut/é.jpg?ß=ÿ',
])('%s is read also by optimised code', (text) => {
  const host = new URL(text).host
  for (let time = 0; time < 50_000; time += 1) {
    if (parseUrl(text)?.host === host && isSoundUrl(text) && hostOf(text) === host) continue
    expect.fail(`read otherwise at call ${time}`)
  }
  expect(readWebUrl(text).host).toBe(host)
})

test('what is no URL is none, at every call', () => {
  for (let time = 0; time < 20_000; time += 1)
    for (const text of ['', 'a.jpg', 'https://', 'http://a b/'])
      if (parseUrl(text) !== undefined) expect.fail(`${text} was read at call ${time}`)
  expect(parseUrl('../a.jpg', new URL('https://cdn.example/b/c'))?.href).toBe('https://cdn.example/a.jpg')
})

test('`URL.canParse` is asked nowhere', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  const offenders = files.filter((file) => /URL\.canParse\(/.test(readFileSync(join(root, file), 'utf8')))
  expect([files.length > 100, offenders]).toEqual([true, []])
})

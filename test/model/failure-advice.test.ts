import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { isErrorCode } from '#src/model/failure.js'
import { adviceFor, adviceForReason } from '#src/model/failure-advice.js'
import { optionsSchema } from '#src/options/schema.js'

const root = new URL('../../src/', import.meta.url).pathname
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(root + file, 'utf8'))
  .join('\n')

/** Every failure that the code makes, by its code and message. */
const FAILURES = [
  ...[...sources.matchAll(/new ArtworkError\(\s*'([a-z_]+)',\s*'([^']+)'/g)],
  ...[...sources.matchAll(/\brefuse\('([^']+)'\)/g)].map(([all, message]) => [all, 'refused', message]),
  ...[...sources.matchAll(/\brefuseToDial\('([^']+)'\)/g)].map(([all, message]) => [
    all,
    'undialable',
    message,
  ]),
].map(([, code = '', message = '']) => ({ code, message }))

/** Advice names options by their path. */
const optionsIn = (text: string): readonly string[] =>
  [...text.matchAll(/\b(fetch|transform|signing|manage|urls|disk|display)\.([a-zA-Z]+)/g)].map(
    ([path]) => path,
  )

describe('what mends a failure', () => {
  test('is said of every failure of fetching and decoding', () => {
    expect(FAILURES.length).toBeGreaterThan(60)
    const NOT_TO_MEND = [
      'method',
      'slow_request',
      'unknown_image',
      'unknown',
      'cancelled',
      'not_held',
      'unauthenticated',
      'bad_answer',
    ]
    for (const { code, message } of FAILURES) {
      if (!isErrorCode(code) || NOT_TO_MEND.includes(code)) continue
      expect(adviceFor({ code, message })?.mend, `${code}: ${message}`).toBeTruthy()
    }
  })

  test('names options that there are', () => {
    const known = new Set(
      Object.entries(optionsSchema.parse({})).flatMap(([name, value]) =>
        typeof value === 'object' && value !== null
          ? Object.keys(value).map((inner) => `${name}.${inner}`)
          : [name],
      ),
    )
    for (const name of ['manage.authorize', 'fetch.proxies', 'fetch.lookup']) known.add(name)
    for (const { code, message } of FAILURES) {
      if (!isErrorCode(code)) continue
      for (const option of optionsIn(adviceFor({ code, message })?.mend ?? ''))
        expect([...known], message).toContain(option)
    }
  })

  test('"refused" has one rule each for host, address, port, own origin, credentials and signature', () => {
    const rule = (code: 'refused' | 'undialable', message: string) => adviceFor({ code, message })?.rule
    expect(rule('refused', 'this host is not allowed')).toBe('host')
    expect(rule('undialable', 'this host is not allowed')).toBe('address')
    expect(rule('undialable', 'this address is not allowed')).toBe('address')
    expect(rule('undialable', 'this port is not allowed')).toBe('port')
    expect(rule('refused', 'this is our own address')).toBe('own-origin')
    expect(rule('refused', 'the URL must not hold credentials')).toBe('credentials')
    expect(rule('refused', 'the signature does not hold')).toBe('signature')
  })

  test('is said by the reason alone where nothing else is known', () => {
    expect(adviceForReason('http_404')).toContain('source URL')
    expect(adviceForReason('unknown')).toBeUndefined()
  })
})

import { uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { decodeBase64, parseLargeJson, unescapeBytes } from '#src/web/shared/large-json.js'
import { startApp } from '../../support/toolkit.js'

describe('an authorised body does not hold the others up (mended 20)', () => {
  const size = 13 * 1024 ** 2
  /** How often others had their turn while something was at work. */
  const turnsDuring = async (work: () => Promise<unknown>): Promise<number> => {
    let [turns, isOver] = [0, false]
    const count = (): void => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    await work().catch(() => {})
    isOver = true
    return turns
  }
  test('text is unescaped a piece at a time, and comes out as it should', async () => {
    const bytes = Buffer.from('%41%4a%4A%zz%4', 'latin1').toString('latin1')
    expect((await unescapeBytes(bytes)).toString('latin1')).toBe('AJJ%zz%4')
    expect((await unescapeBytes('%89PNG%ff')).toString('hex')).toBe('89504e47ff')
    const long = '%41'.repeat(size / 3)
    expect(await turnsDuring(() => unescapeBytes(long))).toBeGreaterThan(5)
    expect((await unescapeBytes(long)).equals(Buffer.alloc(Math.floor(size / 3), 'A'))).toBe(true)
  })
  test('JSON is looked through a piece at a time, and given up where it is all structure', async () => {
    const text = Buffer.from(`{"data":"${'A'.repeat(size)}"}`)
    expect(await turnsDuring(() => parseLargeJson(text))).toBeGreaterThan(10)
    for (const body of ['['.repeat(size), `[${'[],'.repeat(size / 3)}[]]`, `[${'"a",'.repeat(size / 4)}1]`])
      await expect(parseLargeJson(Buffer.from(body))).rejects.toThrow(/too much structure/)
    // An escape may lie across two pieces.
    const shifted = `{"data":"${'a'.repeat(512 * 1024 - 10)}\\"","x":${'['.repeat(20_000)}`
    await expect(parseLargeJson(Buffer.from(shifted))).rejects.toThrow(/too much structure/)
    const fine = { data: `${'a'.repeat(512 * 1024 - 10)}"${',[{'.repeat(20_000)}` }
    expect(await parseLargeJson(Buffer.from(JSON.stringify(fine)))).toEqual(fine)
    for (const value of [{ data: 'a"b\\', more: ['[', '\u005d'] }, [], 'x', 12, null])
      expect(await parseLargeJson(Buffer.from(JSON.stringify(value)))).toEqual(value)
    for (const body of ['', '{', '"a', '"a\\', '\ufeff{}x'])
      await expect(parseLargeJson(Buffer.from(body))).rejects.toThrow()
  })
  test('base64 with white space is read a piece at a time', async () => {
    const spaced = 'QUJD \n\t'.repeat(size / 8)
    expect(await turnsDuring(() => decodeBase64(spaced))).toBeGreaterThan(5)
    expect((await decodeBase64(' QU JD\r\nRA= = '))?.toString()).toBe('ABCD')
    for (const text of ['', ' ', 'A', 'QUJD!', 'QU=JD']) expect(await decodeBase64(text)).toBeUndefined()
  })
  test('over HTTP they are 4xx', async () => {
    const app = await startApp({
      transform: { isolate: false },
      sources: [uploads({ authorize: () => true })],
    })
    for (const [body, status] of [
      ['['.repeat(size), 422],
      [`{"data":"data:,${'%41'.repeat(size / 3)}"}`, 415],
      [`{"data":"${'A'.repeat(size)}"}`, 415],
    ] as const) {
      const headers = { 'Content-Type': 'application/json' }
      const answer = await app.get('/images/avatars', { method: 'POST', headers, body })
      expect([body.slice(0, 20), answer.status]).toEqual([body.slice(0, 20), status])
    }
  })
})

/**
 * Images that came as text, in JSON and in data: URLs: read a piece at a time, so that others have their turn. JSON is looked
 * through before it is parsed: a parser does not let go before it has read all, and takes seconds for nothing but brackets.
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { TextDecoder } from 'node:util'

/** Bytes that are looked at before others have their turn. */
const PIECE = 512 * 1024
/** Signs of structure outside of texts: what an upload needs is a handful. */
const MOST_SIGNS = 10_000
const [QUOTE, BACKSLASH] = [0x22, 0x5c]
/** `[ ] { } , :` */
const SIGNS: ReadonlySet<number> = new Set([0x5b, 0x5d, 0x7b, 0x7d, 0x2c, 0x3a])

/** Parses JSON in which texts are all that is large. @throws Error for anything else */
export async function parseLargeJson(bytes: Buffer): Promise<unknown> {
  let signs = 0
  let isText = false
  for (let at = 0, rest = PIECE; at < bytes.length; at += 1, rest -= 1) {
    if (rest <= 0) {
      await yieldToEventLoop()
      rest = PIECE
    }
    const byte = bytes[at] ?? 0
    if (isText) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else if (SIGNS.has(byte)) {
      signs += 1
      if (signs > MOST_SIGNS) throw new Error('too much structure')
    }
  }
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
}

/** Copies the bytes of a text, a piece at a time. @param copy copies what begins at a place, and answers where it went on to */
async function rewrite(
  text: string,
  copy: (source: Buffer, at: number, write: (byte: number) => void) => number,
): Promise<Buffer> {
  const source = Buffer.from(text, 'latin1')
  const target = Buffer.allocUnsafe(source.length)
  let length = 0
  const write = (byte: number): void => {
    target[length] = byte
    length += 1
  }
  for (let at = 0, next = PIECE; at < source.length; ) {
    if (at >= next) {
      await yieldToEventLoop()
      next = at + PIECE
    }
    at = copy(source, at, write)
  }
  return target.subarray(0, length)
}

/** `%89PNG` as the bytes that it stands for, which need not be UTF-8. @param text what follows the comma of a data: URL */
export const unescapeBytes = (text: string): Promise<Buffer> =>
  rewrite(text, (source, at, write) => {
    const byte = source[at] ?? 0
    const value = byte === 0x25 ? hexAt(source, at + 1) : undefined
    write(value ?? byte)
    return at + (value === undefined ? 1 : 3)
  })

function hexAt(bytes: Buffer, at: number): number | undefined {
  const [high, low] = [digit(bytes[at]), digit(bytes[at + 1])]
  return high === undefined || low === undefined ? undefined : high * 16 + low
}
function digit(byte = 0): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined
}

/** Base64 without its white space; undefined where that is not base64 (RFC 4648, either alphabet). */
export async function decodeBase64(text: string): Promise<Buffer | undefined> {
  const bare = await rewrite(text, (source, at, write) => {
    const byte = source[at] ?? 0
    const isSpace = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
    if (!isSpace) write(byte)
    return at + 1
  })
  const found = bare.toString('latin1')
  if (found === '' || !BASE64.test(found) || found.replace(/={1,2}$/, '').length % 4 === 1) return undefined
  return Buffer.from(found, 'base64')
}
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

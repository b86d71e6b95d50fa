/** Web URLs as others write them: judged as text before a parser has made something else of it. */
import { ArtworkError } from './failure.js'

/**
 * Reads an absolute URL, or one below a base; undefined for text that is none. `URL.canParse` is not asked: once V8 has
 * optimised the call, Node 20 answers `false` for a host with letters such as `ü`.
 */
export function parseUrl(text: string, base?: URL): URL | undefined {
  try {
    return new URL(text, base)
  } catch {
    return undefined
  }
}

/** Whether a text begins as an absolute web URL does. */
export const isWebUrl = (text: string): boolean => /^https?:\/\//i.test(text)

/** Characters that parsers take away, or take for others (WHATWG URL §4.4), so that two of them read two hosts. */
const CONFUSING = /[\p{Cc}\\]/u
/** Control characters in their encoded form: what decodes them behind us may write a line of its own. */
const ENCODED_CONTROL = /%(?:[01][0-9a-f]|7f)/i

/** Visible ASCII without the backslash, which most URLs are. */
const PLAIN = /^[!-[\]-~]*$/
const isConfusing = (text: string): boolean =>
  (!PLAIN.test(text) && (CONFUSING.test(text) || text !== text.trim())) ||
  (text.includes('%') && ENCODED_CONTROL.test(text))

/** Whether a text is a web URL that can be asked. */
export const isSoundUrl = (text: string): boolean =>
  isWebUrl(text) && !isConfusing(text) && parseUrl(text) !== undefined

/**
 * Reads the text of a URL.
 * @throws ArtworkError `refused` (403) for text with control characters, backslashes or white space at its ends,
 *   `invalid` (400) for text that is no URL
 */
export function readWebUrl(text: string, base?: URL): URL {
  if (isConfusing(text)) throw new ArtworkError('refused', 'the URL holds characters that are not allowed')
  const url = parseUrl(text, base)
  if (url === undefined) throw new ArtworkError('invalid', 'the URL cannot be read')
  return url
}

/** Whether a value is the text of a web origin, exactly: no path, no `*`, no default port. */
export const isExactOrigin = (value: unknown): value is string =>
  typeof value === 'string' && isWebUrl(value) && parseUrl(value)?.origin === value

/** The host of a URL, with its port where that is told; undefined for text that is none. */
export const hostOf = (url: string): string | undefined => parseUrl(url)?.host

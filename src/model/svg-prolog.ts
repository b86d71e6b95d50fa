/**
 * Whether a document is an SVG: what comes before its first element is read as XML has it (XML 1.0 §2.8), no further
 * than 64 KB, and nothing of it is resolved.
 */

/** Bytes that are read at most. */
const LONGEST_PROLOG = 64 * 1024
/** Bytes that are read first: few prologs are longer. */
const FIRST_READ = 1024

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be'

/** The encoding by its byte order mark, or by how the first `<` is written (XML 1.0, appendix F). */
function encodingOf(bytes: Uint8Array): Encoding {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0x3c && second === 0)) return 'utf-16le'
  if ((first === 0xfe && second === 0xff) || (first === 0 && second === 0x3c)) return 'utf-16be'
  return 'utf-8'
}

/** The text ended before it could be told. */
const CUT = Symbol('cut')

/** Where the mark that begins here ends; throws {@link CUT} where the text ends first. */
function after(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from)
  if (found < 0) throw CUT
  return found + mark.length
}

/** Where a document type declaration ends: quotes, comments, instructions and an internal subset may hold any sign. */
function afterDoctype(text: string, from: number): number {
  let isInSubset = false
  for (let at = from; ; ) {
    const sign = text[at]
    if (sign === undefined) throw CUT
    if (sign === '"' || sign === "'") at = after(text, sign, at + 1)
    else if (text.startsWith('<!--', at)) at = after(text, '-->', at + 4)
    else if (text.startsWith('<?', at)) at = after(text, '?>', at + 2)
    else if (sign === '>' && !isInSubset) return at + 1
    else {
      if (sign === '[') isInSubset = true
      if (sign === ']') isInSubset = false
      at += 1
    }
  }
}

/** The name of the first element, its prefix left out; undefined for what is no XML, or says that it is HTML. */
function rootOf(text: string): string | undefined {
  let at = text.startsWith('\ufeff') ? 1 : 0
  for (;;) {
    while (/\s/.test(text[at] ?? '')) at += 1
    if (at >= text.length) throw CUT
    if (text.startsWith('<!--', at)) at = after(text, '-->', at + 4)
    else if (text.startsWith('<?', at)) at = after(text, '?>', at + 2)
    else if (/^<!doctype\s/i.test(text.slice(at, at + 10))) {
      if (/^\s*html[\s>]/i.test(text.slice(at + 9, at + 200))) return undefined
      at = afterDoctype(text, at + 9)
    } else break
  }
  const rest = text.slice(at, at + 400)
  if (/^<[^\s>/]*$/.test(rest) && rest.length < 400) throw CUT
  const [, name] = /^<(?:[^\s<>/:='"&!?]+:)?([A-Za-z]+)[\s>/]/.exec(rest) ?? []
  return name?.toLowerCase()
}

/** Whether the document's first element is `svg`. */
export function isSvg(bytes: Uint8Array): boolean {
  const decoder = new TextDecoder(encodingOf(bytes), { fatal: false, ignoreBOM: true })
  const most = Math.min(bytes.length, LONGEST_PROLOG)
  for (let length = Math.min(FIRST_READ, most); ; length = Math.min(length * 4, most)) {
    const text = decoder.decode(bytes.subarray(0, length))
    if (!/^\ufeff?\s*(?:<|$)/.test(text)) return false
    try {
      return rootOf(text) === 'svg'
    } catch (error) {
      if (error !== CUT) throw error
      if (length === most) return false
    }
  }
}

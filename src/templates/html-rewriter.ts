/**
 * Rewrites `<img>` in HTML that others have written: where its picture is one of a source, it becomes a full picture. Everything
 * else is passed on byte by byte, broken HTML too: what is parsed only tells where an element begins and ends. The bytes are
 * read as ISO 8859-1, so that each is one character, whatever encoding beyond ASCII the page has; within, those beyond ASCII
 * stand apart, since `&eacute;` is no byte of the page.
 */
import type { SAXParser, StartTag } from 'parse5-sax-parser'
import { refuseMissing } from '../model/optional-package.js'
import type { Macros } from './macros.js'
import type { Keywords } from './picture-arguments.js'
import type { HtmlRewriter, RewriteOptions } from './rewriting.js'

/** What it works with. */
export interface RewriterParts {
  readonly macros: Macros
  /** The address of a picture by its URL; undefined for what no source has. */
  readonly addressOf: (url: string) => string | undefined
}

/** A longer tag is passed on, and what follows it too, characters. */
const LONGEST_TAG = 1024 * 1024
/** An element with this attribute is left alone. */
const LEFT_ALONE = 'data-artwork-ignore'
/** Attributes that arguments of the macros have the values of. */
const ARGUMENTS = ['alt', 'class', 'style', 'sizes', 'width', 'height'] as const
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  loading: ['lazy', 'eager'],
  decoding: ['async', 'sync', 'auto'],
  fetchpriority: ['high', 'low', 'auto'],
}
const PASSED_ON = /^[a-z][a-z0-9-]{0,63}$/
/** Space of HTML around a URL. */
const AROUND = /^[\t\n\f\r ]+|[\t\n\f\r ]+$/g

/** The class of parsers; a page loads it before it needs it. */
export type Parser = typeof SAXParser

/** @throws Error that says what to install */
export async function loadParser(usedBy: string): Promise<Parser> {
  try {
    return (await import('parse5-sax-parser')).SAXParser
  } catch (error) {
    return refuseMissing(error, 'parse5-sax-parser', usedBy)
  }
}

/** Where bytes beyond ASCII stand while a page is read: characters of private use, which no reference stands for. */
const PRIVATE_USE = 0xe000
const BEYOND_ASCII = /[\x80-\xff]/g
const toPrivateUse = (piece: string): string =>
  piece.replace(BEYOND_ASCII, (byte) => String.fromCharCode(PRIVATE_USE + byte.charCodeAt(0)))
const isByte = (code: number): boolean => code >= PRIVATE_USE + 0x80 && code <= PRIVATE_USE + 0xff
/** The bytes of a page, as they came. */
const fromPrivateUse = (text: string): string =>
  text.replace(/[\ue080-\ue0ff]/g, (char) => String.fromCharCode(char.charCodeAt(0) - PRIVATE_USE))
/** The bytes of markup of ours: what is none of the page's encoding is a reference. */
const asBytes = (html: string): string =>
  html.replace(/[^\0-\x7f]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0
    return isByte(code) ? String.fromCharCode(code - PRIVATE_USE) : `&#x${code.toString(16)};`
  })

/** Text whose bytes are UTF-8; undefined where they are none. */
function fromUtf8(text: string): string | undefined {
  const parts = [...text].map((char) => {
    const code = char.codePointAt(0) ?? 0
    return isByte(code) ? Buffer.from([code - PRIVATE_USE]) : Buffer.from(char)
  })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch {
    return undefined
  }
}

/** The URL of an element as a source knows it. A path that does not begin with `/` depends on the page. */
function urlOf(src: string): string | undefined {
  const text = fromUtf8(src.replace(AROUND, ''))
  if (text === undefined) return undefined
  if (text.startsWith('//')) return `https:${text}`
  return /^(?:https?:\/\/|\/)/i.test(text) ? text : undefined
}

/** What is printed in the place of an element; undefined where it stays as it is. */
function replacementOf(
  { macros, addressOf }: RewriterParts,
  { attrs }: StartTag,
  { element = 'picture', sizes }: RewriteOptions,
): string | undefined {
  const given = new Map(attrs.map(({ name, value }) => [name, value]))
  const url = urlOf(given.get('src') ?? '')
  if (url === undefined || given.has('srcset') || given.has(LEFT_ALONE)) return undefined
  if (addressOf(url) === undefined) return undefined
  const keywords: Record<string, unknown> = { alt: '', ...(sizes !== undefined && { sizes }) }
  const others: Record<string, string> = {}
  for (const [name, value] of given) {
    if (name === 'src') continue
    if (ARGUMENTS.some((one) => one === name)) keywords[name] = value
    else if (Object.hasOwn(CHOICES, name)) {
      const choice = value.toLowerCase()
      if (CHOICES[name]?.includes(choice)) keywords[name] = choice
    }
    // A script of an element belongs to that element.
    else if (!PASSED_ON.test(name) || name.startsWith('on')) return undefined
    else others[name] = value
  }
  for (const side of ['width', 'height'])
    if (!/^\d{1,5}$/.test(String(keywords[side] ?? ''))) delete keywords[side]
  const { html } = macros(element, url, { ...keywords, attrs: others } satisfies Keywords)
  return asBytes(html)
}

/** Makes a rewriter for one page. */
export function createHtmlRewriter(
  parts: RewriterParts,
  Sax: Parser,
  options: RewriteOptions = {},
): HtmlRewriter {
  /** What passes through it is not read: only its events count. */
  class Events extends Sax {
    protected override _transformChunk(piece: string): string {
      super._transformChunk(piece)
      return ''
    }
  }
  const parser = new Events({ sourceCodeLocationInfo: true })
  /** What has come and was not given, and where in the page it begins. */
  let held = ''
  let from = 0
  let out = ''
  /** Where the last thing ends that was recognised. */
  let known = 0
  let isGivenUp = false
  let pictures = 0
  const pass = (to: number): void => {
    if (to <= from) return
    out += fromPrivateUse(held.slice(0, to - from))
    held = held.slice(to - from)
    from = to
  }
  parser.on('startTag', (tag) => {
    const { startOffset = 0, endOffset = 0 } = tag.sourceCodeLocation ?? {}
    known = endOffset
    if (tag.tagName === 'picture') pictures += 1
    // The `<img>` of a picture is one of its own candidates.
    const html = tag.tagName === 'img' && pictures === 0 ? replacementOf(parts, tag, options) : undefined
    if (html === undefined) return
    pass(startOffset)
    out += html
    held = held.slice(endOffset - from)
    from = endOffset
  })
  parser.on('endTag', ({ tagName, sourceCodeLocation }) => {
    known = sourceCodeLocation?.endOffset ?? known
    if (tagName === 'picture') pictures = Math.max(0, pictures - 1)
  })
  for (const event of ['text', 'comment', 'doctype'] as const)
    parser.on(event, ({ sourceCodeLocation }) => {
      known = sourceCodeLocation?.endOffset ?? known
    })
  const taken = (): string => {
    const ready = out
    out = ''
    return ready
  }
  return {
    write: (piece) => {
      if (isGivenUp) return piece
      const text = toPrivateUse(piece)
      held += text
      parser.write(text)
      pass(known)
      // What holds no `<` is no part of a tag.
      const mark = held.indexOf('<')
      pass(from + (mark < 0 ? held.length : mark))
      if (held.length > LONGEST_TAG) {
        isGivenUp = true
        parser.stop()
        pass(from + held.length)
      }
      return taken()
    },
    end: () => {
      parser.destroy()
      pass(from + held.length)
      return taken()
    },
  }
}

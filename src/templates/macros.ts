/** The macros: from a subject and arguments by name to markup. They know no template engine. */

import { macroArgument } from '../model/diagnostic.js'
import { createRecent } from '../model/recent.js'
import type { Subject } from '../model/subject.js'
import { type Helpers, subjectText } from './helpers.js'
import { escapeHtml, escapeSafe } from './html.js'
import type { MarkupCache } from './markup-cache.js'
import type { TemplateParts } from './parts.js'
import {
  type Keywords,
  type Macro,
  type PictureArguments,
  readPictureArguments,
} from './picture-arguments.js'
import type { PictureData } from './picture-data.js'
import {
  type Markup,
  type MarkupParts,
  printBackground,
  printImage,
  printPicture,
  printPreload,
} from './picture-markup.js'

/** What a call of a macro comes to. */
interface Printed extends Markup {
  /** What the page has shown, so that what is wanted is fetched. */
  readonly requested: (() => void) | undefined
}

/** What a template hands over, and what it was read as. */
interface Given {
  readonly raw: unknown
  readonly subject: Subject
  /** See {@link subjectText}. */
  readonly text: string
}

/** Arguments that are remembered, and how long their text may be, characters. */
const MAX_READ = 500
const LONGEST_ARGUMENTS = 1000

/** See {@link createMacros}. */
export type Macros = ReturnType<typeof createMacros>

/** Makes the macros. */
export function createMacros(parts: TemplateParts, helpers: Helpers, kept: MarkupCache) {
  const { settings, events } = parts
  const tell = (macro: Macro) => (message: string) => events.emit('diagnosed', macroArgument(macro, message))

  /** Arguments that were read lately: a page gives most pictures the same. */
  const read = createRecent<PictureArguments>(MAX_READ)
  const argumentsOf = (macro: Macro, keywords: Keywords, text: string | undefined): PictureArguments => {
    const known = text === undefined ? undefined : read.get(text)
    if (known !== undefined) return known
    const asked = readPictureArguments(macro, keywords, tell(macro))
    if (text !== undefined && text.length < LONGEST_ARGUMENTS) read.set(text, asked)
    return asked
  }
  const print = (macro: Macro, given: Given, keywords: Keywords, text: string | undefined): Printed => {
    const asked = argumentsOf(macro, keywords, text)
    const picture = helpers.picture(given.subject, asked.requireLocal, given.text)
    const others: PictureData[] = []
    const markup: MarkupParts = {
      settings,
      thumbhashUrl: parts.thumbhashUrl,
      lookUp: (other, kind) => {
        const found = helpers.picture(helpers.read(other ?? given.raw, kind), asked.requireLocal)
        others.push(found)
        return found
      },
    }
    // What a page shows it asks for, pictures of other cuts as well.
    const done = ({ html, preload }: Markup): Printed => {
      const wanted = [picture, ...others].flatMap((one) => helpers.requested(one) ?? [])
      const requested = (): void => {
        for (const request of wanted) request()
      }
      return { html, preload, requested: wanted.length === 0 ? undefined : requested }
    }
    switch (macro) {
      case 'img':
        return done(printImage(markup, picture, asked, altText(keywords.alt)))
      case 'avatar':
        return done(printImage(markup, picture, asked, altText(keywords.alt), true))
      case 'picture':
        return done(printPicture(markup, picture, asked, altText(keywords.alt)))
      case 'background':
        return done({ html: printBackground(picture, asked), preload: undefined })
      case 'preload': {
        const media = keywords.media === undefined ? undefined : String(keywords.media)
        const html = printPreload(picture, asked, { media, isPicture: keywords.picture === true })
        return done({ html, preload: undefined })
      }
    }
  }
  /**
   * Prints a macro.
   * @throws TypeError for `img`, `picture` and `avatar` without `alt`
   */
  return (macro: Macro, given: unknown, keywords: Keywords): Markup => {
    if (macro !== 'background' && macro !== 'preload') checkAlt(keywords.alt)
    const text = textOfArguments(macro, keywords)
    const subject = helpers.read(given, keywords.kind)
    const about = subjectText(subject)
    const make = (): Printed => print(macro, { raw: given, subject, text: about }, keywords, text)
    const { alt } = keywords
    const printed =
      text === undefined
        ? make()
        : kept.get(
            'prints',
            `${text}\n${alt instanceof String ? 'safe' : ''}${alt}\n${about}`,
            make,
            ({ html }) => html.length,
          )
    printed.requested?.()
    return printed
  }
}

/** The arguments but `alt` as text; undefined where they cannot be one. */
function textOfArguments(macro: Macro, keywords: Keywords): string | undefined {
  let text: string = macro
  for (const name in keywords) {
    const value = keywords[name]
    if (value === undefined || name === '__keywords' || name === 'alt') continue
    if (typeof value === 'string') text += `\n${name}="${value.length}:${value}`
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null)
      text += `\n${name}=${value}`
    else if (name === 'sources' || typeof value !== 'object') return undefined
    else {
      const json = jsonOf(value)
      if (json === undefined) return undefined
      text += `\n${name}:${json}`
    }
  }
  return text
}

function jsonOf(value: object): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

function checkAlt(alt: unknown): void {
  if (typeof alt === 'string' || alt instanceof String || typeof alt === 'number') return
  throw new TypeError(
    'artwork macros need an alt text: describe the picture, or pass "" for one that only decorates',
  )
}

/** The value of `alt`: what a template has marked as safe keeps its entities. */
const altText = (alt: unknown): string =>
  alt instanceof String ? escapeSafe(String(alt)) : escapeHtml(String(alt))

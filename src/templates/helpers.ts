/** What templates of any engine, the app's code and `Link` fields use: display URL, srcset, data of an image. Nothing here throws for missing data. */
import type { Displayed } from '../images/display-url.js'
import { type PrintableImage, srcsetOf } from '../images/print-url.js'
import { type NfoOptions, nfoElement } from '../library/nfo.js'
import { kindMissing, kindUnknown, sizeNotOffered } from '../model/diagnostic.js'
import { type Looks, looksOf } from '../model/entry.js'
import { isFormat } from '../model/media-type.js'
import { readSubject, type Subject, sourceKindsOf } from '../model/subject.js'
import { textOf } from '../model/text.js'
import type { MarkupCache } from './markup-cache.js'
import type { ImageName, Shown, TemplateParts } from './parts.js'
import { type PictureData, pictureData } from './picture-data.js'

/** What macros print of an image. */
export interface ImageData extends Displayed, Looks {
  /** The URL of its placeholder. */
  readonly placeholder: string
  /** Candidates by width, '' where there are none. */
  readonly srcset: string
}

/** How data of an image is asked for. */
export interface ImageDataOptions {
  readonly kind?: unknown
  readonly requireLocal?: unknown
  readonly widths?: unknown
  readonly format?: unknown
}

/** What is known of a picture counts for so many characters, and for so many times its URL. */
const PICTURE_SIZE = 500
const CANDIDATES = 8

/** See {@link createHelpers}. */
export type Helpers = ReturnType<typeof createHelpers>

/** Makes the helpers. */
export function createHelpers(parts: TemplateParts, kept: MarkupCache) {
  const { images, settings, events } = parts
  const { display } = images
  const { kinds, kindOf } = settings
  const checkKind = createKindCheck(parts)
  const read = (given: unknown, kind: unknown): Subject => {
    const subject = readSubject(given, textOf(kind), kinds, kindOf)
    checkKind(given, subject, kind)
    return subject
  }
  const show = (subject: Subject, requireLocal: boolean): Shown => ({
    subject,
    ...display.show({ ...subject, requireLocal }),
  })
  /** Says that a page has shown a subject whose local image is missing; undefined where it is not. */
  const requested = ({ subject, shown }: Pick<Shown, 'subject' | 'shown'>): (() => void) | undefined => {
    const { id, kind, sourceUrl, params } = subject
    if (!shown.wanted || id === undefined || kind === undefined) return undefined
    return () => events.emit('entity-requested', { kind: kind.kind, id, sourceUrl, params })
  }
  /** What to print for a subject. A page that shows it asks for it so. */
  const shownOf = (given: unknown, kind: unknown, requireLocal: unknown): Shown => {
    const found = show(read(given, kind), requireLocal === true)
    requested(found)?.()
    return found
  }
  /** The same, where the answer is still known. */
  const displayUrl = (given: unknown, kind: unknown, requireLocal: unknown): string => {
    const subject = read(given, kind)
    const isLocal = requireLocal === true
    const { url, emit } = kept.get(
      'prints',
      `url\n${isLocal}\n${subjectText(subject)}`,
      () => {
        const shown = display.display({ ...subject, requireLocal: isLocal })
        return { url: shown.url, emit: requested({ subject, shown }) }
      },
      (answer) => answer.url.length,
    )
    emit?.()
    return url
  }
  /** The name of the subject's image under `/images`: its source URL, or a text that a source knows. */
  const nameOfSubject = (subject: Subject): ImageName | undefined => {
    const { sourceUrl, localPath } = subject
    const text = display.ownUrl(subject) ?? sourceUrl ?? localPath
    return text === undefined ? undefined : { text, kinds: sourceKindsOf(subject) }
  }
  /** What is known of the subject's picture. @param text see {@link subjectText} */
  const picture = (subject: Subject, requireLocal: boolean, text = subjectText(subject)): PictureData =>
    kept.get(
      'facts',
      `data\n${requireLocal}\n${text}`,
      (later) => pictureData(parts, { show, nameOfSubject }, subject, requireLocal, later),
      ({ shown }) => PICTURE_SIZE + shown.url.length * CANDIDATES,
    )
  /** A variant that is asked for and not offered. */
  const noteRefused = (image: PrintableImage | undefined, variant: string): void => {
    const why = image?.refusal(variant)
    if (why !== undefined) events.emit('diagnosed', sizeNotOffered(variant, why))
  }
  const srcsetIn = (data: PictureData, widths: unknown, format: unknown): string => {
    const token = textOf(format) ?? 'auto'
    const list = Array.isArray(widths) ? (widths as readonly unknown[]) : undefined
    return isFormat(token) || token === 'auto' ? srcsetOf(data.candidates(token, list)) : ''
  }
  /** Candidates of a subject: of an entity's own image where there is one. */
  const srcset = (given: unknown, asked: Pick<ImageDataOptions, 'kind' | 'widths' | 'format'>): string =>
    srcsetIn(picture(read(given, asked.kind), false), asked.widths, asked.format)
  /** The URL of an image in a variant, else the display URL. */
  const imageUrl = (given: unknown, variant: unknown, kind: unknown): string => {
    const name = nameOfSubject(read(given, kind))
    const image = name === undefined ? undefined : display.image(name.text, name.kinds)
    const wanted = textOf(variant)
    const own = image?.url(wanted)
    if (own === undefined && wanted !== undefined) noteRefused(image, wanted)
    return own ?? displayUrl(given, kind, false)
  }

  const imageData = (given: unknown, { kind, requireLocal, widths, format }: ImageDataOptions): ImageData => {
    const data = picture(read(given, kind), requireLocal === true)
    requested(data)?.()
    const isAsked = widths !== undefined && widths !== ''
    return {
      ...data.shown,
      ...(data.isShapeKnown && data.box),
      placeholder: data.placeholder,
      srcset: isAsked ? srcsetIn(data, widths, format) : '',
      ...looksOf(data.original?.traits),
    }
  }
  /** The element of an image in an NFO file. */
  const nfo = (given: unknown, options: NfoOptions): string =>
    nfoElement(settings, display, read(given, options.kind), options)
  return {
    nfo,
    display,
    read,
    show,
    shownOf,
    displayUrl,
    requested,
    picture,
    srcset,
    imageData,
    imageUrl,
  }
}

/** A subject as text: two that differ in it may be printed differently. */
export function subjectText({
  kind,
  kindName,
  id,
  sourceUrl,
  localPath,
  providerIds,
  params,
}: Subject): string {
  let text = `${kindName ?? ''}\n${kind?.kind ?? ''}\n${typeof id}${id ?? ''}\n${sourceUrl ?? ''}\n${localPath ?? ''}`
  for (const providerId of providerIds) text += `\n${providerId}`
  for (const name in params) text += `\n${name}=${params[name]}`
  return text
}

/** Makes the check of an entity without a known kind, whose image is never stored, which its page does not show. */
function createKindCheck({ events, settings }: Pick<TemplateParts, 'events' | 'settings'>) {
  return (given: unknown, { kind, sourceUrl, id }: Subject, kindName: unknown): void => {
    if (kind !== undefined || id === undefined || sourceUrl === undefined) return
    if (typeof given !== 'object' || given === null) return
    const name = textOf(kindName)
    const found =
      name === undefined
        ? kindMissing(Object.keys(given).slice(0, 20))
        : kindUnknown(name, [...settings.kinds.keys()])
    events.emit('diagnosed', found)
  }
}

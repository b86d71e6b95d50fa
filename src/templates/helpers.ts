/** What templates of any engine, the app's code and `Link` fields use: display URL, srcset, data of an image. Nothing here throws for missing data. */
import type { Events } from '../events.js'
import type { Displayed } from '../images/display-url.js'
import type { Images } from '../images/images.js'
import { type NfoOptions, nfoElement } from '../library/nfo.js'
import { readSubject, type Subject, sourceKindsOf } from '../model/subject.js'
import { textOf } from '../model/text.js'
import type { Settings } from '../options/settings.js'

/** What macros print of an image. */
export interface ImageData extends Displayed {
  /** The URL of its placeholder. */
  readonly placeholder: string
  /** Candidates by width, '' where there are none. */
  readonly srcset: string
}

/** What the helpers work with. */
export interface TemplateParts {
  readonly images: Pick<Images, 'display'>
  readonly settings: Pick<Settings, 'kinds' | 'kindOf' | 'export' | 'urls' | 'logger' | 'display'>
  readonly events: Pick<Events, 'emit'>
}

/** A text that names an image of a source, and the kinds that it may be of. */
interface ImageName {
  readonly text: string
  readonly kinds: readonly string[]
}

/** How data of an image is asked for. */
export interface ImageDataOptions {
  readonly kind?: unknown
  readonly requireLocal?: unknown
  readonly widths?: unknown
  readonly format?: unknown
}

/** Toolkits that have warned of an entity without a kind. */
const warned = new WeakSet<TemplateParts>()

/** See {@link createHelpers}. */
export type Helpers = ReturnType<typeof createHelpers>

/** Makes the helpers. */
export function createHelpers(parts: TemplateParts) {
  const { images, settings, events } = parts
  const { display } = images
  const { kinds, kindOf, logger } = settings
  const read = (given: unknown, kind: unknown): Subject => readSubject(given, textOf(kind), kinds, kindOf)
  /** The image of an entity without a known kind is never stored, which its page does not show. */
  const warnOnce = (given: unknown, { kind, sourceUrl, id }: Subject, kindName: unknown): void => {
    if (warned.has(parts) || kind !== undefined || id === undefined || sourceUrl === undefined) return
    if (typeof given !== 'object' || given === null) return
    warned.add(parts)
    const name = textOf(kindName)
    const what =
      name === undefined ? 'an entity without a kind' : `the kind ${JSON.stringify(name)}, which is not known`
    logger.warn(
      { fields: Object.keys(given).slice(0, 20) },
      `artwork: a template shows ${what}: its picture is never kept. Name its kind in the filter or macro, give it an entity_type, or set the option kindOf; kinds of your own are declared in entities`,
    )
  }
  const show = (
    given: unknown,
    kind: unknown,
    requireLocal: unknown,
  ): { subject: Subject; shown: Displayed } => {
    const subject = read(given, kind)
    warnOnce(given, subject, kind)
    const shown = display.display({ ...subject, requireLocal: requireLocal === true })
    const { id, sourceUrl, params } = subject
    if (shown.wanted && id !== undefined && subject.kind !== undefined)
      events.emit('entity-requested', { kind: subject.kind.kind, id, sourceUrl, params })
    return { subject, shown }
  }
  /** The name of the subject's image under `/images`: its source URL, or a text that a source knows. */
  const nameOf = (given: unknown, kind: unknown): ImageName | undefined => {
    const subject = read(given, kind)
    const { sourceUrl, localPath } = subject
    const text = display.ownUrl(subject) ?? sourceUrl ?? localPath
    return text === undefined ? undefined : { text, kinds: sourceKindsOf(subject) }
  }
  const srcset = (name: ImageName | undefined, widths: readonly unknown[], format: string): string =>
    name === undefined ? '' : display.srcset(name.text, widths, format, name.kinds)
  const widthsOf = (name: ImageName | undefined, given: unknown): readonly unknown[] =>
    Array.isArray(given) ? given : name === undefined ? [] : display.widthsFor(name.text, name.kinds)
  /** The URL of an image in a variant, else the display URL. */
  const imageUrl = (given: unknown, variant: unknown, kind: unknown): string => {
    const name = nameOf(given, kind)
    const own = name === undefined ? undefined : display.imageUrl(name.text, textOf(variant), name.kinds)
    return own ?? show(given, kind, false).shown.url
  }

  const imageData = (given: unknown, { kind, requireLocal, widths, format }: ImageDataOptions): ImageData => {
    const { subject, shown } = show(given, kind, requireLocal)
    const name = nameOf(given, kind)
    const candidates =
      widths === undefined || widths === ''
        ? ''
        : srcset(name, widthsOf(name, widths), textOf(format) ?? 'auto')
    return { ...shown, placeholder: display.placeholder(subject.kind), srcset: candidates }
  }
  /** The element of an image in an NFO file. */
  const nfo = (given: unknown, options: NfoOptions): string =>
    nfoElement(settings, display, read(given, options.kind), options)
  return { nfo, display, read, show, nameOf, srcset, widthsOf, imageData, imageUrl }
}

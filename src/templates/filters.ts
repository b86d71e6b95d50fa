/** Nunjucks filters: synchronous (async ones vanish silently), never throwing for missing data, plain text that autoescape escapes. */
import type { Environment } from 'nunjucks'
import type { Events } from '../events.js'
import type { Displayed } from '../images/display-url.js'
import type { Images } from '../images/images.js'
import { type NfoOptions, nfoElement } from '../library/nfo.js'
import { readSubject, type Subject, sourceKindsOf } from '../model/subject.js'
import { hasField, textOf } from '../model/text.js'
import type { Settings } from '../options/settings.js'

/** What `image_data` gives to the macros. */
export interface ImageData extends Displayed {
  /** The URL of its placeholder. */
  readonly placeholder: string
  /** Candidates by width, '' where there are none. */
  readonly srcset: string
}

/** What the filters work with. */
export interface TemplateParts {
  readonly images: Pick<Images, 'display'>
  readonly settings: Pick<Settings, 'kinds' | 'kindOf' | 'export' | 'urls' | 'logger'>
  readonly events: Pick<Events, 'emit'>
}

/** A text that names a picture, and the kinds that it may be of. */
interface Naming {
  readonly text: string
  readonly kinds: readonly string[]
}

type Keywords = Readonly<Record<string, unknown>>

/** Nunjucks hands keyword arguments over as a last object that is marked so. */
function readArguments(given: readonly unknown[], names: readonly string[]): Keywords {
  const last = given.at(-1)
  const isKeywords = typeof last === 'object' && last !== null && hasField(last, '__keywords')
  const positional = isKeywords ? given.slice(0, -1) : given
  const named: Keywords = isKeywords ? { ...last } : {}
  return {
    ...named,
    ...Object.fromEntries(positional.map((value, index) => [names[index] ?? `_${index}`, value])),
  }
}

/** Toolkits that have warned of an entity without a kind. */
const TOLD = new WeakSet<TemplateParts>()

/** See {@link createHelpers}. */
export type Helpers = ReturnType<typeof createHelpers>

/** What templates, code, and who sends `Link` fields, ask of a picture. */
export function createHelpers(parts: TemplateParts) {
  const { images, settings, events } = parts
  const { display } = images
  const { kinds, kindOf, logger } = settings
  const read = (given: unknown, kind: unknown): Subject => readSubject(given, textOf(kind), kinds, kindOf)
  /** Of an entity of no known kind no picture is ever kept: its page works, and says nothing of that. */
  const warnOf = (given: unknown, { kind, sourceUrl, id }: Subject, asked: unknown): void => {
    if (TOLD.has(parts) || kind !== undefined || id === undefined || sourceUrl === undefined) return
    if (typeof given !== 'object' || given === null) return
    TOLD.add(parts)
    const name = textOf(asked)
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
    warnOf(given, subject, kind)
    const shown = display.display({ ...subject, requireLocal: requireLocal === true })
    const { id, sourceUrl, params } = subject
    if (shown.wanted && id !== undefined && subject.kind !== undefined)
      events.emit('entity-requested', { kind: subject.kind.kind, id, sourceUrl, params })
    return { subject, shown }
  }
  /** What `/images` knows the subject by: its source URL, or a text that names a picture of a source. */
  const nameOf = (given: unknown, kind: unknown): Naming | undefined => {
    const subject = read(given, kind)
    const { sourceUrl, localPath } = subject
    const text = display.ownUrl(subject) ?? sourceUrl ?? localPath
    return text === undefined ? undefined : { text, kinds: sourceKindsOf(subject) }
  }
  const srcset = (name: Naming | undefined, widths: readonly unknown[], format: string): string =>
    name === undefined ? '' : display.srcset(name.text, widths, format, name.kinds)
  const widthsOf = (name: Naming | undefined, given: unknown): readonly unknown[] =>
    Array.isArray(given) ? given : name === undefined ? [] : display.widthsFor(name.text, name.kinds)
  /** The URL of a picture in a variant, else what is printed where none is asked for. */
  const imageUrl = (given: unknown, variant: unknown, kind: unknown): string => {
    const name = nameOf(given, kind)
    const own = name === undefined ? undefined : display.imageUrl(name.text, textOf(variant), name.kinds)
    return own ?? show(given, kind, false).shown.url
  }

  /** What the macros print of a picture. */
  const imageData = (given: unknown, { kind, require_local, widths, format }: Keywords): ImageData => {
    const { subject, shown } = show(given, kind, require_local)
    const name = nameOf(given, kind)
    const candidates =
      widths === undefined || widths === ''
        ? ''
        : srcset(name, widthsOf(name, widths), textOf(format) ?? 'auto')
    return { ...shown, placeholder: display.placeholder(subject.kind), srcset: candidates }
  }
  /** What an NFO file says of a picture. */
  const nfo = (given: unknown, options: NfoOptions): string =>
    nfoElement(settings, display, read(given, options.kind), options)
  return { nfo, display, read, show, nameOf, srcset, widthsOf, imageData, imageUrl }
}

/** Adds the filters and the check of `alt` to an environment. */
export function installFilters(environment: Environment, parts: TemplateParts): void {
  const { kinds } = parts.settings
  const { nfo, display, read, show, nameOf, srcset, widthsOf, imageData, imageUrl } = createHelpers(parts)

  environment.addFilter('image_display_url', (given: unknown, ...rest: unknown[]) => {
    const { kind, require_local } = readArguments(rest, ['kind', 'require_local'])
    return show(given, kind, require_local).shown.url
  })
  environment.addFilter('image_url', (given: unknown, ...rest: unknown[]) => {
    const { variant, kind } = readArguments(rest, ['variant', 'kind'])
    return imageUrl(given, variant, kind)
  })
  environment.addFilter('image_srcset', (given: unknown, ...rest: unknown[]) => {
    const { widths, kind, format } = readArguments(rest, ['widths', 'kind', 'format'])
    const name = nameOf(given, kind)
    return srcset(name, widthsOf(name, widths), textOf(format) ?? 'auto')
  })
  environment.addFilter('image_placeholder', (given: unknown, ...rest: unknown[]) => {
    const { kind } = readArguments(rest, ['kind'])
    const named = kinds.get(textOf(given) ?? '')
    return display.placeholder(named ?? read(given, kind).kind)
  })
  environment.addFilter('image_data', (given: unknown, ...rest: unknown[]): ImageData => {
    const names = ['kind', 'require_local', 'widths', 'format']
    return imageData(given, readArguments(rest, names))
  })
  environment.addFilter('image_nfo', (given: unknown, ...rest: unknown[]) => {
    const { aspect, from, kind, require_local } = readArguments(rest, [
      'aspect',
      'from',
      'kind',
      'require_local',
    ])
    const options = {
      aspect: textOf(aspect),
      from: textOf(from),
      kind: textOf(kind),
      requireLocal: require_local === true,
    }
    return environment.getFilter('safe')(nfo(given, options))
  })
  environment.addFilter('image_alt', (given: unknown) => {
    if (typeof given === 'string' || given instanceof String || typeof given === 'number') return given
    throw new TypeError(
      'artwork macros need an alt text: describe the picture, or pass "" for one that only decorates',
    )
  })
}

/** Reads the arguments of the macros. What is wrong with them is told once, with what would be right, and left out. */
import { readRatio } from '../model/entity.js'
import { type Format, isFormat } from '../model/media-type.js'
import { fieldOf, hasField, textOf } from '../model/text.js'

/** Arguments as a template gives them, by name. */
export type Keywords = Readonly<Record<string, unknown>>

/** What the macros take, read. Sides in pixels. */
export interface PictureArguments {
  readonly kind: unknown
  /** Pixels; undefined: all that are offered; none: no candidates. */
  readonly widths: readonly unknown[] | undefined
  readonly sizes: string | undefined
  /** `auto`, a format, or undefined: the macro's own way. */
  readonly format: Format | 'auto' | undefined
  readonly width: number | undefined
  readonly height: number | undefined
  readonly ratio: number | undefined
  readonly fit: 'cover' | 'contain' | undefined
  readonly densities: readonly number[]
  readonly loading: 'lazy' | 'eager'
  readonly decoding: string
  readonly fetchpriority: string | undefined
  readonly isPriority: boolean
  readonly requireLocal: boolean
  readonly placeholder: 'color' | 'thumbhash' | 'none' | undefined
  readonly class: string | undefined
  readonly style: string | undefined
  /** Further attributes, by name. */
  readonly attrs: Readonly<Record<string, string | boolean>>
  readonly sources: readonly SourceArguments[]
}

/** A source of art direction. */
export interface SourceArguments {
  readonly media: string
  /** Another subject; undefined: the picture's own. */
  readonly subject: unknown
  readonly kind: unknown
  readonly widths: readonly unknown[] | undefined
  readonly sizes: string | undefined
  readonly width: number | undefined
  readonly height: number | undefined
  readonly ratio: number | undefined
}

/** The names of the arguments, in the order in which they may be given without. */
export const POSITIONS = {
  img: ['alt', 'kind', 'sizes', 'widths', 'class', 'loading', 'require_local'],
  picture: ['alt', 'kind', 'sizes', 'widths', 'class', 'loading', 'require_local'],
  avatar: ['alt', 'kind', 'size', 'class', 'require_local'],
  background: ['kind', 'width', 'require_local'],
  preload: ['kind', 'sizes', 'widths', 'require_local'],
} as const

/** A macro. */
export type Macro = keyof typeof POSITIONS

const OF_ALL = ['kind', 'widths', 'format', 'require_local', 'placeholder']
const OF_BOXES = ['width', 'height', 'ratio', 'fit', 'densities']
const OF_ELEMENTS = ['alt', 'class', 'style', 'attrs', 'loading', 'decoding', 'fetchpriority', 'priority']
const KNOWN: Readonly<Record<Macro, ReadonlySet<string>>> = {
  img: new Set([...OF_ALL, ...OF_BOXES, ...OF_ELEMENTS, 'sizes']),
  picture: new Set([...OF_ALL, ...OF_BOXES, ...OF_ELEMENTS, 'sizes', 'sources']),
  avatar: new Set([...OF_ALL, ...OF_ELEMENTS, 'size', 'fit', 'densities']),
  background: new Set([...OF_ALL, 'width', 'densities']),
  preload: new Set([...OF_ALL, ...OF_BOXES, 'sizes', 'media', 'picture']),
}
const OF_SOURCES = new Set(['media', 'subject', 'kind', 'widths', 'sizes', 'width', 'height', 'ratio'])

/** Attributes that the macros print themselves: they have arguments of their own. */
const OWN_ATTRIBUTES = new Set([
  'src',
  'srcset',
  'sizes',
  'alt',
  'width',
  'height',
  'loading',
  'decoding',
  'fetchpriority',
])
const ATTRIBUTE = /^[a-z][a-z0-9-]{0,63}$/

/** Tells the author of a template what is wrong, once for each text. */
export type Tell = (message: string) => void

/** A whole number of pixels. */
function side(name: string, given: unknown, tell: Tell): number | undefined {
  if (given === undefined || given === null || given === '') return undefined
  const text = typeof given === 'number' ? String(given) : (textOf(given) ?? '')
  const number = /^\d{1,5}(?:px)?$/.test(text) ? Number.parseInt(text, 10) : Math.round(Number(text))
  if (Number.isFinite(number) && number > 0 && number < 100_000) return number
  tell(`${name} must be a number of pixels, got ${shown(given)}`)
  return undefined
}

function oneOf<T extends string>(
  name: string,
  given: unknown,
  choices: readonly T[],
  tell: Tell,
): T | undefined {
  if (given === undefined || given === null || given === '') return undefined
  const found = choices.find((choice) => choice === textOf(given))
  if (found === undefined) tell(`${name} must be one of ${choices.join(', ')}, got ${shown(given)}`)
  return found
}

const shown = (given: unknown): string => {
  try {
    return (JSON.stringify(given) ?? String(given)).slice(0, 80)
  } catch {
    return typeof given
  }
}

/** `true`, '' and nothing are all that are offered; `false` is none. */
function readWidths(given: unknown, tell: Tell): readonly unknown[] | undefined {
  if (given === undefined || given === null || given === '' || given === true) return undefined
  if (given === false) return []
  if (Array.isArray(given)) return given
  tell(`widths must be a list of numbers, such as [320, 640], got ${shown(given)}`)
  return undefined
}

function readRatioOf(given: unknown, tell: Tell): number | undefined {
  if (given === undefined || given === null || given === '') return undefined
  const ratio = readRatio(given)
  if (ratio === undefined) tell(`ratio must be width by height, such as "16/9", got ${shown(given)}`)
  return ratio
}

function readDensities(given: unknown, tell: Tell): readonly number[] {
  if (given === undefined || given === null || given === '') return [1, 2]
  const densities = (Array.isArray(given) ? given : [given]).map(Number)
  if (densities.every((density) => density > 0 && density <= 10)) return densities
  tell(`densities must be a list of numbers up to 10, such as [1, 2], got ${shown(given)}`)
  return [1, 2]
}

function readAttributes(given: unknown, tell: Tell): Readonly<Record<string, string | boolean>> {
  if (given === undefined || given === null || given === '') return {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    tell(`attrs must be attributes by name, such as { id: "cover" }, got ${shown(given)}`)
    return {}
  }
  const attributes: Record<string, string | boolean> = {}
  for (const written of Object.keys(given)) {
    if (written === '__keywords') continue
    const name = written.toLowerCase()
    const value = fieldOf(given, written)
    if (OWN_ATTRIBUTES.has(name)) tell(`attrs must not hold ${name}, which is an argument of its own`)
    else if (!ATTRIBUTE.test(name) || name.startsWith('on'))
      tell(`attrs must not hold ${shown(written)}: it is no attribute, or one that runs a script`)
    else if (value === true) attributes[name] = true
    else if (value !== undefined && value !== null && value !== false) {
      const text = typeof value === 'object' ? textOf(value) : String(value)
      if (text === undefined) tell(`attrs.${name} must be a text, got ${shown(value)}`)
      else attributes[name] = text
    }
  }
  return attributes
}

function readSources(given: unknown, tell: Tell): readonly SourceArguments[] {
  if (given === undefined || given === null || given === '') return []
  if (!Array.isArray(given)) {
    tell('sources must be a list, such as [{ media: "(width < 600px)", subject: portrait }]')
    return []
  }
  return given.flatMap((one: unknown) => {
    const source: object = typeof one === 'object' && one !== null ? one : {}
    const media = textOf(fieldOf(source, 'media'))
    if (media === undefined) {
      tell('each of sources needs media, such as "(width < 600px)"')
      return []
    }
    for (const name of Object.keys(source))
      if (!OF_SOURCES.has(name) && name !== '__keywords')
        tell(`sources know no ${name}: there are ${[...OF_SOURCES].join(', ')}`)
    return [
      {
        media,
        subject: hasField(source, 'subject') ? fieldOf(source, 'subject') : undefined,
        kind: fieldOf(source, 'kind'),
        widths: readWidths(fieldOf(source, 'widths'), tell),
        sizes: textOf(fieldOf(source, 'sizes')),
        width: side('width', fieldOf(source, 'width'), tell),
        height: side('height', fieldOf(source, 'height'), tell),
        ratio: readRatioOf(fieldOf(source, 'ratio'), tell),
      },
    ]
  })
}

/** Reads the arguments of a macro. */
export function readPictureArguments(macro: Macro, given: Keywords, tell: Tell): PictureArguments {
  for (const name of Object.keys(given))
    if (!KNOWN[macro].has(name) && name !== '__keywords' && name !== 'caller')
      tell(
        name.startsWith('_')
          ? 'there are more arguments than it takes'
          : `knows no ${name}: there are ${[...KNOWN[macro]].join(', ')}`,
      )
  const isPriority = given.priority === true
  const format = textOf(given.format)
  if (format !== undefined && format !== 'auto' && !isFormat(format))
    tell(`format must be auto, jpeg, png, webp, avif or gif, got ${shown(format)}`)
  const size = macro === 'avatar' ? (side('size', given.size, tell) ?? 48) : undefined
  return {
    kind: given.kind,
    widths: readWidths(given.widths, tell),
    sizes: textOf(given.sizes),
    format: format === undefined || format === 'auto' || isFormat(format) ? format : undefined,
    width: size ?? side('width', given.width, tell),
    height: size ?? side('height', given.height, tell),
    ratio: readRatioOf(given.ratio, tell),
    fit: oneOf('fit', given.fit, ['cover', 'contain'], tell),
    densities: readDensities(given.densities, tell),
    loading: oneOf('loading', given.loading, ['lazy', 'eager'], tell) ?? (isPriority ? 'eager' : 'lazy'),
    decoding: oneOf('decoding', given.decoding, ['async', 'sync', 'auto'], tell) ?? 'async',
    fetchpriority:
      oneOf('fetchpriority', given.fetchpriority, ['high', 'low', 'auto'], tell) ??
      (isPriority ? 'high' : undefined),
    isPriority,
    requireLocal: given.require_local === true,
    placeholder: oneOf('placeholder', given.placeholder, ['color', 'thumbhash', 'none'], tell),
    class: textOf(given.class),
    style: textOf(given.style),
    attrs: readAttributes(given.attrs, tell),
    sources: readSources(given.sources, tell),
  }
}

/** The markup of pictures: what the macros print, from what is known of a picture. */
import { type Format, typeOf } from '../model/media-type.js'
import { type PictureStyle, styleClasses, styleText } from '../model/picture-style.js'
import type { Settings } from '../options/settings.js'
import { attributesText, escapeHtml, voidElement } from './html.js'
import type { PictureArguments } from './picture-arguments.js'
import type { PictureData } from './picture-data.js'
import { byDensity, type CandidateText, candidateText, layoutOf } from './picture-layout.js'
import type { Preloaded } from './preload.js'

/** Printed markup, and what the browser should fetch early of it. */
export interface Markup {
  readonly html: string
  readonly preload: Preloaded | undefined
}

/** What of the settings shows in the markup. */
export type MarkupSettings = Pick<Settings, 'display'>

/** What is seen until the picture has come. What shows through is no place for it. */
function behind(
  { original, shown, subject, isWhole }: PictureData,
  wanted: 'color' | 'thumbhash' | 'none',
  thumbhashUrl: (hash: string) => string | undefined,
): Pick<PictureStyle, 'color' | 'backdrop'> {
  if (wanted === 'none' || isWhole || shown.from === 'placeholder') return {}
  const { traits } = original ?? {}
  if (traits?.alpha === true) return {}
  const { color, thumbhash } = traits?.preview ?? {}
  const backdrop = wanted === 'thumbhash' && thumbhash !== undefined ? thumbhashUrl(thumbhash) : undefined
  if (color !== undefined) return { color, ...(backdrop !== undefined && { backdrop }) }
  // Nothing is known yet: of entities, which have photographs and covers, a quiet grey.
  return original === undefined && subject.kind !== undefined ? { color: UNKNOWN } : {}
}
const UNKNOWN = '#8a909c'

/** `style` and `class` of a picture, what the template gives among them. */
function look(
  settings: MarkupSettings,
  style: PictureStyle,
  given: Pick<PictureArguments, 'class' | 'style' | 'attrs'>,
  own: readonly string[] = [],
): { class: string | undefined; style: string | undefined } {
  const isInline = settings.display.styles === 'attributes'
  const classes = [...own, given.class, given.attrs.class, ...(isInline ? [] : styleClasses(style))]
  const styles = [isInline ? styleText(style) : '', given.style, given.attrs.style]
  const joined = (texts: readonly unknown[], between: string): string | undefined =>
    texts.filter((text) => typeof text === 'string' && text !== '').join(between) || undefined
  return { class: joined(classes, ' '), style: joined(styles, ';') }
}

/** What a picture is printed from. */
export interface MarkupParts {
  readonly settings: MarkupSettings
  readonly thumbhashUrl: (hash: string) => string | undefined
  /** Another subject of the same template: of art direction. */
  readonly lookUp: (subject: unknown, kind: unknown) => PictureData
}

/** The tag of an `img`, by what is known of its picture. @param alt escaped */
function imageTag(
  { settings, thumbhashUrl }: MarkupParts,
  data: PictureData,
  asked: PictureArguments,
  {
    alt,
    text,
    isRound = false,
  }: { readonly alt: string; readonly text: CandidateText; readonly isRound?: boolean },
): string {
  const layout = layoutOf(data, asked)
  const { ratio } = layout
  const style: PictureStyle = {
    // Of other cuts each source says its own.
    ratio: isRound || asked.sources.length > 0 ? undefined : ratio,
    fit: isRound
      ? 'cover'
      : (asked.fit ?? (ratio === undefined ? undefined : data.isWhole ? 'contain' : 'cover')),
    isRound,
    // What was cut already has it in its middle.
    focalPoint: data.focalPoint,
    ...behind(data, asked.placeholder ?? settings.display.placeholder, thumbhashUrl),
  }
  const { class: _class, style: _style, ...others } = asked.attrs
  return `<img${attributesText({ src: data.shown.url, srcset: text.srcset || undefined, sizes: text.sizes })} alt="${alt}"${attributesText(
    {
      width: layout.width,
      height: layout.height,
      ...look(settings, style, asked, isRound ? ['artwork-avatar'] : []),
      loading: asked.loading,
      decoding: asked.decoding,
      fetchpriority: asked.fetchpriority,
      ...others,
      'data-image-from': data.shown.from,
      // For the script that shows it where a source's own URL does not answer.
      'data-image-placeholder': data.shown.from === 'source' ? data.placeholder : undefined,
    },
  )}>`
}

/** Media type of candidates, where all have the same. */
const typeOfFormat = (format: Format | 'auto' | undefined): string | undefined =>
  format === undefined || format === 'auto' ? undefined : typeOf(format)

/** What a browser should fetch early; nothing where that is a placeholder. */
const preloaded = (
  data: PictureData,
  { srcset, sizes }: CandidateText,
  format: Format | 'auto' | undefined,
): Preloaded | undefined =>
  data.shown.from === 'placeholder' && srcset === ''
    ? undefined
    : { url: data.shown.url, srcset, sizes, type: srcset === '' ? undefined : typeOfFormat(format) }

/** `img`, and `avatar`. @param alt escaped */
export function printImage(
  parts: MarkupParts,
  data: PictureData,
  asked: PictureArguments,
  alt: string,
  isRound = false,
): Markup {
  const format = asked.format ?? 'auto'
  const text = candidateText(data, format, asked, layoutOf(data, asked))
  const html = imageTag(parts, data, asked, { alt, text, isRound })
  return { html, preload: asked.isPriority ? preloaded(data, text, format) : undefined }
}

/** `picture`. @param alt escaped */
export function printPicture(
  parts: MarkupParts,
  data: PictureData,
  asked: PictureArguments,
  alt: string,
): Markup {
  const layout = layoutOf(data, asked)
  const directed = asked.sources.map((source) => {
    const other =
      source.subject === undefined && source.kind === undefined
        ? data
        : parts.lookUp(source.subject ?? undefined, source.kind ?? asked.kind)
    return sourceTags(other, { ...asked, ...withoutGaps(source) }, source.media)
  })
  const formats = asked.format === undefined ? data.modern : []
  const sources = formats.map((format) => ({
    format,
    text: candidateText(data, format, asked, layout),
  }))
  const own = candidateText(data, asked.format, asked, layout)
  const tag = imageTag(parts, data, asked, { alt, text: own })
  const best = sources.find(({ text }) => text.srcset !== '')
  const html = `<picture>${directed.join('')}${sources
    .filter(({ text }) => text.srcset !== '')
    .map(({ format, text }) => voidElement('source', { type: typeOf(format), ...text }))
    .join('')}${tag}</picture>`
  // Of art direction it is not known here which source the browser takes.
  if (!asked.isPriority || directed.length > 0) return { html, preload: undefined }
  return { html, preload: best ? preloaded(data, best.text, best.format) : preloaded(data, own, undefined) }
}

/** The sources of another cut, one for each format. */
function sourceTags(data: PictureData, asked: PictureArguments, media: string): string {
  const layout = layoutOf(data, asked)
  const formats = asked.format === undefined ? [...data.modern, undefined] : [asked.format]
  const tags = formats.map((format) => {
    const text = candidateText(data, format, asked, layout)
    if (text.srcset === '') return ''
    const { width, height } = layout
    return voidElement('source', { media, type: typeOfFormat(format), ...text, width, height })
  })
  // Without candidates it is the picture's own URL: the other cut must not be shown instead.
  if (tags.join('') !== '') return tags.join('')
  return voidElement('source', {
    media,
    srcset: srcsetUrl(data.shown.url),
    width: layout.width,
    height: layout.height,
  })
}

/** A URL in a `srcset`: spaces and commas at its ends would end it. */
const srcsetUrl = (url: string): string => url.replace(/\s/g, encodeURIComponent).replace(/^,|,$/g, '%2C')

const withoutGaps = <T extends object>(values: T): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>

/** A URL in a string of CSS, which also stands in a `style` attribute, whatever quotes that has. */
const cssUrl = (url: string): string =>
  `url('${url.replace(/[\\'"<>&\s]/g, (sign) => `\\${sign.charCodeAt(0).toString(16)} `)}')`

/** `background`: declarations of CSS, as they stand in a `style` attribute: the best format that the browser knows, by its density. */
export function printBackground(data: PictureData, asked: PictureArguments): string {
  const width = asked.width ?? Math.min(data.box.width, 1280)
  const formats = asked.format === undefined ? [...data.modern, undefined] : [asked.format]
  const options = formats.flatMap((format) => {
    const type = typeOfFormat(format)
    return byDensity(data.candidates(format, asked.widths), width, asked.densities).map(
      ({ url, density }) => `${cssUrl(url)}${type === undefined ? '' : ` type('${type}')`} ${density}x`,
    )
  })
  const plain = `background-image:${cssUrl(data.shown.url)}`
  return escapeHtml(
    options.length === 0 ? plain : `${plain};background-image:image-set(${options.join(',')})`,
  )
}

/** `preload`: the `link` of a page's head. */
export function printPreload(
  data: PictureData,
  asked: PictureArguments,
  { media, isPicture }: { readonly media: string | undefined; readonly isPicture: boolean },
): string {
  const layout = layoutOf(data, asked)
  const eager = { ...asked, loading: 'eager' } as const
  const format = asked.format ?? (isPicture ? data.modern[0] : 'auto')
  const text = candidateText(data, format, eager, layout)
  const early = preloaded(data, text, format)
  if (early === undefined) return ''
  return voidElement('link', {
    rel: 'preload',
    as: 'image',
    href: early.url,
    imagesrcset: early.srcset || undefined,
    imagesizes: early.sizes,
    type: early.type,
    media,
    fetchpriority: 'high',
  })
}

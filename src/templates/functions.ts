/** The macros as plain functions, for every template engine but Nunjucks, and for code that builds HTML itself. */
import type { ImageData, ImageDataOptions } from './helpers.js'
import type { Macros } from './macros.js'
import type { Keywords, Macro } from './picture-arguments.js'
import type { Preloaded } from './preload.js'

/**
 * Markup that is escaped already. Most engines print it as it is by their verb for that (`<%-`, `!=`, `<%~`); Handlebars knows
 * it for safe by `toHTML`.
 */
export class SafeHtml {
  /** The markup. */
  readonly #html: string
  constructor(html: string) {
    this.#html = html
  }
  /** The markup. */
  toString(): string {
    return this.#html
  }
  /** The markup, as Handlebars asks for it. */
  toHTML(): string {
    return this.#html
  }
  /** The markup, as JSON and logs have it. */
  toJSON(): string {
    return this.#html
  }
}

/** Arguments of every function. */
interface SubjectOptions {
  /** Kind of the subject, where it does not say itself. */
  readonly kind?: string | undefined
  /** Pixel widths of candidates, `false` for none. @default all that are offered */
  readonly widths?: readonly number[] | boolean | undefined
  /** Format of candidates: `auto`, `webp` … @default as the macro has it */
  readonly format?: string | undefined
  /** Never the source's own URL. @default false */
  readonly requireLocal?: boolean | undefined
  /** What is seen until the picture has come. @default that of `display.placeholder` */
  readonly placeholder?: 'color' | 'thumbhash' | 'none' | undefined
}
/** The box that a picture has on the page. */
interface BoxOptions {
  /** Pixels of the page. */
  readonly width?: number | undefined
  /** Pixels of the page. */
  readonly height?: number | undefined
  /** Width by height: `16/9`. */
  readonly ratio?: string | number | undefined
  /** How the picture fills a box of another shape. @default 'cover' */
  readonly fit?: 'cover' | 'contain' | undefined
  /** Dots a pixel that a picture of a fixed width is offered for. @default [1, 2] */
  readonly densities?: readonly number[] | undefined
}
/** Attributes of the element. */
interface ElementOptions {
  /** What the picture shows; '' for one that only decorates. */
  readonly alt: string | number
  /** Classes. */
  readonly class?: string | undefined
  /** Declarations of CSS. */
  readonly style?: string | undefined
  /** Whether it is fetched before it is scrolled to. @default 'lazy' */
  readonly loading?: 'lazy' | 'eager' | undefined
  /** Whether the page waits for its decoding. @default 'async' */
  readonly decoding?: 'async' | 'sync' | 'auto' | undefined
  /** How urgent it is. @default the browser's own choice */
  readonly fetchpriority?: 'high' | 'low' | 'auto' | undefined
  /** For the one picture that a page is about: loaded at once, and announced in the head of the response. @default false */
  readonly priority?: boolean | undefined
  /** Further attributes; none that is a script. */
  readonly attrs?: Readonly<Record<string, string | number | boolean | null | undefined>> | undefined
}

/** Arguments of `img`. */
export interface ImgOptions extends SubjectOptions, BoxOptions, ElementOptions {
  /** How wide it is laid out, as the `sizes` attribute has it. */
  readonly sizes?: string | undefined
}
/** Another cut of a picture, by a media query. */
export interface CutOptions extends Pick<SubjectOptions, 'kind' | 'widths'>, BoxOptions {
  /** The media query. */
  readonly media: string
  /** Another subject. @default the picture's own */
  readonly subject?: unknown
  /** How wide it is laid out then. */
  readonly sizes?: string | undefined
}
/** Arguments of `picture`. */
export interface PictureOptions extends ImgOptions {
  /** Other cuts. */
  readonly sources?: readonly CutOptions[] | undefined
}
/** Arguments of `avatar`. */
export interface AvatarOptions extends SubjectOptions, ElementOptions, Pick<BoxOptions, 'fit' | 'densities'> {
  /** Pixels of the page. @default 48 */
  readonly size?: number | undefined
}
/** Arguments of `background`. */
export interface BackgroundOptions extends SubjectOptions, Pick<BoxOptions, 'width' | 'densities'> {}
/** Arguments of `preload`. */
export interface PreloadLinkOptions extends SubjectOptions, BoxOptions {
  /** How wide it is laid out. */
  readonly sizes?: string | undefined
  /** A media query: for one cut of several. */
  readonly media?: string | undefined
  /** Whether `picture` prints it, and not `img`. @default false */
  readonly picture?: boolean | undefined
}

/**
 * The macros of Nunjucks as functions, with the same markup. A subject is an entity, a URL, an artwork path or an address. What
 * cannot be had prints its placeholder; nothing but a missing `alt` throws.
 */
export interface ArtworkHtml {
  /** `<img>`: one URL for every browser. @throws TypeError without `alt` */
  img(subject: unknown, options: ImgOptions): SafeHtml
  /** `<picture>`: a source for each format, and other cuts by media query. @throws TypeError without `alt` */
  picture(subject: unknown, options: PictureOptions): SafeHtml
  /** A round `<img>` of a fixed size. @throws TypeError without `alt` */
  avatar(subject: unknown, options: AvatarOptions): SafeHtml
  /** Declarations of CSS for a `style` attribute, escaped for it. */
  background(subject: unknown, options?: BackgroundOptions): SafeHtml
  /** The `<link>` for the head of the page. */
  preload(subject: unknown, options?: PreloadLinkOptions): SafeHtml
  /** What is printed, as data: URL, sides, candidates, colour. */
  data(
    subject: unknown,
    options?: Pick<SubjectOptions, 'kind' | 'widths' | 'format' | 'requireLocal'>,
  ): ImageData
}

/** What the functions are made of. */
export interface FunctionParts {
  readonly macros: Macros
  readonly imageData: (given: unknown, options: ImageDataOptions) => ImageData
}

/** Arguments of code as the macros know them. */
function keywordsOf(options: unknown): Keywords {
  if (typeof options !== 'object' || options === null) return {}
  const { requireLocal, ...others } = options as Record<string, unknown>
  return requireLocal === undefined ? others : { ...others, require_local: requireLocal }
}

/** Makes them. @param onPriority what is to be announced in the head of a response */
export function createHtmlFunctions(
  { macros, imageData }: FunctionParts,
  onPriority: (preloaded: Preloaded) => void = () => {},
): ArtworkHtml {
  const print =
    (macro: Macro) =>
    (subject: unknown, options?: unknown): SafeHtml => {
      const { html, preload } = macros(macro, subject, keywordsOf(options))
      if (preload !== undefined) onPriority(preload)
      return new SafeHtml(html)
    }
  return {
    img: print('img'),
    picture: print('picture'),
    avatar: print('avatar'),
    background: print('background'),
    preload: print('preload'),
    data: (subject, options = {}) => imageData(subject, options),
  }
}

/**
 * The Nunjucks adapter: reads keyword arguments, and adds filters and globals. They are synchronous (Nunjucks drops
 * asynchronous filters silently). Filters give plain text, which autoescape escapes; globals print elements.
 */
import type { Environment } from 'nunjucks'
import { hasField, textOf } from '../model/text.js'
import type { Helpers, ImageData } from './helpers.js'
import type { Macros } from './macros.js'
import type { TemplateParts } from './parts.js'
import { type Keywords, type Macro, POSITIONS } from './picture-arguments.js'
import type { PagePreloads } from './preload.js'

/** What is installed. */
export interface NunjucksParts extends Pick<TemplateParts, 'settings'> {
  readonly helpers: Helpers
  readonly macros: Macros
  readonly preloads: PagePreloads
  /** URLs of the stylesheet and the script of pictures, and where that reports to, by the names of globals. */
  readonly files: Readonly<Record<string, string>>
}

/** Arguments by name. Nunjucks passes keyword arguments as a last object that is marked as such. */
function readArguments(given: readonly unknown[], names: readonly string[]): Keywords {
  const last = given.at(-1)
  const isKeywords = typeof last === 'object' && last !== null && hasField(last, '__keywords')
  const count = isKeywords ? given.length - 1 : given.length
  const named: Record<string, unknown> = isKeywords ? { ...last } : {}
  for (let index = 0; index < count; index += 1) named[names[index] ?? `_${index}`] = given[index]
  return named
}

/** Adds the filters and the globals to an environment. */
export function installTemplates(environment: Environment, parts: NunjucksParts): void {
  installFilters(environment, parts)
  installGlobals(environment, parts)
}

function installFilters(environment: Environment, { helpers, settings }: NunjucksParts): void {
  const { kinds } = settings
  const { nfo, display, read, displayUrl, srcset, imageData, imageUrl } = helpers

  environment.addFilter('image_display_url', (given: unknown, ...rest: unknown[]) => {
    const { kind, require_local } = readArguments(rest, ['kind', 'require_local'])
    return displayUrl(given, kind, require_local)
  })
  environment.addFilter('image_url', (given: unknown, ...rest: unknown[]) => {
    const { variant, kind } = readArguments(rest, ['variant', 'kind'])
    return imageUrl(given, variant, kind)
  })
  environment.addFilter('image_srcset', (given: unknown, ...rest: unknown[]) => {
    const { widths, kind, format } = readArguments(rest, ['widths', 'kind', 'format'])
    return srcset(given, { kind, widths, format })
  })
  environment.addFilter('image_placeholder', (given: unknown, ...rest: unknown[]) => {
    const { kind } = readArguments(rest, ['kind'])
    const name = textOf(given) ?? ''
    return display.placeholder(kinds.get(name) ?? read(given, kind).kind, textOf(kind) ?? name)
  })
  environment.addFilter('image_data', (given: unknown, ...rest: unknown[]): ImageData => {
    const { require_local: requireLocal, ...others } = readArguments(rest, [
      'kind',
      'require_local',
      'widths',
      'format',
    ])
    return imageData(given, { ...others, requireLocal })
  })
  environment.addFilter('image_nfo', (given: unknown, ...rest: unknown[]) => {
    const named = readArguments(rest, ['aspect', 'from', 'kind', 'require_local'])
    const [aspect, from, kind] = [named.aspect, named.from, named.kind].map(textOf)
    const requireLocal = named.require_local === true
    return environment.getFilter('safe')(nfo(given, { aspect, from, kind, requireLocal }))
  })
}

/** `artwork_img` and its kin: the macros under names that no other template has, and with any delimiters. */
function installGlobals(environment: Environment, { macros, preloads, files }: NunjucksParts): void {
  const safe = environment.getFilter('safe')
  for (const macro of Object.keys(POSITIONS) as Macro[])
    environment.addGlobal(
      `artwork_${macro}`,
      function printMacro(this: unknown, given: unknown, ...rest: unknown[]) {
        const { html, preload } = macros(macro, given, readArguments(rest, POSITIONS[macro]))
        if (preload !== undefined) preloads.add(contextOf(this), preload)
        return safe(html)
      },
    )
  for (const [name, url] of Object.entries(files)) environment.addGlobal(name, url)
}

/** The context that a page is rendered with: Nunjucks calls globals on it. */
function contextOf(caller: unknown): object | undefined {
  const ctx: unknown = typeof caller === 'object' && caller !== null ? Reflect.get(caller, 'ctx') : undefined
  return typeof ctx === 'object' && ctx !== null ? ctx : undefined
}

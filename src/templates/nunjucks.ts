/**
 * The Nunjucks adapter: reads keyword arguments, and adds the filters. They are synchronous (Nunjucks drops asynchronous
 * ones silently), and give plain text, which autoescape escapes.
 */
import type { Environment } from 'nunjucks'
import { hasField, textOf } from '../model/text.js'
import { createHelpers, type ImageData, type TemplateParts } from './helpers.js'

type Keywords = Readonly<Record<string, unknown>>

/** Arguments by name. Nunjucks passes keyword arguments as a last object that is marked as such. */
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

/** Adds the filters to an environment, and the check of `alt` that the macros use. */
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
  environment.addFilter('image_alt', (given: unknown) => {
    if (typeof given === 'string' || given instanceof String || typeof given === 'number') return given
    throw new TypeError(
      'artwork macros need an alt text: describe the picture, or pass "" for one that only decorates',
    )
  })
}

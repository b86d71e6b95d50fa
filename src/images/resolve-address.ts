/** Which addresses are answered: the variant is known, the source accepts it, and it is one of the strict list or signed. */

import { type Address, formatAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import { type Format, typeOf } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import {
  formatVariant,
  isAsFetched,
  parseVariant,
  type Recipe,
  recipeOf,
  settleAuto,
  type Variant,
} from '../model/variant.js'
import { parseUrl, readWebUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { Source } from '../sources/source.js'

/** An original: its address, and the source that knows where it lives. */
export interface Original {
  readonly address: Address
  readonly text: string
  readonly source: Source
}

/** An address that may be answered. */
export interface Resolved {
  readonly address: Address
  readonly original: Original
  readonly variant: Variant
  /** Undefined for the original itself. */
  readonly recipe: Recipe | undefined
  /** It was asked for without a signature, at a source where that makes a difference. */
  readonly isUnsigned: boolean
}

const MAX_KNOWN = 5000
const LONGEST_KEY = 512
const MAX_VARIANTS = 2000

/** Which source has a kind, and which variants it offers. */
function createRules(settings: Settings) {
  const rules = { presets: settings.presets, encoding: settings.transform }
  const sources = new Map(
    settings.sources.flatMap((source) => source.kinds.map((kind) => [kind, source] as const)),
  )

  const sourceOf = (kind: string): Source => {
    const source = sources.get(kind) ?? settings.sources.find((one) => one.owns?.(kind))
    if (source === undefined) throw new ArtworkError('invalid', 'image type is not known')
    return source
  }
  const isListed = (source: Source, kind: string, variant: Variant): boolean => {
    if (variant.quality !== undefined) return false
    const { format } = variant
    if (format !== undefined && source.freeFormats?.(variant).includes(format) === false) return false
    if (Object.hasOwn(settings.presets, variant.base) || source.isNative(kind, variant)) return true
    const { width, height, cover } = variant
    return width !== undefined && height === undefined && !cover && settings.widths.includes(width)
  }
  const known = new Map<string, Offered>()
  const refuse = ({ noun = 'size' }: Source): never => {
    throw new ArtworkError('invalid', `this ${noun} is not offered for this type`)
  }
  const variantOf = (source: Source, text: string): Variant => {
    try {
      return parseVariant(text, rules)
    } catch (error) {
      if (source.noun === undefined) throw error
      throw new ArtworkError('invalid', `this ${source.noun} is not known`)
    }
  }
  /**
   * A variant of a kind, where it is offered. Few are asked for, so they are read once.
   * @param trusted whether a signature, or our own code, allows any variant
   * @throws ArtworkError `invalid` (400), `unsupported` (415)
   */
  const offered = (source: Source, kind: string, text: string, trusted: boolean): Offered => {
    const key = `${trusted ? '+' : '-'}${kind}/${text}`
    const before = known.get(key)
    if (before !== undefined) return before
    const variant = variantOf(source, text)
    if (settings.strict && !trusted && !isListed(source, kind, variant)) refuse(source)
    const { format } = variant
    if (format !== undefined && format !== 'auto' && !settings.transform.formats.includes(format))
      throw new ArtworkError('unsupported', 'this image format is not allowed')
    const found = { variant, recipe: recipeOf(variant, rules) }
    if (known.size >= MAX_VARIANTS) known.clear()
    known.set(key, found)
    return found
  }
  return { rules, sourceOf, variantOf, offered }
}

/** A variant that is answered, and what has to be done for it. */
interface Offered {
  readonly variant: Variant
  readonly recipe: Recipe
}

/** Makes the check of addresses for these settings. */
export function createResolver(settings: Settings) {
  const { rules, sourceOf, variantOf, offered } = createRules(settings)

  /** Whose URLs are, of those that were asked for lately. */
  const claimed = createRecent<Original>(MAX_KNOWN)
  /** What was resolved lately: the answer depends on nothing but the address, so that a hot one is checked once. */
  const known = new Map<string, Resolved>()
  const remember = (key: string, resolved: Resolved): Resolved => {
    if (known.size >= MAX_KNOWN) known.clear()
    if (key.length <= LONGEST_KEY) known.set(key, resolved)
    return resolved
  }

  return {
    sourceOf,
    /**
     * Checks an address. Costs no I/O.
     * @param trusted whether a signature, or our own code, allows any variant
     * @throws ArtworkError `invalid` (400), `refused` (403), `unsupported` (415)
     */
    resolve: (address: Address, trusted: boolean): Resolved => {
      const key = `${trusted ? '+' : '-'}${formatAddress(address)}`
      const before = known.get(key)
      if (before !== undefined) return before
      const source = sourceOf(address.kind)
      const { variant, recipe } = offered(source, address.kind, address.variant, trusted)
      const checked = source.check({ address, variant, recipe })
      const text = formatAddress(checked.original)
      const isOriginal = formatAddress(checked.address) === text
      return remember(key, {
        address: checked.address,
        original: { address: checked.original, text, source },
        variant,
        isUnsigned: !trusted && settings.strict && source.freeFormats !== undefined,
        recipe: isOriginal || isAsFetched(variant) ? undefined : recipe,
      })
    },
    /** The id that the decoded segments of a URL stand for. @throws ArtworkError `invalid` (400) */
    idOf: (kind: string, segments: readonly string[]): string =>
      sourceOf(kind).idOf?.(segments) ?? segments.join('/'),
    /** Whether a variant of a kind is answered, of a picture that is. @throws ArtworkError as `resolve` does */
    checkVariant: (kind: string, variant: string, trusted: boolean): void =>
      void offered(sourceOf(kind), kind, variant, trusted),
    /** What is done for a variant, `auto` in the source's own family; undefined where that is nothing. */
    recipeOf: (kind: string, text: string): Recipe | undefined => {
      const { variant, recipe } = offered(sourceOf(kind), kind, text, true)
      return isAsFetched(settleAuto(variant, undefined)) ? undefined : recipe
    },
    /** Media type of an `auto` variant for who asks for nothing modern: its preset's, else that of the original. */
    plainTypeOf: (resolved: Resolved, originalType: string): string => {
      const { format } = recipeOf(settleAuto(resolved.variant, undefined), rules)
      return format === undefined ? originalType : typeOf(format)
    },
    /** An address in this format, or in the source's own family. */
    settle: (resolved: Resolved, format: Format | undefined): Resolved => {
      const variant = settleAuto(resolved.variant, format)
      const name = formatVariant(variant, rules)
      return {
        ...resolved,
        address: { ...resolved.address, variant: name },
        variant,
        recipe: name === resolved.original.address.variant ? undefined : recipeOf(variant, rules),
      }
    },
    /** What has to be done for an address in this format. */
    recipeIn: (resolved: Resolved, format: Format | undefined): Recipe =>
      recipeOf(settleAuto(resolved.variant, format), rules),
    /** The original of an address, as it is. */
    asFetched: (resolved: Resolved): Resolved => ({
      ...resolved,
      address: resolved.original.address,
      variant: settleAuto(resolved.variant, undefined),
      recipe: undefined,
    }),
    /** What of a URL is the picture: two URLs with the same are one. Never throws. */
    identityOf: (sourceUrl: string): string => {
      const url = sourceUrl.includes('?') ? parseUrl(sourceUrl) : undefined
      if (url === undefined) return sourceUrl
      const found = settings.sources
        .map((source) => source.identityOf?.(url))
        .find((one) => one !== undefined)
      // What is the picture already stays as it is written.
      return found === undefined || found === url.href ? sourceUrl : found
    },
    /** Whether a variant is a native size of a kind. @throws ArtworkError `invalid` (400) */
    isNative: (kind: string, variant: string): boolean => {
      const source = sourceOf(kind)
      return source.isNative(kind, variantOf(source, variant))
    },
    /**
     * The original behind a URL that an app keeps.
     * @param kinds which it may be of where the URL does not say, best first
     * @throws ArtworkError `invalid` (400), `refused` (403)
     */
    resolveUrl: (sourceUrl: string, kinds: readonly string[] = []): Original => {
      const key = kinds.length === 0 ? sourceUrl : `${sourceUrl}\n${kinds.join()}`
      const before = claimed.get(key)
      if (before !== undefined) return before
      const url = readWebUrl(sourceUrl)
      for (const source of settings.sources) {
        const address = source.claim(url, kinds)
        if (address === undefined) continue
        const original = { address, text: formatAddress(address), source }
        if (key.length <= LONGEST_KEY) claimed.set(key, original)
        return original
      }
      throw new ArtworkError('refused', 'this host is not allowed')
    },
    /** The original of an address text that was resolved before. */
    originalOf: (address: Address): Original => ({
      address,
      text: formatAddress(address),
      source: sourceOf(address.kind),
    }),
  }
}

/** See the top of the file. */
export type Resolver = ReturnType<typeof createResolver>

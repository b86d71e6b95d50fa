/** Prints the URL of an image in a variant, and the candidates of a `srcset`. Synchronous; no I/O once warm. */
import { makeAddress } from '../model/address.js'
import { versionOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import { asArtworkError } from '../model/failure.js'
import { kindOfType } from '../model/media-type.js'
import { outputSize, type Size, wouldStop } from '../model/output.js'
import { pictureVersion } from '../model/sized-path.js'
import { expiryAt, signAddress } from '../model/url-signature.js'
import { imagePath } from '../model/urls.js'
import { MAX_SIDE, type Recipe, withFocalPoint } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Source } from '../sources/source.js'
import type { Store } from '../store/ports.js'
import type { KnownFailure, KnownFailures } from './known-failures.js'
import { isSvgByName, orUndefined, type Reference, type References } from './references.js'
import type { Original, Resolver } from './resolve-address.js'

/** What printing works with. */
export interface PrintParts {
  readonly settings: Pick<Settings, 'now' | 'urls' | 'signing' | 'widths' | 'areWidthsDefault' | 'display'>
  readonly store: Pick<Store, 'find'>
  readonly resolver: Resolver
  readonly references: References
  readonly knownFailures: Pick<KnownFailures, 'ofOriginal'>
  /** Hears of a file that is printed: behind that, it is looked whether it has changed. */
  readonly notice: (original: Original) => void
}

/** A URL of an image, and how wide the image is that it answers with, pixels. */
export interface Candidate {
  readonly url: string
  readonly width: number
}

/** What is known of an original at the moment. */
interface Known {
  readonly entry: Entry | undefined
  /** By its bytes, or by its name where those are not known. */
  readonly isSvg: boolean
  /** Why it is known not to be had. */
  readonly failure: KnownFailure | undefined
}

/** A URL under `/images`, and what is known of its original. */
interface Printed extends Known {
  readonly url: string
}

/** An image that can be printed, its text read once. */
export interface PrintableImage {
  /** Kind of source that it is of. */
  readonly kind: string
  /** Whether it is not for everybody. */
  readonly isPrivate: boolean
  /**
   * Its URL in a variant; undefined where that is not offered (a size that is neither listed nor signed), and where the image is
   * known not to be had. @param variant canonical text; left out: the size that the text tells, else the usual one of its kind
   */
  url(variant?: string): string | undefined
  /**
   * Candidates by width, narrowest first. Widths that are not offered are left out; where the original is known, they end at
   * its own width. There are none of what is only given as it is: an SVG, a moving PNG or AVIF.
   * @param format token of the variant; undefined: the original's own format
   * @param widths pixels; left out: all that are offered
   */
  candidates(format: string | undefined, widths?: readonly unknown[]): readonly Candidate[]
  /** Why the one that the URL of a variant is made from is known not to be had. */
  failure(variant?: string): KnownFailure | undefined
  /** Why a variant is not offered; undefined where it is. */
  refusal(variant: string): string | undefined
  /** Its original, where that is known: the one that the URL of a variant is made from. */
  original(variant?: string): Entry | undefined
  /** The sides of what a URL answers with, pixels, where they are known. */
  size(variant?: string): Size | undefined
  /** The sides of the usual picture of its kind, pixels, where there is one. */
  readonly usualSize: Size | undefined
}

/** Makes the part of the pipeline that prints URLs. None of its verbs throws. */
export function createPrintUrl(parts: PrintParts) {
  return {
    /** An image that a text refers to, undefined where that is none. @param kinds which it may be of, best first */
    image: (text: string, kinds: readonly string[] = []): PrintableImage | undefined =>
      orUndefined(() => prepare(parts, text, kinds)),
  }
}

/** See `createPrintUrl`. */
export type PrintUrl = ReturnType<typeof createPrintUrl>

/** The text of a `srcset`. */
export const srcsetOf = (candidates: readonly Candidate[]): string =>
  candidates.map(({ url, width }) => `${url} ${width}w`).join(', ')

/** Whether no other size of an original can be made that shows what it shows. */
const isOnlyAsItIs = ({ type, traits }: Entry): boolean => wouldStop(kindOfType(type), traits)

/** Widths in order, each once; what is no width is left out. */
export function inOrder(widths: readonly unknown[]): readonly number[] {
  const wanted = widths
    .map((width) => orUndefined(() => Number(width)) ?? 0)
    .filter((width) => Number.isInteger(width) && width > 0 && width <= MAX_SIDE)
  return [...new Set(wanted)].sort((a, b) => a - b)
}

/**
 * The widths that are offered of a kind of source: those that the app lists; where it lists none, the native ones of the kind,
 * and of the usual ones those that are wider. @throws ArtworkError for a kind that no source has
 */
export function widthsOfKind(
  {
    settings: { widths, areWidthsDefault },
    resolver,
  }: {
    readonly settings: Pick<Settings, 'widths' | 'areWidthsDefault'>
    readonly resolver: Pick<Resolver, 'sourceOf'>
  },
  kind: string,
): readonly number[] {
  if (!areWidthsDefault && widths.length > 0) return widths
  const native = resolver.sourceOf(kind).nativeWidths(kind)
  const widest = Math.max(0, ...native)
  return areWidthsDefault ? [...native, ...widths.filter((width) => width > widest)] : native
}

/** @throws ArtworkError where the text refers to nothing that is answered */
function prepare(parts: PrintParts, text: string, kinds: readonly string[]): PrintableImage | undefined {
  const { settings, resolver, references } = parts
  const reference = references.read(text, kinds)
  if (reference === undefined) return undefined
  const { kind, id } = reference
  const special = references.ownPrint(kind, id)
  if (special !== undefined && 'url' in special) {
    const url = settings.display.requireLocal ? undefined : special.url
    return {
      kind,
      isPrivate: false,
      url: () => url,
      candidates: () => [],
      failure: () => undefined,
      refusal: () => undefined,
      original: () => undefined,
      size: () => undefined,
      usualSize: undefined,
    }
  }
  const source = resolver.sourceOf(kind)
  // Only a source with native sizes has an original for each.
  const isOneOriginal = source.nativeWidths(kind).length === 0
  const base = special?.base ?? settings.urls.base
  const printVariant = variantPrinter(parts, reference, { source, base, isOneOriginal })
  /** Of an SVG, which is only given as it is: without the format, or whole. */
  const printable = (variant: string | undefined): Printed | undefined => {
    const found = orUndefined(() => printVariant(variant))
    if (found?.isSvg !== true || variant === undefined) return found
    const bare = variant.replace(/-(?:auto|jpeg|png|gif|webp|avif)(?:-q\d+)?$/, '')
    const isNative = orUndefined(() => resolver.isNative(kind, bare)) === true
    return orUndefined(() => printVariant(isNative ? bare : 'original'))
  }
  const chosen = (variant: string | undefined): string =>
    variant ?? reference.variant ?? source.defaultVariant(kind)
  return {
    kind,
    isPrivate: source.access !== undefined,
    url: (variant) => {
      const printed = printable(variant)
      return printed?.failure === undefined ? printed?.url : undefined
    },
    candidates: (format, widths) => {
      const found: Candidate[] = []
      for (const width of widths === undefined ? widthsOfKind(parts, kind) : inOrder(widths)) {
        const variant = format === undefined ? `w${width}` : `w${width}-${format}`
        const printed = orUndefined(() => printVariant(variant))
        if (printed === undefined || printed.failure !== undefined) continue
        const { url, entry, isSvg } = printed
        if (isSvg || (entry !== undefined && isOnlyAsItIs(entry))) return []
        const own = entry?.width || Number.POSITIVE_INFINITY
        const real = Math.min(width, own)
        // Of widths that come to the same picture the first is enough.
        if (found.at(-1)?.width !== real) found.push({ url, width: real })
        // Each native size is a file of its own, as wide as it is named.
        if (width > own || (width === own && isOneOriginal)) break
      }
      return found
    },
    refusal: (variant) => {
      try {
        printVariant(variant)
        return undefined
      } catch (error) {
        return asArtworkError(error).message
      }
    },
    failure: (variant) => orUndefined(() => printVariant(variant))?.failure,
    original: (variant) => orUndefined(() => printVariant(variant))?.entry,
    usualSize: orUndefined(() => usualSize(source, kind, resolver.recipeOf(kind, chosen(undefined)))),
    size: (variant) => {
      const entry = orUndefined(() => printVariant(variant))?.entry
      if (entry === undefined || !(entry.width > 0)) return undefined
      const recipe = resolver.recipeOf(kind, chosen(variant))
      return recipe === undefined ? entry : outputSize(entry, { ...recipe, format: recipe.format ?? 'jpeg' })
    },
  }
}

function usualSize(source: Source, kind: string, recipe: Recipe | undefined): Size | undefined {
  const ratio = source.ratioOf?.(kind)
  if (ratio === undefined) return undefined
  const width = recipe?.width ?? (recipe?.height ?? USUAL_SIDE) * ratio
  return { width: Math.round(width), height: Math.max(1, Math.round(width / ratio)) }
}
const USUAL_SIDE = 600

/** Prints variants of one image: what is the same for all of them is found out once. */
function variantPrinter(
  { settings, store, resolver, knownFailures, notice }: PrintParts,
  { kind, id, variant: own, isShort = false }: Reference,
  {
    source,
    base,
    isOneOriginal,
  }: { readonly source: Source; readonly base: string; readonly isOneOriginal: boolean },
): (variant: string | undefined) => Printed {
  const isTrusted = settings.signing.keys.length > 0
  let first: { readonly original: Original; readonly id: string } | undefined
  const known = new Map<string, Known>()
  const about = (original: Original): Known => {
    const before = known.get(original.text)
    if (before !== undefined) return before
    const entry = store.find(imageKey(original.text), 'memory')
    if (source.isLocal) notice(original)
    const isSvg = entry === undefined ? isSvgByName(original) : kindOfType(entry.type) === 'svg'
    const found = { entry, isSvg, failure: knownFailures.ofOriginal(original) }
    known.set(original.text, found)
    return found
  }
  /** The digest that a URL has the beginning of; undefined where the bytes are not here. */
  const versionOfPicture = (chosen: string, entry: Entry | undefined): string | undefined => {
    if (entry === undefined || !(entry.isStored || source.isLocal)) return undefined
    const recipe = resolver.recipeOf(kind, chosen)
    const position = recipe && withFocalPoint(recipe, entry.focalPoint).position
    return pictureVersion(entry.digest, position)
  }
  return (variant) => {
    const chosen = variant ?? own ?? source.defaultVariant(kind)
    let found = first
    if (found === undefined) {
      const { original, address } = resolver.resolve(makeAddress(kind, chosen, id), isTrusted)
      found = { original, id: address.id }
      if (isOneOriginal) first = found
    } else resolver.checkVariant(kind, chosen, isTrusted)
    source.precheck?.(chosen, id)
    const { entry, isSvg, failure } = about(found.original)
    const path =
      isShort && variant === undefined
        ? `${settings.urls.images}/${kind}/${id}`
        : printPath(settings, `${kind}/${chosen}/${found.id}`, versionOfPicture(chosen, entry))
    return { url: base + path, entry, isSvg, failure }
  }
}

/** With `?v=` of the original's bytes, where they are stored, or a file's; any signing key signs the whole. */
function printPath(
  { urls, signing, now }: Pick<PrintParts['settings'], 'urls' | 'signing' | 'now'>,
  addressText: string,
  digest: string | undefined,
): string {
  const path = imagePath(urls, addressText)
  const versioned = digest === undefined ? path : `${path}?v=${versionOf(digest)}`
  const [key] = signing.keys
  if (key === undefined) return versioned
  return signAddress(versioned, key, signing.expires > 0 ? { expires: expiryAt(now(), signing.expires) } : {})
}

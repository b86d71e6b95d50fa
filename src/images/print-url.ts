/** Prints the URL of an image in a variant, and the candidates of a `srcset`. Synchronous; no I/O once warm. */
import { makeAddress } from '../model/address.js'
import { versionOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import { kindOfType } from '../model/media-type.js'
import { wouldStop } from '../model/output.js'
import { signAddress } from '../model/signature.js'
import { imagePath } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { KnownFailures } from './known-failures.js'
import { isSvgByName, orUndefined, type References } from './references.js'
import type { Resolver } from './resolve.js'

/** What printing works with. */
export interface PrintParts {
  readonly settings: Pick<Settings, 'urls' | 'signing' | 'widths' | 'areWidthsDefault' | 'display'>
  readonly store: Pick<Store, 'find'>
  readonly resolver: Resolver
  readonly references: References
  readonly knownFailures: Pick<KnownFailures, 'ofOriginal'>
}

/** A URL under `/images`, its original where that is known, and whether that is an SVG, by its name where it is not. */
interface Printed {
  readonly url: string
  readonly original?: Entry
  readonly isSvg: boolean
  /** It is known not to be had. */
  readonly isFailing?: boolean
}

/** Makes the part of the pipeline that prints URLs. None of its verbs throws. */
export function createPrintUrl(parts: PrintParts) {
  const { settings, resolver, references } = parts
  /** Of an SVG, which is only given as it is: without the format, or whole. */
  const printable = (
    text: string,
    variant: string | undefined,
    kinds: readonly string[],
  ): Printed | undefined => {
    const found = print(parts, text, variant, kinds)
    if (found?.isSvg !== true || variant === undefined) return found
    const bare = variant.replace(/-(?:auto|jpeg|png|gif|webp|avif)(?:-q\d+)?$/, '')
    const { kind = '' } = references.read(text, kinds) ?? {}
    const isNative = orUndefined(() => resolver.isNative(kind, bare)) === true
    return print(parts, text, isNative ? bare : 'original', kinds)
  }
  return {
    /**
     * The URL under `/images` of an image in a variant, or undefined where it is not offered (an unknown host, or a size that
     * is neither listed nor signed), and where it is known not to be had.
     * @param text a source URL, an address text (`poster/abc.jpg`), or a URL that we printed
     * @param variant canonical text; left out: the size that `text` tells, else the usual one of its kind
     * @param kinds kinds of source that it may be of where it does not say itself, best first
     */
    imageUrl: (text: string, variant?: string, kinds: readonly string[] = []): string | undefined => {
      const printed = printable(text, variant, kinds)
      return printed?.isFailing === true ? undefined : printed?.url
    },
    /**
     * The widths that can be printed for a source URL: those that the app lists; where it lists none, the native ones of its
     * kind, and of the usual ones those that are wider.
     */
    widthsFor: (text: string, kinds: readonly string[] = []): readonly number[] => {
      const { widths, areWidthsDefault } = settings
      if (!areWidthsDefault && widths.length > 0) return widths
      const native =
        orUndefined(() => {
          const { kind } = references.read(text, kinds) ?? { kind: text.split('/', 1)[0] ?? '' }
          return resolver.sourceOf(kind).nativeWidths(kind)
        }) ?? []
      const widest = Math.max(0, ...native)
      return areWidthsDefault ? [...native, ...widths.filter((width) => width > widest)] : native
    },
    /**
     * Candidates for a `srcset`, by width: `… 320w, … 640w`. Widths that are not offered are left out; where the original
     * is known, they end at its own width. There are none of what is only given as it is: an SVG, a moving PNG or AVIF.
     */
    srcset: (
      text: string,
      widths: readonly unknown[],
      format: string,
      kinds: readonly string[] = [],
    ): string => {
      const wanted = widths
        .map((width) => orUndefined(() => Number(width)) ?? 0)
        .filter((width) => Number.isInteger(width) && width > 0)
      const candidates: string[] = []
      for (const width of [...new Set(wanted)].sort((a, b) => a - b)) {
        const candidate = print(parts, text, `w${width}-${format}`, kinds)
        if (candidate === undefined) continue
        const { url, original, isSvg, isFailing = false } = candidate
        if (isFailing) continue
        if (isSvg || (original !== undefined && isOnlyAsItIs(original))) return ''
        const own = original?.width || Number.POSITIVE_INFINITY
        candidates.push(`${url} ${Math.min(width, own)}w`)
        if (width >= own) break
      }
      return candidates.join(', ')
    },
  }
}

/** See `createPrintUrl`. */
export type PrintUrl = ReturnType<typeof createPrintUrl>

/** Whether no other size of an original can be made that shows what it shows. */
const isOnlyAsItIs = ({ type, traits }: Entry): boolean => wouldStop(kindOfType(type), traits)

/** The URL under `/images` of an image in a variant, and its original where that is known. */
function print(
  { settings, store, resolver, references, knownFailures }: PrintParts,
  text: string,
  variant: string | undefined,
  kinds: readonly string[],
): Printed | undefined {
  return orUndefined(() => {
    const reference = references.read(text, kinds)
    if (reference === undefined) return undefined
    const { kind, id } = reference
    const special = references.ownPrint(kind, id)
    if (special !== undefined && 'url' in special)
      return special.url === undefined || settings.display.requireLocal
        ? undefined
        : { url: special.url, isSvg: false }
    const source = resolver.sourceOf(kind)
    const chosen = variant ?? reference.variant ?? source.defaultVariant(kind)
    const { original, address } = resolver.resolve(
      makeAddress(kind, chosen, id),
      settings.signing.keys.length > 0,
    )
    const entry = store.find(imageKey(original.text), 'memory')
    const isSvg = entry === undefined ? isSvgByName(original) : kindOfType(entry.type) === 'svg'
    source.precheck?.(chosen, id)
    const path =
      reference.isShort && variant === undefined
        ? `${settings.urls.images}/${kind}/${id}`
        : printPath(settings, `${kind}/${chosen}/${address.id}`, entry?.isStored ? entry : undefined)
    const isFailing = knownFailures.ofOriginal(original) !== undefined
    const url = (special?.base ?? settings.urls.base) + path
    return { url, isSvg, isFailing, ...(entry && { original: entry }) }
  })
}

/** With `?v=` of the original's bytes, where they are stored; any signing key signs the whole. */
function printPath(
  { urls, signing }: PrintParts['settings'],
  addressText: string,
  original: Entry | undefined,
): string {
  const path = imagePath(urls, addressText)
  const versioned = original === undefined ? path : `${path}?v=${versionOf(original.digest)}`
  const [key] = signing.keys
  return key === undefined ? versioned : signAddress(versioned, key)
}

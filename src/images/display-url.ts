/** What URL do I print for this? Answered synchronously, from memory once warm: local copy, else the source, else a placeholder. */
import { makeAddress } from '../model/address.js'
import type { EntityId } from '../model/artwork-path.js'
import { versionOf } from '../model/digest.js'
import { type EntityKind, placeholderFile } from '../model/entity.js'
import { type Entry, freshnessOf, imageKey } from '../model/entry.js'
import { kindOfType } from '../model/media-type.js'
import { wouldStop } from '../model/output.js'
import { signAddress } from '../model/signature.js'
import { sourceKindsOf } from '../model/subject.js'
import { isSoundUrl, isWebUrl } from '../model/web-url.js'
import type { Context } from './context.js'
import type { EntityImages } from './entity-images.js'
import { artworkPathOf, isOwnUrl } from './printed.js'
import { createReferences, isSvgByName, orUndefined } from './references.js'
import type { Resolver } from './resolve.js'
import type { SignedUrls } from './signed-urls.js'

/** The question a template asks. */
export interface DisplayQuestion {
  readonly kind: EntityKind | undefined
  readonly id?: EntityId | undefined
  /** Ids of the same entity at providers, in order of priority. */
  readonly providerIds?: readonly EntityId[]
  readonly sourceUrl?: string | undefined
  readonly localPath?: string | undefined
  readonly requireLocal?: boolean | undefined
  readonly params?: Readonly<Record<string, EntityId>>
  /** The kind that was asked for, whether or not it is known. */
  readonly kindName?: string | undefined
}

/** What to print, and what it is. Sides in pixels where known. */
export interface Displayed {
  readonly url: string
  readonly from: 'local' | 'source' | 'placeholder'
  readonly width?: number
  readonly height?: number
  /** Whether a local picture should be fetched: there is none, or it is of another URL. */
  readonly wanted: boolean
}

/** A URL under `/images`, its original where that is known, and whether that is an SVG, by its name where it is not. */
interface Printed {
  readonly url: string
  readonly original?: Entry
  readonly isSvg: boolean
}

/** See the top of the file. */
export type DisplayUrls = ReturnType<typeof createDisplayUrls>

/** Makes the part of the pipeline that templates ask. None of its verbs throws for missing data. */
export function createDisplayUrls(
  context: Context,
  admission: Resolver,
  artworks: EntityImages,
  signed: SignedUrls,
) {
  const { settings, store } = context
  const { urls } = settings

  const naming = createReferences(context, admission)
  const findLocal = ({ kind, id, providerIds = [], localPath, sourceUrl, params }: DisplayQuestion) => {
    const named = localPath === undefined ? undefined : findNamed(localPath)
    if (named !== undefined) return named
    if (kind !== undefined)
      for (const own of id === undefined ? providerIds : [id, ...providerIds]) {
        const found = orUndefined(() => artworks.peekEntity(kind, own, params))
        if (found !== undefined) return found
      }
    const isOwn = sourceUrl !== undefined && (!isWebUrl(sourceUrl) || isOwnUrl(settings, sourceUrl))
    return isOwn ? findNamed(sourceUrl) : undefined
  }
  /** The local picture that a text names. */
  const findNamed = (text: string) => {
    const path = artworkPathOf(urls, text)
    const entry = path === undefined ? undefined : orUndefined(() => artworks.peek(path))
    return path === undefined || entry === undefined ? undefined : { path, entry }
  }
  const placeholder = (kind: EntityKind | undefined): string =>
    `${urls.base}${urls.placeholders}/${placeholderFile(kind)}`

  /** Whether a picture is to be fetched from another URL: it is of another picture, or was signed anew, and has aged. */
  const isNews = ({ sourceUrl, original }: Entry, url: string): boolean => {
    if (sourceUrl === undefined || sourceUrl === url || !isSoundUrl(url)) return false
    if (!signed.isSame(sourceUrl, url)) return true
    const known = original === undefined ? undefined : store.find(original, 'memory')
    return known !== undefined && freshnessOf(known, settings.freshness, settings.now()) !== 'fresh'
  }
  const display = (question: DisplayQuestion): Displayed => {
    const { kind, sourceUrl, localPath, requireLocal = false } = question
    const local = findLocal(question)
    if (local !== undefined) {
      const { path, entry } = local
      const size = entry.width > 0 ? { width: entry.width, height: entry.height } : {}
      const wanted = sourceUrl !== undefined && isNews(entry, sourceUrl)
      return { url: artworks.urlOf(path, entry), from: 'local', ...size, wanted }
    }
    const usable = sourceUrl !== undefined && isSoundUrl(sourceUrl) ? sourceUrl : undefined
    // What we printed ourselves, or could print, is as good as a local picture.
    const isOther = usable !== undefined && !isOwnUrl(settings, usable)
    const own =
      (localPath === undefined ? undefined : ownDisplay(localPath, question)) ??
      (isOther || sourceUrl === undefined ? undefined : ownDisplay(sourceUrl, question))
    if (own !== undefined) return own
    const wanted = isOther
    return usable !== undefined && !requireLocal
      ? { url: usable, from: 'source', wanted }
      : { url: placeholder(kind), from: 'placeholder', wanted }
  }
  const ownDisplay = (text: string, question: DisplayQuestion): Displayed | undefined => {
    const sourceKinds = sourceKindsOf(question)
    const drawn = naming.placeholder(text)
    if (drawn !== undefined) return { url: drawn, from: 'placeholder', wanted: false }
    const url = naming.read(text, sourceKinds) && imageUrl(text, undefined, sourceKinds)
    return url === undefined ? undefined : { url, from: 'local', wanted: false }
  }

  /** `?v=` of the original's bytes, where it is held; any signing key signs the whole. */
  const printAddress = (
    kind: string,
    variant: string,
    id: string,
    original: Entry | undefined,
    base: string,
  ): string => {
    // Of what an id may hold, only `%` means something else in a URL.
    const path = `${urls.images}/${kind}/${variant}/${id.replaceAll('%', '%25')}`
    const versioned = original === undefined ? path : `${path}?v=${versionOf(original.digest)}`
    const [key] = settings.signing.keys
    return base + (key === undefined ? versioned : signAddress(versioned, key))
  }

  /** The URL under `/images` of a picture in a variant, and its original where that is known. */
  const printed = (of: string, variant: string | undefined, kinds: readonly string[]): Printed | undefined =>
    orUndefined(() => {
      const named = naming.read(of, kinds)
      if (named === undefined) return undefined
      const { kind, id } = named
      const special = naming.ownPrint(kind, id)
      if (special !== undefined && 'url' in special)
        return special.url === undefined ? undefined : { url: special.url, isSvg: false }
      const chosen = variant ?? named.variant ?? admission.sourceOf(kind).defaultVariant(kind)
      const address = makeAddress(kind, chosen, id)
      const admitted = admission.resolve(address, settings.signing.keys.length > 0)
      const entry = store.find(imageKey(admitted.original.text), 'memory')
      const isSvg = entry === undefined ? isSvgByName(admitted.original) : kindOfType(entry.type) === 'svg'
      const base = special?.base ?? urls.base
      admission.sourceOf(kind).precheck?.(chosen, id)
      const url =
        named.isShort && variant === undefined
          ? `${base}${urls.images}/${kind}/${id}`
          : printAddress(kind, chosen, admitted.address.id, entry?.isStored ? entry : undefined, base)
      return { url, isSvg, ...(entry && { original: entry }) }
    })
  /** The same; of an SVG, which is only given as it is, without the format, or whole. */
  const printable = (
    of: string,
    variant: string | undefined,
    kinds: readonly string[],
  ): Printed | undefined => {
    const found = printed(of, variant, kinds)
    if (found?.isSvg !== true || variant === undefined) return found
    const bare = variant.replace(/-(?:auto|jpeg|png|gif|webp|avif)(?:-q\d+)?$/, '')
    const { kind = '' } = naming.read(of, kinds) ?? {}
    const isNative = orUndefined(() => admission.isNative(kind, bare)) === true
    return printed(of, isNative ? bare : 'original', kinds)
  }
  /**
   * The URL under `/images` of a picture in a variant, or undefined where it is not offered: an unknown
   * host, or a size that is neither listed nor signed.
   * @param of a source URL, an address text (`poster/abc.jpg`), or a URL that we printed
   * @param variant canonical text; left out: the size that `of` tells, else the usual one of its kind
   * @param kinds kinds of source that it may be of where it does not say itself, best first
   */
  const imageUrl = (of: string, variant?: string, kinds: readonly string[] = []): string | undefined =>
    printable(of, variant, kinds)?.url

  return {
    display,
    /** Whether a text is a URL or an address of ours that answers, and no other's. */
    isOwn: (text: string): boolean => {
      if (isWebUrl(text) && !isOwnUrl(settings, text)) return false
      return (
        naming.placeholder(text) !== undefined ||
        findNamed(text) !== undefined ||
        naming.read(text) !== undefined
      )
    },
    /**
     * The URL that an entity's own picture came by, where its record has the same one signed anew, and that has not aged: so a
     * page prints one name of it. Never another entity's.
     */
    ownUrl: (question: DisplayQuestion): string | undefined => {
      const { id, sourceUrl } = question
      if (id === undefined || sourceUrl === undefined || !sourceUrl.includes('?')) return undefined
      const entry = findLocal(question)?.entry
      const known = entry?.sourceUrl
      const isOwn = entry?.ownerId === String(id) && known !== undefined && known !== sourceUrl
      return isOwn && signed.isSame(known, sourceUrl) && !isNews(entry, sourceUrl) ? known : undefined
    },
    /** The local picture that a question comes to, and its artwork path. */
    local: findLocal,
    placeholder,
    /** The widths that can be printed for a source URL: those the app lists, else the native ones of its kind. */
    widthsFor: (of: string, kinds: readonly string[] = []): readonly number[] => {
      if (settings.widths.length > 0) return settings.widths
      return (
        orUndefined(() => {
          const { kind } = naming.read(of, kinds) ?? { kind: of.split('/', 1)[0] ?? '' }
          return admission.sourceOf(kind).nativeWidths(kind)
        }) ?? []
      )
    },
    imageUrl,
    /**
     * Candidates for a `srcset`, by width: `… 320w, … 640w`. Widths that are not offered are left out; where the original
     * is known, they end at its own width. There are none of what is only given as it is: an SVG, a moving PNG or AVIF.
     */
    srcset: (
      of: string,
      widths: readonly unknown[],
      format: string,
      kinds: readonly string[] = [],
    ): string => {
      const wanted = widths
        .map((width) => orUndefined(() => Number(width)) ?? 0)
        .filter((width) => Number.isInteger(width) && width > 0)
      const candidates: string[] = []
      for (const width of [...new Set(wanted)].sort((a, b) => a - b)) {
        const candidate = printed(of, `w${width}-${format}`, kinds)
        if (candidate === undefined) continue
        const { url, original, isSvg } = candidate
        if (isSvg || (original !== undefined && isOnlyAsItIs(original))) return ''
        const own = original?.width || Number.POSITIVE_INFINITY
        candidates.push(`${url} ${Math.min(width, own)}w`)
        if (width >= own) break
      }
      return candidates.join(', ')
    },
  }
}

/** Whether no other size of an original can be made that shows what it shows. */
const isOnlyAsItIs = ({ type, traits }: Entry): boolean => wouldStop(kindOfType(type), traits)

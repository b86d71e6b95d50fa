/** What URL do I print for this? Answered synchronously, from memory once warm: local copy, else the source, else a placeholder. */
import { makeAddress } from '../model/address.js'
import { type EntityId, readArtworkPath } from '../model/artwork-path.js'
import { versionOf } from '../model/digest.js'
import { type EntityKind, placeholderFile } from '../model/entity.js'
import { type Entry, imageName } from '../model/entry.js'
import { kindOfType } from '../model/media-type.js'
import { wouldStop } from '../model/output.js'
import { signAddress } from '../model/signature.js'
import { isWebUrl } from '../model/web-url.js'
import type { Admission } from './admission.js'
import type { Artworks } from './artworks.js'
import type { Context } from './context.js'

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

/** See the top of the file. */
export type Display = ReturnType<typeof createDisplay>

const isSound = (text: string): boolean => isWebUrl(text) && URL.canParse(text)

/** Makes the part of the pipeline that templates ask. None of its verbs throws for missing data. */
export function createDisplay(context: Context, admission: Admission, artworks: Artworks) {
  const { settings, store } = context
  const { urls } = settings

  /** Runs a look-up whose input an app's records hold: what is wrong in there is simply not found. */
  const quietly = <T>(look: () => T | undefined): T | undefined => {
    try {
      return look()
    } catch {
      return undefined
    }
  }
  const findLocal = ({ kind, id, providerIds = [], localPath, params }: DisplayQuestion) => {
    const path = localPath === undefined ? undefined : readArtworkPath(ownPath(localPath))
    const named = path === undefined ? undefined : quietly(() => artworks.peek(path))
    if (path !== undefined && named !== undefined) return { path, entry: named }
    if (kind === undefined) return undefined
    for (const own of [...(id === undefined ? [] : [id]), ...providerIds]) {
      const found = quietly(() => artworks.peekEntity(kind, own, params))
      if (found !== undefined) return found
    }
    return undefined
  }
  /** A path that was stored as the URL we printed is taken for the path it was. */
  const ownPath = (text: string): string => {
    const bare = text.split('?', 1)[0] ?? ''
    const prefix = `${urls.local}/`
    return bare.startsWith(prefix) ? bare.slice(prefix.length) : bare
  }
  const placeholder = (kind: EntityKind | undefined): string =>
    `${urls.base}${urls.placeholders}/${placeholderFile(kind)}`

  const display = (question: DisplayQuestion): Displayed => {
    const { kind, sourceUrl, requireLocal = false } = question
    const usable = sourceUrl !== undefined && isSound(sourceUrl) ? sourceUrl : undefined
    const local = findLocal(question)
    if (local !== undefined) {
      const { path, entry } = local
      const size = entry.width > 0 ? { width: entry.width, height: entry.height } : {}
      const wanted = usable !== undefined && entry.sourceUrl !== undefined && entry.sourceUrl !== usable
      return { url: artworks.urlOf(path, entry), from: 'local', ...size, wanted }
    }
    const wanted = usable !== undefined
    return wanted && !requireLocal
      ? { url: usable, from: 'source', wanted }
      : { url: placeholder(kind), from: 'placeholder', wanted }
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

  /** How a source prints its pictures, where that is not the usual way. */
  const ownPrint = (kind: string, id: string) => {
    for (const source of settings.sources) {
      const printed = source.print?.(kind, id, context.means)
      if (printed !== undefined) return printed
    }
    return undefined
  }

  /** The URL under `/images` of a picture in a variant, and its original where that is known. */
  const printed = (of: string, variant?: string): { url: string; original?: Entry } | undefined =>
    quietly(() => {
      const [kind = '', ...rest] = of.split('/')
      const subject = isSound(of) ? admission.claim(of).address : { kind, id: rest.join('/') }
      const special = ownPrint(subject.kind, subject.id)
      if (special !== undefined && 'url' in special)
        return special.url === undefined ? undefined : { url: special.url }
      const chosen = variant ?? admission.sourceOf(subject.kind).defaultVariant(subject.kind)
      const address = makeAddress(subject.kind, chosen, subject.id)
      const admitted = admission.admit(address, settings.signing.keys.length > 0)
      const entry = store.find(imageName(admitted.original.text), 'memory')
      const url = printAddress(
        address.kind,
        chosen,
        admitted.address.id,
        entry?.held ? entry : undefined,
        special?.base ?? urls.base,
      )
      return entry === undefined ? { url } : { url, original: entry }
    })
  /**
   * The URL under `/images` of a picture in a variant, or undefined where it is not offered: an unknown
   * host, or a size that is neither listed nor signed.
   * @param of a source URL, or an address text without its variant (`poster/abc.jpg`)
   * @param variant canonical text; left out: the usual size of its kind
   */
  const imageUrl = (of: string, variant?: string): string | undefined => printed(of, variant)?.url

  return {
    display,
    /** The local picture that a question comes to, and its artwork path. */
    local: findLocal,
    placeholder,
    /** The widths that can be printed for a source URL: those the app lists, else the native ones of its kind. */
    widthsFor: (of: string): readonly number[] => {
      if (settings.widths.length > 0) return settings.widths
      return (
        quietly(() => {
          const address = isSound(of) ? admission.claim(of).address : { kind: of.split('/', 1)[0] ?? '' }
          return admission.sourceOf(address.kind).nativeWidths(address.kind)
        }) ?? []
      )
    },
    imageUrl,
    /**
     * Candidates for a `srcset`, by width: `… 320w, … 640w`. Widths that are not offered are left out; where the original
     * is known, they end at its own width. There are none of what is only given as it is: an SVG, a moving PNG or AVIF.
     */
    srcset: (of: string, widths: readonly unknown[], format: string): string => {
      const wanted = widths.map(Number).filter((width) => Number.isInteger(width) && width > 0)
      const candidates: string[] = []
      for (const width of [...new Set(wanted)].sort((a, b) => a - b)) {
        const candidate = printed(of, `w${width}-${format}`)
        if (candidate === undefined) continue
        const { url, original } = candidate
        if (original !== undefined && isOnlyAsItIs(original)) return ''
        const own = original?.width || Number.POSITIVE_INFINITY
        candidates.push(`${url} ${Math.min(width, own)}w`)
        if (width >= own) break
      }
      return candidates.join(', ')
    },
  }
}

/** Whether no other size of an original can be made that shows what it shows. */
const isOnlyAsItIs = ({ type, traits }: Entry): boolean => {
  const kind = kindOfType(type)
  return kind === 'svg' || wouldStop(kind, traits)
}

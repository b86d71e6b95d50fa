/** What a text that an app has stored refers to: a URL of a source, an address, an artwork path, or a URL that we printed. */
import { type Address, makeAddress, pathSegments } from '../model/address.js'
import { readArtworkPath } from '../model/artwork-path.js'
import { type Entry, entityImageKey, imageKey } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { percentDecoded } from '../model/text.js'
import { placeholderUrl, readOwnUrl } from '../model/urls.js'
import { isSoundUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { Store } from '../store/ports.js'
import type { Original, Resolver } from './resolve-address.js'

/** A picture of a source, in the variant that the text tells, where it tells one. */
export interface Reference {
  readonly kind: string
  readonly id: string
  readonly variant?: string
  /** An upload as it is, by the short form of its URL. */
  readonly isShort?: boolean
}

/** What references are read with. */
export interface ReferenceParts {
  readonly settings: Pick<Settings, 'urls' | 'sources' | 'shared'>
  readonly store: Pick<Store, 'find'>
  readonly resolver: Resolver
  readonly means: Means
  /** Called when an answer rests on what a source has found out by itself. */
  readonly onMore: () => void
}

/** Whether the name of a file says that it is an SVG, before anybody has seen it. */
export const isSvgByName = ({ address, source }: Pick<Original, 'address' | 'source'>): boolean =>
  /\.svgz?$/i.test(source.fileName?.(address) ?? address.id)

/** The result of a look-up whose input an app's records hold; undefined where it throws. */
export function orUndefined<T>(look: () => T | undefined): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

/** Makes the part of the pipeline that reads references. None of its verbs throws. */
export function createReferences({ settings, store, resolver, means, onMore }: ReferenceParts) {
  const { urls, sources } = settings
  const isListed = (kind: string): boolean =>
    sources.some((source) => source.kinds.includes(kind) || source.owns?.(kind) === true)

  /** How a source prints its pictures, where that is not the usual way. */
  const ownPrint = (kind: string, id: string) => {
    for (const source of sources) {
      const printed = source.print?.(kind, id, means)
      if (printed === undefined) continue
      onMore()
      return printed
    }
    return undefined
  }
  /** A picture that can be answered: of uploads it is known which there are. */
  const answerable = (reference: Reference): Reference | undefined =>
    orUndefined(() => {
      const { kind, id } = reference
      if (ownPrint(kind, id) !== undefined) return reference
      const variant = reference.variant ?? resolver.sourceOf(kind).defaultVariant(kind)
      const { original } = resolver.resolve(makeAddress(kind, variant, id), true)
      // Another node may have what this one has not seen yet.
      const isThere =
        original.source.isHosted !== true ||
        settings.shared !== undefined ||
        store.find(imageKey(original.text), 'memory')?.isStored
      return isThere ? reference : undefined
    })
  /** `poster/abc.jpg`, or with its variant, `poster/w342/abc.jpg`. */
  const fromSegments = (segments: readonly string[]): Reference | undefined => {
    const [kind = '', first = '', ...rest] = segments
    const id = [first, ...rest].join('/')
    if (first === '' || !(isListed(kind) || ownPrint(kind, id) !== undefined)) return undefined
    const whole = answerable({ kind, id })
    return whole ?? (rest.length > 0 ? answerable({ kind, variant: first, id: rest.join('/') }) : undefined)
  }
  const fromImageUrl = (path: string): Reference | undefined => {
    const [kind = '', second = '', ...rest] = pathSegments(path) ?? []
    if (rest.length > 0)
      return orUndefined(() => answerable({ kind, variant: second, id: resolver.idOf(kind, rest) }))
    const isUpload = orUndefined(() => resolver.sourceOf(kind).isHosted) === true
    return isUpload ? answerable({ kind, id: second, isShort: true }) : undefined
  }
  /** A path without its kind, as TMDb writes them: `/abc.jpg`. */
  const fromPath = (path: string, kinds: readonly string[]): Reference | undefined => {
    const id = path.replace(/^\//, '')
    for (const kind of id === '' || id.includes('/') ? [] : kinds) {
      const found = isListed(kind) ? answerable({ kind, id }) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }

  /** What the app prints for a file of its own, such as `/static/hero.jpg`. */
  const fromFilePath = (path: string): Reference | undefined => {
    for (const source of sources) {
      const address = source.claimPath?.(path)
      if (address !== undefined) return answerable({ kind: address.kind, id: address.id })
    }
    return undefined
  }

  const read = (text: string, kinds: readonly string[] = []): Reference | undefined => {
    const own = readOwnUrl(urls, text)
    if (own !== undefined && 'image' in own) return fromImageUrl(own.image)
    const isBelowBase = urls.base !== '' && text.startsWith(`${urls.base}/`)
    const file = isBelowBase ? fromFilePath(text.slice(urls.base.length)) : undefined
    if (file !== undefined) return file
    if (isSoundUrl(text))
      return orUndefined(() => {
        const { kind, id, variant } = resolver.resolveUrl(text, kinds).address
        return { kind, id, variant }
      })
    return fromSegments(text.split('/')) ?? fromPath(text, kinds) ?? fromFilePath(text)
  }

  return {
    ownPrint,
    /**
     * What a text refers to; undefined where that is nothing of ours.
     * @param kinds which it may be of where it does not say itself, best first
     */
    read,
    /** A placeholder that we printed, as it is printed. */
    placeholder: (text: string): string | undefined => {
      const own = readOwnUrl(urls, text)
      return own !== undefined && 'placeholder' in own ? placeholderUrl(urls, own.placeholder) : undefined
    },
  }
}

/** See `createReferences`. */
export type References = ReturnType<typeof createReferences>

/** The text of the address that a path below `/images` has. */
function addressIn({ urls }: Pick<Settings, 'urls'>, path: string): string {
  const kind = path.slice(0, path.indexOf('/'))
  return urls.pathKinds?.has(kind) === true ? path : percentDecoded(path)
}

/**
 * Reads what an operator names: an address, a URL of ours (with `urls.base` or without, with its version or not), or an
 * artwork path.
 * @throws ArtworkError `unknown_image` (404) for an entity's image that is not stored
 */
export function readTarget(
  { settings, store }: Pick<ReferenceParts, 'settings' | 'store'>,
  given: Address | string,
): { readonly address: Address | string } | { readonly local: Entry } {
  if (typeof given !== 'string') return { address: given }
  const own = readOwnUrl(settings.urls, given)
  if (own !== undefined && 'image' in own) return { address: addressIn(settings, own.image) }
  const isLocal = own !== undefined && 'local' in own
  const bare = isLocal ? own.local : (given.split(/[?#]/, 1)[0] ?? '')
  // The kinds of a source come first; other addresses are told from paths by what is stored.
  const kind = bare.split('/', 1)[0] ?? ''
  if (!isLocal && settings.sources.some((source) => source.kinds.includes(kind))) return { address: given }
  const path = readArtworkPath(bare)
  const local = path === undefined ? undefined : store.find(entityImageKey(path))
  if (local !== undefined) return { local }
  // What ends in an extension and is no kind of a source is an entity's image.
  if (isLocal || (path !== undefined && /\.[a-z]{3,4}$/.test(path)))
    throw new ArtworkError('unknown_image', 'there is no such image')
  return { address: given }
}

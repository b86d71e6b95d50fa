/** What a text that an app holds names: a URL of a source, an address, or something that we printed before. */
import { makeAddress, pathSegments } from '../model/address.js'
import { imageKey } from '../model/entry.js'
import { isSoundUrl } from '../model/web-url.js'
import type { Context } from './context.js'
import { ownPath } from './printed.js'
import type { Original, Resolver } from './resolve.js'

/** A picture of a source, in the variant that the text tells, where it tells one. */
export interface Reference {
  readonly kind: string
  readonly id: string
  readonly variant?: string
  /** An upload as it is, by the short form of its URL. */
  readonly isShort?: boolean
}

/** Whether the name of a file says that it is an SVG, before anybody has seen it. */
export const isSvgByName = ({ address, source }: Pick<Original, 'address' | 'source'>): boolean =>
  /\.svgz?$/i.test(source.fileName?.(address) ?? address.id)

/** Runs a look-up whose input an app's records hold: what is wrong in there is simply not found. */
export function orUndefined<T>(look: () => T | undefined): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

/** Makes the part of the pipeline that reads names. None of its verbs throws. */
export function createReferences({ settings, store, means }: Context, admission: Resolver) {
  const { urls, sources } = settings
  const isListed = (kind: string): boolean =>
    sources.some((source) => source.kinds.includes(kind) || source.owns?.(kind) === true)

  /** How a source prints its pictures, where that is not the usual way. */
  const ownPrint = (kind: string, id: string) => {
    for (const source of sources) {
      const printed = source.print?.(kind, id, means)
      if (printed !== undefined) return printed
    }
    return undefined
  }
  /** A picture that can be answered: of uploads it is known which there are. */
  const answered = (named: Reference): Reference | undefined =>
    orUndefined(() => {
      const { kind, id } = named
      if (ownPrint(kind, id) !== undefined) return named
      const variant = named.variant ?? admission.sourceOf(kind).defaultVariant(kind)
      const { original } = admission.resolve(makeAddress(kind, variant, id), true)
      const isThere =
        original.source.isHosted !== true || store.find(imageKey(original.text), 'memory')?.isStored
      return isThere ? named : undefined
    })
  /** `poster/abc.jpg`, or with its variant, `poster/w342/abc.jpg`. */
  const fromSegments = (segments: readonly string[]): Reference | undefined => {
    const [kind = '', first = '', ...rest] = segments
    const id = [first, ...rest].join('/')
    if (first === '' || !(isListed(kind) || ownPrint(kind, id) !== undefined)) return undefined
    const whole = answered({ kind, id })
    return whole ?? (rest.length > 0 ? answered({ kind, variant: first, id: rest.join('/') }) : undefined)
  }
  const fromOwnUrl = (path: string): Reference | undefined => {
    const [kind = '', second = '', ...rest] = pathSegments(path) ?? []
    if (rest.length > 0) return answered({ kind, variant: second, id: rest.join('/') })
    const isUpload = orUndefined(() => admission.sourceOf(kind).isHosted) === true
    return isUpload ? answered({ kind, id: second, isShort: true }) : undefined
  }
  /** A path without its kind, as TMDb writes them: `/abc.jpg`. */
  const fromPath = (path: string, kinds: readonly string[]): Reference | undefined => {
    const id = path.replace(/^\//, '')
    for (const kind of id === '' || id.includes('/') ? [] : kinds) {
      const found = isListed(kind) ? answered({ kind, id }) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    ownPrint,
    /**
     * What a text names; undefined where that is nothing of ours.
     * @param kinds which it may be of where it does not say itself, best first
     */
    read: (text: string, kinds: readonly string[] = []): Reference | undefined => {
      const own = ownPath(urls, text)
      if (own?.startsWith(`${urls.images}/`)) return fromOwnUrl(own.slice(urls.images.length))
      if (isSoundUrl(text))
        return orUndefined(() => {
          const { kind, id, variant } = admission.resolveUrl(text, kinds).address
          return { kind, id, variant }
        })
      return fromSegments(text.split('/')) ?? fromPath(text, kinds)
    },
    /** A placeholder that we printed, as it is printed. */
    placeholder: (text: string): string | undefined => {
      const own = ownPath(urls, text)
      return own?.startsWith(`${urls.placeholders}/placeholder`) ? `${urls.base}${own}` : undefined
    },
  }
}

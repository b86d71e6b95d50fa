/** What somebody has in hand: a URL that we printed, or an artwork path, brought down to what it stands for. */
import type { Address } from '../model/address.js'
import { readArtworkPath } from '../model/artwork-path.js'
import { type Entry, entityImageKey } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { Context } from './context.js'

/** What a text stands for: an address, or a local picture. */
type Target = { readonly address: Address | string } | { readonly local: Entry }

/** Whether a URL is one of ours, by what we are called from outside; without `urls.base` none is known to be. */
export const isOwnUrl = ({ urls }: Context['settings'], url: string): boolean =>
  urls.base !== '' &&
  [`${urls.images}/`, `${urls.local}/`, `${urls.placeholders}/placeholder`].some((path) =>
    url.startsWith(urls.base + path),
  )

/** The path of a URL that we printed, without base and query; undefined for one that is not ours, and for other texts. */
export function ownPath({ base }: Context['settings']['urls'], given: string): string | undefined {
  const own = base !== '' && given.startsWith(`${base}/`) ? given.slice(base.length) : given
  return own.startsWith('/') ? own.split(/[?#]/, 1)[0] : undefined
}

/** The artwork path that a record holds: as such, or as a URL of ours, with its version or not. */
export function artworkPathOf(urls: Context['settings']['urls'], given: string): string | undefined {
  const { local } = urls
  const bare = ownPath(urls, given) ?? given.split(/[?#]/, 1)[0] ?? ''
  return readArtworkPath(bare.startsWith(`${local}/`) ? bare.slice(local.length + 1) : bare)
}

/**
 * Reads an address, a URL of ours (with `urls.base` before it or not, with its version or not), or an artwork path.
 * @throws ArtworkError `unknown_image` (404) for a local picture that there is none of
 */
export function readReference({ settings, store }: Context, given: Address | string): Target {
  if (typeof given !== 'string') return { address: given }
  const { urls } = settings
  const own = urls.base !== '' && given.startsWith(urls.base) ? given.slice(urls.base.length) : given
  const bare = own.split(/[?#]/, 1)[0] ?? ''
  if (bare.startsWith(`${urls.images}/`)) return { address: decoded(bare.slice(urls.images.length + 1)) }
  const isLocal = bare.startsWith(`${urls.local}/`)
  // The kinds of a source come first; other addresses are told from paths by what is there.
  const kind = bare.split('/', 1)[0] ?? ''
  if (!isLocal && settings.sources.some((source) => source.kinds.includes(kind))) return { address: given }
  const path = readArtworkPath(isLocal ? bare.slice(urls.local.length + 1) : bare)
  const local = path === undefined ? undefined : store.find(entityImageKey(path))
  if (local !== undefined) return { local }
  if (isLocal) throw new ArtworkError('unknown_image', 'there is no such image')
  return { address: given }
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

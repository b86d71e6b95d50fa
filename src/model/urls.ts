/** Our own URLs: printed for an image, and read back from what an app has stored. */
import { readArtworkPath } from './artwork-path.js'
import { versionOf } from './digest.js'
import { addressOfKey, type Entry, pathOfKey } from './entry.js'
import { pictureVersion, sizeVersion } from './sized-path.js'
import { cutOf, positionIn } from './variant.js'

/** Where images are served. */
export interface Urls {
  /** Origin and mount path before all of them; '' prints paths. */
  readonly base: string
  readonly images: string
  readonly local: string
  readonly placeholders: string
  /** Kinds whose ids are paths, encoded as they stand in a URL. */
  readonly pathKinds?: ReadonlySet<string>
}

/** In a URL, `%` alone of what an address may hold means something else; of a path it means what it does there. */
const inPath = ({ pathKinds }: Urls, addressText: string): string =>
  addressText.includes('%') && pathKinds?.has(addressText.slice(0, addressText.indexOf('/'))) !== true
    ? addressText.replaceAll('%', '%25')
    : addressText

/** The path of an image address below the mount: `/images/poster/w342/abc.jpg`. */
export const imagePath = (urls: Urls, addressText: string): string =>
  `${urls.images}/${inPath(urls, addressText)}`

/** The URL of an image address. */
const imageUrl = (urls: Urls, addressText: string): string => urls.base + imagePath(urls, addressText)

/** The URL of an entity's image, by its artwork path. @param digest of its bytes, for `?v=` */
export const entityImageUrl = (urls: Urls, path: string, digest?: string): string =>
  `${urls.base}${urls.local}/${path}${digest === undefined ? '' : `?v=${versionOf(digest)}`}`

/** The URL of a placeholder's file. */
export const placeholderUrl = (urls: Urls, file: string): string => `${urls.base}${urls.placeholders}/${file}`

/** The URL of a stored image. */
export function entryUrl(urls: Urls, entry: VersionedEntry): string {
  const path = pathOfKey(entry.key)
  return path === undefined
    ? imageUrl(urls, addressOfKey(entry.key) ?? '')
    : entityImageUrl(urls, path, versionedBy(entry))
}

/** The digest whose beginning is an image's `?v=`: its own, and for what is printed before it is made, its original's. */
function versionedBy({ key, digest, role, madeFrom = digest, recipe }: VersionedEntry): string {
  if (role === 'artwork') return digest
  return pathOfKey(key) === undefined
    ? pictureVersion(madeFrom, positionIn(recipe))
    : sizeVersion(madeFrom, cutOf(recipe))
}
type VersionedEntry = Pick<Entry, 'key' | 'digest' | 'role' | 'madeFrom' | 'recipe'>

/** All URLs of a stored image: with its version and without, and as the negotiated variant that may come down to it. */
export function allUrls(urls: Urls, entry: Entry): readonly string[] {
  const { key } = entry
  const path = pathOfKey(key)
  const version = versionedBy(entry)
  if (path !== undefined) return [entityImageUrl(urls, path), entityImageUrl(urls, path, version)]
  const [kind = '', variant = '', ...id] = (addressOfKey(key) ?? '').split('/')
  const negotiated = variant.replace(/(?:-(?:avif|webp|jpeg|png|gif))?(-q\d+)?$/, '-auto$1')
  return [variant, negotiated].flatMap((one) => {
    const url = imageUrl(urls, [kind, one, ...id].join('/'))
    return [url, `${url}?v=${versionOf(version)}`]
  })
}

/** A URL of ours: the address text as it stands in the URL, an artwork path, or a placeholder's file. */
export type OwnUrl =
  | { readonly image: string }
  | { readonly local: string }
  | { readonly placeholder: string }

/** Reads a URL of ours, with `urls.base` before it or without, query and fragment apart; undefined for any other text. */
export function readOwnUrl(urls: Urls, text: string): OwnUrl | undefined {
  const { base, images, local, placeholders } = urls
  const below = base !== '' && text.startsWith(`${base}/`) ? text.slice(base.length) : text
  const path = below.split(/[?#]/, 1)[0] ?? ''
  if (path.startsWith(`${images}/`)) return { image: path.slice(images.length + 1) }
  if (path.startsWith(`${local}/`)) return { local: path.slice(local.length + 1) }
  if (path.startsWith(`${placeholders}/placeholder`))
    return { placeholder: path.slice(placeholders.length + 1) }
  return undefined
}

/** Whether a URL with an origin is one of ours; without `urls.base` none is known to be. */
export const isOwnUrl = (urls: Urls, url: string): boolean =>
  urls.base !== '' && url.startsWith(`${urls.base}/`) && readOwnUrl(urls, url) !== undefined

/** The artwork path that a record has stored: as such, or as a URL of ours, with its version or not. */
export function artworkPathOf(urls: Urls, text: string): string | undefined {
  const own = readOwnUrl(urls, text)
  if (own !== undefined) return 'local' in own ? readArtworkPath(own.local) : undefined
  return readArtworkPath(text.split(/[?#]/, 1)[0] ?? '')
}

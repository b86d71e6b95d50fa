/** Our own URLs, where somebody hands us one to fetch: it is answered without HTTP. */
import { type Address, makeAddress, pathSegments } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'

/**
 * The address that a URL of ours stands for; undefined for any other.
 * @param origins what is ours, `https://img.example.com`; empty ones do not count
 * @param imagesPath where images are mounted
 * @param idOf the id that the decoded rest of a path stands for
 * @throws ArtworkError `invalid` (400) for one of ours that is no image's
 */
export function ownAddress(
  url: string,
  origins: readonly string[],
  imagesPath: string,
  idOf: (kind: string, segments: readonly string[]) => string,
): Address | undefined {
  const prefix = ['', ...origins.filter((origin) => origin !== '')]
    .map((origin) => `${origin}${imagesPath}/`)
    .find((start) => url.startsWith(start))
  if (prefix === undefined) return undefined
  const segments = pathSegments(url.slice(prefix.length).replace(/[?#].*$/, ''))
  const [kind = '', second = '', ...rest] = segments ?? []
  if (segments === undefined || segments.length < 2) throw new ArtworkError('invalid', 'the URL is not valid')
  return rest.length === 0
    ? makeAddress(kind, 'original', second)
    : makeAddress(kind, second, idOf(kind, rest))
}

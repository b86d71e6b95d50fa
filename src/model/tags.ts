/** Tags: what a stored image belongs to, so that many can be purged at once, here and in a CDN (`Cache-Tag`). */
import { createHash } from 'node:crypto'
import type { Entry } from './entry.js'
import { hostOf } from './web-url.js'

/** The tag of a picture: of its originals in every native size, and everything made from them. @param name store name of one */
export function imageTag(name: string): string {
  const [, kind = '', , ...id] = name.split('/')
  const hash = createHash('sha256')
    .update(`${kind}/${id.join('/')}`)
    .digest('hex')
  return `image-${hash.slice(0, 16)}`
}

const safe = (text: string): string => text.replace(/[^A-Za-z0-9._:-]/g, '_')

/**
 * The tags of an image: `kind-poster` (its family, or its upload namespace), `host-cdn.example.com` (where its
 * original lives), `entity-artist` and `entity-artist-abc123` (whose picture it is), `image-…` (which picture).
 * @param original the entry of its original, where that is known
 */
export function tagsOf(entry: Entry, original?: Entry): readonly string[] {
  const origin = entry.role === 'original' ? entry.key : entry.original
  const kind = /^images\/([^/]+)\//.exec(origin ?? entry.key)?.[1]
  const url = original?.sourceUrl ?? entry.sourceUrl
  const host = url === undefined ? undefined : hostOf(url)
  const { ownerKind, ownerId } = entry
  return [
    ...(kind === undefined ? [] : [`kind-${safe(kind)}`]),
    ...(host === undefined ? [] : [`host-${safe(host)}`]),
    ...(ownerKind === undefined ? [] : [`entity-${ownerKind}`]),
    ...(ownerKind === undefined || ownerId === undefined ? [] : [`entity-${ownerKind}-${safe(ownerId)}`]),
    ...(origin === undefined ? [] : [imageTag(origin)]),
  ]
}

/**
 * An Address is the one name of an image: which family (kind), how it should look (variant), which picture
 * (id). Its canonical text, `poster/w342/abc.jpg`, is the key in the store and the path in the URL.
 */
import { ArtworkError } from './failure.js'

/** The name of an image. */
export interface Address {
  /** Family: `poster`, `remote`, an upload namespace … */
  readonly kind: string
  /** Canonical text of a Variant. */
  readonly variant: string
  /** Which picture; may hold `/` (AT Protocol: did/cid; a file: its path). */
  readonly id: string
}

/** How a kind is written; a namespace of uploads is one. */
export const KIND = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const VARIANT = /^[a-z][a-z0-9_-]{0,127}$/
const ID_SEGMENT = /^[A-Za-z0-9_%~-][A-Za-z0-9._:%~-]*$/
const MAX_SEGMENTS = 16
/** Room for the longest URL that an entity may have, in base64url. */
const MAX_ID = 11_000

const refuse = (why: string): never => {
  throw new ArtworkError('invalid', why)
}

/** Checks the three parts and freezes them into an Address. @throws ArtworkError `invalid` (400) naming the part */
export function makeAddress(kind: string, variant: string, id: string): Address {
  if (!KIND.test(kind)) refuse('image type is not known')
  if (!VARIANT.test(variant)) refuse('image size is not known')
  const segments = id.split('/')
  const sound =
    segments.length <= MAX_SEGMENTS &&
    id.length <= MAX_ID &&
    segments.every((segment) => ID_SEGMENT.test(segment))
  if (!sound) refuse('image id is not valid')
  return Object.freeze({ kind, variant, id })
}

/** Reads `kind/variant/id`. @throws ArtworkError `invalid` (400) */
export function parseAddress(text: string): Address {
  const [kind, variant, ...rest] = text.split('/')
  if (kind === undefined || variant === undefined || rest.length === 0)
    return refuse('an image needs type, size and id')
  return makeAddress(kind, variant, rest.join('/'))
}

/** Prints `kind/variant/id`: the inverse of {@link parseAddress}. */
export const formatAddress = (address: Address): string => `${address.kind}/${address.variant}/${address.id}`

/** Takes an Address or its text, checked either way. @throws ArtworkError `invalid` (400) */
export function toAddress(given: Address | string): Address {
  return typeof given === 'string' ? parseAddress(given) : makeAddress(given.kind, given.variant, given.id)
}

/**
 * The decoded segments of a URL path, or undefined where a segment is not one plain name: dots only, a
 * slash, backslash, control character or broken escape inside. Segments are never joined and parsed again.
 */
export function pathSegments(rawPath: string): readonly string[] | undefined {
  const segments: string[] = []
  for (const raw of rawPath.replace(/^\//, '').split('/')) {
    const segment = decodeSegment(raw)
    if (segment === undefined) return undefined
    segments.push(segment)
  }
  return segments
}

/** What needs no encoding in a path, and is nowhere encoded in a URL of ours (RFC 3986 §2.3, §6.2.2.2). */
const ENCODED_UNRESERVED = /%(?:2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i

/** The name of a file as it stands in an id, and in a URL. @throws URIError for half of a surrogate pair */
export const encodeName = (name: string): string =>
  encodeURIComponent(name).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const isAsPrinted = (raw: string): boolean => {
  try {
    return encodeName(decodeURIComponent(raw)) === raw
  } catch {
    return false
  }
}

/**
 * How the text of a path stands to the one that is printed for it: `canonical`, the same; `equivalent`, with other characters
 * encoded, as `encodeURIComponent` does with a colon; `alias`, with what nobody needs to encode.
 * @param hasNames whether its segments are names of files
 */
export function pathForm(rawPath: string, hasNames = false): 'canonical' | 'equivalent' | 'alias' {
  if (!rawPath.includes('%')) return 'canonical'
  if (ENCODED_UNRESERVED.test(rawPath)) return 'alias'
  if (hasNames) return rawPath.split('/').every(isAsPrinted) ? 'canonical' : 'equivalent'
  // Of what an id may hold, only `%` means something else in a URL.
  return rawPath.replaceAll('%25', '').includes('%') ? 'equivalent' : 'canonical'
}

function decodeSegment(raw: string): string | undefined {
  let decoded: string
  try {
    decoded = decodeURIComponent(raw)
  } catch {
    return undefined
  }
  if (decoded === '' || /^\.+$/.test(decoded)) return undefined
  return /[/\\\p{Cc}]/u.test(decoded) ? undefined : decoded
}

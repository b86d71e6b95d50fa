/**
 * What an `<img>` is answered whose image cannot be had: the placeholder of its kind, as large as the image would have been.
 * A candidate of a `srcset` wins over whatever `src` falls back to, so the promise has to be kept here.
 */
import type { Request } from 'express'
import { asksForImage } from '../../http/accept.js'
import { imageHeaders } from '../../http/image-fields.js'
import type { HttpResponse } from '../../http/response.js'
import { errorResponse } from '../../http/response.js'
import { pathSegments } from '../../model/address.js'
import { type Box, type PlaceholderName, placeholderNamed } from '../../model/entity.js'
import type { ArtworkError } from '../../model/failure.js'
import { readSizedPath } from '../../model/sized-path.js'
import { parseVariant, recipeOf } from '../../model/variant.js'
import type { Settings } from '../../options/settings.js'
import { corsOf, readUrl } from '../shared/respond.js'
import { boxWithin, drawPlaceholder } from './drawings.js'

/** No placeholder is drawn larger, pixels a side: it is a drawing, and scales. */
const MAX_BOX = 4096

/** The answer to a failure, undefined where its text will do. */
export type Fallback = (req: Request, failure: ArtworkError) => HttpResponse | undefined

/** Which placeholder stands for a path below a router, and how large it is. */
export type PlaceholderOf = (path: string) => { readonly name: PlaceholderName; readonly box?: Partial<Box> }

/** Makes the answers to failures of a router. */
export function createFallback(settings: Settings, placeholderOf: PlaceholderOf): Fallback {
  const cors = corsOf(settings)
  return (req, failure) => {
    const destination = req.headers['sec-fetch-dest']
    const isBrowser = typeof destination === 'string'
    if (!asksForImage(isBrowser ? destination : undefined, req.headers.accept)) return undefined
    const { name, box = {} } = placeholderOf(readUrl(req.url).path)
    const now = settings.now()
    const shown = drawPlaceholder(name, now, 'placeholder.svg', bounded(boxWithin(name, box)))
    const { 'Retry-After': retryAfter } = errorResponse(failure, cors).headers
    const isUsual = isBrowser && !isRevalidation(req, failure)
    const isOk = settings.placeholderStatus === 'auto' ? isUsual : settings.placeholderStatus === 'ok'
    const {
      ETag: _tag,
      'Last-Modified': _at,
      'Accept-Ranges': _ranges,
      ...headers
    } = imageHeaders(shown, {
      cache: { kind: 'none' },
      isPrivate: settings.private,
      cors,
      now,
      extra: retryAfter === undefined || isOk ? {} : { 'Retry-After': retryAfter },
    })
    return { status: isOk ? 200 : failure.status, headers, body: shown.bytes }
  }
}

/**
 * Whether a cache asks about a copy that it has, and we are what fails: told so, it goes on with its copy (RFC 5861 §4), which
 * is better than a placeholder.
 */
const isRevalidation = ({ headers }: Request, { status }: ArtworkError): boolean =>
  status >= 500 && (headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined)

/** The same shape within the largest box. */
function bounded({ width, height }: Box): Box {
  const scale = Math.min(1, MAX_BOX / Math.max(width, height))
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
}

/** The placeholder of an address: its kind's, in the box of its variant. */
export const placeholderOfAddress =
  ({ presets, transform }: Settings): PlaceholderOf =>
  (path) => {
    const [kind, variant = ''] = pathSegments(path) ?? []
    const name = placeholderNamed(kind)
    try {
      const rules = { presets, encoding: transform }
      return { name, box: recipeOf(parseVariant(variant, rules), rules) }
    } catch {
      return { name }
    }
  }

/** The placeholder of an entity's path: that of the kind whose paths begin so. */
export function placeholderOfPath({ kinds }: Settings): PlaceholderOf {
  const prefixes = [...kinds.values()]
    .map(({ path, plural, placeholder }) => ({
      prefix: path.replaceAll('{plural}', plural).split('{', 1)[0] ?? '',
      name: placeholderNamed(placeholder),
    }))
    .sort((a, b) => b.prefix.length - a.prefix.length)
  return (path) => {
    const local = path.replace(/^\//, '')
    const width = readSizedPath(local)?.width
    const name = prefixes.find(({ prefix }) => prefix !== '' && local.startsWith(prefix))?.name ?? ''
    return { name, ...(width !== undefined && { box: { width } }) }
  }
}

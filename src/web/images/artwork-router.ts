/** `/artwork/local/{path}`: entities' pictures from what is held. Never waits for the network. */
import type { Router } from 'express'
import { DEFAULT_POLICY, VERSION_MISMATCH_POLICY } from '../../http/caching.js'
import { type HttpResponse, redirectResponse } from '../../http/response.js'
import type { SizedImage } from '../../images/entity-sizes.js'
import type { Images } from '../../images/images.js'
import { pathSegments } from '../../model/address.js'
import { readArtworkPath } from '../../model/artwork-path.js'
import { etagOf } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import { ArtworkError } from '../../model/failure.js'
import { canExpire, freshUntil } from '../../model/freshness.js'
import { readSizedPath } from '../../model/sized-path.js'
import { entityImageUrl } from '../../model/urls.js'
import type { Settings } from '../../options/settings.js'
import { clientOf } from '../shared/client.js'
import { type Answer, corsOf, createResponseRouter, policyFor, readUrl } from '../shared/respond.js'
import { createFallback, placeholderOfPath } from './fallback.js'
import { type ImageResponse, tagFields } from './image-response.js'
import type { ResponseCache } from './response-cache.js'

const fileNameOf = (path: string): string => path.split('/').at(-1) ?? 'image'

/** Makes the router; mount it anywhere. A path that is not known is 404, one that is lost heals itself. */
export function createLocalRouter(images: Images, settings: Settings, hot?: ResponseCache): Router {
  const cors = corsOf(settings)

  /** Where a lost picture is meanwhile: its placeholder, or its public source where the app wants that. */
  const standIn = (entry: Entry): string => {
    const source = entry.sourceUrl === undefined ? undefined : new URL(entry.sourceUrl)
    const isPublic =
      source !== undefined &&
      source.protocol === 'https:' &&
      source.search === '' &&
      !settings.fetch.allowPrivate.includes(
        `${source.hostname.replace(/\.$/, '')}:${source.port === '' ? '443' : source.port}`,
      )
    if (settings.heal === 'redirect' && isPublic && !settings.display.requireLocal) return source.href
    return images.display.placeholder(settings.kinds.get(entry.ownerKind ?? ''))
  }
  /** Another width of an entity's image; where it cannot be had now, that image as it is. */
  const answerSize = (
    size: SizedImage,
    wanted: string,
    version: string | null,
  ): ImageResponse | HttpResponse => {
    const { entityImage } = size
    if (!('bytes' in size))
      return redirectResponse(entityImageUrl(settings.urls, size.path, entityImage.digest), cors)
    const { entry, bytes, from, original = entityImage } = size
    const { type, digest, storedAt } = entry
    const cache = policyFor(version, size.version, DEFAULT_POLICY)
    return {
      representation: { bytes, type, storedAt, digest, etag: etagOf(digest), fileName: fileNameOf(wanted) },
      rules: { cache, isPrivate: settings.private, cors, extra: tagFields(settings, entityImage, original) },
      entries: [entry, original, entityImage],
      checkedAt: original.validatedAt,
      ...(canExpire(original) && { freshUntil: freshUntil(original, settings.freshness) }),
      isRepeatable: from !== 'upstream' && entry.isStored && cache !== VERSION_MISMATCH_POLICY,
    }
  }
  const answer: Answer = async (req, { signal }) => {
    const { path, query } = readUrl(req.url ?? '')
    const segments = pathSegments(path)
    const wanted = segments === undefined ? undefined : readArtworkPath(segments)
    const isSize = wanted !== undefined && readSizedPath(wanted) !== undefined
    const size = isSize
      ? await images.entitySizes.get(wanted, {
          signal: signal(),
          client: clientOf(settings, req),
          isBehind: true,
        })
      : undefined
    if (wanted !== undefined && size !== undefined) return answerSize(size, wanted, query.get('v'))
    const found = wanted === undefined ? undefined : await images.entityImages.get(wanted)
    if (wanted === undefined || found === undefined)
      throw new ArtworkError('unknown_image', 'there is no such image')
    if (!('bytes' in found)) return redirectResponse(standIn(found), cors)
    const { entry, bytes, from, original } = found
    const { type, digest, storedAt } = entry
    const cache = policyFor(query.get('v'), digest, DEFAULT_POLICY)
    return {
      representation: { bytes, type, storedAt, digest, etag: etagOf(digest), fileName: fileNameOf(wanted) },
      rules: { cache, isPrivate: settings.private, cors, extra: tagFields(settings, entry, original) },
      entries: original === undefined ? [entry] : [entry, original],
      checkedAt: original?.validatedAt ?? entry.validatedAt,
      // An aged original is asked about again when its picture is looked at.
      ...(original && { freshUntil: freshUntil(original, settings.freshness) }),
      isRepeatable: from !== 'upstream' && cache !== VERSION_MISMATCH_POLICY,
    }
  }

  const onFailure = createFallback(settings, placeholderOfPath(settings))
  return createResponseRouter(settings, { answer, onFailure }, hot)
}

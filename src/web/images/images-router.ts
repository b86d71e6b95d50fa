/** `/images/{kind}/{variant}/{id}`: pictures by their address. */
import type { Router } from 'express'
import {
  type CachePolicy,
  DEFAULT_POLICY,
  PROVISIONAL_POLICY,
  VERSION_MISMATCH_POLICY,
} from '../../http/caching.js'
import { VARY_ACCEPT } from '../../http/vary.js'
import type { ImageResult } from '../../images/image.js'
import type { Images } from '../../images/images.js'
import { type Address, makeAddress, pathSegments } from '../../model/address.js'
import { etagOf } from '../../model/digest.js'
import { imageKey } from '../../model/entry.js'
import { ArtworkError } from '../../model/failure.js'
import { fileNameOf } from '../../model/file-name.js'
import { canExpire, freshUntil } from '../../model/freshness.js'
import { pictureVersion } from '../../model/sized-path.js'
import { signatureHolds } from '../../model/url-signature.js'
import { positionIn, withFocalPoint } from '../../model/variant.js'
import type { Settings } from '../../options/settings.js'
import { clientOf } from '../shared/client.js'
import { textFailure } from '../shared/json.js'
import { type Answer, corsOf, createResponseRouter, policyFor, readUrl } from '../shared/respond.js'
import { isOnlyIfCached } from '../shared/send.js'
import { createAccess, privatePolicy } from './access.js'
import { createFallback, placeholderOfAddress } from './fallback.js'
import { type ImageResponse, tagFields } from './image-response.js'
import type { ResponseCache } from './response-cache.js'

/**
 * Whether a path below `/images` has the shape of ours; what lies beside pictures, such as `/images/logo.png`, is the app's.
 */
export function isPicturePath({ sources }: Settings, path: string): boolean {
  // Counted as they are written: what cannot be decoded, or ends in a slash, has a shape too.
  const written = path.split('/').filter((segment) => segment !== '')
  if (written.length > 2 || /%2f|%5c|\\|(?:^|\/)(?:\.|%2e)+(?:\/|$)/i.test(path)) return true
  const [first = ''] = written
  const [kind = first] = pathSegments(first) ?? []
  const isListed = sources.some(({ kinds }) => kinds.includes(kind))
  return isListed || (written.length === 2 && sources.some((source) => source.owns?.(kind) === true))
}

/** What stays in sight of an answer, as its URL says: also where the original is passed on in its place. */
function positionOf(
  { resolver }: Images,
  { kind, variant }: Address,
  { entry, original }: ImageResult,
): string | undefined {
  if (entry.recipe !== undefined || original === undefined) return positionIn(entry.recipe)
  const recipe = resolver.recipeOf(kind, variant)
  return recipe && withFocalPoint(recipe, original.focalPoint).position
}

/** What an answer that others may wait for is made from; undefined for a file, which is looked at for each answer. */
const sharedKeys = (
  { resolver }: Images,
  address: Address,
  isTrusted: boolean,
): readonly string[] | undefined =>
  resolver.sourceOf(address.kind).isLocal === true
    ? undefined
    : [imageKey(resolver.resolve(address, isTrusted).original.text)]

/** Makes the router; mount it anywhere. */
export function createImagesRouter(images: Images, settings: Settings, hot?: ResponseCache): Router {
  const cors = corsOf(settings)
  const access = createAccess(settings)
  const addressOf = (path: string): Address => {
    const segments = pathSegments(path)
    if (segments === undefined) throw new ArtworkError('invalid', 'the path is not valid')
    const [kind = '', variant, ...id] = segments
    if (variant === undefined || id.length === 0) {
      const isUpload = images.resolver.sourceOf(kind).isHosted === true
      if (isUpload && variant !== undefined) return makeAddress(kind, 'original', variant)
      throw new ArtworkError('invalid', 'an image needs type, size and path')
    }
    const source = images.resolver.sourceOf(kind)
    source.precheck?.(variant, id.join('/'))
    return makeAddress(kind, variant, images.resolver.idOf(kind, id))
  }
  const answer: Answer = async (req, { mount, signal, share }) => {
    const { path, query } = readUrl(req.url ?? '')
    const address = addressOf(path)
    const version = query.get('v')
    const parts = {
      // What is printed is signed as it follows the mount of the app's router.
      paths: [...new Set([settings.urls.images + path, mount + path])],
      v: version ?? '',
      expires: query.get('expires') ?? '',
      s: query.get('s') ?? '',
    }
    const signed = parts.s !== '' && signatureHolds(parts, settings.signing.keys, settings.now())
    try {
      await access.checkReader(req, address, signed)
    } catch (error) {
      // No placeholder in its place: who may not read it is told so.
      return textFailure(error)
    }
    if (parts.s !== '' && !signed) throw new ArtworkError('refused', 'the signature does not hold')
    const isOpen = !settings.private && access.rulesOf(address) === undefined && parts.expires === ''
    if (isOpen && !isOnlyIfCached(req)) share(sharedKeys(images, address, signed))
    const image = await images.serve(address, signed, {
      signal: signal(),
      client: clientOf(settings, req),
      accept: req.headers.accept,
      isBehind: true,
      onlyIfCached: isOnlyIfCached(req),
    })
    return shownOf(
      address,
      image,
      version,
      signed && parts.expires !== '' ? Number(parts.expires) * 1000 : undefined,
    )
  }
  const shownOf = (
    address: Address,
    image: ImageResult,
    version: string | null,
    signedUntil: number | undefined,
  ): ImageResponse => {
    const source = images.resolver.sourceOf(address.kind)
    const { cache = DEFAULT_POLICY } = source
    const rules = access.rulesOf(address)
    const isPrivate = settings.private || rules?.isPrivate === true
    const usual: CachePolicy = rules === undefined ? cache : { kind: 'immutable', maxAge: rules.maxAge }
    const { entry, bytes, original, negotiation, forward, isInterim = false, isTransient = false } = image
    const { type, digest, storedAt } = entry
    const originalDigest = pictureVersion(
      entry.madeFrom ?? original?.digest ?? '',
      positionOf(images, address, image),
    )
    const holdsFor = signedUntil === undefined ? 0 : Math.floor((signedUntil - settings.now()) / 1000)
    const policy = rules?.isPrivate
      ? privatePolicy(rules.isBySignature ? Math.max(0, holdsFor) : rules.maxAge, isInterim)
      : isInterim
        ? PROVISIONAL_POLICY
        : policyFor(version, originalDigest, usual)
    return {
      representation: {
        bytes,
        type,
        digest,
        etag: etagOf(digest),
        storedAt,
        fileName: fileNameOf(source.fileName?.(address) ?? address.id, type),
      },
      rules: {
        cache: policy,
        isPrivate,
        cors,
        vary: negotiation && VARY_ACCEPT,
        // What no CDN keeps has no tags to purge it by.
        extra: rules?.isPrivate ? {} : tagFields(settings, entry, original),
      },
      entries: original === undefined || original === entry ? [entry] : [entry, original],
      forward,
      isTransient,
      ...(original &&
        canExpire(original) && {
          checkedAt: original.validatedAt,
          freshUntil: freshUntil(original, settings.freshness),
        }),
      ...(signedUntil !== undefined && { signedUntil }),
      ...(negotiation !== undefined && { negotiated: { negotiation, type } }),
      isOfFile: source.isLocal === true,
      // A version that is not the right one can be any text: it would fill the table.
      isRepeatable:
        image.from !== 'upstream' &&
        !isPrivate &&
        rules?.cors === undefined &&
        original !== undefined &&
        !isInterim &&
        !isTransient &&
        // A file is looked at for each answer, unless its URL names what it was.
        (source.isLocal !== true || version !== null) &&
        policy !== VERSION_MISMATCH_POLICY,
    }
  }

  const onFailure = createFallback(settings, placeholderOfAddress(settings))
  const isOurs = (path: string): boolean => isPicturePath(settings, path)
  return createResponseRouter(settings, { isOurs, answer, onFailure, amend: access.amend }, hot)
}

/** `/images/{kind}/{variant}/{id}`: pictures by their address. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Router } from 'express'
import type { Images, ServedImage } from '../images.js'
import { type Address, makeAddress, pathSegments } from '../model/address.js'
import { versionOf } from '../model/digest.js'
import { ArtworkError, asArtworkError } from '../model/errors.js'
import { extensionOf, kindOfType } from '../model/media-type.js'
import {
  type CachePolicy,
  ENTITY,
  FOREVER,
  MISMATCH,
  type Reply,
  replyToError,
  replyToMethod,
  replyWith,
} from '../model/reply.js'
import { signatureHolds } from '../model/signature.js'
import type { Settings } from '../options.js'
import { askedOf, goneSignal, send } from './send.js'

/** The path below the mount and the query, taken from the raw URL: segments are decoded once, each by itself. */
export function readUrl(rawUrl: string): { path: string; query: URLSearchParams } {
  const mark = rawUrl.indexOf('?')
  return {
    path: mark < 0 ? rawUrl : rawUrl.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : rawUrl.slice(mark + 1)),
  }
}

/** Which cache policy an answer has: by `?v=` where it is there, else by the rule of its source. */
export function policyFor(version: string | null, digest: string, otherwise: CachePolicy): CachePolicy {
  if (version === null) return otherwise
  return version === versionOf(digest) ? FOREVER : MISMATCH
}

/** The `Access-Control-Allow-Origin` of the settings, '' for none. */
export const corsOf = (settings: Settings): string => (settings.cors === false ? '' : settings.cors)

/** Makes the router; mount it anywhere. */
export function createImagesRouter(images: Images, settings: Settings): Router {
  const cors = corsOf(settings)

  const addressOf = (path: string): Address => {
    const segments = pathSegments(path)
    if (segments === undefined) throw new ArtworkError('invalid', 'the path is not valid')
    const [kind = '', variant, ...id] = segments
    if (variant === undefined || id.length === 0) {
      images.admission.sourceOf(kind)
      throw new ArtworkError('invalid', 'an image needs type, size and path')
    }
    return makeAddress(kind, variant, id.join('/'))
  }
  const answer = async (req: IncomingMessage, res: ServerResponse, mount: string): Promise<Reply> => {
    const { path, query } = readUrl(req.url ?? '')
    const address = addressOf(path)
    const version = query.get('v')
    const parts = {
      path: mount + path,
      v: version ?? '',
      expires: query.get('expires') ?? '',
      s: query.get('s') ?? '',
    }
    const signed = signatureHolds(parts, settings.signing.keys, settings.now())
    if (parts.s !== '' && !signed) throw new ArtworkError('refused', 'the signature does not hold')
    const image = await images.serve(address, signed, { signal: goneSignal(res), accept: req.headers.accept })
    const { cache = ENTITY } = images.admission.sourceOf(address.kind)
    const picture = { ...image, type: image.contentType, fileName: fileNameOf(address, image) }
    return replyWith(picture, askedOf(req), {
      cache: policyFor(version, image.originalDigest, cache),
      isPrivate: settings.private,
      cors,
      vary: /-auto(?:-|$)/.test(address.variant) ? 'Accept' : undefined,
    })
  }

  const router = express.Router()
  router.use((req, res, next) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      send(req, res, replyToMethod(req.method, cors))
      return
    }
    answer(req, res, req.baseUrl)
      .catch((error) => {
        const failure = asArtworkError(error)
        if (failure.code === 'unknown') settings.logger.error({ err: error }, 'artwork: a request failed')
        return replyToError(failure, cors)
      })
      .then((reply) => send(req, res, reply))
      .catch(next)
  })
  return router
}

function fileNameOf(address: Address, image: ServedImage): string {
  const name = (address.id.split('/').at(-1) ?? 'image').replace(/\.[a-z0-9]+$/i, '').slice(0, 60)
  const kind = kindOfType(image.contentType)
  return `${name}.${kind === undefined ? 'bin' : extensionOf(kind)}`
}

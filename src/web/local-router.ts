/** `/artwork/local/{path}`: entities' pictures from what is held. Never waits for the network. */
import type { IncomingMessage } from 'node:http'
import express, { type Router } from 'express'
import type { Images } from '../images.js'
import { pathSegments } from '../model/address.js'
import { readArtworkPath } from '../model/artwork-path.js'
import { etagOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import { ArtworkError, asArtworkError } from '../model/errors.js'
import { ENTITY, type Reply, redirectReply, replyToError, replyToMethod, replyWith } from '../model/reply.js'
import type { Settings } from '../options.js'
import { corsOf, policyFor, readUrl } from './images-router.js'
import { askedOf, send } from './send.js'

/** Makes the router; mount it anywhere. A path that is not known is 404, one that is lost heals itself. */
export function createLocalRouter(images: Images, settings: Settings): Router {
  const cors = corsOf(settings)

  /** Where a lost picture is meanwhile: its placeholder, or its public source where the app wants that. */
  const standIn = (entry: Entry): string => {
    const source = entry.sourceUrl === undefined ? undefined : new URL(entry.sourceUrl)
    const isPublic =
      source !== undefined &&
      source.protocol === 'https:' &&
      source.search === '' &&
      !settings.fetch.allowPrivate.includes(`${source.hostname}:${source.port === '' ? '443' : source.port}`)
    if (settings.heal === 'redirect' && isPublic) return source.href
    return images.display.placeholder(settings.kinds.get(entry.ownerKind ?? ''))
  }
  const answer = async (req: IncomingMessage): Promise<Reply> => {
    const { path, query } = readUrl(req.url ?? '')
    const segments = pathSegments(path)
    const wanted = segments === undefined ? undefined : readArtworkPath(segments)
    const found = wanted === undefined ? undefined : await images.artworks.get(wanted)
    if (wanted === undefined || found === undefined)
      throw new ArtworkError('unknown_image', 'there is no such image')
    if (!('bytes' in found)) return redirectReply(standIn(found), cors)
    const { entry, bytes } = found
    const { type, digest, storedAt } = entry
    const fileName = wanted.split('/').at(-1) ?? 'image'
    const picture = { bytes, type, storedAt, etag: etagOf(digest), fileName }
    const cache = policyFor(query.get('v'), digest, ENTITY)
    return replyWith(picture, askedOf(req), { cache, isPrivate: settings.private, cors })
  }

  const router = express.Router()
  router.use((req, res, next) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      send(req, res, replyToMethod(req.method, cors))
      return
    }
    answer(req)
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

/** `/images/{namespace}`: the door for uploads, and for images that are fetched for somebody (PARITY, seed 3). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request, type Router } from 'express'
import { createLimiter } from '../../concurrency.js'
import { type HttpResponse, jsonResponse, methodResponse } from '../../http/response.js'
import { pathSegments } from '../../model/address.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import type { Settings } from '../../options/settings.js'
import type { Namespace, UploadAction, UploadSource } from '../../sources/uploads.js'
import type { Uploads } from '../../uploads/uploads.js'
import { fetchBody, proxyBody } from '../management/schemas.js'
import { authorizeUpload } from '../shared/authorize.js'
import { announcedLength } from '../shared/body.js'
import { createCors } from '../shared/cors.js'
import { answerJson, BadBody, jsonFailure, readJson } from '../shared/json.js'
import { readUrl } from '../shared/respond.js'
import { disconnectSignal, send } from '../shared/send.js'
import { bodyKind, imageOf, largestBody, tooLarge } from './upload-body.js'

/** Bytes of all bodies in memory at once, and how many requests wait for room. */
const BODY_BYTES = 256 * 1024 ** 2
const MAX_WAITING = 2000
/** What a path stands for, and the verbs it has. */
interface Route {
  readonly namespace: string | undefined
  readonly allow: string
  readonly verbs: Readonly<Record<string, (req: Request, res: ServerResponse) => Promise<HttpResponse>>>
}

/** Makes the router; paths and verbs that are not its go on. */
export function createUploadRouter(verbs: Uploads, source: UploadSource, settings: Settings): Router {
  const { bodyTimeout: timeout } = source.uploads
  const bodies = createLimiter({
    capacity: BODY_BYTES,
    maxWaiting: MAX_WAITING,
    overloaded: 'too many images are being uploaded',
  })
  const cors = createCors(source.uploads.cors)

  const allow = (req: IncomingMessage, action: UploadAction): Promise<void> =>
    authorizeUpload(req, action, source.uploads, settings.logger)
  /** Origins that are ours, as this client sees us. */
  const ownOrigins = (req: Request): readonly string[] => {
    const host = req.headers.host
    return host === undefined ? [] : [`http://${host}`, `https://${host}`]
  }

  const upload = async (req: Request, res: ServerResponse, namespace: Namespace): Promise<HttpResponse> => {
    await allow(req, 'upload')
    const kind = bodyKind(req)
    const bound = largestBody(kind, namespace.maxBytes)
    if ((announcedLength(req) ?? 0) > bound) throw tooLarge()
    const take = async () => {
      const bytes = await imageOf(req, kind, { maxBytes: bound, timeout })
      if (bytes.length > namespace.maxBytes) throw tooLarge()
      return verbs.save(namespace.name, bytes)
    }
    const weight = announcedLength(req) ?? bound
    const stored = await bodies.run(take, { weight, signal: disconnectSignal(res) })
    return jsonResponse(200, { image_id: stored.imageId, url: stored.url })
  }
  const fetchOne = async (req: Request, res: ServerResponse): Promise<HttpResponse> => {
    await allow(req, 'fetch')
    const { url, pool } = await readJson(req, fetchBody, { timeout })
    const options = { ...(typeof pool === 'string' && { pool }), signal: disconnectSignal(res) }
    try {
      const { bytes, contentType } = await verbs.fetch(url, options, ownOrigins(req))
      return jsonResponse(200, { data: bytes.toString('base64'), mime_type: contentType })
    } catch (error) {
      const failure = asArtworkError(error)
      if (failure.code === 'invalid')
        throw new BadBody([
          {
            loc: ['body', failure.message.includes('pool') ? 'pool' : 'url'],
            msg: failure.message,
            type: 'value_error',
          },
        ])
      // A source that has no such image failed us; this route is there all the same.
      const isTheirs = failure.code === 'not_found' || failure.code === 'gone'
      if (isTheirs) return jsonFailure(failure, () => 502)
      throw error
    }
  }
  const proxy = async (req: Request, res: ServerResponse, namespace: Namespace): Promise<HttpResponse> => {
    await allow(req, 'proxy')
    const { urls, pool } = await readJson(req, proxyBody, { timeout, maxBytes: 1024 ** 2 })
    const options = { ...(typeof pool === 'string' && { pool }), signal: disconnectSignal(res) }
    try {
      const found = await verbs.proxy(namespace.name, urls, options, ownOrigins(req))
      const failed = Object.keys(found.errors).length > 0
      return jsonResponse(200, { urls: found.urls, ...(failed && { errors: found.errors }) })
    } catch (error) {
      const failure = asArtworkError(error)
      if (failure.code !== 'invalid') throw error
      throw new BadBody([{ loc: ['body', 'pool'], msg: failure.message, type: 'value_error' }])
    }
  }
  const list = async (req: Request, namespace: Namespace): Promise<HttpResponse> => {
    await allow(req, 'list')
    const { query } = readUrl(req.url)
    const limit = Number(query.get('limit') ?? 100)
    const after = query.get('after') ?? ''
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
      throw new ArtworkError('invalid', 'limit must be a whole number from 1 to 1000')
    const page = await verbs.list(namespace.name, { after, limit })
    const images = page.images.map((image) => ({
      image_id: image.imageId,
      url: image.url,
      content_type: image.contentType,
      width: image.width,
      height: image.height,
      bytes: image.bytes,
      stored_at: new Date(image.storedAt).toISOString(),
    }))
    return jsonResponse(200, { images, next: page.next ?? null })
  }
  const removeAll = async (req: Request, namespace: Namespace): Promise<HttpResponse> => {
    await allow(req, 'delete')
    return jsonResponse(200, { deleted_count: await verbs.removeAll(namespace.name) })
  }
  const removeOne = async (req: Request, namespace: Namespace, id: string): Promise<HttpResponse> => {
    await allow(req, 'delete')
    if (!(await verbs.remove(namespace.name, id)))
      throw new ArtworkError('unknown_image', 'there is no such image')
    return jsonResponse(200, { deleted_count: 1 })
  }

  /** Whether a first segment is for us: a namespace, or a name that no other source has. */
  const isOurs = (kind: string): boolean => source.kinds.includes(kind) || source.owns?.(kind) === true
  const isTaken = (kind: string): boolean => settings.sources.some(({ kinds }) => kinds.includes(kind))
  const routeOf = (segments: readonly string[]): Route | undefined => {
    const [first = '', second, ...rest] = segments
    if (rest.length > 0) return undefined
    if (first === 'fetch' && second === undefined)
      return { namespace: undefined, allow: 'POST, OPTIONS', verbs: { POST: fetchOne } }
    if (!isOurs(first) && isTaken(first)) return undefined
    const rules = () => verbs.namespace(first)
    if (second === undefined)
      return {
        namespace: first,
        allow: 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
        verbs: {
          GET: (req) => list(req, rules()),
          HEAD: (req) => list(req, rules()),
          POST: (req, res) => upload(req, res, rules()),
          PUT: (req, res) => upload(req, res, rules()),
          DELETE: (req) => removeAll(req, rules()),
        },
      }
    if (second === 'proxy')
      return {
        namespace: first,
        allow: 'POST, OPTIONS',
        verbs: { POST: (req, res) => proxy(req, res, rules()) },
      }
    return {
      namespace: first,
      allow: 'GET, HEAD, DELETE, OPTIONS',
      verbs: { DELETE: (req) => removeOne(req, rules(), second) },
    }
  }

  const router = express.Router()
  router.use((req, res, next) => {
    const segments = pathSegments(readUrl(req.url).path.replace(/(?<=.)\/$/, ''))
    const isChange = /^(?:POST|PUT|DELETE)$/.test(req.method)
    if (segments === undefined && isChange) {
      send(req, res, jsonResponse(400, { detail: 'the path is not valid' }))
      return
    }
    const route = segments && routeOf(segments)
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    const [first = '', ...others] = segments ?? []
    const isFile = FILE.test(first) && !source.kinds.includes(first)
    const isImage = isRead && (others.length > 0 || isFile || !isOurs(first))
    if (route === undefined || isImage) return next()
    const preflight = cors.preflight(req, route.allow)
    if (preflight !== undefined) {
      send(req, res, preflight)
      return
    }
    const verb = route.verbs[req.method]
    if (verb === undefined) {
      const reply = methodResponse(req.method, '')
      send(req, res, { ...reply, headers: { ...reply.headers, ...cors.fields(req), Allow: route.allow } })
      return
    }
    answerJson(
      req,
      res,
      settings,
      async () => {
        if (route.namespace !== undefined) verbs.namespace(route.namespace)
        return verbs.during(() => verb(req, res))
      },
      cors,
    ).catch(next)
  })
  return router
}

/** Names of files that sites have beside pictures: nobody asks for a list of such a namespace, unless it is declared. */
const FILE =
  /\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp|tiff?|css|m?js|map|txt|json|xml|webmanifest|html?|pdf|mp4|webm|woff2?)$/i

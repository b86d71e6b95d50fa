/** `/images/{namespace}`: uploads over HTTP. What is no change and no list goes on to the router of images. */
import express, { type Router } from 'express'
import { jsonResponse } from '../../http/response.js'
import { pathSegments } from '../../model/address.js'
import type { Settings } from '../../options/settings.js'
import type { UploadSource } from '../../sources/uploads.js'
import type { Uploads } from '../../uploads/uploads.js'
import { authorizeUpload } from '../shared/authorize.js'
import { createCors } from '../shared/cors.js'
import { answerJson, readJson } from '../shared/json.js'
import { readUrl } from '../shared/respond.js'
import { createRouteTable, otherMethod, type Route, runRoute } from '../shared/routes.js'
import { send } from '../shared/send.js'

/** Names of files that sites have beside images: nobody asks for a list of such a namespace, unless it is declared. */
const FILE =
  /\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp|tiff?|css|m?js|map|txt|json|xml|webmanifest|html?|pdf|mp4|webm|woff2?)$/i

/** Makes the router; paths and verbs that are not its go on. */
export function createUploadRouter(
  settings: Settings,
  { verbs, source, routes }: { verbs: Uploads; source: UploadSource; routes: readonly Route[] },
): Router {
  const cors = createCors(source.uploads.cors)
  const find = createRouteTable(routes)
  const { bodyTimeout: timeout } = source.uploads
  /** Whether a first segment is for us: a namespace, or a name that no other source has. */
  const isOurs = (kind: string): boolean => source.kinds.includes(kind) || source.owns?.(kind) === true
  const isTaken = (kind: string): boolean => settings.sources.some(({ kinds }) => kinds.includes(kind))
  /** The match of a path, unless it is another source's, or an image. */
  const matchOf = (path: string, method: string) => {
    const match = find(path)
    if (match?.isAnswered !== true) return undefined
    const { namespace } = match.params
    const isRead = method === 'GET' || method === 'HEAD'
    if (namespace === undefined) return isRead && !isOurs('fetch') ? undefined : match
    if (!isOurs(namespace) && (isTaken(namespace) || isRead)) return undefined
    const isFile = FILE.test(namespace) && !source.kinds.includes(namespace)
    const isList = match.routeFor('GET')?.action === 'list'
    return isRead && (isFile || !isList) ? undefined : match
  }

  const router = express.Router()
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    if (pathSegments(path.replace(/(?<=.)\/$/, '')) === undefined) {
      if (!/^(?:POST|PUT|DELETE)$/.test(req.method)) return next()
      send(req, res, jsonResponse(400, { detail: 'the path is not valid' }))
      return
    }
    const match = matchOf(path, req.method)
    if (match === undefined) return next()
    const preflight = cors.preflight(req, match.allow)
    if (preflight !== undefined) {
      send(req, res, preflight)
      return
    }
    const route = match.routeFor(req.method)
    const { action, handle } = route ?? {}
    if (route === undefined || action === undefined || handle === undefined) {
      const reply = otherMethod(req.method, match.allow)
      send(req, res, { ...reply, headers: { ...reply.headers, ...cors.fields(req), Allow: match.allow } })
      return
    }
    const work = async () => {
      const { namespace } = match.params
      if (namespace !== undefined) verbs.namespace(namespace)
      return verbs.during(async () => {
        await authorizeUpload(req, action, source.uploads, settings)
        return runRoute(route, { req, res, params: match.params }, (from, schema, limits) =>
          readJson(from, schema, { timeout, ...limits }),
        )
      })
    }
    answerJson(req, res, settings, work, cors).catch(next)
  })
  return router
}

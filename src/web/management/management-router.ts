/**
 * The management API (PARITY 40): what is stored and how it fares, images of entities, jobs, and why an image is
 * answered as it is. Closed unless the app opens it; changes are refused to pages of other sites.
 */
import express, { type Request, type Router } from 'express'
import type { z } from 'zod'
import { type HttpResponse, jsonResponse, textResponse } from '../../http/response.js'
import type { Management } from '../../management/management.js'
import type { Settings } from '../../options/settings.js'
import { authorizeManagement } from '../shared/authorize.js'
import { createCors } from '../shared/cors.js'
import { answerJson, hasBody, readJson } from '../shared/json.js'
import { readUrl } from '../shared/respond.js'
import { createRouteTable, otherMethod, type Route, runRoute } from '../shared/routes.js'
import { send } from '../shared/send.js'
import { docsPage, docsScript } from './docs-page.js'
import { entityRoutes, imageRoutes, reportRoutes } from './image-routes.js'
import { queueRoutes } from './job-routes.js'
import { openApiDocument } from './openapi.js'

const BODY = { timeout: 30_000, maxBytes: 8 * 1024 ** 2 }
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"

const page = (text: string, type: string, policy: string): HttpResponse =>
  textResponse(200, text, '', {
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Security-Policy': policy,
  })

/** The routes of the management API; of two that match a path, the first counts. */
export const managementRoutes = (management: Management, { kinds }: Pick<Settings, 'kinds'>) => [
  ...reportRoutes(management),
  ...imageRoutes(management),
  ...queueRoutes(management, kinds),
  ...entityRoutes(management),
]

/** What describes the API, and nothing that is stored: open to all. `documentAt` prints the OpenAPI document. */
function createDocuments(documentAt: (mount: string) => ReturnType<typeof openApiDocument>) {
  const documents = new Map<string, ReturnType<typeof openApiDocument>>()
  const printed = (mount: string): ReturnType<typeof openApiDocument> => {
    const document = documents.get(mount) ?? documentAt(mount)
    if (documents.size < 10) documents.set(mount, document)
    return document
  }
  const pages: Readonly<Record<string, (mount: string) => HttpResponse>> = {
    '/openapi.json': (mount) => jsonResponse(200, printed(mount)),
    '/docs': (mount) => page(docsPage(printed(mount)), 'text/html', PAGE_POLICY),
    '/docs.js': () => page(docsScript, 'text/javascript', "default-src 'none'"),
  }
  return (path: string): ((mount: string) => HttpResponse) | undefined =>
    Object.hasOwn(pages, path) ? pages[path] : undefined
}

/** JSON by a schema; no body at all is `{}` where that will do. */
async function readOptionalJson(req: Request, schema: z.ZodType): Promise<unknown> {
  if (!hasBody(req)) {
    const parsed = schema.safeParse({})
    if (parsed.success) return parsed.data
  }
  return readJson(req, schema, BODY)
}

/** What {@link createManageRouter} works with. */
export interface ManageRouterParts {
  readonly management: Management
  /** Answers what is below `/dashboard`. */
  readonly dashboard: Router
  /** Routes beside ours that the OpenAPI document has: those of uploads, below the path of images. */
  readonly uploadRoutes: readonly Route[]
}

/** Makes the router; mount it at `/api/images`. */
export function createManageRouter(
  settings: Settings,
  { management, dashboard, uploadRoutes }: ManageRouterParts,
): Router {
  const cors = createCors(settings.manage.cors)
  const routes = managementRoutes(management, settings)
  const find = createRouteTable(routes)
  const documentAt = createDocuments((mount) =>
    openApiDocument(settings.urls, { mount, routes, uploadRoutes }),
  )

  const router = express.Router()
  router.use('/dashboard', dashboard)
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    const open = documentAt(path.replace(/(?<=.)\/$/, ''))
    if (open !== undefined) {
      const isRead = req.method === 'GET' || req.method === 'HEAD'
      send(req, res, isRead ? open(req.baseUrl) : otherMethod(req.method, 'GET, HEAD, OPTIONS'))
      return
    }
    const preflight = cors.preflight(req, 'GET, HEAD, POST, OPTIONS')
    if (preflight !== undefined) {
      send(req, res, preflight)
      return
    }
    const work = async (): Promise<HttpResponse | undefined> => {
      await authorizeManagement(req, settings)
      const match = find(path)
      if (match === undefined) return management.missing('route')
      const route = match.routeFor(req.method)
      if (route === undefined) return otherMethod(req.method, match.allow)
      return runRoute(route, { req, res, params: match.params }, readOptionalJson)
    }
    answerJson(req, res, settings, work, cors).catch(next)
  })
  return router
}

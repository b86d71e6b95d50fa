/** Every router, and the listener in front of an app, over the same parts. */
import express, { type Request, type Response, type Router } from 'express'
import type { Images } from '../images/images.js'
import type { Management } from '../management/management.js'
import type { Readiness } from '../management/readiness.js'
import type { Metrics } from '../metrics/prometheus.js'
import { type Diagnosed, proxyNotTrusted } from '../model/diagnostic.js'
import type { Settings } from '../options/settings.js'
import type { UploadSource } from '../sources/uploads.js'
import type { Uploads } from '../uploads/uploads.js'
import { createDashboardRouter, type DashboardParts } from './dashboard/dashboard-router.js'
import { createHealthRouter } from './health-router.js'
import { createLocalRouter } from './images/artwork-router.js'
import { createBrokenImagesRouter } from './images/broken-images.js'
import { createCaseCheck } from './images/case-check.js'
import { createImagesRouter } from './images/images-router.js'
import { createListener } from './images/listener.js'
import { createPlaceholderRouter } from './images/placeholders.js'
import type { ResponseCache } from './images/response-cache.js'
import { createManageRouter } from './management/management-router.js'
import { createBodyLimiter } from './uploads/upload-body.js'
import { createUploadForm } from './uploads/upload-form.js'
import { createUploadRoutes } from './uploads/upload-routes.js'
import { createUploadRouter } from './uploads/uploads-router.js'

/** What is served. */
export interface RouterParts {
  readonly images: Images
  readonly uploads: { readonly verbs: Uploads; readonly source: UploadSource } | undefined
  readonly management: Management
  readonly metrics: Metrics
  readonly responseCache: ResponseCache
  readonly dashboard: Omit<DashboardParts, 'management'>
  readonly readiness: () => Promise<Readiness>
  readonly isClosing: () => boolean
  /** A request goes on to the app, which may render a page. */
  readonly onPage: (res: Response) => void
  /** The app is used in a way that would otherwise be silent. */
  readonly onDiagnosed: (found: Diagnosed) => void
  /** A browser could not show the source URL of an image. @throws ArtworkError for one that no source has */
  readonly onBroken: (url: string) => void
}

/** Makes them all. */
export function createRouters(settings: Settings, parts: RouterParts) {
  const { images, uploads, management, responseCache, isClosing } = parts
  const dashboardRouter = createDashboardRouter(settings, { ...parts.dashboard, management })
  const bodies = createBodyLimiter()
  const uploadRoutes = uploads ? createUploadRoutes(uploads.verbs, uploads.source, bodies) : []
  const uploadRouters = uploads ? [createUploadRouter(settings, { ...uploads, routes: uploadRoutes })] : []
  return {
    router: createMainRouter(settings, parts, uploadRouters),
    localRouter: createLocalRouter(images, settings),
    imagesRouter: express.Router().use(...uploadRouters, createImagesRouter(images, settings)),
    listener: createListener({ hot: responseCache, logger: settings.logger, isClosing }),
    healthRouter: createHealthRouter(parts.readiness, parts.metrics),
    manageRouter: createManageRouter(settings, { management, dashboard: dashboardRouter, uploadRoutes }),
    dashboardRouter,
    uploadForm: uploads && createUploadForm(settings, { ...uploads, bodies }),
  }
}

function createMainRouter(
  settings: Settings,
  { images, responseCache, onPage, dashboard, onBroken, onDiagnosed }: RouterParts,
  uploadRouters: readonly Router[],
): Router {
  const { urls } = settings
  const router = express.Router({ caseSensitive: true })
  router.use((req, res, next) => {
    // A URL that was rewritten on its way stands for something else than the same one as it was sent.
    const isAsSent = req.baseUrl + req.url === req.originalUrl
    if (!isAsSent || !responseCache.answer(req.originalUrl, req, res)) next()
  })
  router.use(createCaseCheck(settings))
  router.use(urls.local, createLocalRouter(images, settings, responseCache))
  for (const uploadRouter of uploadRouters) router.use(urls.images, uploadRouter)
  router.use(urls.images, createImagesRouter(images, settings, responseCache))
  router.use(urls.placeholders, createPlaceholderRouter(settings, dashboard.views))
  if (settings.display.beacon) router.use(urls.placeholders, createBrokenImagesRouter(settings, onBroken))
  const checkProxy = createProxyCheck(settings, onDiagnosed)
  router.use((req, res, next) => {
    checkProxy(req)
    onPage(res)
    next()
  })
  return router
}

/** Notes a proxy in front of an app that does not say whose requests they are; once. */
function createProxyCheck({ clientOf }: Settings, onDiagnosed: RouterParts['onDiagnosed']) {
  let isNoted = false
  return (req: Request): void => {
    if (clientOf !== undefined || isNoted) return
    const field = FORWARDED.find((name) => req.headers[name] !== undefined)
    if (field === undefined) return
    isNoted = true
    onDiagnosed(proxyNotTrusted(field))
  }
}
const FORWARDED = ['x-forwarded-for', 'x-forwarded-host', 'forwarded']

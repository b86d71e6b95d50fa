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
import type { DashboardParts } from './dashboard/dashboard-router.js'
import { createHealthRouter } from './health-router.js'
import { createLocalRouter } from './images/artwork-router.js'
import { createBrokenImagesRouter } from './images/broken-images.js'
import { createCaseCheck } from './images/case-check.js'
import { createImagesRouter } from './images/images-router.js'
import { createListener } from './images/listener.js'
import { createPlaceholderRouter } from './images/placeholders.js'
import type { ResponseCache } from './images/response-cache.js'
import { createLazyRouter } from './shared/lazy-router.js'

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

/** What takes uploads, with its code, which no other app needs. */
async function createUploadParts(settings: Settings, uploads: RouterParts['uploads']) {
  if (uploads === undefined) return undefined
  const [{ createBodyLimiter }, { createUploadForm }, { createUploadRoutes }, { createUploadRouter }] =
    await Promise.all([
      import('./uploads/upload-body.js'),
      import('./uploads/upload-form.js'),
      import('./uploads/upload-routes.js'),
      import('./uploads/uploads-router.js'),
    ])
  const bodies = createBodyLimiter()
  const routes = createUploadRoutes(uploads.verbs, uploads.source, bodies)
  return {
    routes,
    router: createUploadRouter(settings, { ...uploads, routes }),
    form: createUploadForm(settings, { ...uploads, bodies }),
  }
}

/** Makes them all. */
export async function createRouters(settings: Settings, parts: RouterParts) {
  const { images, management, responseCache, isClosing } = parts
  const uploads = await createUploadParts(settings, parts.uploads)
  const dashboardRouter = createLazyRouter(async () => {
    const { createDashboardRouter } = await import('./dashboard/dashboard-router.js')
    return createDashboardRouter(settings, { ...parts.dashboard, management })
  })
  const uploadRouters = uploads ? [uploads.router] : []
  return {
    router: createMainRouter(settings, parts, uploadRouters),
    localRouter: createLocalRouter(images, settings),
    imagesRouter: express.Router().use(...uploadRouters, createImagesRouter(images, settings)),
    listener: createListener({ hot: responseCache, logger: settings.logger, isClosing }),
    healthRouter: createHealthRouter(parts),
    manageRouter: createLazyRouter(async () => {
      const { createManageRouter } = await import('./management/management-router.js')
      return createManageRouter(settings, {
        management,
        dashboard: dashboardRouter,
        uploadRoutes: uploads?.routes ?? [],
      })
    }),
    dashboardRouter,
    uploadForm: uploads?.form,
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
    const isAnswered =
      isAsSent &&
      (responseCache.answer(req.originalUrl, req, res, next) ||
        responseCache.shared.wait(req.originalUrl, req, res, next))
    if (!isAnswered) next()
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

/**
 * The dashboard: the management API as pages, rendered here. Everything works without script; with it, progress is live
 * and charts answer the pointer. Closed as the API is.
 */
import express, { type Request, type Response, type Router } from 'express'
import { respond } from '../../http/conditional-and-range.js'
import type { Representation } from '../../http/image-fields.js'
import { type HttpResponse, textResponse } from '../../http/response.js'
import type { Management } from '../../management/management.js'
import { etagOf } from '../../model/digest.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { fileNameOf } from '../../model/file-name.js'
import { isWebUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import { jobEvents, queueEvents } from '../management/serialize.js'
import { authorizeManagement } from '../shared/authorize.js'
import { readBody } from '../shared/body.js'
import { type Query, readUrl } from '../shared/respond.js'
import { type Call, createRouteTable, otherMethod, type Route, route, runRoute } from '../shared/routes.js'
import { disconnectSignal, requestFields, send } from '../shared/send.js'
import { sendEvents } from '../shared/server-events.js'
import { startAction } from './actions.js'
import { createAssets } from './assets.js'
import { closedResponse } from './closed-page.js'
import { formatterAt } from './format.js'
import { DASHBOARD_PAGES, type PAGES } from './pages.js'

type PageName = (typeof PAGES)[number]

/** What the dashboard works with. */
export interface DashboardParts {
  readonly management: Management
  /** Renders a template with what it shows. */
  render(template: string, context: object): Promise<string>
  /** Folder of the templates, and of what pages load. */
  readonly views: string
  /** When the toolkit was made, ms since the epoch. */
  readonly startedAt: number
  /** What does not work, in words. */
  reasons(): readonly string[]
}

const FORM = { maxBytes: 1024 * 1024, timeout: 30_000 }
const NAV = [
  { page: 'overview', path: '/', label: 'Overview' },
  { page: 'images', path: '/images', label: 'Images' },
  { page: 'jobs', path: '/jobs', label: 'Jobs' },
  { page: 'failures', path: '/failures', label: 'Failures' },
]
const HEADINGS: Readonly<Record<number, string>> = {
  400: 'That cannot be',
  403: 'Closed',
  404: 'There is no such thing',
  415: 'That cannot be read',
  503: 'Not now',
}

/** What an action came to, for the page that it leads to. */
function noticeOf(query: Query): string | undefined {
  const count = /^\d{1,9}$/.test(query.get('n') ?? '') ? Number(query.get('n')) : 0
  const why = /^[a-z0-9_]{1,40}$/.test(query.get('why') ?? '') ? query.get('why') : 'unknown'
  const notices: Readonly<Record<string, string>> = {
    purged:
      count === 0
        ? 'Nothing was there to purge.'
        : `Purged: ${count} ${count === 1 ? 'name is' : 'names are'} gone.`,
    asked: 'Asked about it just now.',
    focused: 'Where it is cut to a shape, this point stays in sight.',
    unfocused: 'Where it is cut to a shape, its middle stays in sight.',
    failed: `Asked again just now: it failed (${why}).`,
  }
  return notices[query.get('notice') ?? '']
}

/** No other site may take it into its pages. */
const ofOurOwn = (reply: HttpResponse): HttpResponse => ({
  ...reply,
  headers: { ...reply.headers, 'Cross-Origin-Resource-Policy': 'same-origin' },
})
const seeOther = (to: string): HttpResponse => {
  const { headers, ...reply } = textResponse(303, '', '')
  return { ...reply, headers: { ...headers, Location: to } }
}

/** Makes what renders a page. */
function createRenderer(
  settings: Settings,
  { render, startedAt }: DashboardParts,
  assetVersion: () => string,
) {
  const { now, manage, urls } = settings
  const own = isWebUrl(urls.base) ? ` ${new URL(urls.base).origin}` : ''
  const policy = `default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:${own}; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`
  const templateOf = (page: PageName): string => manage.templates[page] ?? `artwork/${page}.njk`
  return async (
    req: Request,
    { name, tab = name, status = 200 }: { name: PageName; tab?: string; status?: number },
    context: object,
  ): Promise<HttpResponse> => {
    const text = await render(templateOf(name), {
      notice: noticeOf(readUrl(req.url).query),
      ...context,
      layout: templateOf('layout'),
      base: req.baseUrl,
      page: tab,
      nav: NAV,
      assets: assetVersion(),
      fmt: formatterAt(now()),
      now: now(),
      startedAt,
    })
    return textResponse(status, text, '', {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'Referrer-Policy': 'same-origin',
    })
  }
}

/** Files, and the bytes of stored images: for who may manage alone. */
function fileRoutes(settings: Settings, management: Management, assets: ReturnType<typeof createAssets>) {
  const answer = (req: Request, shown: Representation): HttpResponse => {
    const maxAge = readUrl(req.url).query.get('v') === null ? 60 : 86_400
    const rules = {
      cache: { kind: 'brief', maxAge },
      isPrivate: true,
      cors: '',
      now: settings.now(),
    } as const
    return respond(shown, requestFields(req), rules)
  }
  return [
    route({
      method: 'GET',
      path: '/assets/{name}',
      handle: ({ req, param }) => answer(req, assets.find(param('name')) ?? management.missing('file')),
    }),
    route({
      method: 'GET',
      path: '/picture',
      handle: async ({ req }) => {
        const { query } = readUrl(req.url)
        const atLeast = Number(query.get('w') ?? 0) || Number.MAX_SAFE_INTEGER
        const found = await management.bytes(query.get('name') ?? '', atLeast)
        if (found === undefined) return management.missing('image')
        const { bytes, entry } = found
        const { digest, type, storedAt } = entry
        const fileName = fileNameOf(management.sourcePathOf(entry), type)
        return answer(req, { bytes, type, digest, etag: etagOf(digest), storedAt, fileName })
      },
    }),
  ]
}

/** What forms and live pages ask for. */
function actionRoutes(settings: Settings, management: Management): readonly Route[] {
  const act = async ({ req, param }: Call): Promise<HttpResponse> => {
    const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
    if (type !== '' && type !== 'application/x-www-form-urlencoded')
      throw new ArtworkError('unsupported', 'send application/x-www-form-urlencoded')
    const form = new URLSearchParams(formIn(req) ?? (await readBody(req, FORM)).toString('utf8'))
    return seeOther(`${req.baseUrl}${await startAction(management, settings, param('action'), form)}`)
  }
  const changes = (['cancel', 'retry'] as const).map((verb) =>
    route({
      method: 'POST',
      path: `/jobs/{id}/${verb}`,
      handle: async ({ req, param }) => {
        await management.change(param('id'), verb)
        return seeOther(`${req.baseUrl}/jobs/${param('id')}`)
      },
    }),
  )
  return [
    route({ method: 'POST', path: '/actions/{action}', handle: act }),
    ...changes,
    route({
      method: 'GET',
      path: '/events',
      handle: async ({ req, res }) =>
        sendEvents(req, res, queueEvents(management.events(disconnectSignal(res)))),
    }),
    route({
      method: 'GET',
      path: '/jobs/{id}/events',
      handle: async ({ req, res, param }) =>
        sendEvents(req, res, jobEvents(await management.watch(param('id'), disconnectSignal(res)))),
    }),
  ]
}

/** Makes the router; mount it anywhere. */
export function createDashboardRouter(settings: Settings, parts: DashboardParts): Router {
  const { management, reasons } = parts
  const assets = createAssets(parts.views, settings.now())
  const render = createRenderer(settings, parts, assets.version)
  const pages = DASHBOARD_PAGES.map(({ path, page, ...template }) =>
    route({
      method: 'GET',
      path,
      handle: async ({ req, param }) => {
        const request = { query: readUrl(req.url).query, base: req.baseUrl, param }
        return render(req, template, await page({ management, settings, reasons }, request))
      },
    }),
  )
  const find = createRouteTable([
    ...pages,
    ...fileRoutes(settings, management, assets),
    ...actionRoutes(settings, management),
  ])
  const answer = async (req: Request, res: Response): Promise<HttpResponse | undefined> => {
    await authorizeManagement(req, settings)
    const match = find(readUrl(req.url).path)
    if (match === undefined) return management.missing('page')
    const found = match.routeFor(req.method)
    if (found === undefined) return otherMethod(req.method, match.allow)
    return runRoute(found, { req, res, params: match.params }, async () => undefined)
  }
  const problem = async (req: Request, thrown: unknown): Promise<HttpResponse> => {
    const error: ArtworkError = asArtworkError(thrown)
    const { status, code, message } = error
    if (code === 'unknown') settings.logger.error({ err: thrown }, 'artwork dashboard: a page failed')
    // A refusal is answered without our pages.
    if (code === 'refused' || code === 'unauthenticated') return closedResponse(req, error)
    const heading = HEADINGS[status] ?? 'That went wrong'
    return render(req, { name: 'problem', status }, { status, heading, message }).catch((failure) => {
      settings.logger.error({ err: failure }, 'artwork dashboard: the page of what went wrong failed')
      return textResponse(status, `${message}\n`, '')
    })
  }

  const router = express.Router()
  router.use((req, res, next) => {
    answer(req, res)
      .catch((error) => problem(req, error))
      .then((reply) => reply && send(req, res, ofOurOwn(reply), settings))
      .catch(next)
  })
  return router
}

/**
 * A form that a parser of the app has read; undefined where none has. A parser that did not read the body leaves an
 * empty one behind (Express 4), which says nothing.
 */
function formIn(req: Request): string | Record<string, string> | undefined {
  const read: unknown = req.readableEnded && 'body' in req ? req.body : undefined
  if (typeof read === 'string') return read
  if (Buffer.isBuffer(read)) return read.toString('utf8')
  return typeof read === 'object' && read !== null
    ? Object.fromEntries(Object.entries(read).map(([name, value]) => [name, String(value)]))
    : undefined
}

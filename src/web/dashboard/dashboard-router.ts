/**
 * The dashboard: the management API as pages, rendered here. Everything works without script; with it, progress is live
 * and charts answer the pointer. Closed as the API is.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import express, { type Request, type Response, type Router } from 'express'
import { type HttpResponse, methodResponse, respond, textResponse } from '../../http/response.js'
import { type Management, searchQuery } from '../../management/management.js'
import { pathSegments } from '../../model/address.js'
import { etagOf } from '../../model/digest.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { isWebUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import { ROLES, SORTS } from '../../store/ports.js'
import { serializeJob, tellAll } from '../management/management-router.js'
import { authorizeManagement } from '../shared/authorize.js'
import { readBody } from '../shared/body.js'
import { readUrl } from '../shared/respond.js'
import { disconnectSignal, requestFields, send } from '../shared/send.js'
import { sendEvents } from '../shared/server-events.js'
import { startAction } from './actions.js'
import { drawCharts } from './charts.js'
import { formatterAt } from './format.js'

/** Pages whose template an app may put its own in the place of. */
export const PAGES = ['layout', 'overview', 'images', 'image', 'jobs', 'job', 'failures', 'problem'] as const

/** What the dashboard works with. */
export interface DashboardParts {
  readonly management: Management
  /** Renders a template with what it shows. */
  render(template: string, context: object): Promise<string>
  /** Folder of the templates, and of what pages load. */
  readonly views: string
  /** What does not work, in words. */
  reasons(): readonly string[]
}

const FORM = { maxBytes: 1024 * 1024, timeout: 30_000 }
const JOBS_PAGE = 50
const CHILDREN = 100
const NAV = [
  { page: 'overview', path: '/', label: 'Overview' },
  { page: 'images', path: '/images', label: 'Images' },
  { page: 'jobs', path: '/jobs', label: 'Jobs' },
  { page: 'failures', path: '/failures', label: 'Failures' },
]
const SPANS = [
  { id: 'hour', label: 'last hour' },
  { id: 'day', label: 'last day' },
]
const HOST_SORTS = [
  { id: 'busiest', label: 'busiest' },
  { id: 'slowest', label: 'slowest' },
  { id: 'failing', label: 'most failures' },
]
const SORT_LABELS = { name: 'by name', used: 'used last', stored: 'newest', size: 'largest' }
const STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
const ANSWERS = {
  held: 'what is held, which is fresh',
  stale: 'what is held, while it is asked about behind',
  fetched: 'fetched anew',
  failure: 'the failure that stands',
}
const HEADINGS: Readonly<Record<number, string>> = {
  400: 'That cannot be',
  403: 'Closed',
  404: 'There is no such thing',
  415: 'That cannot be read',
  503: 'Not now',
}

/** What an action came to, for the page that it leads to. */
function noticeOf(query: { get(name: string): string | null }): string | undefined {
  const count = /^\d{1,9}$/.test(query.get('n') ?? '') ? Number(query.get('n')) : 0
  const why = /^[a-z0-9_]{1,40}$/.test(query.get('why') ?? '') ? query.get('why') : 'unknown'
  const notices: Readonly<Record<string, string>> = {
    purged:
      count === 0
        ? 'Nothing was there to purge.'
        : `Purged: ${count} ${count === 1 ? 'name is' : 'names are'} gone.`,
    asked: 'Asked about it just now.',
    failed: `Asked again just now: it failed (${why}).`,
  }
  return notices[query.get('notice') ?? '']
}

/** Files that pages load, by their name. */
function readAssets(views: string) {
  const uplot = join(createRequire(import.meta.url).resolve('uplot'), '..')
  const files = {
    'dashboard.css': ['text/css', join(views, 'artwork', 'dashboard.css')],
    'dashboard.js': ['text/javascript', join(views, 'artwork', 'dashboard.js')],
    'uplot.css': ['text/css', join(uplot, 'uPlot.min.css')],
    'uplot.js': ['text/javascript', join(uplot, 'uPlot.iife.min.js')],
  } as const
  const all = Object.entries(files).map(([name, [type, file]]) => {
    const bytes = readFileSync(file)
    return [
      name,
      { type: `${type}; charset=utf-8`, bytes, digest: createHash('sha256').update(bytes).digest('hex') },
    ] as const
  })
  const version = createHash('sha256')
    .update(all.map(([, { digest }]) => digest).join())
    .digest('hex')
    .slice(0, 12)
  return { version, files: new Map(all) }
}

/** No other site may take it into its pages. */
const ofOurOwn = (reply: HttpResponse): HttpResponse => ({
  ...reply,
  headers: { ...reply.headers, 'Cross-Origin-Resource-Policy': 'same-origin' },
})

/** Makes the router; mount it anywhere. */
export function createDashboardRouter(settings: Settings, parts: DashboardParts): Router {
  const { management, render, views, reasons } = parts
  const { now, kinds, manage, disk } = settings
  const startedAt = now()
  let assets: ReturnType<typeof readAssets> | undefined
  const { base } = settings.urls
  const own = isWebUrl(base) ? ` ${new URL(base).origin}` : ''
  const POLICY = `default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:${own}; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`

  const templateOf = (page: (typeof PAGES)[number]): string => manage.templates[page] ?? `artwork/${page}.njk`
  const page = async (
    req: Request,
    name: (typeof PAGES)[number],
    context: object,
    status = 200,
  ): Promise<HttpResponse> => {
    assets ??= readAssets(views)
    const text = await render(templateOf(name), {
      notice: noticeOf(readUrl(req.url).query),
      ...context,
      layout: templateOf('layout'),
      base: req.baseUrl,
      page: name === 'image' ? 'images' : name === 'job' ? 'jobs' : name,
      nav: NAV,
      assets: assets.version,
      fmt: formatterAt(now()),
      now: now(),
      startedAt,
    })
    return textResponse(status, text, '', {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': POLICY,
      'Referrer-Policy': 'same-origin',
    })
  }
  const seeOther = (to: string): HttpResponse => {
    const reply = textResponse(303, '', '')
    return { ...reply, headers: { ...reply.headers, Location: to } }
  }
  /** This path with other parameters. */
  const linkTo = (path: string, query: Readonly<Record<string, unknown>>): string => {
    const chosen = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
    return `${path}?${new URLSearchParams(Object.fromEntries(chosen.map(([name, value]) => [name, String(value)])))}`
  }

  const overview = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const span = query.get('span') === 'day' ? 'day' : 'hour'
    const hostSort = HOST_SORTS.find(({ id }) => id === query.get('hosts'))?.id ?? 'busiest'
    const stats = management.stats()
    const { figures, json } = drawCharts(management.meters, span, formatterAt(now()))
    const hour = management.meters.series('hour')
    const sum = (pick: 'memory' | 'disk' | 'upstream') => hour.reduce((all, one) => all + one[pick], 0)
    const hits = sum('memory') + sum('disk')
    const all = hits + sum('upstream')
    const { percent, count } = formatterAt(now())
    const kindStats = management.byKind()
    const failing = management.failures('', 1000, true)
    const hosts = [...management.meters.hosts()]
    if (hostSort === 'slowest') hosts.sort((a, b) => b.mean - a.mean)
    if (hostSort === 'failing') hosts.sort((a, b) => b.failures - a.failures)
    return page(req, 'overview', {
      stats,
      bounds: disk,
      status: management.status(),
      reasons: reasons(),
      recent: management.jobs({ lane: 'job', limit: 6 }),
      numbers: {
        hitRatio: all === 0 ? '–' : percent(hits / all),
        hits: all === 0 ? 'nothing was asked for' : `${count(hits)} of ${count(all)}`,
        diskShare: disk.maxBytes === 0 ? 0 : stats.bytes / disk.maxBytes,
        failures: `${count(failing.failures.length)}${failing.next === undefined ? '' : '+'}`,
      },
      kinds: kindStats,
      hosts: hosts.slice(0, 15),
      hostSort,
      hostSorts: HOST_SORTS,
      resting: stats.restingHosts,
      spans: SPANS,
      span,
      charts: figures,
      chartData: json,
      hasExport: settings.export.directory !== undefined,
      hasRecords: settings.repository?.list !== undefined,
    })
  }
  const images = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const given = Object.fromEntries([...query].filter(([, value]) => value !== ''))
    const parsed = searchQuery.safeParse(given)
    const asked = parsed.success ? parsed.data : searchQuery.parse({})
    const found = await management.search(asked)
    const { after: _after, ...first } = asked
    const path = `${req.baseUrl}/images`
    const sources = settings.sources.flatMap((source) => source.kinds)
    return page(req, 'images', {
      ...found,
      query: asked,
      ...(!parsed.success && { notice: 'What was asked for makes no sense: everything is shown.' }),
      next: found.next === undefined ? undefined : linkTo(path, { ...asked, after: found.next }),
      first: linkTo(path, first),
      roles: ROLES,
      kindNames: [...new Set([...kinds.keys(), ...sources])].sort(),
      sorts: SORTS.map((id) => ({ id, label: SORT_LABELS[id] })),
    })
  }
  const image = async (req: Request): Promise<HttpResponse> => {
    const details = management.image(readUrl(req.url).query.get('name') ?? '')
    const root = details.original?.key ?? details.image.key
    const address = root.startsWith('images/') ? root.slice('images/'.length) : undefined
    const [kind, , ...id] = address?.split('/') ?? []
    return page(req, 'image', {
      ...details,
      address,
      warmable: kind === undefined ? undefined : `${kind}/${id.join('/')}`,
      answers: ANSWERS,
    })
  }
  /** The bytes of a kept picture, for who may manage alone. */
  const picture = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const found = await management.bytes(
      query.get('name') ?? '',
      Number(query.get('w') ?? 0) || Number.MAX_SAFE_INTEGER,
    )
    if (found === undefined) return management.missing('image')
    const { entry, bytes } = found
    const { digest, type, storedAt } = entry
    const shown = { bytes, type, digest, etag: etagOf(digest), storedAt, fileName: 'picture' }
    const cache =
      query.get('v') === null
        ? ({ kind: 'brief', maxAge: 60 } as const)
        : ({ kind: 'brief', maxAge: 86_400 } as const)
    return respond(shown, requestFields(req), { cache, isPrivate: true, cors: '', now: now() })
  }
  const jobs = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const lane = query.get('lane') === 'task' ? 'task' : 'job'
    const state = STATES.find((one) => one === query.get('state'))
    const before = /^\d{1,15}$/.test(query.get('before') ?? '') ? Number(query.get('before')) : undefined
    const found = management.jobs({
      lane,
      limit: JOBS_PAGE,
      ...(state !== undefined && { state }),
      ...(before !== undefined && { before }),
    })
    const last = found.length === JOBS_PAGE ? found.at(-1) : undefined
    return page(req, 'jobs', {
      jobs: found,
      states: STATES,
      query: { lane, state },
      next: last && linkTo(`${req.baseUrl}/jobs`, { lane, state, before: last.id }),
    })
  }
  const job = async (req: Request, id: string): Promise<HttpResponse> => {
    const { job: found } = management.job(id)
    const { going = [], ...counts } = recordOf(found.result)
    const words = formatterAt(now())
    const isDry = found.kind === 'cleanup' && recordOf(found.payload).dryRun === true
    const shown = Array.isArray(going) ? going : []
    const removed = Number(counts.removed ?? 0)
    return page(req, 'job', {
      job: found,
      title: isDry ? `Clean-up ${found.id}, a dry run` : `${found.kind} ${found.id}`,
      isOpen: found.endedAt === undefined,
      result: Object.entries(counts).map(([name, value]) => ({
        name: wordsOf(name),
        value: /bytes$/i.test(name) && typeof value === 'number' ? words.bytes(value) : valueText(value),
      })),
      going: shown,
      goingMore: removed > shown.length ? removed : 0,
      remove:
        isDry && found.state === 'done'
          ? { count: removed, maxAgeDays: recordOf(found.payload).maxAgeDays ?? 90 }
          : undefined,
      children: found.lane === 'job' ? management.jobs({ parent: found.id, limit: CHILDREN }) : [],
    })
  }
  const failures = async (req: Request): Promise<HttpResponse> => {
    const { failures: found, next } = management.failures(
      readUrl(req.url).query.get('after') ?? '',
      JOBS_PAGE,
      true,
    )
    return page(req, 'failures', {
      failures: found,
      next: next === undefined ? undefined : linkTo(`${req.baseUrl}/failures`, { after: next }),
    })
  }
  const act = async (req: Request, action: string): Promise<HttpResponse> => {
    const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
    if (type !== '' && type !== 'application/x-www-form-urlencoded')
      throw new ArtworkError('unsupported', 'send application/x-www-form-urlencoded')
    const form = new URLSearchParams(formIn(req) ?? (await readBody(req, FORM)).toString('utf8'))
    return seeOther(`${req.baseUrl}${await startAction(management, settings, action, form)}`)
  }
  const asset = (req: Request, name: string): HttpResponse => {
    assets ??= readAssets(views)
    const found = assets.files.get(name)
    if (found === undefined) return management.missing('file')
    const { bytes, type, digest } = found
    const shown = { bytes, type, digest, etag: etagOf(digest), storedAt: startedAt, fileName: name }
    const cache = { kind: 'brief', maxAge: readUrl(req.url).query.get('v') === null ? 60 : 86_400 } as const
    return respond(shown, requestFields(req), { cache, isPrivate: true, cors: '', now: now() })
  }

  type Route = Readonly<Partial<Record<'GET' | 'POST', (res: Response) => Promise<HttpResponse | undefined>>>>
  const routeOf = (req: Request, segments: readonly string[]): Route | undefined => {
    const [first, second, third, ...rest] = segments
    if (rest.length > 0) return undefined
    if (first === undefined) return { GET: () => overview(req) }
    if (first === 'actions' && second !== undefined && third === undefined)
      return { POST: () => act(req, second) }
    if (first === 'assets' && second !== undefined && third === undefined)
      return { GET: async () => asset(req, second) }
    if (first === 'jobs' && second !== undefined) {
      if (third === undefined) return { GET: () => job(req, second) }
      if (third === 'events')
        return {
          GET: (res) => sendEvents(req, res, eventsOf(management.watch(second, disconnectSignal(res)))),
        }
      if (third === 'cancel' || third === 'retry')
        return {
          POST: async () => {
            management.change(second, third)
            return seeOther(`${req.baseUrl}/jobs/${second}`)
          },
        }
      return undefined
    }
    if (second !== undefined) return undefined
    if (first === 'images') return { GET: () => images(req) }
    if (first === 'image') return { GET: () => image(req) }
    if (first === 'picture') return { GET: () => picture(req) }
    if (first === 'jobs') return { GET: () => jobs(req) }
    if (first === 'failures') return { GET: () => failures(req) }
    if (first === 'events')
      return { GET: (res) => sendEvents(req, res, tellAll(management.events(disconnectSignal(res)))) }
    return undefined
  }
  const answer = async (req: Request, res: Response): Promise<HttpResponse | undefined> => {
    await authorizeManagement(req, settings)
    const path = readUrl(req.url).path.replace(/\/$/, '')
    const segments = path === '' ? [] : pathSegments(path)
    const route = segments && routeOf(req, segments)
    if (route === undefined) return management.missing('page')
    const verb = req.method === 'HEAD' ? 'GET' : req.method
    const handler = verb === 'GET' || verb === 'POST' ? route[verb] : undefined
    if (handler !== undefined) return handler(res)
    const reply = methodResponse(req.method, '')
    const allowed = route.GET === undefined ? 'POST, OPTIONS' : 'GET, HEAD, OPTIONS'
    return { ...reply, headers: { ...reply.headers, Allow: allowed } }
  }
  const problem = async (req: Request, thrown: unknown): Promise<HttpResponse> => {
    const error: ArtworkError = asArtworkError(thrown)
    if (error.code === 'unknown') settings.logger.error({ err: thrown }, 'artwork dashboard: a page failed')
    // A refusal is answered without our pages.
    if (error.code === 'refused' || error.code === 'unauthenticated')
      return textResponse(error.status, `${error.message}\n`, '')
    const heading = HEADINGS[error.status] ?? 'That went wrong'
    const context = { status: error.status, heading, message: error.message }
    return page(req, 'problem', context, error.status).catch((failure) => {
      settings.logger.error({ err: failure }, 'artwork dashboard: the page of what went wrong failed')
      return textResponse(error.status, `${error.message}\n`, '')
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

async function* eventsOf(jobs: AsyncIterable<Parameters<typeof serializeJob>[0]>) {
  for await (const job of jobs) yield { event: 'job', id: String(job.id), data: serializeJob(job) }
}
const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
/** `freedBytes` → `freed bytes`. */
const wordsOf = (name: string): string => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)
const valueText = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(valueText).join(', ') || 'none'
  const fields = Object.entries(recordOf(value))
  return typeof value === 'object' && value !== null
    ? fields.map(([name, inner]) => `${name}: ${valueText(inner)}`).join(', ') || 'none'
    : String(value)
}

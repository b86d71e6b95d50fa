/**
 * The management API (PARITY 40): what is kept and how it fares, pictures of entities, long jobs, and why a picture is
 * answered as it is. Closed unless the app opens it; what changes something is refused to other sites.
 */
import type { ServerResponse } from 'node:http'
import express, { type Request, type Router } from 'express'
import type { z } from 'zod'
import { type HttpResponse, jsonResponse, methodResponse, textResponse } from '../../http/response.js'
import { type HttpJobKind, httpJob, isHttpJobKind } from '../../jobs/kinds.js'
import type { Job } from '../../jobs/ports.js'
import type { RefresherStatus } from '../../jobs/refresher.js'
import { type Management, searchQuery, serializeImage } from '../../management/management.js'
import { pathSegments } from '../../model/address.js'
import { ArtworkError } from '../../model/failure.js'
import type { Settings } from '../../options/settings.js'
import { authorizeManagement } from '../shared/authorize.js'
import { createCors } from '../shared/cors.js'
import { answerJson, BadBody, readJson } from '../shared/json.js'
import { readUrl } from '../shared/respond.js'
import { disconnectSignal, send } from '../shared/send.js'
import { type ServerEvent, sendEvents } from '../shared/server-events.js'
import { docsPage, docsScript } from './docs-page.js'
import { openApiDocument } from './openapi.js'
import { problemsOf, purgeBody } from './schemas.js'

const LIST = { limit: 50, most: 500 }
const TIMEOUT = 30_000

const time = (at: number | undefined) =>
  at === undefined || Math.abs(at) > 8.64e15 ? undefined : new Date(at).toISOString()

/** A job as the API tells of it. Times in ISO 8601. */
export function serializeJob(job: Job): Record<string, unknown> {
  return {
    id: String(job.id),
    kind: job.kind,
    ...(job.lane === 'task' && { key: job.key }),
    state: job.state,
    done: job.done,
    total: job.total,
    ...(job.rate !== undefined && { rate_per_second: Number(job.rate.toFixed(2)) }),
    ...(job.eta !== undefined && { eta_seconds: Math.ceil(job.eta / 1000) }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.reason !== undefined && { reason: job.reason }),
    ...(job.result !== undefined && { result: job.result }),
    ...(job.parent !== undefined && { parent: String(job.parent) }),
    attempts: job.attempts,
    created_at: time(job.createdAt),
    started_at: time(job.startedAt),
    ended_at: time(job.endedAt),
    ...(job.state === 'queued' && job.notBefore > 0 && { not_before: time(job.notBefore) }),
  }
}

/** How the queue stands, as the API tells of it. */
export const statusAnswer = ({ schedules, ...status }: RefresherStatus): Record<string, unknown> => ({
  ...status,
  schedules: schedules.map(({ kind, cron, timezone, nextRun, lastRun, lastJob, refused }) => ({
    kind,
    cron,
    ...(timezone !== undefined && { timezone }),
    next_run: time(nextRun) ?? null,
    last_run: time(lastRun) ?? null,
    last_job: lastJob ?? null,
    refused,
  })),
})

type Handler = (req: Request, res: ServerResponse) => Promise<HttpResponse | undefined>

/** Makes the router; mount it at `/api/images`. @param dashboard answers what is below `/dashboard` */
export function createManageRouter(
  settings: Settings,
  management: Management,
  hasUploads: boolean,
  dashboard: Router,
): Router {
  const { kinds } = settings
  const { missing, kindNamed } = management
  const cors = createCors(settings.manage.cors)

  const accepted = (req: Request, job: Job): HttpResponse => {
    const reply = jsonResponse(202, { job: serializeJob(job) })
    return { ...reply, headers: { ...reply.headers, Location: `${req.baseUrl}/jobs/${job.id}` } }
  }
  const bodyOf = async <T extends z.ZodType>(req: Request, schema: T): Promise<z.output<T>> => {
    const isEmpty =
      req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined
    if (isEmpty || req.headers['content-length'] === '0') {
      const parsed = schema.safeParse({})
      if (parsed.success) return parsed.data
    }
    return readJson(req, schema, { timeout: TIMEOUT, maxBytes: 8 * 1024 ** 2 })
  }
  const entity = async (name: string, id: string): Promise<HttpResponse> => {
    const found = await management.entity(kindNamed(name), id)
    const { kind, alias } = found.kind
    const about = { image_url: found.url, cached: found.isCached }
    if (kind === 'category') return jsonResponse(200, { category_name: id, ...about })
    return jsonResponse(200, {
      [`${alias ?? kind}_id`]: isWhole(id) ? Number(id) : id,
      username: found.name,
      image_url: found.url,
      original_image_url: found.sourceUrl,
      cached: found.isCached,
    })
  }
  const stats = async (): Promise<HttpResponse> => {
    const all = management.stats()
    const byKind = management.byKind()
    const sum = (pick: 'cached' | 'failed') => byKind.reduce((total, one) => total + one[pick], 0)
    return jsonResponse(200, {
      kinds: Object.fromEntries(byKind.map(({ kind, ...numbers }) => [kind, numbers])),
      totals: { cached: sum('cached'), failed: sum('failed'), bytes: all.bytes, names: all.names },
      store: all,
      queue: statusAnswer(management.status()),
    })
  }
  const listJobs = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const state = query.get('state') ?? undefined
    const kind = query.get('kind') ?? undefined
    const parent = numberIn(query.get('parent'))
    const before = numberIn(query.get('before'))
    if (state !== undefined && !['queued', 'running', 'done', 'failed', 'cancelled'].includes(state))
      throw new ArtworkError('invalid', 'state must be queued, running, done, failed or cancelled')
    const limit = Math.min(Math.max(numberIn(query.get('limit')) ?? LIST.limit, 1), LIST.most)
    const found = management.jobs({
      limit,
      ...(state !== undefined && { state: state as Job['state'] }),
      ...(kind !== undefined && { kind }),
      ...(parent !== undefined && { parent }),
      ...(before !== undefined && { before }),
    })
    const last = found.length === limit ? found.at(-1) : undefined
    return jsonResponse(200, {
      jobs: found.map(serializeJob),
      next: last === undefined ? null : String(last.id),
    })
  }
  const job = async (id: string): Promise<HttpResponse> => {
    const found = management.job(id)
    return jsonResponse(200, { job: serializeJob(found.job), children: found.children })
  }
  const change = async (req: Request, id: string, verb: 'cancel' | 'retry'): Promise<HttpResponse> => {
    const { job: found, isDone } = management.change(id, verb)
    if (isDone) return accepted(req, found)
    return jsonResponse(409, {
      detail: `a job that is ${found.state} cannot be ${verb === 'cancel' ? 'cancelled' : 'tried again'}`,
    })
  }
  /** A job's progress as server-sent events, until it has ended. */
  const follow = async (req: Request, res: ServerResponse, id: string): Promise<undefined> => {
    management.job(id)
    return sendEvents(req, res, tell(management.watch(id, disconnectSignal(res))))
  }
  const events = async (req: Request, res: ServerResponse): Promise<undefined> =>
    sendEvents(req, res, tellAll(management.events(disconnectSignal(res))))
  const start = async (req: Request, kind: HttpJobKind): Promise<HttpResponse> => {
    const payload = await bodyOf(req, httpJob(kind).body)
    const named = 'kinds' in payload ? (payload.kinds ?? []) : []
    const unknown = named.filter((name) => !kinds.has(name))
    if (unknown.length > 0)
      throw new BadBody([
        { loc: ['body', 'kinds'], msg: `no kinds of entity: ${unknown.join(', ')}`, type: 'value_error' },
      ])
    return accepted(req, management.start(kind, payload))
  }
  const purge = async (req: Request): Promise<HttpResponse> => {
    const { removed, urls, tags } = await management.purge(await bodyOf(req, purgeBody))
    return jsonResponse(200, { removed, urls, tags })
  }
  const explain = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const address = query.get('address')
    const url = query.get('url')
    if (address === null && url === null)
      throw new ArtworkError('invalid', 'explain needs an address or a url')
    return jsonResponse(200, management.explain(address === null ? { url: url ?? '' } : { address }))
  }
  const listImages = async (req: Request): Promise<HttpResponse> => {
    const given = Object.fromEntries(readUrl(req.url).query)
    const parsed = searchQuery.safeParse(given)
    if (!parsed.success) {
      const messages = problemsOf(parsed.error, given).map(
        ({ loc, msg }) => `${loc.slice(1).join('.')}: ${msg}`,
      )
      throw new ArtworkError('invalid', messages.join('; '))
    }
    const { images, total, next } = await management.search(parsed.data)
    return jsonResponse(200, { images: images.map(serializeImage), total, next: next ?? null })
  }
  const image = async (name: string): Promise<HttpResponse> => {
    const found = management.image(name)
    return jsonResponse(200, {
      image: serializeImage(found.image),
      original: found.original === undefined ? null : serializeImage(found.original),
      made: found.made.map(serializeImage),
      history: found.history.map(({ at, ...item }) => ({ at: time(at), ...item })),
      why: found.why ?? null,
    })
  }
  const failures = async (req: Request): Promise<HttpResponse> => {
    const { query } = readUrl(req.url)
    const limit = Math.min(Math.max(numberIn(query.get('limit')) ?? LIST.limit, 1), LIST.most)
    const { failures: found, next } = management.failures(query.get('after') ?? '', limit)
    return jsonResponse(200, {
      failures: found.map(({ at, nextTry, ...failure }) => ({
        ...failure,
        at: time(at),
        next_try: time(nextTry),
      })),
      next: next ?? null,
    })
  }
  const setPaused = async (isPaused: boolean): Promise<HttpResponse> => {
    management.setPaused(isPaused)
    return jsonResponse(200, { queue: statusAnswer(management.status()) })
  }

  const page = (text: string, type: string, policy: string): HttpResponse =>
    textResponse(200, text, '', {
      'Content-Type': `${type}; charset=utf-8`,
      'Content-Security-Policy': policy,
    })
  const PAGE_POLICY =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
  /** What tells of the API and of nothing that is kept: open to all. */
  const open: Readonly<Record<string, (document: ReturnType<typeof openApiDocument>) => HttpResponse>> = {
    'openapi.json': (document) => jsonResponse(200, document),
    docs: (document) => page(docsPage(document), 'text/html', PAGE_POLICY),
    'docs.js': () => page(docsScript, 'text/javascript', "default-src 'none'"),
  }
  const documents = new Map<string, ReturnType<typeof openApiDocument>>()
  const documentAt = (mount: string): ReturnType<typeof openApiDocument> => {
    const known = documents.get(mount) ?? openApiDocument(settings, hasUploads, mount)
    if (documents.size < 10) documents.set(mount, known)
    return known
  }

  const single: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
    stats: { GET: stats },
    jobs: { GET: listJobs },
    images: { GET: listImages },
    failures: { GET: failures },
    explain: { GET: explain },
    events: { GET: events },
    purge: { POST: purge },
    pause: { POST: () => setPaused(true) },
    resume: { POST: () => setPaused(false) },
  }
  /** The verbs of a path; undefined where there is nothing. */
  const routeOf = (segments: readonly string[]): Readonly<Record<string, Handler>> | undefined => {
    const [first = '', second, third, ...rest] = segments
    if (second === undefined) {
      if (Object.hasOwn(single, first)) return single[first]
      return isHttpJobKind(first) ? { POST: (req) => start(req, first) } : undefined
    }
    if (rest.length > 0) return undefined
    if (first === 'jobs') {
      if (third === undefined) return { GET: () => job(second) }
      if (third === 'events') return { GET: (req, res) => follow(req, res, second) }
      return third === 'cancel' || third === 'retry'
        ? { POST: (req) => change(req, second, third) }
        : undefined
    }
    if (third === undefined) return { GET: () => entity(first, second) }
    return third === 'download'
      ? { POST: async (req) => accepted(req, await management.download(kindNamed(first), second)) }
      : undefined
  }

  const router = express.Router()
  router.use('/dashboard', dashboard)
  router.use((req, res, next) => {
    const segments = pathSegments(readUrl(req.url).path.replace(/(?<=.)\/$/, ''))
    const shown = segments?.length === 1 ? segments[0] : undefined
    const method = req.method === 'HEAD' ? 'GET' : req.method
    if (shown !== undefined && Object.hasOwn(open, shown)) {
      const reply = method === 'GET' ? open[shown]?.(documentAt(req.baseUrl)) : undefined
      send(req, res, reply ?? methodResponse(method, ''))
      return
    }
    const preflight = cors.preflight(req, 'GET, HEAD, POST, OPTIONS')
    if (preflight !== undefined) {
      send(req, res, preflight)
      return
    }
    const work = async (): Promise<HttpResponse | undefined> => {
      await authorizeManagement(req, settings)
      // A name is only looked up: its slashes may be encoded, as no other path's may.
      const name = /^\/images\/(.+)$/.exec(readUrl(req.url).path)?.[1]
      const route =
        name === undefined ? routeOf(segments ?? partsOf(req.url)) : { GET: () => image(decoded(name)) }
      if (route === undefined) return missing('route')
      const verbsOf: Readonly<Record<string, Handler>> = route
      const handler = Object.hasOwn(verbsOf, method) ? verbsOf[method] : undefined
      if (handler !== undefined) return handler(req, res)
      const verbs = Object.keys(route).flatMap((verb) => (verb === 'GET' ? ['GET', 'HEAD'] : [verb]))
      const reply = methodResponse(req.method, '')
      return { ...reply, headers: { ...reply.headers, Allow: [...verbs, 'OPTIONS'].join(', ') } }
    }
    answerJson(req, res, settings, work, cors).catch(next)
  })
  return router
}

/** The parts of a path whose ids have encoded slashes, which no path of a file may have. */
const partsOf = (url: string): readonly string[] => readUrl(url).path.split('/').slice(1).map(decoded)

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function* tell(jobs: AsyncIterable<Job>): AsyncGenerator<ServerEvent> {
  for await (const job of jobs) yield { event: 'job', id: String(job.id), data: serializeJob(job) }
}
/** Everything that happens in the queue, as server-sent events. */
export async function* tellAll(happening: ReturnType<Management['events']>): AsyncGenerator<ServerEvent> {
  for await (const one of happening)
    yield one.type === 'job'
      ? { event: 'job', id: String(one.job.id), data: serializeJob(one.job) }
      : { event: 'status', data: statusAnswer(one.status) }
}

const isWhole = (text: string): boolean => /^(?:0|[1-9]\d{0,14})$/.test(text)
const numberIn = (text: string | null): number | undefined =>
  text !== null && isWhole(text) ? Number(text) : undefined

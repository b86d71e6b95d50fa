/**
 * The management API (PARITY 40): what is kept and how it fares, pictures of entities, long jobs, and why a picture is
 * answered as it is. Closed unless the app opens it; what changes something is refused to other sites.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request, type Router } from 'express'
import { z } from 'zod'
import type { Images } from '../images.js'
import { pathSegments } from '../model/address.js'
import type { EntityKind } from '../model/entity.js'
import { ArtworkError } from '../model/errors.js'
import { jsonReply, plainReply, type Reply, replyToMethod } from '../model/reply.js'
import type { EntityLike } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import type { Settings } from '../options.js'
import type { Refresher } from '../refresher/refresher.js'
import type { Job } from '../store/job.js'
import type { JobStore } from '../store/job-store.js'
import type { Store } from '../store/store.js'
import { docsPage, docsScript } from './docs-page.js'
import { answerJson, BadBody, isCrossSite, readJson } from './json-api.js'
import { openApiDocument } from './openapi.js'
import { readUrl } from './reply-router.js'
import { goneSignal, send } from './send.js'

/** What the API manages. */
export interface Managed {
  readonly images: Images
  readonly refresher: Refresher
  readonly jobs: Pick<JobStore, 'rests'>
  readonly store: Pick<Store, 'owned'>
  readonly hasUploads: boolean
}

const HOW_TO_OPEN =
  'the management API is closed: give createArtwork({ manage: { authorize } }) a function that says who may use it, or set ARTWORK_MANAGE_TOKEN for the service'
const LIST = { limit: 50, most: 500 }
const TIMEOUT = 30_000

const kindsBody = z.object({ kinds: z.array(z.string()).optional(), force: z.boolean().optional() })
const BODIES = {
  sync: kindsBody,
  validate: kindsBody.pick({ kinds: true }),
  cleanup: z.object({ dryRun: z.boolean().optional(), maxAgeDays: z.number().nonnegative().optional() }),
  refresh: z.object({ perMinute: z.number().positive().optional() }),
  verify: z.object({}),
  export: z.object({ overwrite: z.boolean().optional() }),
  warm: z.object({
    addresses: z.array(z.string()).min(1).max(100_000),
    variants: z.array(z.string()).max(100).optional(),
  }),
} as const
const purgeBody = z.union([
  z.object({ address: z.string() }),
  z.object({ url: z.string() }),
  z.object({ tag: z.string() }),
  z.object({ entity: z.object({ kind: z.string(), id: z.union([z.string(), z.number()]) }) }),
])
type JobKind = keyof typeof BODIES
const isJobKind = (name: string): name is JobKind => Object.hasOwn(BODIES, name)

/** A job as the API tells of it. Times in ISO 8601. */
export function jobAnswer(job: Job): Record<string, unknown> {
  const time = (at: number | undefined) => (at === undefined ? undefined : new Date(at).toISOString())
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

type Handler = (req: Request, res: ServerResponse) => Promise<Reply | undefined>

/** Makes the router; mount it at `/api/images`. */
export function createManageRouter(settings: Settings, managed: Managed): Router {
  const { images, refresher, jobs, store } = managed
  const { kinds, repository, logger, manage } = settings
  const document = openApiDocument(settings, managed.hasUploads)

  const allow = async (req: IncomingMessage): Promise<void> => {
    if (manage.authorize === undefined) throw new ArtworkError('refused', HOW_TO_OPEN)
    let isAllowed = false
    try {
      isAllowed = (await manage.authorize(req)) === true
    } catch (error) {
      logger.error({ err: error }, 'artwork: manage.authorize failed')
    }
    if (!isAllowed) throw new ArtworkError('refused', 'not authorised')
    if (req.method !== 'GET' && req.method !== 'HEAD' && isCrossSite(req, true))
      throw new ArtworkError('refused', 'requests of other sites are not taken')
  }
  const missing = (what: string): never => {
    throw new ArtworkError('unknown_image', `there is no such ${what}`)
  }
  const kindNamed = (name: string): EntityKind => {
    const found = [...kinds.values()].find(({ kind, alias }) => kind === name || alias === name)
    return found ?? missing('kind of entity')
  }
  const accepted = (req: Request, id: number): Reply => {
    const job = refresher.get(id) ?? missing('job')
    const reply = jsonReply(202, { job: jobAnswer(job) })
    return { ...reply, headers: { ...reply.headers, Location: `${req.baseUrl}/jobs/${id}` } }
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

  /** The app's record of an entity, and what is held of its picture. */
  const look = async (kind: EntityKind, id: string) => {
    let record: EntityLike | undefined
    let subject = readSubject({ id }, kind.kind, kinds)
    try {
      // What an app answers for "there is none" may be anything that is no record.
      const found: unknown = await repository?.find?.(kind.kind, id)
      if (isRecord(found)) {
        record = found
        subject = readSubject(found, kind.kind, kinds)
      }
    } catch (error) {
      logger.warn({ err: error }, 'artwork: the repository could not be asked')
    }
    const { sourceUrl, params } = subject
    const local = images.artworks.findEntity(kind, id, params)
    return { record, sourceUrl, params, local }
  }
  const nameIn = (record: EntityLike | undefined): string | null => {
    for (const field of ['username', 'name', 'title', 'display_name']) {
      const value = record?.[field]
      if (typeof value === 'string') return value
    }
    return null
  }
  const entity = async (kind: EntityKind, id: string): Promise<Reply> => {
    const { record, sourceUrl, local } = await look(kind, id)
    if (record === undefined && local === undefined) return missing(kind.alias ?? kind.kind)
    const url = local === undefined ? (sourceUrl ?? null) : images.artworks.urlOf(local.path, local.entry)
    const cached = local !== undefined
    if (kind.kind === 'category') return jsonReply(200, { category_name: id, image_url: url, cached })
    return jsonReply(200, {
      [`${kind.alias ?? kind.kind}_id`]: isWhole(id) ? Number(id) : id,
      username: nameIn(record),
      image_url: url,
      original_image_url: sourceUrl ?? local?.entry.sourceUrl ?? null,
      cached,
    })
  }
  const download = async (req: Request, kind: EntityKind, id: string): Promise<Reply> => {
    const { record, sourceUrl, params, local } = await look(kind, id)
    if (record === undefined && local === undefined) return missing(kind.alias ?? kind.kind)
    const url = sourceUrl ?? local?.entry.sourceUrl
    if (url === undefined)
      throw new ArtworkError('invalid', `the ${kind.alias ?? kind.kind} has no image URL`)
    const wanted = { sourceUrl: url, entityType: kind.kind, entityId: id, params, force: true }
    const queued = refresher.request(wanted, 'high')
    if (queued.accepted || queued.id !== undefined) return accepted(req, Number(queued.id))
    throw new ArtworkError('unavailable', `nothing can be queued: ${queued.reason}`, { retryAfter: 5 })
  }

  const stats = async (): Promise<Reply> => {
    const all = images.stats()
    const owned = new Map(store.owned().map((one) => [one.kind, one]))
    const failed = jobs.rests.byKind()
    const byKind = Object.fromEntries(
      [...kinds.keys()].map((kind) => [
        kind,
        {
          cached: owned.get(kind)?.count ?? 0,
          failed: failed.get(kind) ?? 0,
          bytes: owned.get(kind)?.bytes ?? 0,
        },
      ]),
    )
    const sum = (pick: 'cached' | 'failed') =>
      Object.values(byKind).reduce((total, one) => total + one[pick], 0)
    return jsonReply(200, {
      kinds: byKind,
      totals: { cached: sum('cached'), failed: sum('failed'), bytes: all.bytes, names: all.names },
      store: all,
      queue: refresher.status(),
    })
  }
  const listJobs = async (req: Request): Promise<Reply> => {
    const { query } = readUrl(req.url)
    const state = query.get('state') ?? undefined
    const kind = query.get('kind') ?? undefined
    const parent = numberIn(query.get('parent'))
    const before = numberIn(query.get('before'))
    if (state !== undefined && !['queued', 'running', 'done', 'failed', 'cancelled'].includes(state))
      throw new ArtworkError('invalid', 'state must be queued, running, done, failed or cancelled')
    const limit = Math.min(Math.max(numberIn(query.get('limit')) ?? LIST.limit, 1), LIST.most)
    const found = refresher.list({
      limit,
      ...(state !== undefined && { state: state as Job['state'] }),
      ...(kind !== undefined && { kind }),
      ...(parent !== undefined && { parent }),
      ...(before !== undefined && { before }),
    })
    const last = found.length === limit ? found.at(-1) : undefined
    return jsonReply(200, { jobs: found.map(jobAnswer), next: last === undefined ? null : String(last.id) })
  }
  const job = async (id: string): Promise<Reply> => {
    const found = refresher.get(numberIn(id) ?? -1) ?? missing('job')
    return jsonReply(200, { job: jobAnswer(found), children: refresher.children(found.id) })
  }
  const change = async (req: Request, id: string, verb: 'cancel' | 'retry'): Promise<Reply> => {
    const number = numberIn(id) ?? -1
    const found = refresher.get(number) ?? missing('job')
    if (!refresher[verb](number))
      return jsonReply(409, {
        detail: `a job that is ${found.state} cannot be ${verb === 'cancel' ? 'cancelled' : 'tried again'}`,
      })
    return accepted(req, number)
  }
  /** A job's progress as server-sent events, until it has ended. */
  const follow = async (req: Request, res: ServerResponse, id: string): Promise<undefined> => {
    const number = numberIn(id) ?? -1
    if (refresher.get(number) === undefined) missing('job')
    res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Accel-Buffering': 'no',
    })
    if (req.method === 'HEAD') {
      res.end()
      return undefined
    }
    for await (const one of refresher.watch(number, goneSignal(res)))
      res.write(`id: ${one.id}\nevent: job\ndata: ${JSON.stringify(jobAnswer(one))}\n\n`)
    res.end()
    return undefined
  }
  const start = async (req: Request, kind: JobKind): Promise<Reply> => {
    const payload = await bodyOf(req, BODIES[kind])
    const named = 'kinds' in payload ? (payload.kinds ?? []) : []
    const unknown = named.filter((name) => !kinds.has(name))
    if (unknown.length > 0)
      throw new BadBody([
        { loc: ['body', 'kinds'], msg: `no kinds of entity: ${unknown.join(', ')}`, type: 'value_error' },
      ])
    // The same work is not done twice at once; other parameters are other work.
    const queued = refresher.run(kind, payload)
    if (queued.accepted || queued.id !== undefined) return accepted(req, Number(queued.id))
    throw new ArtworkError('unavailable', `nothing can be queued: ${queued.reason}`, { retryAfter: 5 })
  }
  const purge = async (req: Request): Promise<Reply> => {
    const { removed, urls, tags } = await images.purge(await bodyOf(req, purgeBody))
    return jsonReply(200, { removed, urls, tags })
  }
  const explain = async (req: Request): Promise<Reply> => {
    const { query } = readUrl(req.url)
    const address = query.get('address')
    const url = query.get('url')
    if (address === null && url === null)
      throw new ArtworkError('invalid', 'explain needs an address or a url')
    return jsonReply(200, images.explain(address === null ? { url: url ?? '' } : { address }))
  }

  const page = (text: string, type: string, policy: string): Reply =>
    plainReply(200, text, '', {
      'Content-Type': `${type}; charset=utf-8`,
      'Content-Security-Policy': policy,
    })
  const PAGE_POLICY =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
  /** What tells of the API and of nothing that is kept: open to all. */
  const open: Readonly<Record<string, () => Reply>> = {
    'openapi.json': () => jsonReply(200, document),
    docs: () => page(docsPage(document), 'text/html', PAGE_POLICY),
    'docs.js': () => page(docsScript, 'text/javascript', "default-src 'none'"),
  }

  /** The verbs of a path; undefined where there is nothing. */
  const routeOf = (segments: readonly string[]): Readonly<Record<string, Handler>> | undefined => {
    const [first = '', second, third, ...rest] = segments
    if (rest.length > 0) return undefined
    if (second === undefined) {
      if (first === 'stats') return { GET: stats }
      if (first === 'jobs') return { GET: listJobs }
      if (first === 'explain') return { GET: explain }
      if (first === 'purge') return { POST: purge }
      return isJobKind(first) ? { POST: (req) => start(req, first) } : undefined
    }
    if (first === 'jobs') {
      if (third === undefined) return { GET: () => job(second) }
      if (third === 'events') return { GET: (req, res) => follow(req, res, second) }
      return third === 'cancel' || third === 'retry'
        ? { POST: (req) => change(req, second, third) }
        : undefined
    }
    if (third === undefined) return { GET: () => entity(kindNamed(first), second) }
    return third === 'download' ? { POST: (req) => download(req, kindNamed(first), second) } : undefined
  }

  const router = express.Router()
  router.use((req, res, next) => {
    const segments = pathSegments(readUrl(req.url).path.replace(/(?<=.)\/$/, ''))
    const shown = segments?.length === 1 ? segments[0] : undefined
    const method = req.method === 'HEAD' ? 'GET' : req.method
    if (shown !== undefined && Object.hasOwn(open, shown)) {
      send(
        req,
        res,
        method === 'GET' ? (open[shown]?.() ?? replyToMethod(method, '')) : replyToMethod(method, ''),
      )
      return
    }
    answerJson(req, res, settings, async () => {
      await allow(req)
      const route = segments && routeOf(segments)
      if (route === undefined) return missing('route')
      const handler = Object.hasOwn(route, method) ? route[method] : undefined
      if (handler !== undefined) return handler(req, res)
      const verbs = Object.keys(route).flatMap((verb) => (verb === 'GET' ? ['GET', 'HEAD'] : [verb]))
      const reply = replyToMethod(req.method, '')
      return { ...reply, headers: { ...reply.headers, Allow: [...verbs, 'OPTIONS'].join(', ') } }
    }).catch(next)
  })
  return router
}

const isRecord = (value: unknown): value is EntityLike =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isWhole = (text: string): boolean => /^(?:0|[1-9]\d{0,14})$/.test(text)
const numberIn = (text: string | null): number | undefined =>
  text !== null && isWhole(text) ? Number(text) : undefined

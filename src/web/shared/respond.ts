/** What the routers share: a router that answers GET and HEAD by a Reply, everything else by 204 or 405, and never throws. */
import type { IncomingMessage } from 'node:http'
import express, { type Request, type Response, type Router } from 'express'
import { type CachePolicy, DEFAULT_POLICY, FOREVER, VERSION_MISMATCH_POLICY } from '../../http/caching.js'
import { errorResponse, type HttpResponse, methodResponse, textResponse } from '../../http/response.js'
import { pathForm } from '../../model/address.js'
import { versionOf } from '../../model/digest.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { isLoop } from '../../model/loop-detection.js'
import { ownVia, type Settings } from '../../options/settings.js'
import { type ImageResponse, replyOf } from '../images/image-response.js'
import type { ResponseCache } from '../images/response-cache.js'
import { disconnectSignal, requestFields, send } from './send.js'

/** What is read of a query. */
export interface Query extends Iterable<[string, string]> {
  get(name: string): string | null
}
const NO_QUERY: Query = { get: () => null, [Symbol.iterator]: () => [][Symbol.iterator]() }

/** The path below the mount and the query, taken from the raw URL: segments are decoded once, each by itself. */
export function readUrl(rawUrl: string): {
  path: string
  query: Query
} {
  // A target in absolute form is one (RFC 9112 §3.2.2); Express leaves its beginning where a router is mounted.
  const url = rawUrl.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const mark = url.indexOf('?')
  return {
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? NO_QUERY : new URLSearchParams(url.slice(mark + 1)),
  }
}

/** Which cache policy an answer has: by `?v=` where it is there, else by the rule of its source. */
export function policyFor(version: string | null, digest: string, otherwise: CachePolicy): CachePolicy {
  if (version === null) return otherwise
  return version === versionOf(digest) ? FOREVER : VERSION_MISMATCH_POLICY
}

/** The `Access-Control-Allow-Origin` of the settings, '' for none. */
export const corsOf = (settings: Settings): string => (settings.cors === false ? '' : settings.cors)

/** What an answer is decided with, beside the request. */
export interface Asked {
  /** The path that we are under. */
  readonly mount: string
  /** Aborted when nobody waits for the answer any more. */
  signal(): AbortSignal
  /** The answer is everybody's: others who ask for the same wait for it from now on. @param keys what it is made from, where it is */
  share(keys: readonly string[] | undefined): void
}

/** Decides an answer; may throw anything, of which the table of errors makes a Reply. */
export type Answer = (req: IncomingMessage, asked: Asked) => Promise<ImageResponse | HttpResponse>

/** What a router answers. */
export interface Answers {
  /** The answer to a failure, where it is another than its text. */
  readonly onFailure?: (req: Request, failure: ArtworkError) => HttpResponse | undefined
  /** Whether a path below the mount is for it; others go on to the app. @default all are */
  readonly isOurs?: (path: string) => boolean
  /** Called with whatever is answered to a path that is for it, at last. @default nothing is changed */
  readonly amend?: (req: Request, reply: HttpResponse) => HttpResponse
  readonly answer: Answer
}

/**
 * How a request target stands to the one that is printed for its picture. Another text for it is refused where nobody has
 * a reason to write it so, and else answered, but never as what may be kept for good: one picture has one such URL.
 * @throws ArtworkError `invalid` (400)
 */
function formOf(url: string, { pathKinds }: Settings['urls']): 'canonical' | 'equivalent' {
  const { path } = readUrl(url)
  const form = pathForm(path, pathKinds?.has(path.split('/', 2)[1] ?? ''))
  if (form === 'alias') throw new ArtworkError('invalid', 'the path is not written as it is printed')
  const seen = new Set<string>()
  const mark = url.indexOf('?')
  const parts = mark < 0 ? [] : url.slice(mark + 1).split('&', MOST_PARAMETERS + 1)
  if (parts.length > MOST_PARAMETERS) throw new ArtworkError('invalid', 'the URL has too many parameters')
  for (const part of parts) {
    const [raw = '', value = ''] = part.split('=', 2)
    const name = /^(?:v|s|expires)$/.test(raw) ? raw : ownParameter(raw)
    if (name === undefined) continue
    if (name !== raw || seen.has(name) || pathForm(value) === 'alias')
      throw new ArtworkError('invalid', `the parameter ${name} is to be given once, and as it is printed`)
    seen.add(name)
  }
  return form
}
const MOST_PARAMETERS = 1000
/** The parameter of ours that an encoded name stands for. */
function ownParameter(raw: string): string | undefined {
  const [name] = new URLSearchParams(raw).keys()
  return name !== undefined && /^(?:v|s|expires)$/.test(name) ? name : undefined
}

/** Makes a router of an answer; mount it anywhere. What it answers is offered to the table of hot answers, if there is one. */
export function createResponseRouter(
  settings: Settings,
  { isOurs = () => true, answer, onFailure, amend = (_req, reply) => reply }: Answers,
  hot?: ResponseCache,
): Router {
  const cors = corsOf(settings)
  const via = ownVia(settings)
  /** An answer for a target that is not the one that is printed. */
  const equivalent = (shown: ImageResponse): ImageResponse =>
    shown.rules.cache.kind === 'immutable'
      ? { ...shown, rules: { ...shown.rules, cache: DEFAULT_POLICY } }
      : shown
  const answerTo = async (req: Request, res: Response): Promise<HttpResponse> => {
    const form = formOf(req.url, settings.urls)
    // A URL that was rewritten on its way may stand for another picture next time.
    const isAsPrinted =
      form === 'canonical' && isOwnQuery(req.url) && req.baseUrl + req.url === req.originalUrl
    const lead = isAsPrinted ? hot?.shared.lead(req.originalUrl, req) : undefined
    let shown: ImageResponse | undefined
    try {
      const given = await answer(req, {
        mount: req.baseUrl,
        signal: () => disconnectSignal(res, lead),
        share: (keys) => keys && lead?.open(keys),
      })
      if (!('representation' in given)) return given
      if (form === 'equivalent') return replyOf(equivalent(given), requestFields(req), settings)
      shown = given
      if (isAsPrinted) hot?.offer(req.originalUrl, given)
      return replyOf(given, requestFields(req), settings)
    } finally {
      lead?.close(shown)
    }
  }
  const router = express.Router()
  router.use((req, res, next) => {
    if (!isOurs(readUrl(req.url).path)) return next()
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      send(req, res, amend(req, methodResponse(req.method, cors)))
      return
    }
    // What we ask ourselves, by whatever way, would ask us again.
    if (isLoop(req.headers.via, via)) {
      send(req, res, amend(req, textResponse(403, 'this is our own address', cors)))
      return
    }
    answerTo(req, res)
      .catch((error) => {
        const failure = asArtworkError(error)
        if (failure.code === 'unknown') settings.logger.error({ err: error }, 'artwork: a request failed')
        return onFailure?.(req, failure) ?? errorResponse(failure, cors)
      })
      .then((reply) => send(req, res, amend(req, reply), settings))
      .catch(next)
  })
  return router
}

const OWN_PARAMETER = /^(?:(v)=[0-9a-f]{16}|(expires)=\d{1,12}|(s)=[A-Za-z0-9_-]{43})$/

/** Whether a URL has no parameters but ours, one of each: any other is no part of a key, and would only fill the table. */
function isOwnQuery(url: string): boolean {
  const mark = url.indexOf('?')
  if (mark < 0) return true
  const seen = new Set<string>()
  for (const part of url.slice(mark + 1).split('&', 4)) {
    const [, v, expires, s] = OWN_PARAMETER.exec(part) ?? []
    const name = v ?? expires ?? s
    if (name === undefined || seen.has(name)) return false
    seen.add(name)
  }
  return true
}

/**
 * `/health` (the process answers), `/ready` (it should be sent requests, and how well it can answer them), `/metrics`: of
 * this process, or of all workers of a cluster whose primary has called `clusterMetrics()`.
 */
import express, { type Router } from 'express'
import { type HttpResponse, jsonResponse, methodResponse, textResponse } from '../http/response.js'
import type { Readiness } from '../management/readiness.js'
import type { Metrics } from '../metrics/prometheus.js'
import { type Diagnosed, metricsNotPrinted } from '../model/diagnostic.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { requestId } from '../model/request-id.js'
import { jsonFailure } from './shared/json.js'
import { readUrl } from './shared/respond.js'
import { send } from './shared/send.js'

/** What the router answers from. */
export interface HealthParts {
  readonly readiness: () => Promise<Readiness>
  readonly metrics: Pick<Metrics, 'print' | 'missingPackage' | 'contentType'>
  readonly onDiagnosed: (found: Diagnosed) => void
}

/** Makes the router; other paths go on to the app. `/ready` is 503 while closing or failing: what is degraded still serves. */
export function createHealthRouter({ readiness, metrics, onDiagnosed }: HealthParts): Router {
  const ready = async (): Promise<HttpResponse> => {
    const now = await readiness()
    return jsonResponse(now.status === 'closing' || now.status === 'failing' ? 503 : 200, now)
  }
  const answers: Readonly<Record<string, () => Promise<HttpResponse>>> = {
    '/health': async () => jsonResponse(200, { status: 'ok' }),
    '/ready': ready,
    '/metrics': async () => {
      const missing = metrics.missingPackage()
      if (missing !== undefined) {
        onDiagnosed(metricsNotPrinted(missing))
        throw new ArtworkError('unavailable', missing)
      }
      return textResponse(200, await metrics.print(), '', { 'Content-Type': metrics.contentType })
    },
  }
  const router = express.Router()
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined
    if (answer === undefined) return next()
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    const reply = isRead ? answer() : Promise.resolve(methodResponse(req.method, ''))
    const id = requestId(req.headers['x-request-id'])
    reply
      .catch((error) => jsonFailure(asArtworkError(error)))
      .then(({ status, headers, body }) =>
        send(req, res, { status, headers: { ...headers, 'X-Request-Id': id }, body }),
      )
      .catch(next)
  })
  return router
}

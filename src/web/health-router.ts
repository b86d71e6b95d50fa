/** `/health` (the process answers) and `/ready` (it should be sent requests, and how well it can answer them). */
import express, { type Router } from 'express'
import { jsonReply, replyToMethod } from '../model/reply.js'
import { readUrl } from './reply-router.js'
import { send } from './send.js'

/** How the toolkit stands: `ready`; `degraded`, it answers, but something is amiss; `closing`, ask somebody else. */
export interface Condition {
  readonly status: 'ready' | 'degraded' | 'closing'
  /** What is amiss, in words. */
  readonly reasons: readonly string[]
}

/** Makes the router; other paths go on to the app. `/ready` is 503 only while closing: what is degraded still serves. */
export function createHealthRouter(condition: () => Condition): Router {
  const router = express.Router()
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    if (path !== '/health' && path !== '/ready') next()
    else if (req.method !== 'GET' && req.method !== 'HEAD') send(req, res, replyToMethod(req.method, ''))
    else if (path === '/health') send(req, res, jsonReply(200, { status: 'ok' }))
    else {
      const now = condition()
      send(req, res, jsonReply(now.status === 'closing' ? 503 : 200, now))
    }
  })
  return router
}

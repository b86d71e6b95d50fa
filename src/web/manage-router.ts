/** `/openapi.json` and `/docs`: what the JSON API is, for machines and for people. Neither tells what is kept. */
import express, { type Router } from 'express'
import { ArtworkError } from '../model/errors.js'
import { jsonReply, plainReply, type Reply, replyToMethod } from '../model/reply.js'
import type { Settings } from '../options.js'
import { docsPage, docsScript } from './docs-page.js'
import { jsonFailure } from './json-api.js'
import { openApiDocument } from './openapi.js'
import { readUrl } from './reply-router.js'
import { send } from './send.js'

/** Makes the router; mount it at `/api/images`. */
export function createManageRouter(settings: Settings, hasUploads: boolean): Router {
  const document = openApiDocument(settings, hasUploads)
  const page = (text: string, type: string, policy: string): Reply =>
    plainReply(200, text, '', { 'Content-Type': `${type}; charset=utf-8`, 'Content-Security-Policy': policy })
  const answers: Readonly<Record<string, () => Reply>> = {
    '/openapi.json': () => jsonReply(200, document),
    '/docs': () =>
      page(
        docsPage(document),
        'text/html',
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'",
      ),
    '/docs.js': () => page(docsScript, 'text/javascript', "default-src 'none'"),
  }
  const router = express.Router()
  router.use((req, res) => {
    const { path } = readUrl(req.url)
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    if (answer === undefined)
      send(req, res, jsonFailure(new ArtworkError('unknown_image', 'there is nothing here')))
    else send(req, res, isRead ? answer() : replyToMethod(req.method, ''))
  })
  return router
}

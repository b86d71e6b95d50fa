/**
 * Where pages report that an image's own URL did not answer a browser. Nothing is believed: the source is asked,
 * and what comes of that is what pages print from then on.
 */
import express, { type Router } from 'express'
import { textResponse } from '../../http/response.js'
import { BROKEN_PATH } from '../../model/picture-style.js'
import type { Settings } from '../../options/settings.js'
import { readBody, sendAndClose } from '../shared/body.js'
import { clientOf } from '../shared/client.js'
import { readUrl } from '../shared/respond.js'
import { send } from '../shared/send.js'

/** Reports that are heard in a minute: of one client, and of all. */
const MAX_OF_CLIENT = 10
const MAX_OF_ALL = 120
const WINDOW_MS = 60_000
/** A longer URL is no entity's. */
const LONGEST_URL = 8192
const BODY_TIMEOUT = 5000

const NOTED = { status: 204, headers: { 'Cache-Control': 'no-store' }, body: undefined } as const

/** Counts what comes within a minute. */
function createLimit(now: () => number) {
  let since = now()
  let all = 0
  const byClient = new Map<string, number>()
  return (client: string): boolean => {
    if (Math.abs(now() - since) >= WINDOW_MS) {
      since = now()
      all = 0
      byClient.clear()
    }
    const count = (byClient.get(client) ?? 0) + 1
    if (all >= MAX_OF_ALL || count > MAX_OF_CLIENT) return false
    all += 1
    byClient.set(client, count)
    return true
  }
}

/**
 * Makes the router of `broken`. It answers 204 whatever becomes of a report, so that nothing is learned from it.
 * @param report has the source of a URL asked; throws for a URL that no source has
 */
export function createBrokenImagesRouter(settings: Settings, report: (url: string) => void): Router {
  const isWithin = createLimit(settings.now)
  const router = express.Router()
  router.use((req, res, next) => {
    if (readUrl(req.url).path !== `/${BROKEN_PATH}`) return next()
    if (req.method !== 'POST')
      return send(req, res, textResponse(405, 'method not allowed', '', { Allow: 'POST' }))
    if (req.headers['sec-fetch-site'] === 'cross-site')
      return send(req, res, textResponse(403, 'only pages of this site report images', ''))
    readBody(req, { maxBytes: LONGEST_URL, timeout: BODY_TIMEOUT })
      .then((body) => {
        if (isWithin(clientOf(settings, req) ?? '')) report(String(body))
        send(req, res, NOTED)
      })
      // No URL of any source, or a body that cannot be read.
      .catch(() => sendAndClose(req, res, NOTED))
  })
  return router
}

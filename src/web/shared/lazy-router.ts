/** A router whose code is loaded with its first request: most sites are asked for other things. */
import express, { type RequestHandler, type Router } from 'express'
import { once } from '../../concurrency.js'

/** Makes one. A failure to load it goes to the app's error handler, and the next request tries again. */
export function createLazyRouter(load: () => Promise<RequestHandler>): Router {
  const loaded = once(load)
  const router = express.Router()
  router.use((req, res, next) => {
    loaded()
      .then((handler) => handler(req, res, next))
      .catch(next)
  })
  return router
}

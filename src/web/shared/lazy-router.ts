/** A router whose code is loaded with its first request: most sites are asked for other things. */
import express, { type RequestHandler, type Router } from 'express'
import { once } from '../../concurrency.js'
import { checkFreeFiles } from '../../package-files.js'

/** Makes one. While no file can be opened, nothing is loaded: a failure goes to the app's error handler. */
export function createLazyRouter(load: () => Promise<RequestHandler>): Router {
  const loaded = once(async () => {
    checkFreeFiles()
    return load()
  })
  const router = express.Router()
  router.use((req, res, next) => {
    loaded()
      .then((handler) => handler(req, res, next))
      .catch(next)
  })
  return router
}

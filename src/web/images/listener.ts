/**
 * The fast lane as a request listener: what was answered before is answered again without entering the app, from memory or from
 * disk, and who asks for what is being answered waits for that.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { textResponse } from '../../http/response.js'
import type { Logger } from '../../model/logger.js'
import { send } from '../shared/send.js'
import type { ResponseCache } from './response-cache.js'

/** What the listener asks. */
interface Parts {
  readonly hot: ResponseCache
  readonly logger: Logger
  readonly isClosing: () => boolean
}

/** Whether a handler is an app of Express, which puts prototypes of HTTP/1 under requests and answers. */
const isExpressApp = (handler: RequestListener): boolean =>
  ['handle', 'set', 'render'].every((name) => typeof Reflect.get(handler, name) === 'function')

/**
 * Makes `artwork.listener`. Under `node:http2` an Express app cannot answer: every request of HTTP/2 is answered so (505), hot
 * ones too, so that it is seen with the first one and not with the first miss.
 */
export function createListener({ hot, logger, isClosing }: Parts): (app: RequestListener) => RequestListener {
  return (app) => {
    const isHttp1Only = isExpressApp(app)
    let isLogged = false
    const refuse = (req: IncomingMessage, res: ServerResponse): void => {
      if (!isLogged)
        logger.error(
          {},
          'artwork: an Express app does not know HTTP/2: give artwork.listener a handler around artwork.router, or let a proxy speak HTTP/2',
        )
      isLogged = true
      send(req, res, textResponse(505, 'HTTP version not supported', ''))
    }
    return (req, res) => {
      if (isHttp1Only && req.httpVersionMajor >= 2) refuse(req, res)
      else {
        const url = req.url ?? ''
        const goOn = (): void => app(req, res)
        if (isClosing() || !(hot.answer(url, req, res, goOn) || hot.shared.wait(url, req, res, goOn))) goOn()
      }
    }
  }
}

/** The fixed parts of our paths are written in one way: in another case they are refused, as another name of a picture. */
import type { RequestHandler } from 'express'
import { textResponse } from '../../http/response.js'
import { parseUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import { corsOf, readUrl } from '../shared/respond.js'
import { send } from '../shared/send.js'
import { isPicturePath } from './images-router.js'

/** Makes the check. A path with fewer parts than a picture's has is the app's own. */
export function createCaseCheck(settings: Settings): RequestHandler {
  const { base, local, images, placeholders } = settings.urls
  const mount = parseUrl(base)?.pathname.replace(/\/$/, '') ?? base
  const isOther = (text: string, fixed: string): boolean =>
    !text.startsWith(fixed) && text.toLowerCase().startsWith(fixed.toLowerCase())
  return (req, res, next) => {
    const { path } = readUrl(req.url)
    const isPicture = (fixed: string, isOurs: (below: string) => boolean): boolean =>
      isOther(path, `${fixed}/`) && isOurs(path.slice(fixed.length))
    const isAsPrinted =
      !isPicture(local, () => true) &&
      !isPicture(images, (below) => isPicturePath(settings, below)) &&
      !isPicture(placeholders, (below) => /^\/placeholder[^/]*\.svg$/.test(below))
    // Of the mount it is known how it is written where `urls.base` says so.
    const isMountOther = mount !== '' && isOther(`${req.baseUrl}/`, `${mount}/`)
    const isOurs = [local, images].some((fixed) => path.startsWith(`${fixed}/`))
    if (!isAsPrinted || (isMountOther && isOurs))
      send(req, res, textResponse(400, 'the path is not written as it is printed', corsOf(settings)))
    else next()
  }
}

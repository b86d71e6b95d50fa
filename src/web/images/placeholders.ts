/** The router of the placeholders, and of the files that pages with pictures load; all of them are served from memory. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import express, { type Router } from 'express'
import { respond } from '../../http/conditional-and-range.js'
import type { Representation } from '../../http/image-fields.js'
import { methodResponse, textResponse } from '../../http/response.js'
import { digestOf, etagOf } from '../../model/digest.js'
import { PLACEHOLDERS, type PlaceholderName, placeholderNamed } from '../../model/entity.js'
import { PICTURE_SCRIPT, PICTURE_STYLESHEET, pictureStylesheet } from '../../model/picture-style.js'
import type { Settings } from '../../options/settings.js'
import { corsOf, readUrl } from '../shared/respond.js'
import { requestFields, send } from '../shared/send.js'
import { drawPlaceholder } from './drawings.js'
import { cdnOf } from './image-response.js'

/** A day: they change with a version of the toolkit only. */
const CACHE = { kind: 'revisited', maxAge: 86_400, swr: 604_800, sie: 604_800 } as const

/**
 * Makes the router of `placeholder.svg`, `placeholder-{name}.svg`, and the stylesheet and the script of pictures; other paths
 * go on to the app.
 * @param views folder of the templates
 */
export function createPlaceholderRouter(settings: Settings, views: string): Router {
  const cors = corsOf(settings)
  const startedAt = settings.now()
  const files = new Map<string, Representation>()
  const add = (fileName: string, name: PlaceholderName): void => {
    if (!files.has(`/${fileName}`)) files.set(`/${fileName}`, drawPlaceholder(name, startedAt, fileName))
  }
  add('placeholder.svg', '')
  for (const name of PLACEHOLDERS) add(`placeholder-${name}.svg`, name)
  // Who asks by a kind gets what is printed for it.
  for (const { kind, placeholder } of settings.kinds.values())
    add(`placeholder-${kind}.svg`, placeholderNamed(placeholder))
  files.set(
    `/${PICTURE_STYLESHEET}`,
    textFile(PICTURE_STYLESHEET, 'text/css', pictureStylesheet(), startedAt),
  )
  for (const kind of settings.sources.flatMap(({ kinds }) => kinds)) add(`placeholder-${kind}.svg`, '')
  const router = express.Router()
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    if (path === `/${PICTURE_SCRIPT}` && !files.has(path)) addScript(files, views, settings)
    const file = files.get(path)
    if (file === undefined) {
      if (/^\/placeholder[^/]*\.svg$/.test(path))
        send(req, res, textResponse(404, 'there is no such image', cors))
      else next()
    } else if (req.method !== 'GET' && req.method !== 'HEAD') send(req, res, methodResponse(req.method, cors))
    else
      send(
        req,
        res,
        respond(file, requestFields(req), {
          cache: CACHE,
          isPrivate: false,
          cdn: cdnOf(settings),
          cors,
          now: settings.now(),
        }),
      )
  })
  return router
}

function textFile(fileName: string, type: string, text: string, storedAt: number): Representation {
  const bytes = Buffer.from(text)
  const digest = digestOf(bytes)
  return {
    bytes,
    type: `${type}; charset=utf-8`,
    storedAt,
    digest,
    etag: etagOf(digest),
    fileName,
    isOurs: true,
  }
}

/** Read when it is first asked for: an app that is bundled without its templates does without. */
function addScript(
  files: Map<string, Representation>,
  views: string,
  { logger, now }: Pick<Settings, 'logger' | 'now'>,
): void {
  try {
    const text = readFileSync(join(views, 'artwork', 'picture.js'), 'utf8')
    files.set(`/${PICTURE_SCRIPT}`, textFile(PICTURE_SCRIPT, 'text/javascript', text, now()))
  } catch (error) {
    logger.error({ err: error }, 'artwork: the script of pictures cannot be read')
  }
}

/** The placeholders: one drawing for each kind of picture, made from one template, served from memory. */
import express, { type Router } from 'express'
import { respond } from '../../http/conditional.js'
import type { Representation } from '../../http/image-fields.js'
import { methodResponse, textResponse } from '../../http/response.js'
import { digestOf, etagOf } from '../../model/digest.js'
import { PLACEHOLDERS } from '../../model/entity.js'
import type { Settings } from '../../options/settings.js'
import { corsOf, readUrl } from '../shared/respond.js'
import { requestFields, send } from '../shared/send.js'
import { cdnOf } from './image-response.js'

interface Drawing {
  readonly label: string
  readonly width: number
  readonly height: number
  /** Shapes around the origin, within ±50. */
  readonly glyph: string
}

const PERSON = '<circle cy="-16" r="17"/><path d="M-34 42a34 34 0 0 1 68 0z"/>'
const DISC =
  '<path fill-rule="evenodd" d="M0-42a42 42 0 1 0 0 84 42 42 0 0 0 0-84zm0 28a14 14 0 1 1 0 28 14 14 0 0 1 0-28z"/><circle r="4"/>'
const LIST =
  '<path d="M-40-30h60v9h-60zM-40-8h60v9h-60zM-40 14h36v9h-36z"/><path d="M26-8v34a11 9 0 1 1-7-8v-36l24-7v9z"/>'
const FRAME =
  '<path fill-rule="evenodd" d="M-44-34h88v68h-88zm8 8v52h72v-52z"/><circle cx="-16" cy="-8" r="8"/><path d="M-30 20l20-18 12 10 16-20 16 28z"/>'
const CLAPPER = '<path d="M-42-12h84v48h-84z"/><path d="M-42-20l80-16 3 12-80 16z" transform="rotate(-4)"/>'
const GRID = '<path d="M-38-38h32v32h-32zM6-38h32v32H6zM-38 6h32v32h-32zM6 6h32v32H6z"/>'
const STAR = '<path d="M0-42l12 28 30 3-23 20 7 30L0 23l-26 16 7-30-23-20 30-3z"/>'

const SQUARE = { width: 600, height: 600 }
const TALL = { width: 600, height: 900 }
const WIDE = { width: 960, height: 540 }
const drawings: Readonly<Record<'' | (typeof PLACEHOLDERS)[number], Drawing>> = {
  '': { label: 'No picture', ...SQUARE, glyph: FRAME },
  artist: { label: 'No artist picture', ...SQUARE, glyph: PERSON },
  album: { label: 'No album cover', ...SQUARE, glyph: DISC },
  playlist: { label: 'No playlist cover', ...SQUARE, glyph: LIST },
  profile: { label: 'No profile picture', ...SQUARE, glyph: PERSON },
  category: { label: 'No category picture', width: 600, height: 800, glyph: GRID },
  artwork: { label: 'No artwork', ...WIDE, glyph: FRAME },
  poster: { label: 'No poster', ...TALL, glyph: CLAPPER },
  backdrop: { label: 'No backdrop', ...WIDE, glyph: FRAME },
  logo: { label: 'No logo', width: 600, height: 300, glyph: STAR },
  still: { label: 'No still', ...WIDE, glyph: CLAPPER },
}

/** The SVG of a placeholder. Its colours sit between light and dark, so that it suits either page. */
function drawPlaceholder(name: keyof typeof drawings): string {
  const { label, width, height, glyph } = drawings[name]
  const scale = (Math.min(width, height) / 260).toFixed(2)
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${label}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><title>${label}</title><defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="#5b6474"/><stop offset="1" stop-color="#3a4150"/></linearGradient></defs><rect width="100%" height="100%" fill="url(#g)"/><g fill="#aeb6c4" transform="translate(${width / 2} ${height / 2}) scale(${scale})">${glyph}</g></svg>\n`
}

const drawn = (bytes: Buffer, storedAt: number, fileName: string): Representation => {
  const digest = digestOf(bytes)
  return { bytes, type: 'image/svg+xml', digest, etag: etagOf(digest), storedAt, fileName, isOurs: true }
}

/** A day: they change with a version of the toolkit only. */
const CACHE = { kind: 'revisited', maxAge: 86_400, swr: 604_800, sie: 604_800 } as const

/** Makes the router of `placeholder.svg` and `placeholder-{name}.svg`; other paths go on to the app. */
export function createPlaceholderRouter(settings: Settings): Router {
  const cors = corsOf(settings)
  const startedAt = settings.now()
  const pictures = new Map<string, Representation>()
  const add = (fileName: string, name: keyof typeof drawings): void => {
    if (!pictures.has(`/${fileName}`))
      pictures.set(`/${fileName}`, drawn(Buffer.from(drawPlaceholder(name)), startedAt, fileName))
  }
  add('placeholder.svg', '')
  for (const name of PLACEHOLDERS) add(`placeholder-${name}.svg`, name)
  // Who asks by a kind gets what is printed for it.
  for (const { kind, placeholder } of settings.kinds.values())
    add(`placeholder-${kind}.svg`, PLACEHOLDERS.find((name) => name === placeholder) ?? '')
  for (const kind of settings.sources.flatMap(({ kinds }) => kinds)) add(`placeholder-${kind}.svg`, '')
  const router = express.Router()
  router.use((req, res, next) => {
    const { path } = readUrl(req.url)
    const picture = pictures.get(path)
    if (picture === undefined) {
      if (/^\/placeholder[^/]*\.svg$/.test(path))
        send(req, res, textResponse(404, 'there is no such image', cors))
      else next()
    } else if (req.method !== 'GET' && req.method !== 'HEAD') send(req, res, methodResponse(req.method, cors))
    else
      send(
        req,
        res,
        respond(picture, requestFields(req), {
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

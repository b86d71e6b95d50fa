/** The site's pages. */
import { fileURLToPath } from 'node:url'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import { viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { type AppParts, createControls } from './controls.js'
import { shownHelpers } from './helpers.js'
import type { Entity } from './stage/database.js'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const WORDS = { local: 'local', source: 'from the CDN', placeholder: 'placeholder' } as const

/** Where the pictures of a page come from, in words: `12 local, 3 from the CDN`. The panel's script counts alike. */
function countPictures(html: string): string {
  const sources = [...html.matchAll(/ data-image-from="([a-z]+)"/g)].map(([, from]) => from)
  return (
    Object.entries(WORDS)
      .map(([from, word]) => [sources.filter((one) => one === from).length, word] as const)
      .filter(([count]) => count > 0)
      .map(([count, word]) => `${count} ${word}`)
      .join(', ') || 'no pictures'
  )
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB']
/** A size, as the dashboard prints it. */
function sizeText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const size = bytes / 1024 ** unit
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`
}

/** Whether somebody has signed in. A real app asks its sessions. */
export const isGuest = (req: { readonly headers: { readonly cookie?: string | undefined } }): boolean =>
  /(?:^|;\s*)guest=1(?:;|$)/.test(req.headers.cookie ?? '')

/** A request, its response, and what handles errors. */
interface Call {
  readonly req: Request
  readonly res: Response
  readonly next: NextFunction
}

/** Makes the Express app. */
export function createApp(parts: AppParts): Express {
  const { artwork, records, cdn } = parts
  const app = express()
  const environment = nunjucks.configure([here('./views'), viewsPath], { autoescape: true, express: app })
  artwork.installTemplates(environment)
  environment.addGlobal('cdn', cdn.state)
  app.disable('x-powered-by')
  app.use(artwork.router)
  app.use(artwork.healthRouter)
  app.use('/api/images', artwork.manageRouter)
  app.use('/assets', express.static(here('./public'), { maxAge: '1h' }))

  const show = ({ req, res, next }: Call, view: string, context: object = {}): void => {
    const status = view === 'missing' ? 404 : 200
    // The figures of the dashboard, in its words.
    const { queued, running } = artwork.refresher.status()
    const { names, bytes } = artwork.images.stats()
    const count = (value: number): string => value.toLocaleString('en')
    const panel = {
      ...{ queued: count(queued), running: count(running), names: count(names), bytes: sizeText(bytes) },
    }
    res.set('Content-Security-Policy', policy)
    res.render(`${view}.njk`, { ...context, view, panel, page: req.path }, (error, html: string) => {
      if (error) return next(error)
      const counted = html.replaceAll('<!--pictures-->', () => countPictures(html))
      res.status(status).set('Cache-Control', 'no-store').type('html').send(counted)
    })
  }
  const policy = Object.entries({ 'default-src': ["'self'"], ...artwork.csp() })
    .map(([name, sources]) => `${name} ${sources.join(' ')}`)
    .join('; ')
  const page = (
    view: string,
    table: 'artists' | 'albums' | 'playlists' | 'films',
    more: (entity: Entity) => object,
  ) =>
    app.get(`/${table}/:id`, (req, res, next) => {
      const entity = records.one(table, req.params.id ?? '')
      if (entity === undefined) return show({ req, res, next }, 'missing')
      show({ req, res, next }, view, { entity, ...more(entity) })
    })

  app.get('/', (req, res, next) => {
    const films = records.films()
    const tonight = films[new Date().getDate() % films.length]
    show({ req, res, next }, 'home', {
      tonight,
      films,
      albums: records.albums(),
      artists: records.artists(),
      playlists: records.playlists(),
    })
  })
  app.get('/helpers', (req, res, next) =>
    show({ req, res, next }, 'helpers', { helpers: shownHelpers(environment, artwork.html, records) }),
  )
  app.get('/house', async (req, res, next) => {
    const written =
      '<p>This is where we sit:</p>\n<img src="/rooms/living%20room.jpg" alt="The view" width="240" height="135">\n<p>Bring a blanket.</p>'
    const note = String(await artwork.rewriteHtml(written, { sizes: '240px' }))
    show({ req, res, next }, 'house', { note, isGuest: isGuest(req) })
  })
  app.post('/house/:verb', (req, res) => {
    const age = req.params.verb === 'enter' ? 3600 : 0
    res.set('Set-Cookie', `guest=1; Max-Age=${age}; Path=/; HttpOnly; SameSite=Lax`).redirect(303, '/house')
  })
  app.get('/artists', (req, res, next) => show({ req, res, next }, 'artists', { artists: records.artists() }))
  app.get('/albums', (req, res, next) => show({ req, res, next }, 'albums', { albums: records.albums() }))
  app.get('/films', (req, res, next) => show({ req, res, next }, 'films', { films: records.films() }))
  page('artist', 'artists', (artist) => ({ albums: records.albumsOf(artist.id) }))
  page('album', 'albums', (album) => ({
    artist: records.one('artists', String(album.artist_id)),
    more: records.albumsOf(String(album.artist_id)),
  }))
  page('playlist', 'playlists', (playlist) => ({ albums: records.albumsIn(playlist) }))
  page('film', 'films', () => ({ films: records.films() }))

  app.use('/panel', createControls(parts))
  app.use((req, res, next) => show({ req, res, next }, 'missing'))
  return app
}

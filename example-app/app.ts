/** The site's pages. */
import { fileURLToPath } from 'node:url'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import { viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { type AppParts, createControls } from './controls.js'
import { shownHelpers } from './helpers.js'
import type { Entity } from './stage/database.js'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const WORDS: Readonly<Record<string, string>> = { local: 'local', source: 'CDN', placeholder: 'placeholder' }

/** Where the pictures of a page come from, in words: `12 local, 3 CDN`. */
function countPictures(html: string): string {
  const counts = new Map<string, number>()
  for (const [, from = ''] of html.matchAll(/ data-image-from="([a-z]+)"/g))
    counts.set(from, (counts.get(from) ?? 0) + 1)
  return [...counts].map(([from, count]) => `${count} ${WORDS[from] ?? from}`).join(', ') || 'no pictures'
}

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
    const { queued, running, done } = artwork.refresher.status()
    const { names, bytes } = artwork.images.stats()
    const panel = { busy: queued + running, done, names, megabytes: (bytes / 2 ** 20).toFixed(1) }
    res.set('Content-Security-Policy', policy)
    res.render(`${view}.njk`, { ...context, view, panel, page: req.path }, (error, html: string) => {
      if (error) return next(error)
      const counted = html.replace('<!--pictures-->', () => countPictures(html))
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
    show({ req, res, next }, 'helpers', { helpers: shownHelpers(environment, records) }),
  )
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

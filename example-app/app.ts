/** The site's pages. */
import { fileURLToPath } from 'node:url'
import express, { type Express, type Request, type Response } from 'express'
import { viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { type AppParts, createControls } from './controls.js'
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

/** The kind of the large picture at the top of a page, which is fetched before the page has been read. */
const heroOf = { artists: 'artist', albums: 'album', playlists: 'playlist', films: 'film_backdrop' } as const

/** Makes the Express app. */
export function createApp(parts: AppParts): Express {
  const { artwork, records, cdn, warmer } = parts
  const app = express()
  const environment = nunjucks.configure([here('./views'), viewsPath], { autoescape: true, express: app })
  artwork.installTemplates(environment)
  environment.addGlobal('cdn', cdn.state)
  environment.addGlobal('widthsOf', warmer.widths)
  app.disable('x-powered-by')
  app.use(artwork.router)
  app.use(artwork.healthRouter)
  app.use('/api/images', artwork.manageRouter)
  app.use('/assets', express.static(here('./public'), { maxAge: '1h' }))

  const show = (req: Request, res: Response, view: string, context: object = {}): void => {
    const status = view === 'missing' ? 404 : 200
    const { queued, running, done } = artwork.refresher.status()
    const { names, bytes } = artwork.images.stats()
    const panel = { busy: queued + running, done, names, megabytes: (bytes / 2 ** 20).toFixed(1) }
    const html = environment.render(`${view}.njk`, { ...context, view, panel, page: req.path })
    const counted = html.replace('<!--pictures-->', () => countPictures(html))
    res.status(status).set('Cache-Control', 'no-store').type('html').send(counted)
  }
  const page = (
    view: string,
    table: 'artists' | 'albums' | 'playlists' | 'films',
    more: (entity: Entity) => object,
  ) =>
    app.get(`/${table}/:id`, (req, res) => {
      const entity = records.one(table, req.params.id ?? '')
      if (entity === undefined) return show(req, res, 'missing')
      artwork.preload(res, entity, { kind: heroOf[table], requireLocal: cdn.state.down })
      show(req, res, view, { entity, ...more(entity) })
    })

  app.get('/', (req, res) => {
    const films = records.films()
    const tonight = films[new Date().getDate() % films.length]
    show(req, res, 'home', {
      tonight,
      films,
      albums: records.albums(),
      artists: records.artists(),
      playlists: records.playlists(),
    })
  })
  app.get('/artists', (req, res) => show(req, res, 'artists', { artists: records.artists() }))
  app.get('/albums', (req, res) => show(req, res, 'albums', { albums: records.albums() }))
  app.get('/films', (req, res) => show(req, res, 'films', { films: records.films() }))
  page('artist', 'artists', (artist) => ({ albums: records.albumsOf(artist.id) }))
  page('album', 'albums', (album) => ({
    artist: records.one('artists', String(album.artist_id)),
    more: records.albumsOf(String(album.artist_id)),
  }))
  page('playlist', 'playlists', (playlist) => ({ albums: records.albumsIn(playlist) }))
  page('film', 'films', () => ({ films: records.films() }))

  app.use('/panel', createControls(parts))
  app.use((req, res) => show(req, res, 'missing'))
  return app
}

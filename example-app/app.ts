/** The site: pages, and the panel that shows what happens to their pictures. */
import { fileURLToPath } from 'node:url'
import express, { type Express, type Response } from 'express'
import { type Artwork, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import type { Cdn } from './cdn.js'
import { type Entity, PICTURED, type Records } from './database.js'

/** What the site is made of. */
export interface AppParts {
  readonly artwork: Artwork
  readonly records: Records
  readonly cdn: Cdn
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The address by which the toolkit knows the original behind a source URL. */
const originalOf = (url: string): string => {
  const [, size, file] = /\/t\/p\/([a-z0-9]+)\/([^/]+)$/.exec(url) ?? []
  if (size === undefined) return `remote/original/${Buffer.from(url).toString('base64url')}`
  return `${size === 'w1280' ? 'backdrop' : 'poster'}/${size}/${file}`
}

/** Makes the Express app. */
export function createApp({ artwork, records, cdn }: AppParts): Express {
  const app = express()
  const environment = nunjucks.configure([here('./views'), viewsPath], { autoescape: true, express: app })
  artwork.installTemplates(environment)
  app.disable('x-powered-by')
  app.use(artwork.router)
  app.use('/assets', express.static(here('./public'), { maxAge: '1h' }))

  const show = (res: Response, view: string, context: object, status = 200): void => {
    res.status(status).set('Cache-Control', 'no-store')
    res.render(`${view}.njk`, { ...context, view, cdn: cdn.state, panel: status === 200 })
  }
  const missing = (res: Response): void => show(res, 'missing', {}, 404)
  const page = (
    view: string,
    table: 'artists' | 'albums' | 'playlists' | 'films',
    more: (entity: Entity) => object,
  ) =>
    app.get(`/${table}/:id`, (req, res) => {
      const entity = records.one(table, req.params.id ?? '')
      if (entity === undefined) missing(res)
      else show(res, view, { entity, ...more(entity) })
    })

  app.get('/', (_req, res) => {
    const films = records.films()
    const tonight = films[new Date().getDate() % films.length]
    show(res, 'home', {
      tonight,
      films,
      albums: records.albums(),
      artists: records.artists(),
      playlists: records.playlists(),
    })
  })
  app.get('/artists', (_req, res) => show(res, 'artists', { artists: records.artists() }))
  app.get('/albums', (_req, res) => show(res, 'albums', { albums: records.albums() }))
  app.get('/films', (_req, res) => show(res, 'films', { films: records.films() }))
  page('artist', 'artists', (artist) => ({ albums: records.albumsOf(artist.id) }))
  page('album', 'albums', (album) => ({
    artist: records.one('artists', String(album.artist_id)),
    more: records.albumsOf(String(album.artist_id)),
  }))
  page('playlist', 'playlists', (playlist) => ({ albums: records.albumsIn(playlist) }))
  page('film', 'films', () => ({ films: records.films() }))

  app.get('/panel/status', (_req, res) => {
    const { queued, running, done } = artwork.refresher.status()
    const { names, bytes, requests } = artwork.images.stats()
    res.set('Cache-Control', 'no-store').json({ ...cdn.state, queued, running, done, names, bytes, requests })
  })
  const back = (res: Response, to: unknown): void =>
    res.redirect(303, typeof to === 'string' && /^\/[a-z0-9/]*$/.test(to) ? to : '/')
  app.post('/panel/:action', express.urlencoded({ extended: false }), async (req, res) => {
    const { action } = req.params
    const form: Record<string, unknown> = req.body ?? {}
    if (action === 'power') cdn.state.down = !cdn.state.down
    else if (action === 'speed') cdn.state.slow = !cdn.state.slow
    else if (action === 'forget') await artwork.images.clearCache()
    else if (action === 'change') await changePicture({ artwork, records, cdn }, String(form.page ?? ''))
    else return missing(res)
    back(res, form.page)
  })
  app.use((_req, res) => missing(res))
  return app
}

/** Draws another picture at the CDN for the record of a page, and asks the toolkit to look again. */
async function changePicture({ artwork, records, cdn }: AppParts, page: string): Promise<void> {
  const [, table = '', id = ''] = page.split('/')
  const kinds = Object.entries(PICTURED).filter(([, pictured]) => pictured.table === table)
  const subjects = kinds.flatMap(([kind, { url }]) => {
    const found = records.find(kind, id)?.[url]
    return typeof found === 'string' ? [found] : []
  })
  const albums = records.albums()
  const any = albums[Math.floor(Math.random() * albums.length)]?.image_url
  for (const url of subjects.length > 0 ? subjects : [any ?? '']) {
    await cdn.change(new URL(url).pathname)
    await artwork.images.refresh(originalOf(url)).catch(() => {})
  }
}

/** What the panel's buttons do. Plain forms: they work without script and lead back to the page. */
import express, { type Router } from 'express'
import type { Artwork } from 'express-artwork'
import type { Cdn } from './stage/cdn.js'
import { PICTURED, type Records } from './stage/database.js'
import { originalOf, type Warmer } from './warmer.js'

/** What the site is made of. */
export interface AppParts {
  readonly artwork: Artwork
  readonly records: Records
  readonly cdn: Cdn
  readonly warmer: Warmer
}

/** `/panel/status`, and a POST for each button. */
export function createControls({ artwork, records, cdn, warmer }: AppParts): Router {
  const panel = express.Router()
  /** Originals that changed while nobody could ask about them. */
  const missed = new Set<string>()

  const lookAgain = async (url: string): Promise<void> => {
    const address = originalOf(url)
    missed.add(address)
    await askAbout(address)
  }
  const askAbout = (address: string): Promise<void> =>
    artwork.images.refresh(address).then(
      () => void missed.delete(address),
      () => {},
    )
  /** The pictures of the record that a page is about; of an album that is drawn by lot where it is about none. */
  const subjectsOf = (page: string): string[] => {
    const [, table = '', id = ''] = page.split('/')
    const own = Object.entries(PICTURED)
      .filter(([, pictured]) => pictured.table === table)
      .flatMap(([kind, { url }]) => records.find(kind, id)?.[url] ?? [])
      .filter((url) => typeof url === 'string')
    const albums = records.albums()
    const any = albums[Math.floor(Math.random() * albums.length)]?.image_url
    return own.length > 0 || typeof any !== 'string' ? own : [any]
  }
  const actions: Readonly<Record<string, (page: string) => Promise<void>>> = {
    power: async () => {
      cdn.state.down = !cdn.state.down
      if (cdn.state.down) return
      for (const address of missed) await askAbout(address)
      warmer.later(0)
    },
    speed: async () => {
      cdn.state.slow = !cdn.state.slow
    },
    change: async (page) => {
      for (const url of subjectsOf(page)) {
        await cdn.change(new URL(url).pathname)
        await lookAgain(url)
      }
    },
    purge: async (page) => {
      for (const url of subjectsOf(page)) await artwork.images.purge({ url })
    },
    forget: async () => {
      await artwork.images.clearCache()
      warmer.later()
    },
  }

  panel.get('/status', (_req, res) => {
    const { queued, running, done } = artwork.refresher.status()
    const { names, bytes, requests } = artwork.images.stats()
    res.set('Cache-Control', 'no-store').json({ ...cdn.state, queued, running, done, names, bytes, requests })
  })
  panel.post('/:action', express.urlencoded({ extended: false }), async (req, res, next) => {
    const name = String(req.params.action)
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action === undefined) return next()
    const given: unknown = req.body?.page
    const page = typeof given === 'string' && /^\/(?:[a-z0-9]+(?:\/[a-z0-9]+)*)?$/.test(given) ? given : '/'
    await action(page)
    res.redirect(303, page)
  })
  return panel
}

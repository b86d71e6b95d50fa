/** Every kind of subject that markup is printed for, over a toolkit that has them. */
import { type ArtworkOptions, remote, tmdb, uploads, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import sharp from 'sharp'
import { image } from '../support/origin.js'
import { anOrigin, startApp } from '../support/toolkit.js'

/** What templates of the tests begin with. */
export const IMPORT = "{% from 'artwork/picture.njk' import img, picture, avatar, background, preload %}"

export async function stage(options: ArtworkOptions = {}, configuration: nunjucks.ConfigureOptions = {}) {
  const origin = await anOrigin()
  const app = await startApp(
    {
      transform: { isolate: false, formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
      sources: [
        tmdb({ baseUrl: `${origin.url}/t/p` }),
        remote({ hosts: ['127.0.0.1'] }),
        uploads({ authorize: () => true }),
      ],
      ...options,
      fetch: { allowPrivate: [origin.host], retries: 0, ...options.fetch },
    },
    { origin },
  )
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), {
    autoescape: true,
    ...configuration,
  })
  app.artwork.installTemplates(environment)
  const render = (template: string, context: object = {}): string =>
    environment.renderString(`${IMPORT}${template}`, context)
  return { ...app, environment, render }
}

export const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#336699' } })
const moving = async (): Promise<Buffer> => {
  const frames = await Promise.all(
    ['#f00', '#0f0'].map((background) =>
      sharp({ create: { width: 40, height: 30, channels: 3, background } })
        .png()
        .toBuffer(),
    ),
  )
  return sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer()
}

/** Every kind of subject, by its name. */
export async function subjects() {
  const app = await stage()
  const { origin, artwork } = app
  const source = async (name: string, bytes: Buffer, type?: string) => {
    origin.serve(`/${name}`, image(bytes, type))
    return `${origin.url}/${name}`
  }
  const stored = async (url: string) => {
    await artwork.images.getImage(`remote/original/${Buffer.from(url).toString('base64url')}`)
    return url
  }
  const cached = {
    id: 'cached',
    type: 'album',
    image_url: await source('cached.jpg', await flat(1000, 800).jpeg().toBuffer()),
  }
  await artwork.images.downloadAndCache({
    sourceUrl: cached.image_url,
    entityType: 'album',
    entityId: 'cached',
  })
  const failed = { id: 'failed', type: 'album', image_url: `${origin.url}/none.jpg` }
  await artwork.images.downloadAndCache({
    sourceUrl: failed.image_url,
    entityType: 'album',
    entityId: 'failed',
  })
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"/>')
  origin.serve('/t/p/w342/known.jpg', image(await flat(342, 500).jpeg().toBuffer()))
  await artwork.images.getImage('poster/w342/known.jpg')
  const upload = await artwork.uploads?.save('covers', await flat(320, 240).png().toBuffer())
  class Row {
    get id() {
      return 'cached'
    }
    get entity_type() {
      return 'album'
    }
    get imageUrl() {
      return cached.image_url
    }
  }
  const list: Readonly<Record<string, unknown>> = {
    'a cached entity': cached,
    'an instance of an ORM': new Row(),
    'an entity that is not cached': { id: 'new', type: 'artist', image_url: `${origin.url}/new.jpg` },
    'an entity whose image failed': failed,
    'an entity without URL': { id: 'bare', type: 'playlist' },
    nothing: undefined,
    'a URL': await stored(await source('plain.jpg', await flat(900, 600).jpeg().toBuffer())),
    'a URL that nobody has asked for': `${origin.url}/unknown.jpg`,
    'an SVG': await stored(await source('logo.svg', svg, 'image/svg+xml')),
    'a moving picture': await stored(await source('moving.gif', await moving())),
    'a tiny picture': await stored(await source('tiny.png', await flat(3, 2).png().toBuffer())),
    'a portrait': await stored(await source('portrait.jpg', await flat(300, 900).jpeg().toBuffer())),
    'a huge picture': await stored(await source('huge.jpg', await flat(6000, 4000).jpeg().toBuffer())),
    'a transparent picture': await stored(
      await source(
        'clear.png',
        await sharp({ create: { width: 400, height: 400, channels: 4, background: '#33669980' } })
          .png()
          .toBuffer(),
      ),
    ),
    'a poster of TMDb': 'poster/known.jpg',
    'a poster that nobody has asked for': 'poster/unknown.jpg',
    'a path of TMDb': '/unknown.jpg',
    'an upload': upload?.url,
    'a host that is not listed': 'https://elsewhere.example/x.jpg',
  }
  return { ...app, list }
}

/** Without what differs from run to run: ports, versions, ids of uploads. */
export const steady = (html: string, origin: string): string =>
  html
    .replace(/\/images\/remote\/([a-z0-9-]+)\/([A-Za-z0-9_-]+)/g, (_all, variant: string, id: string) =>
      `/images/remote/${variant}/{${Buffer.from(id, 'base64url')}}`.replace(origin, 'origin:'),
    )
    .replaceAll(origin, 'origin:')
    .replace(/\?v=[0-9a-f]{16}/g, '?v=…')
    .replace(/(\/images\/covers\/(?:[a-z0-9-]+\/)?)[A-Za-z0-9_-]{20,}/g, '$1…')
    .replace(/data:image\/png;base64,[A-Za-z0-9+/=]+/g, 'data:image/png…')

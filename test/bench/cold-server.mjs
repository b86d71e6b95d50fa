/**
 * A server that the benches of cold pictures ask, in JavaScript, since what reads TypeScript would be measured too: for
 * `/{width}/{format}/{name}.jpg` it fetches `/{name}.jpg` of an origin. Arguments: which, the origin's `host:port`, a
 * directory, the folder of its packages. It prints its port. One of several nodes has S3_ENDPOINT and REDIS_URL.
 */
import { Agent, createServer, get } from 'node:http'
import { createRequire } from 'node:module'

const [kind, origin, directory, packages] = process.argv.slice(2)
/** As next/image makes them. */
const OUTPUT = {
  webp: { quality: 75, effort: 4 },
  jpeg: { quality: 75, mozjpeg: true },
  avif: { quality: 47, effort: 3 },
}
/** What a URL asks for. */
const read = (url) => {
  const [, width, format, file] = /^\/(\d+)\/(\w+)\/(\w+\.jpg)$/.exec(url) ?? []
  return { width: Number(width), format, source: `http://${origin}/${file}` }
}

const listen = (listener) => {
  const server = createServer(listener).listen(0, '127.0.0.1', () => console.log(server.address().port))
}

/** The least that such a server does: nothing is checked, and nothing kept. */
async function bare(load) {
  const { default: sharp } = await import('sharp')
  listen(async (req, res) => {
    try {
      const { width, format, source } = read(req.url)
      const made = await sharp(await load(source))
        .resize({ width })
        [format](OUTPUT[format])
        .toBuffer()
      res.writeHead(200, { 'Content-Type': `image/${format}`, 'Content-Length': made.length }).end(made)
    } catch (error) {
      res.writeHead(500).end(String(error))
    }
  })
}

const agent = new Agent({ keepAlive: true })
const byNode = (url) =>
  new Promise((resolve, reject) => {
    get(url, { agent }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('end', () => resolve(Buffer.concat(chunks)))
      res.on('error', reject)
    }).on('error', reject)
  })
const byFetch = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())

async function toolkit() {
  const { default: express } = await import('express')
  const { createArtwork, redis, remote, s3 } = await import('express-artwork')
  const { S3_ENDPOINT: endpoint, REDIS_URL: url } = process.env
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' }
  const artwork = await createArtwork({
    directory,
    ...(kind === 'node' && {
      shared: s3({ endpoint, bucket: 'pictures', credentials }),
      coordination: redis({ url }),
    }),
    sources: [remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [origin] },
    widths: [128, 256, 384, 640, 828, 1080],
    transform: {
      formats: ['jpeg', 'png', 'webp', 'avif'],
      quality: { webp: OUTPUT.webp.quality, jpeg: OUTPUT.jpeg.quality, avif: OUTPUT.avif.quality },
      effort: { webp: OUTPUT.webp.effort, avif: OUTPUT.avif.effort },
    },
  })
  const app = express().use(artwork.router)
  const router = (req, res) => {
    req.url = pathOf(req.url)
    app(req, res)
  }
  const lane = artwork.listener(app)
  listen(
    kind === 'lane'
      ? (req, res) => {
          req.url = pathOf(req.url)
          lane(req, res)
        }
      : router,
  )
  artwork.start()
}
const pathOf = (url) => {
  const { width, format, source } = read(url)
  return `/images/remote/w${width}-${format}/${Buffer.from(source).toString('base64url')}`
}

async function ipx() {
  const { createIPX, createIPXNodeServer, ipxHttpStorage } = createRequire(packages)('ipx')
  const server = createIPXNodeServer(
    createIPX({ httpStorage: ipxHttpStorage({ domains: [`http://${origin}`], allowAllDomains: true }) }),
  )
  listen((req, res) => {
    const { width, format, source } = read(req.url)
    req.url = `/w_${width},f_${format},q_${OUTPUT[format].quality}/${source}`
    server(req, res)
  })
}

async function expressSharp() {
  const require = createRequire(packages)
  const [express, { expressSharp: middleware }] = [require('express'), require('express-sharp')]
  const imageAdapter = { fetch: (id) => byNode(`http://${origin}/${id.replace(/^\//, '')}`) }
  const app = express().use(middleware({ imageAdapter, autoUseWebp: false }))
  listen((req, res) => {
    const { width, format, source } = read(req.url)
    req.url = `${new URL(source).pathname}?w=${width}&f=${format}&q=${OUTPUT[format].quality}`
    app(req, res)
  })
}

const servers = {
  bare: () => bare(byNode),
  'bare fetch': () => bare(byFetch),
  toolkit,
  node: toolkit,
  lane: toolkit,
  ipx,
  'express-sharp': expressSharp,
}
await servers[kind]()

/**
 * A server that the benches of cold pictures ask, in JavaScript, since what reads TypeScript would be measured too: it
 * fetches `/{number}.jpg` of an origin and answers a WebP of 384 pixels. Arguments: which, the origin's `host:port`, a
 * directory. It prints its port.
 */
import { Agent, createServer, get } from 'node:http'
import { createRequire } from 'node:module'

const [kind, origin, directory, peers] = process.argv.slice(2)
const WIDTH = 384
const WEBP = { quality: 75, effort: 4 }

const listen = (listener) => {
  const server = createServer(listener).listen(0, '127.0.0.1', () => console.log(server.address().port))
}

/** The least that such a server does: nothing is checked, and nothing kept. */
async function bare(load) {
  const { default: sharp } = await import('sharp')
  listen(async (req, res) => {
    try {
      const bytes = await load(`http://${origin}${req.url}`)
      const made = await sharp(bytes).resize({ width: WIDTH }).webp(WEBP).toBuffer()
      res.writeHead(200, { 'Content-Type': 'image/webp', 'Content-Length': made.length }).end(made)
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
  const { createArtwork, remote } = await import('express-artwork')
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['127.0.0.1'] })],
    fetch: { allowPrivate: [origin] },
    widths: [WIDTH],
    transform: { quality: { webp: WEBP.quality }, effort: { webp: WEBP.effort } },
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
const pathOf = (url) =>
  `/images/remote/w384-webp/${Buffer.from(`http://${origin}${url}`).toString('base64url')}`

async function ipx() {
  const { createIPX, createIPXNodeServer, ipxHttpStorage } = createRequire(peers)('ipx')
  const server = createIPXNodeServer(
    createIPX({ httpStorage: ipxHttpStorage({ domains: [`http://${origin}`], allowAllDomains: true }) }),
  )
  listen((req, res) => {
    req.url = `/w_${WIDTH},f_webp,q_${WEBP.quality}/http://${origin}${req.url}`
    server(req, res)
  })
}

const servers = { bare: () => bare(byNode), 'bare fetch': () => bare(byFetch), toolkit, lane: toolkit, ipx }
await servers[kind]()

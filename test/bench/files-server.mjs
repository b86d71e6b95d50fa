/**
 * A server that the bench of files asks, in JavaScript, since what reads TypeScript would be measured too: for
 * `/original/{name}.jpg` a file of a folder, for `/320/{name}.jpg` a WebP of it, 320 pixels wide. Arguments: which, the folder,
 * a directory, the folder of its packages. It prints its port.
 */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [kind, root, directory, packages] = process.argv.slice(2)
const QUALITY = 75

const listen = (listener) => {
  const server = createServer(listener).listen(0, '127.0.0.1', () => console.log(server.address().port))
}
/** The path of a request under another name. */
const renamed = (paths) => (url) => {
  const [, size, file] = /^\/(original|320)\/(\w+\.jpg)$/.exec(url) ?? []
  return `${paths[size]}/${file}`
}

async function toolkit() {
  const { default: express } = await import('express')
  const { createArtwork, files } = await import('express-artwork')
  const artwork = await createArtwork({
    directory,
    sources: [files({ root })],
    widths: [320],
    transform: { quality: { webp: QUALITY }, effort: { webp: 4 } },
  })
  const app = express().disable('x-powered-by').use(artwork.router)
  const pathOf = renamed({ original: '/images/files/original', 320: '/images/files/w320-webp' })
  listen((req, res) => {
    req.url = pathOf(req.url)
    app(req, res)
  })
  artwork.start()
}

async function ipx() {
  const { createIPX, createIPXNodeServer, ipxFSStorage } = createRequire(packages)('ipx')
  const server = createIPXNodeServer(createIPX({ storage: ipxFSStorage({ dir: root }) }))
  const pathOf = renamed({ original: '/_', 320: `/w_320,f_webp,q_${QUALITY}` })
  listen((req, res) => {
    req.url = pathOf(req.url)
    server(req, res)
  })
}

async function expressStatic() {
  const { default: express } = await import('express')
  const app = express().disable('x-powered-by').use('/original', express.static(root))
  listen(app)
}

await { toolkit, ipx, 'express.static': expressStatic }[kind]()

/**
 * The app that the bench `footprint` measures, in JavaScript, since what reads TypeScript would be measured too. `plain` is
 * an app with Express, Nunjucks and sharp; `toolkit` has us, alone or in a cluster. It prints its port when it listens.
 */
import cluster from 'node:cluster'
import express from 'express'
import nunjucks from 'nunjucks'

const [kind, directory = '.', workers = '1', origin = '127.0.0.1:1'] = process.argv.slice(2)

function listen(app) {
  const server = app.listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    if (cluster.isWorker) process.send({ port })
    else process.stdout.write(`${port}\n`)
  })
}

async function servePlain() {
  await import('sharp')
  const app = express()
  const environment = nunjucks.configure(directory, { express: app })
  app.get('/', (_req, res) => res.send(environment.renderString('{{ url }}', { url: '/a.jpg' })))
  listen(app)
}

async function serveToolkit() {
  const { createArtwork, remote, tmdb } = await import('express-artwork')
  const artwork = await createArtwork({
    directory,
    sources: [tmdb(), remote({ hosts: ['cdn.example.com', '127.0.0.1'] })],
    fetch: { allowPrivate: [origin] },
    widths: [320],
  })
  const app = express()
  const environment = nunjucks.configure(directory, { express: app })
  artwork.installTemplates(environment)
  app.use(artwork.router)
  app.get('/', (_req, res) =>
    res.send(
      environment.renderString('{{ url | image_url("w320") }}', { url: 'https://cdn.example.com/a.jpg' }),
    ),
  )
  listen(app)
  artwork.start()
}

/** A cluster prints the one port of its workers when all of them listen. */
function fork() {
  let listening = 0
  cluster.on('message', (_worker, { port }) => {
    listening += 1
    if (listening === Number(workers)) process.stdout.write(`${port}\n`)
  })
  for (let index = 0; index < Number(workers); index += 1) cluster.fork()
}

if (kind === 'plain') await servePlain()
else if (Number(workers) > 1 && cluster.isPrimary) fork()
else await serveToolkit()

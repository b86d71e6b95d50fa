/** `express-artwork serve`: uploads, fetching, health and metrics as a service, from environment variables alone. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import express from 'express'
import type { Logger } from 'pino'
import { type Artwork, createArtwork, optionsFromEnv } from '../index.js'
import { refuseMissing } from '../model/optional-package.js'
import { requestId } from '../model/request-id.js'
import { holdsToken } from '../options/token.js'
import { clusterFromEnv } from './cluster-options.js'
import { environment } from './options-of.js'

/** Where the environment comes from, and where to listen. */
export interface ServeOptions {
  /** A file of variables; the environment itself counts more. */
  readonly envFile?: string | undefined
  readonly port?: string | undefined
  readonly host?: string | undefined
}

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
/** Ms in which open connections may finish. */
const CLOSE_WITHIN = 25_000
/** Ms in which requests under way may finish; then they are cut. */
const FINISH_WITHIN = 15_000
const POLL_EVERY = 25
/** Ms that an idle connection stays open. */
const KEEP_ALIVE = 75_000

/** A path without its query, which may hold a signature. */
const pathOf = (url: string | undefined): string => (url ?? '').replace(/\?.*$/, '')

/** What the service logs with. @throws Error that says how to install it */
async function loadLogging() {
  try {
    const [{ pino }, { pinoHttp }] = await Promise.all([import('pino'), import('pino-http')])
    return { pino, pinoHttp }
  } catch (error) {
    return refuseMissing(error, 'pino pino-http', 'express-artwork serve')
  }
}
type Logging = Awaited<ReturnType<typeof loadLogging>>

/** Logs requests: nothing of one but what can hold no secret. */
const requestLog = (pinoHttp: Logging['pinoHttp'], logger: Logger) =>
  pinoHttp<IncomingMessage, ServerResponse>({
    logger,
    genReqId: (req, res) => {
      const id = requestId(req.headers['x-request-id'])
      // The routers of the JSON API answer with it too: one id for one request.
      req.headers['x-request-id'] = id
      res.setHeader('X-Request-Id', id)
      return id
    },
    customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'warn' : 'info'),
    serializers: {
      req: (req: { id: unknown; method: string; url: string; remoteAddress: string }) => ({
        id: req.id,
        method: req.method,
        path: pathOf(req.url),
        from: req.remoteAddress,
      }),
      res: (res: { statusCode: number }) => ({ status: res.statusCode }),
    },
  })

/** The app of the service, and how many of its requests are under way. */
function createApp(artwork: Artwork, log: ReturnType<typeof requestLog>, token: string | undefined) {
  const app = express()
  app.disable('x-powered-by')
  let active = 0
  app.use((_req, res, next) => {
    active += 1
    res.once('close', () => {
      active -= 1
    })
    next()
  })
  app.use(log)
  app.use(artwork.router)
  if (token)
    // Browsers prompt for the password, which is the token.
    app.use('/api/images/dashboard', (req, res, next) => {
      if (holdsToken(token, true)(req)) return next()
      res.status(401).set('WWW-Authenticate', 'Basic realm="express-artwork", charset="UTF-8"')
      res.type('text/plain').send('the password is the token of ARTWORK_MANAGE_TOKEN\n')
    })
  app.use('/api/images', artwork.manageRouter)
  app.use(artwork.healthRouter)
  app.use((_req, res) => {
    res.status(404).json({ detail: 'there is nothing here' })
  })
  return { app, active: () => active }
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use already',
  EACCES: 'may not be used by this user',
  EADDRNOTAVAIL: 'is at an address that this machine has not',
}
/** Listens. @throws Error that says what is wrong with the port, and what to do */
async function listenAt(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  }).catch((cause: NodeJS.ErrnoException) => {
    const problem = LISTEN_PROBLEMS[cause.code ?? '']
    if (problem === undefined) throw cause
    const mend = cause.code === 'EADDRNOTAVAIL' ? '--host or HOST' : '--port or PORT'
    throw new Error(`port ${port} at ${host} ${problem}: name another one by ${mend}`, { cause })
  })
}

/** Starts the service. Resolves when it listens. @throws TypeError for a wrong variable, naming it, the rule and the value */
export async function serve({ envFile, port, host }: ServeOptions): Promise<void> {
  const env = environment(envFile)
  const level = env.ARTWORK_LOG_LEVEL ?? 'info'
  if (!LEVELS.includes(level))
    throw new TypeError(`ARTWORK_LOG_LEVEL must be one of ${LEVELS.join(', ')}, got ${JSON.stringify(level)}`)
  const where = port ?? env.PORT ?? '3000'
  if (!/^\d{1,5}$/.test(where) || Number(where) > 65_535)
    throw new TypeError(`PORT must be a port number, got ${JSON.stringify(where)}`)
  const { pino, pinoHttp } = await loadLogging()
  const logger = pino({ level }, pino.destination({ dest: 2, sync: false }))
  const artwork = await createArtwork({ logger, ...optionsFromEnv(env), ...(await clusterFromEnv(env)) })

  const { app, active } = createApp(artwork, requestLog(pinoHttp, logger), env.ARTWORK_MANAGE_TOKEN)
  const server = createServer(app)
  // Longer than a proxy keeps its connections (nginx: 60 s), so that it never sends into one that is being closed.
  server.keepAliveTimeout = KEEP_ALIVE
  try {
    await listenAt(server, Number(where), host ?? env.HOST ?? '0.0.0.0')
  } catch (error) {
    await artwork.close()
    throw error
  }
  artwork.start()
  const { address, port: listening } = server.address() as AddressInfo
  const shown = address === '0.0.0.0' || address === '::' ? 'localhost' : address
  process.stdout.write(
    `express-artwork serves at http://${shown.includes(':') ? `[${shown}]` : shown}:${listening}\n`,
  )

  closeWithGrace({ delay: CLOSE_WITHIN, logger: false }, async ({ err }) => {
    if (err) logger.error({ err }, 'artwork: an error that nobody took')
    // No new connection. http's own `close` would cut idle ones, whose next request is still answered.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
    // Not ready from here on; requests under way are finished, and new ones on open connections are answered.
    const finished = artwork.close()
    // A stalled body is not waited for to the end: the process manager has a timeout of its own.
    const deadline = performance.now() + FINISH_WITHIN
    while (active() > 0 && performance.now() < deadline) await sleep(POLL_EVERY)
    server.closeAllConnections()
    await closed
    await finished
    logger.flush()
  })
}

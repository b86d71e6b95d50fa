/** Who may use the JSON API and the dashboard: the app's own check, and none of the changes that another site's page sends. */
import type { IncomingMessage } from 'node:http'
import { ArtworkError } from '../../model/failure.js'
import { isWebUrl, parseUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import type { UploadAction, UploadSource } from '../../sources/uploads.js'
import { type Cors, createCors } from './cors.js'

const MANAGEMENT_CLOSED =
  'the management API is closed: give createArtwork({ manage: { authorize } }) a function that says who may use it, or set ARTWORK_MANAGE_TOKEN for the service'
const UPLOADS_CLOSED =
  'uploads are closed: give uploads({ authorize }) a function that says who may do this, or set ARTWORK_UPLOAD_TOKEN for the service'

/** @throws ArtworkError `unauthenticated` (401), `refused` (403) */
export async function authorizeManagement(
  req: IncomingMessage,
  { manage, logger, urls }: Pick<Settings, 'manage' | 'logger' | 'urls'>,
): Promise<void> {
  const { authorize } = manage
  if (authorize === undefined) throw new ArtworkError('refused', MANAGEMENT_CLOSED)
  await checkAllowed(() => authorize(req), 'manage.authorize', logger)
  if (req.method !== 'GET' && req.method !== 'HEAD' && isCrossSite(req, true, urls.base))
    refuseCrossSite(req, createCors(manage.cors))
}

/** @throws ArtworkError `unauthenticated` (401), `refused` (403) */
export async function authorizeUpload(
  req: IncomingMessage,
  action: UploadAction,
  { authorize, cors }: Pick<UploadSource['uploads'], 'authorize' | 'cors'>,
  { logger, urls }: Pick<Settings, 'logger' | 'urls'>,
): Promise<void> {
  if (action !== 'list' && isCrossSite(req, false, urls.base)) refuseCrossSite(req, createCors(cors))
  if (authorize === undefined) throw new ArtworkError('refused', UPLOADS_CLOSED)
  await checkAllowed(() => authorize(req, action), 'uploads.authorize', logger)
}

/** @throws ArtworkError `refused` (403) for a form that another site's page sends, unless its origin may */
export function refuseOtherSites(
  req: IncomingMessage,
  { cors }: Pick<UploadSource['uploads'], 'cors'>,
  { urls }: Pick<Settings, 'urls'>,
): void {
  if (isCrossSite(req, false, urls.base)) refuseCrossSite(req, createCors(cors))
}

/**
 * Only `true` lets a request pass; an app's function that throws refuses it.
 * @param name of the option, for the log
 * @throws ArtworkError `unauthenticated` (401), `refused` (403)
 */
export async function checkAllowed(
  authorize: () => unknown,
  name: string,
  logger: Settings['logger'],
): Promise<void> {
  let answer: unknown = false
  try {
    answer = await authorize()
  } catch (error) {
    logger.error({ err: error }, `artwork: ${name} failed`)
  }
  if (answer === true) return
  if (answer === 'unauthenticated') throw new ArtworkError('unauthenticated', 'say who you are')
  throw new ArtworkError('refused', 'not authorised')
}

/** The refusal names both hosts: one of them may not be what the app takes it for. */
function refuseCrossSite(req: IncomingMessage, cors: Cors): void {
  if (cors.isAllowed(req)) return
  const { origin = 'another site', host = 'this host' } = req.headers
  const shown = (text: string): string => text.replace(/[^\x20-\x7e]/g, '').slice(0, 200)
  throw new ArtworkError(
    'refused',
    `requests of other sites are not taken: this one is from ${shown(origin)}, and went to ${shown(host)}`,
  )
}

/**
 * Whether a browser says that another site sends a request. Browsers do not add a bearer token by themselves, so
 * such a request may come from anywhere, unless `isStrict`.
 * @param base our public base URL
 */
function isCrossSite(req: IncomingMessage, isStrict = false, base = ''): boolean {
  const { origin, host, authorization } = req.headers
  const site = req.headers['sec-fetch-site']
  if (!isStrict && authorization !== undefined && /^Bearer /i.test(authorization)) return false
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  if (origin === undefined) return false
  const from = parseUrl(origin)
  if (from === undefined) return true
  // A proxy may have changed the Host header, so the configured base counts too.
  return from.host !== host && !(isWebUrl(base) && new URL(base).origin === origin)
}

/** Who may read a picture, who may keep what was read, and whose pages may: the rules of its namespace, or its source. */
import type { IncomingMessage } from 'node:http'
import type { CachePolicy } from '../../http/caching.js'
import type { HttpResponse } from '../../http/response.js'
import { VARY_ORIGIN, varyBy, withoutName } from '../../http/vary.js'
import { type Address, pathSegments } from '../../model/address.js'
import { ArtworkError } from '../../model/failure.js'
import type { Settings } from '../../options/settings.js'
import type { Access } from '../../sources/access.js'
import { isUploadSource, type Namespace } from '../../sources/uploads.js'
import { checkAllowed } from '../shared/authorize.js'
import { readUrl } from '../shared/respond.js'

/** See the top of the file. */
export interface ImageAccess {
  /** The rules of an upload, or of a picture that is not for everybody; undefined for any other. */
  rulesOf(address: Address): AccessRules | undefined
  /** @param isSigned whether the URL has a signature that holds @throws ArtworkError `unauthenticated` (401), `refused` (403) */
  checkReader(req: IncomingMessage, address: Address, isSigned: boolean): Promise<void>
  /** Any answer to a path below the mount, errors too, as the namespace lets pages read it. */
  amend(req: IncomingMessage, reply: HttpResponse): HttpResponse
}

/** How a picture may be read and kept. */
export type AccessRules = Pick<Namespace, 'isPrivate' | 'maxAge' | 'cors'> & {
  /** Where a signature is all that is asked for: a client may keep the picture for as long as that holds. */
  readonly isBySignature: boolean
}

/** How long an image is kept that stands in for a better one, seconds. */
const INTERIM = 30

/** How long a client may keep an image that is for it alone: it asks again after that, whatever else it would do. */
export const privatePolicy = (maxAge: number, isInterim: boolean): CachePolicy => ({
  kind: 'passed-on',
  maxAge: isInterim ? Math.min(maxAge, INTERIM) : maxAge,
  swr: 0,
  sie: 0,
})

/** Makes it. */
export function createAccess(settings: Pick<Settings, 'sources' | 'logger' | 'signing'>): ImageAccess {
  const { sources, logger, signing } = settings
  const source = sources.find(isUploadSource)
  const accessOf = (kind: string) => sources.find(({ kinds }) => kinds.includes(kind))?.access
  const needsSignature = ({ authorize }: Access): boolean =>
    authorize === undefined && signing.keys.length > 0
  const namespaceOf = (kind: string): Namespace | undefined => {
    const isOurs = source?.kinds.includes(kind) === true || source?.owns?.(kind) === true
    return isOurs ? source?.uploads.namespace(kind) : undefined
  }
  const rulesOf = (kind: string): AccessRules | undefined => {
    const namespace = namespaceOf(kind)
    if (namespace !== undefined) return { ...namespace, isBySignature: false }
    const access = accessOf(kind)
    return access && { isPrivate: true, maxAge: 0, cors: [], isBySignature: needsSignature(access) }
  }
  return {
    rulesOf: ({ kind }) => rulesOf(kind),
    checkReader: async (req, address, isSigned) => {
      const { kind, id } = address
      const { mayRead, authorize: own } = namespaceOf(kind) ?? {}
      if (mayRead !== undefined)
        await checkAllowed(() => mayRead(req, id, kind), 'mayRead of uploads', logger)
      if (own !== undefined) await checkAllowed(() => own(req, address), 'authorize of a namespace', logger)
      const access = accessOf(kind)
      if (access === undefined) return
      const { authorize } = access
      if (authorize !== undefined)
        await checkAllowed(() => authorize(req, address), 'authorize of a source', logger)
      else if (needsSignature(access) && !isSigned)
        throw new ArtworkError('refused', 'this image needs a signed URL')
    },
    amend: (req, reply) => {
      const [kind] = pathSegments(readUrl(req.url ?? '').path) ?? []
      const rules = kind === undefined ? undefined : rulesOf(kind)
      if (rules?.cors === undefined) return reply
      return { ...reply, headers: corsFields(req, reply.headers, { ...rules, cors: rules.cors }) }
    },
  }
}

/** The fields of an answer whose pages of exact origins may read it, credentials included. */
function corsFields(
  { headers: { origin } }: IncomingMessage,
  { 'Access-Control-Allow-Origin': _usual, Vary: vary, ...fields }: HttpResponse['headers'],
  { cors: origins, isPrivate }: { readonly cors: readonly string[]; readonly isPrivate: boolean },
): Record<string, string> {
  // Without an origin that may, no answer differs by it.
  const byOrigin = origins.length > 0 ? VARY_ORIGIN : undefined
  const isAllowed = origin !== undefined && origins.includes(origin)
  return {
    ...fields,
    ...varyBy(...withoutName(vary, VARY_ORIGIN), byOrigin),
    'Cross-Origin-Resource-Policy': isAllowed || !isPrivate ? 'cross-origin' : 'same-site',
    ...(isAllowed && {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
    }),
  }
}

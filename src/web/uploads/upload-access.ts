/** Who may read an upload, who may keep what was read, and whose pages may: the rules of its namespace. */
import type { IncomingMessage } from 'node:http'
import type { CachePolicy } from '../../http/caching.js'
import type { HttpResponse } from '../../http/response.js'
import { VARY_ORIGIN, varyBy, withoutName } from '../../http/vary.js'
import { type Address, pathSegments } from '../../model/address.js'
import type { Settings } from '../../options/settings.js'
import { isUploadSource, type Namespace } from '../../sources/uploads.js'
import { checkAllowed } from '../shared/authorize.js'
import { readUrl } from '../shared/respond.js'

/** See the top of the file. */
export interface UploadAccess {
  /** The rules of an upload; undefined for any other image. */
  rulesOf(address: Address): Namespace | undefined
  /** @throws ArtworkError `unauthenticated` (401), `refused` (403) */
  checkReader(req: IncomingMessage, address: Address): Promise<void>
  /** Any answer to a path below the mount, errors too, as the namespace lets pages read it. */
  amend(req: IncomingMessage, reply: HttpResponse): HttpResponse
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
export function createUploadAccess({ sources, logger }: Pick<Settings, 'sources' | 'logger'>): UploadAccess {
  const source = sources.find(isUploadSource)
  const namespaceOf = (kind: string): Namespace | undefined => {
    const isOurs = source?.kinds.includes(kind) === true || source?.owns?.(kind) === true
    return isOurs ? source?.uploads.namespace(kind) : undefined
  }
  return {
    rulesOf: ({ kind }) => namespaceOf(kind),
    checkReader: async (req, { kind, id }) => {
      const { mayRead } = namespaceOf(kind) ?? {}
      if (mayRead !== undefined)
        await checkAllowed(() => mayRead(req, id, kind), 'mayRead of uploads', logger)
    },
    amend: (req, reply) => {
      const [kind] = pathSegments(readUrl(req.url ?? '').path) ?? []
      const rules = kind === undefined ? undefined : namespaceOf(kind)
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

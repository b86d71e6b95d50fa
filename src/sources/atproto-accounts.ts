/** Where the accounts of AT Protocol are: a DID resolved to its PDS, once for all requests, and remembered. */
import type { DidDocument } from '@atproto/identity'
import { ArtworkError } from '../model/failure.js'
import { isWebUrl, parseUrl } from '../model/web-url.js'
import { loadIdentity } from './optional-packages.js'
import type { Means } from './source.js'

/** An account: its PDS, or its DID document; nothing where it is not known. */
export type Identity =
  | string
  | URL
  | {
      /** Its PDS, `https://pds.example.com`. */
      readonly pds: string
    }
  | {
      /** The DID of a document. */
      readonly id: string
    }
  | null
  | undefined

/** How a DID is resolved. */
export type IdentityResolver =
  | ((did: string) => Identity | Promise<Identity>)
  | {
      /** The account of a DID. */
      resolve(did: string): Promise<Identity>
    }
  | {
      /** Another directory of `did:plc`. */
      readonly plcUrl: string
    }
/** The PDS of every account, or of each. */
export type PdsOption = string | ((did: string) => string | undefined | Promise<string | undefined>)

/** How long pages do not resolve an account again that failed, ms, and how many are remembered. */
const RETRY_AFTER = 60_000
const MAX_FAILED = 5000
/** How long a resolved account is used while the directory is down, ms. */
const STALE_IF_ERROR = 30 * 864e5

const unresolved = (cause?: unknown): ArtworkError =>
  new ArtworkError('bad_answer', 'the account could not be resolved', cause === undefined ? {} : { cause })

/** What reads DID documents, loaded when an account is resolved for the first time. */
const documents = () => loadIdentity('atproto() without a pds')

/** The PDS of an identity, as an origin. @throws ArtworkError `bad_answer` (502) */
async function pdsIn(identity: Identity): Promise<string> {
  const text =
    typeof identity === 'string'
      ? identity
      : identity instanceof URL
        ? identity.href
        : identity && 'pds' in identity && typeof identity.pds === 'string'
          ? identity.pds
          : identity && 'id' in identity
            ? // What is no document of a DID has no PDS.
              (await documents()).getPds(identity as DidDocument)
            : undefined
  return originOf(text)
}
function originOf(text: string | undefined): string {
  const url = text === undefined ? undefined : parseUrl(text)
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw unresolved()
  return url.origin
}

/** The resolvers of the PLC directory and of did:web, by our own guarded fetcher. */
function directoryResolver(plcUrl: string): (did: string, means: Means) => Promise<Identity> {
  const plcHost = isWebUrl(plcUrl) ? parseUrl(plcUrl)?.host : undefined
  if (plcHost === undefined)
    throw new TypeError(
      `atproto.identity.plcUrl must be an absolute http or https URL, got ${JSON.stringify(plcUrl)}`,
    )
  return async (did, means) => {
    const isPlc = did.startsWith('did:plc:')
    const host = decodeURIComponent(did.slice('did:web:'.length))
    const url = isPlc
      ? new URL(`/${encodeURIComponent(did)}`, plcUrl).href
      : `https://${host}/.well-known/did.json`
    const ownHost = isPlc ? plcHost : new URL(url).host
    const text = await means.document({ url, admits: (hop) => hop.host === ownHost })
    if (text === undefined) return undefined
    const { DidPlcResolver, DidWebResolver } = await documents()
    try {
      return (isPlc ? new DidPlcResolver(plcUrl, 0) : new DidWebResolver(0)).validateDidDoc(
        did,
        JSON.parse(text),
      )
    } catch (error) {
      throw unresolved(error)
    }
  }
}

function resolverOf(
  identity: IdentityResolver | undefined,
): (did: string, means: Means) => Promise<Identity> {
  if (typeof identity === 'function') return async (did) => identity(did)
  if (identity !== undefined && 'resolve' in identity) return (did) => identity.resolve(did)
  return directoryResolver(identity?.plcUrl ?? 'https://plc.directory')
}

/** Makes the directory of accounts. @param maxAge ms that a resolved account is used without asking again */
export function createAccounts(options: {
  readonly identity: IdentityResolver | undefined
  readonly pds: PdsOption | undefined
  readonly maxAge: number
}) {
  const { pds, maxAge } = options
  const fixed = typeof pds === 'string' ? originOf(pds) : undefined
  const resolve = resolverOf(options.identity)
  const flights = new Map<string, Promise<string>>()
  /** When accounts that failed may be resolved for a page again. */
  const failed = new Map<string, number>()
  const remembered = (did: string, { notes, now }: Means) => {
    const note = notes.get(keyOf(did))
    const age = note === undefined ? Number.POSITIVE_INFINITY : now() - note.at
    return { note, isFresh: age >= 0 && age < maxAge }
  }
  const resolvePds = async (did: string, means: Means): Promise<string> => {
    const { note, isFresh } = remembered(did, means)
    if (note !== undefined && isFresh) return note.value
    try {
      const origin = await pdsIn(typeof pds === 'function' ? await pds(did) : await resolve(did, means))
      means.notes.set(keyOf(did), origin)
      return origin
    } catch (error) {
      const failure = error instanceof ArtworkError ? error : unresolved(error)
      // A directory that is down says nothing; one that answered that there is no such account does.
      const isDown = error instanceof ArtworkError ? failure.retried || failure.code === 'unavailable' : true
      if (note !== undefined && isDown && means.now() - note.at < STALE_IF_ERROR) return note.value
      throw failure.code === 'not_found' || failure.code === 'gone' ? unresolved(error) : failure
    }
  }
  /** The PDS of an account, resolved once for all requests at the same time. */
  const pdsOf = async (did: string, means: Means): Promise<string> => {
    if (fixed !== undefined) return fixed
    const flight = flights.get(did) ?? resolvePds(did, means).finally(() => flights.delete(did))
    flights.set(did, flight)
    return flight
  }
  /** The PDS of an account as far as it is known now; what is unknown or stale is resolved in the background. */
  const knownPds = (did: string, means: Means): string | undefined => {
    if (fixed !== undefined) return fixed
    const { note, isFresh } = remembered(did, means)
    if (!isFresh && means.now() >= (failed.get(did) ?? 0)) {
      // Also for as long as it is being resolved.
      if (failed.size >= MAX_FAILED) failed.clear()
      failed.set(did, means.now() + RETRY_AFTER)
      pdsOf(did, means).then(
        () => {
          // A stale answer in place of a directory that is down is no new one.
          if (means.notes.get(keyOf(did))?.at !== note?.at) failed.delete(did)
        },
        () => {},
      )
    }
    return note?.value
  }
  return {
    pdsOf,
    knownPds,
    /** @throws Error where a package is missing that accounts are resolved with */
    prepare: async (): Promise<void> => void (pds === undefined && (await documents())),
  }
}

const keyOf = (did: string): string => `atproto/${did}`

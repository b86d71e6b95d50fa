/** Pictures in AT Protocol repositories: `{did}/{cid}`, fetched from the account's PDS and held to their CID (PARITY, seed 2). */
import { createHash } from 'node:crypto'
import { type DidDocument, DidPlcResolver, DidWebResolver, getPds } from '@atproto/identity'
import { CID } from 'multiformats/cid'
import { FOREVER } from '../http/response.js'
import { type Address, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import type { FetchRequest } from '../model/location.js'
import { DURATIONS, readMeasure } from '../model/units.js'
import type { Preset } from '../model/variant.js'
import type { Means, Source } from './source.js'

/** What tells of an account: its PDS, or its DID document. Nothing says that the account is not known. */
export type Identity = string | URL | { readonly pds: string } | DidDocument | null | undefined

/** How accounts and their pictures are found. */
export interface AtprotoOptions {
  /**
   * Who resolves a DID: a function, anything with `resolve(did)` (a `DidResolver` of `@atproto/identity`), or where
   * the PLC directory is. @default { plcUrl: 'https://plc.directory' }, and did:web by its own rule
   */
  readonly identity?:
    | ((did: string) => Identity | Promise<Identity>)
    | { resolve(did: string): Promise<Identity> }
    | { readonly plcUrl: string }
  /** The PDS of every account, or of each: nobody is asked then. */
  readonly pds?: string | ((did: string) => string | undefined | Promise<string | undefined>)
  /** Presets beside the six that are built in, and changes to those. */
  readonly presets?: Readonly<Record<string, Preset>>
  /** False: nothing is served here, and the URLs that are printed are the PDS's own. @default true */
  readonly proxy?: boolean
  /** Base of the printed URLs in place of `urls.base`, such as a CDN's. */
  readonly cdn?: string
  /** How long what is known of an account is used without asking, ms or text. @default 1 h */
  readonly identityMaxAge?: number | string
  /** What nobody looked at for so long is given up, ms or text; 0: never. @default 30 d */
  readonly maxIdle?: number | string
  /** How often that is looked for, ms or text; 0: never. @default 1 h */
  readonly sweepEvery?: number | string
  /** Name of the proxy pool that PDSes are asked through, `*` for every pool. @default none */
  readonly pool?: string
}

/** The six presets (PARITY 20): JPEG, unless a format is asked for. */
export const ATPROTO_PRESETS: Readonly<Record<string, Preset>> = {
  avatar: { width: 1000, height: 1000, fit: 'cover', enlarge: true, format: 'jpeg', quality: 85 },
  avatar_small: { width: 360, height: 360, fit: 'cover', enlarge: true, format: 'jpeg', quality: 80 },
  banner: { width: 640, height: 300, fit: 'cover', enlarge: true, format: 'jpeg', quality: 85 },
  content_preview: { width: 800, fit: 'inside', format: 'jpeg', quality: 80 },
  content_full: { width: 1600, fit: 'inside', format: 'jpeg', quality: 90 },
  embed_thumbnail: { width: 720, height: 360, fit: 'cover', enlarge: true, format: 'jpeg', quality: 80 },
}

const PLC = /^did:plc:[a-z2-7]{24}$/
/** A host, with a port where its colon is written `%3A`; AT Protocol has no did:web with a path. */
const WEB =
  /^did:web:(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:%3A\d{1,5})?$/i
const LONGEST_DID = 512
const SHA_256 = 0x12
const GET_BLOB = '/xrpc/com.atproto.sync.getBlob'
/** An account that could not be resolved is not tried again by who prints for so long, ms, and so many are remembered. */
const TRIED_AGAIN_AFTER = 60_000
const MOST_FAILED = 5000
/** What is known of an account stands in for so long when the directory is down, ms. */
const STANDS_IN_FOR = 30 * 864e5

const isDid = (text: string): boolean => text.length <= LONGEST_DID && (PLC.test(text) || WEB.test(text))

/** Reads a CIDv1 of SHA-256 in its canonical text (base32); undefined for any other. */
function readCid(text: string): CID | undefined {
  if (!/^b[a-z2-7]{20,120}$/.test(text)) return undefined
  try {
    const cid = CID.parse(text)
    return cid.version === 1 && cid.multihash.code === SHA_256 && cid.toString() === text ? cid : undefined
  } catch {
    return undefined
  }
}

function readId(id: string): { did: string; cid: string } {
  const [did = '', cid = '', ...rest] = id.split('/')
  if (!isDid(did)) throw new ArtworkError('invalid', 'the DID is not valid')
  if (rest.length > 0 || readCid(cid) === undefined) throw new ArtworkError('invalid', 'the CID is not valid')
  return { did, cid }
}

const unresolved = (cause?: unknown): ArtworkError =>
  new ArtworkError('bad_answer', 'the account could not be resolved', cause === undefined ? {} : { cause })

/** The PDS that an identity tells of, as an origin. @throws ArtworkError `bad_answer` (502) */
function pdsIn(identity: Identity): string {
  const text =
    typeof identity === 'string'
      ? identity
      : identity instanceof URL
        ? identity.href
        : identity && 'pds' in identity && typeof identity.pds === 'string'
          ? identity.pds
          : identity && 'id' in identity
            ? getPds(identity as DidDocument)
            : undefined
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw unresolved()
  return url.origin
}

/** The directory's resolver, and did:web's, asked through our own guarded fetcher. */
function directoryResolver(plcUrl: string): (did: string, means: Means) => Promise<Identity> {
  if (!URL.canParse(plcUrl) || !/^https?:/i.test(plcUrl))
    throw new TypeError(
      `atproto.identity.plcUrl must be an absolute http or https URL, got ${JSON.stringify(plcUrl)}`,
    )
  const plc = new DidPlcResolver(plcUrl, 0)
  const web = new DidWebResolver(0)
  const plcHost = new URL(plcUrl).host
  return async (did, means) => {
    const isPlc = did.startsWith('did:plc:')
    const host = decodeURIComponent(did.slice('did:web:'.length))
    const url = isPlc
      ? new URL(`/${encodeURIComponent(did)}`, plcUrl).href
      : `https://${host}/.well-known/did.json`
    const ownHost = isPlc ? plcHost : new URL(url).host
    const text = await means.document({ url, admits: (hop) => hop.host === ownHost })
    if (text === undefined) return undefined
    try {
      return (isPlc ? plc : web).validateDidDoc(did, JSON.parse(text))
    } catch (error) {
      throw unresolved(error)
    }
  }
}

function resolverOf(identity: AtprotoOptions['identity']): (did: string, means: Means) => Promise<Identity> {
  if (typeof identity === 'function') return async (did) => identity(did)
  if (identity !== undefined && 'resolve' in identity) return (did) => identity.resolve(did)
  return directoryResolver(identity?.plcUrl ?? 'https://plc.directory')
}

/**
 * The source of `/images/atproto/{preset}/{did}/{cid}`.
 * @throws TypeError for a bad option, naming it, the rule and the value
 */
export function atproto(options: AtprotoOptions = {}): Source {
  const { pds, proxy = true, cdn, pool } = options
  const time = (
    name: keyof AtprotoOptions & ('identityMaxAge' | 'maxIdle' | 'sweepEvery'),
    otherwise: string,
  ): number => {
    const ms = readMeasure(options[name] ?? otherwise, DURATIONS)
    if (ms === undefined)
      throw new TypeError(
        `atproto.${name} must be ms or text such as "1 h", got ${JSON.stringify(options[name])}`,
      )
    return ms
  }
  const identityMaxAge = time('identityMaxAge', '1 h')
  const [maxIdle, sweepEvery] = [time('maxIdle', '30 d'), time('sweepEvery', '1 h')]
  if (cdn !== undefined && !/^https?:\/\/[^\s/?#]+(?:\/[^\s?#]*[^\s?#/])?$/.test(cdn))
    throw new TypeError(`atproto.cdn must be an absolute http or https URL, got ${JSON.stringify(cdn)}`)
  if (typeof pds === 'string') pdsIn(pds)
  const resolve = resolverOf(options.identity)
  const flights = new Map<string, Promise<string>>()

  const keyOf = (did: string): string => `atproto/${did}`
  const ask = async (did: string, means: Means): Promise<string> => {
    const known = means.notes.get(keyOf(did))
    if (known !== undefined && means.now() - known.at < identityMaxAge && means.now() >= known.at)
      return known.value
    try {
      const origin = pdsIn(typeof pds === 'function' ? await pds(did) : await resolve(did, means))
      means.notes.set(keyOf(did), origin)
      return origin
    } catch (error) {
      const failure = error instanceof ArtworkError ? error : unresolved(error)
      // A directory that is down says nothing; one that answered that there is no such account does.
      const isDown = error instanceof ArtworkError ? failure.retried || failure.code === 'unavailable' : true
      if (known !== undefined && isDown && means.now() - known.at < STANDS_IN_FOR) return known.value
      throw failure.code === 'not_found' || failure.code === 'gone' ? unresolved(error) : failure
    }
  }
  /** The PDS of an account, asked for once by all who want it. */
  const pdsOf = (did: string, means: Means): Promise<string> => {
    if (typeof pds === 'string') return Promise.resolve(pdsIn(pds))
    const flight = flights.get(did) ?? ask(did, means).finally(() => flights.delete(did))
    flights.set(did, flight)
    return flight
  }
  /** Accounts that could not be resolved lately, with when they may be tried again: pages do not ask at every print. */
  const failed = new Map<string, number>()
  /** Where an account is, as far as it is known; what is not, or has aged, is resolved in the background. */
  const knownOrigin = (did: string, means: Means): string | undefined => {
    const known = means.notes.get(keyOf(did))
    const age = known === undefined ? Number.POSITIVE_INFINITY : means.now() - known.at
    if ((age >= identityMaxAge || age < 0) && means.now() >= (failed.get(did) ?? 0)) {
      // Also for as long as it is being asked.
      if (failed.size >= MOST_FAILED) failed.clear()
      failed.set(did, means.now() + TRIED_AGAIN_AFTER)
      pdsOf(did, means).then(
        () => {
          // An old answer that stands in for a directory that is down is no new one.
          if (means.notes.get(keyOf(did))?.at !== known?.at) failed.delete(did)
        },
        () => {},
      )
    }
    return known?.value
  }
  const blobUrl = (origin: string, did: string, cid: string): string =>
    `${origin}${GET_BLOB}?did=${encodeURIComponent(did)}&cid=${encodeURIComponent(cid)}`
  const original = (id: string): Address => makeAddress('atproto', 'original', id)

  return {
    name: 'atproto',
    kinds: proxy ? ['atproto'] : [],
    isLasting: true,
    noun: 'preset',
    presets: { ...ATPROTO_PRESETS, ...options.presets },
    idle: { maxIdle, sweepEvery },
    defaultVariant: () => 'content_full',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    precheck: (variant, id) => {
      if (!/^[a-z][a-z0-9_-]*$/.test(variant)) throw new ArtworkError('invalid', 'this preset is not known')
      readId(id)
    },
    check: ({ address }) => {
      readId(address.id)
      return { address, original: original(address.id) }
    },
    originalsOf: (address) => [original(address.id)],
    locate: async (address, means): Promise<FetchRequest> => {
      const { did, cid } = readId(address.id)
      return {
        url: blobUrl(await pdsOf(did, means), did, cid),
        // Any public host: an account may live anywhere, and the bytes are held to their CID.
        admits: () => true,
        pool,
        isMissing: (status, text) => status === 400 && /blob ?not ?found/i.test(text),
      }
    },
    verify: (address, bytes) => {
      const { cid } = readId(address.id)
      const wanted = readCid(cid)?.multihash.digest
      if (wanted === undefined || !createHash('sha256').update(bytes).digest().equals(wanted))
        throw new ArtworkError('bad_answer', 'the source sent other bytes than its name stands for')
    },
    claim: (url) => {
      if (!proxy || url.pathname !== GET_BLOB) return undefined
      const id = `${url.searchParams.get('did') ?? ''}/${url.searchParams.get('cid') ?? ''}`
      readId(id)
      return original(id)
    },
    print: (kind, id, means) => {
      if (kind !== 'atproto') return undefined
      const { did, cid } = readId(id)
      if (proxy) return cdn === undefined ? undefined : { base: cdn }
      const origin = typeof pds === 'string' ? pdsIn(pds) : knownOrigin(did, means)
      return { url: origin === undefined ? undefined : blobUrl(origin, did, cid) }
    },
    pool,
    cache: FOREVER,
  }
}

/** Pictures in AT Protocol repositories: `{did}/{cid}`, fetched from the account's PDS and checked against their CID (PARITY, seed 2). */
import { createHash } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { FOREVER } from '../http/caching.js'
import { type Address, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import type { FetchRequest } from '../model/location.js'
import { DURATIONS, readMeasure } from '../model/units.js'
import type { Preset } from '../model/variant.js'
import { createAccounts, type IdentityResolver, type PdsOption } from './atproto-accounts.js'
import { loadCid } from './optional-packages.js'

export type { Identity } from './atproto-accounts.js'

import { type AccessOptions, accessOf } from './access.js'
import type { Source } from './source.js'

/** How accounts and their pictures are found. */
export interface AtprotoOptions extends AccessOptions {
  /**
   * How a DID is resolved: a function, anything with `resolve(did)` (a `DidResolver` of `@atproto/identity`), or where
   * the PLC directory is. @default { plcUrl: 'https://plc.directory' }, and did:web by its own rule
   */
  readonly identity?: IdentityResolver
  /** The PDS of every account, or of each: nothing is resolved then. */
  readonly pds?: PdsOption
  /** Presets beside the six that are built in, and changes to those. */
  readonly presets?: Readonly<Record<string, Preset>>
  /** False: nothing is served here, and the URLs that are printed are the PDS's own. @default true */
  readonly proxy?: boolean
  /** Base of the printed URLs in place of `urls.base`, such as a CDN's. */
  readonly cdn?: string
  /** How long a resolved account is used without asking again, ms or text. @default 1 h */
  readonly identityMaxAge?: number | string
  /** Pictures that were not used for so long are removed, ms or text; 0: never. @default 30 d */
  readonly maxIdle?: number | string
  /** How often such pictures are searched, ms or text; 0: never. @default 1 h */
  readonly sweepEvery?: number | string
  /** Name of the proxy pool that PDSes are asked through, `*` for every pool. @default none */
  readonly pool?: string
}

/** The six presets (PARITY 20): JPEG, unless a format is asked for. */
const ATPROTO_PRESETS: Readonly<Record<string, Preset>> = {
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
const isDid = (text: string): boolean => text.length <= LONGEST_DID && (PLC.test(text) || WEB.test(text))

/** The class of CIDs; a source loads it before it is asked anything. */
let cids: typeof CID | undefined

/** Reads a CIDv1 of SHA-256 in its canonical text (base32); undefined for any other. */
function readCid(text: string): CID | undefined {
  if (!/^b[a-z2-7]{20,120}$/.test(text)) return undefined
  if (cids === undefined) throw new Error('the source was not prepared')
  try {
    const cid = cids.parse(text)
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

const blobUrl = (origin: string, did: string, cid: string): string =>
  `${origin}${GET_BLOB}?did=${encodeURIComponent(did)}&cid=${encodeURIComponent(cid)}`
const original = (id: string): Address => makeAddress('atproto', 'original', id)

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
  const accounts = createAccounts({ identity: options.identity, pds, maxAge: identityMaxAge })
  return {
    name: 'atproto',
    kinds: proxy ? ['atproto'] : [],
    isLasting: true,
    access: accessOf('atproto', options),
    // An account may live anywhere.
    origins: proxy ? (cdn === undefined ? [] : [new URL(cdn).origin]) : ['https:'],
    prepare: async () => {
      cids ??= await loadCid('atproto()')
      await accounts.prepare()
    },
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
        url: blobUrl(await accounts.pdsOf(did, means), did, cid),
        // Any public host: an account may live anywhere, and the bytes are checked against their CID.
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
      const origin = accounts.knownPds(did, means)
      return { url: origin === undefined ? undefined : blobUrl(origin, did, cid) }
    },
    pool,
    cache: FOREVER,
  }
}

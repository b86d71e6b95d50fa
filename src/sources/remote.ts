/** Pictures by their URL, from hosts that the app lists: the id is the unpadded base64url of an absolute URL. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { type Address, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import { refuseUnknown } from '../model/option-names.js'
import { withoutSignature } from '../model/presigned-url.js'
import { remoteIdText } from '../model/remote-url.js'
import { isWebUrl, readWebUrl } from '../model/web-url.js'
import { ACCESS_OPTIONS, type AccessOptions, accessOf } from './access.js'
import { hostRule, inAscii } from './host-rules.js'
import type { Source } from './source.js'

/** Which hosts may be fetched from, and with what. */
export interface RemoteOptions extends AccessOptions {
  /** Host patterns: exact, `*.` for one label, `**.` for any depth; `*` alone only with signing keys. */
  readonly hosts: readonly string[]
  /**
   * Fixed request headers by host pattern (a media server's token). They never reach a browser, another origin, or a host
   * by plain http, unless the pattern begins with `http://` or the host and port are in `fetch.allowPrivate`. `User-Agent`,
   * `Accept` and `Referer` take the place of our own.
   */
  readonly headers?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /**
   * Parameters that do not identify the picture, beside those of known signers (AWS, CloudFront, Google, Azure, Alibaba,
   * Discord): an entity's URL that differs in them only is of the same picture, and not fetched again while that is fresh.
   * `*` ends a beginning.
   */
  readonly ignoreParams?: readonly string[]
  /** Name of the proxy pool that the hosts are fetched through, `*` for every pool. @default none */
  readonly pool?: string
}

/** A remote source; one that is open to every host takes signing keys. */
export interface RemoteSource extends Source {
  readonly openToAll: boolean
}

/** Bytes of a URL that a client may name, and of one that an entity has, which need not fit into a request line. */
const LONGEST_REQUESTED = 2048
const LONGEST_URL = 8192
/** What pages print. Other formats of a picture that any client may name take a signature: some cost hundreds of times more. */
const FREE_FORMATS = ['auto', 'webp', 'jpeg', 'avif'] as const

/** Fields that are the fetcher's own: transport, coding, conditions. */
const NOT_TO_BE_SET = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])

/** Fixed headers of a pattern. @throws TypeError that names the header and the rule */
function headerRule(pattern: string, fields: Readonly<Record<string, string>>) {
  const [, scheme, host = ''] = /^(https?:\/\/)?(.*)$/i.exec(pattern) ?? []
  for (const [name, value] of Object.entries(fields)) {
    const where = `remote.headers[${JSON.stringify(pattern)}]`
    if (NOT_TO_BE_SET.has(name.toLowerCase())) throw new TypeError(`${where}: ${name} cannot be set`)
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      throw new TypeError(`${where}: ${JSON.stringify(name)} is no header, or its value is none`)
    }
  }
  const matches = hostRule(host)
  const isPlain = scheme?.toLowerCase() === 'http://'
  const isTls = scheme?.toLowerCase() === 'https://'
  return (url: URL, isPrivate: boolean): Readonly<Record<string, string>> => {
    const isAllowed = url.protocol === 'https:' ? !isPlain : isPlain || (isPrivate && !isTls)
    return isAllowed && matches(url) ? fields : {}
  }
}

const OPTIONS: readonly string[] = ['hosts', 'headers', 'ignoreParams', 'pool', ...ACCESS_OPTIONS]
/** The options of a source. @throws TypeError that names the option and the rule */
function checked(options: RemoteOptions): RemoteOptions {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('remote needs { hosts }, a list of host names')
  refuseUnknown('remote', options, OPTIONS)
  for (const name of ['hosts', 'ignoreParams'] as const) {
    const list: unknown = options[name]
    const isList = Array.isArray(list) && list.every((one) => typeof one === 'string' && one !== '')
    if (!isList && !(name === 'ignoreParams' && list === undefined))
      throw new TypeError(
        `remote.${name} must be a list of texts, such as ${name === 'hosts' ? '["cdn.example.com"]' : '["token"]'}, got ${JSON.stringify(list)}`,
      )
  }
  const isTable = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const { headers = {} } = options
  const fields = isTable(headers) ? Object.values(headers) : [undefined]
  if (!fields.every((one) => isTable(one) && Object.values(one).every((value) => typeof value === 'string')))
    throw new TypeError(
      'remote.headers must be header fields by host, such as { "cdn.example.com": { Authorization: "…" } }',
    )
  return options
}

/** The id of a URL: its canonical form in base64url without padding. */
const remoteId = (url: URL): string => Buffer.from(canonical(url)).toString('base64url')

function canonical(url: URL): string {
  const copy = new URL(url)
  copy.hash = ''
  return copy.href
}

/** Reads an id back. @throws ArtworkError `invalid` (400) for anything that is not an absolute http(s) URL */
function readId(id: string): URL {
  const text = remoteIdText(id)
  if (text === undefined || Buffer.byteLength(id, 'base64url') > LONGEST_URL || !isWebUrl(text))
    throw new ArtworkError('invalid', 'the image id must be the base64url of an http or https URL')
  return readWebUrl(text)
}

/**
 * The source of `/images/remote/…` and of the URLs that entities keep.
 * @throws TypeError for a bad host pattern
 */
export function remote(options: RemoteOptions): RemoteSource {
  const { hosts, headers = {}, ignoreParams = [], pool } = checked(options)
  const ignored = ignoreParams.map((name) => name.toLowerCase())
  const rules = hosts.map(hostRule)
  const extra = Object.entries(headers).map(([pattern, fields]) => headerRule(pattern, fields))
  const admits = (url: URL) => rules.some((rule) => rule(url))
  const original = (url: URL): Address => {
    if (url.href.length > LONGEST_URL) throw new ArtworkError('invalid', 'the image URL is too long')
    return makeAddress('remote', 'original', remoteId(url))
  }
  const admitted = (url: URL): URL => {
    if (url.username !== '' || url.password !== '')
      throw new ArtworkError('refused', 'the URL must not hold credentials')
    if (!admits(url)) throw new ArtworkError('refused', 'this host is not allowed')
    return url
  }
  return {
    name: 'remote',
    kinds: ['remote'],
    access: accessOf('remote', options),
    // A policy has no wildcard for one label alone.
    origins: hosts.map((host) => (host === '*' ? 'https:' : inAscii(host).replace(/^\*\*\./, '*.'))),
    openToAll: hosts.includes('*'),
    defaultVariant: () => 'original',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    precheck: (_variant, id) => {
      if (Buffer.byteLength(id, 'base64url') > LONGEST_REQUESTED)
        throw new ArtworkError('invalid', 'the image id must be the base64url of an http or https URL')
    },
    identityOf: (url) => withoutSignature(url, ignored),
    freeFormats: ({ base }) => (base === 'original' ? ['auto'] : FREE_FORMATS),
    check: ({ address }) => {
      const url = admitted(readId(address.id))
      return { address: makeAddress('remote', address.variant, remoteId(url)), original: original(url) }
    },
    originalsOf: (address) => [address],
    locate: (address) => ({
      url: readId(address.id).href,
      admits,
      pool,
      headersFor: (url, isPrivate) =>
        Object.assign({}, ...extra.map((fieldsFor) => fieldsFor(url, isPrivate))),
    }),
    fileName: (address) => readId(address.id).pathname,
    claim: (url) => (/^https?:$/.test(url.protocol) ? original(admitted(url)) : undefined),
    pool,
    cache: undefined,
  }
}

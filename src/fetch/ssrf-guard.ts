/**
 * The SSRF guard, for every hop of every fetch. URLs are checked before a connection, addresses inside `lookup`, so that
 * the address that was checked is the one that is dialled. Both fail closed.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { ArtworkError } from '../model/failure.js'
import { readWebUrl } from '../model/web-url.js'

/** What may be fetched at all. */
export interface GuardOptions {
  /** Ports that may be dialled. */
  readonly ports: readonly number[]
  /** Whether `http://203.0.113.7/` may be fetched: public literals only, even so. */
  readonly allowIpLiterals: boolean
  /** Exact `host:port` pairs that the port, literal and private rules do not bind. */
  readonly allowPrivate: readonly string[]
  /** Our own public origins, never fetched from. */
  readonly publicOrigins: readonly string[]
}

/** The check that a source makes of a URL's host. */
export type Admits = (url: URL) => boolean

const refuse = (why: string): never => {
  throw new ArtworkError('refused', why)
}
const refuseToDial = (why: string): never => {
  throw new ArtworkError('undialable', why)
}

const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)

/** `host:port` of a URL, with the port always. */
const hostAndPort = (url: URL): string => `${url.hostname.replace(/\.$/, '')}:${portOf(url)}`

const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')

/** Whether two URLs lead to one server: by either scheme, with a dot at the end of the name or not. */
function isSameHost(one: URL, other: URL): boolean {
  const isUsual = (url: URL): boolean => [80, 443].includes(portOf(url))
  const isSamePort = portOf(one) === portOf(other) || (isUsual(one) && isUsual(other))
  return isSamePort && bareHost(one) === bareHost(other)
}

/**
 * Parses a URL once, by WHATWG rules, and checks everything about it but its addresses. The fragment is dropped.
 * @throws ArtworkError `invalid` (400) for text that is no URL, `refused` or `undialable` (403) for one that may not be fetched
 */
export function checkUrl(text: string, options: GuardOptions, admits: Admits, base?: URL): URL {
  const url = readWebUrl(text, base)
  url.hash = ''
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse('only http and https URLs are fetched')
  if (base?.protocol === 'https:' && url.protocol === 'http:')
    refuse('a redirect from https to http is not followed')
  if (url.username !== '' || url.password !== '') refuse('the URL must not hold credentials')
  if (url.hostname === '') refuse('the URL has no host')
  if (options.publicOrigins.some((own) => isSameHost(url, new URL(own)))) refuse('this is our own address')
  if (!admits(url)) refuse('this host is not allowed')
  if (isExcepted(url, options)) return url
  if (!options.ports.includes(portOf(url))) refuseToDial('this port is not allowed')
  const host = bareHost(url)
  if (isIP(host) !== 0) {
    if (!options.allowIpLiterals || !isPublicAddress(host)) refuseToDial('this address is not allowed')
  } else if (/(?:^|\.)(?:localhost|local|internal|home\.arpa|onion)$/i.test(host) || !host.includes('.')) {
    refuseToDial('this host is not allowed')
  }
  return url
}

/** Whether an exact `host:port` exception covers the URL. */
export function isExcepted(url: URL, options: GuardOptions): boolean {
  return options.allowPrivate.includes(hostAndPort(url))
}

/**
 * Special-purpose ranges on top of ipaddr.js's own: IANA IPv4 and IPv6 Special-Purpose Address Registries
 * (RFC 6890 and updates). Global unicast IPv6 is 2000::/3 and nothing else.
 */
const BLOCKED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map((cidr) => ipaddr.IPv4.parseCIDR(cidr))

/** Inside 2000::/3: protocol assignments (Teredo, ORCHID, benchmarking …), documentation, 6to4, AS112. */
const BLOCKED_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'].map((cidr) =>
  ipaddr.IPv6.parseCIDR(cidr),
)
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3')
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** Whether an address is public unicast. IPv4 inside IPv6 is checked as the IPv4 it is, or refused. */
function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false
  const address = ipaddr.parse(text.replace(/%.*$/, ''))
  if (address instanceof ipaddr.IPv4) return isPublicV4(address)
  if (!(address instanceof ipaddr.IPv6)) return false
  if (address.isIPv4MappedAddress()) return isPublicV4(address.toIPv4Address())
  const bytes = address.toByteArray()
  if (address.match(NAT64)) return isPublicV4(new ipaddr.IPv4(bytes.slice(12)))
  const isIsatap =
    (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe
  return address.match(GLOBAL_V6) && !isIsatap && !BLOCKED_V6.some((range) => address.match(range))
}

const isPublicV4 = (address: ipaddr.IPv4): boolean => !BLOCKED_V4.some((range) => address.match(range))

/**
 * A `lookup` for sockets that answers only when *every* address of the name is public. One private answer
 * refuses the name: which of the answers is dialled is not ours to choose.
 */
export function guardedLookup(resolve: LookupFunction = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, [])
      const addresses: LookupAddress[] = Array.isArray(found)
        ? found
        : [{ address: found, family: isIP(found) }]
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address)))
        return callback(Object.assign(new Error('address not public'), { code: 'EREFUSEDADDRESS' }), [])
      const [first] = addresses
      if (options.all || first === undefined) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}

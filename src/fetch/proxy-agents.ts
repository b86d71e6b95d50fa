/**
 * Agents that go through a proxy: http and https (CONNECT, or absolute form for plain http), and socks. Their packages are
 * loaded where proxies are configured; the one of socks an app installs itself.
 */
import { setMaxListeners } from 'node:events'
import type { Agent, ClientRequest } from 'node:http'
import { connect as dial, isIP, type LookupFunction, type Socket } from 'node:net'
import { isMissingPackage } from '../model/optional-package.js'

/** A failure at the proxy, or on the way to it. */
class ProxyError extends Error {
  /** node-fetch keeps nothing of a failure but its code. */
  readonly code: 'EPROXY' | 'EPROXYREPLY'
  /** @param isReply whether the proxy answered, and may only have passed on the source's failure */
  constructor(cause: unknown, isReply: boolean) {
    super('the proxy failed', { cause })
    this.code = isReply ? 'EPROXYREPLY' : 'EPROXY'
  }
}

/** How connections through a proxy are made. */
export interface ProxyAgentOptions {
  /** Ms until a connection through the proxy must stand. */
  readonly connectTimeout: number
  /** Resolves and checks names here; the proxy is given the address. Undefined: the proxy resolves them. */
  readonly lookup: LookupFunction | undefined
}

type Connect = (req: never, options: never) => Promise<unknown>
interface Target {
  host?: string
}
/** What the agents dial a proxy with; read once at the beginning of each connection. */
interface Dialling {
  connectOpts?: DialOptions | undefined
}
interface DialOptions {
  host?: string
  port?: number
  socket?: Socket
  signal?: AbortSignal
  autoSelectFamilyAttemptTimeout?: number
}

/** Node accepts no less, ms. */
const MIN_ATTEMPT_TIMEOUT = 10
const SETTINGS = { keepAlive: true, timeout: 15_000, scheduling: 'lifo' } as const

/** The packages of the agents; undefined: it is not installed. */
interface ProxyPackages {
  readonly HttpProxyAgent: typeof import('http-proxy-agent')['HttpProxyAgent']
  readonly HttpsProxyAgent: typeof import('https-proxy-agent')['HttpsProxyAgent']
  readonly SocksProxyAgent: typeof import('socks-proxy-agent')['SocksProxyAgent'] | undefined
}

/** The agents of one proxy, by the scheme of a URL. The types of their packages are in no public declaration. */
export interface ProxyAgents {
  agentFor(url: URL): Agent
  /** Whether what answers is the source itself, and not the proxy in its name. */
  isTunnelled(url: URL): boolean
  close(): void
}

/** Makes the agents of a proxy. @throws Error for a socks proxy whose package is not installed */
export type CreateProxyAgents = (proxy: URL, options: ProxyAgentOptions) => ProxyAgents

/** Loads the packages. */
export async function loadProxyAgents(): Promise<CreateProxyAgents> {
  const [{ HttpProxyAgent }, { HttpsProxyAgent }] = await Promise.all([
    import('http-proxy-agent'),
    import('https-proxy-agent'),
  ])
  const packages: ProxyPackages = { HttpProxyAgent, HttpsProxyAgent, SocksProxyAgent: await loadSocks() }
  return (proxy, options) => createProxyAgents(packages, proxy, options)
}

async function loadSocks(): Promise<ProxyPackages['SocksProxyAgent']> {
  // The import stands in its `try`: bundlers leave it alone where the package is not installed.
  try {
    return (await import('socks-proxy-agent')).SocksProxyAgent
  } catch (error) {
    if (isMissingPackage(error)) return undefined
    throw error
  }
}

/** See {@link CreateProxyAgents}. */
function createProxyAgents(packages: ProxyPackages, proxy: URL, options: ProxyAgentOptions): ProxyAgents {
  const { HttpProxyAgent, HttpsProxyAgent, SocksProxyAgent } = packages
  const closing = new AbortController()
  // Each connection that is being made listens.
  setMaxListeners(0, closing.signal)
  const isSocks = proxy.protocol.startsWith('socks')
  const isTls = proxy.protocol === 'https:'
  const bound = <A extends Agent & { connect: Connect }>(agent: A): A =>
    bounded(agent, { ...options, isTls, closing: closing.signal })
  if (isSocks && SocksProxyAgent === undefined)
    throw new Error(
      'fetch.proxies has a socks proxy, which needs the package socks-proxy-agent: npm install socks-proxy-agent',
    )
  const tunnel =
    isSocks && SocksProxyAgent !== undefined
      ? // The proxy resolves names, unless they are resolved here: never by a lookup that is not guarded.
        bound(new SocksProxyAgent(withProtocol(proxy, 'socks5h:'), SETTINGS))
      : bound(new HttpsProxyAgent(proxy, SETTINGS))
  const plain = isSocks || options.lookup !== undefined ? tunnel : bound(new HttpProxyAgent(proxy, SETTINGS))
  const agentFor = (url: URL): Agent => (url.protocol === 'https:' ? tunnel : plain)
  return {
    agentFor,
    isTunnelled: (url: URL): boolean => agentFor(url) === tunnel,
    close: (): void => {
      closing.abort()
      tunnel.destroy()
      plain.destroy()
    },
  }
}

function withProtocol(url: URL, protocol: string): string {
  return protocol + url.href.slice(url.protocol.length)
}

interface BoundOptions extends ProxyAgentOptions {
  readonly isTls: boolean
  readonly closing: AbortSignal
}

/** An agent whose connections are bounded in time, and whose errors tell a proxy's failure from a source's. */
function bounded<A extends Agent & { connect: Connect }>(agent: A, options: BoundOptions): A {
  const connect = agent.connect.bind(agent) as (req: ClientRequest, target: Target) => Promise<Socket>
  const dialling: Dialling = agent as unknown as Dialling
  const base = dialling.connectOpts
  const connectOnce = async (req: ClientRequest, given: Target, signal: AbortSignal): Promise<Socket> => {
    let refusal: number | undefined
    req.once('proxyConnect', (answer: { statusCode?: number }) => {
      if (answer.statusCode !== undefined && answer.statusCode !== 200) refusal = answer.statusCode
    })
    const target = await resolved(given, options.lookup)
    if (base !== undefined) dialling.connectOpts = dialOptions(base, options, signal)
    const socket = await connect(req, target)
    if (refusal === undefined) return socket
    socket.destroy()
    throw new ProxyError(new Error(`CONNECT was answered with ${refusal}`), refusal !== 407)
  }
  const inTime: Connect = (req: ClientRequest, target: Target) =>
    withTimeout((signal) => connectOnce(req, target, signal), options)
  return Object.assign(agent, { connect: inTime })
}

/** How the proxy is dialled. The agents do not expose the socket before the proxy has answered: the signal closes it. */
function dialOptions(
  base: DialOptions,
  { isTls, connectTimeout }: BoundOptions,
  signal: AbortSignal,
): DialOptions {
  // Node abandons an address when it tries the next one: half of the time is for the first.
  const patient = { autoSelectFamilyAttemptTimeout: Math.max(MIN_ATTEMPT_TIMEOUT, connectTimeout / 2) }
  const { host, port } = base
  if (!isTls || host === undefined || port === undefined) return { ...base, signal, ...patient }
  const socket = dial({ host, port, signal, ...patient })
  socket.on('error', () => {})
  return { ...base, socket }
}

/** Connects within the time, and not after the agents were closed. @throws ProxyError */
async function withTimeout(
  connect: (signal: AbortSignal) => Promise<Socket>,
  { connectTimeout, closing }: BoundOptions,
): Promise<Socket> {
  const expiry = new AbortController()
  const abort = (): void => expiry.abort()
  const timer = setTimeout(abort, connectTimeout)
  const expired = new Promise<never>((_resolve, reject) => {
    expiry.signal.addEventListener('abort', () => reject(new Error('the proxy did not connect in time')))
  })
  expired.catch(() => {})
  closing.addEventListener('abort', abort, { once: true })
  if (closing.aborted) abort()
  const attempt = connect(expiry.signal)
  try {
    return await Promise.race([attempt, expired])
  } catch (error) {
    attempt.then((socket) => socket.destroy()).catch(() => {})
    abort()
    if (error instanceof ProxyError || error instanceof Unresolved) throw error
    throw new ProxyError(error, error instanceof Error && /rejected connection/i.test(error.message))
  } finally {
    clearTimeout(timer)
    closing.removeEventListener('abort', abort)
  }
}

/** A source's name that could not be resolved here, or may not be dialled: no fault of the proxy. */
class Unresolved extends Error {
  readonly code: string
  constructor(cause: unknown) {
    super('the name could not be resolved', { cause })
    this.code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'ENOTFOUND'
  }
}

/** The target with an address in place of its name. The name stays what TLS asks for. */
async function resolved(target: Target, lookup: LookupFunction | undefined): Promise<Target> {
  const { host } = target
  if (lookup === undefined || host === undefined || isIP(host) !== 0) return target
  const address = await new Promise<string>((resolve, reject) => {
    lookup(host, {}, (error, found) => {
      const first = Array.isArray(found) ? found[0]?.address : found
      if (error) reject(new Unresolved(error))
      else if (first === undefined) reject(new Unresolved(undefined))
      else resolve(first)
    })
  })
  return { servername: host, ...target, host: address } as Target
}

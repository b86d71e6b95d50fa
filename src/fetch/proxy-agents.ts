/** Agents that go through a proxy: http and https (CONNECT, or absolute form for plain http), and socks. */
import type { Agent, ClientRequest } from 'node:http'
import { connect as dial, isIP, type LookupFunction, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HttpProxyAgent } from 'http-proxy-agent'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { SocksProxyAgent } from 'socks-proxy-agent'

/** What went wrong on this side of the source: at the proxy, or on the way to it. */
export class ProxyError extends Error {
  /** node-fetch keeps nothing of a failure but its code. */
  readonly code: 'EPROXY' | 'EPROXYREPLY'
  /** @param isReply whether the proxy answered, and may only have told of the source's trouble */
  constructor(cause: unknown, isReply: boolean) {
    super('the proxy failed', { cause })
    this.code = isReply ? 'EPROXYREPLY' : 'EPROXY'
  }
}

/** How connections through a proxy are made. */
export interface ProxyAgentOptions {
  /** Ms until a connection through the proxy must stand. */
  readonly connectTimeout: number
  /** Names are resolved and judged here, and the proxy is given the address. Undefined: the proxy resolves them. */
  readonly lookup: LookupFunction | undefined
}

type Connect = (req: never, options: never) => Promise<unknown>
interface Target {
  host?: string
}
/** What the agents dial a proxy with; read once at the beginning of each connection. */
interface Dialling {
  connectOpts?: {
    host?: string
    port?: number
    socket?: Socket
    signal?: AbortSignal
    autoSelectFamilyAttemptTimeout?: number
  }
}

/** Node takes no less, ms. */
const MOST_HASTE = 10
const SETTINGS = { keepAlive: true, timeout: 15_000, scheduling: 'lifo' } as const

/** The agents of one proxy, by the scheme of a URL. */
export function createProxyAgents(proxy: URL, options: ProxyAgentOptions) {
  const closing = new AbortController()
  const isSocks = proxy.protocol.startsWith('socks')
  const isTls = proxy.protocol === 'https:'
  const bound = <A extends Agent & { connect: Connect }>(agent: A): A =>
    bounded(agent, { ...options, isTls, closing: closing.signal })
  const tunnel = isSocks
    ? // The proxy resolves names, unless they are resolved here: never a look-up that nobody judged.
      bound(new SocksProxyAgent(withProtocol(proxy, 'socks5h:'), SETTINGS))
    : bound(new HttpsProxyAgent(proxy, SETTINGS))
  const plain = isSocks || options.lookup !== undefined ? tunnel : bound(new HttpProxyAgent(proxy, SETTINGS))
  const agentFor = (url: URL): Agent => (url.protocol === 'https:' ? tunnel : plain)
  return {
    agentFor,
    /** Whether what answers is the source itself, and not the proxy in its name. */
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

/** An agent whose connections stand in time, or are let go, and which tells a proxy's failure from a source's. */
function bounded<A extends Agent & { connect: Connect }>(
  agent: A,
  options: ProxyAgentOptions & { readonly isTls: boolean; readonly closing: AbortSignal },
): A {
  const connect = agent.connect.bind(agent) as (
    req: ClientRequest,
    target: Target,
  ) => Promise<Duplex | Socket>
  const dialling: Dialling = agent as unknown as Dialling
  const base = dialling.connectOpts
  const connectOnce = async (
    req: ClientRequest,
    given: Target,
    signal: AbortSignal,
  ): Promise<Duplex | Socket> => {
    let refusal: number | undefined
    req.once('proxyConnect', (answer: { statusCode?: number }) => {
      if (answer.statusCode !== undefined && answer.statusCode !== 200) refusal = answer.statusCode
    })
    const target = await resolved(given, options.lookup)
    // Node gives an address up when it tries the next: half of the time is for the first.
    const patient = { autoSelectFamilyAttemptTimeout: Math.max(MOST_HASTE, options.connectTimeout / 2) }
    // The agents tell nobody of the socket before the proxy has answered: it is ours to let go by this signal.
    if (base !== undefined) {
      const { host, port } = base
      const own = options.isTls && host !== undefined && port !== undefined
      if (own) {
        const socket = dial({ host, port, signal, ...patient })
        socket.on('error', () => {})
        dialling.connectOpts = { ...base, socket }
      } else dialling.connectOpts = { ...base, signal, ...patient }
    }
    const socket = await connect(req, target)
    if (refusal === undefined) return socket
    socket.destroy()
    throw new ProxyError(new Error(`CONNECT was answered with ${refusal}`), refusal !== 407)
  }
  const inTime: Connect = async (req: ClientRequest, target: Target) => {
    const letGo = new AbortController()
    const timer = setTimeout(() => letGo.abort(), options.connectTimeout)
    const giveUp = new Promise<never>((_resolve, reject) => {
      letGo.signal.addEventListener('abort', () => reject(new Error('the proxy did not connect in time')))
    })
    giveUp.catch(() => {})
    const close = (): void => letGo.abort()
    options.closing.addEventListener('abort', close, { once: true })
    if (options.closing.aborted) close()
    const attempt = connectOnce(req, target, letGo.signal)
    try {
      const socket = await Promise.race([attempt, giveUp])
      return socket
    } catch (error) {
      attempt.then((socket) => socket.destroy()).catch(() => {})
      letGo.abort()
      if (error instanceof ProxyError || error instanceof Unresolved) throw error
      throw new ProxyError(error, error instanceof Error && /rejected connection/i.test(error.message))
    } finally {
      clearTimeout(timer)
      options.closing.removeEventListener('abort', close)
    }
  }
  return Object.assign(agent, { connect: inTime })
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
